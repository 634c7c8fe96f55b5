"""Reads whole log groups back and prints what they hold.

One line of JSON for each group: {"account", "log_group", "streams", "records", "bytes",
"hash"}. The hash does not depend on order: the sum modulo 2^128 of the first 16
bytes (big-endian) of the SHA-256 of each message, as `mtlog generate` computes it.
"""

import argparse
import hashlib
import json

import boto3
import botocore.config


def messages(client, log_group, log_stream):
    request = {"logGroupName": log_group, "logStreamName": log_stream, "startFromHead": True, "limit": 10_000}
    token = None
    while True:
        page = client.get_log_events(**request)
        for event in page["events"]:
            yield event["message"]
        # The end is the page whose token is the one that was sent.
        if page["nextForwardToken"] == token:
            return
        token = page["nextForwardToken"]
        request["nextToken"] = token


def contents(client, log_group):
    streams = records = size = digest = 0
    for page in client.get_paginator("describe_log_streams").paginate(logGroupName=log_group):
        for stream in page["logStreams"]:
            streams += 1
            for message in messages(client, log_group, stream["logStreamName"]):
                data = message.encode("utf-8")
                records += 1
                size += len(data)
                digest += int.from_bytes(hashlib.sha256(data).digest()[:16], "big")
    return {"streams": streams, "records": records, "bytes": size, "hash": f"{digest % 2**128:032x}"}


def group_argument(text):
    account, _, log_group = text.partition(":")
    if not log_group:
        raise argparse.ArgumentTypeError(f"`{text}` is not ACCOUNT:LOG_GROUP")
    return account, log_group


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("group", nargs="+", type=group_argument, metavar="ACCOUNT:LOG_GROUP")
    arguments = parser.parse_args()
    for account, log_group in arguments.group:
        client = boto3.client(
            "logs",
            endpoint_url=arguments.endpoint,
            region_name=arguments.region,
            # The emulator acts in the account that the access key id names.
            aws_access_key_id=account,
            aws_secret_access_key="emulator",
            config=botocore.config.Config(retries={"total_max_attempts": 3}),
        )
        try:
            found = contents(client, log_group)
        except client.exceptions.ResourceNotFoundException:
            found = {"streams": 0, "records": 0, "bytes": 0, "hash": f"{0:032x}"}
        print(json.dumps({"account": account, "log_group": log_group, **found}))


if __name__ == "__main__":
    main()
