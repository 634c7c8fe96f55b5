//! `mtlog cancel`: stops an operation that runs, as far as CloudFormation lets anybody stop one.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{
    Context,
    target::{self, Opened, StackArgs},
    watching::{self, Watch},
};
use crate::{
    aws::cloudformation::{CloudFormation, Deletion, Undo},
    cli::ConsentArgs,
    deploy::{
        execute,
        stack::Stack,
        state::OWN_PREFIX,
        status::{StackStatus, Standing},
        target::Target,
        watch::Ended,
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        progress::{Progress, Subject},
        prompt::Consent,
    },
};

/// Stop the operation that runs on a stack
///
/// An update is stopped and rolled back. A creation is stopped by deleting the stack, for which its name has to be
/// typed. A change set that nobody executed is thrown away. A deletion or a rollback cannot be stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mtlog cancel regional -e production -r us-east-2")]
pub struct CancelArgs {
    /// A target (global, regional, customer, cluster/vector, cluster/processor) or the name of a stack
    #[arg(value_name = "TARGET|STACK")]
    subject: String,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
}

/// How an operation can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// By a rollback.
    RollBack,
    /// By deleting the stack that is being created.
    Delete,
    /// By deleting the change set that waits, and the shell that waits with it.
    Discard,
    /// Not at all: it ends by itself.
    No,
    /// There is nothing to stop.
    Nothing,
}

/// Runs `mtlog cancel`.
pub async fn run(context: &Context<'_>, args: &CancelArgs) -> Result<ExitStatus, CliError> {
    let (opened, target) = target::open_subject(context, &args.stack, &args.subject).await?;
    let client = opened.session.cloudformation();
    let stack = opened.subject(&client, target, &args.subject).await?;
    let (name, ui, answers) = (&stack.name, context.ui, args.consent.answers());
    let flags = opened.typed_flags();
    match stop(&stack.status) {
        Stop::RollBack => {
            let question = format!("Cancel the update of stack {name} and roll it back?");
            let consent = ui.agree(&question, &answers)?;
            let ended = undo(context, args, &opened, target, &client, &stack, consent).await?;
            if ended.status.standing() == Standing::RolledBack {
                ui.status(&format!(
                    "{} Stack {name} is again as it was before.",
                    ui.palette().good("✓")
                ));
                return Ok(ExitStatus::Success);
            }
            super::attach::report(context, name, &ended, &flags)
        }
        Stop::Delete => {
            let warning = format!(
                "stack {name} is being created; to stop that, it is deleted with all that it has so far"
            );
            let consent = ui.agree_by_name(&warning, name, &answers)?;
            let ended = delete(context, args, &opened, target, &client, &stack, consent).await?;
            super::attach::report(context, name, &ended, &flags)
        }
        Stop::Discard => {
            discard(context, &client, &stack, &flags, || {
                let question = format!("Throw away the change set that would create stack {name}?");
                ui.agree(&question, &answers)
            })
            .await
        }
        Stop::No => {
            let text = format!(
                "stack `{name}` is in {}: that cannot be stopped, and ends by itself",
                stack.status
            );
            Err(CliError::new(ExitStatus::Conflict, Message(text))
                .next(format!("mtlog attach {name}{flags}")))
        }
        Stop::Nothing => {
            ui.status(&format!("Nothing runs on stack {name}: {}.", stack.status));
            Ok(ExitStatus::Success)
        }
    }
}

async fn undo(
    context: &Context<'_>,
    args: &CancelArgs,
    opened: &Opened,
    target: Option<Target>,
    client: &CloudFormation,
    stack: &Stack,
    _consent: Consent,
) -> Result<Ended, CliError> {
    let progress = Progress::start(context.ui);
    let token = format!("{OWN_PREFIX}cancel-{}", Timestamp::now().as_millisecond());
    let watch = watch(args, opened, target, stack, "cancelling");
    let start = execute::start_undoing(client, stack, Undo::Cancel, &[], &token);
    let work = Box::pin(watching::watch(&progress, client, watch, start));
    watching::until_stopped(&progress, &opened.typed_flags(), work).await
}

