//! The engine in this process, in a world where everything may go wrong and no time passes by itself.
//!
//! The sink refuses what CloudWatch Logs refuses and keeps what it accepted; the
//! clock jumps. Row 65, and properties over records and faults.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use mtlog_processor::{
    engine::{Engine, EngineSettings, Incoming, Ports, Renewal, stop::Stop, verdict::Verdict},
    memory::{
        checkpoints::NoCheckpoints, copier::NotedCopies, directory::MemoryDirectory,
        store::MemoryStore,
    },
    metrics::Meter,
    model::{
        events::{Batch, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_BATCH_SPAN_MS},
        ids::BucketName,
        notification::ObjectRef,
        outcome::Ledger,
        tenant::{DesiredLogs, Destination, TenantItem},
    },
    ports::{
        Clock, DirectoryItem, Fault, FaultClass, ListPage, LogSink, LogTarget, ObjectBody,
        ObjectStore, PutReport, TenantDirectory,
    },
};
use proptest::prelude::*;

use crate::{evidence::Findings, world::gzip};

pub(crate) const START_MS: i64 = 1_795_426_893_000;
const DAY_MS: i64 = 86_400_000;

/// A clock that jumps over every wait.
#[derive(Default)]
struct JumpingClock(AtomicI64);

impl Clock for JumpingClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.0.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
        tokio::task::yield_now().boxed()
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// It does not take place.
    Before(FaultClass),
    /// It takes place, and the answer is lost.
    After,
}

/// A script of mishaps, one entry per call; afterwards all is well.
#[derive(Default)]
struct Script(Mutex<VecDeque<Option<Mishap>>>);

impl Script {
    fn new(entries: impl IntoIterator<Item = Option<Mishap>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(entries.into_iter().collect())))
    }

    fn next(&self) -> Option<Mishap> {
        self.0.lock().unwrap().pop_front().flatten()
    }

    fn run<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.next() {
            Some(Mishap::Before(class)) => Err(Fault::new(class, operation)),
            Some(Mishap::After) => {
                act().and_then(|_| Err(Fault::new(FaultClass::Ambiguous, operation)))
            }
            None => act(),
        }
    }
}

/// CloudWatch Logs with its limits.
struct StrictLogs {
    clock: Arc<JumpingClock>,
    script: Arc<Script>,
    state: Mutex<LogsState>,
}

#[derive(Default)]
struct LogsState {
    groups: BTreeSet<String>,
    streams: BTreeSet<(String, String)>,
    accepted: Vec<String>,
    illegal: Vec<String>,
}

impl StrictLogs {
    fn take(&self, target: &LogTarget, batch: &Batch) -> Result<PutReport, Fault> {
        let mut state = self.state.lock().unwrap();
        if !state.streams.contains(&(target.group.to_string(), target.stream.to_string())) {
            return Err(Fault::new(FaultClass::Missing, "PutLogEvents"));
        }
        let events: Vec<(i64, String)> =
            batch.events().map(|event| (event.timestamp_ms, event.text())).collect();
        let times: Vec<i64> = events.iter().map(|(at, _)| *at).collect();
        let bytes: usize = events.iter().map(|(_, message)| message.len() + 26).sum();
        let now = self.clock.now_ms();
        let (old, new) = (now - 14 * DAY_MS, now + 2 * 3_600_000);
        let valid: Vec<i64> = times.iter().copied().filter(|at| (old..=new).contains(at)).collect();
        let span = valid.last().unwrap_or(&0) - valid.first().unwrap_or(&0);
        for (broken, rule) in [
            (times.is_empty() || times.len() > MAX_BATCH_EVENTS, "count"),
            (bytes > MAX_BATCH_BYTES || bytes != batch.bytes(), "bytes"),
            (!times.is_sorted(), "order"),
            (times.iter().any(|at| *at < 0), "negative time"),
            (span >= MAX_BATCH_SPAN_MS, "span"),
            (events.iter().any(|(_, message)| message.is_empty()), "empty message"),
        ] {
            if broken {
                state.illegal.push(rule.to_owned());
            }
        }
        let too_old = times.partition_point(|at| *at < old);
        let too_new = times.partition_point(|at| *at <= new);
        let good = events.into_iter().skip(too_old).take(too_new.saturating_sub(too_old));
        state.accepted.extend(good.map(|(_, message)| message));
        Ok(PutReport {
            too_old_end: (too_old > 0).then_some(too_old),
            expired_end: None,
            too_new_start: (too_new < times.len()).then_some(too_new),
        })
    }
}

