//! A pipeline in the stand-in: bucket, queue, table, roles, and tenants with accounts of their own.

use std::{
    collections::BTreeMap,
    io::{Read, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fake_aws::{Envelope, FakeAws, NotificationRoute, QueuedMessage};
use serde_json::{Value, json};

use crate::evidence::{Evidence, Line, Seen};

pub(crate) const REGION: &str = "us-east-2";
pub(crate) const CENTRAL: &str = "111111111111";
pub(crate) const BUCKET: &str = "central-logs";
pub(crate) const TABLE: &str = "tenant-configs";
pub(crate) const ENGINE_ROLE: &str = "arn:aws:iam::111111111111:role/mtlog-processor";
pub(crate) const CENTRAL_ROLE: &str = "arn:aws:iam::111111111111:role/CentralLogDistribution";
pub(crate) const MAX_RECEIVES: u32 = 5;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) fake: FakeAws,
    pub(crate) queue: String,
    pub(crate) dead_letters: String,
    variables: Vec<(&'static str, String)>,
    tenants: Mutex<Vec<Tenant>>,
    evidence: Arc<Evidence>,
}

/// Every world is judged at its end, unless its test has failed anyway.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.evidence.findings(&self.seen()).judge();
        }
    }
}

/// A tenant with an account and a role.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) role: String,
    pub(crate) group: String,
}

