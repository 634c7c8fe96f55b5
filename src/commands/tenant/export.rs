//! `mtlog tenant export`: the table as a file.

use clap::{Args, ValueEnum};
use mtlog_processor::model::tenant::TenantItem;

use super::{Opened, TableArgs, open, table_error};
use crate::{
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus},
    onboard::document::{self, ExternalIds, Form},
};

/// Print all deliveries as a file that `tenant import` reads
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mtlog tenant export > tenants.yaml")]
pub(super) struct ExportArgs {
    /// The form of the file
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    format: FileForm,
    /// Write the tenants' own ExternalIds in clear; they are secrets
    #[arg(long)]
    with_external_ids: bool,
    #[command(flatten)]
    table: TableArgs,
}

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FileForm {
    /// One YAML list
    #[default]
    Yaml,
    /// One JSON object a line
    Jsonl,
}

/// Runs `mtlog tenant export`.
pub(super) async fn run(context: &Context<'_>, args: &ExportArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let Opened { table, region, .. } = open(&settings).await?;
    let entries = table.entries().await.map_err(|error| table_error(error, &region))?;
    let mut items: Vec<&TenantItem> = Vec::new();
    for entry in &entries {
        match &entry.item {
            Ok(item) => items.push(item),
            Err(problem) => context.ui.warning(&format!(
                "The {} delivery of tenant {} cannot be read and is left out: {problem}.",
                entry.kind, entry.tenant
            )),
        }
    }
    let form = match args.format {
        FileForm::Yaml => Form::Yaml,
        FileForm::Jsonl => Form::Jsonl,
    };
    let external_ids =
        if args.with_external_ids { ExternalIds::Shown } else { ExternalIds::Hidden };
    let left_out = entries.len() - items.len();
    let text = document::write(items, form, external_ids)
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    context.ui.data(&text);
    // A file that looks complete and is not would lose a tenant when it is imported with --prune.
    Ok(if left_out == 0 { ExitStatus::Success } else { ExitStatus::NeedsAttention })
}
