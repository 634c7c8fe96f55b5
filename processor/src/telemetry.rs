//! Where log lines go and what they look like.
//!
//! They go to standard error: JSON for machines, plain text on a terminal.
//! Standard output belongs to results.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use indicatif::ProgressBar;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{
    Layer,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{Config, Mode};

/// Spans of this target are traced, and appear in no log line.
pub(crate) const TRACES: &str = "mtlog_traces";

/// How many lines wait for a reader that is slow.
const LINES_AHEAD: usize = 8192;
/// How long the end of the process waits for lines that are not written yet.
const LAST_LINES_TIME: Duration = Duration::from_secs(2);

/// Writes the last lines, and sends the last spans, when it is dropped.
#[derive(Debug)]
#[must_use = "what is not written yet is lost without it"]
pub struct Installed {
    // Dropped first: the exporter may have something to say.
    #[cfg(feature = "traces")]
    _spans: Option<crate::traces::LastSpans>,
    _lines: LastLines,
}

#[derive(Debug)]
struct LastLines(Option<SyncSender<Item>>);

impl Drop for LastLines {
    fn drop(&mut self) {
        let Some(items) = self.0.take() else { return };
        let (written, all_written) = sync_channel(1);
        if items.try_send(Item::End(written)).is_ok() {
            match all_written.recv_timeout(LAST_LINES_TIME) {
                // Nobody reads, or nobody can: the process ends all the same.
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

/// Sends log lines to standard error, and spans to the collector. Only the first call in a process has an effect.
///
/// An engine that reads a queue does not wait for whoever reads its lines: when they come too fast they are dropped,
/// and counted in a line of their own.
pub fn install(mode: Mode, config: &Config) -> Installed {
    let level = config.log_level;
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
    let (writer, last_lines) = match mode {
        Mode::Sqs => background(),
        // Lambda freezes the process between two invocations, and a person waits for the other modes.
        Mode::Lambda => (BoxMakeWriter::new(io::stderr), LastLines(None)),
        Mode::Manual | Mode::Scan => (BoxMakeWriter::new(BesideBar::default), LastLines(None)),
    };
    #[cfg(feature = "traces")]
    let (spans, last_spans) = span_layer(config);
    #[cfg(not(feature = "traces"))]
    let spans = None::<tracing_subscriber::layer::Identity>;
    // Without this, spans that no layer wants would be made and kept all the same.
    let wanted = if spans.is_some() {
        levels.clone().with_target(TRACES, LevelFilter::INFO)
    } else {
        levels.clone()
    };
    let registry = tracing_subscriber::registry().with(wanted).with(spans);
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let installed = if machine {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer);
        registry.with(lines.with_filter(levels)).try_init()
    } else {
        let lines = lines.compact().with_ansi(io::stderr().is_terminal()).with_writer(writer);
        registry.with(lines.with_filter(levels)).try_init()
    };
    if installed.is_err() {
        tracing::debug!("log lines go where they went before");
    }
    #[cfg(not(feature = "traces"))]
    if config.collector.is_some() {
        tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT has no effect: this build has no traces");
    }
    Installed {
        #[cfg(feature = "traces")]
        _spans: last_spans,
        _lines: last_lines,
    }
}

#[cfg(feature = "traces")]
fn span_layer<S>(
    config: &Config,
) -> (Option<impl Layer<S> + use<S>>, Option<crate::traces::LastSpans>)
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let Some(address) = config.collector.clone() else { return (None, None) };
    let only_spans = Targets::new().with_target(TRACES, LevelFilter::INFO);
    match crate::traces::to_collector(address) {
        Ok((layer, last)) => (Some(layer.with_filter(only_spans)), Some(last)),
        // Traces are worth less than the delivery that they are about.
        Err(_) => (None, None),
    }
}

/// The bar that lines must not be written into.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Has log lines written above `bar` from now on.
pub(crate) fn keep_clear_of(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// One line, written to standard error at once, above the bar if there is one.
#[derive(Debug, Default)]
struct BesideBar(Vec<u8>);

impl Write for BesideBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BesideBar {
    fn drop(&mut self) {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // There is nowhere to say that standard error is closed.
        let write = || drop(io::stderr().write_all(&self.0));
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// What the writing thread gets.
#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Everything before it is to be written; then the sender is told.
    End(SyncSender<()>),
}

/// Starts a thread that writes lines to standard error.
fn background() -> (BoxMakeWriter, LastLines) {
    let (items, received) = sync_channel(LINES_AHEAD);
    let dropped = Arc::new(AtomicU64::new(0));
    let lines = Lines { items: items.clone(), dropped: Arc::clone(&dropped) };
    let thread = std::thread::Builder::new().name("log lines".to_owned());
    match thread.spawn(move || write_lines(&received, &dropped, &mut io::stderr())) {
        Ok(_) => (BoxMakeWriter::new(lines), LastLines(Some(items))),
        Err(_) => (BoxMakeWriter::new(io::stderr), LastLines(None)),
    }
}

fn write_lines(received: &Receiver<Item>, dropped: &AtomicU64, output: &mut impl Write) {
    while let Ok(item) = received.recv() {
        match item {
            // There is nowhere to say that standard error is closed.
            Item::Line(line) => drop(output.write_all(&line)),
            Item::End(written) => drop(written.send(())),
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let line = format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines dropped: nobody reads them in time\",\"lines\":{lost}}}\n"
            );
            drop(output.write_all(line.as_bytes()));
        }
    }
}

/// Hands whole lines to the writing thread, or drops them.
#[derive(Debug)]
struct Lines {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, text: Vec::new() }
    }
}

/// One line on its way.
#[derive(Debug)]
struct Line<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        match self.lines.items.try_send(Item::Line(std::mem::take(&mut self.text))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lines.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_not_even_made() {
        let config = Config::from_env(|_| None).unwrap();
        let _installed = install(Mode::Lambda, &config);
        assert!(tracing::enabled!(target: "mtlog_processor", tracing::Level::INFO));
        assert!(tracing::enabled!(target: "hyper", tracing::Level::WARN));
        assert!(tracing::info_span!(target: "aws_smithy_runtime", "call").is_disabled());
        assert!(tracing::info_span!(target: TRACES, "object").is_disabled());
    }

    #[test]
    fn lines_that_nobody_reads_in_time_are_dropped_and_counted() {
        let (items, received) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines { items, dropped: Arc::clone(&dropped) };
        for number in 0..5 {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        drop(lines);
        let mut output = Vec::new();
        write_lines(&received, &dropped, &mut output);
        let text = String::from_utf8(output).unwrap();
        assert!(text.starts_with("line 0\n{"), "{text}");
        assert!(text.contains("\"lines\":3"), "{text}");
        assert!(text.ends_with("line 1\n"), "{text}");
    }
}
