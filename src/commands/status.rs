//! `mtlog status`: one environment on one screen.

use std::{pin::pin, time::Duration};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use mtlog_processor::model::{
    ids::Region,
    tenant::{PARTITION_KEY, TenantItem},
};
use serde::Serialize;

use super::{
    Context,
    target::{FleetArgs, Opened},
};
use crate::{
    aws::{
        fault::Fault,
        processor_log::{Excerpt, ReportedObject},
    },
    cli,
    deploy::{
        stack::Stack,
        status::Standing,
        target::{Naming, Target, stack_name},
    },
    error::{CliError, ExitStatus, Message},
    operate::{
        metric::{Period, Window},
        pipeline::{Pipeline, Queue},
        reading::Reading,
        screen,
        view::{self, Depth, Environment, FromLog, Numbers, RegionView, StackRow, Tenants},
    },
    ui::{OutputFormat, Report, style::Palette, table::Table},
};

/// The time that the screen looks back, in minutes.
const HOUR: u16 = 60;

/// Show one environment on one screen: stacks, queues, deliveries, tenants, alarms
///
/// Everything is read at the same time, in all regions. What may not be read is dim and names the permission.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog status -e production -r us-east-2
  mtlog status -e production -r us-east-2,eu-west-1 --watch
  mtlog status -e production -r us-east-2 -o json")]
pub struct StatusArgs {
    /// Read again and again until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How long to wait between two readings
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = cli::duration, requires = "watch")]
    every: Duration,
    /// Stop after so many readings
    #[arg(long, value_name = "NUMBER", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    fleet: FleetArgs,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Screen(Environment);

impl Report for Screen {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        screen::draw(&self.0, palette)
    }
}

/// Runs `mtlog status`.
pub async fn run(context: &Context<'_>, args: &StatusArgs) -> Result<ExitStatus, CliError> {
    if args.watch && context.ui.output() == OutputFormat::Json {
        let text = "--watch prints many documents, and --output json is one; use --output ndjson";
        return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
    }
    let opened = args.fleet.open(context).await?;
    if !args.watch {
        context.ui.emit(&Screen(read(&opened).await))?;
        return Ok(ExitStatus::Success);
    }
    // Made before the first reading, so that no Ctrl-C is missed while a reading takes long.
    let mut stop = pin!(super::watching::asked_to_stop());
    let mut resizes = super::watching::Resizes::listen();
    let mut watched = context.ui.watch();
    let mut left = args.count;
    loop {
        let environment = tokio::select! {
            environment = read(&opened) => environment,
            () = &mut stop => return Ok(ExitStatus::Success),
        };
        watched.show(&Screen(environment))?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(ExitStatus::Success);
        }
        let mut next = pin!(tokio::time::sleep(args.every));
        loop {
            tokio::select! {
                () = &mut next => break,
                () = &mut stop => return Ok(ExitStatus::Success),
                () = resizes.next() => watched.redraw(),
            }
        }
    }
}

/// Reads all regions at the same time.
async fn read(opened: &Opened) -> Environment {
    let at = Timestamp::now();
    let readings = opened.regions().into_iter().map(|region| {
        let opened = opened.in_region(&region);
        async move { region_view(&opened, &region, at).await }
    });
    let regions = opened.regions().len().max(1);
    Environment {
        account: opened.place.account.to_string(),
        project: opened.settings.project.value.to_string(),
        environment: opened.settings.environment.value.to_string(),
        at,
        regions: stream::iter(readings).buffered(regions).collect().await,
    }
}

async fn region_view(opened: &Opened, region: &Region, at: Timestamp) -> RegionView {
    let session = &opened.session;
    let project = opened.settings.project.value.as_str();
    let environment = opened.settings.environment.value.as_str();
    let listed = session.cloudformation().stacks_named(&format!("{project}-")).await;
    let start = format!("{project}-{environment}");
    let regional = opened.stack_name(Target::Regional).ok();
    let pipeline = match &listed {
        // Who may not read the stacks may still read the rest.
        Err(_) => Pipeline::by_convention(&start, &opened.place.account, region),
        Ok(stacks) => stacks
            .iter()
            .find(|stack| regional.as_ref().is_some_and(|name| name.as_str() == stack.name))
            .map(Pipeline::of_stack)
            .unwrap_or_default(),
    };
    let stacks = Reading::of(listed.map(|stacks| rows(&stacks, opened.naming(region))));
    let window = Window::until(at, Period::Minute, HOUR);
    let metrics = view::metrics(&pipeline);
    let prefix = format!("{start}-");
    let (cloudwatch, sqs) = (session.cloudwatch(), session.sqs());
    let log = session.processor_log();
    let group = pipeline.function.as_ref().map(|function| format!("/aws/lambda/{function}"));
    let (numbers, alarms, queue, dead, tenants, served, failing) = tokio::join!(
        async {
            if metrics.is_empty() {
                return Reading::known(Numbers::default());
            }
            let points = cloudwatch.points(&metrics, window).await;
            Reading::of(points.map(|points| Numbers::of(&pipeline, &points, window)))
        },
        cloudwatch.alarms(&prefix),
        depth(&sqs, pipeline.queue.as_ref()),
        depth(&sqs, pipeline.dead_letters.as_ref()),
        tenants(opened, &pipeline),
        from_log(group.as_deref(), |group| log.delivered_objects(group, at), view::served),
        from_log(group.as_deref(), |group| log.failed_objects(group, at), view::failing),
    );
    let with_history = |depth: Reading<Depth>, history: fn(&Numbers) -> Reading<_>| {
        depth.map(|depth| Depth { history: from(&numbers, history), ..depth })
    };
    RegionView {
        region: region.to_string(),
        stacks,
        queue: with_history(queue, Numbers::waiting),
        oldest_message: from(&numbers, Numbers::oldest_message),
        dead_letters: with_history(dead, Numbers::dead),
        function: from(&numbers, Numbers::function_hour),
        arriving: from(&numbers, Numbers::arriving),
        delivered: from(&numbers, Numbers::delivered),
        latency: from(&numbers, Numbers::latency),
        tenants,
        served,
        failing,
        alarms: Reading::of(alarms),
    }
}

