//! Where messages come from. Loops without rules: what becomes of a message is
//! the engine's decision.

pub mod cursor;
mod hold;
#[cfg(feature = "lambda")]
mod lambda;
mod manual;
pub mod options;
mod probes;
mod progress;
pub mod scan;
mod settle;
mod sqs;
mod wiring;

use tracing::{error, info};

use crate::{
    config::{Config, Mode},
    exit::ExitStatus,
    modes::options::ProcessOptions,
};

/// Runs the engine until its mode is done, and says how that went.
pub async fn run(options: ProcessOptions, config: Config) -> ExitStatus {
    let mode = options.mode.unwrap_or(config.mode);
    if let Err(problem) = options.check(mode) {
        error!("{problem}");
        return ExitStatus::Usage;
    }
    if options.dry_run {
        info!("dry run: nothing is written");
    }
    info!(mode = mode.as_str(), version = env!("CARGO_PKG_VERSION"), "engine started");
    let status = match mode {
        Mode::Manual => Box::pin(manual::run(&options, &config)).await,
        Mode::Sqs => Box::pin(sqs::run(&options, &config)).await,
        Mode::Scan => Box::pin(scan::run(&options, &config)).await,
        #[cfg(feature = "lambda")]
        Mode::Lambda => Box::pin(lambda::run(&config)).await,
        #[cfg(not(feature = "lambda"))]
        Mode::Lambda => {
            error!("this build has no Lambda mode; choose one with --mode or EXECUTION_MODE");
            ExitStatus::Usage
        }
    };
    info!(code = status.code(), "engine stopped");
    status
}
