//! `mtlog dlq purge`: deletes dead letters for good, so the queue's name is typed.

use clap::Args;
use serde::Serialize;

use super::{
    FilterArgs, counted,
    list::{Depth, Group, groups, groups_table, survey},
    queues::{self, Queues},
    redrive::SURVEYED,
    selected::{self, Order},
};
use crate::{
    aws::fault::Fault,
    cli::ConsentArgs,
    commands::{Context, target::StackArgs},
    error::{CliError, ExitStatus},
    ui::{Report, table::Table},
};

/// SQS's code for a purge less than a minute after another.
const TOO_SOON: &str = "PurgeQueueInProgress";

/// Delete dead letters for good
///
/// What is deleted is never delivered. The name of the dead-letter queue has to be typed, or given with --confirm;
/// --yes does not do.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog dlq purge --reason object_gone --dry-run -e production -r us-east-2
  mtlog dlq purge --older-than 7d -e production -r us-east-2 --confirm multi-tenant-logging-production-log-delivery-dlq")]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Show what would be deleted; no call that writes is made
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Purge {
    queue: String,
    /// Whether only chosen letters are meant.
    selected: bool,
    done: bool,
    /// Letters that are meant.
    letters: u64,
    /// Letters that were deleted; for a whole queue SQS does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
    reasons: Vec<Group>,
    messages: Depth,
}

impl Report for Purge {
    fn tables(&self) -> Vec<Table> {
        let letters = counted(self.letters, "letter");
        let title = match (self.done, self.deleted) {
            (false, _) if self.letters == 0 => format!("{}: nothing to delete", self.queue),
            (false, _) => format!("{letters} of {} would be deleted", self.queue),
            (true, Some(deleted)) => {
                format!("{} of {} deleted", counted(deleted, "letter"), self.queue)
            }
            (true, None) => format!("{} is being emptied; that takes up to a minute", self.queue),
        };
        let mut table = groups_table(&self.reasons).titled(title);
        if self.done {
            table = table.or_say("");
        }
        vec![table]
    }
}

/// Runs `mtlog dlq purge`.
pub(super) async fn run(context: &Context<'_>, args: &PurgeArgs) -> Result<ExitStatus, CliError> {
    let ui = context.ui;
    let queues = queues::find(context, &args.stack).await?;
    let filter = args.filter.filter();
    let name = queues.dead.name();
    let selected = !filter.is_everything();
    let survey = survey(context, &queues, &filter, SURVEYED).await?;
    let letters = if selected { survey.letters.len() as u64 } else { queues.dead.total() };
    let mut purge = Purge {
        queue: name.to_owned(),
        selected,
        done: false,
        letters,
        deleted: None,
        failed: None,
        reasons: groups(&survey.letters),
        messages: Depth::of(&queues.dead),
    };
    if args.dry_run || letters == 0 {
        ui.emit(&purge)?;
        return Ok(ExitStatus::Success);
    }
    let warning = format!(
        "{} {}of {name} in {} of account {} are deleted for good; the logs that they stand for are not delivered{}",
        counted(letters, "letter"),
        if selected { format!("{filter} ") } else { String::new() },
        queues.opened.place.region,
        queues.opened.place.account,
        if selected {
            ""
        } else {
            ". Letters that arrive before the queue is empty are deleted too"
        },
    );
    let answers = args.consent.answers();
    ui.could_agree(Some((name, &warning)), &answers)?;
    ui.status(groups_table(&purge.reasons).render(ui.palette()).trim_end());
    let consent = ui.agree_by_name(&warning, name, &answers)?;
    purge.done = true;
    if !selected {
        queues.sqs.purge(&queues.dead.url).await.map_err(|fault| refused(&queues, fault))?;
        ui.emit(&purge)?;
        return Ok(ExitStatus::Success);
    }
    let order = Order { filter: &filter, before: survey.now, rate: u32::MAX, letters };
    let done = selected::delete(context, &queues, order, consent).await?;
    (purge.deleted, purge.failed) = (Some(done.deleted), Some(done.failed));
    ui.emit(&purge)?;
    done.verdict(&queues.opened.typed_flags())
}

fn refused(queues: &Queues, fault: Fault) -> CliError {
    let too_soon = fault.code().is_some_and(|code| code.ends_with(TOO_SOON));
    let error = CliError::aws(format!("failed to empty `{}`", queues.dead.name()), fault);
    if too_soon {
        error
            .with_status(ExitStatus::Conflict)
            .hint("SQS empties a queue once a minute; what arrived since is still there")
    } else {
        error
    }
}
