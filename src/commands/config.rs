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
    let settings = vars::ALL.iter().map(|variable| row(context, variable)).collect();
    for name in unknown_names(context) {
        context.ui.warning(&format!("{} sets {name}, which mtlog does not read.", context.layers.dotenv().path().display()));
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

/// Names in `.env` that nothing reads: most likely misspelt.
fn unknown_names<'a>(context: &'a Context<'_>) -> Vec<&'a str> {
    context
        .layers
        .dotenv()
        .names()
        .filter(|name| !vars::ALL.iter().any(|variable| variable.names().any(|known| known == *name)))
        .collect()
}
