"""Makes faults in a pipeline on the emulator, and looks whether `mtlog doctor` or `mtlog status` finds each.

Usage: AWS_ENDPOINT_URL=http://127.0.0.1:PORT python doctor_faults.py MTLOG docs/troubleshooting.md

Deploys everything that a region can have through the binary MTLOG, which runs in the current directory. What the
emulator leaves out of the templates must be exactly what is known to be missing, and is then set by hand; after that,
doctor finds nothing. Then each fault is made through the emulator's API, and exactly the check that is meant for it
must fire, on the right thing and with the right reason. Then the fault is mended, and nothing must fire any more.

The symptoms are those of the document's table, which must mark exactly these lines as seen on the emulator. Prints
one line for each fault. Exits 0 when all is well, 1 at the first surprise.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing

import boto3
import botocore.config

ACCOUNT = os.environ.get("AWS_ACCESS_KEY_ID", "")
REGION = os.environ.get("AWS_REGION", "")
PROJECT = "mtlog-faults"
ENVIRONMENT = "development"
START = f"{PROJECT}-{ENVIRONMENT}"
ISSUER = "oidc.example.com/1"
ROLE = "arn:aws:iam::444455556666:role/CustomerLogDistribution-us-east-1"
# A line of the document's table: what is seen, what finds it, what it is, and where that was tested.
LINE = re.compile(r"^\| (.+) \| `mtlog (doctor --only (MT\d+)|status)` \| .+ \| ([a-z, ]+) \|$", re.MULTILINE)
# What nobody but status finds.
FAILING_TENANT = "One tenant's logs stopped, and those of others go on"
# The emulator does not apply these parts of the templates.
LEFT_OUT_BY_THE_EMULATOR = {"MT112", "MT113", "MT131", "MT132"}
# A manifest that Lambda would take. Nobody runs it here.
IMAGE = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": "sha256:" + "4" * 64,
    },
    "layers": [
        {
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "size": 2,
            "digest": "sha256:" + "5" * 64,
        }
    ],
}


class Surprise(Exception):
    """Something is not as it should be."""


def expect(condition, text):
    if not condition:
        raise Surprise(text)


def client(service):
    return boto3.client(
        service,
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=REGION,
        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


class World:
    """The pipeline, and the clients that break it."""

    def __init__(self, program):
        self.program = program
        services = "s3 sns sqs dynamodb lambda iam logs cloudwatch cloudformation ecr".split()
        self.aws = {service: client(service) for service in services}
        self.kept = {}

    def mtlog(self, *arguments, allowed=(0,)):
        """Runs a command and returns its standard output."""
        ran = subprocess.run(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        expect(
            ran.returncode in allowed,
            f"`mtlog {' '.join(arguments)}` ended with {ran.returncode}\n{ran.stdout}{ran.stderr}",
        )
        return ran.stdout

    def read(self, verb, *arguments, environment=ENVIRONMENT, region=REGION):
        flags = ["-p", PROJECT, "-e", environment, "-r", region, "-o", "json"]
        report = json.loads(self.mtlog(verb, *arguments, *flags, allowed=(0, 2)))
        return report["regions"][0]

    def deploy(self):
        ecr = self.aws["ecr"]
        ecr.create_repository(repositoryName="log-processor")
        ecr.put_image(
            repositoryName="log-processor",
            imageManifest=json.dumps(IMAGE),
            imageManifestMediaType=IMAGE["mediaType"],
            imageTag="1",
        )
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/log-processor:1"
        base = ["-p", PROJECT, "-e", ENVIRONMENT, "-r", REGION, "-y"]
        parts = ["--include-sqs", "--include-lambda", "--image", image, "--include-alarms"]
        self.mtlog("deploy", "global", "regional", *parts, *base)
        self.aws["iam"].create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["openshift"]
        )
        cluster = ["--cluster-name", "c1", "--oidc-provider", ISSUER]
        self.mtlog("deploy", "cluster/vector", *cluster, *base)
        names = self.mtlog("outputs", "regional", "-o", "json", *base[:-1])
        self.names = json.loads(names)["stacks"][0]["outputs"]
        self.bucket = self.names["CentralLoggingBucketName"]
        self.table = self.names["TenantConfigTableName"]
        self.function = self.names["LogDistributorFunctionName"]
        self.queue = self.names["LogDeliveryQueueUrl"]
        self.dead_letters = self.names["LogDeliveryDLQUrl"]
        self.topic = self.names["LogDeliveryTopicArn"]
        self.central_role = self.names["CentralLogDistributionRoleArn"]

    def complete(self):
        """Sets what the emulator has left out of the templates."""
        self.aws["s3"].put_bucket_lifecycle_configuration(
            Bucket=self.bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "expire",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "Expiration": {"Days": 7},
                    }
                ]
            },
        )
        self.aws["s3"].put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": self.names["KMSKeyArn"],
                        }
                    }
                ]
            },
        )
        self.set_recovery(True)
        self.set_expiry(True)
        self.put_item({})

    def set_recovery(self, enabled):
        self.aws["dynamodb"].update_continuous_backups(
            TableName=self.table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )

    def set_expiry(self, enabled):
        self.aws["dynamodb"].update_time_to_live(
            TableName=self.table,
            TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": enabled},
        )

    def put_item(self, other):
        """Writes the tenant's item with some other attributes; `None` takes one away."""
        item = {
            "tenant_id": {"S": "acme"},
            "type": {"S": "cloudwatch"},
            "enabled": {"BOOL": True},
            "log_distribution_role_arn": {"S": ROLE},
            "log_group_name": {"S": "/ROSA/cluster-logs/acme"},
            "target_region": {"S": REGION},
        } | other
        item = {name: value for name, value in item.items() if value is not None}
        self.aws["dynamodb"].put_item(TableName=self.table, Item=item)

    def put_object(self, key):
        self.aws["s3"].put_object(Bucket=self.bucket, Key=key, Body=b"")

    def delete_object(self, key):
        self.aws["s3"].delete_object(Bucket=self.bucket, Key=key)
        self.aws["sqs"].purge_queue(QueueUrl=self.queue)

    def set_queue(self, name, value):
        self.aws["sqs"].set_queue_attributes(QueueUrl=self.queue, Attributes={name: value})

    def keep_queue(self, name, value):
        """Changes an attribute of the queue, and keeps what it was."""
        answer = self.aws["sqs"].get_queue_attributes(QueueUrl=self.queue, AttributeNames=[name])
        self.kept[name] = answer["Attributes"][name]
        self.set_queue(name, value)

    def mend_queue(self, name):
        self.set_queue(name, self.kept.pop(name))

    def value(self, namespace, name, dimensions, value, minutes_ago=1):
        """Puts a value into a metric."""
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes_ago)
        self.aws["cloudwatch"].put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
                    "Timestamp": then,
                    "Value": value,
                }
            ],
        )

    def oldest_message(self, seconds, minutes_ago):
        name = self.queue.rsplit("/", 1)[1]
        self.value("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": name}, seconds, minutes_ago)

    def of_function(self, namespace, name, value):
        """Puts a value of this hour, too old for the alarms, which look at minutes."""
        self.value(namespace, name, {"FunctionName": self.function}, value, minutes_ago=40)

    def subscription(self):
        found = self.aws["sns"].list_subscriptions_by_topic(TopicArn=self.topic)["Subscriptions"]
        return next(one["SubscriptionArn"] for one in found if one["Protocol"] == "sqs")

    def set_subscription(self, name, value):
        self.aws["sns"].set_subscription_attributes(
            SubscriptionArn=self.subscription(), AttributeName=name, AttributeValue=value
        )

    def subscribe(self, queue_arn):
        self.aws["sns"].subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn)

    def unsubscribe(self):
        self.aws["sns"].unsubscribe(SubscriptionArn=self.subscription())

    def set_topic_policy(self, policy):
        self.aws["sns"].set_topic_attributes(
            TopicArn=self.topic, AttributeName="Policy", AttributeValue=policy
        )

    def mapping(self):
        found = self.aws["lambda"].list_event_source_mappings(FunctionName=self.function)
        return found["EventSourceMappings"][0]["UUID"]

    def set_mapping(self, **changes):
        self.aws["lambda"].update_event_source_mapping(UUID=self.mapping(), **changes)

    def variables(self, **changes):
        configuration = self.aws["lambda"].get_function_configuration(FunctionName=self.function)
        variables = configuration["Environment"]["Variables"] | changes
        self.aws["lambda"].update_function_configuration(
            FunctionName=self.function, Environment={"Variables": variables}
        )

    def processor_line(self, **fields):
        """Writes a line into the function's log, as the engine does."""
        group, stream = f"/aws/lambda/{self.function}", "seeded"
        logs = self.aws["logs"]
        if "stream" not in self.kept:
            self.kept["stream"] = logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps(fields)}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


