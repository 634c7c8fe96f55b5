//! How far a long count is: a bar on a terminal, lines where they were asked for, else nothing.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;

/// Redraws a second; more only cost time.
const REDRAWS: u8 = 8;

/// Shows a growing number of records or bytes. It may be moved to the thread that counts; the bar goes away with it.
#[derive(Debug)]
pub struct Counter {
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { every: u64, shown: AtomicU64 },
    Nothing,
}

impl Counter {
    /// Starts at 0 of `total`; `None` has no end. `lines_every` asks for a line per so many records.
    pub fn start(ui: &Ui, total: Option<u64>, lines_every: Option<u64>) -> Self {
        let display = match lines_every {
            Some(every) => Display::Lines { every: every.max(1), shown: AtomicU64::new(0) },
            None if ui.is_animated() => Display::Bar(bar(total)),
            None => Display::Nothing,
        };
        Self { display }
    }

    /// Starts at 0 of `total` bytes that are sent.
    pub fn bytes(ui: &Ui, total: u64) -> Self {
        let display = if ui.is_animated() {
            let template = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
            Display::Bar(styled(ProgressBar::new(total), template))
        } else {
            Display::Nothing
        };
        Self { display }
    }

    /// Starts at 0 of `total` messages.
    pub fn messages(ui: &Ui, total: u64) -> Self {
        let display = if ui.is_animated() {
            let template = "{wide_bar} {human_pos} of {human_len} messages, {per_sec}, {eta} left";
            Display::Bar(styled(ProgressBar::new(total), template))
        } else {
            Display::Nothing
        };
        Self { display }
    }

    /// Shows that `records` were made so far, or so many bytes sent.
    pub fn set(&self, records: u64) {
        match &self.display {
            Display::Bar(bar) => bar.set_position(records),
            Display::Lines { every, shown } => {
                let reached = records / every;
                if shown.swap(reached, Ordering::Relaxed) < reached {
                    // Nobody is left to tell when standard error is gone.
                    drop(writeln!(io::stderr().lock(), "{} records written", reached * every));
                }
            }
            Display::Nothing => {}
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (template, bar) = match total {
        Some(total) => (
            "{wide_bar} {human_pos}/{human_len} records, {per_sec}, {eta} left",
            ProgressBar::new(total),
        ),
        None => ("{spinner} {human_pos} records, {per_sec}", ProgressBar::no_length()),
    };
    styled(bar, template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
    // A template that indicatif cannot read would only lose the figures.
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
