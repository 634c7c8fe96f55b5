"""What the Python predecessor does with an object, up to the signed requests of PutLogEvents.

Written for the benchmark, by its rules: the object is decompressed as a whole, each record becomes a
dictionary, message and timestamp are picked from it, batches are cut at 1 MiB and 10,000 events, and a
client makes requests of them. Prints processor time without the start of Python.

Arguments: what makes the requests, and the object's file. `botocore` is the client that the predecessor has; an
answer stands in for the network. `bare` does less than any client must: it serialises the body and hashes it.
"""

import gzip
import hashlib
import json
import sys
import time
from datetime import datetime

MAX_BATCH_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
EVENT_OVERHEAD = 26


def records(text):
    """Yields the records of an array or of lines."""
    if text.lstrip().startswith("["):
        yield from json.loads(text)
        return
    for line in text.splitlines():
        if line.strip():
            yield json.loads(line)


def timestamp(record):
    """Returns milliseconds since the epoch."""
    value = record.get("timestamp") or record.get(".timestamp") or record.get("time")
    if isinstance(value, str):
        return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1000)
    if isinstance(value, (int, float)):
        return int(value if value >= 1_000_000_000_000 else value * 1000)
    return int(time.time() * 1000)


def message(record):
    """Returns the text to deliver."""
    value = record.get("message") or record.get(".") or record.get("log") or record
    return value if isinstance(value, str) else json.dumps(value)


def batches(events):
    """Cuts sorted events into lists that one call takes."""
    batch, size = [], 0
    for event in events:
        cost = len(event["message"].encode()) + EVENT_OVERHEAD
        if batch and (size + cost > MAX_BATCH_BYTES or len(batch) == MAX_BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += cost
    if batch:
        yield batch


def bare(request):
    """Makes a body and its hash, and nothing else of a request."""
    hashlib.sha256(json.dumps(request).encode("utf-8")).hexdigest()


def botocore():
    """Returns what checks, serialises and signs a request, and has it answered at once."""
    import botocore.awsrequest
    import botocore.session

    class Empty:
        """The body of the answer."""

        @staticmethod
        def stream():
            """Yields its pieces."""
            yield b"{}"

    def answer(request, **_):
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, Empty)

    client = botocore.session.Session().create_client(
        "logs", region_name="us-east-1", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="example"
    )
    client.meta.events.register("before-send.cloudwatch-logs.PutLogEvents", answer)
    return lambda request: client.put_log_events(**request)


def main():
    put = botocore() if sys.argv[1] == "botocore" else bare
    with open(sys.argv[2], "rb") as file:
        compressed = file.read()
    start = time.process_time()
    text = gzip.decompress(compressed).decode("utf-8")
    events = [{"timestamp": timestamp(record), "message": message(record)} for record in records(text)]
    events.sort(key=lambda event: event["timestamp"])
    count = 0
    for batch in batches(events):
        put({"logGroupName": "/logs/acme", "logStreamName": "api-api-0-2026-11-23", "logEvents": batch})
        count += len(batch)
    spent = time.process_time() - start
    # What getrusage says counts the process that has started this one, too.
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"processor_seconds": spent, "events": count, "peak_kibibytes": peak}))


main()
