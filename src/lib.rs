//! The operator's side of mtlog. `ARCHITECTURE.md` is the map; the modules below are in reading order.

pub mod cli;
pub mod commands;
pub mod config;
pub mod deploy;
pub mod generate;
pub mod image;
pub mod k8s;
pub mod onboard;
pub mod template;

pub mod aws;
pub mod error;
pub mod ui;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

use crate::{cli::Cli, config::environment::Environment, ui::Ui};

/// Runs the command that `arguments` spell and reports how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return ui::usage::report(&error),
    };
    let environment = Environment::capture();
    let ui = Ui::new(&cli.display, &environment);
    match commands::run(cli, &ui, environment) {
        Ok(status) => status.into(),
        Err(error) => {
            ui.error(&error);
            error.status().into()
        }
    }
}
