//! `mtlog tenant verify`: whether deliveries work, and whether nobody else gets in.

use std::collections::BTreeSet;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use mtlog_processor::model::ids::BucketName;
use serde::Serialize;

use super::{
    Opened, TableArgs, open,
    pipeline::{self, CentralArgs, Pipeline},
    random_hex, table_error,
};
use crate::{
    aws::fault::{Fault, FaultClass},
    commands::Context,
    config::tenant::{self, TableSettings},
    error::{CliError, ExitStatus, Message},
    onboard::{
        probe::{Mark, Way, Writes},
        table::Entry,
        verify::{self, Check, CheckName, Verdict},
    },
    ui::{
        Report, counter,
        style::{Palette, printable},
        table::Table,
    },
};

/// Deliveries that are tried at the same time.
const AT_ONCE: usize = 8;
/// Listings of the bucket at the same time.
const LISTINGS: usize = 8;

/// Try deliveries: the role, who is let in, the destination, one event of our own
///
/// Takes the way that the engine takes. With a wrong ExternalId and without one the customer's role must refuse us. One
/// test event is written and read back. Ends with exit status 6 if a check failed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mtlog tenant verify acme\n  mtlog tenant verify --all --strict -o json > attestation.json"
)]
pub(super) struct VerifyArgs {
    /// The tenant
    #[arg(value_name = "TENANT", required_unless_present = "all")]
    tenant: Option<String>,
    /// Every delivery of the table; also finds tenants in S3 without an item
    #[arg(long, conflicts_with = "tenant")]
    all: bool,
    /// Write no test event
    #[arg(long)]
    read_only: bool,
    /// A check that shows nothing counts as failed
    #[arg(long)]
    strict: bool,
    /// A failure of this check counts as a warning; may be repeated
    #[arg(long, value_name = "CHECK")]
    accept: Vec<CheckName>,
    #[command(flatten)]
    central: CentralArgs,
    #[command(flatten)]
    table: TableArgs,
}

/// What was found, with everything that says who found it where and when.
#[derive(Debug, Serialize)]
pub(super) struct Attestation {
    checked_at: String,
    account: String,
    identity: String,
    region: String,
    table: String,
    central_role_arn: String,
    /// Whether no check failed.
    passed: bool,
    deliveries: Vec<Verified>,
    /// What is not about one delivery.
    pipeline: Vec<Check>,
}

/// The checks of one delivery.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    pub(super) tenant_id: String,
    pub(super) r#type: String,
    pub(super) verdict: Verdict,
    pub(super) checks: Vec<Check>,
}

impl Report for Attestation {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        let mut text: String =
            self.deliveries.iter().map(|delivery| delivery.text(palette)).collect();
        if !self.pipeline.is_empty() {
            text += &palette.strong("Pipeline");
            text += "\n";
            text += &lines(&self.pipeline, palette);
        }
        text
    }
}

impl Verified {
    fn new(entry: &Entry, checks: Vec<Check>) -> Self {
        Self {
            tenant_id: entry.tenant.clone(),
            r#type: entry.kind.clone(),
            verdict: verify::gravest(&checks),
            checks,
        }
    }

