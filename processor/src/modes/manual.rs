//! One message from standard input, one object, or one file.

use std::path::Path;

use serde::Serialize;
use tokio::io::AsyncReadExt;
use tracing::{error, info};

use crate::{
    config::Config,
    engine::{Engine, Handled, Incoming, Renewal, stop::Stop, verdict::Verdict},
    exit::ExitStatus,
    model::{
        notification::ObjectRef,
        outcome::{Ledger, Outcome, ParkReason, StopReason},
    },
    modes::{
        options::{ProcessOptions, SinkKind},
        progress::Progress,
        wiring,
    },
    shutdown::Signals,
};

/// More than SQS takes in a message.
const MAX_INPUT_BYTES: u64 = 4 * 1024 * 1024;
/// Somebody is watching: what is missing now is missing, and is not waited for.
const RECEIVES: u32 = 2;

pub(super) async fn run(options: &ProcessOptions, config: &Config) -> ExitStatus {
    let wired = match wiring::engine(options, config).await {
        Ok(wired) => wired,
        Err(status) => return status,
    };
    let input = match input(options).await {
        Ok(input) => input,
        Err(status) => return status,
    };
    let stop = Stop::default();
    let progress = Progress::start(options, &wired.meter);
    let work = process(&wired.engine, &input, &stop);
    let handled = tokio::select! {
        handled = work => handled,
        status = interrupted(&stop) => return status,
    };
    if options.sink != SinkKind::Stdout {
        print(&handled, &progress);
    }
    exit_status(&handled)
}

/// What to process.
enum Input {
    Object(ObjectRef),
    Body(String),
}

async fn input(options: &ProcessOptions) -> Result<Input, ExitStatus> {
    if let Some(object) = &options.object {
        return Ok(Input::Object(object.clone()));
    }
    if let Some(path) = &options.file {
        if let Err(error) = tokio::fs::File::open(path).await {
            error!(%error, path = %path.display(), "the file cannot be read");
            return Err(ExitStatus::Usage);
        }
        let Some(key) = options.key.clone().or_else(|| key_of(path)).or_else(|| trial_key(options))
        else {
            error!(
                "the tenant is part of an object's key, and the path of --file is too short to be one: \
                 give --key CLUSTER/NAMESPACE/APPLICATION/POD/FILE"
            );
            return Err(ExitStatus::Usage);
        };
        let Ok(bucket) = "local-file".parse() else { return Err(ExitStatus::Unexpected) };
        return Ok(Input::Object(ObjectRef::new(bucket, key)));
    }
    let mut body = String::new();
    let read = tokio::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut body).await;
    match read {
        Err(error) => {
            error!(%error, "standard input is not readable as text");
            Err(ExitStatus::Data)
        }
        Ok(_) if body.trim().is_empty() => {
            error!("standard input is empty: give a message there, or --object, or --file");
            Err(ExitStatus::Usage)
        }
        Ok(_) => Ok(Input::Body(body)),
    }
}

/// Returns the last five segments of a path: those of an object's key.
fn key_of(path: &Path) -> Option<String> {
    let segments: Vec<&str> = path.iter().filter_map(|segment| segment.to_str()).collect();
    let last = segments.get(segments.len().checked_sub(5)?..)?;
    Some(last.join("/"))
}

/// Returns a key for a file that is only decoded: its messages go to standard output, whoever the tenant is.
fn trial_key(options: &ProcessOptions) -> Option<String> {
    let name = options.file.as_ref()?.file_name()?.to_str()?;
    (options.sink == SinkKind::Stdout).then(|| format!("local/local/local/local/{name}"))
}

async fn process(engine: &Engine, input: &Input, stop: &Stop) -> Handled {
    match input {
        Input::Object(object) => engine.handle_object(object, stop).await,
        Input::Body(body) => {
            let sent_ms = engine.now_ms();
            let incoming = Incoming {
                id: "manual",
                body,
                receives: RECEIVES,
                sent_ms,
                max_receives: None,
                renewal: Renewal::Never,
            };
            engine.handle(&incoming, stop).await
        }
    }
}

/// Waits for two signals: the first stops the work, the second ends the process.
async fn interrupted(stop: &Stop) -> ExitStatus {
    let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
    let name = signals.next().await;
    info!(signal = name, "stopping; a second signal ends at once");
    stop.stop(StopReason::Shutdown);
    signals.next().await;
    ExitStatus::Interrupted
}

/// Returns how to end after `handled`.
pub(super) fn exit_status(handled: &Handled) -> ExitStatus {
    let complete = handled.results.iter().all(|result| {
        let ledger = result.ledger();
        ledger.delivered + ledger.filtered == ledger.read
    });
    let systemic =
        handled.results.iter().any(|result| matches!(result.outcome, Outcome::Systemic(_)));
    match &handled.verdict {
        Verdict::Ack if complete => ExitStatus::Ok,
        Verdict::Ack | Verdict::Bury => ExitStatus::Data,
        Verdict::Retry { .. } if systemic => ExitStatus::Refused,
        Verdict::Retry { .. } | Verdict::Leave => ExitStatus::Transient,
        Verdict::Park { reason, .. } => match reason {
            ParkReason::RoleDenied
            | ParkReason::WriteDenied
            | ParkReason::ReadDenied
            | ParkReason::RegionDisabled => ExitStatus::Refused,
            ParkReason::UnknownTenant
            | ParkReason::InvalidItem
            | ParkReason::LimitExceeded
            | ParkReason::InvalidDestination
            | ParkReason::DestinationMissing => ExitStatus::Data,
        },
    }
}

/// One line of the result.
#[derive(Serialize)]
struct Line<'a> {
    object: Option<String>,
    tenant: Option<String>,
    destination: Option<String>,
    outcome: &'a str,
    detail: Option<&'a str>,
    #[serde(flatten)]
    ledger: Ledger,
}

/// Prints one line of JSON for each object and destination.
pub(super) fn print(handled: &Handled, progress: &Progress) {
    for result in &handled.results {
        let line = Line {
            object: result
                .object
                .as_ref()
                .map(|object| format!("s3://{}/{}", object.bucket, object.key)),
            tenant: result.tenant.as_ref().map(ToString::to_string),
            destination: result.destination.map(|kind| kind.to_string()),
            outcome: result.outcome.as_str(),
            detail: result.detail.as_deref(),
            ledger: result.ledger(),
        };
        let text = serde_json::to_string(&line).unwrap_or_default();
        if let Err(error) = progress.print(&text) {
            error!(%error, "standard output is closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_end_of_a_path() {
        for (path, key) in [
            ("/data/c/t/a/p/f.json.gz", Some("c/t/a/p/f.json.gz")),
            ("c/t/a/p/f.json.gz", Some("c/t/a/p/f.json.gz")),
            ("t/a/p/f.json.gz", None),
            ("f", None),
        ] {
            assert_eq!(key_of(Path::new(path)).as_deref(), key, "{path}");
        }
    }
}
