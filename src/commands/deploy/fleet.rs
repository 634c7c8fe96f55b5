//! Several stacks in several regions: what goes together, what waits for what, and what stops what.

use std::{cell::RefCell, time::Duration};

use futures_util::future::join_all;
use mtlog_processor::model::ids::Region;

use super::{
    Foresight, Others, Run,
    dry_run::{self, Planned},
    next,
    report::{DeployReport, DeployedStack},
    stack::{self, Pending, Step},
};
use crate::{
    commands::{Context, target::Opened, watching},
    deploy::{
        plan::Operation,
        saved::{SavedPlan, SavedStack},
        schedule::{Stage, Unit, schedule},
        target::Target,
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        plan::Plans,
        progress::Progress,
        prompt::{Answers, Consent},
    },
};

/// How often dead-letter queues are looked at while a wave is watched.
const BAKE_LOOKS: Duration = Duration::from_secs(10);

/// What a whole command shares.
pub(super) struct Fleet<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) answers: Answers,
    pub(super) timeout: Duration,
    /// How long a wave is watched before the next one begins.
    pub(super) bake: Duration,
    pub(super) others: Others,
    /// The plan that is carried out, if it comes from a file.
    pub(super) plan: Option<SavedPlan>,
}

/// What a dry run found.
#[derive(Debug)]
pub(super) struct Found {
    changes: bool,
    /// The plans as they can be kept; or why not.
    pub(super) saved: Result<Vec<SavedStack>, CliError>,
}

impl Found {
    /// Whether anything would change.
    pub(super) const fn changes(&self) -> bool {
        self.changes
    }
}

/// The waves and what belongs to them, in order.
struct Schedule<'a> {
    runs: Vec<Run<'a>>,
    waves: Vec<Vec<Stage>>,
}

impl<'a> Schedule<'a> {
    fn of(
        fleet: &'a Fleet<'a>,
        progress: &'a Progress<'a>,
        opened: &Opened,
        waves: Option<&[Vec<Region>]>,
    ) -> Self {
        let all = [opened.regions()];
        let waves = waves.unwrap_or(&all);
        // The global stack belongs where the settings say, else to the first region.
        let home = opened
            .settings
            .global_region
            .clone()
            .or_else(|| waves.first().and_then(|wave| wave.first()).cloned())
            .unwrap_or_else(|| opened.place.region.clone());
        let waves: Vec<Vec<Stage>> = schedule(&opened.settings.targets, &home, waves)
            .into_iter()
            .map(|wave| wave.stages)
            .collect();
        let mut regions: Vec<&Region> =
            waves.iter().flatten().flatten().map(|unit| &unit.region).collect();
        regions.sort_unstable_by_key(|region| region.as_str());
        regions.dedup();
        let runs = regions
            .into_iter()
            .map(|region| Run {
                context: fleet.context,
                progress,
                opened: if *region == opened.place.region && opened.regions().len() == 1 {
                    opened.clone()
                } else {
                    opened.in_region(region)
                },
                home: home.clone(),
                answers: fleet.answers.clone(),
                timeout: fleet.timeout,
                others: fleet.others,
                pinned: RefCell::default(),
                plan: fleet.plan.as_ref(),
            })
            .collect();
        Self { runs, waves }
    }

    /// Returns the units of a stage with what each runs in.
    fn units<'b>(&'b self, stage: &'b [Unit]) -> impl Iterator<Item = (&'b Run<'a>, Target)> {
        stage.iter().filter_map(|unit| {
            let run = self.runs.iter().find(|run| run.opened.place.region == unit.region)?;
            Some((run, unit.target))
        })
    }
}

