//! `mtlog tenant list` and `show`: what the table holds, also what nobody can read.

use clap::Args;
use mtlog_processor::model::ids::TenantId;
use serde::Serialize;

use super::{DeliveryView, Opened, TableArgs, open, table_error};
use crate::{
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus, Message},
    onboard::table::Entry,
    ui::{Report, table::Table},
};

/// List all deliveries
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print nothing but the ids, one a line; ids that no namespace can have are left out
    #[arg(long)]
    ids: bool,
    #[command(flatten)]
    table: TableArgs,
}

/// Show one tenant's deliveries in full
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    #[command(flatten)]
    table: TableArgs,
}

#[derive(Debug, Serialize)]
struct Listing {
    table: String,
    deliveries: Vec<DeliveryView>,
}

impl Report for Listing {
    fn tables(&self) -> Vec<Table> {
        let mut table =
            Table::new(["TENANT", "TYPE", "STATE", "REGION", "DESTINATION", "APPLICATIONS"])
                .or_say(format!("Table {} is empty.", self.table));
        for view in &self.deliveries {
            table.row([
                view.tenant_id.clone(),
                view.r#type.clone(),
                view.state().to_owned(),
                view.target_region.clone().unwrap_or_else(|| "-".to_owned()),
                view.destination(),
                view.applications(),
            ]);
        }
        vec![table]
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    table: String,
    deliveries: Vec<DeliveryView>,
}

impl Report for Shown {
    fn tables(&self) -> Vec<Table> {
        self.deliveries
            .iter()
            .map(|view| {
                let mut table = Table::new([]);
                for (name, value) in view.rows() {
                    table.row([name.to_owned(), value]);
                }
                table
            })
            .collect()
    }
}

/// Runs `mtlog tenant list`.
pub(super) async fn list(context: &Context<'_>, args: &ListArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let Opened { table, region, .. } = open(&settings).await?;
    let entries = table.entries().await.map_err(|error| table_error(error, &region))?;
    if args.ids {
        // Shells expand what they are offered: only what cannot mean anything to them goes out.
        let legal = entries.iter().filter(|entry| entry.tenant.parse::<TenantId>().is_ok());
        let mut ids: Vec<&str> = legal.map(|entry| entry.tenant.as_str()).collect();
        ids.dedup();
        context.ui.data(&ids.iter().map(|id| format!("{id}\n")).collect::<String>());
        return Ok(ExitStatus::Success);
    }
    let deliveries: Vec<DeliveryView> = entries.iter().map(view).collect();
    for broken in deliveries.iter().filter(|view| !view.problems.is_empty()) {
        context.ui.warning(&format!(
            "{} {} cannot be used: {}.",
            broken.tenant_id,
            broken.r#type,
            broken.problems.join("; ")
        ));
    }
    context.ui.emit(&Listing { table: table.name().to_owned(), deliveries })?;
    Ok(ExitStatus::Success)
}

/// Runs `mtlog tenant show`.
pub(super) async fn show(context: &Context<'_>, args: &ShowArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let Opened { table, region, .. } = open(&settings).await?;
    let entries =
        table.entries_of(&args.tenant).await.map_err(|error| table_error(error, &region))?;
    if entries.is_empty() {
        let text =
            format!("tenant `{}` is not in table `{}` in {region}", args.tenant, table.name());
        return Err(CliError::new(ExitStatus::Preflight, Message(text)).next("mtlog tenant list"));
    }
    let deliveries = entries.iter().map(view).collect();
    context.ui.emit(&Shown { table: table.name().to_owned(), deliveries })?;
    Ok(ExitStatus::Success)
}

fn view(entry: &Entry) -> DeliveryView {
    let view = match &entry.item {
        Ok(item) => DeliveryView::of(item),
        Err(error) => DeliveryView {
            problems: error.problems.iter().map(ToString::to_string).collect(),
            ..DeliveryView::unreadable(&entry.tenant, &entry.kind)
        },
    };
    DeliveryView { notes: entry.notes.clone(), ..view }
}
