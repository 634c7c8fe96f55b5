//! `mtlog tenant import`: makes the table say what a file says.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use mtlog_processor::model::tenant::{Attribute, TenantItem};
use serde::Serialize;

use super::{Opened, TableArgs, now, open, table_error};
use crate::{
    cli::ConsentArgs,
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus, Message},
    onboard::{
        difference::{self, FieldChange, Step, Unwanted},
        document::{self, Said, Wanted},
        rules,
        table::{Entry, TableError, TenantTable},
    },
    ui::{
        Report,
        style::{Palette, printable},
        table::Table,
    },
};

/// The longest file that is read, in bytes: some 100,000 deliveries.
const LONGEST: u64 = 64 << 20;
/// How many writes run side by side.
const WRITES: usize = 16;

/// Make the table say what a file says
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mtlog tenant import tenants.yaml --dry-run\n  mtlog tenant import --from-table multi-tenant-logging-production-tenant-configs"
)]
pub(super) struct ImportArgs {
    /// The file, YAML or JSON; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "from_table")]
    file: Option<PathBuf>,
    /// Read the tenants from the table of the system that mtlog replaces
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "prune"])]
    from_table: Option<String>,
    /// Also delete the deliveries that the file does not name
    #[arg(long)]
    prune: bool,
    /// Show what would change; write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Imported {
    table: String,
    /// Whether anything was to be written at all.
    dry_run: bool,
    steps: Vec<StepView>,
}

