//! `mtlog destroy`: deletes stacks, after the stack's name was typed.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Context,
    target::{self, Opened, StackArgs},
    watching::{self, Watch},
};
use crate::{
    aws::cloudformation::{CloudFormation, Deletion},
    cli::ConsentArgs,
    deploy::{
        change::{Fate, is_store},
        difference::fate,
        execute,
        stack::{NESTED_STACK_TYPE, Presence, Stack},
        status::{Phase, StackStatus, Standing},
        target::Target,
    },
    error::{CliError, ExitStatus, Message},
    template::document::Document,
    ui::{
        Report,
        progress::{Progress, Subject},
        prompt::Consent,
        style::Palette,
        table::Table,
    },
};

/// Delete stacks
///
/// Stacks are deleted in the reverse order of their dependence. Buckets, tables, queues and keys that the templates
/// retain stay in the account and are named. Each stack's name has to be typed, or given with --confirm.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog destroy regional -e development -r us-east-2 --dry-run
  mtlog destroy regional -e development -r us-east-2 --confirm multi-tenant-logging-development")]
pub struct DestroyArgs {
    /// global, regional, customer, cluster, cluster/vector, cluster/processor, all
    #[arg(value_name = "TARGET", required = true, num_args = 1..)]
    targets: Vec<String>,
    /// Show what would be deleted and what would stay; no call that writes is made
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Where a deletion failed before: delete the stack, and leave what cannot be deleted in the account
    #[arg(long)]
    force_delete: bool,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
}

/// One resource and what becomes of it.
#[derive(Debug, Serialize)]
struct Doomed {
    path: String,
    resource_type: String,
    physical_id: String,
    fate: Fate,
}

/// One stack and what becomes of what is in it.
#[derive(Debug, Serialize)]
struct Destruction {
    target: Target,
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    done: bool,
    resources: Vec<Doomed>,
}

#[derive(Debug, Serialize)]
struct DestroyReport {
    stacks: Vec<Destruction>,
}

impl Report for DestroyReport {
    fn tables(&self) -> Vec<Table> {
        self.stacks.iter().map(Destruction::table).collect()
    }
}

impl Destruction {
    fn table(&self) -> Table {
        let title = match (self.done, self.note) {
            (true, _) => format!("{} is deleted", self.stack),
            (false, Some(note)) => format!("{} ({note})", self.stack),
            (false, None) => self.stack.clone(),
        };
        let nothing =
            if self.done { "  Nothing of it stays in the account." } else { "  Nothing is in it." };
        let mut table =
            Table::new(["RESOURCE", "NAME", "WHAT BECOMES OF IT"]).titled(title).or_say(nothing);
        for doomed in
            self.resources.iter().filter(|doomed| !self.done || doomed.fate == Fate::Retained)
        {
            let fate = match doomed.fate {
                Fate::Retained => "stays in the account",
                Fate::Snapshotted => "deleted after a snapshot",
                Fate::Deleted if is_store(&doomed.resource_type) => "DELETED WITH ITS DATA",
                Fate::Deleted => "deleted",
            };
            table.row([doomed.path.clone(), doomed.physical_id.clone(), fate.to_owned()]);
        }
        table
    }
}

/// Runs `mtlog destroy`.
pub async fn run(context: &Context<'_>, args: &DestroyArgs) -> Result<ExitStatus, CliError> {
    let opened = target::open(context, &args.stack.flags(&args.targets)).await?;
    let client = opened.session.cloudformation();
    let mut report = DestroyReport { stacks: Vec::new() };
    // What depends on others goes first.
    for target in opened.settings.targets.clone().into_iter().rev() {
        let (name, presence) = opened.stack(&client, target).await?;
        let Presence::Present(stack) = presence else {
            context.ui.status(&format!("Nothing to do: there is no stack {name}."));
            continue;
        };
        let mut destruction = survey(&client, target, &stack).await?;
        if !args.dry_run {
            destroy(context, args, &opened, &client, &stack, &destruction).await?;
            destruction.done = true;
        }
        report.stacks.push(destruction);
    }
    context.ui.emit(&report)?;
    Ok(ExitStatus::Success)
}