/// Takes one cell out of the numbers, or the reason why there are none.
fn from<T>(numbers: &Reading<Numbers>, cell: fn(&Numbers) -> Reading<T>) -> Reading<T> {
    match numbers.as_ref().map(cell) {
        Reading::Known { value } => value,
        Reading::Absent => Reading::Absent,
        Reading::Denied { permission } => Reading::Denied { permission },
        Reading::Failed { reason } => Reading::Failed { reason },
    }
}

async fn depth(sqs: &crate::aws::sqs::Sqs, queue: Option<&Queue>) -> Reading<Depth> {
    let Some(queue) = queue else { return Reading::Absent };
    Reading::of_option(sqs.counts(&queue.url).await).map(|counts| Depth {
        waiting: counts.waiting,
        in_flight: counts.in_flight,
        delayed: counts.delayed,
        history: Reading::Absent,
    })
}

async fn tenants(opened: &Opened, pipeline: &Pipeline) -> Reading<Tenants> {
    let Some(table) = &pipeline.table else { return Reading::Absent };
    Reading::of(opened.session.dynamodb().all_items(table).await).map(|items| {
        let mut tenants = Tenants::default();
        let mut enabled = std::collections::BTreeMap::<String, bool>::new();
        for attributes in &items {
            let name = match attributes.get(PARTITION_KEY) {
                Some(mtlog_processor::model::tenant::Attribute::String(name)) => name.clone(),
                _ => "?".to_owned(),
            };
            match TenantItem::from_attributes(attributes) {
                Ok(item) => *enabled.entry(name).or_default() |= item.enabled,
                Err(_) => tenants.unusable.push(name),
            }
        }
        tenants.enabled = enabled.values().filter(|on| **on).count() as u64;
        tenants.disabled = enabled.values().filter(|on| !**on).count() as u64;
        tenants.unusable.sort();
        tenants.unusable.dedup();
        tenants
    })
}

/// Reads a part of the processor's log, and counts its tenants.
async fn from_log<'g, T, F>(
    group: Option<&'g str>,
    read: impl FnOnce(&'g str) -> F,
    count: fn(&[ReportedObject]) -> Vec<T>,
) -> Reading<FromLog<T>>
where
    F: Future<Output = Result<Option<Excerpt>, Fault>>,
{
    let Some(group) = group else { return Reading::Absent };
    Reading::of_option(read(group).await).map(|excerpt| FromLog::of(&excerpt, count))
}

/// The stacks, ours first, in the order of dependence.
fn rows(stacks: &[Stack], naming: Naming<'_>) -> Vec<StackRow> {
    let target_of = |stack: &Stack| {
        let environment =
            stack.parameters.get("Environment").map(String::as_str).unwrap_or_default();
        let cluster = stack.parameters.get("ClusterName").map(String::as_str);
        let naming = Naming { environment, cluster, ..naming };
        Target::ALL.into_iter().find(|target| {
            stack_name(*target, naming).is_ok_and(|name| name.as_str() == stack.name)
        })
    };
    let mut rows: Vec<StackRow> = stacks
        .iter()
        .map(|stack| StackRow {
            target: target_of(stack),
            stack: stack.name.clone(),
            state: state(stack),
            status: stack.status.to_string(),
            reason: stack.reason.clone(),
            changed: stack
                .updated
                .or(stack.created)
                .map(|time| time.strftime("%Y-%m-%d %H:%M").to_string()),
            parts: parts(stack),
            version: stack.outputs.get("StackVersion").cloned(),
            image: stack.parameters.get("ECRImageUri").filter(|image| !image.is_empty()).cloned(),
        })
        .collect();
    rows.sort_by(|a, b| {
        (a.target.is_none(), a.target, &a.stack).cmp(&(b.target.is_none(), b.target, &b.stack))
    });
    rows
}

/// The state in one word.
const fn state(stack: &Stack) -> &'static str {
    match stack.status.standing() {
        Standing::Running => "busy",
        Standing::Done => "ok",
        Standing::RolledBack => "rolled back",
        Standing::Stuck => "STUCK",
        Standing::Gone => "gone",
        Standing::Reviewing => "not created yet",
    }
}

/// The optional parts that a regional stack has.
fn parts(stack: &Stack) -> Vec<&'static str> {
    [
        ("IncludeSQSStack", "sqs"),
        ("IncludeLambdaStack", "lambda"),
        ("IncludeObservabilityStack", "alarms"),
    ]
    .into_iter()
    .filter(|(parameter, _)| stack.parameters.get(*parameter).is_some_and(|value| value == "true"))
    .map(|(_, part)| part)
    .collect()
}
