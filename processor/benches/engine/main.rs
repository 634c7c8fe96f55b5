//! How fast the engine is and how much memory it takes, as ratios to references of the same run.
//!
//! `cargo xtask bench engine` for everything, `cargo xtask bench stages` for the part that needs
//! neither network nor other programs, `cargo xtask bench memory` for the memory of large objects. A number behind `--` is the size of the objects in MB.
//!
//! Stages are timed by the processor time of their thread, and the best of several rounds counts:
//! other work on the machine only ever adds time. Seconds say something about the machine, ratios
//! about the code.

#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark waits, prints rounded figures and stops at the first fault"
)]

mod objects;
mod peers;
mod process;
#[path = "../../tests/engine/runtime_api.rs"]
mod runtime_api;
mod small;
mod stages;
mod table;
mod world;

use std::process::ExitCode;

use fake_aws::KeepEvents;

use crate::{objects::Format, stages::Stages, table::Table, world::World};

/// The size of the objects, in MB before compression.
const DEFAULT_MEGABYTES: usize = 50;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo runs benchmarks as tests too, without this word.
    if !words.iter().any(|word| word == "--bench") {
        return ExitCode::SUCCESS;
    }
    let megabytes = words.iter().find_map(|word| word.parse().ok()).unwrap_or(DEFAULT_MEGABYTES);
    let bytes = megabytes * 1_000_000;
    let mut table = Table::default();
    // A part by itself, or all of them.
    let is_alone = |part: &str| words.iter().any(|word| word == part);
    if !is_alone("memory") {
        let stages = Stages::measure(bytes);
        stages.print();
        stages.judge(&mut table);
        if !is_alone("stages") {
            peers::judge(&mut table, &stages);
            process::judge(&mut table, &stages);
            small::judge(&mut table);
            process::judge_start(&mut table);
        }
    }
    if !is_alone("stages") {
        process::judge_memory(&mut table);
    }
    table.print();
    if table.is_held() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The formats that objects come in.
const FORMATS: [Format; 4] = [Format::Ndjson, Format::Array, Format::Pretty, Format::Varying];

/// Makes a pipeline for the program that was built with this one.
fn new_world(tenants: usize, keep: KeepEvents) -> World {
    World::running(env!("CARGO_BIN_EXE_log-processor"), tenants, keep)
}