# --- The faults ---


def no_notification(world):
    s3 = world.aws["s3"]
    kept = s3.get_bucket_notification_configuration(Bucket=world.bucket)
    kept.pop("ResponseMetadata")
    world.kept["notification"] = kept
    s3.put_bucket_notification_configuration(Bucket=world.bucket, NotificationConfiguration={})


def notification_again(world):
    world.aws["s3"].put_bucket_notification_configuration(
        Bucket=world.bucket, NotificationConfiguration=world.kept.pop("notification")
    )


def no_public_block(world):
    s3 = world.aws["s3"]
    kept = s3.get_public_access_block(Bucket=world.bucket)
    world.kept["block"] = kept["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=world.bucket)


def public_block_again(world):
    world.aws["s3"].put_public_access_block(
        Bucket=world.bucket, PublicAccessBlockConfiguration=world.kept.pop("block")
    )


def no_bucket_policy(world):
    s3 = world.aws["s3"]
    world.kept["policy"] = s3.get_bucket_policy(Bucket=world.bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=world.bucket)


def bucket_policy_again(world):
    world.aws["s3"].put_bucket_policy(Bucket=world.bucket, Policy=world.kept.pop("policy"))


def no_bucket(world):
    no_notification(world)
    no_public_block(world)
    no_bucket_policy(world)
    s3 = world.aws["s3"]
    for found in s3.list_objects_v2(Bucket=world.bucket).get("Contents", []):
        s3.delete_object(Bucket=world.bucket, Key=found["Key"])
    s3.delete_bucket(Bucket=world.bucket)


def bucket_again(world):
    world.aws["s3"].create_bucket(Bucket=world.bucket)
    notification_again(world)
    public_block_again(world)
    bucket_policy_again(world)
    world.complete()


def no_topic(world):
    sns = world.aws["sns"]
    world.kept["topic"] = sns.get_topic_attributes(TopicArn=world.topic)["Attributes"]["Policy"]
    sns.delete_topic(TopicArn=world.topic)


def topic_again(world):
    world.aws["sns"].create_topic(Name=world.topic.rsplit(":", 1)[1])
    world.set_topic_policy(world.kept.pop("topic"))
    world.subscribe(world.names["LogDeliveryQueueArn"])


def no_topic_policy(world):
    attributes = world.aws["sns"].get_topic_attributes(TopicArn=world.topic)["Attributes"]
    world.kept["topic"] = attributes["Policy"]
    world.set_topic_policy(attributes["Policy"].replace(world.bucket, "another-bucket"))


def subscribed_again(world):
    world.subscribe(world.names["LogDeliveryQueueArn"])


def other_queue(world):
    world.unsubscribe()
    world.subscribe(world.names["LogDeliveryDLQArn"])


def right_queue_again(world):
    world.unsubscribe()
    subscribed_again(world)


def no_central_role(world):
    iam, name = world.aws["iam"], world.central_role.rsplit("/", 1)[1]
    role = iam.get_role(RoleName=name)["Role"]
    world.kept["trust"] = json.dumps(role["AssumeRolePolicyDocument"])
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def central_role_again(world):
    world.aws["iam"].create_role(
        RoleName=world.central_role.rsplit("/", 1)[1],
        AssumeRolePolicyDocument=world.kept.pop("trust"),
    )


def failed_stack(world):
    template = {
        "Resources": {
            "Child": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": "https://s3.amazonaws.com/no-such-bucket/x.yaml"},
            }
        }
    }
    name, cloudformation = f"{PROJECT}-broken", world.aws["cloudformation"]
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    deadline = time.monotonic() + 20
    while True:
        status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            return
        expect(time.monotonic() < deadline, f"stack `{name}` stays {status}")
        time.sleep(0.1)


