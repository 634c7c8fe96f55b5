//! The only user of the terminal. Data goes to standard output, once; everything else goes to standard error.

pub mod counter;
pub mod error;
pub mod plan;
pub mod progress;
pub mod prompt;
pub mod qr;
pub mod style;
pub mod table;
pub mod usage;
pub mod waiting;
pub mod watched;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    config::environment::Environment,
    error::{CliError, ExitStatus},
    ui::{style::Palette, table::Table},
};

/// The form of the data on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document with `"schema": 1`.
    Json,
    /// For programs that watch: one JSON record a line, as things happen.
    Ndjson,
}

/// The form of the records of `--output ndjson`; it changes when an old reader would misread a record.
const RECORDS_SCHEMA: &str = "mtlog.events/1";

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors, warnings and questions.
    Quiet,
    /// Also what happens.
    Normal,
    /// Also why, and what nobody asked for.
    Verbose,
}

/// What a command's result must be able to do: be a table for people, and JSON for programs.
pub trait Report: Serialize {
    /// Returns the tables that people see, printed with an empty line between them.
    fn tables(&self) -> Vec<Table>;

    /// Returns everything that people see. Only what is more than tables says more here.
    fn text(&self, palette: Palette) -> String {
        let tables: Vec<String> = self.tables().iter().map(|table| table.render(palette)).collect();
        tables.join("\n")
    }
}

/// The terminal.
#[derive(Debug)]
pub struct Ui {
    output: OutputFormat,
    verbosity: Verbosity,
    /// For standard output.
    data_palette: Palette,
    /// For standard error.
    palette: Palette,
    interactive: bool,
    animated: bool,
    /// Whether what is on standard output may be painted over.
    replaces: bool,
    /// The display that moves at the foot of the screen, while there is one.
    moving: Mutex<Option<ProgressBar>>,
    /// Whether the first record, which names the schema, is out.
    introduced: AtomicBool,
}

impl Ui {
    /// Looks at the streams and decides how to talk.
    pub fn new(display: &crate::cli::DisplayArgs, environment: &Environment) -> Self {
        let plain_terminal = environment.get("TERM") == Some("dumb");
        let colours = |terminal: bool| match display.color {
            ColorChoice::Always => Palette::Colour,
            ColorChoice::Never => Palette::Plain,
            ColorChoice::Auto if environment.get("NO_COLOR").is_some() || plain_terminal => {
                Palette::Plain
            }
            ColorChoice::Auto if terminal => Palette::Colour,
            ColorChoice::Auto => Palette::Plain,
        };
        let (error_terminal, input_terminal) =
            (io::stderr().is_terminal(), io::stdin().is_terminal());
        let verbosity = match (display.quiet, display.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        Self {
            output: display.output,
            verbosity,
            data_palette: colours(io::stdout().is_terminal()),
            palette: colours(error_terminal),
            interactive: error_terminal && input_terminal,
            replaces: io::stdout().is_terminal() && !plain_terminal,
            // Lines of -v and a moving display would tear each other apart.
            animated: error_terminal
                && !plain_terminal
                && environment.get("CI").is_none()
                && verbosity == Verbosity::Normal,
            moving: Mutex::new(None),
            introduced: AtomicBool::new(false),
        }
    }

    /// Prints a command's result.
    pub fn emit(&self, report: &impl Report) -> Result<(), CliError> {
        match self.output {
            OutputFormat::Json => self.emit_json(report),
            OutputFormat::Ndjson => {
                self.record("result", report);
                Ok(())
            }
            OutputFormat::Table => {
                self.data(&report.text(self.data_palette));
                Ok(())
            }
        }
    }

    /// Prints a command's result as JSON, whatever `--output` says.
    pub fn emit_json(&self, report: &impl Serialize) -> Result<(), CliError> {
        let mut value = serde_json::to_value(report)
            .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("schema".to_owned(), serde_json::Value::from(1));
        }
        self.data(&format!("{value:#}\n"));
        Ok(())
    }

    /// Prints one record of `--output ndjson`; for every other form nothing.
    ///
    /// The first line names the schema: a reader knows from it what the others mean.
    pub fn record(&self, kind: &str, content: &impl Serialize) {
        if self.output != OutputFormat::Ndjson {
            return;
        }
        let mut text = String::new();
        if !self.introduced.swap(true, Ordering::Relaxed) {
            let version = env!("CARGO_PKG_VERSION");
            let first =
                serde_json::json!({"type": "version", "schema": RECORDS_SCHEMA, "cli": version});
            text.push_str(&format!("{first}\n"));
        }
        let mut record = serde_json::Map::from_iter([("type".to_owned(), kind.into())]);
        match serde_json::to_value(content) {
            Ok(serde_json::Value::Object(fields)) => record.extend(fields),
            Ok(other) => drop(record.insert("value".to_owned(), other)),
            Err(error) => drop(record.insert("error".to_owned(), error.to_string().into())),
        }
        text.push_str(&format!("{}\n", serde_json::Value::Object(record)));
        self.data(&text);
    }

    /// Whether what happens is told to a program as it happens.
    pub fn is_streaming(&self) -> bool {
        self.output == OutputFormat::Ndjson
    }

    /// Names the display that lines have to stay clear of, until it is taken away.
    pub(in crate::ui) fn keep_clear_of(&self, display: Option<&ProgressBar>) {
        if let Ok(mut moving) = self.moving.lock() {
            *moving = display.cloned();
        }
    }

    /// Prints text to standard output as it is. A reader that has gone away is no failure of ours.
    pub fn data(&self, text: &str) {
        let written = self.above_the_display(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.line(&format!("failed to write to standard output: {error}"));
        }
    }

    /// Says what happens: a sentence on standard error, unless `--quiet`.
    pub fn status(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(text);
        }
    }

    /// Says what only `--verbose` asks for.
    pub fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.line(&self.palette.dim(text));
        }
    }

    /// Names a command that is worth running next.
    pub fn next(&self, command: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(&format!("{} {command}", self.palette.hint("next:")));
        }
    }

    /// Warns of something that somebody should act on.
    pub fn warning(&self, text: &str) {
        self.line(&format!("{} {text}", self.palette.warning("warning:")));
    }

    /// Prints a failure.
    pub fn error(&self, error: &CliError) {
        self.line(error::render(error, self.palette).trim_end());
        self.record("diagnosis", &error::Diagnosis::of(error));
        for other in error.also() {
            self.line("");
            self.error(other);
        }
    }

    /// Returns the colours of standard error.
    pub const fn palette(&self) -> Palette {
        self.palette
    }

    /// Whether a question can be asked.
    pub const fn can_ask(&self) -> bool {
        self.interactive
    }

    /// Whether progress may move.
    pub const fn is_animated(&self) -> bool {
        self.animated
    }

    /// Returns how much is said.
    pub const fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Returns the form of the data.
    pub const fn output(&self) -> OutputFormat {
        self.output
    }

    /// Writes a line to standard error; when that is gone there is nobody left to tell.
    fn line(&self, text: &str) {
        self.above_the_display(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }

    /// Prints without tearing the moving display apart, if there is one.
    fn above_the_display<T>(&self, print: impl FnOnce() -> T) -> T {
        let display = self.moving.lock().ok().and_then(|moving| moving.clone());
        match display {
            Some(display) => display.suspend(print),
            None => print(),
        }
    }
}