impl LogSink for StrictLogs {
    fn put<'a>(
        &'a self,
        target: &'a LogTarget,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        async move {
            tokio::task::yield_now().await;
            self.script.run("PutLogEvents", || self.take(target, batch))
        }
        .boxed()
    }

    fn create_stream<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        let result = self.script.run("CreateLogStream", || {
            let mut state = self.state.lock().unwrap();
            if !state.groups.contains(target.group.as_str()) {
                return Err(Fault::new(FaultClass::Missing, "CreateLogStream"));
            }
            if state.streams.insert((target.group.to_string(), target.stream.to_string())) {
                Ok(())
            } else {
                Err(Fault::new(FaultClass::Exists, "CreateLogStream"))
            }
        });
        async move { result }.boxed()
    }

    fn create_group<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        let result = self.script.run("CreateLogGroup", || {
            if self.state.lock().unwrap().groups.insert(target.group.to_string()) {
                Ok(())
            } else {
                Err(Fault::new(FaultClass::Exists, "CreateLogGroup"))
            }
        });
        async move { result }.boxed()
    }

    fn set_retention<'a>(
        &'a self,
        _target: &'a LogTarget,
        _days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// A store whose connections break: every other mishap cuts a body short instead of refusing it.
struct BrittleStore {
    store: MemoryStore,
    script: Arc<Script>,
}

impl ObjectStore for BrittleStore {
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>> {
        async move {
            let mishap = self.script.next();
            if let Some(Mishap::Before(class)) = mishap {
                return Err(Fault::new(class, "GetObject"));
            }
            let body = self.store.read(object, start, length, if_match).await?;
            if mishap.is_none() {
                return Ok(body);
            }
            let whole: Vec<Bytes> = body.bytes.map(|part| part.unwrap()).collect().await;
            let whole = Bytes::from(whole.concat());
            let cut = Ok(whole.slice(..whole.len() / 2));
            let broken = Err(Fault::new(FaultClass::Ambiguous, "GetObject"));
            Ok(ObjectBody { info: body.info, bytes: stream::iter([cut, broken]).boxed() })
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>> {
        self.store.list(bucket, prefix, start_after)
    }
}

/// A table that fails by script.
struct BrittleDirectory {
    table: MemoryDirectory,
    script: Arc<Script>,
}

impl TenantDirectory for BrittleDirectory {
    fn items<'a>(
        &'a self,
        tenant: &'a mtlog_processor::model::ids::TenantId,
    ) -> BoxFuture<'a, Result<Vec<DirectoryItem>, Fault>> {
        async move {
            if let Some(Mishap::Before(class)) = self.script.next() {
                return Err(Fault::new(class, "Query"));
            }
            self.table.items(tenant).await
        }
        .boxed()
    }
}

/// A whole world.
struct Simulation {
    engine: Engine,
    clock: Arc<JumpingClock>,
    logs: Arc<StrictLogs>,
}

/// One message's way through the engine.
struct Journey {
    receives: u32,
    ledger: Ledger,
}

