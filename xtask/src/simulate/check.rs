//! Sets simulated runs against real ones: the real `log-processor` and the stand-in for AWS, at a small scale.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    model::{Latencies, Outcome, Scenario},
    run,
};
use crate::command;
use crate::repository::Repository;

/// How far the times of both may be apart, as a part. The stand-in takes processor time of its own, and the real
/// process starts up.
const TOLERANCE: f64 = 0.2;

/// A run that is made for real as well.
struct Case {
    name: &'static str,
    objects: u32,
    tenants: u32,
    hands: u32,
    /// Before compression.
    bytes: u32,
    get: f64,
    put: f64,
}

const CASES: [Case; 4] = [
    Case {
        name: "small objects, even",
        objects: 300,
        tenants: 10,
        hands: 10,
        bytes: 50_000,
        get: 40.0,
        put: 80.0,
    },
    Case {
        name: "few hands",
        objects: 100,
        tenants: 10,
        hands: 4,
        bytes: 50_000,
        get: 40.0,
        put: 80.0,
    },
    Case {
        name: "one tenant: 4 at a time",
        objects: 80,
        tenants: 1,
        hands: 10,
        bytes: 50_000,
        get: 40.0,
        put: 120.0,
    },
    Case {
        name: "objects of three calls",
        objects: 40,
        tenants: 4,
        hands: 4,
        bytes: 18_000_000,
        get: 40.0,
        put: 400.0,
    },
];

/// What a real run came to.
struct Real {
    seconds: f64,
    processor: f64,
    get: u64,
    put: u64,
    query: u64,
    assume: u64,
}

/// Runs all cases both ways and fails when they differ.
pub(super) fn run_all(repository: &Repository) -> Result<()> {
    // As `cargo xtask bench engine` builds it, whose work is shared.
    let build = ["build", "--profile", "bench", "--locked", "--package", "mtlog-processor"];
    let programs = ["--bin", "log-processor", "--example", "real_run"];
    command::run(repository.cargo().args(build).args(programs))?;
    println!(
        "{:<26} {:>10} {:>10} {:>7}  calls: get, put, query, assume",
        "case", "real", "simulated", "ratio"
    );
    let mut findings = Vec::new();
    for case in &CASES {
        let real = real(repository, case)?;
        let simulated = run::run(&scenario(case, &real));
        let ratio = simulated.seconds / real.seconds;
        let real_calls = [real.get, real.put, real.query, real.assume];
        let calls = &simulated.calls;
        let simulated_calls = [calls.get, calls.put, calls.query, calls.assume];
        println!(
            "{:<26} {:>8.2} s {:>8.2} s {ratio:>7.2}  {real_calls:?} {simulated_calls:?}",
            case.name, real.seconds, simulated.seconds
        );
        if let Some(finding) = finding(case.name, ratio, real_calls, simulated_calls, &simulated) {
            findings.push(finding);
        }
    }
    if findings.is_empty() { Ok(()) } else { bail!("{}", findings.join("; ")) }
}

fn real(repository: &Repository, case: &Case) -> Result<Real> {
    let programs = repository.target().join("release");
    let mut real_run = repository.command(programs.join("examples/real_run"));
    real_run.arg(programs.join("log-processor"));
    for number in [case.objects, case.tenants, case.hands, case.bytes] {
        real_run.arg(number.to_string());
    }
    for time in [case.get, case.put] {
        real_run.arg(format!("{time:.0}"));
    }
    let report: Value = serde_json::from_str(&command::output(&mut real_run)?)
        .context("the real run printed no report")?;
    let number = |name: &str| {
        report
            .get(name)
            .and_then(Value::as_f64)
            .with_context(|| format!("the real run told no `{name}`"))
    };
    let count = |name: &str| {
        report
            .get(name)
            .and_then(Value::as_u64)
            .with_context(|| format!("the real run told no `{name}`"))
    };
    Ok(Real {
        seconds: number("seconds")?,
        processor: number("processor_seconds")?,
        get: count("get")?,
        put: count("put")?,
        query: count("query")?,
        assume: count("assume")?,
    })
}

/// The same in the simulation, with the processor time that the real run took.
fn scenario(case: &Case, real: &Real) -> Scenario {
    let puts = real.put.div_ceil(u64::from(case.objects));
    Scenario {
        objects: case.objects,
        arrivals_per_second: None,
        tenants: case.tenants,
        skew: 0.0,
        processor: real.processor * 1000.0 / f64::from(case.objects),
        puts: u32::try_from(puts).unwrap_or(u32::MAX),
        latencies: Latencies {
            get: case.get,
            put: case.put,
            receive: 1.0,
            query: 1.0,
            assume: 1.0,
        },
        workers: 1,
        cores: 2,
        hands: case.hands,
        ..Scenario::default()
    }
}

fn finding(
    name: &str,
    ratio: f64,
    real_calls: [u64; 4],
    simulated_calls: [u64; 4],
    simulated: &Outcome,
) -> Option<String> {
    if real_calls != simulated_calls {
        return Some(format!("`{name}` makes other calls in the simulation"));
    }
    if (ratio - 1.0).abs() > TOLERANCE {
        return Some(format!(
            "`{name}` takes {:.2} s in the simulation: {ratio:.2} of the real time",
            simulated.seconds
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_calls_and_other_times_are_findings() {
        let check = |ratio, simulated| {
            finding("x", ratio, [1; 4], simulated, &Outcome::default()).is_some()
        };
        assert!(!check(1.15, [1; 4]) && !check(0.85, [1; 4]));
        assert!(check(1.4, [1; 4]) && check(0.6, [1; 4]) && check(1.0, [1, 1, 1, 2]));
    }
}