def old_stack(world):
    """A staging environment, deployed by an older version."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"StackVersion": {"Value": "0.9.0"}},
    }
    world.aws["cloudformation"].create_stack(
        StackName=f"{PROJECT}-staging", TemplateBody=json.dumps(template)
    )


def remove_stack(name):
    return lambda world: world.aws["cloudformation"].delete_stack(StackName=f"{PROJECT}-{name}")


def stale_setting(_world):
    text = "SQS_QUEUE_URL=https://sqs.us-east-1.amazonaws.com/111122223333/old\n"
    pathlib.Path(".env").write_text(text, encoding="utf-8")


def set_provider(*audiences):
    """Gives the identity provider these audiences; it is deleted when there are none."""

    def change(world):
        iam = world.aws["iam"]
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
        known = [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
        if arn in known:
            iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        if audiences:
            iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=list(audiences))

    return change


def no_dead_letters_queue(world):
    sqs = world.aws["sqs"]
    answer = sqs.get_queue_attributes(QueueUrl=world.dead_letters, AttributeNames=["All"])
    settable = ["MessageRetentionPeriod", "Policy", "KmsMasterKeyId", "VisibilityTimeout"]
    world.kept["dead"] = {
        name: answer["Attributes"][name] for name in settable if name in answer["Attributes"]
    }
    sqs.delete_queue(QueueUrl=world.dead_letters)


def dead_letters_queue_again(world):
    world.aws["sqs"].create_queue(
        QueueName=world.dead_letters.rsplit("/", 1)[1], Attributes=world.kept.pop("dead")
    )


def no_redrive(world):
    world.keep_queue("RedrivePolicy", "")


def waiting_message(world):
    """The emulator's own poller stands for the function: it stops with the mapping."""
    world.set_mapping(Enabled=False)
    world.aws["sqs"].send_message(QueueUrl=world.queue, MessageBody="{}")
    world.oldest_message(2_000, minutes_ago=3)