impl Simulation {
    fn new(
        objects: &[(String, Vec<u8>)],
        put: Arc<Script>,
        read: Arc<Script>,
        query: Arc<Script>,
    ) -> Self {
        let clock = Arc::new(JumpingClock::default());
        let store = MemoryStore::default();
        for (key, content) in objects {
            let object = ObjectRef::new("logs".parse().unwrap(), key.clone());
            store.put(&object, Bytes::from(content.clone()), START_MS);
        }
        let table = MemoryDirectory::default();
        table.set("acme".parse().unwrap(), vec![Ok(item_of("acme", "222222222222"))]);
        let logs = Arc::new(StrictLogs {
            clock: Arc::clone(&clock),
            script: put,
            state: Mutex::default(),
        });
        let ports = Ports {
            store: Arc::new(BrittleStore { store, script: read }),
            directory: Arc::new(BrittleDirectory { table, script: query }),
            sink: Arc::clone(&logs) as Arc<dyn LogSink>,
            copier: Arc::new(NotedCopies::default()),
            checkpoints: Arc::new(NoCheckpoints),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let settings = EngineSettings { max_batch_events: 7, ..EngineSettings::default() };
        Self { engine: Engine::new(ports, settings, Arc::new(Meter::default())), clock, logs }
    }

    /// Receives the message of an object again and again until it is acknowledged.
    async fn deliver(&self, key: &str) -> Journey {
        let body = format!(
            r#"{{"Records":[{{"s3":{{"bucket":{{"name":"logs"}},"object":{{"key":"{key}"}}}}}}]}}"#
        );
        for receives in 1..200 {
            let sent_ms = self.clock.now_ms();
            let incoming = Incoming {
                id: key,
                body: &body,
                receives,
                sent_ms,
                max_receives: None,
                renewal: Renewal::Never,
            };
            let handled = self.engine.handle(&incoming, &Stop::default()).await;
            match handled.verdict {
                Verdict::Ack => return Journey { receives, ledger: handled.results[0].ledger() },
                Verdict::Retry { visible_in } | Verdict::Park { visible_in, .. } => {
                    self.clock.sleep(visible_in).await;
                }
                Verdict::Bury | Verdict::Leave => panic!("{:?}", handled.results),
            }
        }
        panic!("`{key}` is never acknowledged");
    }

    fn accepted(&self) -> Vec<String> {
        self.logs.state.lock().unwrap().accepted.clone()
    }

    fn assert_legal(&self) {
        let state = self.logs.state.lock().unwrap();
        assert!(state.illegal.is_empty(), "{:?}", state.illegal);
    }
}

/// Returns the item of a tenant whose log group is in `account`.
pub(crate) fn item_of(tenant: &str, account: &str) -> TenantItem {
    TenantItem {
        tenant: tenant.parse().unwrap(),
        destination: Destination::CloudWatch {
            role: format!("arn:aws:iam::{account}:role/x").parse().unwrap(),
            log_group: format!("/logs/{tenant}").parse().unwrap(),
            retention_days: None,
        },
        enabled: true,
        target_region: "us-east-2".parse().unwrap(),
        desired_logs: DesiredLogs::default(),
        external_id: None,
        status: None,
        created_at: None,
        updated_at: None,
        ttl: None,
    }
}

fn key(number: usize) -> String {
    format!("c/acme/api/api-0/{number}.json.gz")
}

/// Returns an object whose messages name it, with an event at each of these times.
fn object(number: usize, times: &[i64]) -> (String, Vec<u8>) {
    let line = |(index, at): (usize, &i64)| {
        format!("{{\"message\":\"{number}/{index}\",\"timestamp\":{at}}}\n")
    };
    let text: String = times.iter().enumerate().map(line).collect();
    (key(number), gzip(&text))
}

fn mishap() -> impl Strategy<Value = Option<Mishap>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Mishap::After)),
        3 => prop_oneof![
            Just(FaultClass::Throttled), Just(FaultClass::Unavailable), Just(FaultClass::Ambiguous),
            Just(FaultClass::Expired), Just(FaultClass::Denied), Just(FaultClass::RoleDenied),
            Just(FaultClass::Conflict), Just(FaultClass::LimitExceeded),
        ].prop_map(|class| Some(Mishap::Before(class))),
    ]
}

