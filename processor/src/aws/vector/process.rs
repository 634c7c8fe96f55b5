//! Runs Vector for one batch, and believes only its metrics.

use std::{fs, io, path::Path, process::Stdio, time::Duration};

use aws_credential_types::Credentials;
use serde_json::Value;
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::tally::{Standing, Tally};
use crate::{
    config::VectorSettings,
    model::ids::Region,
    ports::{Clock, FaultClass},
};

/// How long one batch may take in all.
const LIMIT: Duration = Duration::from_secs(150);
/// How long to listen to a process that has been ended.
const ECHO: Duration = Duration::from_secs(1);
/// How much of what Vector says is kept, in bytes: the end says why.
const SAID_BYTES: usize = 2048;

/// One batch.
pub(super) struct Job<'a> {
    pub(super) settings: &'a VectorSettings,
    pub(super) configuration: Value,
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a Region,
    /// How many events there are.
    pub(super) events: u64,
    /// The events, one on each line.
    pub(super) lines: Vec<u8>,
}

/// Vector has not proved that it sent everything.
#[derive(Debug, Error)]
pub enum VectorError {
    /// The configuration could not be written.
    #[error("failed to write a configuration for Vector")]
    Configuration(#[source] io::Error),
    /// The program could not be started.
    #[error("failed to start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program does not say its version.
    #[error("`{program} --version` says `{said}`, which is no version of Vector")]
    Version {
        /// The program.
        program: String,
        /// What it says.
        said: String,
    },
    /// Its metrics do not say that every event was sent.
    #[error(
        "Vector {ended} after sending {sent} of {events} events and dropping {dropped}; it says: {said}"
    )]
    Unproved {
        /// How it came to its end.
        ended: String,
        /// What it counted as sent.
        sent: u64,
        /// How many there were.
        events: u64,
        /// What it counted as dropped.
        dropped: u64,
        /// The end of its standard error.
        said: String,
    },
}

impl VectorError {
    /// Returns how to treat it. A request whose answer was lost may have had its effect.
    pub(super) const fn class(&self) -> FaultClass {
        match self {
            Self::Configuration(_) | Self::Start { .. } | Self::Version { .. } => {
                FaultClass::Unavailable
            }
            Self::Unproved { .. } => FaultClass::Ambiguous,
        }
    }
}

/// Asks the program for its version, such as `0.58.0`.
pub async fn version(settings: &VectorSettings) -> Result<String, VectorError> {
    let output = command(settings)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|source| start_error(settings, source))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = said.split_whitespace();
    match (words.next(), words.next()) {
        (Some("vector"), Some(version)) => Ok(version.to_owned()),
        _ => {
            let said = tail(said.as_bytes());
            Err(VectorError::Version { program: settings.program.clone(), said })
        }
    }
}

/// Sends a batch. Whatever happens, the process has ended and its directory is gone afterwards.
pub(super) async fn send(job: Job<'_>, clock: &dyn Clock) -> Result<(), VectorError> {
    let directory = tempfile::Builder::new()
        .prefix("mtlog-vector-")
        .tempdir()
        .map_err(VectorError::Configuration)?;
    let path = directory.path().join("vector.json");
    let configuration = with_data_directory(job.configuration, directory.path());
    fs::write(&path, configuration).map_err(VectorError::Configuration)?;

    let mut child = command(job.settings)
        .arg("--config")
        .arg(&path)
        .env("AWS_REGION", job.region.as_str())
        .env("AWS_ACCESS_KEY_ID", job.credentials.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", job.credentials.secret_access_key())
        .envs(job.credentials.session_token().map(|token| ("AWS_SESSION_TOKEN", token)))
        .env("VECTOR_LOG", "warn")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| start_error(job.settings, source))?;

    let mut tally = Tally::default();
    let mut said = Vec::new();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let fed = async {
            feed(stdin, &job.lines).await;
            std::future::pending::<()>().await;
        };
        let in_time = tokio::select! {
            () = count(&mut child, stdout, job.events, &mut tally) => true,
            () = fed => true,
            () = clock.sleep(LIMIT) => false,
        };
        end(child, in_time).await
    };
    let listening = listen(stderr, &mut said);
    let ended = with_echo(work, listening, clock).await;

    if tally.standing(job.events) == Standing::Sent {
        return Ok(());
    }
    Err(VectorError::Unproved {
        ended,
        sent: tally.sent(),
        events: job.events,
        dropped: tally.discarded(),
        said: tail(&said),
    })
}

/// Reads what the process has counted, until the batch is settled or the process has ended.
async fn count(child: &mut Child, stdout: Option<ChildStdout>, events: u64, tally: &mut Tally) {
    if let Some(stdout) = stdout {
        let mut output = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = output.next_line().await {
            tally.note(&line);
            if tally.standing(events) != Standing::Open {
                return;
            }
        }
    }
    // The output has ended, so the process is about to.
    let _status = child.wait().await;
}

/// Ends the process, and says how it came to its end. All is sent, or nothing more is to be hoped for; its metrics would
/// keep it running for ever.
async fn end(mut child: Child, in_time: bool) -> String {
    let ended = match child.try_wait() {
        Ok(Some(status)) => format!("ended with {status}"),
        Ok(None) | Err(_) if in_time => "was stopped".to_owned(),
        Ok(None) | Err(_) => format!("was stopped after {} s", LIMIT.as_secs()),
    };
    // A process that cannot be killed has ended.
    let _killed = child.kill().await;
    ended
}

/// Does the work while listening, and listens a moment longer: what was said last is read, whoever else may hold the pipe.
async fn with_echo<T>(
    work: impl Future<Output = T>,
    listening: impl Future<Output = ()>,
    clock: &dyn Clock,
) -> T {
    tokio::pin!(work, listening);
    let mut listens = true;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = &mut listening, if listens => listens = false,
        }
    };
    if listens {
        tokio::select! {
            () = listening => {}
            () = clock.sleep(ECHO) => {}
        }
    }
    done
}

/// Writes the events and ends the input. A process that does not read has a reason, which its output says.
async fn feed(stdin: Option<ChildStdin>, lines: &[u8]) {
    let Some(mut stdin) = stdin else { return };
    let _written = stdin.write_all(lines).await;
    let _ended = stdin.shutdown().await;
}

/// Keeps the end of what the process says.
async fn listen(stderr: Option<ChildStderr>, said: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut chunk = [0; 1024];
    while let Ok(length) = stderr.read(&mut chunk).await {
        if length == 0 {
            return;
        }
        said.extend_from_slice(chunk.get(..length).unwrap_or_default());
        let surplus = said.len().saturating_sub(SAID_BYTES);
        said.drain(..surplus);
    }
}

fn command(settings: &VectorSettings) -> Command {
    let mut command = Command::new(&settings.program);
    command.env_clear().kill_on_drop(true);
    command.envs(settings.environment.iter().map(|(name, value)| (*name, value)));
    command
}

fn start_error(settings: &VectorSettings, source: io::Error) -> VectorError {
    VectorError::Start { program: settings.program.clone(), source }
}

fn with_data_directory(mut configuration: Value, directory: &Path) -> String {
    if let Some(parts) = configuration.as_object_mut() {
        parts.insert("data_dir".to_owned(), Value::from(directory.to_string_lossy().into_owned()));
    }
    configuration.to_string()
}

/// Returns the end of a text on one line.
fn tail(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(
        said.get(said.len().saturating_sub(SAID_BYTES)..).unwrap_or_default(),
    );
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(" | ") }
}
