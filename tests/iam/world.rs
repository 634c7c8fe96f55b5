//! Worlds that commands are run in, and what their calls are about.

use std::{collections::BTreeMap, time::Duration};

use fake_aws::{Envelope, FakeAws, JournalEntry, NotificationRoute};
use serde_json::{Value, json};

use crate::{
    deploy::REGIONAL,
    images::stand_in::{Ecr, sha256},
    support::{ACCOUNT, Mtlog, REGION},
};

/// Whose policies are tried.
const OPERATOR: &str = "arn:aws:iam::111111111111:user/limited";
/// Who runs the engine beside a command.
const ENGINE: &str = "arn:aws:iam::111111111111:user/engine";
pub(super) const CUSTOMER: &str = "222222222222";
pub(super) const ROLE: &str = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
const HEARTBEAT_ROLE: &str = "arn:aws:iam::111111111111:role/CustomerLogDistribution-heartbeat";
/// A central role of somebody else.
pub(super) const STRANGER: &str =
    "arn:aws:iam::999999999999:role/ROSA-CentralLogDistributionRole-0123abcd";
pub(super) const ISSUER: &str = "oidc.example.com/1";
pub(super) const IMAGE: &str = "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1";
pub(super) const TENANTS: &str = "multi-tenant-logging-development-tenant-deliveries";
pub(super) const TEMPLATES: &str = "mtlog-templates-111111111111-us-east-2";

/// What is there before a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bed {
    /// Nothing.
    Empty,
    /// Both stacks of the region.
    Deployed,
    /// All stacks, two tenants, a customer's stack.
    Operated,
}

/// An account, and `mtlog` as three people in it.
pub(super) struct World {
    pub(super) fake: FakeAws,
    pub(super) ecr: Ecr,
    /// Somebody who may do everything.
    pub(super) root: Mtlog,
    /// The person whose policy is tried.
    pub(super) limited: Mtlog,
    /// The engine.
    pub(super) engine: Mtlog,
    customer: Mtlog,
}

