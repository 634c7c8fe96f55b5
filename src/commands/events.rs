//! `mtlog events`: what happened to a stack and to those nested in it.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Context,
    target::{self, StackArgs},
};
use crate::{
    aws::cloudformation::CloudFormation,
    deploy::{
        operation::OperationView,
        stack::{Stack, StackEvent},
    },
    error::{CliError, ExitStatus},
    ui::{Report, table::Table},
};

/// Show what happened to a stack and to those nested in it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog events regional -e production --failed
  mtlog events multi-tenant-logging-production -n 200")]
pub struct EventsArgs {
    /// A target (global, regional, customer, cluster/vector, cluster/processor) or the name of a stack
    #[arg(value_name = "TARGET|STACK")]
    subject: String,
    /// Only what failed, the first cause first
    #[arg(long)]
    failed: bool,
    /// The most events, the newest ones
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 50)]
    number: usize,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct Row {
    time: String,
    path: String,
    resource_type: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consequence: Option<bool>,
}

#[derive(Debug, Serialize)]
struct EventsReport {
    stack: String,
    status: String,
    events: Vec<Row>,
}

impl Report for EventsReport {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["TIME", "RESOURCE", "STATUS", "REASON"])
            .titled(format!("{} ({})", self.stack, self.status))
            .or_say("  Nothing failed in the last operation.");
        for row in &self.events {
            let reason = match row.consequence {
                Some(true) => "only because of another failure".to_owned(),
                Some(false) | None => row.reason.clone().unwrap_or_default(),
            };
            table.row([row.time.clone(), row.path.clone(), row.status.clone(), reason]);
        }
        vec![table]
    }
}

/// How much history of one stack is read.
const LONGEST_HISTORY: usize = 2_000;

/// Runs `mtlog events`.
pub async fn run(context: &Context<'_>, args: &EventsArgs) -> Result<ExitStatus, CliError> {
    let (opened, target) = target::open_subject(context, &args.stack, &args.subject).await?;
    let client = opened.session.cloudformation();
    let stack = opened.subject(&client, target, &args.subject).await?;
    let events = history(&client, &stack).await?;
    let rows =
        if args.failed { failures(&stack, &events) } else { newest(&stack, &events, args.number) };
    context.ui.emit(&EventsReport {
        stack: stack.name.clone(),
        status: stack.status.to_string(),
        events: rows,
    })?;
    Ok(ExitStatus::Success)
}

/// Reads the events of the stack and of those that its events name, in the order of time.
pub(super) async fn history(
    client: &CloudFormation,
    stack: &Stack,
) -> Result<Vec<StackEvent>, CliError> {
    let mut pending = vec![stack.id.clone()];
    let mut known = pending.clone();
    let mut events = Vec::new();
    while let Some(id) = pending.pop() {
        let found = client.events(&id, None, LONGEST_HISTORY).await.map_err(|fault| {
            CliError::aws(format!("failed to read the events of `{id}`"), fault)
        })?;
        for nested in found.iter().filter_map(StackEvent::nested_stack) {
            if !known.iter().any(|known| known == nested) {
                known.push(nested.to_owned());
                pending.push(nested.to_owned());
            }
        }
        events.extend(found);
    }
    events.sort_by_key(|event| event.time);
    Ok(events)
}

fn newest(stack: &Stack, events: &[StackEvent], number: usize) -> Vec<Row> {
    let mut view = OperationView::new(&stack.id);
    let rows: Vec<Row> = events
        .iter()
        .map(|event| {
            let path = match view.apply(event) {
                Some(row) => row.path.clone(),
                None => event.logical_id.clone(),
            };
            row(event.time, path, &event.resource_type, event.status.as_str(), event.reason.clone())
        })
        .collect();
    let skipped = rows.len().saturating_sub(number);
    rows.into_iter().skip(skipped).collect()
}

/// Returns what failed in the last operation, the first cause first.
fn failures(stack: &Stack, events: &[StackEvent]) -> Vec<Row> {
    let view = OperationView::of_last_operation(&stack.id, events);
    let cause = view.root_cause().cloned();
    let mut failures = view.failures();
    failures.sort_by_key(|failure| cause.as_ref() != Some(*failure));
    failures
        .into_iter()
        .map(|failure| Row {
            consequence: Some(failure.consequence),
            ..row(
                failure.time,
                failure.path.clone(),
                &failure.resource_type,
                failure.status.as_str(),
                Some(failure.reason.clone()),
            )
        })
        .collect()
}

fn row(
    time: Timestamp,
    path: String,
    resource_type: &str,
    status: &str,
    reason: Option<String>,
) -> Row {
    Row {
        time: time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        path,
        resource_type: resource_type.to_owned(),
        status: status.to_owned(),
        reason,
        consequence: None,
    }
}
