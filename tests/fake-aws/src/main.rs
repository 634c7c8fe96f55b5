//! Runs the fake by itself: prints its endpoint and serves until it is told to stop.
//!
//! `fake-aws [ADDRESS:PORT] [messages|hashes|counts|bytes]`: the second argument is how much of the
//! accepted log events is kept, for measurements; `bytes` does not even parse them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use fake_aws::{FakeAws, KeepEvents};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let Some((address, keep)) = read_arguments() else {
        let usage = "usage: fake-aws [ADDRESS:PORT] [messages|hashes|counts|bytes]";
        return say(ExitCode::from(2), usage);
    };
    let fake = FakeAws::listen(address);
    fake.configure_logs(|settings| settings.keep = keep);
    let code = say(ExitCode::SUCCESS, &fake.endpoint_url());
    match wait_for_end() {
        Ok(()) => code,
        Err(error) => say(ExitCode::FAILURE, &error.to_string()),
    }
}

fn read_arguments() -> Option<(SocketAddr, KeepEvents)> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse().ok()?;
    let keep = match arguments.next().as_deref() {
        None | Some("messages") => KeepEvents::Messages,
        Some("hashes") => KeepEvents::Hashes,
        Some("counts") => KeepEvents::Counts,
        Some("bytes") => KeepEvents::OnlyCountBytes,
        Some(_) => return None,
    };
    arguments.next().is_none().then_some((address, keep))
}

/// Writes a line, which nobody may be there to read.
fn say(code: ExitCode, line: &str) -> ExitCode {
    let mut output = std::io::stdout();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn wait_for_end() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _signal = terminate.recv() => {}
            _signal = interrupt.recv() => {}
        }
        Ok(())
    })
}
