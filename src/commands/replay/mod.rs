//! `mtlog replay`: delivers objects of the bucket once more, before they expire.

mod report;
mod survey;

use std::{cell::RefCell, path::PathBuf};

use clap::Args;
use jiff::Timestamp;
use mtlog_processor::{
    config::{CheckpointKind, Config, Mode},
    model::ids::TenantId,
    modes::{
        cursor::{Cursor, Selection},
        options::{ProcessOptions, SinkKind},
        scan::{self, Ended, Way},
    },
    telemetry,
};

use self::{
    report::{Done, Replay, State},
    survey::Survey,
};
use super::{
    Context, block_on, process,
    target::{self, Opened, StackArgs},
};
use crate::{
    cli::ConsentArgs,
    config::{period::Moment, vars},
    error::{CliError, ExitStatus, Message},
    replay::Choice,
};

/// Deliver objects of the bucket once more
///
/// For logs that were dropped at a destination, or that a tenant missed: everything that is chosen is delivered again
/// by the engine in this process, also what has arrived before. An estimate comes first. Objects can be replayed until
/// the bucket's lifecycle deletes them. An interrupted replay goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog replay --tenant acme --since 6h --dry-run -e production -r us-east-2
  mtlog replay --tenant acme --since 2026-11-23T00:00:00Z --before 2026-11-23T06:00:00Z -e production -r us-east-2
  mtlog replay --cluster-name prod-1 --since 1d -y -e production -r us-east-2")]
