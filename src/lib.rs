//! The operator's side of mtlog. `ARCHITECTURE.md` is the map; the modules below are in reading order.

pub mod cli;
pub mod commands;
pub mod config;
pub mod cost;
pub mod deploy;
pub mod doctor;
pub mod generate;
pub mod image;
pub mod k8s;
pub mod letters;
pub mod onboard;
pub mod operate;
pub mod permissions;
pub mod probe;
pub mod replay;
pub mod script;
pub mod template;

pub mod aws;
pub mod error;
pub mod instant;
pub mod ui;

use std::{ffi::OsString, path::Path, process::ExitCode, time::Instant};

use clap::Parser as _;

use crate::{
    cli::{Cli, DisplayArgs},
    config::{environment::Environment, vars},
    error::ExitStatus,
    script::{RegionSetting, Surroundings},
    ui::Ui,
};

/// Runs the command that `arguments` spell and reports how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment = Environment::capture();
    match script::words_of_script(&arguments) {
        Some(words) => run_script(&words, environment),
        None => run_words(arguments, environment).into(),
    }
}

fn run_words(words: Vec<OsString>, environment: Environment) -> ExitStatus {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return ui::usage::report(&error),
    };
    let ui = Ui::new(&cli.display, &environment);
    let began = Instant::now();
    let status = match commands::run(cli, &ui, environment) {
        Ok(status) => status,
        Err(error) => {
            ui.error(&error);
            error.status()
        }
    };
    let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    ui.record("summary", &serde_json::json!({"exit": status as u8, "wall_ms": wall_ms}));
    status
}

/// Runs a command line of the replaced script, with its two exit codes and its last word.
fn run_script(words: &[String], environment: Environment) -> ExitCode {
    let ui = Ui::new(&DisplayArgs::default(), &environment);
    let names_region = vars::REGION.names().any(|name| environment.get(name).is_some());
    let region = if names_region { RegionSetting::Known } else { RegionSetting::Missing };
    let named = vars::ENVIRONMENT.names().find_map(|name| environment.get(name));
    let around = Surroundings {
        region,
        environment: named.unwrap_or("development"),
        has_file: |name| Path::new(name).is_file(),
    };
    let status = match script::translate(words, around) {
        Ok(translation) => {
            for note in &translation.notes {
                ui.status(&format!("[INFO] {note}"));
            }
            let words = std::iter::once("mtlog".to_owned()).chain(translation.words);
            run_words(words.map(OsString::from).collect(), environment)
        }
        Err(problem) => {
            ui.status(&format!("[ERROR] {problem}"));
            ExitStatus::Usage
        }
    };
    match status {
        ExitStatus::Success => {
            ui.status("[SUCCESS] done");
            ExitStatus::Success.into()
        }
        _ => {
            ui.status("[ERROR] failed");
            ExitStatus::Unexpected.into()
        }
    }
}
