//! `mtlog doctor`: finds what is wrong with a pipeline that is deployed. Reads only.

mod look;

use std::collections::BTreeSet;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{Context, target::FleetArgs};
use crate::{
    deploy::explain::Explanation,
    doctor::{Check, Finding, Look, Severity, Verdict, catalogue, facts::Facts},
    error::{CliError, ExitStatus, Message},
    ui::{
        Report,
        style::{Palette, printable},
        table::Table,
    },
};

/// Find what is wrong with an environment, and say what mends it
///
/// Reads only: it is safe in production at any time. Ends with 2 when it finds a problem, and with 3 when it finds none
/// but may not look at everything.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog doctor -e production -r us-east-2
  mtlog doctor -e production -r us-east-2,eu-west-1 -o json
  mtlog doctor --only MT111,MT123 -r us-east-2
  mtlog doctor --list")]
pub struct DoctorArgs {
    /// Make only these checks; several when repeated or separated by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    only: Vec<String>,
    /// Show also what is well
    #[arg(long)]
    all: bool,
    /// List the checks instead of making them
    #[arg(long, conflicts_with_all = ["only", "all"])]
    list: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

#[derive(Debug, Serialize)]
struct Checks {
    checks: Vec<&'static Explanation>,
}

impl Report for Checks {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["CODE", "FINDS THAT"]);
        for check in &self.checks {
            table.row([check.code.to_owned(), check.title.to_owned()]);
        }
        vec![table]
    }
}

#[derive(Debug, Serialize)]
struct DoctorReport {
    account: String,
    project: String,
    environment: String,
    regions: Vec<RegionReport>,
    #[serde(skip)]
    show_all: bool,
}

#[derive(Debug, Serialize)]
struct RegionReport {
    region: String,
    checks: Vec<Row>,
}

/// What became of one check.
#[derive(Debug, Serialize)]
struct Row {
    code: &'static str,
    /// What is wrong, or that it is not.
    title: &'static str,
    severity: Severity,
    outcome: Verdict,
    fix: &'static str,
    again: String,
}

/// Runs `mtlog doctor`.
pub async fn run(context: &Context<'_>, args: &DoctorArgs) -> Result<ExitStatus, CliError> {
    if args.list {
        let checks = catalogue::all().map(|check| &check.explanation).collect();
        context.ui.emit(&Checks { checks })?;
        return Ok(ExitStatus::Success);
    }
    let checks = chosen(&args.only)?;
    let looks: BTreeSet<Look> = checks.iter().flat_map(|check| check.looks).copied().collect();
    let opened = args.fleet.open(context).await?;
    let regions = opened.regions();
    let count = regions.len().max(1);
    let examined = regions.into_iter().map(|region| {
        let opened = opened.in_region(&region);
        let (checks, looks) = (&checks, &looks);
        async move {
            let facts = look::look(context, &opened, looks).await;
            let flags = opened.typed_flags();
            let rows = checks.iter().map(|check| row(check, &facts, &flags)).collect();
            RegionReport { region: region.to_string(), checks: rows }
        }
    });
    let report = DoctorReport {
        account: opened.place.account.to_string(),
        project: opened.settings.project.value.to_string(),
        environment: opened.settings.environment.value.to_string(),
        regions: stream::iter(examined).buffered(count).collect().await,
        show_all: args.all,
    };
    let status = status(&report);
    context.ui.emit(&report)?;
    Ok(status)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Check>, CliError> {
    if only.is_empty() {
        return Ok(catalogue::all().collect());
    }
    let found = only.iter().map(|code| {
        catalogue::by_code(code).ok_or_else(|| {
            let text = format!("there is no check `{code}`");
            CliError::new(ExitStatus::Usage, Message(text)).next("mtlog doctor --list")
        })
    });
    found.collect()
}

fn row(check: &Check, facts: &Facts, flags: &str) -> Row {
    let Explanation { code, title, fix, .. } = check.explanation;
    let outcome = (check.judge)(facts);
    Row {
        code,
        title: if matches!(outcome, Verdict::Found { .. }) { title } else { check.well },
        severity: check.severity,
        outcome,
        fix,
        again: format!("mtlog doctor --only {code}{flags}"),
    }
}

fn status(report: &DoctorReport) -> ExitStatus {
    let rows = || report.regions.iter().flat_map(|region| &region.checks);
    let has_problem = rows().any(|row| {
        row.severity == Severity::Problem && matches!(row.outcome, Verdict::Found { .. })
    });
    if has_problem {
        return ExitStatus::Different;
    }
    let is_unknown = rows().any(|row| matches!(row.outcome, Verdict::Unknown { .. }));
    if is_unknown { ExitStatus::Access } else { ExitStatus::Success }
}

impl Report for DoctorReport {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        let mut text = String::new();
        for region in &self.regions {
            if !text.is_empty() {
                text.push('\n');
            }
            let title = format!(
                "{} {}, account {}, {}",
                self.project, self.environment, self.account, region.region
            );
            text.push_str(&format!("{}\n", palette.strong(&printable(&title))));
            for row in &region.checks {
                text.push_str(&self.drawn(row, palette));
            }
            text.push_str(&format!("{}\n", summary(&region.checks)));
        }
        text
    }
}

impl DoctorReport {
    fn drawn(&self, row: &Row, palette: Palette) -> String {
        let line = |word: &str| format!("  {word}  {}  {}\n", row.code, row.title);
        match &row.outcome {
            Verdict::Well if self.show_all => line(&palette.good("well   ")),
            Verdict::Skipped { reason } if self.show_all => palette.dim(&format!(
                "  skipped  {}  {}: {}\n",
                row.code,
                row.title,
                printable(reason)
            )),
            Verdict::Well | Verdict::Skipped { .. } => String::new(),
            Verdict::Unknown { reason } => palette.dim(&format!(
                "  unknown  {}  whether {}: {}\n",
                row.code,
                row.title,
                printable(reason)
            )),
            Verdict::Found { findings } => {
                let mut text = match row.severity {
                    Severity::Problem => line(&palette.error("PROBLEM")),
                    Severity::Warning => line(&palette.warning("warning")),
                };
                for Finding { subject, reason } in findings {
                    text.push_str(&format!(
                        "           {}: {}\n",
                        printable(subject),
                        printable(reason)
                    ));
                }
                text.push_str(&format!("           {} {}\n", palette.hint("fix:"), row.fix));
                text.push_str(&format!("           {} {}\n", palette.hint("again:"), row.again));
                text
            }
        }
    }
}

fn summary(rows: &[Row]) -> String {
    let count = |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
    let found = |row: &Row, severity| {
        row.severity == severity && matches!(row.outcome, Verdict::Found { .. })
    };
    let parts = [
        (count(&|row| row.outcome == Verdict::Well), "well"),
        (count(&|row| found(row, Severity::Problem)), "with problems"),
        (count(&|row| found(row, Severity::Warning)), "with warnings"),
        (count(&|row| matches!(row.outcome, Verdict::Unknown { .. })), "unknown"),
        (count(&|row| matches!(row.outcome, Verdict::Skipped { .. })), "with nothing to look at"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    format!("  {} checks: {}", rows.len(), words.join(", "))
}
