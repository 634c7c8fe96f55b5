//! `mtlog status`: every stack of the pipeline in one table.

use clap::Args;
use serde::Serialize;

use super::{
    Context,
    target::{self, StackArgs},
};
use crate::{
    deploy::{
        stack::Stack,
        status::Standing,
        target::{Target, stack_name},
    },
    error::{CliError, ExitStatus},
    ui::{Report, table::Table},
};

/// Show every stack of the pipeline in the region
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct Row {
    stack: String,
    target: Option<Target>,
    state: &'static str,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    changed: Option<String>,
    parts: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct StatusReport {
    account: String,
    region: String,
    stacks: Vec<Row>,
}

impl Report for StatusReport {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["STACK", "TARGET", "STATE", "STATUS", "CHANGED", "PARTS"])
            .titled(format!("account {}, {}", self.account, self.region))
            .or_say("  No stacks of this pipeline here.");
        for row in &self.stacks {
            table.row([
                row.stack.clone(),
                row.target.map_or("-", Target::as_str).to_owned(),
                row.state.to_owned(),
                row.status.clone(),
                row.changed.clone().unwrap_or_else(|| "-".to_owned()),
                row.parts.join(", "),
            ]);
        }
        vec![table]
    }
}

/// Runs `mtlog status`.
pub async fn run(context: &Context<'_>, args: &StatusArgs) -> Result<ExitStatus, CliError> {
    let opened = target::open(context, &args.stack.flags(&[])).await?;
    let prefix = format!("{}-", opened.settings.project.value);
    let stacks = opened
        .session
        .cloudformation()
        .stacks_named(&prefix)
        .await
        .map_err(|fault| CliError::aws("failed to list the stacks", fault))?;
    let naming = opened.naming(&opened.place.region);
    let target_of = |stack: &Stack| {
        let environment =
            stack.parameters.get("Environment").map(String::as_str).unwrap_or_default();
        let cluster = stack.parameters.get("ClusterName").map(String::as_str);
        let naming = crate::deploy::target::Naming { environment, cluster, ..naming };
        Target::ALL.into_iter().find(|target| {
            stack_name(*target, naming).is_ok_and(|name| name.as_str() == stack.name)
        })
    };
    let mut rows: Vec<Row> = stacks
        .iter()
        .map(|stack| Row {
            target: target_of(stack),
            stack: stack.name.clone(),
            state: state(stack),
            status: stack.status.to_string(),
            reason: stack.reason.clone(),
            changed: stack
                .updated
                .or(stack.created)
                .map(|time| time.strftime("%Y-%m-%d %H:%M").to_string()),
            parts: parts(stack),
        })
        .collect();
    // What is ours comes first, in the order of dependence.
    rows.sort_by(|a, b| {
        (a.target.is_none(), a.target, &a.stack).cmp(&(b.target.is_none(), b.target, &b.stack))
    });
    let report = StatusReport {
        account: opened.place.account.to_string(),
        region: opened.place.region.to_string(),
        stacks: rows,
    };
    context.ui.emit(&report)?;
    Ok(ExitStatus::Success)
}

/// The state in one word.
const fn state(stack: &Stack) -> &'static str {
    match stack.status.standing() {
        Standing::Running => "busy",
        Standing::Done => "ok",
        Standing::RolledBack => "rolled back",
        Standing::Stuck => "STUCK",
        Standing::Gone => "gone",
        Standing::Reviewing => "not created yet",
    }
}

/// The optional parts that a regional stack has.
fn parts(stack: &Stack) -> Vec<&'static str> {
    [
        ("IncludeSQSStack", "sqs"),
        ("IncludeLambdaStack", "lambda"),
        ("IncludeObservabilityStack", "alarms"),
    ]
    .into_iter()
    .filter(|(parameter, _)| stack.parameters.get(*parameter).is_some_and(|value| value == "true"))
    .map(|(_, part)| part)
    .collect()
}
