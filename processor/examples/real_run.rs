//! Runs the real `log-processor` once against the stand-in for AWS, and prints what that took as JSON.
//!
//! `cargo xtask simulate --check` sets its simulation against it. Arguments: the program, objects, tenants,
//! `MAX_CONCURRENCY`, bytes of an object before compression, and the milliseconds that `GetObject` and `PutLogEvents`
//! take.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for one measurement waits and stops at the first fault"
)]

#[path = "../benches/engine/objects.rs"]
#[expect(dead_code, reason = "benchmarks use the rest")]
mod objects;
#[path = "../benches/engine/world.rs"]
mod world;

use std::{env, time::Duration};

use fake_aws::{Fault, KeepEvents};
use serde_json::json;

use crate::{
    objects::{ANY_DAY, Format, object},
    world::{BUCKET, World},
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<usize>().unwrap();
    let (objects, tenants, hands, bytes) = (number(1), number(2), number(3), number(4));
    let time = |index: usize| Duration::from_millis(arguments[index].parse().unwrap());
    let world = World::running(&arguments[0], tenants, KeepEvents::OnlyCountBytes);
    let variables = [
        ("MAX_CONCURRENCY", hands.to_string()),
        // As much as it takes for the number of hands to be the bound.
        ("MEMORY_BUDGET_MIB", "512".to_owned()),
    ];
    let content = object(Format::Array, bytes, ANY_DAY).compressed;
    for index in 0..objects {
        world.fake.put_object(BUCKET, &World::key(index % tenants, index), content.clone());
    }
    world.fake.inject(Fault::on("s3:GetObject").delay(time(5)));
    world.fake.inject(Fault::on("logs:PutLogEvents").delay(time(6)));
    let (seconds, usage) = world.drain(&variables);
    let calls = |pattern: &str| world.fake.calls(pattern);
    println!(
        "{}",
        json!({
            "seconds": seconds.as_secs_f64(),
            "processor_seconds": usage.processor.as_secs_f64(),
            "peak_mebibytes": usage.peak_mebibytes,
            "get": calls("s3:GetObject"),
            "put": calls("logs:PutLogEvents"),
            "query": calls("dynamodb:Query"),
            "assume": calls("sts:AssumeRole"),
        })
    );
}
