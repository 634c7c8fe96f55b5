//! `mtlog dlq`: what could not be delivered, why, and what becomes of it.

mod list;
mod purge;
pub(super) mod queues;
pub(super) mod reading;
mod redrive;
mod selected;
mod show;

use clap::{Args, Subcommand};
use mtlog_processor::model::ids::TenantId;

use super::Context;
use crate::{
    config::period::Period,
    error::{CliError, ExitStatus},
    letters::{advice::Reason, filter::Filter},
};

/// Look at dead letters, send them again, or delete them
///
/// A dead letter is a message that could not be delivered. It says why, and nothing of it is lost while it is in the
/// dead-letter queue (14 days). The queues are those of the regional stack.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog dlq list -e production -r us-east-2
  mtlog dlq show 1a2b3c4d -e production -r us-east-2
  mtlog dlq redrive --reason role_denied --tenant acme -e production -r us-east-2
  mtlog dlq redrive --rate 100 -y -e production -r us-east-2
  mtlog dlq purge --reason object_gone -e production -r us-east-2")]
pub struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    #[command(visible_alias = "ls")]
    List(Box<list::ListArgs>),
    Show(Box<show::ShowArgs>),
    Redrive(Box<redrive::RedriveArgs>),
    Purge(Box<purge::PurgeArgs>),
}

/// Runs `mtlog dlq`.
pub async fn run(context: &Context<'_>, args: DlqArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        DlqCommand::List(args) => Box::pin(list::run(context, &args)).await,
        DlqCommand::Show(args) => Box::pin(show::run(context, &args)).await,
        DlqCommand::Redrive(args) => Box::pin(redrive::run(context, &args)).await,
        DlqCommand::Purge(args) => Box::pin(purge::run(context, &args)).await,
    }
}

/// Which letters.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
struct FilterArgs {
    /// Only letters of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// Only letters with this reason, such as role_denied; may be repeated
    #[arg(long, value_name = "REASON")]
    reason: Vec<Reason>,
    /// Only letters that were sent at least so long ago, such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    older_than: Option<Period>,
    /// Only letters that were sent less than so long ago
    #[arg(long, value_name = "TIME")]
    newer_than: Option<Period>,
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            tenants: self.tenant.clone(),
            reasons: self.reason.clone(),
            older_than: self.older_than.map(Period::get),
            newer_than: self.newer_than.map(Period::get),
        }
    }
}

/// Returns the count with its noun.
fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
