//! `mtlog protect` and `mtlog unprotect`: whether stacks may be deleted.

use clap::Args;

use super::{
    Context,
    target::{self, StackArgs},
};
use crate::{
    aws::cloudformation::Protection,
    cli::ConsentArgs,
    error::{CliError, ExitStatus},
    ui::prompt::Consent,
};

/// Forbid that stacks are deleted
#[derive(Debug, Args)]
pub struct ProtectArgs {
    #[command(flatten)]
    stacks: StacksArgs,
}

/// Allow again that stacks are deleted
#[derive(Debug, Args)]
pub struct UnprotectArgs {
    #[command(flatten)]
    stacks: StacksArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Args)]
struct StacksArgs {
    /// global, regional, customer, cluster, cluster/vector, cluster/processor, all
    #[arg(value_name = "TARGET", required = true, num_args = 1..)]
    targets: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

/// Runs `mtlog protect`: it can do no harm, so that nothing is asked.
pub async fn protect(context: &Context<'_>, args: &ProtectArgs) -> Result<ExitStatus, CliError> {
    set(context, &args.stacks, Protection::On, |_| Ok(())).await
}

/// Runs `mtlog unprotect`.
pub async fn unprotect(
    context: &Context<'_>,
    args: &UnprotectArgs,
) -> Result<ExitStatus, CliError> {
    let answers = args.consent.answers();
    set(context, &args.stacks, Protection::Off, |stack| {
        let question = format!("Allow that stack {stack} is deleted?");
        context.ui.agree(&question, &answers).map(|_: Consent| ())
    })
    .await
}

async fn set(
    context: &Context<'_>,
    args: &StacksArgs,
    protection: Protection,
    ask: impl Fn(&str) -> Result<(), CliError>,
) -> Result<ExitStatus, CliError> {
    let opened = target::open(context, &args.stack.flags(&args.targets)).await?;
    let client = opened.session.cloudformation();
    for target in &opened.settings.targets {
        let stack = opened.existing(&client, *target).await?;
        let name = &stack.name;
        let words = match protection {
            Protection::On => "is protected against deletion",
            Protection::Off => "may be deleted",
        };
        if stack.protected == (protection == Protection::On) {
            context.ui.status(&format!("Nothing to do: stack {name} {words}."));
            continue;
        }
        ask(name)?;
        client.protect(&stack.id, protection).await.map_err(|fault| {
            CliError::aws(format!("failed to change the protection of stack `{name}`"), fault)
        })?;
        context.ui.status(&format!("Stack {name} {words} now."));
    }
    Ok(ExitStatus::Success)
}
