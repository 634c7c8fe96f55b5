//! Runs the engine: the binary of the container image.

use std::{env, io::Write as _, process::ExitCode};

use clap::Parser;
use mtlog_processor::{
    config::Config,
    exit::ExitStatus,
    modes::{self, options::ProcessOptions},
    telemetry,
};

/// Delivers S3 log objects to tenants' CloudWatch Logs.
#[derive(Debug, Parser)]
#[command(name = "log-processor", version, about)]
struct Arguments {
    #[command(flatten)]
    options: ProcessOptions,
}

fn main() -> ExitCode {
    let options = match Arguments::try_parse() {
        Ok(arguments) => arguments.options,
        Err(error) => {
            // Help goes to standard output and is no error; a closed stream changes nothing.
            drop(error.print());
            return if error.use_stderr() { ExitStatus::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let config = match Config::from_env(|name| env::var(name).ok()) {
        Ok(config) => config,
        Err(errors) => {
            for problem in &errors.0 {
                say(&format!("error: {problem}"));
            }
            return ExitStatus::Config.into();
        }
    };
    let _installed = telemetry::install(options.mode.unwrap_or(config.mode), &config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: the runtime does not start: {error}"));
            return ExitStatus::Unexpected.into();
        }
    };
    let status = runtime.block_on(modes::run(options, config));
    // Threads that still wait for input must not keep the process.
    runtime.shutdown_background();
    status.into()
}

fn say(line: &str) {
    // Nobody reads standard error: there is no other place to say so.
    drop(writeln!(std::io::stderr(), "{line}"));
}
