//! `mtlog probe`: sends a heartbeat through the pipeline and measures when it arrives.

mod beat;
mod place;
mod report;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;
use mtlog_processor::model::ids::TenantId;

use self::{
    beat::{Beat, Line},
    place::Place,
    report::ProbeReport,
};
use super::{Context, stopping::StopRequest, target::StackArgs};
use crate::{
    config::period::Period,
    error::{CliError, ExitStatus, Message},
    probe::{
        Outcome,
        metrics::{self, Totals},
    },
    ui::OutputFormat,
};

/// Send a heartbeat through the pipeline and measure when it arrives
///
/// A small object with one record goes the way of every log: bucket, queue, engine, the tenant's CloudWatch Logs. The
/// tenant `mtlog-heartbeat` is for that, with a log group in this account; --tenant names another. The object is
/// deleted when it has arrived, and the log stream at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog probe -e production -r us-east-2
  mtlog probe --tenant acme --read-profile acme-admin -e production -r us-east-2
  mtlog probe --every 2m --emf -e production -r us-east-2
  mtlog probe --every 2m --textfile /var/lib/node_exporter/mtlog.prom -e production -r us-east-2")]
pub struct ProbeArgs {
    /// Whose log group the heartbeat goes to
    #[arg(long, value_name = "TENANT", default_value = crate::probe::TENANT)]
    tenant: TenantId,
    /// Profile that may read the log group, when it is in another account
    #[arg(long, value_name = "NAME")]
    read_profile: Option<String>,
    /// How long a heartbeat may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Period,
    /// Send one again and again, until Ctrl-C or SIGTERM
    #[arg(long, value_name = "TIME")]
    every: Option<Period>,
    /// End after so many heartbeats
    #[arg(long, value_name = "NUMBER", requires = "every", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print a line of CloudWatch's embedded metrics for each heartbeat
    #[arg(long)]
    emf: bool,
    /// Keep metrics for Prometheus in this file, as the node exporter's textfile collector reads them
    #[arg(long, value_name = "PATH")]
    textfile: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

/// Runs `mtlog probe`.
pub async fn run(context: &Context<'_>, args: &ProbeArgs) -> Result<ExitStatus, CliError> {
    let mut place = Box::pin(place::find(context, args)).await?;
    let mut stop = StopRequest::listen();
    let ran = match args.every {
        None => once(context, args, &mut place, &mut stop).await,
        Some(every) => canary(context, args, &mut place, &mut stop, every.get()).await,
    };
    place.clean(context).await;
    ran
}

async fn once(
    context: &Context<'_>,
    args: &ProbeArgs,
    place: &mut Place,
    stop: &mut StopRequest,
) -> Result<ExitStatus, CliError> {
    let Some(beat) = beat::send(context, place, 1, args.timeout.get(), stop).await? else {
        let text = "interrupted before the heartbeat arrived".to_owned();
        return Err(CliError::new(ExitStatus::Detached, Message(text)));
    };
    let mut totals = Totals::default();
    totals.add(beat.outcome, beat.stages, Timestamp::now());
    tell_machines(context, args, &beat, &totals);
    if !args.emf {
        context.ui.emit(&ProbeReport::new(place, &beat))?;
    }
    verdict(place, &beat, args.timeout.get())
}

fn verdict(place: &Place, beat: &Beat, limit: Duration) -> Result<ExitStatus, CliError> {
    let flags = place.flags();
    match beat.outcome {
        Outcome::Arrived => Ok(ExitStatus::Success),
        Outcome::DeadLetter => {
            let reason = beat.letter.as_ref().map_or("unknown", |letter| letter.reason.as_str());
            let text = format!("the heartbeat is in the dead-letter queue: {reason}");
            let error = CliError::new(ExitStatus::NeedsAttention, Message(text));
            let error = match beat.letter.as_ref().and_then(|letter| letter.remedy) {
                Some(remedy) => error.hint(remedy),
                None => error,
            };
            Err(error.next(format!("mtlog dlq list --tenant {}{flags}", place.tenant)))
        }
        Outcome::Late | Outcome::Failed => {
            let text = format!("the heartbeat did not arrive within {} s", limit.as_secs());
            Err(CliError::new(ExitStatus::TimedOut, Message(text))
                .hint(beat.advice())
                .next(format!("mtlog dlq list{flags}")))
        }
    }
}

async fn canary(
    context: &Context<'_>,
    args: &ProbeArgs,
    place: &mut Place,
    stop: &mut StopRequest,
    every: Duration,
) -> Result<ExitStatus, CliError> {
    let mut totals = Totals::default();
    let mut ticks = tokio::time::interval(every);
    // A heartbeat that takes longer than the interval is not followed by two at once.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut status = ExitStatus::Success;
    let mut number = 0;
    while args.count.is_none_or(|count| number < count) {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.wait() => break,
        }
        number += 1;
        let beat = match beat::send(context, place, number, args.timeout.get(), stop).await {
            Ok(Some(beat)) => beat,
            Ok(None) => break,
            // A canary that dies of one failed call is no canary.
            Err(error) => {
                context.ui.error(&error);
                Beat::failed(number)
            }
        };
        if beat.outcome != Outcome::Arrived {
            status = ExitStatus::TimedOut;
        }
        totals.add(beat.outcome, beat.stages, Timestamp::now());
        tell_machines(context, args, &beat, &totals);
        let line = Line::new(place, &beat);
        context.ui.record("beat", &line);
        if !args.emf && context.ui.output() == OutputFormat::Table {
            context.ui.data(&format!("{line}\n"));
        }
    }
    // Somebody ended it, or all were sent.
    Ok(if args.count.is_some() { status } else { ExitStatus::Success })
}

/// Writes metrics. That a file cannot be written is said and ends nothing.
fn tell_machines(context: &Context<'_>, args: &ProbeArgs, beat: &Beat, totals: &Totals) {
    if args.emf {
        let now = Timestamp::now();
        let line = metrics::embedded(&args.tenant, beat.outcome, &beat.stages, now);
        context.ui.data(&format!("{line}\n"));
    }
    if let Some(path) = &args.textfile {
        let beside = path.with_extension("tmp");
        // In one step: the collector must never see half of it.
        let written = std::fs::write(&beside, totals.prometheus(&args.tenant))
            .and_then(|()| std::fs::rename(&beside, path));
        if let Err(error) = written {
            context.ui.warning(&format!("{} is not written: {error}.", path.display()));
        }
    }
}