fn passing() -> impl Strategy<Value = Option<Mishap>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Mishap::After)),
        1 => prop_oneof![Just(FaultClass::Throttled), Just(FaultClass::Unavailable), Just(FaultClass::Ambiguous)]
            .prop_map(|class| Some(Mishap::Before(class))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever goes wrong for a while: every record ends in exactly one state, every good one is delivered,
    /// every call is legal, and what is sent twice is explained by a call that failed.
    #[test]
    fn nothing_is_lost_whatever_goes_wrong_for_a_while(
        objects in proptest::collection::vec(
            proptest::collection::vec(START_MS - 20 * DAY_MS..START_MS + DAY_MS, 1..60), 1..4),
        puts in proptest::collection::vec(mishap(), 0..40),
        reads in proptest::collection::vec(passing(), 0..10),
        queries in proptest::collection::vec(passing(), 0..4),
    ) {
        let stored: Vec<(String, Vec<u8>)> =
            objects.iter().enumerate().map(|(number, times)| object(number, times)).collect();
        let mishaps = puts.iter().flatten().count();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = Simulation::new(&stored, Script::new(puts), Script::new(reads), Script::new(queries));
        let mut delivered = 0;
        for (number, times) in objects.iter().enumerate() {
            let journey = runtime.block_on(world.deliver(&key(number)));
            prop_assert!(journey.ledger.is_balanced(), "{:?}", journey.ledger);
            prop_assert_eq!(journey.ledger.read, times.len() as u64);
            prop_assert_eq!(journey.ledger.quarantined + journey.ledger.undecodable + journey.ledger.filtered, 0);
            delivered += journey.ledger.delivered;
        }
        world.assert_legal();
        let accepted = world.accepted();
        let distinct: BTreeSet<&String> = accepted.iter().collect();
        // A record whose acceptance was not seen may have become too old since: accepted and counted as rejected.
        prop_assert!(distinct.len() as u64 >= delivered, "{} of {delivered} arrived", distinct.len());
        let most: usize = objects.iter().map(Vec::len).max().unwrap_or(0);
        prop_assert!(accepted.len() - distinct.len() <= mishaps * most, "a failure repeats at most a segment");
    }
}

#[test]
fn row_65_a_day_with_one_percent_of_every_fault() {
    const OBJECTS: usize = 1500;
    let mut random = 42_u64;
    let mut draw = move |range: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % range
    };
    let classes = [
        FaultClass::Throttled,
        FaultClass::Unavailable,
        FaultClass::Ambiguous,
        FaultClass::Expired,
        FaultClass::Denied,
        FaultClass::RoleDenied,
        FaultClass::Conflict,
        FaultClass::LimitExceeded,
    ];
    let mut script = |length: usize, kinds: usize| -> Vec<Option<Mishap>> {
        (0..length)
            .map(|_| match usize::try_from(draw(100)).unwrap() {
                percent if percent < kinds => Some(Mishap::Before(classes[percent])),
                percent if percent == kinds => Some(Mishap::After),
                _ => None,
            })
            .collect()
    };
    let scripts = [script(OBJECTS * 12, 8), script(OBJECTS * 2, 3), script(OBJECTS, 3)];
    let failures = scripts.iter().flatten().flatten().count();
    let scripts = scripts.map(Script::new);
    let [puts, reads, queries] = scripts;
    let stored: Vec<(String, Vec<u8>)> = (0..OBJECTS)
        .map(|number| {
            let times: Vec<i64> = (0..40).map(|index| START_MS - 60_000 + index).collect();
            object(number, &times)
        })
        .collect();
    let world = Simulation::new(&stored, puts, reads, queries);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut total = Ledger::default();
    let mut again: BTreeMap<u32, usize> = BTreeMap::new();
    let mut memory_kib = 0;
    for number in 0..OBJECTS {
        if number == OBJECTS / 4 {
            // By now everything that is kept for long has been made once.
            memory_kib = resident_kib();
        }
        // A day has so many milliseconds for each object.
        world.clock.0.fetch_add(DAY_MS / i64::try_from(OBJECTS).unwrap(), Ordering::SeqCst);
        let journey = runtime.block_on(world.deliver(&key(number)));
        assert!(journey.ledger.is_balanced(), "{:?}", journey.ledger);
        total += journey.ledger;
        *again.entry(journey.receives).or_default() += 1;
    }
    world.assert_legal();
    assert_eq!((total.read, total.delivered), (OBJECTS as u64 * 40, OBJECTS as u64 * 40));
    let accepted = world.accepted();
    let distinct: BTreeSet<&String> = accepted.iter().collect();
    assert_eq!(distinct.len(), OBJECTS * 40, "every record arrived");
    assert!(again.keys().any(|receives| *receives > 1), "nothing went wrong: {again:?}");
    let growth_kib = resident_kib().saturating_sub(memory_kib);
    assert!(growth_kib < 16 * 1024, "memory grew by {growth_kib} KiB");
    let (records, arrived) = (OBJECTS * 40, distinct.len());
    let twice = accepted.len() - distinct.len();
    // A failure repeats at most the object's only segment.
    let bound = failures * 40;
    Findings { records, arrived, twice, bound, ..Findings::default() }.judge();
}

/// Returns the memory that this process has now, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
