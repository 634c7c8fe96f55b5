//! `mtlog doctor`, run as a process: an environment in order, and one with each fault in turn.

use std::collections::BTreeSet;

use fake_aws::{
    AlarmState, FakeAws, Fault, Response, Subscription,
    cloudformation::{SeedStack, StackStatus},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    deploy::started,
    status::{FUNCTION, operated, put_hour},
    support::{ACCOUNT, Mtlog, REGION, Ran},
};

const QUEUE: &str = "multi-tenant-logging-development-log-delivery-queue";
const DEAD_LETTERS: &str = "multi-tenant-logging-development-log-delivery-dlq";
const TABLE: &str = "multi-tenant-logging-development-tenant-deliveries";
const TOPIC: &str =
    "arn:aws:sns:us-east-2:111111111111:multi-tenant-logging-development-log-delivery";
const ISSUER: &str = "oidc.example.com/1";

/// An environment with everything that a region can have, a cluster, a tenant and its logs.
struct World {
    fake: FakeAws,
    mtlog: Mtlog,
    bucket: String,
    topic_policy: String,
    subscriptions: Vec<Subscription>,
}

impl World {
    fn new() -> Self {
        let (fake, mtlog) = operated();
        fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
        let cluster =
            ["deploy", "cluster/vector", "--cluster-name", "c1", "--oidc-provider", ISSUER];
        mtlog.run(&[&cluster[..], &["-y"]].concat()).exits(0);
        let outputs = mtlog.run(&["outputs", "regional", "-o", "json"]).exits(0).json();
        let output =
            |name: &str| outputs["stacks"][0]["outputs"][name].as_str().unwrap().to_owned();
        let world = Self {
            bucket: output("CentralLoggingBucketName"),
            topic_policy: fake.topic_policy(TOPIC),
            subscriptions: fake.subscriptions(TOPIC),
            fake,
            mtlog,
        };
        world.put_item(json!({}));
        world.put_object("prod-1/acme/app/pod/1.json.gz");
        world.quiet_hour();
        world.fake.clear_journal();
        world
    }

    fn quiet_hour(&self) {
        self.fake.clear_metrics();
        put_hour(&self.fake, "AWS/Lambda", "Invocations", ("FunctionName", FUNCTION), 2.0);
        put_hour(&self.fake, "AWS/Lambda", "Duration", ("FunctionName", FUNCTION), 1_000.0);
    }

    fn put_object(&self, key: &str) {
        self.fake.put_object_quietly(&self.bucket, key, &[], &b"x"[..]);
    }

    /// Writes the tenant's item with some other attributes; null takes one away.
    fn put_item(&self, other: Value) {
        let mut item = json!({
            "tenant_id": {"S": "acme"},
            "type": {"S": "cloudwatch"},
            "enabled": {"BOOL": true},
            "log_distribution_role_arn":
                {"S": "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2"},
            "log_group_name": {"S": "/ROSA/cluster-logs/acme"},
            "target_region": {"S": REGION},
        });
        for (name, value) in other.as_object().unwrap() {
            item[name] = value.clone();
        }
        item.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.fake.put_item(ACCOUNT, REGION, TABLE, &item);
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.fake.endpoint_url())
    }

    fn set_queue(&self, name: &str, value: &str) {
        let input = json!({"QueueUrl": self.url(QUEUE), "Attributes": {name: value}});
        self.fake.call_as_root(ACCOUNT, REGION, "sqs:SetQueueAttributes", &input);
    }

    /// Changes the queue's subscription.
    fn subscription(&self, change: impl Fn(&mut Subscription)) {
        let mut subscriptions = self.subscriptions.clone();
        subscriptions.iter_mut().for_each(change);
        self.fake.set_subscriptions(TOPIC, subscriptions);
    }

    fn set_attribute(&self, name: &str, value: &str) {
        self.subscription(|one| {
            one.attributes.insert(name.to_owned(), value.to_owned());
        });
    }

    fn same_subscriptions(&self) {
        self.fake.set_subscriptions(TOPIC, self.subscriptions.clone());
    }

    fn function(&self, change: impl FnOnce(&mut Value)) {
        assert!(self.fake.change_function(ACCOUNT, REGION, FUNCTION, change));
    }

    fn mappings(&self, change: impl Fn(&mut Value)) {
        self.fake.change_mappings(ACCOUNT, REGION, change);
    }

    fn hour(&self, namespace: &str, name: &str, value: f64) {
        put_hour(&self.fake, namespace, name, ("FunctionName", FUNCTION), value);
    }

    fn oldest(&self, seconds: f64) {
        let of = ("QueueName", QUEUE);
        put_hour(&self.fake, "AWS/SQS", "ApproximateAgeOfOldestMessage", of, seconds);
    }

    fn doctor(&self, arguments: &[&str]) -> Ran {
        self.mtlog.run(&[&["doctor", "-o", "json"], arguments].concat())
    }
}

