//! Counts the instructions of two stages of the engine: a guard against getting slower that needs no clock.
//!
//! The counts are of a development build, whose hot parts are optimised. They are the same on every run with the
//! same compiler and libraries, and move a little with either.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::repository::Repository;
use crate::scratch::Scratch;

/// A stage and the most instructions that it may take.
struct Stage {
    name: &'static str,
    /// What callgrind counts inside of.
    function: &'static str,
    /// What it took when this was written, for 5 MB of records.
    usual: u64,
}

const STAGES: [Stage; 2] = [
    Stage { name: "decode", function: "*counted_decode*", usual: 53_211_937 },
    Stage { name: "bodies", function: "*counted_bodies*", usual: 105_179_482 },
];

/// How much more than usual is still no finding, in percent. Another compiler moves the counts by less.
const MARGIN_PERCENT: u64 = 10;

/// Counts both stages and fails when one is above its bound.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    if !command::works(Command::new("valgrind").arg("--version")) {
        println!(
            "skipped: valgrind is not installed (Debian's package `valgrind`), so nothing is counted"
        );
        return Ok(());
    }
    let build = ["build", "--workspace", "--all-features", "--locked", "--example", "one_stage"];
    command::run(repository.cargo().args(build))?;
    let program = repository.target().join("debug/examples/one_stage");
    let scratch = Scratch::new(repository, "instructions")?;
    let mut findings = Vec::new();
    println!("{:<8} {:>14} {:>14} {:>8}", "stage", "instructions", "usual", "ratio");
    for stage in &STAGES {
        let count = count(repository, &program, stage, &scratch.join(stage.name))?;
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = count as f64 / stage.usual as f64;
        println!("{:<8} {count:>14} {:>14} {ratio:>8.3}", stage.name, stage.usual);
        if let Some(finding) = finding(stage, count) {
            findings.push(finding);
        }
    }
    if findings.is_empty() { Ok(()) } else { bail!("{}", findings.join("; ")) }
}

fn count(repository: &Repository, program: &Path, stage: &Stage, file: &Path) -> Result<u64> {
    let mut valgrind = repository.command("valgrind");
    valgrind
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={}", stage.function))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(stage.name);
    command::output(&mut valgrind)?;
    let profile = fs::read_to_string(file).context("callgrind wrote no profile")?;
    total(&profile).with_context(|| format!("callgrind counted nothing in stage `{}`", stage.name))
}

/// Returns the total of a callgrind profile.
fn total(profile: &str) -> Option<u64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|total| *total > 0)
}

/// Says that a stage takes more than it may, or so much less that the bound guards nothing.
fn finding(stage: &Stage, count: u64) -> Option<String> {
    let (name, usual) = (stage.name, stage.usual);
    if count * 100 > usual * (100 + MARGIN_PERCENT) {
        return Some(format!(
            "stage `{name}` takes {count} instructions and took {usual}: find out why, or correct the number in \
             xtask/src/instructions.rs"
        ));
    }
    if count * 100 < usual * (100 - MARGIN_PERCENT) {
        return Some(format!(
            "stage `{name}` takes only {count} instructions: write that down in xtask/src/instructions.rs in place \
             of {usual}, so that it stays so"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_found() {
        assert_eq!(total("events: Ir\nfn=(1)\n0 5\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("totals: 0\n"), None);
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn more_and_much_less_than_usual_are_findings() {
        let stage = Stage { name: "x", function: "*", usual: 1000 };
        for (count, found) in
            [(1000, false), (1100, false), (1101, true), (900, false), (899, true)]
        {
            assert_eq!(finding(&stage, count).is_some(), found, "{count}");
        }
    }
}