pub struct ReplayArgs {
    /// Only objects of this tenant; may be repeated
    #[arg(long, value_name = "TENANT", help_heading = "Selection")]
    tenant: Vec<TenantId>,
    /// Only objects that were written then or later: 2026-11-23T00:00:00Z, or so long ago, such as 6h
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    since: Option<Moment>,
    /// Only objects that were written before; by default now
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    before: Option<Moment>,
    /// Show the estimate; nothing is delivered
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Keep the place in this file, which is deleted at the end, and go on from it
    #[arg(long, value_name = "PATH", default_value = "mtlog-replay.json")]
    cursor: PathBuf,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// What is ready to be delivered.
struct Ready {
    replay: Replay,
    config: Config,
    options: ProcessOptions,
    prefixes: Vec<String>,
    cursor: Cursor,
    flags: String,
}

/// Runs `mtlog replay`.
pub fn run(context: &Context<'_>, args: &ReplayArgs) -> Result<ExitStatus, CliError> {
    // `CLUSTER_NAME` names the cluster that is deployed; only the flag chooses objects.
    let cluster = args.stack.flags(&[]).cluster_name;
    if args.tenant.is_empty() && args.since.is_none() && cluster.is_none() {
        let text = "nothing says which objects are meant".to_owned();
        return Err(CliError::new(ExitStatus::Usage, Message(text))
            .hint("give --tenant, --since or --cluster-name"));
    }
    let options = ProcessOptions {
        mode: Some(Mode::Scan),
        until_empty: false,
        object: None,
        file: None,
        key: None,
        sink: SinkKind::Cloudwatch,
        dry_run: false,
        prefix: None,
        tenants: args.tenant.clone(),
        since: None,
        before: None,
        cursor: Some(args.cursor.clone()),
        watch: false,
    };
    let mut config = process::engine_config(context, &args.stack, &options, Mode::Scan)?;
    // What was delivered before is meant to be delivered again.
    config.checkpoint = CheckpointKind::None;
    if context.layers.lookup(&vars::LOG_LEVEL, None).is_none() {
        config.log_level = tracing::Level::WARN;
    }
    let Some(ready) = block_on(prepare(context, args, cluster, options, config))? else {
        return Ok(ExitStatus::Success);
    };
    deliver(context, args, ready)
}

/// Estimates and asks. None: there is nothing to deliver, or that was not wanted.
async fn prepare(
    context: &Context<'_>,
    args: &ReplayArgs,
    cluster: Option<String>,
    mut options: ProcessOptions,
    config: Config,
) -> Result<Option<Ready>, CliError> {
    let ui = context.ui;
    let opened = target::open(context, &args.stack.regional_flags()).await?;
    let Some(bucket) = config.source_bucket.clone() else {
        let text = "the bucket of log objects is not known".to_owned();
        return Err(CliError::new(ExitStatus::Preflight, Message(text)).next("mtlog config show"));
    };
    let now = Timestamp::now();
    let mut cursor = Cursor::load(&args.cursor).map_err(|problem| unusable(args, &problem))?;
    let since = args.since.map(|moment| moment.before(now));
    let mut selection = Selection {
        bucket: bucket.to_string(),
        clusters: cluster.iter().cloned().collect(),
        tenants: args.tenant.iter().map(ToString::to_string).collect(),
        since_ms: since.map(Timestamp::as_millisecond),
        before_ms: args.before.map_or(now, |moment| moment.before(now)).as_millisecond(),
    };
    let resumes = cursor.selection.is_some();
    if let Some(earlier) = &cursor.selection {
        adopt(args, &mut selection, earlier)?;
        ui.status(&format!("Going on from {}.", args.cursor.display()));
    } else if cursor != Cursor::default() {
        return Err(unusable(args, "it is the cursor of `mtlog process --mode scan`"));
    }
    let choice = Choice {
        prefix: config.key_prefix.clone(),
        tenants: args.tenant.clone(),
        since: selection.since_ms.and_then(|at| Timestamp::from_millisecond(at).ok()),
        before: Timestamp::from_millisecond(selection.before_ms).unwrap_or(now),
    };
    if choice.since.is_some_and(|since| since >= choice.before) {
        let text = "--since is not before --before: no object is meant".to_owned();
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    let after = cursor.after.clone();
    let s3 = opened.session.s3();
    let Survey { prefixes, estimate } =
        survey::survey(&s3, &bucket, &choice, cluster.as_deref(), after.as_deref(), now).await?;
    let replay = Replay {
        bucket: bucket.to_string(),
        state: if estimate.objects == 0 && cursor.open.is_empty() {
            State::Nothing
        } else {
            State::Planned
        },
        tenants: selection.tenants.iter().cloned().collect(),
        cluster,
        since: choice.since,
        before: choice.before,
        resumes,
        left_open: cursor.open.len() as u64,
        expire_after_days: survey::expire_after_days(&opened).await?,
        estimate,
        done: None,
    };
    if args.dry_run || replay.state == State::Nothing {
        ui.emit(&replay)?;
        return Ok(None);
    }
    ask(context, args, &replay, &opened)?;
    cursor.selection = Some(selection);
    // Written now: that the place cannot be kept is better known before the first object.
    cursor.save(&args.cursor).map_err(|problem| unusable(args, &problem))?;
    (options.since, options.before) = (choice.since, Some(choice.before));
    let flags = opened.typed_flags();
    Ok(Some(Ready { replay, config, options, prefixes, cursor, flags }))
}

/// Takes over what an earlier run of the same replay has fixed; times that count back from now are those of then.
fn adopt(
    args: &ReplayArgs,
    selection: &mut Selection,
    earlier: &Selection,
) -> Result<(), CliError> {
    if matches!(args.since, Some(Moment::Ago(_))) && earlier.since_ms.is_some() {
        selection.since_ms = earlier.since_ms;
    }
    if !matches!(args.before, Some(Moment::At(_))) {
        selection.before_ms = earlier.before_ms;
    }
    if *selection == *earlier {
        return Ok(());
    }
    Err(unusable(args, "it is the place of another replay"))
}

fn unusable(args: &ReplayArgs, problem: &str) -> CliError {
    let text = format!("the cursor `{}` cannot be used", args.cursor.display());
    CliError::because(ExitStatus::Preflight, text, Message(problem.to_owned())).hint(
        "name another file with --cursor, or delete this one if its replay is not wanted any more",
    )
}

fn ask(
    context: &Context<'_>,
    args: &ReplayArgs,
    replay: &Replay,
    opened: &Opened,
) -> Result<(), CliError> {
    let ui = context.ui;
    let answers = args.consent.answers();
    ui.could_agree(None, &answers)?;
    ui.status(replay.summary(ui.palette()).trim_end());
    ui.warning(
        "Every record is delivered again, also one that has arrived before: CloudWatch Logs keeps both.",
    );
    if replay.estimate.too_old > 0 {
        ui.warning(&format!(
            "{} of the objects are older than 14 days: CloudWatch Logs refuses what is in them.",
            replay.estimate.too_old
        ));
    }
    let question = format!(
        "Deliver {} objects from account {} again?",
        replay.estimate.objects + replay.left_open,
        opened.place.account
    );
    ui.agree(&question, &answers).map(drop)
}

fn deliver(context: &Context<'_>, args: &ReplayArgs, ready: Ready) -> Result<ExitStatus, CliError> {
    let Ready { mut replay, config, options, prefixes, cursor, flags } = ready;
    let _installed = telemetry::install(Mode::Scan, &config);
    let done = RefCell::new(Done::default());
    let seen = |handled: &mtlog_processor::engine::Handled| {
        let mut done = done.borrow_mut();
        for line in done.add(handled) {
            context.ui.record("object", &line);
        }
    };
    let way = Way { prefixes, cursor, seen: Some(&seen) };
    let Ended { status, complete, open } =
        process::on_threads(Box::pin(scan::go(&options, &config, way)))?;
    let mut done = done.into_inner();
    done.open = open as u64;
    replay.state = if complete { State::Done } else { State::Interrupted };
    let delivered = done.records.delivered;
    replay.done = Some(done);
    context.ui.emit(&replay)?;
    let status = ExitStatus::from(status);
    if complete && open == 0 {
        // The place is of no use any more; that it cannot be deleted is no failure of the replay.
        if let Err(error) = std::fs::remove_file(&args.cursor) {
            context.ui.warning(&format!("{} stays: {error}.", args.cursor.display()));
        }
        return Ok(status);
    }
    context.ui.status(&format!(
        "The place is kept in {}; the same command goes on from there.",
        args.cursor.display()
    ));
    if complete || status != ExitStatus::Success {
        context.ui.next(&format!("mtlog dlq list{flags}"));
        return Ok(status);
    }
    let text = format!("interrupted after {delivered} records");
    Err(CliError::new(ExitStatus::Detached, Message(text)))
}
