//! `mtlog tenant enable` and `disable`.

use clap::Args;

use super::{Opened, TableArgs, now, open, table_error};
use crate::{
    cli::ConsentArgs,
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus},
};

/// Switch a delivery on or off
#[derive(Debug, Args)]
pub(super) struct SwitchArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Which delivery: cloudwatch or s3
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Logs are delivered.
    On,
    /// Logs are skipped.
    Off,
}

/// Runs the command.
pub(super) async fn run(
    context: &Context<'_>,
    args: &SwitchArgs,
    to: To,
) -> Result<ExitStatus, CliError> {
    let (settings, kind) =
        tenant::named(&context.layers, &args.table.flags(), args.kind.as_deref())?;
    let Opened { table, region, identity, .. } = open(&settings).await?;
    let (verb, done) = match to {
        To::On => ("Switch on", "is on"),
        To::Off => ("Switch off", "is off: its logs are skipped from now on, not kept"),
    };
    let tenant = &args.tenant;
    let question = format!(
        "{verb} the {kind} delivery of tenant {tenant} in {region}, account {}?",
        identity.account
    );
    let _consent = context.ui.agree(&question, &args.consent.answers())?;
    table
        .set_enabled(tenant, kind, to == To::On, &now())
        .await
        .map_err(|error| table_error(error, &region))?;
    context.ui.status(&format!("The {kind} delivery of tenant {tenant} {done}."));
    Ok(ExitStatus::Success)
}