/// One write.
#[derive(Debug, Serialize)]
struct StepView {
    tenant_id: String,
    r#type: String,
    action: &'static str,
    changes: Vec<FieldChange>,
    /// Whether it was written.
    written: bool,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl StepView {
    fn of(step: &Step) -> Self {
        let (tenant_id, r#type) = step.names();
        let changes = step.fields();
        Self { tenant_id, r#type, action: step.verb(), changes, written: false, error: None }
    }
}

impl Report for Imported {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    /// A block for each write: values as long as ARNs would tear a table apart.
    fn text(&self, palette: Palette) -> String {
        if self.steps.is_empty() {
            return format!("Table {} says all of that already.\n", self.table);
        }
        self.steps.iter().map(|step| step.text(palette)).collect()
    }
}

impl StepView {
    fn text(&self, palette: Palette) -> String {
        let title = printable(&format!("{} {} {}", self.action, self.tenant_id, self.r#type));
        let mut text = format!("{}\n", palette.strong(&title));
        let width = self.changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
        for FieldChange { name, before, after } in &self.changes {
            let value = match (before, after) {
                (Some(before), Some(after)) => format!("{before} -> {after}"),
                (None, Some(only)) if self.action == "add" => only.clone(),
                (Some(only), None) if self.action == "remove" => only.clone(),
                (before, after) => {
                    let or_none =
                        |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
                    format!("{} -> {}", or_none(before), or_none(after))
                }
            };
            text += &format!("    {name:<width$}  {}\n", printable(&value));
        }
        if let Some(error) = &self.error {
            text += &format!("    {}\n", palette.warning(&printable(error)));
        }
        text
    }
}

/// Runs `mtlog tenant import`.
pub(super) async fn run(context: &Context<'_>, args: &ImportArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let from_file = match &args.file {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let Opened { table, identity, region, .. } = open(&settings).await?;
    let failed = |error| table_error(error, &region);
    let wanted = match (from_file, &args.from_table) {
        (Some(wanted), _) => wanted,
        (None, Some(name)) => {
            let entries = table.predecessors(name).await.map_err(failed)?;
            of_predecessors(context, &entries)
        }
        (None, None) => Vec::new(),
    };
    for one in &wanted {
        for finding in rules::warnings(&one.item) {
            context.ui.warning(&format!("Tenant {}: {}.", one.item.tenant, finding.text));
        }
    }
    let found = table.entries().await.map_err(failed)?;
    let unwanted = if args.prune { Unwanted::Remove } else { Unwanted::Keep };
    let steps = difference::steps(&found, &wanted, unwanted);
    let mut report = Imported {
        table: table.name().to_owned(),
        dry_run: args.dry_run,
        steps: steps.iter().map(StepView::of).collect(),
    };
    if args.dry_run || steps.is_empty() {
        context.ui.emit(&report)?;
        if args.dry_run {
            context.ui.status("Nothing was written: this was a dry run.");
        }
        return Ok(ExitStatus::Success);
    }
    let answers = args.consent.answers();
    if !answers.yes {
        context.ui.status(report.text(context.ui.palette()).trim_end());
    }
    let removals = steps.iter().filter(|step| matches!(step, Step::Remove(_))).count();
    let place = format!("table {} in {region}, account {}", table.name(), identity.account);
    let _consent = if removals > 0 {
        let warning = format!(
            "{removals} deliveries are deleted from {place}. Logs of a tenant that is gone have no owner and are parked."
        );
        context.ui.agree_by_name(&warning, table.name(), &answers)?
    } else {
        let question = format!("Make these {} changes to {place}?", steps.len());
        context.ui.agree(&question, &answers)?
    };
    let errors = write(&table, steps, &mut report.steps).await;
    context.ui.emit(&report)?;
    let count = errors.len();
    let Some(first) = errors.into_iter().next() else {
        context.ui.status(&format!("{} changes were made to {place}.", report.steps.len()));
        return Ok(ExitStatus::Success);
    };
    context.ui.warning(&format!(
        "{count} of {} changes were not made; the first failure follows.",
        report.steps.len()
    ));
    Err(failed(first).hint("run the same again: what was written is not written twice"))
}

/// Makes all changes, and notes in `views` how each went. One that fails does not keep back the others.
async fn write(table: &TenantTable, steps: Vec<Step>, views: &mut [StepView]) -> Vec<TableError> {
    let now = now();
    let mut results: Vec<(usize, Result<(), TableError>)> = stream::iter(steps.iter().enumerate())
        .map(|(index, step)| {
            let now = &now;
            async move { (index, write_one(table, step, now).await) }
        })
        .buffer_unordered(WRITES)
        .collect()
        .await;
    results.sort_by_key(|(index, _)| *index);
    let mut errors = Vec::new();
    for ((_, result), view) in results.into_iter().zip(views) {
        match result {
            Ok(()) => view.written = true,
            Err(error) => {
                view.error = Some(error.to_string());
                errors.push(error);
            }
        }
    }
    errors
}

async fn write_one(table: &TenantTable, step: &Step, now: &str) -> Result<(), TableError> {
    match step {
        Step::Add(item) => {
            let item = TenantItem {
                created_at: Some(now.to_owned()),
                updated_at: Some(now.to_owned()),
                ..(**item).clone()
            };
            table.add(&item).await
        }
        Step::Change(entry, change) => {
            let mut set = change.set.clone();
            set.insert("updated_at".to_owned(), Attribute::String(now.to_owned()));
            table.change(entry, &set, &change.removed).await
        }
        Step::Remove(entry) => table.remove_unchanged(entry).await,
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<Wanted>, CliError> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
    };
    let length = read.map_err(|error| {
        CliError::because(ExitStatus::Usage, format!("failed to read `{}`", path.display()), error)
    })?;
    if length as u64 > LONGEST {
        let text = format!("`{}` is longer than {} MiB", path.display(), LONGEST >> 20);
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    document::read(&text).map_err(|errors| {
        let lines: Vec<String> = errors
            .iter()
            .map(|error| {
                let source = std::error::Error::source(error);
                source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
            })
            .collect();
        let text = format!("`{}` cannot be used:\n  - {}", path.display(), lines.join("\n  - "));
        CliError::new(ExitStatus::Usage, Message(text)).hint("nothing was written")
    })
}

/// Takes over what can be read. What cannot is named: somebody must add it by hand.
fn of_predecessors(context: &Context<'_>, entries: &[Entry]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for entry in entries {
        let problems: Vec<String> = match &entry.item {
            Err(error) => vec![error.to_string()],
            Ok(item) => rules::errors(item).into_iter().map(|finding| finding.text).collect(),
        };
        match (&entry.item, problems.is_empty()) {
            (Ok(item), true) => {
                wanted.push(Wanted { item: item.clone(), external_id: Said::No });
            }
            _ => context.ui.warning(&format!(
                "Tenant {} is not taken over: {}.",
                entry.tenant,
                problems.join("; ")
            )),
        }
    }
    wanted
}
