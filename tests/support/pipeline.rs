//! A pipeline without stacks: bucket, queue, table, roles, and tenants with accounts of their own. Variables name it.

use std::{io::Write as _, time::Duration};

use fake_aws::{Envelope, FakeAws, NotificationRoute};
use serde_json::{Value, json};

use super::{ACCOUNT, Mtlog, REGION};

pub(crate) const BUCKET: &str = "central-logs";
const TABLE: &str = "tenant-configs";
const OPERATOR: &str = "arn:aws:iam::111111111111:role/operator";
const CENTRAL_ROLE: &str =
    "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";

/// A pipeline, and `mtlog` as somebody who may take the central role.
pub(crate) struct Pipeline {
    pub(crate) fake: FakeAws,
    pub(crate) mtlog: Mtlog,
    pub(crate) queue: String,
    pub(crate) dead: String,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        let fake = FakeAws::start_blocking();
        fake.configure_sqs(|sqs| sqs.long_poll_cap = Some(Duration::from_millis(1)));
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        fake.add_role(OPERATOR, &trust.to_string(), &[]);
        fake.add_role(CENTRAL_ROLE, &trust_of(OPERATOR), &[]);
        fake.create_bucket(ACCOUNT, REGION, BUCKET);
        let hidden = [("VisibilityTimeout", "120")];
        let (queue, dead) =
            fake.create_queue_with_dead_letters(ACCOUNT, REGION, "logs", 5, &hidden);
        let topic_arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:logs");
        fake.notify_quietly(BUCKET, NotificationRoute::new(&queue, Envelope::Sns { topic_arn }));
        fake.create_table(ACCOUNT, REGION, TABLE, "tenant_id", "type");
        let mut mtlog = Mtlog::with(&fake);
        for (name, value) in fake.role_credentials(OPERATOR, "test").environment() {
            mtlog.set(name, &value);
        }
        for (name, value) in [
            ("TENANT_CONFIG_TABLE", TABLE),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", CENTRAL_ROLE),
            ("SQS_QUEUE_URL", &queue),
            ("SOURCE_BUCKET", BUCKET),
        ] {
            mtlog.set(name, value);
        }
        Self { fake, mtlog, queue, dead }
    }

    /// Adds a tenant with a delivery to the log group `/logs/TENANT` in `account`.
    pub(crate) fn tenant(&self, id: &str, account: &str) {
        self.tenant_with(id, account, &json!({}));
    }

    /// The same, with more attributes in its item.
    pub(crate) fn tenant_with(&self, id: &str, account: &str, more: &Value) {
        let role = format!("arn:aws:iam::{account}:role/CustomerLogDistribution-{id}");
        self.fake.add_role(&role, &trust_of(CENTRAL_ROLE), &[]);
        let mut item = json!({
            "tenant_id": {"S": id}, "type": {"S": "cloudwatch"}, "enabled": {"BOOL": true},
            "target_region": {"S": REGION}, "log_distribution_role_arn": {"S": role},
            "log_group_name": {"S": group(id)},
        });
        for (name, value) in more.as_object().expect("an object") {
            item[name] = value.clone();
        }
        self.fake.put_item(ACCOUNT, REGION, TABLE, &item);
    }

    /// Stores an object of a tenant with so many records, and tells nobody. Returns its key.
    pub(crate) fn stored(&self, tenant: &str, file: &str, records: u32) -> String {
        let key = format!("prod-1/{tenant}/api/api-0/{file}.json.gz");
        let now = self.fake.now();
        let lines: String = (0..records)
            .map(|number| {
                let message = format!("{tenant} {file} {number}");
                format!("{}\n", json!({"timestamp": now.to_string(), "message": message}))
            })
            .collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(lines.as_bytes()).expect("compressed bytes");
        let body = gzip.finish().expect("compressed bytes");
        self.fake.put_object_quietly(BUCKET, &key, &[], body);
        key
    }

    /// Returns what is in a tenant's log group, sorted.
    pub(crate) fn arrived(&self, tenant: &str) -> Vec<String> {
        let mut messages: Vec<String> = self
            .fake
            .ledger()
            .iter()
            .filter(|(target, _)| target.group == group(tenant))
            .flat_map(|(_, events)| events.iter().map(|event| event.message.to_string()))
            .collect();
        messages.sort();
        messages
    }
}

/// Returns the log group of a tenant.
pub(crate) fn group(tenant: &str) -> String {
    format!("/logs/{tenant}")
}

fn trust_of(role: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "sts:AssumeRole"}]})
    .to_string()
}
