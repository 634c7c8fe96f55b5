//! The real `log-processor` as a process, against the stand-in for AWS inside this one.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fake_aws::{Envelope, FakeAws, KeepEvents, NotificationRoute};
use serde_json::json;

const REGION: &str = "us-east-2";
const CENTRAL: &str = "111111111111";
pub(crate) const BUCKET: &str = "central-logs";
const TABLE: &str = "tenant-configs";
const ENGINE_ROLE: &str = "arn:aws:iam::111111111111:role/mtlog-processor";
const CENTRAL_ROLE: &str = "arn:aws:iam::111111111111:role/CentralLogDistribution";
/// How often the state is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Ticks of the kernel's clock in a second, as `/proc` counts them on every Linux machine of these architectures.
const TICKS: u64 = 100;

/// A pipeline with so many tenants, each with an account of its own.
pub(crate) struct World {
    pub(crate) fake: FakeAws,
    pub(crate) queue: String,
    program: String,
    variables: Vec<(&'static str, String)>,
}

impl World {
    /// Makes a pipeline for the program at this path.
    pub(crate) fn running(program: &str, tenants: usize, keep: KeepEvents) -> Self {
        let fake = FakeAws::start_blocking();
        fake.configure_logs(|settings| settings.keep = keep);
        fake.add_role(
            ENGINE_ROLE,
            &trust(json!({"Service": "ecs-tasks.amazonaws.com"}), None),
            &[],
        );
        fake.add_role(CENTRAL_ROLE, &trust(json!({"AWS": ENGINE_ROLE}), None), &[]);
        fake.create_bucket(CENTRAL, REGION, BUCKET);
        let attributes = [("VisibilityTimeout", "120")];
        let (queue, _) =
            fake.create_queue_with_dead_letters(CENTRAL, REGION, "logs", 5, &attributes);
        let topic_arn = format!("arn:aws:sns:{REGION}:{CENTRAL}:logs");
        fake.notify_quietly(BUCKET, NotificationRoute::new(&queue, Envelope::Sns { topic_arn }));
        fake.create_table(CENTRAL, REGION, TABLE, "tenant_id", "type");
        for number in 0..tenants {
            let role = format!("arn:aws:iam::{}:role/customer", 200_000_000_000 + number);
            fake.add_role(&role, &trust(json!({"AWS": CENTRAL_ROLE}), Some(CENTRAL)), &[]);
            let item = json!({
                "tenant_id": {"S": tenant(number)},
                "type": {"S": "cloudwatch"},
                "enabled": {"BOOL": true},
                "target_region": {"S": REGION},
                "log_distribution_role_arn": {"S": role},
                "log_group_name": {"S": format!("/logs/{}", tenant(number))},
            });
            fake.put_item(CENTRAL, REGION, TABLE, &item);
        }
        let mut variables = fake.environment(REGION, &fake.role_credentials(ENGINE_ROLE, "pod"));
        variables.extend([
            ("TENANT_CONFIG_TABLE", TABLE.to_owned()),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", CENTRAL_ROLE.to_owned()),
            ("SQS_QUEUE_URL", queue.clone()),
            ("SOURCE_BUCKET", BUCKET.to_owned()),
            ("AWS_S3_USE_PATH_STYLE", "true".to_owned()),
            // As images have it.
            ("MALLOC_MMAP_THRESHOLD_", "131072".to_owned()),
        ]);
        Self { fake, queue, program: program.to_owned(), variables }
    }

    /// Returns the key of one of a tenant's objects.
    pub(crate) fn key(tenant_number: usize, number: usize) -> String {
        let tenant = tenant(tenant_number);
        format!("cluster-1/{tenant}/api/api-0/20261123-094133-{number}.json.gz")
    }

    /// Starts the engine.
    pub(crate) fn start(&self, mode: &str, more: &[(&'static str, String)]) -> Engine {
        let child = Command::new(&self.program)
            .env_clear()
            .envs(self.variables.iter().chain(more).map(|(name, value)| (name, value)))
            .args(["--mode", mode])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Engine { child }
    }

    /// Has the engine, with these variables besides, empty the queue; returns how long that took and what it cost.
    pub(crate) fn drain(&self, more: &[(&'static str, String)]) -> (Duration, Usage) {
        let start = Instant::now();
        let engine = self.start("sqs", more);
        wait(|| self.fake.queue_depth(&self.queue).total() == 0);
        (start.elapsed(), engine.end())
    }
}

fn tenant(number: usize) -> String {
    format!("tenant-{number:03}")
}

fn trust(principal: serde_json::Value, external_id: Option<&str>) -> String {
    let mut statement =
        json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    if let Some(id) = external_id {
        statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Waits until something holds.
pub(crate) fn wait(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(LOOK);
    }
}

/// What a process cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Of all its threads, in the kernel as well.
    pub(crate) processor: Duration,
    pub(crate) peak_mebibytes: f64,
}

/// A running engine. Killed when it is dropped.
pub(crate) struct Engine {
    child: Child,
}

impl Engine {
    /// Asks it to stop, and returns what it cost.
    pub(crate) fn end(mut self) -> Usage {
        let status = self.proc("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kibibytes: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        let signal = ["-TERM".to_owned(), self.child.id().to_string()];
        assert!(Command::new("kill").args(signal).status().unwrap().success());
        // The figures of a process stay readable from its end until somebody waits for it.
        wait(|| self.stat()[0] == "Z");
        let ticks =
            self.stat()[11..13].iter().map(|count| count.parse::<u64>().unwrap()).sum::<u64>();
        assert!(self.child.wait().unwrap().success(), "the engine failed");
        Usage {
            processor: Duration::from_millis(ticks * 1000 / TICKS),
            peak_mebibytes: kibibytes / 1024.0,
        }
    }

    /// Returns the fields of `stat` from the state on: the name before it may hold anything.
    fn stat(&self) -> Vec<String> {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split_whitespace().map(str::to_owned).collect()
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
