"""Deploys the CloudFormation templates on the emulator: create, update, look, delete.

Usage: AWS_ENDPOINT_URL=http://127.0.0.1:PORT python templates_emulator.py [TEMPLATES_DIRECTORY]

Each template on its own is created, updated and deleted, and created and deleted in every combination
of its optional parameters; main.yaml with its children is created and deleted in every combination of
its switches, and log objects are sent through bucket, topic and queue. The update of a nested stack is left out, because the emulator cannot do it for children that
use GetAtt. The emulator's state must be empty at the start and is empty again at the end.

Prints one line for each step. Exits 0 when all is well, 1 at the first surprise.
"""

import hashlib
import itertools
import json
import os
import pathlib
import sys
import time

import boto3
import botocore.config
import botocore.exceptions

CENTRAL_ACCOUNT = "111111111111"
CUSTOMER_ACCOUNT = "222222222222"
REGION = "us-east-2"
TEMPLATE_BUCKET = "mtlog-template-check"
ISSUER = "https://oidc.op1.openshiftapps.com/2abc3def"
IMAGE = f"{CENTRAL_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/log-processor:1"
NAMES = "multi-tenant-logging-development"
CHILDREN = {
    "CoreTemplateUrl": "core-infrastructure.yaml",
    "SqsTemplateUrl": "sqs-stack.yaml",
    "LambdaTemplateUrl": "lambda-stack.yaml",
    "ObservabilityTemplateUrl": "observability-stack.yaml",
}


class Surprise(Exception):
    """Something is not as the templates promise."""


def expect(condition, text):
    if not condition:
        raise Surprise(text)


class Account:
    """One account of the emulator, whose number is the access key id."""

    def __init__(self, endpoint_url, number):
        self.endpoint_url = endpoint_url
        self.number = number
        self.clients = {}
        self.deleted_keys = set()

    def client(self, service):
        # Making a client takes longer than most of the calls here.
        if service not in self.clients:
            self.clients[service] = self._new_client(service)
        return self.clients[service]

    def _new_client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.number,
            aws_secret_access_key="none",
            config=botocore.config.Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 1}
            ),
        )


class Templates:
    """The template files."""

    def __init__(self, directory):
        self.directory = directory

    def text(self, path):
        return (self.directory / path).read_text(encoding="utf-8")

    def upload_children(self, account):
        """Uploads the child templates under both kinds of key and returns the parameters for each."""
        s3 = account.client("s3")
        s3.create_bucket(
            Bucket=TEMPLATE_BUCKET,
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        urls = {}
        for parameter, name in CHILDREN.items():
            body = self.text(f"regional/{name}").encode()
            key = f"mtlog/{hashlib.sha256(body).hexdigest()}.yaml"
            s3.put_object(Bucket=TEMPLATE_BUCKET, Key=key, Body=body)
            s3.put_object(
                Bucket=TEMPLATE_BUCKET, Key=f"cloudformation/templates/{name}", Body=body
            )
            urls[parameter] = f"https://s3.{REGION}.amazonaws.com/{TEMPLATE_BUCKET}/{key}"
        return {"TemplateBucket": TEMPLATE_BUCKET}, urls


class Stack:
    """One stack on the emulator."""

    def __init__(self, account, name, template):
        self.cloudformation = account.client("cloudformation")
        self.name = name
        self.template = template

    def create(self, parameters):
        self.cloudformation.create_stack(**self._request(parameters))
        return self._wait("CREATE_COMPLETE")

    def update(self, parameters):
        self.cloudformation.update_stack(**self._request(parameters))
        return self._wait("UPDATE_COMPLETE")

    def delete(self):
        stack_id = self._describe()["StackId"]
        self.cloudformation.delete_stack(StackName=self.name)
        self._wait("DELETE_COMPLETE", stack_id)

    def _request(self, parameters):
        return {
            "StackName": self.name,
            "TemplateBody": self.template,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }

    def _describe(self, stack=None):
        return self.cloudformation.describe_stacks(StackName=stack or self.name)["Stacks"][0]

    def _wait(self, expected, stack_id=None):
        deadline = time.monotonic() + 60
        while True:
            stack = self._describe(stack_id)
            status = stack["StackStatus"]
            # An update that is only cleaning up has reached its end for everybody else.
            if not status.endswith("IN_PROGRESS"):
                break
            expect(time.monotonic() < deadline, f"{self.name} is still {status}")
            time.sleep(0.02)
        if status != expected:
            raise Surprise(f"{self.name} is {status}, not {expected}: {self._reasons(stack)}")
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _reasons(self, stack):
        events = self.cloudformation.describe_stack_events(StackName=stack["StackId"])
        return "; ".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events["StackEvents"]
            if event["ResourceStatus"].endswith("_FAILED")
        )


