//! The handle that a test holds.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::clock::timestamp;
use crate::fault::{Fault, FaultHandle};
use crate::iam::{Policy, PolicyError};
use crate::identity::Credentials;
use crate::journal::{CallCount, JournalEntry};
use crate::server;
use crate::shared::{DateHeader, KeepAlive, Shared};

/// A running fake. It listens on the loopback interface until its last clone is dropped.
///
/// Every method may be called from plain and from asynchronous code: none waits for the network.
#[derive(Debug, Clone)]
pub struct FakeAws {
    shared: Arc<Shared>,
    /// Held for its end.
    _server: Arc<Server>,
}

/// The thread that serves, stopped when dropped.
#[derive(Debug)]
struct Server {
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the server thread has been reported on standard error already.
            let _ignored = thread.join();
        }
    }
}

impl FakeAws {
    /// Starts a fake on a free port of 127.0.0.1. It has its own threads and is ready at once;
    /// the future is there so that asynchronous tests read naturally.
    pub fn start() -> Ready<Self> {
        ready(Self::start_blocking())
    }

    /// Starts a fake on a free port of 127.0.0.1.
    pub fn start_blocking() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts a fake on a given address, such as `[::1]:0`.
    pub fn listen(address: SocketAddr) -> Self {
        match Self::try_listen(address) {
            Ok(fake) => fake,
            Err(error) => panic!("failed to listen on `{address}`: {error}"),
        }
    }

    fn try_listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new());
        // It was created empty just above.
        let _ignored = shared.endpoint.set(format!("http://{address}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("fake-aws")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fake-aws".to_owned()).spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    server::serve(listener, served, stopped).await;
                }
            });
            runtime.shutdown_background();
        })?;
        let server = Server { stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, _server: Arc::new(server) })
    }

    /// Returns the URL for `AWS_ENDPOINT_URL`, without a slash at the end.
    pub fn endpoint_url(&self) -> String {
        self.shared.endpoint().to_owned()
    }

    /// Returns the environment that makes an AWS client use this fake with these keys: endpoint,
    /// region, keys, and nothing read from the machine's own configuration.
    pub fn environment(
        &self,
        region: &str,
        credentials: &Credentials,
    ) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", self.endpoint_url()),
            ("AWS_REGION", region.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/nonexistent".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".to_owned()),
        ];
        variables.extend(credentials.environment());
        variables
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Time.
impl FakeAws {
    /// Returns the fake's present time.
    pub fn now(&self) -> Timestamp {
        timestamp(self.shared.clock.now())
    }

    /// Moves the clock forward: visibility timeouts, sessions and retention follow.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Sets the clock. A running clock goes on running from there.
    pub fn set_time(&self, to: Timestamp) {
        self.shared.clock.set(to.as_millisecond());
    }

    /// Stops the clock; it then moves only by [`FakeAws::advance`] and [`FakeAws::set_time`].
    pub fn freeze_time(&self) {
        self.shared.clock.freeze();
    }

    /// Lets a stopped clock run again.
    pub fn run_time(&self) {
        self.shared.clock.run();
    }

    /// Chooses what replies carry as `Date`. Clients correct their clock by it.
    pub fn set_date_header(&self, header: DateHeader) {
        self.shared.settings().date_header = header;
    }

    /// Refuses requests whose time is further off than this, as AWS does from 5 minutes on (S3:
    /// from 15). Off by default, so that tests may move the clock.
    pub fn refuse_clock_skew_above(&self, tolerance: Duration) {
        self.shared.settings().skew_tolerance = Some(tolerance);
    }
}

/// Identities.
impl FakeAws {
    /// Registers a role, or replaces its policies. Without identity policies it may do everything
    /// in its own account. The documents must be ones that the policy evaluator understands.
    pub fn add_role(&self, arn: &str, trust_policy: &str, identity_policies: &[&str]) {
        let trust =
            Policy::trust_text(trust_policy).unwrap_or_else(|error| refuse_policy(arn, &error));
        let policies = identity_policies.iter().map(|text| identity_policy(arn, text)).collect();
        self.shared.identities().add_role(arn, trust, trust_policy, policies);
    }

