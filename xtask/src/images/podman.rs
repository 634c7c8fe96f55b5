//! podman with a storage of its own, which goes away with everything in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guarded::{self, Finished, Guarded};
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The time that one command may take.
const LIMIT: Duration = Duration::from_mins(5);

/// The host's network, so that no interface is made; a runtime and limits that work inside another container too.
const CONFIGURATION: &str = r#"[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// A podman that shares nothing with the one of this machine's user.
#[derive(Debug)]
pub(crate) struct Podman<'a> {
    repository: &'a Repository,
    scratch: &'a Scratch,
    python: PathBuf,
    configuration: PathBuf,
    storage: PathBuf,
}

impl<'a> Podman<'a> {
    /// Writes the configuration.
    pub(crate) fn new(
        repository: &'a Repository,
        scratch: &'a Scratch,
        python: &Path,
    ) -> Result<Self> {
        let (configuration, storage) =
            (scratch.join("containers.conf"), scratch.join("storage.conf"));
        fs::write(&configuration, CONFIGURATION).context("failed to configure podman")?;
        let (graph, run) = (scratch.join("storage"), scratch.join("run"));
        let places = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            graph.display(),
            run.display()
        );
        fs::write(&storage, places).context("failed to configure podman's storage")?;
        Ok(Self { repository, scratch, python: python.to_owned(), configuration, storage })
    }

    /// Returns what a program needs in its environment to use this podman.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let directory = self.scratch.path().display().to_string();
        [
            ("CONTAINERS_CONF", self.configuration.display().to_string()),
            ("CONTAINERS_STORAGE_CONF", self.storage.display().to_string()),
            ("XDG_RUNTIME_DIR", directory.clone()),
            ("HOME", directory.clone()),
            ("TMPDIR", directory),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Runs one command to its end. `name` is for files and messages.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Result<Finished> {
        guarded::run(
            self.repository,
            &Guarded {
                python: &self.python,
                name,
                program: Path::new("podman"),
                arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
                environment: self.environment(),
                directory: self.scratch.path(),
                limit: LIMIT,
            },
        )
    }

    /// Writes variables into a file that `podman run --env-file` takes.
    pub(crate) fn variables(&self, name: &str, variables: &[(String, String)]) -> Result<String> {
        let file = self.scratch.join(name);
        let lines: String =
            variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(&file, lines).context("failed to write the container's environment")?;
        Ok(file.display().to_string())
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.run("remove", &["rm", "--all", "--force", "--time", "0"]) {
            eprintln!("warning: failed to remove the containers: {error:#}");
        }
    }
}
