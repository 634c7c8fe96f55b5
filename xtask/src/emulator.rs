//! The AWS emulator on loopback, which cannot outlive this program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The account that runs the pipeline. Both are example numbers from the AWS documentation.
pub(crate) const CENTRAL_ACCOUNT: &str = "111122223333";
/// The account of a customer.
pub(crate) const CUSTOMER_ACCOUNT: &str = "444455556666";
/// The region of everything that runs against the emulator.
pub(crate) const REGION: &str = "us-east-1";

/// A free port can be taken by another program before the emulator has it.
const START_ATTEMPTS: u32 = 3;

/// A running emulator. It stops when this is dropped, and when this program ends in any way.
#[derive(Debug)]
pub(crate) struct Emulator {
    process: Child,
    endpoint: String,
}

impl Emulator {
    /// Starts the emulator on a free port and waits until it answers.
    pub(crate) fn start(repository: &Repository, directory: &Path) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match start_on(repository, directory, 0) {
                Ok(emulator) => return Ok(emulator),
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Returns the URL to give to an AWS client.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the variables that point an AWS client at the emulator, acting in one account.
    pub(crate) fn variables(&self, account: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", account),
            ("AWS_SECRET_ACCESS_KEY", "emulator"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_S3_USE_PATH_STYLE", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Waits for the emulator to end, which it does when Ctrl-C stops it or it fails.
    pub(crate) fn wait(mut self) -> Result<()> {
        let pipe = self.process.stdin.take();
        self.process.wait().context("failed to wait for the emulator")?;
        drop(pipe);
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("warning: failed to wait for the emulator: {error}");
        }
    }
}

/// Runs the emulator in the foreground: `cargo xtask emulator`.
pub(crate) fn run(repository: &Repository, port: Option<u16>) -> Result<()> {
    let scratch = Scratch::new(repository, "emulator")?;
    let emulator = match port {
        Some(port) => start_on(repository, scratch.path(), port)?,
        None => Emulator::start(repository, scratch.path())?,
    };
    println!("# The emulator runs until Ctrl-C. A 12-digit access key id selects the account.");
    print_variables(&emulator.variables(CENTRAL_ACCOUNT));
    emulator.wait()
}

/// Prints variables as shell commands.
pub(crate) fn print_variables(variables: &[(String, String)]) {
    for (name, value) in variables {
        println!("export {name}={value}");
    }
}

/// Starts the emulator on one port; 0 lets it choose.
fn start_on(repository: &Repository, directory: &Path, port: u16) -> Result<Emulator> {
    let python = python::ensure(repository, Environment::Emulator)?;
    let mut process = repository
        .command(python.interpreter())
        .arg(repository.path("xtask/emulator.py"))
        .args(["--account", CENTRAL_ACCOUNT, "--region", REGION])
        .args(["--port", &port.to_string()])
        .arg("--directory")
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start the emulator")?;
    let output = process.stdout.take();
    let mut emulator = Emulator { process, endpoint: String::new() };
    let mut line = String::new();
    // The launcher gives up by itself when the emulator does not answer in time.
    BufReader::new(output.context("the emulator has no output")?)
        .read_line(&mut line)
        .context("failed to read from the emulator")?;
    if line.is_empty() {
        let log = std::fs::read_to_string(directory.join("emulator.log")).unwrap_or_default();
        bail!("the emulator did not start\n{log}");
    }
    let ready: Value = serde_json::from_str(&line)
        .with_context(|| format!("the emulator printed `{}`", line.trim_end()))?;
    ready
        .get("endpoint")
        .and_then(Value::as_str)
        .context("the emulator named no endpoint")?
        .clone_into(&mut emulator.endpoint);
    Ok(emulator)
}
