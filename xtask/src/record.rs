//! Records terminal sessions of real runs as moving pictures: `docs/deploy.svg` and `docs/deploy-failed.svg`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The account in the pictures.
const ACCOUNT: &str = "111111111111";
const REGION: &str = "us-east-2";
/// How long a step of the stand-in takes: a whole deployment is then over in some ten seconds.
const STEP_MS: &str = "130";
/// The terminal's size.
const SIZE: [&str; 2] = ["100", "26"];
/// What fails in the second picture, in the words of CloudFormation.
const FAILURE: &str = "LogDeliveryQueue=You must wait 60 seconds after deleting a queue before you can create another \
                       with the same name. (Service: Sqs, Status Code: 400)";

/// Records both sessions.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let build = ["build", "--locked", "--package", "mtlog", "--bins", "--example", "stand_in"];
    command::run(repository.cargo().args(build))?;
    record(repository, "docs/deploy.svg", None)?;
    record(repository, "docs/deploy-failed.svg", Some(FAILURE))
}

fn record(repository: &Repository, output: &str, failure: Option<&str>) -> Result<()> {
    let scratch = Scratch::new(repository, "record")?;
    let fake = Fake::start(repository, failure)?;
    let program = repository.target().join("debug/mtlog").display().to_string();
    let deploy = ["deploy", "global", "regional", "--include-sqs", "-y"];
    command::run(
        repository
            .command("python3")
            .arg(repository.path("xtask/record.py"))
            .arg(repository.path(output))
            .args(SIZE)
            .arg(format!("mtlog {}", deploy.join(" ")))
            .args(["--", &program])
            .args(deploy)
            .current_dir(scratch.path())
            .env("HOME", scratch.path())
            .env("AWS_ENDPOINT_URL", &fake.endpoint)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "recording")
            .env("AWS_REGION", REGION)
            .env("AWS_S3_USE_PATH_STYLE", "true")
            .env_remove("CI"),
    )
}

/// The stand-in for AWS, as long as this lives.
struct Fake {
    process: Child,
    endpoint: String,
}

impl Fake {
    fn start(repository: &Repository, failure: Option<&str>) -> Result<Self> {
        let mut command = Command::new(repository.target().join("debug/examples/stand_in"));
        command.arg(STEP_MS).args(failure).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("failed to start the stand-in for AWS")?;
        let output = process.stdout.take();
        let mut fake = Self { process, endpoint: String::new() };
        BufReader::new(output.context("the stand-in has no output")?)
            .read_line(&mut fake.endpoint)
            .context("failed to read from the stand-in")?;
        fake.endpoint.truncate(fake.endpoint.trim_end().len());
        if fake.endpoint.is_empty() {
            bail!("the stand-in for AWS did not start");
        }
        Ok(fake)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("warning: failed to wait for the stand-in for AWS: {error}");
        }
    }
}
