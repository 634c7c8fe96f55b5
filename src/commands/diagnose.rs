//! `mtlog diagnose`: why the last operation on a stack failed, and what to do about it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    Context, events,
    target::{self, StackArgs},
};
use crate::{
    deploy::{
        diagnosis::{Cause, Diagnosis, diagnose},
        event_file,
        status::{StackStatus, Standing},
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        Report,
        style::{Palette, printable},
        table::Table,
    },
};

/// Say why the last operation on a stack failed, and what mends it
///
/// Reads the events of the stack and of all stacks nested in it. Ends with exit status 0 whatever the stack's state is:
/// the question was answered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog diagnose regional -e production -r us-east-2
  mtlog diagnose --events events.json")]
pub struct DiagnoseArgs {
    /// A target (global, regional, customer, cluster/vector, cluster/processor) or the name of a stack
    #[arg(value_name = "TARGET|STACK", required_unless_present = "events")]
    subject: Option<String>,
    /// Read what `aws cloudformation describe-stack-events` printed, of all stacks of the tree; `-`: standard input
    #[arg(long, value_name = "PATH", conflicts_with = "subject")]
    events: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Serialize)]
struct DiagnosisReport {
    stack: String,
    #[serde(flatten)]
    diagnosis: Diagnosis,
    next: Vec<String>,
}

impl Report for DiagnosisReport {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        let Diagnosis { status, began, by_mtlog, cause, also, consequences } = &self.diagnosis;
        let mut text = format!("{}  {status}\n", palette.strong(&printable(&self.stack)));
        if let Some(began) = began {
            let who = if *by_mtlog { "by mtlog" } else { "not by mtlog" };
            text.push_str(&palette.dim(&format!("  last operation began {began} UTC, {who}\n")));
        }
        let Some(cause) = cause else {
            text.push_str("  Nothing failed in the last operation.\n");
            return text;
        };
        text.push_str(&shown("cause", cause, palette));
        for other in also {
            text.push_str(&shown("also", other, palette));
        }
        if *consequences > 0 {
            let noun = if *consequences == 1 { "resource" } else { "resources" };
            let line = format!("  {consequences} more {noun} failed only because of this\n");
            text.push_str(&palette.dim(&line));
        }
        for command in &self.next {
            text.push_str(&format!("{} {command}\n", palette.hint("next:")));
        }
        text
    }
}

fn shown(label: &str, cause: &Cause, palette: Palette) -> String {
    let mut text = format!(
        "  {} {} ({}) {}\n         {}\n",
        palette.bad(&format!("{label:<6}")),
        palette.strong(&printable(&cause.path)),
        printable(&cause.resource_type),
        cause.words,
        printable(&cause.reason)
    );
    match cause.explanation {
        Some(known) => {
            text.push_str(&format!("  why    {} [{}]: {}\n", known.title, known.code, known.why));
            text.push_str(&format!("  fix    {}\n", known.fix));
        }
        None => text.push_str("  why    this reason is not one that mtlog knows\n"),
    }
    text
}

/// Runs `mtlog diagnose`.
pub async fn run(context: &Context<'_>, args: &DiagnoseArgs) -> Result<ExitStatus, CliError> {
    let report = match (&args.events, &args.subject) {
        (Some(path), _) => from_file(path)?,
        (None, Some(subject)) => from_aws(context, args, subject).await?,
        (None, None) => {
            let text = "name a target or a stack, or give --events".to_owned();
            return Err(CliError::new(ExitStatus::Usage, Message(text)));
        }
    };
    context.ui.emit(&report)?;
    Ok(ExitStatus::Success)
}

fn from_file(path: &Path) -> Result<DiagnosisReport, CliError> {
    /// A history of 90 days of a busy stack is smaller.
    const LARGEST: u64 = 256 * 1024 * 1024;
    let what = || format!("failed to read the events from `{}`", path.display());
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::because(ExitStatus::Usage, what(), error))?;
    let events = event_file::read(&text)
        .map_err(|error| CliError::because(ExitStatus::Usage, what(), error))?;
    let root = event_file::root(&events).unwrap_or_default();
    // The name is the second part of a stack's ARN: stack/NAME/ID.
    let stack = root.split('/').nth(1).unwrap_or(&root).to_owned();
    Ok(DiagnosisReport { stack, diagnosis: diagnose(&root, &events), next: Vec::new() })
}

async fn from_aws(
    context: &Context<'_>,
    args: &DiagnoseArgs,
    subject: &str,
) -> Result<DiagnosisReport, CliError> {
    let (opened, target) = target::open_subject(context, &args.stack, subject).await?;
    let client = opened.session.cloudformation();
    let stack = opened.subject(&client, target, subject).await?;
    let events = events::history(&client, &stack).await?;
    let mut diagnosis = diagnose(&stack.id, &events);
    diagnosis.status = stack.status.to_string();
    let flags = opened.typed_flags();
    let subject = target.map_or_else(|| stack.name.clone(), |target| target.to_string());
    let next = next(&stack.status, &subject, target.is_some(), &flags);
    Ok(DiagnosisReport { stack: stack.name, diagnosis, next })
}

/// Returns the commands that lead on from a state.
fn next(status: &StackStatus, subject: &str, is_target: bool, flags: &str) -> Vec<String> {
    let mut next = Vec::new();
    match status.standing() {
        Standing::Running => next.push(format!("mtlog attach {subject}{flags}")),
        Standing::Stuck => match status {
            StackStatus::UpdateFailed | StackStatus::UpdateRollbackFailed => {
                next.push(format!("mtlog rollback {subject}{flags}"));
            }
            _ => next.push(format!("mtlog destroy {subject}{flags} --dry-run")),
        },
        Standing::RolledBack if is_target => next.push(format!("mtlog deploy {subject}{flags}")),
        Standing::Reviewing => next.push(format!("mtlog cancel {subject}{flags}")),
        Standing::RolledBack | Standing::Done | Standing::Gone => {}
    }
    next
}
