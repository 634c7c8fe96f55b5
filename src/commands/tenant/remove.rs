//! `mtlog tenant remove`: the delivery is gone for good, so its name is typed.

use clap::Args;

use super::{Opened, TableArgs, open, table_error};
use crate::{
    cli::ConsentArgs,
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus},
    onboard::table::TableError,
};

/// Delete a delivery
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
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

/// Runs `mtlog tenant remove`.
pub(super) async fn run(context: &Context<'_>, args: &RemoveArgs) -> Result<ExitStatus, CliError> {
    let (settings, kind) =
        tenant::named(&context.layers, &args.table.flags(), args.kind.as_deref())?;
    let Opened { table, region, identity, .. } = open(&settings).await?;
    let tenant = &args.tenant;
    let entries = table.entries_of(tenant).await.map_err(|error| table_error(error, &region))?;
    if !entries.iter().any(|entry| entry.kind == kind.as_str()) {
        return Err(table_error(TableError::Absent { tenant: tenant.clone(), kind }, &region));
    }
    let warning = format!(
        "The {kind} delivery of tenant {tenant} is deleted from table {} in {region}, account {}. Logs that arrive \
         afterwards have no owner and are parked. `mtlog tenant disable` keeps the entry.",
        table.name(),
        identity.account
    );
    let _consent = context.ui.agree_by_name(&warning, tenant, &args.consent.answers())?;
    table.remove(tenant, kind).await.map_err(|error| table_error(error, &region))?;
    context.ui.status(&format!("The {kind} delivery of tenant {tenant} was deleted."));
    Ok(ExitStatus::Success)
}
