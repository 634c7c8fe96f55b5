//! The command line of `cargo xtask`, parsed into a [`Task`]. Knows nothing of how a task runs.

use anyhow::{Context, Result, bail};

use crate::bench::{self, Bench};
use crate::demo::{DemoOptions, Workload};
use crate::dist::DistOptions;
use crate::simulate::Simulation;
use crate::steps::{self, Step};

/// How many records the demo moves unless told otherwise.
pub(crate) const DEMO_RECORDS: u64 = 100_000;

/// One thing to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Task {
    Help,
    /// Runs these steps in the order of the table; all of them when none is named.
    Test(Vec<&'static Step>),
    Demo(DemoOptions),
    Kubernetes,
    /// Runs these benchmarks, or all of them.
    Bench(Vec<&'static Bench>),
    /// Records the terminal sessions in `docs/`.
    Record,
    /// Runs the engine's fault tests and prints what they found.
    Faults,
    Memory,
    Simulate(Simulation),
    /// Runs the emulator in the foreground, on this port or on a free one.
    Emulator(Option<u16>),
    Tidy,
    Dist(DistOptions),
}

/// Parses what stands after `cargo xtask`.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut arguments = arguments;
    let task = arguments.next().unwrap_or_else(|| "help".to_owned());
    match task.as_str() {
        "help" | "--help" | "-h" => Ok(Task::Help),
        "test" => parse_test(arguments),
        "demo" => parse_demo(arguments),
        "emulator" => parse_emulator(arguments),
        "k8s" => without_arguments(Task::Kubernetes, arguments),
        "bench" => {
            arguments.map(|name| bench::named(&name)).collect::<Result<_>>().map(Task::Bench)
        }
        "record" => without_arguments(Task::Record, arguments),
        "faults" => without_arguments(Task::Faults, arguments),
        "memory" => without_arguments(Task::Memory, arguments),
        "simulate" => parse_simulate(arguments),
        "tidy" => without_arguments(Task::Tidy, arguments),
        "dist" => parse_dist(arguments),
        other => bail!("there is no task `{other}`"),
    }
}

/// Returns the help text.
pub(crate) fn usage() -> String {
    let steps = steps::ALL
        .iter()
        .map(|step| format!("      {:<12} {}", step.name, step.purpose))
        .collect::<Vec<_>>()
        .join("\n");
    let benches = bench::ALL
        .iter()
        .map(|bench| format!("      {:<10} {}", bench.name, bench.purpose))
        .collect::<Vec<_>>()
        .join("\n");
    format!(
        "usage: cargo xtask TASK

  test [STEP...]                      Run everything that CI runs, or single steps:
{steps}
  demo [--records N | --large] [--keep]
                                      Run the whole pipeline against the emulator and compare what arrives
                                      (N is {DEMO_RECORDS} unless given; --large moves one object of 200 MB
                                      and checks the memory; --keep leaves the emulator up until Ctrl-C)
  k8s                                 Build and validate the Kubernetes manifests and run the collector's program;
                                      counts resources, schemas and VRL cases
  bench [NAME...]                     Run benchmarks:
{benches}
  record                              Record the terminal sessions in docs/ (needs tmux)
  faults                              Run the engine's fault matrix: injected, expected, seen, lost, duplicates
  memory                              Check the peak memory of the processor on one large object
  simulate [--seed N | --check]       Simulate many workers and tenants, and what volumes of logs take
                                      (--check makes small runs for real and compares)
  emulator [--port N]                 Run the emulator on loopback until Ctrl-C
  tidy                                Check the rules that are particular to this repository
  dist [--target TARGET]              Build both programs statically and pack them with completions, manual pages
                                      and a checksum"
    )
}

fn without_arguments(task: Task, mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    match arguments.next() {
        None => Ok(task),
        Some(extra) => bail!("unexpected argument `{extra}`"),
    }
}

fn parse_test(arguments: impl Iterator<Item = String>) -> Result<Task> {
    let names = arguments
        .map(|name| steps::named(&name).with_context(|| format!("there is no step `{name}`")));
    Ok(Task::Test(names.collect::<Result<_>>()?))
}