    pub(super) fn text(&self, palette: Palette) -> String {
        let title = printable(&format!("{} {}", self.tenant_id, self.r#type));
        format!("{}\n{}", palette.strong(&title), lines(&self.checks, palette))
    }
}

/// One line for each check, and for what is not well what mends it.
pub(in crate::commands) fn lines(checks: &[Check], palette: Palette) -> String {
    let width = checks.iter().map(|check| check.check.title().len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let word = match check.verdict {
            Verdict::Passed => palette.good("ok     "),
            Verdict::Skipped => palette.dim("skipped"),
            Verdict::Warning => palette.changed("warning"),
            Verdict::Inconclusive => palette.changed("unclear"),
            Verdict::Failed => palette.bad("FAILED "),
        };
        text += &format!("  {word}  {:width$}  {}\n", check.check.title(), printable(&check.found));
        let indent = " ".repeat(width + 13);
        if let Some(fix) = &check.fix {
            text += &format!("{indent}{} {}\n", palette.hint("fix:"), printable(fix));
        }
        if let Some(next) = &check.next {
            text += &format!("{indent}{} {}\n", palette.hint("next:"), printable(next));
        }
    }
    text
}

/// Runs `mtlog tenant verify`.
pub(super) async fn run(context: &Context<'_>, args: &VerifyArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let opened = open(&settings).await?;
    let failed = |error| table_error(error, &opened.region);
    let all = opened.table.entries().await.map_err(failed)?;
    let chosen: Vec<&Entry> = match &args.tenant {
        Some(tenant) => all.iter().filter(|entry| entry.tenant == *tenant).collect(),
        None => all.iter().collect(),
    };
    if let (Some(tenant), true) = (&args.tenant, chosen.is_empty()) {
        let text = format!(
            "tenant `{tenant}` is not in table `{}` in {}",
            opened.table.name(),
            opened.region
        );
        return Err(CliError::new(ExitStatus::Preflight, Message(text)).next("mtlog tenant list"));
    }
    let pipeline = pipeline::find(context, &settings, &opened, &args.central).await?;
    let writes = if args.read_only { Writes::Nothing } else { Writes::Probe };
    let way = Way::open(&opened.session, &pipeline.central_role, &opened.region).await;
    let seen = Box::pin(seen(&opened, &pipeline, args.tenant.as_deref())).await;
    let counter = counter::Counter::start(context.ui, u64::try_from(chosen.len()).ok(), None);
    let mut done = 0;
    let mut deliveries = Vec::new();
    let how = How { writes, accepted: &args.accept, seen: &seen };
    let mut results =
        stream::iter(chosen.iter().map(|entry| Box::pin(try_one(&way, entry, &settings, how))))
            .buffered(AT_ONCE);
    while let Some(result) = results.next().await {
        deliveries.push(result?);
        done += 1;
        counter.set(done);
    }
    drop(counter);
    let pipeline_checks = if args.all { of_the_pipeline(&seen, &all) } else { Vec::new() };
    let attestation = attest(&opened, &pipeline, deliveries, pipeline_checks, args.strict);
    context.ui.emit(&attestation)?;
    if attestation.passed {
        return Ok(ExitStatus::Success);
    }
    let count = attestation.failures(args.strict);
    context.ui.status(&format!("{count} {} failed.", if count == 1 { "check" } else { "checks" }));
    Ok(ExitStatus::Preflight)
}

fn attest(
    opened: &Opened,
    pipeline: &Pipeline,
    deliveries: Vec<Verified>,
    checks: Vec<Check>,
    strict: bool,
) -> Attestation {
    let mut attestation = Attestation {
        checked_at: super::now(),
        account: opened.identity.account.to_string(),
        identity: opened.identity.arn.clone(),
        region: opened.region.to_string(),
        table: opened.table.name().to_owned(),
        central_role_arn: pipeline.central_role.to_string(),
        passed: true,
        deliveries,
        pipeline: checks,
    };
    attestation.passed = attestation.failures(strict) == 0;
    attestation
}

impl Attestation {
    fn failures(&self, strict: bool) -> usize {
        let counts = |check: &&Check| match check.verdict {
            Verdict::Failed => true,
            Verdict::Inconclusive => strict,
            Verdict::Passed | Verdict::Skipped | Verdict::Warning => false,
        };
        let of_deliveries = self.deliveries.iter().flat_map(|delivery| &delivery.checks);
        of_deliveries.chain(&self.pipeline).filter(counts).count()
    }
}

/// How a delivery is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) writes: Writes,
    /// Checks whose failure somebody has accepted.
    pub(super) accepted: &'a [CheckName],
    pub(super) seen: &'a Seen,
}

/// Tries one delivery.
pub(super) async fn try_one(
    way: &Way,
    entry: &Entry,
    settings: &TableSettings,
    how: How<'_>,
) -> Result<Verified, CliError> {
    let item = match &entry.item {
        Ok(item) => item,
        Err(error) => {
            let text: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            let check = Check::new(CheckName::Item, Verdict::Failed, text.join("; "))
                .fix("change what is wrong; the engine does not use the item")
                .next(format!("mtlog tenant set {} --type {}", entry.tenant, entry.kind));
            return Ok(Verified::new(entry, vec![check]));
        }
    };
    let now = Timestamp::now();
    let mark = Mark {
        wrong_external_id: format!("mtlog-wrong-{}", random_hex()?),
        token: random_hex()?,
        now_ms: now.as_millisecond(),
        flags: pipeline::typed_flags(settings),
    };
    let mut checks = vec![verify::item(item, &entry.notes, now.as_second())];
    checks.extend(way.try_out(item, &mark, how.writes).await);
    checks.extend(how.seen.check(&entry.tenant, item.enabled));
    Ok(Verified::new(entry, verify::accept(checks, how.accepted)))
}

/// The tenants that the bucket holds log objects of.
#[derive(Debug)]
pub(super) enum Seen {
    /// These.
    Tenants { bucket: BucketName, tenants: BTreeSet<String> },
    /// It is not known; why.
    Unknown(String),
    /// Nobody looked.
    NotAsked,
}

impl Seen {
    fn check(&self, tenant: &str, enabled: bool) -> Option<Check> {
        let check = |verdict, found: String| Some(Check::new(CheckName::Logs, verdict, found));
        match self {
            Self::NotAsked => None,
            Self::Unknown(why) => check(Verdict::Skipped, why.clone()),
            Self::Tenants { bucket, tenants } => match (tenants.contains(tenant), enabled) {
                (true, true) => {
                    check(Verdict::Passed, format!("bucket {bucket} holds log objects of it"))
                }
                (true, false) => check(
                    Verdict::Warning,
                    format!(
                        "bucket {bucket} holds log objects of it, but the delivery is switched off: they are skipped"
                    ),
                ),
                (false, _) => check(
                    Verdict::Warning,
                    format!(
                        "bucket {bucket} holds no log objects of it: nothing was collected, or it is too long ago"
                    ),
                ),
            },
        }
    }
}

/// Lists who has log objects: everybody, or only whether `tenant` has.
async fn seen(opened: &Opened, pipeline: &Pipeline, tenant: Option<&str>) -> Seen {
    let Some(bucket) = pipeline.bucket.clone() else {
        return Seen::Unknown(
            "the bucket of log objects is not known: set SOURCE_BUCKET".to_owned(),
        );
    };
    match tenants(opened, pipeline, &bucket, tenant).await {
        Ok(tenants) => Seen::Tenants { bucket, tenants },
        Err(fault) if fault.class() == FaultClass::Denied => Seen::Unknown(format!(
            "bucket {bucket} cannot be listed: the identity in use needs `{}` on it",
            fault.permission()
        )),
        Err(fault) => Seen::Unknown(format!("bucket {bucket} cannot be listed: {fault}")),
    }
}

async fn tenants(
    opened: &Opened,
    pipeline: &Pipeline,
    bucket: &BucketName,
    tenant: Option<&str>,
) -> Result<BTreeSet<String>, Fault> {
    let s3 = opened.session.s3();
    let prefix = pipeline.key_prefix.to_string();
    let clusters = s3.directories(bucket, &prefix).await?;
    let mut lists = stream::iter(clusters.iter().map(|cluster| {
        let (s3, prefix) = (&s3, format!("{prefix}{cluster}/"));
        async move {
            match tenant {
                None => s3.directories(bucket, &prefix).await,
                Some(tenant) => {
                    let there = s3.has_any(bucket, &format!("{prefix}{tenant}/")).await?;
                    Ok(there.then(|| tenant.to_owned()).into_iter().collect())
                }
            }
        }
    }))
    .buffer_unordered(LISTINGS);
    let mut tenants = BTreeSet::new();
    while let Some(list) = lists.next().await {
        tenants.extend(list?);
    }
    Ok(tenants)
}

/// Finds tenants in S3 that nobody has onboarded: their logs are delivered to nobody.
fn of_the_pipeline(seen: &Seen, entries: &[Entry]) -> Vec<Check> {
    let Seen::Tenants { bucket, tenants } = seen else { return Vec::new() };
    let known: BTreeSet<&str> = entries.iter().map(|entry| entry.tenant.as_str()).collect();
    let strangers: Vec<&String> =
        tenants.iter().filter(|tenant| !known.contains(tenant.as_str())).collect();
    if strangers.is_empty() {
        let text = format!("every namespace in bucket {bucket} has an item ({})", tenants.len());
        return vec![Check::new(CheckName::Logs, Verdict::Passed, text)];
    }
    strangers
        .iter()
        .map(|tenant| {
            let text = format!(
                "bucket {bucket} holds log objects of namespace {tenant}, which has no item: they are delivered to nobody"
            );
            Check::new(CheckName::Logs, Verdict::Failed, text)
                .fix("onboard the tenant, or take the namespace out of the collection")
                .next(format!("mtlog tenant add {tenant}"))
        })
        .collect()
}