def no_waiting_message(world):
    world.aws["sqs"].purge_queue(QueueUrl=world.queue)
    world.oldest_message(1, minutes_ago=2)
    world.set_mapping(Enabled=True)


def no_table(world):
    world.aws["dynamodb"].delete_table(TableName=world.table)


def table_of_the_old_system(world):
    """The same name, with the key of the system before."""
    no_table(world)
    create_table(world, ["tenant_id"])


def create_table(world, key):
    kinds = ["HASH", "RANGE"]
    world.aws["dynamodb"].create_table(
        TableName=world.table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in key],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(key, kinds, strict=False)
        ],
    )
    world.set_recovery(True)
    world.set_expiry(True)
    if len(key) == len(kinds):
        world.put_item({})


def table_again(world):
    create_table(world, ["tenant_id", "type"])


def right_table_again(world):
    no_table(world)
    table_again(world)


def no_function(world):
    function = world.aws["lambda"]
    found = function.get_function(FunctionName=world.function)
    configuration = found["Configuration"]
    world.kept["function"] = {
        "FunctionName": world.function,
        "PackageType": "Image",
        "Code": {"ImageUri": found["Code"]["ImageUri"]},
        "Role": configuration["Role"],
        "Timeout": configuration["Timeout"],
        "Environment": configuration["Environment"],
    }
    function.delete_function(FunctionName=world.function)


def function_again(world):
    world.aws["lambda"].create_function(**world.kept.pop("function"))


def alarm(state):
    name = f"{START}-oldest-message"
    return lambda world: world.aws["cloudwatch"].set_alarm_state(
        AlarmName=name, StateValue=state, StateReason="Threshold Crossed"
    )


def no_alarms(world):
    cloudwatch = world.aws["cloudwatch"]
    found = cloudwatch.describe_alarms(AlarmNamePrefix=START)["MetricAlarms"]
    world.kept["alarm"] = found[0]
    cloudwatch.delete_alarms(AlarmNames=[one["AlarmName"] for one in found])


