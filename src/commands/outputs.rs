//! `mtlog outputs`: what a stack tells, for people, shells and programs.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    Context,
    target::{self, StackArgs},
};
use crate::{
    deploy::outputs,
    error::{CliError, ExitStatus},
    ui::{Report, table::Table},
};

/// Print what stacks tell: names, ARNs and URLs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog outputs regional -e production -r us-east-2
  eval \"$(mtlog outputs regional --format env)\"
  mtlog outputs regional --format dotenv >> .env")]
pub struct OutputsArgs {
    /// global, regional, customer, cluster, cluster/vector, cluster/processor, all
    #[arg(value_name = "TARGET", required = true, num_args = 1..)]
    targets: Vec<String>,
    /// Print settings for the engine instead: as shell commands, as lines of `.env`, or everything as JSON
    #[arg(long, short = 'f', value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `export NAME='value'` lines for a shell
    Env,
    /// `NAME=value` lines for `.env`
    Dotenv,
    /// One JSON document
    Json,
}

#[derive(Debug, Serialize)]
struct StackOutputs {
    target: crate::deploy::target::Target,
    stack: String,
    status: String,
    outputs: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct OutputsReport {
    stacks: Vec<StackOutputs>,
}

impl Report for OutputsReport {
    fn tables(&self) -> Vec<Table> {
        self.stacks
            .iter()
            .map(|stack| {
                let mut table =
                    Table::new(["OUTPUT", "VALUE"]).titled(&stack.stack).or_say("  no outputs");
                for (name, value) in &stack.outputs {
                    // A value of several lines starts on its own.
                    let value = if value.contains('\n') {
                        format!("\n{}", value.trim_end())
                    } else {
                        value.clone()
                    };
                    table.row([name.clone(), value]);
                }
                table
            })
            .collect()
    }
}

/// Runs `mtlog outputs`.
pub async fn run(context: &Context<'_>, args: &OutputsArgs) -> Result<ExitStatus, CliError> {
    let opened = target::open(context, &args.stack.flags(&args.targets)).await?;
    let client = opened.session.cloudformation();
    let mut report = OutputsReport { stacks: Vec::new() };
    for target in &opened.settings.targets {
        let stack = opened.existing(&client, *target).await?;
        report.stacks.push(StackOutputs {
            target: *target,
            stack: stack.name,
            status: stack.status.to_string(),
            outputs: stack
                .outputs
                .iter()
                .map(|(name, value)| (name.clone(), outputs::shown(name, value)))
                .collect(),
        });
    }
    let ui = context.ui;
    match args.format {
        None => ui.emit(&report)?,
        Some(Format::Json) => ui.emit_json(&report)?,
        Some(Format::Env) => {
            ui.data(&lines(&report, |name, value| format!("export {name}={}", quoted(value))))
        }
        Some(Format::Dotenv) => ui.data(&lines(&report, |name, value| format!("{name}={value}"))),
    }
    Ok(ExitStatus::Success)
}

fn lines(report: &OutputsReport, line: impl Fn(&str, &str) -> String) -> String {
    let all: BTreeMap<String, String> =
        report.stacks.iter().flat_map(|stack| outputs::variables(&stack.outputs)).collect();
    all.iter().map(|(name, value)| format!("{}\n", line(name, value))).collect()
}

/// Quotes a value for a shell: nothing in single quotes means anything but the quote itself.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(quoted("a'b; rm -rf $HOME"), r"'a'\''b; rm -rf $HOME'");
    }
}