def remove_retained(account, spared=()):
    """Deletes what the templates keep when their stack goes, and says what that was."""
    removed = []
    s3 = account.client("s3")
    for bucket in s3.list_buckets().get("Buckets", []):
        name = bucket["Name"]
        if name == TEMPLATE_BUCKET:
            continue
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)
        removed.append("bucket")
    dynamodb = account.client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
        removed.append("table")
    sqs = account.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        if url.rsplit("/", 1)[1] in spared:
            continue
        sqs.delete_queue(QueueUrl=url)
        removed.append("queue")
    kms = account.client("kms")
    # A key only waits for its deletion, so those of earlier stacks are still listed.
    for key in kms.list_keys(Limit=1000)["Keys"]:
        if key["KeyId"] in account.deleted_keys:
            continue
        account.deleted_keys.add(key["KeyId"])
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled":
            kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
            removed.append("key")
    return sorted(removed)


def expect_nothing_left(account):
    """Looks for whatever a deleted stack should have taken with it."""
    left = {
        "roles": [role["RoleName"] for role in account.client("iam").list_roles()["Roles"]],
        "policies": [
            policy["PolicyName"]
            for policy in account.client("iam").list_policies(Scope="Local")["Policies"]
        ],
        "topics": account.client("sns").list_topics()["Topics"],
        "functions": [
            function["FunctionName"]
            for function in account.client("lambda").list_functions()["Functions"]
        ],
        "log groups": account.client("logs").describe_log_groups()["logGroups"],
        "alarms": account.client("cloudwatch").describe_alarms()["MetricAlarms"],
    }
    left = {kind: items for kind, items in left.items() if items}
    expect(not left, f"left behind: {left}")


def trust_policy(account, role_arn):
    role = account.client("iam").get_role(RoleName=role_arn.rsplit("/", 1)[1])["Role"]
    expect(role["Arn"] == role_arn, f"{role['Arn']} is not {role_arn}")
    document = role["AssumeRolePolicyDocument"]
    return document if isinstance(document, dict) else json.loads(document)


