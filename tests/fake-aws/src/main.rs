//! Runs the fake by itself: prints its endpoint and serves until it is told to stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use fake_aws::FakeAws;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let Ok(address) = address.parse::<SocketAddr>() else {
        return say(ExitCode::from(2), "usage: fake-aws [ADDRESS:PORT]");
    };
    let fake = FakeAws::listen(address);
    let code = say(ExitCode::SUCCESS, &fake.endpoint_url());
    match wait_for_end() {
        Ok(()) => code,
        Err(error) => say(ExitCode::FAILURE, &error.to_string()),
    }
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
