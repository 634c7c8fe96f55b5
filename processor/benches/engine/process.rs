//! Large objects through the real binary: processor time, memory, start-up.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use fake_aws::KeepEvents;
use serde_json::json;

use crate::{
    new_world,
    objects::{ANY_DAY, Format, gzip, object},
    runtime_api,
    stages::{ROUNDS, Stages, chain, processor_time},
    table::Table,
    world::{BUCKET, World, wait},
};

/// How often the same object stands in the queue when processor time is measured: its clock is coarse, and starting is
/// measured by itself.
const COPIES: usize = 40;
const STARTS: usize = 11;
/// What one member of a large object inflates to, about.
const UNIT: usize = 5_000_000;
const LIMIT_MEBIBYTES: f64 = 64.0;

/// Sets the processor time of the whole process, sockets included, against that of the chain on one thread: the same
/// objects, in turns. A short look would find a better moment of the machine than a long one.
pub(crate) fn judge(table: &mut Table, stages: &Stages) {
    let object = stages.object(Format::Array);
    let (mut binary, mut alone) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        alone = alone.min(processor_time(|| (0..COPIES).for_each(|_| chain(object))));
        let world = new_world(1, KeepEvents::OnlyCountBytes);
        for number in 0..COPIES {
            world.fake.put_object(BUCKET, &World::key(0, number), object.compressed.clone());
        }
        let (_, usage) = world.drain(&[]);
        binary = binary.min(usage.processor);
    }
    let ratio = binary.as_secs_f64() / alone.as_secs_f64();
    table.at_most("processor time of the binary / of the chain", ratio, 1.5);
}

/// Reads objects of all sizes, and several at once, and looks at the most memory that the process ever had.
pub(crate) fn judge_memory(table: &mut Table) {
    let unit = object(Format::Ndjson, UNIT, ANY_DAY);
    let (unit_bytes, unit) = (unit.plain.len() as u64, unit.compressed);
    let mut measure = |name: &str, bytes: u64, objects: usize, tenants: usize| {
        let world = new_world(tenants, KeepEvents::OnlyCountBytes);
        for number in 0..objects {
            let key = World::key(number % tenants, number);
            world.fake.put_repeated_object(BUCKET, &key, unit.clone(), bytes.div_ceil(unit_bytes));
            world.fake.announce(BUCKET, &key, "ObjectCreated:Put");
        }
        let (_, usage) = world.drain(&[]);
        let what = format!("peak memory in MiB, {name}");
        table.at_most(what, usage.peak_mebibytes, LIMIT_MEBIBYTES);
    };
    measure("one object of 5 MB", 5_000_000, 1, 1);
    measure("one object of 1.5 GB", 1_500_000_000, 1, 1);
    measure("one object of 10 GiB", 10 << 30, 1, 1);
    measure("40 objects of 100 MB of 20 tenants, default settings", 100_000_000, 40, 20);
}

/// From the start of the process to the arrival of the first `PutLogEvents`.
pub(crate) fn judge_start(table: &mut Table) {
    let one_line = json!({"message": "started", "timestamp": format!("{ANY_DAY}T09:41:33Z")});
    let small = gzip(format!("{one_line}\n").as_bytes());
    let world = || {
        let world = new_world(1, KeepEvents::OnlyCountBytes);
        world.fake.put_object(BUCKET, &World::key(0, 0), small.clone());
        world
    };
    let arrived = |world: &World| wait(|| world.fake.calls("logs:PutLogEvents") > 0);
    let sqs = median(|| {
        let world = world();
        let start = Instant::now();
        let engine = world.start("sqs", &[]);
        arrived(&world);
        let time = start.elapsed();
        drop(engine);
        time
    });
    table.at_most("ms from start to the first PutLogEvents, sqs", sqs, 300.0);
    let mut inits = Vec::new();
    let lambda = median(|| {
        let world = world();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let variables = runtime_api::variables(listener.local_addr().unwrap());
        let event = event(&world);
        let start = Instant::now();
        let engine = world.start("lambda", &variables);
        let (stream, _) = listener.accept().unwrap();
        assert!(runtime_api::request(&stream).0.ends_with("/invocation/next"));
        inits.push(start.elapsed());
        runtime_api::invoke(&stream, &event, Duration::from_secs(60));
        arrived(&world);
        let time = start.elapsed();
        drop(engine);
        time
    });
    let mut inits = inits.into_iter();
    let init = median(|| inits.next().unwrap());
    table.told("ms from start to the first question for work, lambda", format!("{init:.1}"));
    table.at_most("ms from start to the first PutLogEvents, lambda", lambda, 300.0);
}

/// Takes the only message out of the queue, as an event source mapping does.
fn event(world: &World) -> String {
    let message = world.fake.queue_messages(&world.queue).remove(0);
    let attributes =
        json!({"ApproximateReceiveCount": "1", "SentTimestamp": message.sent_at.to_string()});
    json!({"Records": [{
        "messageId": message.id, "receiptHandle": "handle", "body": message.body,
        "attributes": attributes, "eventSource": "aws:sqs",
    }]})
    .to_string()
}

/// Returns the median in milliseconds.
fn median(mut measure: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..STARTS).map(|_| measure()).collect();
    times.sort_unstable();
    times[STARTS / 2].as_secs_f64() * 1000.0
}