async fn delete(
    context: &Context<'_>,
    args: &CancelArgs,
    opened: &Opened,
    target: Option<Target>,
    client: &CloudFormation,
    stack: &Stack,
    _consent: Consent,
) -> Result<Ended, CliError> {
    let progress = Progress::start(context.ui);
    let watch = watch(args, opened, target, stack, "deleting");
    let start =
        execute::start_deletion(client, stack, Deletion::Whole, Timestamp::now().as_millisecond());
    let work = Box::pin(watching::watch(&progress, client, watch, start));
    watching::until_stopped(&progress, &opened.typed_flags(), work).await
}

fn watch(
    args: &CancelArgs,
    opened: &Opened,
    target: Option<Target>,
    stack: &Stack,
    verb: &str,
) -> Watch {
    Watch {
        subject: Subject {
            title: format!("{verb} {} in {}", stack.name, opened.place.region),
            stack: stack.name.clone(),
            region: opened.place.region.to_string(),
            names: target.map(|target| watching::names(target.template())).unwrap_or_default(),
            ..Subject::default()
        },
        limit: Duration::from_secs(args.timeout.saturating_mul(60)),
        flags: opened.typed_flags(),
    }
}

/// Throws our own change sets away that wait at a stack that does not exist yet; somebody else's are left alone.
async fn discard(
    context: &Context<'_>,
    client: &CloudFormation,
    stack: &Stack,
    flags: &str,
    consent: impl FnOnce() -> Result<Consent, CliError>,
) -> Result<ExitStatus, CliError> {
    let name = &stack.name;
    let failed =
        |fault| CliError::aws(format!("failed to read the change sets of `{name}`"), fault);
    let sets = client.change_sets(&stack.id).await.map_err(failed)?;
    if let Some(foreign) = sets.iter().find(|set| !set.name.starts_with(OWN_PREFIX)) {
        let text = format!("change set `{}` of stack `{name}` is not one of mtlog's", foreign.name);
        return Err(CliError::new(ExitStatus::Conflict, Message(text))
            .hint("whoever made it may still want to execute it")
            .next(format!(
                "aws cloudformation list-change-sets --stack-name {name}{}",
                region(flags)
            )));
    }
    let _consent: Consent = consent()?;
    client
        .delete_stack(&stack.id, Deletion::Whole, &format!("{OWN_PREFIX}discard"))
        .await
        .map_err(|fault| {
            CliError::aws(format!("failed to delete the empty stack `{name}`"), fault)
        })?;
    context.ui.status(&format!("Threw away {} change sets of stack {name}", sets.len()));
    Ok(ExitStatus::Success)
}

/// Returns the region among our flags as the AWS CLI spells it.
fn region(flags: &str) -> String {
    let region = flags.split(" -r ").nth(1).and_then(|rest| rest.split(' ').next());
    region.map_or_else(String::new, |region| format!(" --region {region}"))
}

/// Returns how what runs in this state can be stopped.
const fn stop(status: &StackStatus) -> Stop {
    match status {
        StackStatus::UpdateInProgress => Stop::RollBack,
        StackStatus::CreateInProgress => Stop::Delete,
        StackStatus::ReviewInProgress => Stop::Discard,
        StackStatus::DeleteInProgress
        | StackStatus::RollbackInProgress
        | StackStatus::UpdateRollbackInProgress
        | StackStatus::UpdateCompleteCleanupInProgress
        | StackStatus::UpdateRollbackCompleteCleanupInProgress
        | StackStatus::ImportInProgress
        | StackStatus::ImportRollbackInProgress => Stop::No,
        StackStatus::CreateComplete
        | StackStatus::CreateFailed
        | StackStatus::DeleteComplete
        | StackStatus::DeleteFailed
        | StackStatus::RollbackComplete
        | StackStatus::RollbackFailed
        | StackStatus::UpdateComplete
        | StackStatus::UpdateFailed
        | StackStatus::UpdateRollbackComplete
        | StackStatus::UpdateRollbackFailed
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete
        | StackStatus::ImportRollbackFailed
        | StackStatus::Unknown(_) => Stop::Nothing,
    }
}