fn parse_demo(mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut workload = Workload::Mixed { records: DEMO_RECORDS };
    let mut keep = false;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--records" => {
                workload = Workload::Mixed { records: number(&argument, arguments.next())? }
            }
            "--large" => workload = Workload::LargeObject,
            "--keep" => keep = true,
            other => bail!("unexpected argument `{other}`"),
        }
    }
    if workload == (Workload::Mixed { records: 0 }) {
        bail!("`--records` needs a number above 0");
    }
    let options = DemoOptions { workload, keep };
    Ok(Task::Demo(options))
}

fn parse_emulator(mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut port = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = Some(number(&argument, arguments.next())?),
            other => bail!("unexpected argument `{other}`"),
        }
    }
    Ok(Task::Emulator(port))
}

fn parse_simulate(mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut simulation = Simulation::Overview { seed: 1 };
    while let Some(argument) = arguments.next() {
        simulation = match argument.as_str() {
            "--check" => Simulation::Check,
            "--seed" => Simulation::Overview { seed: number(&argument, arguments.next())? },
            other => bail!("unexpected argument `{other}`"),
        };
    }
    Ok(Task::Simulate(simulation))
}

fn parse_dist(mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut target = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--target" => target = Some(arguments.next().context("`--target` needs a target")?),
            other => bail!("unexpected argument `{other}`"),
        }
    }
    Ok(Task::Dist(DistOptions { target }))
}

fn number<N: std::str::FromStr>(flag: &str, value: Option<String>) -> Result<N> {
    let value = value.with_context(|| format!("`{flag}` needs a number"))?;
    value.parse().ok().with_context(|| format!("`{flag}` needs a number, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Task, &str>) {
        let parsed =
            parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string());
        assert_eq!(parsed, expected.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn a_command_line_becomes_a_task() {
        check("", Ok(Task::Help));
        check("tidy", Ok(Task::Tidy));
        check("k8s", Ok(Task::Kubernetes));
        check("bench engine", Ok(Task::Bench(vec![bench::named("engine").unwrap()])));
        check("record", Ok(Task::Record));
        check("dist", Ok(Task::Dist(DistOptions { target: None })));
        check("dist --target x", Ok(Task::Dist(DistOptions { target: Some("x".to_owned()) })));
        check("faults", Ok(Task::Faults));
        check("test", Ok(Task::Test(vec![])));
        check(
            "test tidy fmt",
            Ok(Task::Test(vec![steps::named("tidy").unwrap(), steps::named("fmt").unwrap()])),
        );
        check(
            "demo",
            Ok(Task::Demo(DemoOptions {
                workload: Workload::Mixed { records: DEMO_RECORDS },
                keep: false,
            })),
        );
        check(
            "demo --records 5 --keep",
            Ok(Task::Demo(DemoOptions { workload: Workload::Mixed { records: 5 }, keep: true })),
        );
        check(
            "demo --large",
            Ok(Task::Demo(DemoOptions { workload: Workload::LargeObject, keep: false })),
        );
        check("simulate", Ok(Task::Simulate(Simulation::Overview { seed: 1 })));
        check("simulate --seed 7", Ok(Task::Simulate(Simulation::Overview { seed: 7 })));
        check("simulate --check", Ok(Task::Simulate(Simulation::Check)));
        check("emulator", Ok(Task::Emulator(None)));
        check("emulator --port 4566", Ok(Task::Emulator(Some(4566))));
    }

    #[test]
    fn a_wrong_command_line_is_named() {
        check("tset", Err("there is no task `tset`"));
        check("tidy now", Err("unexpected argument `now`"));
        check("bench decoding", Err("there is no benchmark `decoding`"));
        check("test clipy", Err("there is no step `clipy`"));
        check("demo --records", Err("`--records` needs a number"));
        check("demo --records many", Err("`--records` needs a number, not `many`"));
        check("demo --records 0", Err("`--records` needs a number above 0"));
        check("emulator --port 70000", Err("`--port` needs a number, not `70000`"));
    }
}
