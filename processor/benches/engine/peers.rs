//! The predecessor's rules in other languages, on the same object.

use std::{env, fs, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    objects::{Format, Object},
    stages::{self, ROUNDS, Stages},
    table::Table,
};

/// The environment variable with a Python that has botocore, as `cargo xtask bench` sets it.
const INTERPRETER: &str = "PYTHON";

/// A program that does with an object what the chain does.
struct Peer {
    name: &'static str,
    /// What starts it with the object's file, or why it is not measured.
    command: Result<Vec<String>, &'static str>,
    /// How many times faster the chain has to be.
    least: Option<f64>,
}

pub(crate) fn judge(table: &mut Table, stages: &Stages) {
    let peers = [
        Peer { name: "Python with botocore", command: python("botocore"), least: Some(25.0) },
        Peer { name: "Python that makes bodies by itself", command: python("bare"), least: None },
        Peer { name: "Go that makes bodies by itself", command: go(), least: None },
    ];
    for Peer { name, command, least } in peers {
        let command = match command {
            Ok(command) => command,
            Err(reason) => {
                table.told(format!("the chain / {name}"), reason);
                continue;
            }
        };
        for format in [Format::Ndjson, Format::Array] {
            let object = stages.object(format);
            let (best, peak) = best_of(&command, object);
            let what = format!("the chain / {name}, {}", format.name());
            let ratio = best.as_secs_f64() / stages.chain(format).as_secs_f64();
            match least {
                Some(least) => table.at_least(what, ratio, least),
                None => table.told(what, format!("{ratio:.2}")),
            }
            let speed = object.plain.len() as f64 / 1e6 / best.as_secs_f64();
            table.told(
                format!("{name}, {}: MB/s, peak memory", format.name()),
                format!("{speed:.0}, {} MiB", peak / 1024),
            );
        }
    }
}

fn python(client: &str) -> Result<Vec<String>, &'static str> {
    let python = env::var(INTERPRETER).unwrap_or_else(|_| "python3".to_owned());
    let needs = if client == "botocore" { "import botocore" } else { "" };
    if !runs(Command::new(&python).args(["-I", "-c", needs])) {
        return Err("no such Python here, not measured");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/reference.py");
    Ok([&python, "-I", script, client].map(str::to_owned).to_vec())
}

fn go() -> Result<Vec<String>, &'static str> {
    if !runs(Command::new("go").arg("version")) {
        return Err("no Go toolchain here, not measured");
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/reference.go");
    let program = concat!(env!("CARGO_TARGET_TMPDIR"), "/reference-go");
    assert!(runs(Command::new("go").args(["build", "-o", program, source])), "Go does not build");
    Ok(vec![program.to_owned()])
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Returns the least processor time, and the peak memory in KiB.
fn best_of(command: &[String], object: &Object) -> (Duration, u64) {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/reference.json.gz");
    fs::write(file, &object.compressed).unwrap();
    let (events, _) = stages::count(object);
    let (mut best, mut peak) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let report = run(command, file);
        assert_eq!(report["events"].as_u64(), Some(events), "another result");
        let seconds = report["processor_seconds"].as_f64().unwrap();
        best = best.min(Duration::from_secs_f64(seconds));
        peak = report["peak_kibibytes"].as_u64().unwrap();
    }
    (best, peak)
}

fn run(command: &[String], file: &str) -> Value {
    let output = Command::new(&command[0]).args(&command[1..]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