/// What a run of the binary left.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    #[allow(dead_code, reason = "only tests of the standard output sink look at it")]
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(FakeAws::start_blocking())
    }

    pub(crate) fn on(fake: FakeAws) -> Self {
        fake.add_role(ENGINE_ROLE, &trust_service("ecs-tasks.amazonaws.com"), &[]);
        fake.add_role(CENTRAL_ROLE, &trust_role(ENGINE_ROLE, None), &[]);
        fake.create_bucket(CENTRAL, REGION, BUCKET);
        let attributes = [("VisibilityTimeout", "120")];
        let (queue, dead_letters) =
            fake.create_queue_with_dead_letters(CENTRAL, REGION, "logs", MAX_RECEIVES, &attributes);
        let topic_arn = format!("arn:aws:sns:{REGION}:{CENTRAL}:logs");
        fake.notify_quietly(BUCKET, NotificationRoute::new(&queue, Envelope::Sns { topic_arn }));
        fake.create_table(CENTRAL, REGION, TABLE, "tenant_id", "type");
        let credentials = fake.role_credentials(ENGINE_ROLE, "pod");
        let mut variables = fake.environment(REGION, &credentials);
        variables.extend([
            ("TENANT_CONFIG_TABLE", TABLE.to_owned()),
            ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", CENTRAL_ROLE.to_owned()),
            ("SQS_QUEUE_URL", queue.clone()),
            ("SOURCE_BUCKET", BUCKET.to_owned()),
            ("AWS_S3_USE_PATH_STYLE", "true".to_owned()),
        ]);
        let (tenants, evidence) = (Mutex::default(), Arc::default());
        Self { fake, queue, dead_letters, variables, tenants, evidence }
    }

    /// Sets a variable for all further runs.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Returns the variables that runs get.
    pub(crate) fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }

    /// Adds a tenant whose role asks for the central account's id, with a delivery to CloudWatch Logs.
    pub(crate) fn tenant(&self, id: &str, account: &str) -> Tenant {
        let role = format!("arn:aws:iam::{account}:role/CustomerLogDistribution");
        self.fake.add_role(&role, &trust_role(CENTRAL_ROLE, Some(CENTRAL)), &[]);
        let tenant = Tenant {
            id: id.to_owned(),
            account: account.to_owned(),
            role,
            group: format!("/logs/{id}"),
        };
        self.put_item(&tenant.item());
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).push(tenant.clone());
        tenant
    }

    pub(crate) fn put_item(&self, item: &Value) {
        self.fake.put_item(CENTRAL, REGION, TABLE, item);
    }

    /// Stores a compressed object with a record per line, and announces it.
    pub(crate) fn put_lines(&self, key: &str, records: &[Value]) {
        self.put_text(key, &lines(records), messages(records));
    }

    /// Stores a compressed object that must end in `messages`, and announces it.
    pub(crate) fn put_text(&self, key: &str, text: &str, messages: Vec<String>) {
        self.evidence.expect(key, messages);
        self.fake.put_object(BUCKET, key, gzip(text));
    }

    /// Stores a compressed object with a record per line; nobody is told.
    pub(crate) fn put_quietly(&self, key: &str, records: &[Value]) {
        self.evidence.expect(key, messages(records));
        self.fake.put_object_quietly(BUCKET, key, &[], gzip(&lines(records)));
    }

    /// What is known of this world beside the stand-in's own books.
    pub(crate) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Forgets what was delivered so far.
    pub(crate) fn clear_ledger(&self) {
        self.fake.clear_ledger();
        self.evidence.clear();
    }

    fn seen(&self) -> Seen {
        let bodies = |queue: &str| {
            self.fake.queue_messages(queue).into_iter().map(|message| message.body).collect()
        };
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Seen {
            delivered: tenants
                .iter()
                .map(|tenant| (tenant.id.clone(), self.delivered(tenant)))
                .collect(),
            waiting: bodies(&self.queue),
            buried: bodies(&self.dead_letters),
        }
    }

    /// Returns a key of an object of `tenant`.
    pub(crate) fn key(tenant: &Tenant, name: &str) -> String {
        format!("cluster-1/{}/api/api-0/20261123-094133-{name}.json.gz", tenant.id)
    }

    /// Runs the binary until the queue is empty.
    pub(crate) fn drain(&self) -> Run {
        self.run(&["--mode", "sqs", "--until-empty"], None)
    }

    /// The same, but messages that were given back for a short while come again at once.
    pub(crate) fn drain_hurried(&self) -> Run {
        /// What is hidden for longer than this is in work, or waits for somebody.
        const SHORT_MS: i64 = 100_000;
        let mut process = self.start(&["--mode", "sqs", "--until-empty"]);
        // What the process writes must be read, or it stops when the pipe is full.
        let output = process.read();
        while process.is_running() {
            let now = self.fake.now().as_millisecond();
            for message in self.fake.queue_messages(&self.queue) {
                if message.in_flight && message.visible_at - now < SHORT_MS {
                    self.fake.expire_message_visibility(&self.queue, &message.id);
                }
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        output.end(process)
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str], input: Option<&str>) -> Run {
        let mut process = self.start(arguments);
        if let Some(input) = input {
            process.child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        }
        process.wait()
    }

    /// Starts the binary and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_log-processor"));
        command
            .env_clear()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        Process { child: command.spawn().unwrap(), evidence: Arc::clone(&self.evidence) }
    }

    /// Returns all messages that reached a tenant's account, in order of acceptance within a stream.
    pub(crate) fn delivered(&self, tenant: &Tenant) -> Vec<String> {
        let mut messages = Vec::new();
        for (target, events) in self.fake.ledger() {
            if target.account == tenant.account && target.group == tenant.group {
                messages.extend(events.iter().map(|event| event.message.to_string()));
            }
        }
        messages
    }

    pub(crate) fn dead(&self) -> Vec<QueuedMessage> {
        self.fake.queue_messages(&self.dead_letters)
    }

    /// Waits until `condition` holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::yield_now();
            // Gives the processors to those that are waited for.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Checks that the queue holds nothing any more and the dead-letter queue so many letters.
    #[track_caller]
    pub(crate) fn assert_queues(&self, dead: usize) {
        assert_eq!(self.fake.queue_depth(&self.queue).total(), 0, "messages left");
        assert_eq!(self.dead().len(), dead, "dead letters");
    }
}

impl Tenant {
    /// Returns the tenant's item for CloudWatch Logs, in DynamoDB's JSON.
    pub(crate) fn item(&self) -> Value {
        json!({
            "tenant_id": {"S": self.id},
            "type": {"S": "cloudwatch"},
            "enabled": {"BOOL": true},
            "target_region": {"S": REGION},
            "log_distribution_role_arn": {"S": self.role},
            "log_group_name": {"S": self.group},
        })
    }
}

