//! The benchmarks: each prints its figures beside a reference from the same run.

use anyhow::{Context, Result};

use crate::command;
use crate::python::{self, Environment};
use crate::repository::Repository;

/// A benchmark of one crate.
#[derive(Debug, PartialEq)]
pub(crate) struct Bench {
    /// What it is called for.
    pub(crate) name: &'static str,
    package: &'static str,
    target: &'static str,
    /// What its program is told.
    arguments: &'static [&'static str],
    /// Whether it measures Python with a client for AWS, too.
    needs_python: bool,
    /// What it measures, for the help text.
    pub(crate) purpose: &'static str,
}

/// Every benchmark.
pub(crate) static ALL: &[Bench] = &[
    Bench {
        name: "deploying",
        package: "mtlog",
        target: "deploying",
        arguments: &[],
        needs_python: false,
        purpose: "start-up, calls, polling: the gates of deploying",
    },
    Bench {
        name: "engine",
        package: "mtlog-processor",
        target: "engine",
        arguments: &[],
        needs_python: true,
        purpose: "the engine: stages, formats, Python and Go, the real binary; speed, memory, calls, start-up",
    },
    Bench {
        name: "stages",
        package: "mtlog-processor",
        target: "engine",
        arguments: &["stages"],
        needs_python: false,
        purpose: "of that the stages alone, as ratios to inflating",
    },
    Bench {
        name: "memory",
        package: "mtlog-processor",
        target: "engine",
        arguments: &["memory"],
        needs_python: false,
        purpose: "of that the memory of large objects, alone and several at once",
    },
];

/// Returns the benchmark with this name.
pub(crate) fn named(name: &str) -> Result<&'static Bench> {
    ALL.iter()
        .find(|bench| bench.name == name)
        .with_context(|| format!("there is no benchmark `{name}`"))
}

/// Runs the given benchmarks, or all of them.
pub(crate) fn run(repository: &Repository, chosen: &[&'static Bench]) -> Result<()> {
    // The others are parts of the engine's run.
    let is_whole = |bench: &&Bench| bench.arguments.is_empty();
    let all = || ALL.iter().filter(is_whole).collect();
    let benches: Vec<&Bench> = if chosen.is_empty() { all() } else { chosen.to_vec() };
    for bench in benches {
        let target = ["bench", "--locked", "--package", bench.package, "--bench", bench.target];
        let mut cargo = repository.cargo();
        if bench.needs_python {
            // It has an AWS client beside the emulator.
            cargo.env("PYTHON", python::ensure(repository, Environment::Emulator)?.interpreter());
        }
        command::run(cargo.args(target).arg("--").args(bench.arguments))?;
    }
    Ok(())
}
