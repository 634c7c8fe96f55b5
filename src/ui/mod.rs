//! The only user of the terminal. Data goes to standard output, once; everything else goes to standard error.

pub mod counter;
pub mod error;
pub mod plan;
pub mod progress;
pub mod prompt;
pub mod style;
pub mod table;
pub mod usage;

use std::io::{self, IsTerminal as _, Write as _};

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
}

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
            // Lines of -v and a moving display would tear each other apart.
            animated: error_terminal
                && !plain_terminal
                && environment.get("CI").is_none()
                && verbosity == Verbosity::Normal,
        }
    }

    /// Prints a command's result.
    pub fn emit(&self, report: &impl Report) -> Result<(), CliError> {
        match self.output {
            OutputFormat::Json => self.emit_json(report),
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

    /// Prints text to standard output as it is. A reader that has gone away is no failure of ours.
    pub fn data(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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
        let mut stderr = io::stderr().lock();
        drop(writeln!(stderr, "{text}"));
    }
}