impl World {
    /// Returns the attributes of the only dead letter.
    #[track_caller]
    pub(crate) fn only_letter(&self) -> BTreeMap<String, String> {
        let mut dead = self.dead();
        assert_eq!(dead.len(), 1, "dead letters");
        dead.remove(0).attributes
    }

    /// Sends the notification of an object straight to the queue, as S3 would.
    pub(crate) fn announce(&self, key: &str) {
        self.fake.announce(BUCKET, key, "ObjectCreated:Put");
    }
}

/// A running binary. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    evidence: Arc<Evidence>,
}

impl Process {
    /// Returns what the process can be signalled by.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Closes the reading ends of what the process writes to.
    pub(crate) fn close_output(&mut self) {
        drop(self.child.stdout.take());
        drop(self.child.stderr.take());
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Run {
        drop(self.child.stdin.take());
        let output = self.read();
        output.end(self)
    }

    /// Returns the most memory that the process ever had, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Starts to read what the process writes.
    fn read(&mut self) -> Output {
        Output {
            stdout: self.child.stdout.take().map(text),
            stderr: self.child.stderr.take().map(text),
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.unwrap().success());
}

/// What a process writes, on its way; none where the ends were closed.
struct Output {
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Output {
    fn end(self, mut process: Process) -> Run {
        let whole = |text: Option<JoinHandle<String>>| {
            text.map(|text| text.join().unwrap()).unwrap_or_default()
        };
        let (stdout, stderr) = (whole(self.stdout), whole(self.stderr));
        let run = Run { code: process.child.wait().unwrap().code(), stdout, stderr };
        run.assert_balanced();
        process.evidence.add_lines(run.objects());
        run
    }
}

fn text(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Run {
    /// Returns the lines that say what became of objects.
    pub(crate) fn objects(&self) -> Vec<Line> {
        let lines = self.stderr.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        lines.filter(|line| line.get("message") == Some(&json!("object"))).collect()
    }

    /// Returns one number of every such line, added up.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.objects().iter().filter_map(|line| line.get(name)?.as_u64()).sum()
    }

    /// Checks the exit code; shows the log lines otherwise.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Checks that every record of every object is accounted for.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) -> &Self {
        const STATES: [&str; 7] = [
            "delivered",
            "filtered",
            "rejected_old",
            "rejected_new",
            "expired",
            "quarantined",
            "undecodable",
        ];
        for line in self.objects() {
            let number = |name: &str| line[name].as_u64().unwrap();
            assert_eq!(number("read"), STATES.map(number).iter().sum::<u64>(), "{line:?}");
        }
        self
    }
}

/// Returns records with numbered messages, a millisecond apart, the first of them `age` ago.
pub(crate) fn records(fake: &FakeAws, count: usize, age: Duration) -> Vec<Value> {
    let start = fake.now().as_millisecond() - i64::try_from(age.as_millis()).unwrap();
    (0..count)
        .map(|number| {
            let at = jiff::Timestamp::from_millisecond(start + i64::try_from(number).unwrap()).unwrap();
            json!({"message": format!("line {number}"), "timestamp": at.to_string(), "stream": "stdout"})
        })
        .collect()
}

/// Returns texts sorted, for a comparison that order does not matter to.
pub(crate) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// Returns the messages of `records`.
pub(crate) fn messages(records: &[Value]) -> Vec<String> {
    let text = |record: &Value| match &record["message"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    records.iter().map(text).collect()
}

pub(crate) fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn trust_service(service: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
    .to_string()
}

/// Returns the trust policy of a role that `role` may take, with an external id if there is one.
pub(crate) fn trust_role(role: &str, external_id: Option<&str>) -> String {
    let mut statement =
        json!({"Effect": "Allow", "Principal": {"AWS": role}, "Action": "sts:AssumeRole"});
    if let Some(id) = external_id {
        statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
