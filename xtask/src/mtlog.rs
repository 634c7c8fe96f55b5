//! The `mtlog` binary and the engine alone, built once and run under guard in a clean environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guarded::{self, Finished, Guarded};
use crate::python::{self, Environment};
use crate::repository::{self, Repository};
use crate::scratch::Scratch;
use crate::static_binary::ENGINE;

/// The time that the build may take, from nothing and beside other work.
const BUILD_LIMIT: Duration = Duration::from_mins(60);
/// The time that any one command may take. Far above what it needs, far below CI's limit.
const LIMIT: Duration = Duration::from_mins(15);

/// The binary and where it runs.
#[derive(Debug)]
pub(crate) struct Mtlog<'a> {
    repository: &'a Repository,
    scratch: &'a Scratch,
    program: PathBuf,
    engine: PathBuf,
    python: PathBuf,
}

impl<'a> Mtlog<'a> {
    /// Builds both. Commands will run in the scratch directory.
    pub(crate) fn build(repository: &'a Repository, scratch: &'a Scratch) -> Result<Self> {
        let python = python::ensure(repository, Environment::Emulator)?.interpreter();
        println!("building mtlog");
        let manifest = repository.path("Cargo.toml").display().to_string();
        let build = Guarded {
            python: &python,
            name: "build",
            program: &repository::cargo(),
            // The same features as in the tests, so that nothing is compiled twice.
            arguments: ["build", "--locked", "--workspace", "--all-features"]
                .into_iter()
                .chain(["--bin", "mtlog", "--bin", ENGINE.name, "--manifest-path", &manifest])
                .map(str::to_owned)
                .collect(),
            environment: repository::cargo_environment().collect(),
            directory: scratch.path(),
            limit: BUILD_LIMIT,
        };
        guarded::run(repository, &build).context("failed to build mtlog")?;
        let built = |name: &str| {
            repository
                .target()
                .join("debug")
                .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
        };
        let (program, engine) = (built("mtlog"), built(ENGINE.name));
        Ok(Self { repository, scratch, program, engine, python })
    }

    /// Runs the engine alone, as images hold it. Like [`Mtlog::run`].
    pub(crate) fn run_engine(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Result<Finished> {
        self.run_program(&self.engine, name, arguments, variables)
    }

    /// Runs one command with nothing in its environment but the given variables.
    ///
    /// `name` is for files and messages. The home directory and the current directory are the
    /// scratch directory, so no profile and no `.env` of the person who runs this is read.
    pub(crate) fn run(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Result<Finished> {
        self.run_program(&self.program, name, arguments, variables)
    }

    /// Returns the binary, for what starts it by itself.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the whole environment of a command that gets the given variables.
    pub(crate) fn environment(&self, variables: &[(String, String)]) -> Vec<(String, String)> {
        let mut environment = variables.to_vec();
        environment.push(("HOME".to_owned(), self.scratch.path().display().to_string()));
        environment.push(("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()));
        environment
    }

    fn run_program(
        &self,
        program: &Path,
        name: &str,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Result<Finished> {
        guarded::run(
            self.repository,
            &Guarded {
                python: &self.python,
                name,
                program,
                arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
                environment: self.environment(variables),
                directory: self.scratch.path(),
                limit: LIMIT,
            },
        )
    }
}
