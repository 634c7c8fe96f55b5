//! Runs the stand-in for AWS at the pace of a real deployment, for recordings: prints its endpoint and serves until
//! standard input ends.
//!
//! `stand_in MILLISECONDS [RESOURCE=REASON]`: how long a step of the work on a stack takes, and what fails.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use fake_aws::{
    FakeAws,
    cloudformation::{During, Pace, PlannedFailure},
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(step) = arguments.next().and_then(|text| text.parse().ok()) else {
        return ExitCode::from(64);
    };
    let fake = FakeAws::start_blocking();
    let cloudformation = fake.cloudformation();
    cloudformation.set_pace(Pace::Every(Duration::from_millis(step)));
    if let Some((resource, reason)) =
        arguments.next().as_deref().and_then(|failure| failure.split_once('='))
    {
        cloudformation.fail(PlannedFailure::new(resource, reason).during(During::Create));
    }
    let mut output = io::stdout();
    let told = writeln!(output, "{}", fake.endpoint_url()).and_then(|()| output.flush());
    // Whoever started this holds the other end of the pipe.
    let ended = told.and_then(|()| io::stdin().read_to_end(&mut Vec::new()));
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
