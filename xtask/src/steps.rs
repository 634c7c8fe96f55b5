//! The steps of `cargo xtask test`: one table, run in its order.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::arguments::DEMO_RECORDS;
use crate::demo::{self, DemoOptions, Workload};
use crate::emulator::{CENTRAL_ACCOUNT, Emulator};
use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;
use crate::{command, doctor, faults, images, instructions, kubernetes, memory, tidy};

/// One check with a name of its own.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What it checks, for the help text.
    pub(crate) purpose: &'static str,
    run: fn(&Repository) -> Result<()>,
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Every step, the quick ones first.
pub(crate) static ALL: &[Step] = &[
    Step { name: "fmt", purpose: "the sources are formatted", run: format },
    Step {
        name: "tidy",
        purpose: "the rules that are particular to this repository",
        run: tidy::run,
    },
    Step { name: "clippy", purpose: "no lint fires", run: clippy },
    Step { name: "tests", purpose: "the Rust tests pass", run: tests },
    Step { name: "faults", purpose: "every row of the fault matrix holds", run: faults::run },
    Step { name: "doc", purpose: "the documentation builds without a warning", run: documentation },
    Step {
        name: "templates",
        purpose: "the CloudFormation templates are valid and deploy",
        run: templates,
    },
    Step {
        name: "doctor",
        purpose: "each fault on the emulator is found by doctor or status",
        run: doctor::run,
    },
    Step { name: "k8s", purpose: "the Kubernetes manifests are valid", run: kubernetes::validate },
    Step {
        name: "instructions",
        purpose: "two stages of the engine take no more instructions than they did",
        run: instructions::run,
    },
    Step {
        name: "memory",
        purpose: "the processor stays within its memory on one large object",
        run: large_object,
    },
    Step {
        name: "images",
        purpose: "the images are built, pushed, pulled and run",
        run: images::run,
    },
    Step { name: "demo", purpose: "the whole pipeline delivers every record exactly", run: demo },
];

/// Returns the step with this name.
pub(crate) fn named(name: &str) -> Option<&'static Step> {
    ALL.iter().find(|step| step.name == name)
}

/// Runs the given steps, or all of them, up to the first that fails.
///
/// The last line counts the steps in the form that CI reads.
pub(crate) fn run(repository: &Repository, chosen: &[&'static Step]) -> Result<ExitCode> {
    let steps: Vec<&Step> = if chosen.is_empty() { ALL.iter().collect() } else { chosen.to_vec() };
    let mut times = Vec::new();
    let mut failed = 0;
    for step in &steps {
        say(&format!("\n==> {}: {}", step.name, step.purpose))?;
        let start = Instant::now();
        let outcome = (step.run)(repository);
        let seconds = start.elapsed().as_secs_f64();
        times.push((step.name, seconds));
        if let Err(error) = outcome {
            say(&format!("\n==> {} failed after {seconds:.1} s: {error:#}", step.name))?;
            say(&format!("    to run this step alone: cargo xtask test {}", step.name))?;
            failed = 1;
            break;
        }
    }

    say("")?;
    for (name, seconds) in &times {
        say(&format!("{name:<12} {seconds:>8.1} s"))?;
    }
    let skipped = steps.len() - times.len();
    let closing = format!("{} passed, {failed} failed", times.len() - failed);
    say(&if skipped > 0 { format!("{closing}, {skipped} skipped") } else { closing })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a line before the next program prints its own.
fn say(line: &str) -> Result<()> {
    println!("{line}");
    std::io::stdout().flush().context("failed to write to standard output")
}

fn format(repository: &Repository) -> Result<()> {
    command::run(repository.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(repository: &Repository) -> Result<()> {
    // Linting `vrl-tests` would compile the VRL compiler once more, for one file of tests.
    let arguments = [
        "clippy",
        "--workspace",
        "--exclude",
        "vrl-tests",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ];
    command::run(repository.cargo().args(arguments))
}

/// Runs the tests with cargo-nextest, which runs them in parallel across crates and gives each a
/// process of its own. Without it, plain `cargo test` runs the same tests.
fn tests(repository: &Repository) -> Result<()> {
    let selection = ["--workspace", "--all-features", "--locked"];
    if command::works(repository.cargo().args(["nextest", "--version"])) {
        let mut tests = repository.cargo();
        faults::record(repository, tests.args(["nextest", "run"]).args(selection))?;
        command::run(&mut tests)?;
        command::run(repository.cargo().args(["test", "--doc", "--quiet"]).args(selection))
    } else {
        say("note: cargo-nextest is not installed; `cargo test` runs the same tests")?;
        let mut tests = repository.cargo();
        faults::record(repository, tests.args(["test", "--quiet"]).args(selection))?;
        command::run(&mut tests)
    }
}

fn documentation(repository: &Repository) -> Result<()> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--all-features",
        "--document-private-items",
        "--locked",
    ];
    command::run(
        repository
            .cargo()
            .args(arguments)
            .env("RUSTDOCFLAGS", "--allow rustdoc::private_intra_doc_links --deny warnings"),
    )
}

/// Lints the templates, then deploys them to the emulator.
fn templates(repository: &Repository) -> Result<()> {
    command::run(python::lint(repository)?.arg("xtask/templates_check.py"))?;

    let python = python::ensure(repository, Environment::Emulator)?;
    let scratch = Scratch::new(repository, "templates")?;
    let emulator = Emulator::start(repository, scratch.path())?;
    command::run(
        repository
            .command(python.interpreter())
            .arg("xtask/templates_emulator.py")
            .envs(emulator.variables(CENTRAL_ACCOUNT)),
    )
}

/// From a file without AWS, then through the whole pipeline.
fn large_object(repository: &Repository) -> Result<()> {
    memory::run(repository)?;
    demo::run(repository, &DemoOptions { workload: Workload::LargeObject, keep: false })
}

fn demo(repository: &Repository) -> Result<()> {
    let workload = Workload::Mixed { records: DEMO_RECORDS };
    demo::run(repository, &DemoOptions { workload, keep: false })
}
