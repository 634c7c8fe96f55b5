//! Runs one stage of the chain once, for a tool that counts instructions.
//!
//! `cargo xtask test instructions` runs it below callgrind, which counts inside [`counted_decode`]
//! and [`counted_bodies`] alone.

#![expect(clippy::unwrap_used, reason = "a program for one measurement stops at the first fault")]

#[path = "../benches/engine/objects.rs"]
#[expect(dead_code, reason = "benchmarks use the rest")]
mod objects;

use std::{hint::black_box, process::ExitCode, sync::Arc};

use mtlog_processor::{
    decode::{Decoder, Options},
    model::{
        events::Segment,
        ids::{LogGroupName, LogStreamName},
    },
    ports::{Access, LogTarget},
    stages,
};

use crate::objects::{ANY_DAY, Format, object};

/// The size of the object before compression.
const BYTES: usize = 5_000_000;

fn main() -> ExitCode {
    let stage = std::env::args().nth(1).unwrap_or_default();
    let object = object(Format::Array, BYTES, ANY_DAY);
    match stage.as_str() {
        "decode" => counted_decode(&object.compressed),
        "bodies" => counted_bodies(&object.compressed, &target()),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// Inflates, splits, and finds messages and timestamps.
#[inline(never)]
fn counted_decode(compressed: &[u8]) {
    let mut decoder = Decoder::new(compressed, Options::default());
    while let Some(decoded) = decoder.next().unwrap() {
        black_box(&decoded);
    }
}

/// Does all that is done before a call: decodes, makes the request bodies, and hashes them.
#[inline(never)]
fn counted_bodies(compressed: &[u8], target: &LogTarget) {
    let send = |segment: Segment| {
        let (segment, batches) = stages::batches(segment, target);
        batches.for_each(|batch| drop(black_box(stages::body(target, &batch))));
        Arc::try_unwrap(segment).unwrap_or_default()
    };
    stages::segments(compressed, Options::default(), send).unwrap();
}

fn target() -> LogTarget {
    let group: LogGroupName = "/logs/acme".parse().unwrap();
    LogTarget {
        access: Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/customer".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        },
        group,
        stream: LogStreamName::sanitised("orders-orders-api-7c9d8f6b5d-x2x7k-2026-11-23"),
    }
}
