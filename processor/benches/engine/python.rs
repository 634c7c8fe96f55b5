//! The predecessor's rules in Python, on the same object.

use std::{fs, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    objects::Format,
    stages::{self, Stages},
    table::Table,
};

const ROUNDS: usize = 3;

pub(crate) fn judge(table: &mut Table, stages: &Stages) {
    if Command::new("python3").arg("--version").output().is_err() {
        table.told("the chain / Python", "no Python here, not measured");
        return;
    }
    for format in [Format::Ndjson, Format::Array] {
        let object = stages.object(format);
        let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/reference.json.gz");
        fs::write(file, &object.compressed).unwrap();
        let (mut best, mut peak) = (Duration::MAX, 0);
        for _ in 0..ROUNDS {
            let report = run(file);
            assert_eq!(report["events"].as_u64(), Some(stages::count(object).0), "another result");
            let seconds = report["processor_seconds"].as_f64().unwrap();
            best = best.min(Duration::from_secs_f64(seconds));
            peak = report["peak_kibibytes"].as_u64().unwrap();
        }
        let ratio = best.as_secs_f64() / stages.chain(format).as_secs_f64();
        table.at_least(format!("the chain / Python, {}", format.name()), ratio, 25.0);
        let speed = object.plain.len() as f64 / 1e6 / best.as_secs_f64();
        table.told(
            format!("Python, {}: MB/s, peak memory", format.name()),
            format!("{speed:.0}, {} MiB", peak / 1024),
        );
    }
    let go = Command::new("go").arg("version").output().is_ok();
    table.told(
        "the chain / Go",
        if go { "not written" } else { "no Go toolchain here, not measured" },
    );
}

fn run(file: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/reference.py");
    let output = Command::new("python3").args(["-I", script, file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
