//! Every command, and lines that make it call what it may call.

use std::{
    net::TcpListener,
    process::{Child, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fake_aws::cloudformation::{Pace, PlannedFailure, SeedStack, StackStatus};
use serde_json::json;

use super::{
    runtime_api,
    world::{Bed, IMAGE, ISSUER, ROLE, STRANGER, TEMPLATES, TENANTS, World},
};
use crate::{
    deploy::{GLOBAL, REGIONAL},
    images::{executable, stand_in::TOKEN},
    k8s::cluster::{Cluster, deployment},
    support::{ACCOUNT, Mtlog, REGION, Ran},
};

/// One command. `{}` stands for a name that is new in each run; it is also a number of days.
pub(super) struct Row {
    pub(super) command: &'static str,
    pub(super) bed: Bed,
    /// What somebody else does first.
    pub(super) before: fn(&World, &str),
    /// Runs it as the given person and returns how it ended.
    pub(super) run: Run,
    /// What is taken away to see whether it is missed.
    pub(super) removal: Removal,
    /// Calls that no run here can show, with the reason beside the row.
    pub(super) stated: &'static [(&'static str, &'static str)],
    /// Permissions whose lack the command waits out for minutes: they are not taken away.
    pub(super) waits: &'static [&'static str],
    /// Permissions without which the command does its work and does not speak of them, with the reason beside the row.
    pub(super) silent: &'static [&'static str],
}

/// What is taken out of a policy at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// One permission.
    Action,
    /// One statement: with less than that, these would try again for long.
    Statement,
}