    /// Replaces a role's trust policy; returns whether there is such a role.
    pub fn set_trust_policy(&self, arn: &str, trust_policy: &str) -> bool {
        let trust =
            Policy::trust_text(trust_policy).unwrap_or_else(|error| refuse_policy(arn, &error));
        self.shared
            .identities()
            .role_mut(arn)
            .map(|role| {
                role.trust = trust;
                trust_policy.clone_into(&mut role.trust_text);
            })
            .is_some()
    }

    /// Replaces a role's identity policies; returns whether there is such a role.
    pub fn set_identity_policies(&self, arn: &str, identity_policies: &[&str]) -> bool {
        let policies = identity_policies.iter().map(|text| identity_policy(arn, text)).collect();
        self.shared.identities().role_mut(arn).map(|role| role.policies = policies).is_some()
    }

    /// Sets the longest session that a role gives, 3,600 seconds at first.
    pub fn set_max_session(&self, arn: &str, longest: Duration) -> bool {
        let seconds = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
        self.shared
            .identities()
            .role_mut(arn)
            .map(|role| role.max_session_seconds = seconds)
            .is_some()
    }

    /// Deletes a role; its open sessions may do nothing any more.
    pub fn remove_role(&self, arn: &str) -> bool {
        self.shared.identities().remove_role(arn)
    }

    /// Ends every open session of a role.
    pub fn expire_sessions(&self, role_arn: &str) {
        let now = self.shared.clock.now();
        self.shared.identities().expire_sessions(role_arn, now);
    }

    /// Opens a session of a registered role for 12 hours, as Lambda and pods get theirs: what it
    /// then takes with `AssumeRole` is chained.
    pub fn role_credentials(&self, role_arn: &str, session_name: &str) -> Credentials {
        self.role_credentials_for(role_arn, session_name, Duration::from_hours(12))
    }

    /// Opens a session of a registered role for that long.
    pub fn role_credentials_for(
        &self,
        role_arn: &str,
        session_name: &str,
        life: Duration,
    ) -> Credentials {
        let expires = self.shared.clock.now().saturating_add(crate::clock::millis(life));
        let mut identities = self.shared.identities();
        assert!(identities.role(role_arn).is_some(), "there is no role `{role_arn}`");
        identities.open_session(role_arn, session_name, None, expires).0
    }

    /// Registers a user and returns its keys. Without identity policies it may do everything in
    /// its own account.
    pub fn add_user(&self, arn: &str, identity_policies: &[&str]) -> Credentials {
        let policies = identity_policies.iter().map(|text| identity_policy(arn, text)).collect();
        self.shared.identities().add_user(arn, policies)
    }

    /// Returns keys of an account's root. Its key id is the account id. As at AWS, the root cannot
    /// take roles.
    pub fn root_credentials(&self, account: &str) -> Credentials {
        Credentials {
            access_key_id: account.to_owned(),
            secret_access_key: "root".to_owned(),
            session_token: None,
            expiration: None,
        }
    }

    /// Registers an OpenID Connect provider by its issuer, without `https://`, with the audiences that it serves.
    pub fn add_oidc_provider(&self, account: &str, issuer: &str, audiences: &[&str]) {
        self.shared.identities().add_oidc_provider(account, issuer, audiences);
    }

    /// Returns the unique ids (`AROA…`, `AIDA…`) of roles and users by ARN.
    pub fn unique_ids(&self) -> BTreeMap<String, String> {
        self.shared.identities().unique_ids()
    }

    /// Makes a region one that the account has not activated.
    pub fn disable_region(&self, account: &str, region: &str) {
        self.shared.settings().disabled_regions.insert((account.to_owned(), region.to_owned()));
    }

    /// Undoes [`FakeAws::disable_region`].
    pub fn enable_region(&self, account: &str, region: &str) {
        self.shared.settings().disabled_regions.remove(&(account.to_owned(), region.to_owned()));
    }
}

fn identity_policy(arn: &str, text: &str) -> Policy {
    let document = serde_json::from_str(text).unwrap_or_default();
    Policy::identity(&document).unwrap_or_else(|error| refuse_policy(arn, &error))
}