/// Finds out what is in the stack and what becomes of it.
async fn survey(
    client: &CloudFormation,
    target: Target,
    stack: &Stack,
) -> Result<Destruction, CliError> {
    let mut pending = vec![(stack.id.clone(), String::new())];
    let mut resources = Vec::new();
    while let Some((id, parent)) = pending.pop() {
        let failed = |fault| {
            CliError::aws(format!("failed to read what is in stack `{}`", stack.name), fault)
        };
        let document = Document::parse(&client.template(&id).await.map_err(failed)?).ok();
        for resource in client.resources(&id).await.map_err(failed)? {
            let gone = resource.status == crate::deploy::status::ResourceStatus::DeleteComplete;
            if gone || (resource.physical_id.is_empty() && resource.status.phase() == Phase::Failed)
            {
                continue;
            }
            let path = format!("{parent}{}", resource.logical_id);
            if resource.resource_type == NESTED_STACK_TYPE {
                pending.push((resource.physical_id.clone(), format!("{path}/")));
                continue;
            }
            let known = document.as_ref().and_then(|document| {
                document
                    .resources()
                    .get(resource.logical_id.as_str())
                    .map(|resource| fate(resource))
            });
            resources.push(Doomed {
                path,
                resource_type: resource.resource_type,
                physical_id: resource.physical_id,
                fate: known.unwrap_or(Fate::Deleted),
            });
        }
    }
    resources.sort_by(|a, b| a.path.cmp(&b.path));
    let note = stack.protected.then_some("protected against deletion");
    Ok(Destruction { target, stack: stack.name.clone(), note, done: false, resources })
}

async fn destroy(
    context: &Context<'_>,
    args: &DestroyArgs,
    opened: &Opened,
    client: &CloudFormation,
    stack: &Stack,
    destruction: &Destruction,
) -> Result<(), CliError> {
    let ui = context.ui;
    let name = &stack.name;
    if stack.protected {
        let text = format!("stack `{name}` is protected against deletion");
        return Err(CliError::new(ExitStatus::Declined, Message(text)).next(format!(
            "mtlog unprotect {}{}",
            destruction.target,
            opened.typed_flags()
        )));
    }
    if stack.status.is_busy() {
        let text = format!("stack `{name}` is busy: {}", stack.status);
        return Err(CliError::new(ExitStatus::Conflict, Message(text))
            .hint("wait until the operation is over, then run the same command again")
            .next(format!("mtlog events {name}{}", opened.typed_flags())));
    }
    let deletion = deletion(args, opened, stack)?;
    let mut warning = format!(
        "stack {name} in {} of account {} is deleted for good",
        opened.place.region, opened.place.account
    );
    if deletion == Deletion::LeavingWhatResists {
        warning.push_str(", and what cannot be deleted stays in the account without a stack");
    }
    let answers = args.consent.answers();
    ui.could_agree(Some((name, &warning)), &answers)?;
    ui.status(destruction.table().render(Palette::Plain).trim_end());
    let _consent: Consent = ui.agree_by_name(&warning, name, &answers)?;
    let progress = Progress::start(ui);
    let flags = opened.typed_flags();
    let watch = Watch {
        subject: Subject {
            title: format!("deleting {name} in {}", opened.place.region),
            stack: name.clone(),
            region: opened.place.region.to_string(),
            names: watching::names(destruction.target.template()),
            expected: destruction.resources.iter().map(|resource| resource.path.clone()).collect(),
        },
        limit: Duration::from_secs(args.timeout.saturating_mul(60)),
        flags: flags.clone(),
    };
    let attempt = Timestamp::now().as_millisecond();
    let start = execute::start_deletion(client, stack, deletion, attempt);
    let work = Box::pin(watching::watch(&progress, client, watch, start));
    let ended = watching::until_stopped(&progress, &flags, work).await?;
    if ended.status.standing() == Standing::Gone {
        ui.status(&format!("{} Stack {name} was deleted.", ui.palette().good("✓")));
        return Ok(());
    }
    let what = format!("stack `{name}` could not be deleted and is now in {}", ended.status);
    Err(watching::failed(ExitStatus::NeedsAttention, what, &ended)
        .hint("mend what is named, then run the same command again; or leave it in the account with --force-delete")
        .next(format!("mtlog events {name} --failed{}", opened.typed_flags())))
}

/// CloudFormation leaves resources behind only after a deletion that failed, so that nobody does it unseen.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html>
fn deletion(args: &DestroyArgs, opened: &Opened, stack: &Stack) -> Result<Deletion, CliError> {
    if !args.force_delete {
        return Ok(Deletion::Whole);
    }
    if stack.status == StackStatus::DeleteFailed {
        return Ok(Deletion::LeavingWhatResists);
    }
    let text = format!(
        "--force-delete is for a stack whose deletion failed; `{}` is in {}",
        stack.name, stack.status
    );
    Err(CliError::new(ExitStatus::Preflight, Message(text))
        .hint("delete it without --force-delete first")
        .next(format!("mtlog events {}{}", stack.name, opened.typed_flags())))
}