pub(super) enum Run {
    Lines(&'static [&'static [&'static str]]),
    With(fn(&World, &Mtlog, &str) -> Vec<Ran>),
}

const fn row(command: &'static str, lines: &'static [&'static [&'static str]]) -> Row {
    Row {
        command,
        bed: Bed::Operated,
        before: |_, _| {},
        run: Run::Lines(lines),
        removal: Removal::Action,
        stated: &[],
        waits: &[],
        silent: &[],
    }
}

const fn after(
    command: &'static str,
    before: fn(&World, &str),
    lines: &'static [&'static [&'static str]],
) -> Row {
    Row { before, ..row(command, lines) }
}

const fn with(
    command: &'static str,
    before: fn(&World, &str),
    run: fn(&World, &Mtlog, &str) -> Vec<Ran>,
) -> Row {
    Row { before, run: Run::With(run), ..row(command, &[]) }
}

const ADD: &[&str] = &[
    "tenant",
    "add",
    "{}",
    "--role-arn",
    ROLE,
    "--log-group",
    "/ROSA/cluster-logs/{}",
    "--target-region",
    "us-east-2",
    "-y",
];

/// What a registry asks of who pushes: the engine's own requests are not seen.
const PUSH: &[(&str, &str)] = &[
    ("ecr:BatchCheckLayerAvailability", "repository"),
    ("ecr:CompleteLayerUpload", "repository"),
    ("ecr:InitiateLayerUpload", "repository"),
    ("ecr:PutImage", "repository"),
    ("ecr:UploadLayerPart", "repository"),
];

/// Without one of these nothing can be delivered until somebody mends it, which the engine waits for a while.
const OF_DELIVERY: &[&str] = &["dynamodb:Query", "sts:AssumeRole"];

/// What is called where CloudFormation refuses a change set: its findings are read, and nothing is left of it.
const UNDONE: &[(&str, &str)] = &[
    ("cloudformation:DeleteChangeSet", "stack"),
    ("cloudformation:DeleteStack", "stack"),
    ("cloudformation:DescribeEvents", "change-set"),
];

/// Commands that call AWS.
pub(super) const ROWS: &[Row] = &[
    row("status", &[&["status"]]),
    row("doctor", &[&["doctor"]]),
    row("outputs", &[&["outputs", "regional"]]),
    row("events", &[&["events", "regional"]]),
    row("diagnose", &[&["diagnose", "regional"]]),
    row("drift", &[&["drift", "regional"]]),
    row("attach", &[&["attach", REGIONAL]]),
    row("env dotenv", &[&["env", "dotenv"]]),
    row("env shell", &[&["env", "shell"]]),
    row("env vector", &[&["env", "vector", "--cluster", "c1"]]),
    row("cost", &[&["cost"]]),
    row("template validate", &[&["template", "validate"]]),
    Row {
        removal: Removal::Statement,
        bed: Bed::Deployed,
        ..row(
            "plan",
            &[
                &["-v", "plan", "regional", "--param", "S3DeleteAfterDays={}"],
                &["-v", "plan", "regional", "--include-lambda", "--image", IMAGE],
                &["-v", "plan", "regional", "--without-sqs"],
                &[
                    "-v",
                    "plan",
                    "cluster/vector",
                    "--cluster-name",
                    "c1",
                    "--oidc-provider",
                    ISSUER,
                ],
                &["-v", "plan", "customer", "--central-role-arn", STRANGER],
            ],
        )
    },
    Row {
        stated: UNDONE,
        silent: &[
            "cloudformation:DeleteChangeSet",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeEvents",
        ],
        ..with(
            "apply",
            |world, name| {
                let plan = ["plan", "regional", "--param", &format!("S3DeleteAfterDays={name}")];
                let saved = format!("plan-{name}.json");
                world.root.run(&[&plan[..], &["--save", &saved]].concat()).exits(0);
            },
            |world, mtlog, name| {
                let saved = world.root.path(&format!("plan-{name}.json"));
                vec![mtlog.run(&["-v", "apply", &saved, "--yes"])]
            },
        )
    },
    Row {
        removal: Removal::Statement,
        bed: Bed::Empty,
        stated: UNDONE,
        silent: &["cloudformation:DescribeEvents"],
        ..with(
            "deploy",
            |_, _| {},
            |_, mtlog, _| {
                let cluster =
                    ["deploy", "cluster/vector", "--cluster-name", "c1", "--oidc-provider", ISSUER];
                let parts = ["--include-sqs", "--include-lambda", "--image", IMAGE];
                vec![
                    mtlog.run(&[
                        "-v",
                        "deploy",
                        "global",
                        "--param",
                        "RandomSuffix=0123abcd",
                        "-y",
                    ]),
                    mtlog.run(&[&["-v", "deploy", "regional", "-y"][..], &parts].concat()),
                    mtlog.run(&[
                        "-v",
                        "deploy",
                        "regional",
                        "--param",
                        "S3DeleteAfterDays=30",
                        "-y",
                    ]),
                    mtlog.run(&[&["-v"], &cluster[..], &["-y"]].concat()),
                    mtlog.run(&["-v", "deploy", "customer", "--central-role-arn", STRANGER, "-y"]),
                    mtlog.run(&[
                        "-v",
                        "deploy",
                        "regional",
                        "--without-sqs",
                        "--without-lambda",
                        "--confirm",
                        REGIONAL,
                    ]),
                    // Without the function, it changes nothing.
                    mtlog.run(&["-v", "deploy", "regional", "--param", "LambdaMemoryMB=512", "-y"]),
                ]
            },
        )
    },
    Row {
        removal: Removal::Statement,
        bed: Bed::Deployed,
        ..row("destroy", &[&["-v", "destroy", "regional", "--confirm", REGIONAL]])
    },
    Row {
        removal: Removal::Statement,
        bed: Bed::Deployed,
        // Of a stack that somebody has updated without a rollback.
        stated: &[("cloudformation:RollbackStack", "stack")],
        silent: &["cloudformation:RollbackStack"],
        ..after(
            "rollback",
            |world, _| {
                let broken = PlannedFailure::new("LogDeliveryQueue", "broken for good");
                world.fake.cloudformation().fail(broken);
                let update = ["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"];
                world.root.run(&update).exits(5);
                let cluster = "multi-tenant-logging-cluster-c1-vector";
                seed(world, cluster, StackStatus::UpdateInProgress);
                world.fake.cloudformation().set_pace(Pace::StepsPerRead(1));
            },
            &[
                &["rollback", "cluster/vector", "--cluster-name", "c1", "-y"],
                &[
                    "rollback",
                    "regional",
                    "-y",
                    "--skip",
                    "SQSStack/LogDeliveryQueue",
                    "--confirm",
                    REGIONAL,
                ],
            ],
        )
    },
    Row {
        removal: Removal::Statement,
        bed: Bed::Empty,
        // Only of a stack that nobody has made yet.
        stated: &[("cloudformation:ListChangeSets", "stack")],
        silent: &["cloudformation:ListChangeSets"],
        ..after(
            "cancel",
            |world, _| {
                seed(world, GLOBAL, StackStatus::UpdateInProgress);
                seed(world, REGIONAL, StackStatus::CreateInProgress);
                world.fake.cloudformation().set_pace(Pace::StepsPerRead(1));
            },
            &[&["cancel", "global", "-y"], &["cancel", "regional", "--confirm", REGIONAL]],
        )
    },
    after(
        "protect",
        |world, _| {
            world.root.run(&["unprotect", "regional", "-y"]).exits(0);
        },
        &[&["protect", "regional"]],
    ),
    after(
        "unprotect",
        |world, _| {
            world.root.run(&["protect", "regional"]).exits(0);
        },
        &[&["unprotect", "regional", "-y"]],
    ),
    row("tenant add", &[ADD]),
    row("tenant list", &[&["tenant", "list"]]),
    after("tenant show", add, &[&["tenant", "show", "{}"]]),
    after(
        "tenant set",
        add,
        &[&["tenant", "set", "{}", "--log-group", "/ROSA/cluster-logs/x{}", "-y"]],
    ),
    after("tenant disable", add, &[&["tenant", "disable", "{}", "-y"]]),
    after("tenant enable", add, &[&["tenant", "enable", "{}", "-y"]]),
    after("tenant remove", add, &[&["tenant", "remove", "{}", "--confirm", "{}"]]),
    row("tenant export", &[&["tenant", "export"]]),
    with(
        "tenant import",
        |world, name| {
            let table = "multi-tenant-logging-development-tenant-configs";
            world.fake.delete_table(ACCOUNT, REGION, table);
            world.fake.create_table(ACCOUNT, REGION, table, "tenant_id", "");
            let item = json!({
                "tenant_id": {"S": format!("old-{name}")}, "target_region": {"S": REGION},
                "log_distribution_role_arn": {"S": ROLE}, "log_group_name": {"S": "/ROSA/cluster-logs/old"},
            });
            world.fake.put_item(ACCOUNT, REGION, table, &item);
            add(world, name);
            world.root.write("kept.yaml", &world.root.run(&["tenant", "export"]).exits(0).stdout);
            world.add(&format!("gone-{name}"), ROLE);
        },
        |world, mtlog, name| {
            let kept = world.root.path("kept.yaml");
            let text = world.root.read("kept.yaml");
            let changed = text.replace(&format!("cluster-logs/{name}"), "cluster-logs/changed");
            assert_ne!(text, changed);
            world.root.write("kept.yaml", &changed);
            let from = "multi-tenant-logging-development-tenant-configs";
            vec![
                mtlog.run(&["tenant", "import", "--from-table", from, "-y"]),
                mtlog.run(&["tenant", "import", &kept, "--prune", "-y", "--confirm", TENANTS]),
            ]
        },
    ),
    after(
        "tenant verify",
        |world, name| {
            // Otherwise there are deliveries that cannot work.
            world.fake.clear_table(ACCOUNT, REGION, TENANTS);
            world.add("acme", ROLE);
            world.stored("acme", name);
            world.settle();
        },
        &[&["tenant", "verify", "acme"], &["tenant", "verify", "--all"]],
    ),
    after(
        "tenant wait",
        |world, _| {
            world.root.run(&["tenant", "disable", "acme", "-y"]).exits(0);
        },
        &[&["tenant", "wait", "acme", "-y", "--timeout", "0s"]],
    ),
    Row {
        // Where there is no bucket of templates yet.
        stated: &[("s3:CreateBucket", "templates"), ("s3:PutPublicAccessBlock", "templates")],
        silent: &["s3:CreateBucket", "s3:PutBucketPublicAccessBlock"],
        ..after("tenant link", unshared, &[&["tenant", "link", "acme", "-y"]])
    },
    after(
        "customer check",
        |world, _| {
            let group = "/ROSA/cluster-logs/acme";
            world.fake.create_log_group(ACCOUNT, REGION, group, &["stream"]);
        },
        &[&["customer", "check"]],
    ),
    with(
        "generate",
        |_, _| {},
        |world, mtlog, _| {
            vec![mtlog.run(&["generate", "--count", "1", "--bucket", &world.bucket()])]
        },
    ),
    with("probe", |_, _| {}, probe),
    Row {
        // Of an object that takes longer than the queue hides its message, and longer than a run may last.
        stated: &[("sqs:ChangeMessageVisibility", "queue"), ("sqs:SendMessage", "queue")],
        waits: &["sts:AssumeRole"],
        silent: &["s3:ListBucket", "sqs:ChangeMessageVisibility"],
        removal: Removal::Statement,
        ..with("process sqs", good_and_bad, engine)
    },
    Row {
        waits: OF_DELIVERY,
        silent: &["s3:ListBucket"],
        removal: Removal::Statement,
        ..with("process manual", settled, |world, mtlog, name| {
            let object = format!("s3://{}/c1/acme/api/api-0/{name}.json.gz", world.bucket());
            vec![mtlog.run(&["process", "--mode", "manual", "--object", &object])]
        })
    },
    Row {
        waits: OF_DELIVERY,
        ..after(
            "process scan",
            settled,
            &[&[
                "process",
                "--mode",
                "scan",
                "--tenant",
                "acme",
                "--since",
                "2020-01-01T00:00:00Z",
            ]],
        )
    },
    Row {
        stated: &[("sqs:ChangeMessageVisibility", "queue"), ("sqs:SendMessage", "queue")],
        waits: &["sts:AssumeRole"],
        silent: &["s3:ListBucket", "sqs:ChangeMessageVisibility"],
        removal: Removal::Statement,
        ..with("process lambda", good_and_bad, function)
    },
    Row {
        waits: OF_DELIVERY,
        ..after("replay", settled, &[&["replay", "--tenant", "acme", "-y"]])
    },
    after("dlq list", letters, &[&["dlq", "list"]]),
    with("dlq show", letters, |world, mtlog, _| {
        let listed = world.root.run(&["dlq", "list", "-o", "json"]).exits(0).json();
        vec![mtlog.run(&["dlq", "show", listed["letters"][0]["id"].as_str().unwrap()])]
    }),
    Row {
        // Only while messages are on their way.
        stated: &[("sqs:CancelMessageMoveTask", "dead-letters")],
        silent: &["sqs:CancelMessageMoveTask"],
        ..after(
            "dlq redrive",
            letters,
            &[
                &["dlq", "redrive", "--reason", "role_denied", "-y"],
                &["dlq", "redrive", "--cancel", "-y"],
                &["dlq", "redrive", "--rate", "500", "-y"],
            ],
        )
    },
    with("dlq purge", letters, |_, mtlog, _| {
        let name = format!("{REGIONAL}-log-delivery-dlq");
        vec![
            mtlog.run(&["dlq", "purge", "--reason", "role_denied", "--confirm", &name]),
            mtlog.run(&["dlq", "purge", "--confirm", &name]),
        ]
    }),
    Row {
        // Of layers that are sent in parts; and the answer to a look has no text.
        stated: &[("ecr:UploadLayerPart", "repository")],
        silent: &["ecr:BatchCheckLayerAvailability", "ecr:UploadLayerPart"],
        ..with(
            "image publish",
            |world, _| {
                std::fs::write(world.root.path("engine"), executable(1)).unwrap();
            },
            |world, mtlog, name| {
                let binary = world.root.path("engine");
                let publish =
                    ["image", "publish", "--binary", &binary, "--repository", name, "--yes"];
                vec![mtlog.run(&publish)]
            },
        )
    },
    Row {
        stated: PUSH,
        silent: &[
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ],
        ..with("image push", published, |world, mtlog, name| {
            let push = ["image", "push", "localhost/log-processor:7", "--repository", name];
            let mut command =
                mtlog.command(&[&push[..], &["--engine", "podman", "--yes"]].concat());
            command.env("PATH", world.program("podman", "exit 0"));
            vec![Ran::of(command.output().expect("mtlog runs"))]
        })
    },
    Row {
        // What only a host of ECR's own shows; the rest is seen of a registry.
        stated: &[
            ("cloudformation:DescribeStacks", "anything"),
            ("ecr:GetAuthorizationToken", "anything"),
            ("sts:GetCallerIdentity", "anything"),
        ],
        silent: &["cloudformation:DescribeStacks", "ecr:GetAuthorizationToken"],
        ..with("image verify", published, |world, mtlog, name| {
            let token = STANDARD.encode(format!("AWS:{TOKEN}"));
            let login = json!({"auths": {world.ecr.host(): {"auth": token}}});
            world.root.write("auth.json", &login.to_string());
            let image = format!("{}/{name}:7", world.ecr.host());
            let mut command = mtlog.command(&["image", "verify", &image]);
            command.env("REGISTRY_AUTH_FILE", world.root.path("auth.json"));
            vec![Ran::of(command.output().expect("mtlog runs"))]
        })
    },
    after("image list", images, &[&["image", "list", "--repository", "{}"]]),
    after(
        "image prune",
        images,
        &[&["image", "prune", "--keep", "1", "--repository", "{}", "--confirm", "{}"]],
    ),
    row(
        "k8s render",
        &[&[
            "k8s",
            "render",
            "collector",
            "--cluster",
            "c1",
            "--image",
            COLLECTOR,
            "--print-settings",
        ]],
    ),
    with("k8s apply", |_, _| {}, |_, mtlog, _| in_cluster(mtlog, &["apply"], &["-y"])),
    with("k8s check", |_, _| {}, |_, mtlog, _| in_cluster(mtlog, &["check"], &[])),
];

/// Commands that call nothing of AWS, by lines that show it.
pub(super) const WITHOUT_CALLS: &[(&str, &[&str])] = &[
    ("completions", &["completions", "bash"]),
    ("config sample", &["config", "sample"]),
    ("config show", &["config", "show"]),
    ("explain", &["explain", "MT001"]),
    ("iam policy", &["iam", "policy", "--list"]),
    ("image build", &["image", "build", "collector", "--engine", "podman"]),
    ("man", &["man"]),
    ("template eject", &["template", "eject", "out"]),
    ("template list", &["template", "list"]),
    ("template parameters", &["template", "parameters", "global"]),
    ("template show", &["template", "show", "global"]),
];

const COLLECTOR: &str = "111111111111.dkr.ecr.us-east-2.amazonaws.com/mtlog-collector@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn add(world: &World, name: &str) {
    world.add(name, ROLE);
}

fn seed(world: &World, name: &str, status: StackStatus) {
    world.fake.cloudformation().put_stack(&SeedStack::new(ACCOUNT, REGION, name, status));
}

/// Takes back what an earlier run has let customers read.
fn unshared(world: &World, _: &str) {
    for key in world.fake.object_keys(TEMPLATES) {
        world.fake.delete_object(TEMPLATES, &key);
    }
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    world.fake.set_bucket_policy(TEMPLATES, &policy.to_string());
}

/// An object that can be delivered, and one that nobody can be found for.
fn good_and_bad(world: &World, name: &str) {
    world.stored("acme", name);
    world.fake.put_object(&world.bucket(), &format!("{name}.json.gz"), "x");
}

/// An object that has been delivered.
fn settled(world: &World, name: &str) {
    world.stored("acme", name);
    world.settle();
}

/// The engine, until the queue is empty. It goes on for ever where it may not set messages aside.
fn engine(world: &World, mtlog: &Mtlog, _: &str) -> Vec<Ran> {
    const ENOUGH: u64 = 40;
    let file = || std::fs::File::create(mtlog.path("said")).unwrap();
    let mut command = mtlog.command(&["process", "--mode", "sqs", "--until-empty"]);
    let mut child = command.stdout(Stdio::null()).stderr(file()).spawn().expect("mtlog runs");
    while child.try_wait().unwrap().is_none() {
        if world.fake.calls("sqs:ReceiveMessage") > ENOUGH {
            child.kill().unwrap();
        }
        std::thread::yield_now();
    }
    let code = child.wait().expect("an end").code();
    vec![reported(Ran { code, stdout: String::new(), stderr: mtlog.read("said") })]
}

/// That some data is in the dead-letter queue is what the run was for.
fn reported(ran: Ran) -> Ran {
    let code = if ran.code == Some(65) { Some(0) } else { ran.code };
    Ran { code, ..ran }
}

/// Puts dead letters of two kinds there, and nothing else.
fn letters(world: &World, name: &str) {
    let dead = world.queue("log-delivery-dlq");
    for (number, reason) in ["role_denied", "throttled"].into_iter().enumerate() {
        let key = format!("c1/acme/api/api-0/{name}-{number}.json.gz");
        let event = json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": world.bucket()}, "object": {"key": key, "size": 9}}}]});
        let attributes = [("reason", reason), ("stage", "assume"), ("tenant", "acme")];
        world.fake.send_message_with(&dead, &event.to_string(), &attributes);
    }
}

/// Puts an image there, and an engine that would push it.
fn published(world: &World, name: &str) {
    std::fs::write(world.root.path("engine"), executable(1)).unwrap();
    let binary = world.root.path("engine");
    let publish = ["image", "publish", "--binary", &binary, "--repository", name];
    world.root.run(&[&publish[..], &["--tag", "7", "--yes"]].concat()).exits(0);
    world.ecr.requests();
}

fn images(world: &World, name: &str) {
    let image = |number: u32| {
        let digest = format!("sha256:{}", number.to_string().repeat(64));
        json!({"imageDigest": digest, "imageTags": [number.to_string()], "imageSizeInBytes": 5,
               "imagePushedAt": f64::from(number) * 86_400.0})
    };
    world.ecr.holds(name, &[image(1), image(2)]);
}

fn in_cluster(mtlog: &Mtlog, verb: &[&str], more: &[&str]) -> Vec<Ran> {
    let cluster = Cluster::settled(&deployment(3, 3));
    let line = [
        &["k8s"],
        verb,
        &["collector", "--cluster", "c1", "--overlay", "base", "--image", COLLECTOR],
        more,
    ];
    let mut command = mtlog.command(&line.concat());
    command.env("PATH", cluster.search_path());
    let output = command.output().expect("mtlog runs");
    vec![Ran::of(output)]
}

/// A heartbeat, with the engine beside it.
fn probe(world: &World, mtlog: &Mtlog, _: &str) -> Vec<Ran> {
    let mut child = started(mtlog, &["probe", "--timeout", "20s"]);
    let queue = world.queue("log-delivery-queue");
    while world.fake.queue_depth(&queue).total() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    world.settle();
    vec![Ran::of(child.wait_with_output().expect("an end"))]
}

fn started(mtlog: &Mtlog, line: &[&str]) -> Child {
    let mut command = mtlog.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mtlog runs")
}

/// The function, which is given what waits in the queue.
fn function(world: &World, mtlog: &Mtlog, _: &str) -> Vec<Ran> {
    let queue = world.queue("log-delivery-queue");
    let records: Vec<_> = world
        .fake
        .queue_messages(&queue)
        .into_iter()
        .map(|message| {
            world.fake.delete_queued_message(&queue, &message.id);
            json!({"messageId": message.id, "receiptHandle": "handle", "body": message.body,
                   "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
                   "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": REGION,
                   "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{REGIONAL}-log-delivery-queue")})
        })
        .collect();
    let event = json!({"Records": records}).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = mtlog.command(&["process", "--mode", "lambda"]);
    for (name, value) in runtime_api::variables(listener.local_addr().unwrap()) {
        command.env(name, value);
    }
    for (name, value) in world.settings() {
        command.env(name, value);
    }
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mtlog runs");
    let mut given = false;
    loop {
        let (stream, _) = listener.accept().unwrap();
        let (path, _) = runtime_api::request(&stream);
        if path.ends_with("/invocation/next") && given {
            break;
        } else if path.ends_with("/invocation/next") {
            runtime_api::invoke(&stream, &event, Duration::from_secs(60));
            given = true;
        } else {
            runtime_api::answer(&stream, 202, "", "{}");
        }
    }
    // A function is ended by the service.
    child.kill().expect("an end");
    let ran = Ran::of(child.wait_with_output().expect("an end"));
    vec![Ran { code: Some(0), ..ran }]
}
