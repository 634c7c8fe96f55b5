//! Faults on the emulator, each found by `mtlog doctor` or `mtlog status`: `cargo xtask test doctor`.

use std::time::Duration;

use anyhow::Result;

use crate::emulator::{CENTRAL_ACCOUNT, Emulator};
use crate::guarded::{self, Guarded};
use crate::mtlog::Mtlog;
use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The time that all faults together may take. Far above what they need.
const LIMIT: Duration = Duration::from_mins(10);

/// Deploys to an emulator of its own, and has `doctor_faults.py` break and mend what is there.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let scratch = Scratch::new(repository, "doctor")?;
    let mtlog = Mtlog::build(repository, &scratch)?;
    let emulator = Emulator::start(repository, scratch.path())?;
    let python = python::ensure(repository, Environment::Emulator)?.interpreter();
    let path = |relative: &str| repository.path(relative).display().to_string();
    let finished = guarded::run(
        repository,
        &Guarded {
            python: &python,
            name: "doctor-faults",
            program: &python,
            arguments: vec![
                path("xtask/doctor_faults.py"),
                mtlog.program().display().to_string(),
                path("docs/troubleshooting.md"),
            ],
            environment: mtlog.environment(&emulator.variables(CENTRAL_ACCOUNT)),
            directory: scratch.path(),
            limit: LIMIT,
        },
    )?;
    print!("{}", finished.text()?);
    Ok(())
}