impl World {
    pub(super) fn new(bed: Bed) -> Self {
        let fake = FakeAws::start_blocking();
        fake.configure_sqs(|sqs| sqs.long_poll_cap = Some(Duration::from_millis(1)));
        fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
        let trust = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}});
        fake.add_role(STRANGER, &trust.to_string(), &[]);
        let ecr = Ecr::start(&fake);
        let config = "{}";
        let manifest = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": sha256(config.as_bytes()), "size": config.len()},
            "layers": [{"digest": "sha256:1", "size": 1}],
        });
        ecr.put_manifest("log-processor:v1", &manifest.to_string());
        let digest = sha256(manifest.to_string().as_bytes());
        ecr.put_manifest(&format!("log-processor@{digest}"), &manifest.to_string());
        let person = |credentials: &fake_aws::Credentials| {
            let mut mtlog = Mtlog::with(&fake);
            mtlog.set("AWS_ENDPOINT_URL", &ecr.endpoint());
            for (name, value) in credentials.environment() {
                mtlog.set(name, &value);
            }
            mtlog
        };
        let root = person(&fake.root_credentials(ACCOUNT));
        let limited = person(&fake.add_user(OPERATOR, &[]));
        let engine = person(&fake.add_user(ENGINE, &[]));
        let customer = person(&fake.root_credentials(CUSTOMER));
        let world = Self { fake, ecr, root, limited, engine, customer };
        match bed {
            Bed::Empty => {}
            Bed::Deployed => {
                let deploy = ["deploy", "global", "regional", "--include-sqs", "-y"];
                world.root.run(&deploy).exits(0);
            }
            Bed::Operated => world.operate(),
        }
        world.fake.clear_journal();
        world
    }

    fn operate(&self) {
        let people = format!("OperatorRoleArns={OPERATOR},{ENGINE}");
        let global = ["deploy", "global", "--param", &people, "-y", "-o", "json"];
        let report = self.root.run(&global).exits(0).json();
        let central = report["stacks"][0]["outputs"]["CentralLogDistributionRoleArn"].clone();
        let central = central.as_str().unwrap();
        let parts = ["--include-sqs", "--include-lambda", "--include-alarms", "--image", IMAGE];
        self.root.run(&[&["deploy", "regional", "-y"][..], &parts].concat()).exits(0);
        let cluster = ["deploy", "cluster/vector", "--cluster-name", "c1", "-y"];
        self.root.run(&[&cluster[..], &["--oidc-provider", ISSUER]].concat()).exits(0);
        let customer = ["deploy", "customer", "--central-role-arn", central, "-y"];
        self.customer.run(&customer).exits(0);
        // A customer runs `customer check`: here the same account is one.
        self.root.run(&customer).exits(0);

        let everything = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}});
        assert!(self.fake.set_identity_policies(central, &[&everything.to_string()]));
        // It admits those whom their own policy lets ask for it.
        let account = format!("arn:aws:iam::{ACCOUNT}:root");
        let trust = |who: &str| {
            let statement =
                json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole"});
            json!({"Version": "2012-10-17", "Statement": statement})
        };
        assert!(self.fake.set_trust_policy(central, &trust(&account).to_string()));
        let trust = trust(central);
        self.fake.add_role(HEARTBEAT_ROLE, &trust.to_string(), &[]);
        self.add_tenants();
        let topic_arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:logs");
        let queue = self.queue("log-delivery-queue");
        let route = NotificationRoute::new(&queue, Envelope::Sns { topic_arn });
        self.fake.notify_quietly(&self.bucket(), route);
    }

    /// Leaves the two tenants in the table that every command may count on.
    pub(super) fn add_tenants(&self) {
        self.fake.clear_table(ACCOUNT, REGION, TENANTS);
        self.add("acme", ROLE);
        self.add("mtlog-heartbeat", HEARTBEAT_ROLE);
    }

    pub(super) fn add(&self, tenant: &str, role: &str) {
        let group = format!("/ROSA/cluster-logs/{tenant}");
        let add = ["tenant", "add", tenant, "--role-arn", role, "--log-group", &group];
        self.root.run(&[&add[..], &["--target-region", REGION, "-y"]].concat()).exits(0);
    }

    /// Lets the person do this and nothing else; with `None`, everything.
    pub(super) fn allow(&mut self, policy: Option<&Value>) {
        let text = policy.map(Value::to_string);
        let policies: Vec<&str> = text.iter().map(String::as_str).collect();
        for (name, value) in self.fake.add_user(OPERATOR, &policies).environment() {
            self.limited.set(name, &value);
        }
        self.ecr.limit(policy);
    }

    /// Returns an output of the regional stack.
    fn output(&self, name: &str) -> String {
        let stack = self.fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).unwrap();
        let found = stack.outputs.into_iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    pub(super) fn bucket(&self) -> String {
        self.output("CentralLoggingBucketName")
    }

    /// Returns what the function is told by its environment.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TENANT_CONFIG_TABLE", TENANTS.to_owned()),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", self.output("CentralLogDistributionRoleArn")),
            ("SQS_QUEUE_URL", self.queue("log-delivery-queue")),
            ("DEAD_LETTER_QUEUE_URL", self.queue("log-delivery-dlq")),
        ]
    }

    /// Returns the URL of a queue of the environment.
    pub(super) fn queue(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{REGIONAL}-{name}", self.fake.endpoint_url())
    }

    /// Stores an object of a tenant with one record, which the queue is told of.
    pub(super) fn stored(&self, tenant: &str, file: &str) -> String {
        use std::io::Write as _;
        let key = format!("c1/{tenant}/api/api-0/{file}.json.gz");
        let now = self.fake.now().to_string();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(gzip, "{}", json!({"timestamp": now, "message": file})).unwrap();
        self.fake.put_object(&self.bucket(), &key, gzip.finish().unwrap());
        key
    }

    /// Takes what earlier runs left out of both queues.
    pub(super) fn empty_queues(&self) {
        for queue in ["log-delivery-queue", "log-delivery-dlq"].map(|name| self.queue(name)) {
            for message in self.fake.queue_messages(&queue) {
                self.fake.delete_queued_message(&queue, &message.id);
            }
        }
    }

    /// Puts a program on a path of its own, which is returned.
    pub(super) fn program(&self, name: &str, script: &str) -> String {
        use std::{fs, os::unix::fs::PermissionsExt as _};
        self.root.write_in(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        let path = self.root.path(&format!("bin/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self.root.path("bin")
    }

    /// Lets the engine settle all that waits.
    pub(super) fn settle(&self) {
        let _ended = self.engine.run(&["process", "--mode", "sqs", "--until-empty"]);
    }

    /// Returns what the person called since the journal was cleared, and on what.
    pub(super) fn calls(&self) -> BTreeMap<String, Vec<String>> {
        let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let entries = self.fake.journal();
        for entry in entries.iter().filter(|entry| entry.facts.principal == OPERATOR) {
            let call = format!("{}:{}", entry.facts.service, entry.facts.operation);
            calls.entry(call).or_default().push(about(entry).to_owned());
        }
        for permission in self.ecr.permissions() {
            let about =
                if permission.contains("Authorization") { "anything" } else { "repository" };
            calls.entry(permission).or_default().push(about.to_owned());
        }
        for about in calls.values_mut() {
            about.sort_unstable();
            about.dedup();
        }
        calls
    }
}

/// Returns what a call is about, as the table of calls names it.
fn about(entry: &JournalEntry) -> &'static str {
    let (service, operation) = (entry.facts.service.as_str(), entry.facts.operation.as_str());
    let (name, key) = (entry.facts.resource.as_str(), entry.facts.key.as_str());
    match (service, operation) {
        ("cloudformation", "DescribeEvents") if name.is_empty() => "change-set",
        ("cloudformation", _) if name.is_empty() && key.is_empty() => "anything",
        ("cloudformation", _) => "stack",
        ("cloudwatch", "DescribeAlarms") => "alarm",
        ("cloudwatch", "GetMetricData")
        | ("lambda", "ListEventSourceMappings")
        | ("logs", "DescribeLogGroups")
        | ("sns", "GetSubscriptionAttributes")
        | ("sts", "GetCallerIdentity") => "anything",
        ("lambda", _) => "function",
        ("s3", _) if name == TEMPLATES => "templates",
        ("s3", _) if name.contains("-central-") => "log-objects",
        ("sqs", _) if name.ends_with("-log-delivery-queue") => "queue",
        ("sqs", _) if name.ends_with("-log-delivery-dlq") => "dead-letters",
        ("sns", _) => "topic",
        ("dynamodb", _) if name == TENANTS => "tenants",
        ("dynamodb", _) if name.ends_with("-tenant-configs") => "former-tenants",
        ("logs", "FilterLogEvents") if name.starts_with("/aws/lambda/") => "function-log",
        ("logs", "GetLogEvents" | "DeleteLogStream") if key.starts_with("mtlog-heartbeat") => {
            "heartbeat-log"
        }
        ("logs", "DescribeLogStreams") => "customer-logs",
        ("iam", "GetOpenIDConnectProvider") => "identity-provider",
        ("iam", "GetRole") if name.starts_with("CustomerLogDistribution") => "customer-role",
        ("iam", _) if name.contains("ROSA-CentralLog") => "central-role",
        ("iam", "GetRole") => "pipeline-role",
        ("sts", "AssumeRole") if name.contains("/ROSA-Central") => "central-role",
        _ => panic!("it is not known what this is about: {entry}"),
    }
}