/// Prints the plans. Makes no write call.
pub(super) async fn plan(
    fleet: &Fleet<'_>,
    opened: &Opened,
    waves: Option<&[Vec<Region>]>,
) -> Result<Found, CliError> {
    let progress = Progress::start(fleet.context.ui);
    let schedule = Schedule::of(fleet, &progress, opened, waves);
    let units: Vec<(&Run<'_>, Target)> =
        schedule.waves.iter().flatten().flat_map(|stage| schedule.units(stage)).collect();
    let found = join_all(units.iter().map(|(run, target)| dry_run::planned(run, *target))).await;
    let mut plans = Vec::new();
    let mut failures = Vec::new();
    let mut saved = Vec::new();
    let mut imagined = None;
    for planned in found {
        match planned {
            Ok(Planned { view, refusal, saved: stack, imagined: rests_on_nothing }) => {
                if rests_on_nothing {
                    imagined.get_or_insert(view.stack.clone());
                }
                plans.push(view);
                failures.extend(refusal);
                saved.push(stack);
            }
            Err(error) => failures.push(error),
        }
    }
    let changes = plans.iter().any(|plan| plan.operation != Operation::Nothing);
    for plan in &plans {
        fleet.context.ui.record("plan", plan);
    }
    if !fleet.context.ui.is_streaming() {
        fleet.context.ui.emit(&Plans { plans })?;
    }
    match CliError::together(failures) {
        Some(error) => Err(error),
        None => {
            Ok(Found { changes, saved: imagined.map_or(Ok(saved), |stack| Err(unknown(&stack))) })
        }
    }
}

/// The failure that a plan cannot be kept because it rests on what is not there yet.
fn unknown(stack: &str) -> CliError {
    let text = format!(
        "the plan for stack `{stack}` needs outputs of a stack that does not exist yet, so it cannot be saved"
    );
    CliError::new(ExitStatus::Preflight, Message(text))
        .hint("save and apply the plan of the other stack first")
}

/// Deploys wave after wave, stage after stage.
pub(super) async fn deploy(
    fleet: &Fleet<'_>,
    opened: &Opened,
    waves: Option<&[Vec<Region>]>,
) -> Result<ExitStatus, CliError> {
    let ui = fleet.context.ui;
    let progress = Progress::start(ui);
    let schedule = Schedule::of(fleet, &progress, opened, waves);
    let mut report = DeployReport::default();
    let flags = opened.typed_flags();
    let work = Box::pin(all_waves(fleet, &schedule, &mut report));
    let ended = watching::until_stopped(&progress, &flags, work).await;
    // What was deployed before a failure is there, and its outputs are worth having.
    if ended.is_ok() || !report.stacks.is_empty() {
        ui.emit(&report)?;
    }
    ended?;
    if let Some(last) = report.stacks.last()
        && let Some(run) = schedule.runs.iter().find(|run| last.is_in(&run.opened.place.region))
    {
        next::suggest(run, last);
    }
    Ok(ExitStatus::Success)
}

/// Deploys as one wave, and leaves it to the caller to print what came of it.
pub(super) async fn deployed(fleet: &Fleet<'_>, opened: &Opened) -> Result<DeployReport, CliError> {
    let progress = Progress::start(fleet.context.ui);
    let schedule = Schedule::of(fleet, &progress, opened, None);
    let mut report = DeployReport::default();
    let work = Box::pin(all_waves(fleet, &schedule, &mut report));
    watching::until_stopped(&progress, &opened.typed_flags(), work).await?;
    Ok(report)
}

async fn all_waves(
    fleet: &Fleet<'_>,
    schedule: &Schedule<'_>,
    report: &mut DeployReport,
) -> Result<(), CliError> {
    let several = schedule.waves.iter().flatten().count() > 1;
    if several {
        foresee(schedule).await?;
    }
    let count = schedule.waves.len();
    for (number, stages) in schedule.waves.iter().enumerate() {
        if count > 1 {
            let mut regions: Vec<&str> =
                stages.iter().flatten().map(|unit| unit.region.as_str()).collect();
            regions.dedup();
            fleet.context.ui.status(&format!(
                "Wave {} of {count}: {}",
                number + 1,
                regions.join(", ")
            ));
        }
        let before = report.stacks.len();
        for stage in stages {
            run_stage(schedule, stage, report).await?;
        }
        if number + 1 < count && !fleet.bake.is_zero() {
            let done = report.stacks.get(before..).unwrap_or_default();
            bake(fleet, schedule, done).await?;
        }
    }
    Ok(())
}

/// Looks at everything that comes, so that what cannot work is named before the first write.
async fn foresee(schedule: &Schedule<'_>) -> Result<(), CliError> {
    let units: Vec<(&Run<'_>, Target)> =
        schedule.waves.iter().flatten().flat_map(|stage| schedule.units(stage)).collect();
    let looks = units.iter().map(|(run, target)| stack::survey(run, *target, Foresight::Imagined));
    let failures = join_all(looks).await.into_iter().filter_map(Result::err).collect();
    CliError::together(failures).map_or(Ok(()), Err)
}

/// Deploys stacks at the same time. All of them end before a failure of one is told.
async fn run_stage(
    schedule: &Schedule<'_>,
    stage: &[Unit],
    report: &mut DeployReport,
) -> Result<(), CliError> {
    let units: Vec<(&Run<'_>, Target)> = schedule.units(stage).collect();
    let surveys =
        join_all(units.iter().map(|(run, target)| stack::survey(run, *target, Foresight::None)))
            .await;
    let surveys = all_or_failures(surveys)?;
    let steps =
        join_all(units.iter().zip(surveys).map(|((run, _), survey)| stack::prepare(run, survey)))
            .await;
    let mut pending: Vec<(&Run<'_>, Pending)> = Vec::new();
    let mut failures = Vec::new();
    for ((run, _), step) in units.iter().zip(steps) {
        match step {
            Ok(Step::Unchanged(deployed)) => report.add(run.context.ui, *deployed),
            Ok(Step::Ready(ready)) => pending.push((run, *ready)),
            Err(error) => failures.push(error),
        }
    }
    let consents = if failures.is_empty() {
        match agree(&pending) {
            Ok(consents) => consents,
            Err(declined) => {
                failures.push(declined);
                Vec::new()
            }
        }
    } else {
        Vec::new()
    };
    if !failures.is_empty() {
        // Nothing of this stage begins, and what was prepared for it goes.
        for (run, pending) in &pending {
            if let Err(error) = stack::discard(run, pending).await {
                failures.push(error);
            }
        }
        return CliError::together(failures).map_or(Ok(()), Err);
    }
    let carried = pending
        .iter()
        .zip(consents)
        .map(|((run, pending), consent)| stack::carry_out(run, pending, consent));
    for ((run, _), outcome) in pending.iter().zip(join_all(carried).await) {
        match outcome {
            Ok(deployed) => report.add(run.context.ui, deployed),
            Err(error) => failures.push(error),
        }
    }
    CliError::together(failures).map_or(Ok(()), Err)
}

/// Shows every plan, then asks for each: one answer must not depend on a plan that was not seen yet.
fn agree(pending: &[(&Run<'_>, Pending)]) -> Result<Vec<Consent>, CliError> {
    for (run, pending) in pending {
        let ui = run.context.ui;
        ui.record("plan", &pending.view);
        ui.status(pending.view.render(ui.palette()).trim_end());
    }
    pending.iter().map(|(run, pending)| stack::agree(run, pending)).collect()
}

fn all_or_failures<T>(results: Vec<Result<T, CliError>>) -> Result<Vec<T>, CliError> {
    let mut values = Vec::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => failures.push(error),
        }
    }
    CliError::together(failures).map_or(Ok(values), Err)
}

/// Watches what a wave left behind: messages in a dead-letter queue stop the next wave.
async fn bake(
    fleet: &Fleet<'_>,
    schedule: &Schedule<'_>,
    deployed: &[DeployedStack],
) -> Result<(), CliError> {
    let ui = fleet.context.ui;
    let mut queues = Vec::new();
    for stack in deployed {
        let run = schedule.runs.iter().find(|run| stack.is_in(&run.opened.place.region));
        if let (Some(run), Some(url)) = (run, stack.outputs().get("LogDeliveryDLQUrl")) {
            let before = dead_letters(run, url).await?;
            queues.push((run, stack, url, before));
        }
    }
    ui.status(&format!(
        "Watching {} dead-letter queues for {} s before the next wave ...",
        queues.len(),
        fleet.bake.as_secs()
    ));
    let began = tokio::time::Instant::now();
    loop {
        for (run, stack, url, before) in &queues {
            let now = dead_letters(run, url).await?;
            if now > *before {
                let text = format!(
                    "{} messages arrived in the dead-letter queue of stack `{}` in {} since it was deployed; the \
                     waves after this one were not begun",
                    now - before,
                    stack.stack(),
                    run.opened.place.region
                );
                return Err(CliError::new(ExitStatus::NeedsAttention, Message(text))
                    .next(format!("mtlog dlq list{}", run.opened.typed_flags())));
            }
        }
        let left = fleet.bake.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(BAKE_LOOKS)).await;
    }
}

async fn dead_letters(run: &Run<'_>, url: &str) -> Result<u64, CliError> {
    let depth = run.opened.session.sqs().depth(url).await;
    depth
        .map(|depth| depth.unwrap_or(0))
        .map_err(|fault| CliError::aws(format!("failed to look at the queue `{url}`"), fault))
}