def check_single_templates(central, customer, templates):
    """Creates, updates and deletes each template as a stack of its own."""

    def run(account, path, first, second, look):
        stack = Stack(account, path.split("/")[1].removesuffix(".yaml"), templates.text(path))
        before = stack.create(first)
        look(before)
        after = stack.update({**first, **second})
        look(after)
        print(f"created and updated {path}: {len(after)} outputs")
        return stack, after

    def nothing(_outputs):
        pass

    def has_external_id(expected):
        def look(outputs):
            statement = trust_policy(customer, outputs["CustomerLogDistributionRoleArn"])[
                "Statement"
            ][0]
            found = statement["Condition"]["StringEquals"]["sts:ExternalId"]
            expect(found in expected, f"ExternalId is {found}")

        return look

    def has_web_identity(output, subject):
        def look(outputs):
            document = trust_policy(central, outputs[output])
            issuer = ISSUER.removeprefix("https://")
            condition = document["Statement"][0]["Condition"]["StringEquals"]
            expect(
                condition == {f"{issuer}:aud": "openshift", f"{issuer}:sub": subject},
                f"conditions are {condition}",
            )

        return look

    stacks = []
    stack, outputs = run(
        central,
        "global/central-log-distribution-role.yaml",
        {},
        {"EnableS3Delivery": "true", "AllowSameAccountDelivery": "true"},
        nothing,
    )
    stacks.append(stack)
    central_role = outputs["CentralLogDistributionRoleArn"]
    needs_central_role = {"CentralLogDistributionRoleArn": central_role}

    stack, _ = run(
        customer,
        "customer/customer-log-distribution-role.yaml",
        needs_central_role,
        {"ExternalId": "f3a1-own", "LogGroupPrefix": "/own/"},
        has_external_id({CENTRAL_ACCOUNT, "f3a1-own"}),
    )
    stacks.append(stack)

    stack, core = run(
        central,
        "regional/core-infrastructure.yaml",
        {**needs_central_role, "EksOidcIssuer": ISSUER, "EksClusterName": "eks-1"},
        {"S3DeleteAfterDays": "3", "S3KeyPrefix": "logs/"},
        nothing,
    )
    stacks.append(stack)

    stack, queue = run(
        central,
        "regional/sqs-stack.yaml",
        {"LogDeliveryTopicArn": core["LogDeliveryTopicArn"], "KMSKeyArn": core["KMSKeyArn"]},
        {"LambdaTimeoutSeconds": "60", "MaxReceiveCount": "7"},
        nothing,
    )
    stacks.append(stack)
    attributes = central.client("sqs").get_queue_attributes(
        QueueUrl=queue["LogDeliveryQueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    expect(attributes["VisibilityTimeout"] == "390", f"{attributes['VisibilityTimeout']} s")
    expect('"7"' in attributes["RedrivePolicy"] or ":7" in attributes["RedrivePolicy"], attributes)

    stack, function = run(
        central,
        "regional/lambda-stack.yaml",
        {
            **needs_central_role,
            "TenantConfigTableName": core["TenantConfigTableName"],
            "TenantConfigTableArn": core["TenantConfigTableArn"],
            "CentralLoggingBucketArn": core["CentralLoggingBucketArn"],
            "SQSQueueArn": queue["LogDeliveryQueueArn"],
            "SQSQueueUrl": queue["LogDeliveryQueueUrl"],
            "SQSDLQArn": queue["LogDeliveryDLQArn"],
            "KMSKeyArn": core["KMSKeyArn"],
            "ECRImageUri": IMAGE,
        },
        {"LambdaTimeoutSeconds": "60", "LogLevel": "DEBUG", "LambdaMemoryMB": "2048"},
        nothing,
    )
    stacks.append(stack)
    configuration = central.client("lambda").get_function_configuration(
        FunctionName=function["LogDistributorFunctionName"]
    )
    expect(configuration["Timeout"] == 60, configuration["Timeout"])
    expect(configuration["Environment"]["Variables"]["LOG_LEVEL"] == "DEBUG", configuration)

    stack, _ = run(
        central,
        "regional/observability-stack.yaml",
        {
            "LogDeliveryQueueName": queue["LogDeliveryQueueName"],
            "LogDeliveryDLQName": queue["LogDeliveryDLQName"],
            "LogDistributorFunctionName": function["LogDistributorFunctionName"],
            "KMSKeyArn": core["KMSKeyArn"],
        },
        {"OldestMessageAlarmSeconds": "1800", "AlarmEmail": "oncall@example.com"},
        nothing,
    )
    stacks.append(stack)

    cluster = {"ClusterName": "blue", "OIDCProviderURL": ISSUER}
    stack, _ = run(
        central,
        "cluster/cluster-vector-role.yaml",
        {
            **cluster,
            "VectorAssumeRolePolicyArn": core["VectorAssumeRolePolicyArn"],
            "CentralS3WriterPolicyArn": core["CentralS3WriterPolicyArn"],
        },
        {"OIDCProviderURL": ISSUER.removeprefix("https://"), "ServiceAccountName": "vector-logs"},
        has_web_identity(
            "ClusterVectorRoleArn", "system:serviceaccount:logging:vector-logs"
        ),
    )
    stacks.append(stack)
    stack, _ = run(
        central,
        "cluster/cluster-processor-role.yaml",
        {
            **cluster,
            **needs_central_role,
            "TenantConfigTableArn": core["TenantConfigTableArn"],
            "CentralLoggingBucketArn": core["CentralLoggingBucketArn"],
            "LogDeliveryQueueArn": queue["LogDeliveryQueueArn"],
            "LogDeliveryDLQArn": queue["LogDeliveryDLQArn"],
        },
        {"KMSKeyArn": core["KMSKeyArn"], "S3KeyPrefix": "logs/"},
        has_web_identity(
            "ClusterProcessorRoleArn", "system:serviceaccount:logging:log-processor"
        ),
    )
    stacks.append(stack)

    for stack in reversed(stacks):
        stack.delete()
    kept = remove_retained(central)
    expect(kept == ["bucket", "key", "queue", "queue", "table"], f"kept: {kept}")
    expect_nothing_left(central)
    expect_nothing_left(customer)
    print(f"deleted {len(stacks)} stacks; kept were: {', '.join(kept)}")


def combinations(options):
    """Returns every choice among the options, each a dict, taken or not."""
    for taken in itertools.product([False, True], repeat=len(options)):
        chosen = {}
        for option in itertools.compress(options, taken):
            chosen |= option
        yield chosen


def check_combinations(central, templates):
    """Creates and deletes each template in every combination of its optional parameters."""
    local = f"{REGION}:{CENTRAL_ACCOUNT}"
    central_role = {
        "CentralLogDistributionRoleArn": f"arn:aws:iam::{CENTRAL_ACCOUNT}:role/"
        "ROSA-CentralLogDistributionRole-0123abcd"
    }
    operators = {"OperatorRoleArns": f"arn:aws:iam::{CENTRAL_ACCOUNT}:role/Operators"}
    key = {"KMSKeyArn": f"arn:aws:kms:{local}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"}
    policy = f"arn:aws:iam::{CENTRAL_ACCOUNT}:policy/writers"
    cluster = {"ClusterName": "blue", "OIDCProviderURL": ISSUER}
    topic = central.client("sns").create_topic(Name="topic")["TopicArn"]
    queues = central.client("sqs")
    feeding_queue = queues.create_queue(QueueName="feeding-queue")["QueueUrl"]
    bucket = "arn:aws:s3:::some-bucket"
    table = {"TenantConfigTableArn": f"arn:aws:dynamodb:{local}:table/tenants"}
    rows = [
        (
            "global/central-log-distribution-role.yaml",
            {},
            [
                {"RandomSuffix": "0123abcd"},
                operators,
                {"AllowSameAccountDelivery": "true"},
                {"EnableS3Delivery": "true"},
            ],
        ),
        (
            "customer/customer-log-distribution-role.yaml",
            central_role,
            [
                {"ExternalId": "f3a1-own"},
                {"RolePath": "/org/logs/"},
                {"PermissionsBoundaryArn": policy},
            ],
        ),
        (
            "regional/core-infrastructure.yaml",
            central_role,
            [
                {"EnableS3Encryption": "false"},
                {"EnableDeletionProtection": "true"},
                {"EksOidcIssuer": ISSUER, "EksClusterName": "eks-1"},
                {"S3KeyPrefix": "logs/"},
                {"AccessLogBucketName": "access-logs"},
                {"RandomSuffix": "0123abcd"},
                operators,
            ],
        ),
        ("regional/sqs-stack.yaml", {"LogDeliveryTopicArn": topic}, [key]),
        (
            "regional/lambda-stack.yaml",
            {
                **central_role,
                **table,
                "TenantConfigTableName": "tenants",
                "CentralLoggingBucketArn": bucket,
                "SQSQueueArn": f"arn:aws:sqs:{local}:feeding-queue",
                "SQSQueueUrl": feeding_queue,
                "SQSDLQArn": f"arn:aws:sqs:{local}:dead-letters",
                "ECRImageUri": IMAGE,
            },
            [
                key,
                {"Architecture": "arm64"},
                {"ReservedConcurrency": "10"},
                {"MaximumConcurrency": "5"},
                {"S3KeyPrefix": "logs/"},
            ],
        ),
        (
            "regional/observability-stack.yaml",
            {"LogDeliveryQueueName": "feeding-queue", "LogDeliveryDLQName": "dead-letters"},
            [key, {"LogDistributorFunctionName": "f"}, {"AlarmEmail": "oncall@example.com"}],
        ),
        (
            "cluster/cluster-vector-role.yaml",
            {**cluster, "VectorAssumeRolePolicyArn": policy, "CentralS3WriterPolicyArn": policy},
            [{"OIDCAudience": "sts.amazonaws.com"}],
        ),
        (
            "cluster/cluster-processor-role.yaml",
            {
                **cluster,
                **central_role,
                **table,
                "CentralLoggingBucketArn": bucket,
                "LogDeliveryQueueArn": f"arn:aws:sqs:{local}:feeding-queue",
                "LogDeliveryDLQArn": f"arn:aws:sqs:{local}:dead-letters",
            },
            [key, {"OIDCAudience": "sts.amazonaws.com"}, {"S3KeyPrefix": "logs/"}],
        ),
    ]
    count = 0
    for path, required, options in rows:
        for chosen in combinations(options):
            stack = Stack(central, "combination", templates.text(path))
            outputs = stack.create({**required, **chosen})
            empty = [name for name, value in outputs.items() if not value]
            expect(not empty, f"{path} has empty outputs {empty} with {chosen}")
            stack.delete()
            if path.startswith("regional/core") or path.startswith("regional/sqs"):
                remove_retained(central, ("feeding-queue",))
            count += 1
    queues.delete_queue(QueueUrl=feeding_queue)
    central.client("sns").delete_topic(TopicArn=topic)
    expect_nothing_left(central)
    print(f"created and deleted {len(rows)} templates in {count} combinations of their parameters")


def receive(sqs, url, last):
    """Returns the keys of the objects that are announced up to the last one, and what is left then."""
    keys = []
    while True:
        wait = 0 if last in keys else 20
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        if not answer.get("Messages"):
            return keys
        for message in answer["Messages"]:
            notification = json.loads(json.loads(message["Body"])["Message"])
            keys += [record["s3"]["object"]["key"] for record in notification.get("Records", [])]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def check_flow(central, outputs, prefix):
    """Puts objects into the bucket and looks for their notifications in the queue."""
    s3, sqs = central.client("s3"), central.client("sqs")
    bucket = outputs["CentralLoggingBucketName"]
    wanted = f"{prefix}blue/ns/app/pod/20260101-1.json.gz"
    unwanted = [f"{prefix}blue/ns/app/pod/notes.txt", "cloudformation/templates/x.yaml"]
    if prefix:
        unwanted.append("elsewhere/ns/app/pod/20260101-1.json.gz")
    for key in [*unwanted, wanted]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    found = receive(sqs, outputs["LogDeliveryQueueUrl"], wanted)
    expect(found == [wanted], f"announced were {found}, not {[wanted]}")


def check_nested(central, templates, urls):
    """Creates and deletes main.yaml in every combination of its switches."""
    global_stack = Stack(
        central, "global", templates.text("global/central-log-distribution-role.yaml")
    )
    central_role = global_stack.create({})["CentralLogDistributionRoleArn"]
    includes = [
        (queue, function, alarms)
        for queue, function, alarms in itertools.product([True, False], repeat=3)
        if queue or not (function or alarms)
    ]
    switches = list(itertools.product(includes, *[[True, False]] * 4))
    text = str.lower
    flows = 0
    for number, (include, encrypted, protected, eks, prefixed) in enumerate(switches):
        queue, function, alarms = include
        prefix = "logs/" if prefixed else ""
        parameters = {
            "CentralLogDistributionRoleArn": central_role,
            "IncludeSQSStack": text(str(queue)),
            "IncludeLambdaStack": text(str(function)),
            "IncludeObservabilityStack": text(str(alarms)),
            "EnableS3Encryption": text(str(encrypted)),
            "EnableDeletionProtection": text(str(protected)),
            "S3KeyPrefix": prefix,
            # Both ways to name the child templates, in turn.
            **urls[number % 2],
        }
        if function:
            parameters["ECRImageUri"] = IMAGE
        if eks:
            parameters |= {"EksOidcIssuer": ISSUER, "EksClusterName": "eks-1"}
        stack = Stack(central, "regional", templates.text("regional/main.yaml"))
        outputs = stack.create(parameters)
        for output, wanted in {
            "CentralLoggingBucketArn": True,
            "CentralS3WriterPolicyArn": True,
            "TenantConfigTableArn": True,
            "RegionalLogProcessorRoleArn": True,
            "VectorAssumeRolePolicyArn": True,
            "RandomSuffix": True,
            "KMSKeyArn": encrypted,
            "LogDeliveryQueueUrl": queue,
            "LogDeliveryDLQArn": queue,
            "LogDistributorFunctionArn": function,
            "AlarmTopicArn": alarms,
            "VectorRoleArn": eks,
            "CentralS3WriterRoleArn": eks,
            "S3KeyPrefix": prefixed,
        }.items():
            expect((output in outputs) == wanted, f"{output} with {parameters}")
        # A function would take the messages away from the queue.
        if queue and not function:
            check_flow(central, outputs, prefix)
            flows += 1
        stack.delete()
        # What this removes is not looked at: the emulator ignores the deletion policies of children.
        remove_retained(central)
    global_stack.delete()
    expect_nothing_left(central)
    print(f"created and deleted main.yaml in {len(switches)} combinations of its switches")
    print(f"sent log objects through bucket, topic and queue in {flows} of them")


def check_refusals(central, templates, urls):
    """Gives values that the patterns refuse."""
    rows = [
        ("global/central-log-distribution-role.yaml", {"RandomSuffix": "1234567"}),
        ("global/central-log-distribution-role.yaml", {"ProjectName": "x" * 27}),
        (
            "customer/customer-log-distribution-role.yaml",
            {"CentralLogDistributionRoleArn": f"arn:aws:iam::{CENTRAL_ACCOUNT}:role/other"},
        ),
        (
            "regional/main.yaml",
            {
                **urls[0],
                "CentralLogDistributionRoleArn": "arn:aws:iam::1:role/x",
            },
        ),
    ]
    for path, parameters in rows:
        stack = Stack(central, "refused", templates.text(path))
        try:
            stack.create(parameters)
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            expect(code == "ValidationError", f"{path}: {code}")
        else:
            raise Surprise(f"{path} takes {parameters}")
    print(f"{len(rows)} bad parameter values were refused")


def main(endpoint_url, directory):
    central = Account(endpoint_url, CENTRAL_ACCOUNT)
    customer = Account(endpoint_url, CUSTOMER_ACCOUNT)
    templates = Templates(directory)
    check_single_templates(central, customer, templates)
    check_combinations(central, templates)
    urls = templates.upload_children(central)
    check_nested(central, templates, urls)
    check_refusals(central, templates, urls)


if __name__ == "__main__":
    # Without an emulator this would act on real accounts.
    if len(sys.argv) > 2 or not os.environ.get("AWS_ENDPOINT_URL"):
        sys.exit(__doc__)
    default_directory = pathlib.Path(__file__).resolve().parent.parent / "templates"
    try:
        main(
            os.environ["AWS_ENDPOINT_URL"],
            pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else default_directory,
        )
    except Surprise as surprise:
        sys.exit(f"failed: {surprise}")
