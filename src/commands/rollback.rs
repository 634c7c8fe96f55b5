//! `mtlog rollback`: takes back what an update did, by the way that fits the stack's state.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{
    Context,
    target::{self, StackArgs},
    watching::{self, Watch},
};
use crate::{
    aws::cloudformation::{CloudFormation, Undo},
    cli::ConsentArgs,
    deploy::{
        execute,
        stack::{NESTED_STACK_TYPE, Stack},
        status::{StackStatus, Standing},
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        progress::{Progress, Subject},
        prompt::Consent,
    },
};

/// Take back an update that runs or has failed
///
/// An update that runs is cancelled; an update that failed is rolled back; a rollback that failed is continued, without
/// the resources that --skip names.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog rollback regional -e production -r us-east-2
  mtlog rollback regional -e production --skip SQSStack/LogDeliveryQueue")]
pub struct RollbackArgs {
    /// A target (global, regional, customer, cluster/vector, cluster/processor) or the name of a stack
    #[arg(value_name = "TARGET|STACK")]
    subject: String,
    /// Leave this resource as it is, named as in the list of events; may be repeated
    #[arg(long, value_name = "RESOURCE")]
    skip: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
}

/// Runs `mtlog rollback`.
pub async fn run(context: &Context<'_>, args: &RollbackArgs) -> Result<ExitStatus, CliError> {
    let (opened, target) = target::open_subject(context, &args.stack, &args.subject).await?;
    let client = opened.session.cloudformation();
    let stack = opened.subject(&client, target, &args.subject).await?;
    let (name, ui) = (&stack.name, context.ui);
    let Some(undo) = undo(&stack.status) else {
        let text = format!("stack `{name}` is in {}: there is nothing to take back", stack.status);
        return Err(CliError::new(ExitStatus::Preflight, Message(text)));
    };
    if !args.skip.is_empty() && undo != Undo::Continue {
        let text = format!(
            "--skip is for a rollback that failed, but stack `{name}` is in {}",
            stack.status
        );
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    let question = match undo {
        Undo::Cancel => format!("Cancel the update of stack {name} and roll it back?"),
        Undo::Rollback => format!("Roll back the failed update of stack {name}?"),
        Undo::Continue => format!("Continue the rollback of stack {name}?"),
    };
    let answers = args.consent.answers();
    let _consent: Consent = if args.skip.is_empty() {
        ui.agree(&question, &answers)?
    } else {
        let skipped = args.skip.join(", ");
        let warning = format!(
            "{skipped} will not be what the template says: CloudFormation takes it as rolled back without looking"
        );
        ui.agree_by_name(&warning, name, &answers)?
    };
    let token = format!("mtlog-rollback-{}", Timestamp::now().as_millisecond());
    let skipped = skipped(&client, &stack, &args.skip).await?;
    let progress = Progress::start(ui);
    let flags = opened.typed_flags();
    let watch = Watch {
        subject: Subject {
            title: format!("rolling back {name} in {}", opened.place.region),
            stack: name.clone(),
            region: opened.place.region.to_string(),
            names: target.map(|target| watching::names(target.template())).unwrap_or_default(),
            ..Subject::default()
        },
        limit: Duration::from_secs(args.timeout.saturating_mul(60)),
        flags: flags.clone(),
    };
    let start = execute::start_undoing(&client, &stack, undo, &skipped, &token);
    let work = Box::pin(watching::watch(&progress, &client, watch, start));
    let ended = watching::until_stopped(&progress, &flags, work).await?;
    if ended.status.standing() == Standing::RolledBack {
        ui.status(&format!("{} Stack {name} is again as it was before.", ui.palette().good("✓")));
        return Ok(ExitStatus::Success);
    }
    super::attach::report(context, name, &ended, &opened.typed_flags())
}

/// Returns the resources as CloudFormation wants them named: `NestedStackName.LogicalId` for those in nested stacks.
/// Source: `ResourcesToSkip` of `ContinueUpdateRollback` in the API model.
async fn skipped(
    client: &CloudFormation,
    stack: &Stack,
    paths: &[String],
) -> Result<Vec<String>, CliError> {
    let mut names = Vec::new();
    for path in paths {
        let mut owner = stack.id.clone();
        let mut parts: Vec<&str> = path.split('/').collect();
        let logical_id = parts.pop().unwrap_or_default();
        for part in &parts {
            let resources = client.resources(&owner).await.map_err(|fault| {
                CliError::aws(format!("failed to read what is in `{owner}`"), fault)
            })?;
            let nested = resources.into_iter().find(|resource| resource.logical_id == *part);
            let Some(nested) = nested.filter(|nested| nested.resource_type == NESTED_STACK_TYPE)
            else {
                let text = format!(
                    "--skip {path}: there is no nested stack `{part}` in stack `{}`",
                    stack.name
                );
                return Err(CliError::new(ExitStatus::Usage, Message(text)));
            };
            owner = nested.physical_id;
        }
        // The name is the second part of a stack's ARN: stack/NAME/ID.
        let owner_name = owner.split('/').nth(1).unwrap_or_default();
        names.push(if parts.is_empty() {
            logical_id.to_owned()
        } else {
            format!("{owner_name}.{logical_id}")
        });
    }
    Ok(names)
}

/// Returns the way back from a state, if there is one.
const fn undo(status: &StackStatus) -> Option<Undo> {
    match status {
        StackStatus::UpdateInProgress => Some(Undo::Cancel),
        StackStatus::UpdateFailed | StackStatus::CreateFailed => Some(Undo::Rollback),
        StackStatus::UpdateRollbackFailed => Some(Undo::Continue),
        _ => None,
    }
}
