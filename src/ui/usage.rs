//! What clap has to say: help and version are data, everything else is a usage error.

use clap::error::ErrorKind;

use crate::error::ExitStatus;

/// Prints clap's text and returns the exit status that goes with it.
pub fn report(error: &clap::Error) -> ExitStatus {
    let status = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitStatus::Success,
        _ => ExitStatus::Usage,
    };
    // clap chooses the stream; a reader that has gone away is no failure of ours.
    drop(error.print());
    status
}