def an_alarm_again(world):
    kept = world.kept.pop("alarm")
    wanted = (
        "AlarmName Namespace MetricName Dimensions Statistic Period EvaluationPeriods Threshold "
        "ComparisonOperator TreatMissingData"
    ).split()
    world.aws["cloudwatch"].put_metric_alarm(
        **{name: kept[name] for name in wanted if kept.get(name) not in (None, [], "")}
    )


def failed_runs(world):
    world.of_function("AWS/Lambda", "Invocations", 10)
    world.of_function("AWS/Lambda", "Errors", 2)


def nothing(_world):
    pass


@dataclasses.dataclass
class Fault:
    """One fault: what is seen, what finds it, what that says of what, how it is made and mended."""

    symptom: str
    code: str
    subject: str
    reason: str
    make: typing.Callable[[World], object]
    # A fault that cannot be mended before an hour is over stays to the end.
    mend: typing.Callable[[World], object] | None
    # The environment or region that is looked at, when it is not the one that is deployed.
    where: dict = dataclasses.field(default_factory=dict)
    # Checks that find the cause of it.
    brings: set = dataclasses.field(default_factory=set)
    # Checks that cannot look because of the fault.
    hides: set = dataclasses.field(default_factory=set)


def faults(world):
    queue = world.queue.rsplit("/", 1)[1]
    dead_letters = world.dead_letters.rsplit("/", 1)[1]
    topic = world.topic.rsplit(":", 1)[1]
    acme = "tenant acme cloudwatch"
    soon = str(int(time.time()) + 7_200)
    return [
        Fault(
            "Nothing works in one region",
            "MT102",
            "the regional stack",
            "does not exist in this region",
            nothing,
            nothing,
            {"region": "eu-west-1"},
        ),
        Fault(
            "A stack's update failed",
            "MT103",
            f"{PROJECT}-broken",
            "ROLLBACK",
            failed_stack,
            remove_stack("broken"),
        ),
        Fault(
            "A tool reads another queue or table than the stack's",
            "MT104",
            "SQS_QUEUE_URL",
            "111122223333/old` in .env, line 1",
            stale_setting,
            lambda _world: pathlib.Path(".env").unlink(),
        ),
        Fault(
            "A stack lacks an output that a command wants",
            "MT105",
            f"{PROJECT}-staging",
            "has templates of version 0.9.0",
            old_stack,
            remove_stack("staging"),
            {"environment": "staging"},
        ),
        Fault(
            "No log reaches any customer; the processor cannot assume the central role",
            "MT106",
            world.central_role,
            "does not exist",
            no_central_role,
            central_role_again,
        ),
        Fault(
            "Objects arrive, the queue stays empty",
            "MT111",
            world.bucket,
            f"announces nothing to topic `{world.topic}`",
            no_notification,
            notification_again,
        ),
        Fault(
            "The bucket's bill grows every month",
            "MT112",
            world.bucket,
            "keeps its objects for ever",
            lambda world: world.aws["s3"].delete_bucket_lifecycle(Bucket=world.bucket),
            World.complete,
        ),
        Fault(
            "An audit asks with which key logs are encrypted",
            "MT113",
            world.bucket,
            "does not encrypt with the pipeline's key",
            lambda world: world.aws["s3"].delete_bucket_encryption(Bucket=world.bucket),
            World.complete,
        ),
        Fault(
            "An audit asks whether logs could be read by the public",
            "MT114",
            world.bucket,
            "does not block all public access",
            no_public_block,
            public_block_again,
        ),
        Fault(
            "An audit asks whether TLS is required",
            "MT115",
            world.bucket,
            "takes requests without TLS",
            no_bucket_policy,
            bucket_policy_again,
        ),
        Fault(
            "Objects of a new collector are never delivered",
            "MT116",
            "nonsense.gz",
            "",
            lambda world: world.put_object("nonsense.gz"),
            lambda world: world.delete_object("nonsense.gz"),
        ),
        Fault(
            "A namespace's logs arrive and are delivered to nobody",
            "MT117",
            "namespace ghost",
            "writes logs in cluster `c1`",
            lambda world: world.put_object("c1/ghost/app/pod/1.json.gz"),
            lambda world: world.delete_object("c1/ghost/app/pod/1.json.gz"),
        ),
        Fault(
            "`mtlog dlq list` finds no queue",
            "MT120",
            dead_letters,
            "does not exist, although the stack has it",
            no_dead_letters_queue,
            dead_letters_queue_again,
        ),
        Fault(
            "Messages disappear after some failures, and no dead letter is left",
            "MT121",
            queue,
            "has no dead-letter queue",
            no_redrive,
            lambda world: world.mend_queue("RedrivePolicy"),
        ),
        Fault(
            "Customers see lines twice",
            "MT122",
            queue,
            "hides a message for 60 s, and a function with a timeout of 300 s needs 1800 s",
            lambda world: world.keep_queue("VisibilityTimeout", "60"),
            lambda world: world.mend_queue("VisibilityTimeout"),
        ),
        Fault(
            "Objects arrive, SNS reports failed deliveries",
            "MT123",
            queue,
            f"does not let topic `{world.topic}` send",
            lambda world: world.keep_queue("Policy", ""),
            lambda world: world.mend_queue("Policy"),
        ),
        Fault(
            "There are dead letters",
            "MT124",
            dead_letters,
            "holds 1 dead letter",
            lambda world: world.aws["sqs"].send_message(QueueUrl=world.dead_letters, MessageBody="{}"),
            lambda world: world.aws["sqs"].purge_queue(QueueUrl=world.dead_letters),
        ),
        Fault(
            "Delivery is days behind",
            "MT126",
            queue,
            "has a message that is 5 d old, and objects are deleted after 7 days",
            lambda world: world.oldest_message(432_000, minutes_ago=5),
            lambda world: world.oldest_message(1, minutes_ago=4),
        ),
        Fault(
            "The processor reports that the tenant table is missing",
            "MT130",
            world.table,
            "does not exist, although the stack has it",
            no_table,
            table_again,
        ),
        Fault(
            "`mtlog tenant list` says that the table's key is another one",
            "MT130",
            world.table,
            "has the key tenant_id, not tenant_id, type",
            table_of_the_old_system,
            right_table_again,
            # Its items cannot be read.
            hides={"MT117", "MT133", "MT134", "MT135", "MT136"},
        ),
        Fault(
            "A wrong import cannot be undone",
            "MT131",
            world.table,
            "cannot be restored to an earlier time",
            lambda world: world.set_recovery(False),
            lambda world: world.set_recovery(True),
        ),
        Fault(
            "Deliveries with an end go on",
            "MT132",
            world.table,
            "does not delete items whose `ttl` has passed",
            lambda world: world.set_expiry(False),
            lambda world: world.set_expiry(True),
        ),
        Fault(
            "One tenant gets nothing although its delivery looks right",
            "MT133",
            acme,
            "log_group_name",
            lambda world: world.put_item({"log_group_name": None}),
            lambda world: world.put_item({}),
        ),
        Fault(
            "One tenant's role is refused from the first day",
            "MT134",
            acme,
            "the central role may only assume roles called CustomerLogDistribution-*",
            lambda world: world.put_item(
                {"log_distribution_role_arn": {"S": "arn:aws:iam::444455556666:role/Other"}}
            ),
            lambda world: world.put_item({}),
        ),
        Fault(
            "A change to a tenant's groups has no effect",
            "MT135",
            acme,
            "groups",
            lambda world: world.put_item({"groups": {"L": [{"S": "API"}]}}),
            lambda world: world.put_item({}),
        ),
        Fault(
            "A tenant's delivery stopped by itself",
            "MT136",
            acme,
            "by its `ttl`",
            lambda world: world.put_item({"ttl": {"N": soon}}),
            lambda world: world.put_item({}),
        ),
        Fault(
            "The function reads another table or queue than the stack's",
            "MT141",
            world.function,
            "has TENANT_CONFIG_TABLE=`other`",
            lambda world: world.variables(TENANT_CONFIG_TABLE="other"),
            lambda world: world.variables(TENANT_CONFIG_TABLE=world.table),
        ),
        Fault(
            "Messages wait and the function does not run",
            "MT142",
            world.function,
            "its connection to the queue is Disabled",
            lambda world: world.set_mapping(Enabled=False),
            lambda world: world.set_mapping(Enabled=True),
        ),
        Fault(
            "One bad object makes its whole batch come back",
            "MT143",
            world.function,
            "does not report single failures",
            lambda world: world.set_mapping(FunctionResponseTypes=[]),
            lambda world: world.set_mapping(FunctionResponseTypes=["ReportBatchItemFailures"]),
        ),
        Fault(
            "The function is gone",
            "MT140",
            world.function,
            "does not exist, although the stack has it",
            no_function,
            function_again,
        ),
        Fault(
            "Collectors report `AccessDenied` for AssumeRoleWithWebIdentity",
            "MT150",
            f"{PROJECT}-cluster-c1-vector",
            "demands the audience `openshift`, but IAM's provider has sts.amazonaws.com",
            set_provider("sts.amazonaws.com"),
            set_provider("openshift"),
        ),
        Fault(
            "A cluster's identity provider was deleted",
            "MT150",
            f"{PROJECT}-cluster-c1-vector",
            f"trusts the identity provider `{ISSUER}`, which IAM does not know",
            set_provider(),
            set_provider("openshift"),
        ),
        Fault(
            "An alarm woke somebody up",
            "MT160",
            f"{START}-oldest-message",
            "Threshold Crossed",
            alarm("ALARM"),
            alarm("OK"),
        ),
        Fault(
            "Nobody noticed that delivery had stopped",
            "MT161",
            "this environment",
            "has no alarm",
            no_alarms,
            an_alarm_again,
        ),
        Fault(
            "The topic is gone",
            "MT170",
            topic,
            "does not exist, although the stack has it",
            no_topic,
            topic_again,
        ),
        Fault(
            "Objects arrive, and the topic counts no message",
            "MT171",
            topic,
            f"does not let bucket `{world.bucket}` publish",
            no_topic_policy,
            lambda world: world.set_topic_policy(world.kept.pop("topic")),
        ),
        Fault(
            "The topic counts messages, and the queue stays empty",
            "MT172",
            topic,
            f"has no subscription of queue `{world.names['LogDeliveryQueueArn']}`",
            World.unsubscribe,
            subscribed_again,
        ),
        Fault(
            "Another environment's queue gets the announcements",
            "MT172",
            topic,
            f"tells queue `{world.names['LogDeliveryDLQArn']}`, and not",
            other_queue,
            right_queue_again,
        ),
        Fault(
            "A consumer of your own cannot read the messages",
            "MT173",
            topic,
            "raw delivery is on",
            lambda world: world.set_subscription("RawMessageDelivery", "true"),
            lambda world: world.set_subscription("RawMessageDelivery", "false"),
        ),
        Fault(
            "Only some objects are delivered, and the others leave no trace",
            "MT174",
            topic,
            'only what passes the filter `{"kind": ["x"]}`',
            lambda world: world.set_subscription("FilterPolicy", '{"kind": ["x"]}'),
            lambda world: world.set_subscription("FilterPolicy", "{}"),
        ),
        Fault(
            "The queue grows and nobody works on it",
            "MT125",
            queue,
            "holds 1 message, the oldest for 33 min, and nobody works on any",
            waiting_message,
            no_waiting_message,
            brings={"MT142"},
        ),
        Fault(
            "Collectors report `NoSuchBucket`",
            "MT110",
            world.bucket,
            "does not exist",
            no_bucket,
            bucket_again,
        ),
        Fault(
            "The function crashes or is cut off",
            "MT144",
            world.function,
            "2 of 10 runs failed in the last hour",
            failed_runs,
            None,
        ),
        Fault(
            "Delivery is slow at peak times",
            "MT145",
            world.function,
            "was throttled 3 times in the last hour",
            lambda world: world.of_function("AWS/Lambda", "Throttles", 3),
            None,
        ),
        Fault(
            "Single runs take nearly the whole timeout",
            "MT146",
            world.function,
            "ran for 290 s, and its timeout is 300 s",
            lambda world: world.of_function("AWS/Lambda", "Duration", 290_000),
            None,
        ),
        Fault(
            "A customer has changed its role, and its logs stopped",
            "MT147",
            world.function,
            "was refused by roles 4 times in the last hour",
            lambda world: world.of_function("mtlog", "assume_role_denied", 4),
            None,
        ),
    ]


