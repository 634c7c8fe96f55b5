//! The benchmarks: each prints its figures beside a reference from the same run.

use anyhow::{Context, Result};

use crate::command;
use crate::repository::Repository;

/// A benchmark of one crate.
#[derive(Debug, PartialEq)]
pub(crate) struct Bench {
    /// The name of its target.
    pub(crate) name: &'static str,
    package: &'static str,
    /// What it measures, for the help text.
    pub(crate) purpose: &'static str,
}

/// Every benchmark.
pub(crate) static ALL: &[Bench] = &[
    Bench {
        name: "deploying",
        package: "mtlog",
        purpose: "start-up, calls, polling: the gates of deploying",
    },
    Bench {
        name: "decode",
        package: "mtlog-processor",
        purpose: "decoding, as ratios to inflating",
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
    let benches: Vec<&Bench> =
        if chosen.is_empty() { ALL.iter().collect() } else { chosen.to_vec() };
    for bench in benches {
        let arguments = ["bench", "--locked", "--package", bench.package, "--bench", bench.name];
        command::run(repository.cargo().args(arguments))?;
    }
    Ok(())
}
