//! Python environments under the target directory, pinned by hash.
//!
//! Each has its list in `xtask/requirements/NAME.txt`, made from `NAME.in` by
//! `pip-compile --generate-hashes --strip-extras --allow-unsafe --no-header
//! --no-emit-index-url --no-emit-find-links`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::repository::Repository;

/// The oldest Python that the pinned lists were resolved for.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// One set of Python packages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Environment {
    /// The AWS emulator and an AWS client.
    Emulator,
    /// The linters of templates and manifests.
    Lint,
    /// checkov, which holds back what it shares with the other linters.
    Checkov,
}

impl Environment {
    fn name(self) -> &'static str {
        match self {
            Self::Emulator => "emulator",
            Self::Lint => "lint",
            Self::Checkov => "checkov",
        }
    }
}

/// An environment that is completely installed.
#[derive(Debug)]
pub(crate) struct Python {
    /// The directory with the interpreter and the installed programs.
    pub(crate) programs: PathBuf,
}

impl Python {
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.programs.join("python")
    }
}

/// Installs an environment unless it is there, and returns it.
///
/// The directory's name holds a hash of the list, so a changed list gets a new one. The
/// stamp is written last: without it, the directory is the rest of a broken installation.
pub(crate) fn ensure(repository: &Repository, environment: Environment) -> Result<Python> {
    let name = environment.name();
    let list = repository.path(&format!("xtask/requirements/{name}.txt"));
    let content =
        fs::read(&list).with_context(|| format!("failed to read `{}`", list.display()))?;
    let version = check_python(repository)?;

    let parent = repository.target().join("python");
    fs::create_dir_all(&parent)
        .with_context(|| format!("failed to create `{}`", parent.display()))?;
    let directory = parent.join(format!("{name}-{:016x}", key(&content, &version)));
    let stamp = directory.join("installed");
    let python = Python { programs: directory.join("bin") };

    // Held until the function returns, so that two tasks do not install into one directory.
    let lock = File::create(parent.join(format!("{name}.lock")))
        .context("failed to create the lock file")?;
    lock.lock().context("failed to lock the Python environments")?;
    if stamp.exists() {
        return Ok(python);
    }
    println!("installing the Python packages of `{name}` into {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("failed to remove `{}`", directory.display()))?;
    }
    command::run(repository.command("python3").args(["-m", "venv"]).arg(&directory)).context(
        "failed to create a Python environment (on Debian, it needs the package `python3-venv`)",
    )?;
    command::run(
        repository
            .command(python.interpreter())
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
                "--require-hashes",
                "--requirement",
            ])
            .arg(&list),
    )?;
    fs::write(&stamp, "").context("failed to mark the Python environment as complete")?;
    Ok(python)
}

/// Returns a Python that has the linters, with checkov on its path.
pub(crate) fn lint(repository: &Repository) -> Result<Command> {
    let lint = ensure(repository, Environment::Lint)?;
    let checkov = ensure(repository, Environment::Checkov)?;
    let mut path = vec![lint.programs.clone(), checkov.programs];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = repository.command(lint.interpreter());
    command.env("PATH", std::env::join_paths(path)?);
    Ok(command)
}

/// Returns the version of the `python3` on the path, if it is new enough.
fn check_python(repository: &Repository) -> Result<String> {
    let version = command::output(
        repository
            .command("python3")
            .args(["-c", "import platform; print(platform.python_version())"]),
    )
    .context("Python 3 is needed")?;
    let version = version.trim();
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST_PYTHON {
        bail!(
            "Python {}.{} or newer is needed; `python3` is {version}",
            OLDEST_PYTHON.0,
            OLDEST_PYTHON.1
        );
    }
    Ok(version.to_owned())
}

/// A short name for a list of packages. Not a defence: pip checks each package's SHA-256.
fn key(list: &[u8], python_version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    python_version.hash(&mut hasher);
    hasher.finish()
}
