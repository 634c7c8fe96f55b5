//! Row 60 in virtual time: what a tenant that is throttled all the time costs the others.
//!
//! The hands, the engine and every wait are real; only the clock is not. Calls
//! take what they take in a region: a put a tenth of a second, a read half of that.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use mtlog_processor::{
    engine::{Engine, EngineSettings, Incoming, Ports, Renewal, fair::Fair, stop::Stop},
    memory::{
        checkpoints::NoCheckpoints, copier::NotedCopies, directory::MemoryDirectory,
        store::MemoryStore,
    },
    metrics::Meter,
    model::{events::Batch, ids::BucketName, notification::ObjectRef, tenant::TenantItem},
    ports::{
        Clock, Fault, FaultClass, ListPage, LogSink, LogTarget, ObjectBody, ObjectStore, PutReport,
    },
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    evidence::Findings,
    simulation::{START_MS, item_of},
    world::gzip,
};

const NOISY: &str = "noisy";
const NOISY_OBJECTS: usize = 5_000;
const QUIET_TENANTS: usize = 20;
/// Every quiet tenant's objects, one every few seconds.
const QUIET_OBJECTS: usize = 25;
const QUIET_INTERVAL: Duration = Duration::from_secs(4);
const PUT_TIME: Duration = Duration::from_millis(100);
const READ_TIME: Duration = Duration::from_millis(50);
/// Hands of an engine with the default memory budget, and the most that one tenant gets.
const HANDS: usize = 16;
const HANDS_PER_TENANT: usize = 4;

/// The runtime's own clock, which jumps when everybody waits.
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now_ms(&self) -> i64 {
        START_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// CloudWatch Logs that takes its time, and always throttles one tenant.
struct SlowLogs;

impl LogSink for SlowLogs {
    fn put<'a>(
        &'a self,
        target: &'a LogTarget,
        _batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        async move {
            tokio::time::sleep(PUT_TIME).await;
            if target.access.tenant.as_str() == NOISY {
                return Err(Fault::new(FaultClass::Throttled, "PutLogEvents"));
            }
            Ok(PutReport::default())
        }
        .boxed()
    }

    fn create_stream<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn create_group<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn set_retention<'a>(
        &'a self,
        _target: &'a LogTarget,
        _days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// A bucket that takes its time.
struct SlowStore(MemoryStore);

impl ObjectStore for SlowStore {
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>> {
        async move {
            tokio::time::sleep(READ_TIME).await;
            self.0.read(object, start, length, if_match).await
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>> {
        self.0.list(bucket, prefix, start_after)
    }
}

fn quiet(number: usize) -> String {
    format!("quiet-{number}")
}

fn account(number: usize) -> String {
    format!("3{number:011}")
}

fn key(tenant: &str, object: usize) -> String {
    format!("c/{tenant}/api/api-0/{object}.json.gz")
}

/// Returns how long each object of the quiet tenants took from its message's arrival to its delivery, sorted.
async fn quiet_latencies(noisy_objects: usize) -> Vec<Duration> {
    let (store, table) = (MemoryStore::default(), MemoryDirectory::default());
    let add = |tenant: &str, account: &str, objects: usize| {
        let item: TenantItem = item_of(tenant, account);
        table.set(tenant.parse().unwrap(), vec![Ok(item)]);
        for number in 0..objects {
            let object = ObjectRef::new("logs".parse().unwrap(), key(tenant, number));
            store.put(&object, Bytes::from(gzip("{\"message\":\"x\"}\n")), START_MS);
        }
    };
    add(NOISY, "222222222222", noisy_objects);
    (0..QUIET_TENANTS).for_each(|number| add(&quiet(number), &account(number), QUIET_OBJECTS));
    let ports = Ports {
        store: Arc::new(SlowStore(store)),
        directory: Arc::new(table),
        sink: Arc::new(SlowLogs),
        copier: Arc::new(NotedCopies::default()),
        checkpoints: Arc::new(NoCheckpoints),
        clock: Arc::new(RuntimeClock(Instant::now())),
    };
    let engine =
        Arc::new(Engine::new(ports, EngineSettings::default(), Arc::new(Meter::default())));
    let hands = Fair::new(HANDS, HANDS_PER_TENANT);
    let work = |tenant: String, object: usize, arrives_in: Duration| {
        let (engine, hands) = (Arc::clone(&engine), Arc::clone(&hands));
        async move {
            tokio::time::sleep(arrives_in).await;
            let arrived = Instant::now();
            let key = key(&tenant, object);
            let body = format!(
                r#"{{"Records":[{{"s3":{{"bucket":{{"name":"logs"}},"object":{{"key":"{key}","size":100}}}}}}]}}"#
            );
            let (lane, bytes) = engine.lane(&body);
            let _hand = hands.enlist(&lane, bytes).hand().await;
            let incoming = Incoming {
                id: &key,
                body: &body,
                receives: 1,
                sent_ms: engine.now_ms(),
                max_receives: None,
                renewal: Renewal::Never,
            };
            let handled = engine.handle(&incoming, &Stop::default()).await;
            let delivered = handled.results[0].ledger().delivered;
            (tenant, delivered, arrived.elapsed())
        }
    };
    let mut tasks = JoinSet::new();
    for object in 0..noisy_objects {
        tasks.spawn(work(NOISY.to_owned(), object, Duration::ZERO));
    }
    for number in 0..QUIET_TENANTS {
        for object in 0..QUIET_OBJECTS {
            // Spread out: a quiet tenant does not send everything at the same moment as the others.
            let at = QUIET_INTERVAL * u32::try_from(object).unwrap()
                + QUIET_INTERVAL / 20 * u32::try_from(number).unwrap();
            tasks.spawn(work(quiet(number), object, at));
        }
    }
    let mut latencies = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        let (tenant, delivered, took) = finished.unwrap();
        if tenant != NOISY {
            assert_eq!(delivered, 1, "{tenant}");
            latencies.push(took);
        }
    }
    latencies.sort();
    latencies
}

#[tokio::test(start_paused = true)]
async fn row_60_quiet_tenants_are_as_quick_as_without_the_noisy_one() {
    let percentile = |sorted: &[Duration], percent: usize| sorted[sorted.len() * percent / 100];
    let alone = quiet_latencies(0).await;
    let beside = quiet_latencies(NOISY_OBJECTS).await;
    assert_eq!(alone.len(), QUIET_TENANTS * QUIET_OBJECTS);
    let (before, after) = (percentile(&alone, 99), percentile(&beside, 99));
    assert!(before >= PUT_TIME + READ_TIME, "the waits are real: {before:?}");
    assert!(after.as_secs_f64() < before.as_secs_f64() * 1.1, "p99 {before:?} became {after:?}");
    let records = QUIET_TENANTS * QUIET_OBJECTS;
    let findings = Findings { records, arrived: beside.len(), ..Findings::default() };
    findings.judge();
}
