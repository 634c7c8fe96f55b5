//! `mtlog config`: settings and where they come from.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::{
    config::{
        layers::Source,
        vars::{self, Variable},
    },
    error::{CliError, ExitStatus},
    ui::{Report, table::Table},
};

/// Show settings and where they come from
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// List every setting with its value and source
    Show,
    /// Print a `.env` file with every setting, commented out
    Sample,
}

/// One setting.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    flag: Option<&'static str>,
    value: Option<String>,
    source: String,
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct Settings {
    settings: Vec<Row>,
}

impl Report for Settings {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
        for row in &self.settings {
            let value = row.value.clone().unwrap_or_else(|| "-".to_owned());
            table.row([row.name.to_owned(), value, row.source.clone()]);
        }
        vec![table]
    }
}

/// Runs `mtlog config`.
pub fn run(context: &Context<'_>, args: &ConfigArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        ConfigCommand::Show => show(context)?,
        ConfigCommand::Sample => context.ui.data(&vars::env_sample()),
    }
    Ok(ExitStatus::Success)
}

fn show(context: &Context<'_>) -> Result<(), CliError> {
    let mut settings: Vec<Row> = vars::ALL.iter().map(|variable| row(context, variable)).collect();
    settings.extend(vars::engine_variables().map(|variable| engine_row(context, variable)));
    for name in unknown_names(context) {
        context.ui.warning(&format!(
            "{} sets {name}, which mtlog does not read.",
            context.layers.dotenv().path().display()
        ));
    }
    context.ui.emit(&Settings { settings })
}

fn row(context: &Context<'_>, variable: &'static Variable) -> Row {
    let found = context.layers.lookup(variable, None);
    let (value, source) = match (found, variable.default) {
        (Some(setting), _) => (Some(setting.value), setting.source.to_string()),
        (None, Some(default)) => (Some(default.to_owned()), Source::Default.to_string()),
        (None, None) => (None, "not set".to_owned()),
    };
    let value = if variable.secret { value.map(|_| "***".to_owned()) } else { value };
    Row { name: variable.name, flag: variable.flag, value, source, meaning: variable.meaning }
}

/// A variable that only the engine reads.
fn engine_row(context: &Context<'_>, variable: &'static mtlog_processor::config::Variable) -> Row {
    let environment = context.layers.environment().get(variable.name);
    let file = context.layers.dotenv().get(variable.name);
    let (value, source) = match (environment, file) {
        (Some(value), _) => (Some(value), Source::Environment(variable.name).to_string()),
        (None, Some((value, line))) => {
            let path = context.layers.dotenv().path().to_path_buf();
            (Some(value), Source::DotEnv { path, line, name: variable.name }.to_string())
        }
        (None, None) if variable.default.is_empty() => (None, "not set".to_owned()),
        (None, None) => (Some(variable.default), Source::Default.to_string()),
    };
    let value =
        value.map(|value| if variable.secret { "***".to_owned() } else { value.to_owned() });
    Row { name: variable.name, flag: None, value, source, meaning: variable.meaning }
}

/// Names in `.env` that nothing reads: most likely misspelt.
fn unknown_names<'a>(context: &'a Context<'_>) -> Vec<&'a str> {
    context
        .layers
        .dotenv()
        .names()
        .filter(|name| {
            !vars::ALL.iter().any(|variable| variable.names().any(|known| known == *name))
        })
        .filter(|name| !vars::engine_variables().any(|variable| variable.name == *name))
        .collect()
}
