//! The predecessor's rules in Python, on the same object.

use std::{env, fs, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    objects::{Format, Object},
    stages::{self, ROUNDS, Stages},
    table::Table,
};

/// The environment variable with a Python that has botocore, as `cargo xtask bench` sets it.
const INTERPRETER: &str = "PYTHON";

pub(crate) fn judge(table: &mut Table, stages: &Stages) {
    let python = env::var(INTERPRETER).unwrap_or_else(|_| "python3".to_owned());
    for (client, least) in [("botocore", Some(25.0)), ("bare", None)] {
        let what = match client {
            "bare" => "the chain / Python that makes bodies by itself",
            _ => "the chain / Python with botocore",
        };
        let import = if client == "bare" { "json" } else { client };
        let check = Command::new(&python).args(["-I", "-c", &format!("import {import}")]).output();
        if !check.is_ok_and(|output| output.status.success()) {
            table.told(what, format!("no Python with {import} here, not measured"));
            continue;
        }
        for format in [Format::Ndjson, Format::Array] {
            let object = stages.object(format);
            let (best, peak) = best_of(&python, client, object);
            let what = format!("{what}, {}", format.name());
            let ratio = best.as_secs_f64() / stages.chain(format).as_secs_f64();
            match least {
                Some(least) => table.at_least(&what, ratio, least),
                None => table.told(&what, format!("{ratio:.2}")),
            }
            let speed = object.plain.len() as f64 / 1e6 / best.as_secs_f64();
            table.told(
                format!("{what}: MB/s and peak memory of Python"),
                format!("{speed:.0}, {} MiB", peak / 1024),
            );
        }
    }
    let go = Command::new("go").arg("version").output().is_ok();
    table.told(
        "the chain / Go",
        if go { "not written" } else { "no Go toolchain here, not measured" },
    );
}

/// Returns the least processor time, and the peak memory in KiB.
fn best_of(python: &str, client: &str, object: &Object) -> (Duration, u64) {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/reference.json.gz");
    fs::write(file, &object.compressed).unwrap();
    let (mut best, mut peak) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let report = run(python, file, client);
        assert_eq!(report["events"].as_u64(), Some(stages::count(object).0), "another result");
        let seconds = report["processor_seconds"].as_f64().unwrap();
        best = best.min(Duration::from_secs_f64(seconds));
        peak = report["peak_kibibytes"].as_u64().unwrap();
    }
    (best, peak)
}

fn run(python: &str, file: &str, client: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/reference.py");
    let output = Command::new(python).args(["-I", script, file, client]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