def found(region, hidden=()):
    """Returns code, subject and reason of each finding. Only what is hidden may be unknown, and it must be."""
    findings = []
    for check in region["checks"]:
        unknown = check["outcome"]["verdict"] == "unknown"
        expect(unknown == (check["code"] in hidden), f"known or not: {check}")
        for finding in check["outcome"].get("findings", []):
            findings.append((check["code"], finding["subject"], finding["reason"]))
    return findings


def check_fault(world, fault, lasting):
    fault.make(world)
    # An environment that has nothing else would be found wanting of much.
    only = ["--only", fault.code] if fault.where else []
    findings = found(world.read("doctor", *only, **fault.where), fault.hides)
    codes = {code for code, _, _ in findings}
    expected = lasting | {fault.code} | fault.brings
    expect(codes == expected, f"{fault.symptom}: found were {findings}")
    right = [
        reason
        for code, subject, reason in findings
        if code == fault.code and subject == fault.subject and fault.reason in reason
    ]
    expect(right, f"{fault.symptom}: found were {findings}")
    print(f"{fault.code}  {fault.subject}: {right[0]}")
    if fault.mend is None:
        lasting.add(fault.code)
        return
    fault.mend(world)
    left = {code for code, _, _ in found(world.read("doctor"))}
    expect(left == lasting, f"{fault.symptom}: after it was mended, {left} were found")