/// One fault: what is seen, which check finds it, what it says, and how it is made. Each is made on top of those before
/// it, unless it is mended again.
struct Row {
    symptom: &'static str,
    code: &'static str,
    reason: &'static str,
    make: fn(&World),
    mend: Option<fn(&World)>,
}

const fn row(
    symptom: &'static str,
    code: &'static str,
    reason: &'static str,
    make: fn(&World),
    mend: fn(&World),
) -> Row {
    Row { symptom, code, reason, make, mend: Some(mend) }
}

const fn lasting(
    symptom: &'static str,
    code: &'static str,
    reason: &'static str,
    make: fn(&World),
) -> Row {
    Row { symptom, code, reason, make, mend: None }
}

/// `docs/troubleshooting.md` has a line for each.
const ROWS: &[Row] = &[
    row(
        "Every call is refused with `SignatureDoesNotMatch`",
        "MT101",
        "seconds behind AWS",
        |world| world.fake.advance(std::time::Duration::from_mins(4)),
        |world| world.fake.set_time(Timestamp::now()),
    ),
    row(
        "A tool reads another queue or table than the stack's",
        "MT104",
        "is `https://sqs.us-east-2.amazonaws.com/111111111111/old` in .env, line 1",
        |world| {
            let url = "https://sqs.us-east-2.amazonaws.com/111111111111/old";
            world.mtlog.write(".env", &format!("SQS_QUEUE_URL={url}\n"));
        },
        |world| world.mtlog.write(".env", ""),
    ),
    row(
        "No log reaches any customer; the processor cannot assume the central role",
        "MT106",
        "does not exist",
        |world| {
            let gone = Response::error(404, "NoSuchEntity", "The role cannot be found.");
            world.fake.inject(Fault::on("iam:GetRole").respond(gone));
        },
        |world| world.fake.clear_faults(),
    ),
    row(
        "Collectors report `NoSuchBucket`",
        "MT110",
        "does not exist",
        |world| {
            let gone = Response::error(404, "NotFound", "");
            world.fake.inject(Fault::on("s3:HeadBucket").respond(gone));
        },
        |world| world.fake.clear_faults(),
    ),
    row(
        "Objects arrive, the queue stays empty",
        "MT111",
        "announces nothing to topic",
        |world| {
            world.fake.set_bucket_document(&world.bucket, "notification", None);
        },
        |world| {
            let text = format!(
                "<NotificationConfiguration><TopicConfiguration><Id>x</Id><Topic>{TOPIC}</Topic>\
                 <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>suffix</Name>\
                 <Value>.gz</Value></FilterRule></S3Key></Filter></TopicConfiguration></NotificationConfiguration>"
            );
            world.fake.set_bucket_document(&world.bucket, "notification", Some(&text));
        },
    ),
    row(
        "The bucket's bill grows every month",
        "MT112",
        "keeps its objects for ever",
        |world| {
            world.fake.set_bucket_document(&world.bucket, "lifecycle", None);
        },
        |world| {
            let text = "<LifecycleConfiguration><Rule><ID>x</ID><Status>Enabled</Status><Filter/>\
                        <Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>";
            world.fake.set_bucket_document(&world.bucket, "lifecycle", Some(text));
        },
    ),
    row(
        "An audit asks with which key logs are encrypted",
        "MT113",
        "does not encrypt with the pipeline's key",
        |world| {
            world.fake.set_bucket_document(&world.bucket, "encryption", None);
        },
        |world| {
            let text = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                        <SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
                        </ServerSideEncryptionConfiguration>";
            world.fake.set_bucket_document(&world.bucket, "encryption", Some(text));
        },
    ),
    row(
        "An audit asks whether logs could be read by the public",
        "MT114",
        "does not block all public access",
        |world| {
            world.fake.set_bucket_document(&world.bucket, "publicAccessBlock", None);
        },
        |world| {
            let flags = [
                "BlockPublicAcls",
                "IgnorePublicAcls",
                "BlockPublicPolicy",
                "RestrictPublicBuckets",
            ];
            let flags: String = flags.iter().map(|name| format!("<{name}>true</{name}>")).collect();
            let text =
                format!("<PublicAccessBlockConfiguration>{flags}</PublicAccessBlockConfiguration>");
            world.fake.set_bucket_document(&world.bucket, "publicAccessBlock", Some(&text));
        },
    ),
    row(
        "Messages disappear after some failures, and no dead letter is left",
        "MT121",
        "has no dead-letter queue",
        |world| world.set_queue("RedrivePolicy", ""),
        |world| {
            let target = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD_LETTERS}");
            let policy = json!({"deadLetterTargetArn": target, "maxReceiveCount": 5});
            world.set_queue("RedrivePolicy", &policy.to_string());
        },
    ),
    row(
        "Customers see lines twice",
        "MT122",
        "a function with a timeout of 300 s needs 1800 s",
        |world| world.set_queue("VisibilityTimeout", "60"),
        |world| world.set_queue("VisibilityTimeout", "1830"),
    ),
    row(
        "There are dead letters",
        "MT124",
        "holds 1 dead letter",
        |world| {
            world.fake.send_message(&world.url(DEAD_LETTERS), "{}");
        },
        |world| {
            let url = world.url(DEAD_LETTERS);
            let id = world.fake.queue_messages(&url).remove(0).id;
            assert!(world.fake.delete_queued_message(&url, &id));
        },
    ),
    row(
        "The queue grows and nobody works on it",
        "MT125",
        "the oldest for 33 min, and nobody works on any",
        |world| {
            world.fake.send_message(&world.url(QUEUE), "{}");
            world.oldest(2_000.0);
        },
        |world| {
            let url = world.url(QUEUE);
            let id = world.fake.queue_messages(&url).remove(0).id;
            assert!(world.fake.delete_queued_message(&url, &id));
            world.quiet_hour();
        },
    ),
    row(
        "Delivery is days behind",
        "MT126",
        "has a message that is 5 d old, and objects are deleted after 7 days",
        |world| world.oldest(432_000.0),
        |world| world.quiet_hour(),
    ),
    row(
        "One tenant gets nothing although its delivery looks right",
        "MT133",
        "log_group_name",
        |world| world.put_item(json!({"log_group_name": null})),
        |world| world.put_item(json!({})),
    ),
    row(
        "One tenant's role is refused from the first day",
        "MT134",
        "the central role may only assume roles called CustomerLogDistribution-*",
        |world| {
            let role = "arn:aws:iam::222222222222:role/Other";
            world.put_item(json!({"log_distribution_role_arn": {"S": role}}));
        },
        |world| world.put_item(json!({})),
    ),
    row(
        "A change to a tenant's groups has no effect",
        "MT135",
        "groups",
        |world| world.put_item(json!({"groups": {"L": [{"S": "API"}]}})),
        |world| world.put_item(json!({})),
    ),
    row(
        "A tenant's delivery stopped by itself",
        "MT136",
        "by its `ttl`",
        |world| {
            let soon = Timestamp::now() + SignedDuration::from_hours(2);
            world.put_item(json!({"ttl": {"N": soon.as_second().to_string()}}));
        },
        |world| world.put_item(json!({})),
    ),
    row(
        "The function's last deployment failed",
        "MT140",
        "is Active, and its last change Failed: The image is gone",
        |world| {
            world.function(|function| {
                function["Configuration"]["LastUpdateStatus"] = json!("Failed");
                function["Configuration"]["LastUpdateStatusReason"] = json!("The image is gone");
            });
        },
        |world| {
            world.function(|function| {
                function["Configuration"]["LastUpdateStatus"] = json!("Successful");
            });
        },
    ),
    row(
        "The function reads another table or queue than the stack's",
        "MT141",
        "has TENANT_CONFIG_TABLE=`other`",
        |world| {
            world.function(|function| {
                function["Configuration"]["Environment"]["Variables"]["TENANT_CONFIG_TABLE"] =
                    json!("other");
            });
        },
        |world| {
            world.function(|function| {
                function["Configuration"]["Environment"]["Variables"]["TENANT_CONFIG_TABLE"] =
                    json!(TABLE);
            });
        },
    ),
    row(
        "Messages wait and the function does not run",
        "MT142",
        "its connection to the queue is Disabled",
        |world| world.mappings(|mapping| mapping["State"] = json!("Disabled")),
        |world| world.mappings(|mapping| mapping["State"] = json!("Enabled")),
    ),
    row(
        "One bad object makes its whole batch come back",
        "MT143",
        "does not report single failures",
        |world| world.mappings(|mapping| mapping["FunctionResponseTypes"] = json!([])),
        |world| {
            world.mappings(|mapping| {
                mapping["FunctionResponseTypes"] = json!(["ReportBatchItemFailures"]);
            });
        },
    ),
    row(
        "The function crashes or is cut off",
        "MT144",
        "runs failed in the last hour",
        |world| world.hour("AWS/Lambda", "Errors", 1.0),
        |world| world.quiet_hour(),
    ),
    row(
        "Delivery is slow at peak times",
        "MT145",
        "was throttled 60 times in the last hour",
        |world| world.hour("AWS/Lambda", "Throttles", 1.0),
        |world| world.quiet_hour(),
    ),
    row(
        "Single runs take nearly the whole timeout",
        "MT146",
        "ran for 290 s, and its timeout is 300 s",
        |world| world.hour("AWS/Lambda", "Duration", 290_000.0),
        |world| world.quiet_hour(),
    ),
    row(
        "A customer has changed its role, and its logs stopped",
        "MT147",
        "was refused by roles 60 times in the last hour",
        |world| world.hour("mtlog", "assume_role_denied", 1.0),
        |world| world.quiet_hour(),
    ),
    row(
        "Collectors report `AccessDenied` for AssumeRoleWithWebIdentity",
        "MT150",
        "demands the audience `openshift`, but IAM's provider has sts.amazonaws.com",
        |world| world.fake.add_oidc_provider(ACCOUNT, ISSUER, &["sts.amazonaws.com"]),
        |world| world.fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]),
    ),
    row(
        "An alarm woke somebody up",
        "MT160",
        "multi-tenant-logging-development-oldest-message",
        |world| {
            let name = "multi-tenant-logging-development-oldest-message";
            world.fake.set_alarm(ACCOUNT, REGION, name, AlarmState::Alarm, "Threshold Crossed");
        },
        |world| {
            let name = "multi-tenant-logging-development-oldest-message";
            world.fake.set_alarm(ACCOUNT, REGION, name, AlarmState::Ok, "");
        },
    ),
    row(
        "Objects arrive, and the topic counts no message",
        "MT171",
        "does not let bucket `multi-tenant-logging-development-central-",
        |world| {
            let other = world.topic_policy.replace(&world.bucket, "another-bucket");
            world.fake.set_topic_policy(TOPIC, &other);
        },
        |world| world.fake.set_topic_policy(TOPIC, &world.topic_policy),
    ),
    row(
        "The topic counts messages, and the queue stays empty",
        "MT172",
        "has no subscription of queue",
        |world| world.fake.set_subscriptions(TOPIC, Vec::new()),
        World::same_subscriptions,
    ),
    row(
        "Another environment's queue gets the announcements",
        "MT172",
        "tells queue `arn:aws:sqs:us-east-2:111111111111:other`, and not",
        |world| {
            let other = "arn:aws:sqs:us-east-2:111111111111:other";
            world.subscription(|one| other.clone_into(&mut one.endpoint));
        },
        World::same_subscriptions,
    ),
    row(
        "The queue's subscription was made by hand and never confirmed",
        "MT172",
        "waits for somebody to confirm the subscription",
        |world| world.subscription(|one| one.pending = true),
        World::same_subscriptions,
    ),
    row(
        "A consumer of your own cannot read the messages",
        "MT173",
        "raw delivery is on",
        |world| world.set_attribute("RawMessageDelivery", "true"),
        World::same_subscriptions,
    ),
    row(
        "Only some objects are delivered, and the others leave no trace",
        "MT174",
        "only what passes the filter `{\"kind\":[\"x\"]}`",
        |world| world.set_attribute("FilterPolicy", r#"{"kind":["x"]}"#),
        World::same_subscriptions,
    ),
    row(
        "A wrong import cannot be undone",
        "MT131",
        "cannot be restored to an earlier time",
        |world| world.recovery(false),
        |world| world.recovery(true),
    ),
    row(
        "The processor reports that the tenant table is missing",
        "MT130",
        "does not exist",
        |world| {
            let gone =
                Response::error(400, "ResourceNotFoundException", "Requested resource not found");
            world.fake.inject(Fault::on("dynamodb:DescribeTable").respond(gone));
        },
        |world| world.fake.clear_faults(),
    ),
    lasting("Deliveries with an end go on", "MT132", "does not delete items", |world| {
        let off = json!({"AttributeName": "ttl", "Enabled": false});
        let input = json!({"TableName": TABLE, "TimeToLiveSpecification": off});
        world.fake.call_as_root(ACCOUNT, REGION, "dynamodb:UpdateTimeToLive", &input);
    }),
    lasting(
        "An audit asks whether TLS is required",
        "MT115",
        "takes requests without TLS",
        |world| {
            world
                .fake
                .set_bucket_policy(&world.bucket, r#"{"Version": "2012-10-17", "Statement": []}"#);
        },
    ),
    lasting("Objects of a new collector are never delivered", "MT116", "nonsense.gz", |world| {
        world.put_object("nonsense.gz");
    }),
    lasting(
        "A namespace's logs arrive and are delivered to nobody",
        "MT117",
        "namespace ghost: writes logs in cluster `prod-1`",
        |world| world.put_object("prod-1/ghost/app/pod/1.json.gz"),
    ),
    lasting(
        "Objects arrive, SNS reports failed deliveries",
        "MT123",
        "does not let topic",
        |world| {
            world.set_queue("Policy", "");
        },
    ),
    lasting("A stack's update failed", "MT103", "UPDATE_ROLLBACK_FAILED", |world| {
        let name = "multi-tenant-logging-broken";
        let stack = SeedStack::new(ACCOUNT, REGION, name, StackStatus::UpdateRollbackFailed);
        world.fake.cloudformation().put_stack(&stack.failing("Queue", "no such luck"));
    }),
    lasting("`mtlog dlq list` finds no queue", "MT120", "does not exist", |world| {
        assert!(world.fake.delete_queue(&world.url(DEAD_LETTERS)));
    }),
    lasting("The topic is gone", "MT170", "does not exist, although the stack has it", |world| {
        world.fake.remove_topic(TOPIC);
    }),
    lasting(
        "The function is gone",
        "MT140",
        "does not exist, although the stack has it",
        |world| {
            world.fake.remove_function(ACCOUNT, REGION, FUNCTION);
        },
    ),
];

/// Lines of the document that have tests of their own, below and beside the check.
const BY_THEMSELVES: [(&str, &str); 4] = [
    ("Nothing works in one region", "doctor --only MT102"),
    ("A stack lacks an output that a command wants", "doctor --only MT105"),
    ("Nobody noticed that delivery had stopped", "doctor --only MT161"),
    ("One tenant's logs stopped, and those of others go on", "status"),
];

impl World {
    fn recovery(&self, on: bool) {
        let wanted = json!({"PointInTimeRecoveryEnabled": on});
        let input = json!({"TableName": TABLE, "PointInTimeRecoverySpecification": wanted});
        self.fake.call_as_root(ACCOUNT, REGION, "dynamodb:UpdateContinuousBackups", &input);
    }
}

/// Returns code, subject and reason of each finding.
fn found(report: &Value) -> Vec<(String, String)> {
    let checks = report["regions"][0]["checks"].as_array().unwrap();
    let mut found = Vec::new();
    for check in checks {
        for finding in check["outcome"]["findings"].as_array().into_iter().flatten() {
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            let code = check["code"].as_str().unwrap().to_owned();
            found.push((code, format!("{}: {}", text("subject"), text("reason"))));
        }
    }
    found
}

fn codes(found: &[(String, String)]) -> BTreeSet<&str> {
    found.iter().map(|(code, _)| code.as_str()).collect()
}

#[test]
fn each_fault_is_found_by_its_own_check_and_by_no_other() {
    let world = World::new();
    let report = world.doctor(&[]).exits(0).json();
    assert_eq!(found(&report), [], "an environment in order");
    let outcomes = report["regions"][0]["checks"].as_array().unwrap();
    for check in outcomes {
        assert_eq!(check["outcome"]["verdict"], "well", "{check}");
    }
    let mut lasting: BTreeSet<&str> = BTreeSet::new();
    for row in ROWS {
        (row.make)(&world);
        let report = world.doctor(&[]);
        let problem = report.code;
        let found = found(&report.json());
        let mut expected = lasting.clone();
        expected.insert(row.code);
        assert_eq!(codes(&found), expected, "{}: {found:#?}", row.symptom);
        let says = found.iter().any(|(code, text)| code == row.code && text.contains(row.reason));
        assert!(says, "{}: {found:#?}", row.symptom);
        assert!(matches!(problem, Some(0 | 2)), "{}: {problem:?}", row.symptom);
        match row.mend {
            Some(mend) => mend(&world),
            None => {
                lasting.insert(row.code);
            }
        }
    }
    assert_eq!(
        world.fake.writes().iter().filter(|call| !call.facts.principal.ends_with(":root")).count(),
        0
    );
}

#[test]
fn the_documented_faults_are_the_tested_ones() {
    let text = include_str!("../docs/troubleshooting.md");
    let rows = ROWS.iter().map(|row| (row.symptom, format!("doctor --only {}", row.code)));
    let alone = BY_THEMSELVES.iter().map(|(symptom, command)| (*symptom, (*command).to_owned()));
    let tested: BTreeSet<String> = rows
        .chain(alone)
        .map(|(symptom, command)| format!("| {symptom} | `mtlog {command}` |"))
        .collect();
    // What the emulator alone shows is held against the document by `cargo xtask test doctor`.
    let documented: BTreeSet<String> = text
        .lines()
        .filter(|line| line.ends_with("| fakes |") || line.ends_with("| fakes, emulator |"))
        .map(|line| line.split_inclusive(" |").take(2).collect())
        .collect();
    assert_eq!(documented, tested);
    assert!(ROWS.len() >= 20, "{}", ROWS.len());
    let listed = Mtlog::offline().run(&["doctor", "--list", "-o", "json"]).exits(0).json();
    let mut tested: BTreeSet<&str> = ROWS.iter().map(|row| row.code).collect();
    tested.extend(
        BY_THEMSELVES.iter().filter_map(|(_, command)| command.strip_prefix("doctor --only ")),
    );
    let checks = listed["checks"].as_array().unwrap();
    let known: BTreeSet<&str> =
        checks.iter().map(|check| check["code"].as_str().unwrap()).collect();
    assert_eq!(known, tested);
}

#[test]
fn nothing_deployed_is_a_problem_of_its_own() {
    let (_fake, mtlog) = started();
    let report = mtlog.run(&["doctor", "-o", "json"]).exits(2).json();
    assert_eq!(codes(&found(&report)), BTreeSet::from(["MT102"]));
}

#[test]
fn an_environment_without_alarms_is_warned_of() {
    let (_fake, mtlog) = crate::deploy::deployed();
    let report = mtlog.run(&["doctor", "-o", "json"]).exits(0).json();
    assert_eq!(codes(&found(&report)), BTreeSet::from(["MT161"]));
}

#[test]
fn a_check_alone_makes_few_calls_and_only_reads() {
    let (fake, mtlog) = operated();
    mtlog.run(&["doctor", "--only", "MT123", "-o", "json"]).exits(0);
    let calls: Vec<String> = fake.call_counts().into_keys().collect();
    assert_eq!(
        calls,
        ["cloudformation:DescribeStacks", "sqs:GetQueueAttributes", "sts:GetCallerIdentity"]
    );
    mtlog.run(&["doctor"]).exits(0);
    assert_eq!(fake.writes(), []);
}

#[test]
fn what_may_not_be_read_is_unknown_and_names_the_permission() {
    let (fake, mtlog) = operated();
    for (call, code, permission) in [
        ("s3:GetBucketNotificationConfiguration", "MT111", "needs s3:GetBucketNotification"),
        ("s3:ListObjectsV2", "MT116", "needs s3:ListBucket"),
        ("sqs:GetQueueAttributes", "MT123", "needs sqs:GetQueueAttributes"),
        ("sns:GetTopicAttributes", "MT170", "needs sns:GetTopicAttributes"),
        ("sns:ListSubscriptionsByTopic", "MT172", "needs sns:ListSubscriptionsByTopic"),
        ("sns:GetSubscriptionAttributes", "MT174", "needs sns:GetSubscriptionAttributes"),
        ("dynamodb:DescribeTable", "MT130", "needs dynamodb:DescribeTable"),
        ("dynamodb:DescribeTimeToLive", "MT132", "needs dynamodb:DescribeTimeToLive"),
        ("lambda:GetFunction", "MT140", "needs lambda:GetFunction"),
        ("lambda:ListEventSourceMappings", "MT142", "needs lambda:ListEventSourceMappings"),
        ("iam:GetRole", "MT106", "needs iam:GetRole"),
        ("cloudwatch:GetMetricData", "MT144", "needs cloudwatch:GetMetricData"),
        ("cloudwatch:DescribeAlarms", "MT160", "needs cloudwatch:DescribeAlarms"),
        ("cloudformation:DescribeStacks", "MT103", "needs cloudformation:DescribeStacks"),
    ] {
        fake.clear_faults();
        fake.inject(Fault::on(call).respond(Response::access_denied()));
        let report = mtlog.run(&["doctor", "--only", code, "-o", "json"]).exits(3).json();
        let outcome = &report["regions"][0]["checks"][0]["outcome"];
        assert_eq!(*outcome, json!({"verdict": "unknown", "reason": permission}), "{call}");
    }
}

#[test]
fn a_finding_says_what_mends_it_and_how_to_look_again() {
    let (fake, mtlog) = operated();
    fake.send_message(&format!("{}/{ACCOUNT}/{DEAD_LETTERS}", fake.endpoint_url()), "{}");
    let text = mtlog.run(&["doctor", "-r", REGION]).exits(2).stdout;
    let expected = format!(
        "\
multi-tenant-logging development, account 111111111111, us-east-2
  PROBLEM  MT124  there are dead letters
           {DEAD_LETTERS}: holds 1 dead letter: these logs are not delivered
           fix: `mtlog dlq list` tells the reasons; mend them, then `mtlog dlq redrive`.
           again: mtlog doctor --only MT124 -r us-east-2
  44 checks: 42 well, 1 with problems, 1 with nothing to look at
"
    );
    assert_eq!(text, expected);
    let readme = include_str!("../README.md");
    assert!(readme.contains(&expected), "README.md should show\n{expected}");
    let all = mtlog.run(&["doctor", "--all"]).exits(2).stdout;
    assert!(all.contains("  well     MT111  new objects are announced\n"), "{all}");
    assert!(all.contains("  skipped  MT150  "), "{all}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mtlog = Mtlog::offline();
    mtlog
        .run(&["doctor", "--only", "MT999"])
        .exits(64)
        .says(&["there is no check `MT999`", "mtlog doctor --list"]);
    mtlog.run(&["doctor", "--list", "--only", "MT101"]).exits(64);
    mtlog.run(&["explain", "MT111"]).exits(0);
    let listed = mtlog.run(&["doctor", "--list"]).exits(0).stdout;
    assert!(listed.contains("MT111  new objects are not announced"), "{listed}");
}

#[test]
fn the_form_of_the_json_does_not_change() {
    let (fake, mtlog) = operated();
    fake.send_message(&format!("{}/{ACCOUNT}/{DEAD_LETTERS}", fake.endpoint_url()), "{}");
    let report = mtlog.run(&["doctor", "--only", "MT124", "-o", "json"]).exits(2).json();
    let mut paths = Vec::new();
    crate::status::collect_paths("", &report, &mut paths);
    insta::assert_snapshot!("doctor_json", paths.join("\n"));
}
