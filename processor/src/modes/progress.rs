//! Shows on a terminal how far an attended run has come.
//!
//! A run that writes to a file, to a pipe or into CI's log shows no bar: the log lines
//! say the same there.

use std::{
    io::{self, IsTerminal, Write as _},
    sync::Arc,
    time::Duration,
};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use crate::{
    metrics::{Meter, Metric},
    modes::options::{ProcessOptions, SinkKind},
    telemetry,
};

/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{spinner} {elapsed} [{wide_bar}] {bytes} of {total_bytes} read, {msg}";

/// A bar for as long as it lives.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    _drawing: JoinSet<()>,
}

impl Progress {
    /// Starts a bar over what `meter` counts.
    pub(super) fn start(options: &ProcessOptions, meter: &Arc<Meter>) -> Self {
        let lines_to_terminal = options.sink == SinkKind::Stdout && io::stdout().is_terminal();
        let mut drawing = JoinSet::new();
        if !io::stderr().is_terminal() || lines_to_terminal {
            return Self { bar: ProgressBar::hidden(), _drawing: drawing };
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        telemetry::keep_clear_of(Some(bar.clone()));
        let (drawn, meter) = (bar.clone(), Arc::clone(meter));
        drawing.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                draw(&drawn, &meter);
            }
        });
        Self { bar, _drawing: drawing }
    }

    /// Prints a line of the result beside the bar.
    pub(super) fn print(&self, line: &str) -> io::Result<()> {
        self.bar.suspend(|| writeln!(io::stdout(), "{line}"))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        telemetry::keep_clear_of(None);
        self.bar.finish_and_clear();
    }
}

fn draw(bar: &ProgressBar, meter: &Meter) {
    bar.set_length(meter.get(Metric::BytesOpened, ""));
    bar.set_position(meter.get(Metric::BytesCompressed, ""));
    bar.set_message(summary(meter));
    bar.tick();
}

fn summary(meter: &Meter) -> String {
    let sent = HumanBytes(meter.get(Metric::BytesSent, ""));
    let objects = meter.total(Metric::Objects);
    if objects == 0 {
        return format!("{sent} delivered");
    }
    let records = HumanCount(meter.get(Metric::Records, "delivered"));
    format!("{sent} delivered, done with {} objects and {records} records", HumanCount(objects))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_what_the_meter_counts() {
        let meter = Meter::default();
        meter.add(Metric::BytesOpened, "", 4096);
        meter.add(Metric::BytesCompressed, "", 1024);
        meter.add(Metric::BytesSent, "", 3 * 1024 * 1024);
        assert_eq!(summary(&meter), "3.00 MiB delivered");
        meter.add(Metric::Objects, "delivered", 2);
        meter.add(Metric::Objects, "object_gone", 1);
        meter.add(Metric::Records, "delivered", 12_345);
        let bar = ProgressBar::hidden();
        draw(&bar, &meter);
        assert_eq!((bar.position(), bar.length()), (1024, Some(4096)));
        assert_eq!(bar.message(), "3.00 MiB delivered, done with 3 objects and 12,345 records");
    }
}
