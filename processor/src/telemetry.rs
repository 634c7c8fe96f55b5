//! Where log lines go and what they look like.
//!
//! They go to standard error: JSON for machines, plain text on a terminal.
//! Standard output belongs to results.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::Mode;

/// Sends log lines of at least `level` to standard error. Only the first call in a process has an effect.
pub fn install(mode: Mode, level: Level) {
    // The libraries below us say a lot that is ours to summarise.
    let levels = Targets::new()
        .with_target("mtlog_processor", level)
        .with_target("log_processor", level)
        .with_default(LevelFilter::WARN);
    let machine = match mode {
        Mode::Lambda => true,
        Mode::Sqs => !io::stderr().is_terminal(),
        Mode::Manual | Mode::Scan => false,
    };
    let registry = tracing_subscriber::registry();
    let installed = if machine {
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(io::stderr);
        registry.with(lines.with_filter(levels)).try_init()
    } else {
        let lines = tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr);
        registry.with(lines.with_filter(levels)).try_init()
    };
    if installed.is_err() {
        tracing::debug!("log lines go where they went before");
    }
}