fn refuse_policy(arn: &str, error: &PolicyError) -> ! {
    panic!("a policy of `{arn}` cannot be evaluated: {error}")
}

/// Faults.
impl FakeAws {
    /// Adds a fault rule. See [`Fault`].
    pub fn inject(&self, fault: Fault) -> FaultHandle {
        self.shared.faults.inject(fault)
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Sets the seed of rules with a probability.
    pub fn seed_faults(&self, seed: u64) {
        self.shared.faults.seed(seed);
    }

    /// Throttles calls that match `service:operation` beyond a rate, per account and region, on
    /// the fake's clock. AWS's own rates are high; none is set at first.
    pub fn limit_rate(&self, pattern: &str, per_second: u32) {
        self.shared.throttles.limit(pattern, per_second);
    }

    /// Sets the rates of the quota pages for CloudWatch Logs and STS.
    pub fn limit_rates_as_aws(&self) {
        let rates = [
            ("logs:CreateLogGroup", 10),
            ("logs:CreateLogStream", 50),
            ("logs:DescribeLogGroups", 10),
            ("logs:DescribeLogStreams", 25),
            ("logs:PutLogEvents", 5_000),
            ("logs:PutRetentionPolicy", 5),
            ("sts:*", 600),
        ];
        for (pattern, per_second) in rates {
            self.limit_rate(pattern, per_second);
        }
    }

    /// Chooses whether connections stay open between requests.
    pub fn set_keep_alive(&self, keep_alive: KeepAlive) {
        self.shared.settings().keep_alive = keep_alive;
    }

    /// Sets the largest request body, 1 GiB at first; more is answered with HTTP 413.
    pub fn set_max_body(&self, bytes: u64) {
        self.shared.settings().max_body = bytes;
    }
}

/// The journal.
impl FakeAws {
    /// Returns all calls that the journal still holds, oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.journal.entries(|_| true)
    }

    /// Returns the calls that match `service:operation`; `*` stands for any of both.
    pub fn journal_of(&self, pattern: &str) -> Vec<JournalEntry> {
        self.shared.journal.entries(|entry| entry.facts.is(pattern))
    }

    /// Counts the calls that match `service:operation`, including those the journal dropped.
    pub fn calls(&self, pattern: &str) -> u64 {
        self.shared.journal.count(pattern).calls
    }

    /// Counts calls and failures that match `service:operation`.
    pub fn call_count(&self, pattern: &str) -> CallCount {
        self.shared.journal.count(pattern)
    }

    /// Counts every operation that was called, by `service:operation`.
    pub fn call_counts(&self) -> BTreeMap<String, CallCount> {
        self.shared.journal.counts()
    }

    /// Returns the calls that the journal still holds of operations that change something.
    pub fn writes(&self) -> Vec<JournalEntry> {
        self.shared.journal.entries(|entry| entry.is_write)
    }

    /// Counts all calls of operations that change something, including those the journal dropped.
    pub fn write_count(&self) -> u64 {
        self.shared.journal.writes()
    }

    /// Returns the journal as text, a line for each call, for the messages of failing tests.
    pub fn journal_text(&self) -> String {
        let lines: Vec<String> = self.journal().iter().map(JournalEntry::to_string).collect();
        lines.join("\n")
    }

    /// Returns the calls of one operation, such as `sqs:ReceiveMessage`, that are under way now.
    pub fn calls_under_way(&self, operation: &str) -> u64 {
        self.shared.journal.under_way(operation)
    }

    /// Returns the most calls of one operation, such as `logs:PutLogEvents`, that were under way at
    /// once. With a delay injected, this is the client's concurrency.
    pub fn peak_concurrency(&self, operation: &str) -> u64 {
        self.shared.journal.most_under_way(operation, "")
    }

    /// Like [`FakeAws::peak_concurrency`], for the calls of one account.
    pub fn peak_concurrency_of(&self, operation: &str, account: &str) -> u64 {
        self.shared.journal.most_under_way(operation, account)
    }

    /// Forgets all calls and counters.
    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    /// Sets how many calls are kept one by one, 50,000 at first; the counters are not affected.
    pub fn set_journal_capacity(&self, calls: usize) {
        self.shared.journal.set_capacity(calls);
    }
}