def check_status(world):
    """The one fault that no check is for: status names the tenant."""
    status = world.read("status")
    for cell in ["served", "failing"]:
        expect(status[cell]["value"]["tenants"] == [], f"status says {status[cell]}")
    line = {"message": "object", "tenant": "fine", "outcome": "delivered", "delivered": 7}
    world.processor_line(level="INFO", **line)
    world.processor_line(level="ERROR", message="object", tenant="acme", outcome="role_denied")
    status = world.read("status")
    served = [{"tenant": "fine", "objects": 1, "records": 7}]
    expect(status["served"]["value"]["tenants"] == served, f"status says {status['served']}")
    failing = [{"tenant": "acme", "reason": "role_denied", "objects": 1}]
    expect(status["failing"]["value"]["tenants"] == failing, f"status says {status['failing']}")
    print("status acme: role_denied")


def check_document(document, every):
    """The document names the faults that were seen here, and no others."""
    lines = LINE.findall(document.read_text(encoding="utf-8"))
    marked = {(symptom, code) for symptom, _, code, tested in lines if "emulator" in tested.split(", ")}
    seen = {(fault.symptom, fault.code) for fault in every} | {(FAILING_TENANT, "")}
    expect(marked == seen, f"{document.name} should say otherwise of {sorted(marked ^ seen)}")


def main(program, document):
    world = World(program)
    world.deploy()
    check_document(document, faults(world))
    findings = found(world.read("doctor"))
    codes = {code for code, _, _ in findings}
    expect(codes == LEFT_OUT_BY_THE_EMULATOR, f"found in a new environment were {findings}")
    world.complete()
    findings = found(world.read("doctor"))
    expect(not findings, f"found in an environment in order were {findings}")

    lasting = set()
    every = faults(world)
    for fault in every:
        check_fault(world, fault, lasting)
    check_status(world)
    print(f"{len(every) + 1} faults were found, each by its own check and by no other")


if __name__ == "__main__":
    # Without an emulator this would act on real accounts.
    if len(sys.argv) != 3 or not os.environ.get("AWS_ENDPOINT_URL"):
        sys.exit(__doc__)
    try:
        main(sys.argv[1], pathlib.Path(sys.argv[2]))
    except Surprise as surprise:
        sys.exit(f"failed: {surprise}")
