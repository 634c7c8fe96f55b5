//! One stack: observe, plan, confirm, execute, report.

use std::{collections::BTreeSet, future::Future, time::Instant};

use jiff::Timestamp;

use super::{
    Foresight, Others, Run, failure, preflight,
    report::{DeployedStack, Done},
    stakes, upstream,
    view::{Estimate, estimate, missing_bucket, view, warning},
};
use crate::{
    aws::cloudformation::{ChangeSetKind, CloudFormation, Deletion},
    commands::watching::{self, Watch},
    deploy::{
        change::{ResourceChange, Stake},
        desired::{desired, usual_bucket},
        execute::{self, ExecuteError, Prepared, Ready},
        observe::{self, Observed},
        plan::{Operation, Plan, plan},
        reconcile::reconcile,
        saved::{SavedStack, Stale},
        stack::{Presence, Stack, StackName},
        state::{Approach, Refusal},
        status::Standing,
        target::Target,
        watch::{self, Ended, History, Patience},
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        plan::{Basis, PlanView},
        progress::Subject,
        prompt::Consent,
    },
};

/// A stack that was looked at, with what would happen to it.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) observed: Observed,
    pub(super) plan: Plan,
    /// Whether values stand in it that are not there yet.
    pub(super) imagined: bool,
}

/// What is known of a stack before the first write.
#[derive(Debug)]
pub(super) struct Survey {
    look: Look,
    /// Unless something has to be waited for or cleared away first.
    judged: Option<Judged>,
}

/// What a plan comes to, and what it needs.
#[derive(Debug)]
struct Judged {
    estimate: Vec<ResourceChange>,
    new_bucket: Option<String>,
    stakes: Vec<Stake>,
}

/// A stack after everything but the change itself is done.
#[derive(Debug)]
pub(super) enum Step {
    /// It is as it should be.
    Unchanged(Box<DeployedStack>),
    /// Its change set waits.
    Ready(Box<Pending>),
}

/// A change set that waits for consent.
#[derive(Debug)]
pub(super) struct Pending {
    plan: Plan,
    ready: Ready,
    pub(super) view: PlanView,
}

/// Looks at one stack and finds everything that stands in the way. Reads only.
pub(super) async fn survey(
    run: &Run<'_>,
    target: Target,
    foresight: Foresight,
) -> Result<Survey, CliError> {
    let client = run.opened.session.cloudformation();
    let look = look(run, target, &client, foresight).await?;
    let judged = match &look.plan.approach {
        Approach::Refuse(Refusal::Busy) if run.others == Others::Wait => None,
        Approach::Refuse(why) => {
            let stack = look.observed.presence.stack();
            return Err(failure::refused(&look.plan, stack, why, &run.opened.typed_flags()));
        }
        Approach::Create | Approach::Update => Some(judge(run, &client, &look).await?),
        // Where nobody can be asked, the first write would already be one too many.
        Approach::DeleteThenCreate => {
            run.context.ui.could_agree(None, &run.answers)?;
            None
        }
        Approach::WaitThenUpdate | Approach::Attach | Approach::WaitThenCreate => None,
    };
    Ok(Survey { look, judged })
}

/// Finds out what the plan comes to and whether it can be carried out. Reads only.
async fn judge(run: &Run<'_>, client: &CloudFormation, look: &Look) -> Result<Judged, CliError> {
    let Look { observed, plan, .. } = look;
    if plan.operation == Operation::Nothing {
        return Ok(Judged { estimate: Vec::new(), new_bucket: None, stakes: Vec::new() });
    }
    let new_bucket = missing_bucket(run, plan).await?;
    let Estimate { changes, claims } = estimate(run, client, plan, observed).await?;
    preflight::check(run, plan, &claims).await?;
    let stakes = stakes::find(&run.opened.session, observed, &changes).await;
    let warning = warning(&changes, &stakes);
    let name = plan.desired.stack.as_str();
    run.context
        .ui
        .could_agree(warning.as_ref().map(|warning| (name, warning.as_str())), &run.answers)?;
    Ok(Judged { estimate: changes, new_bucket, stakes })
}

/// Does everything for one stack but the change itself: waits for what runs, clears remains away, uploads templates,
/// asks for the change set.
pub(super) async fn prepare(run: &Run<'_>, survey: Survey) -> Result<Step, CliError> {
    let ui = run.context.ui;
    let client = run.opened.session.cloudformation();
    let target = survey.look.plan.desired.target;
    let (look, judged) = match survey.judged {
        Some(judged) => (survey.look, judged),
        None => {
            let look = Box::pin(settled(run, target, &client, survey.look)).await?;
            let judged = judge(run, &client, &look).await?;
            (look, judged)
        }
    };
    let Look { observed, plan, .. } = look;
    let stack = plan.desired.stack.clone();
    if plan.operation == Operation::Nothing {
        return unchanged(run, target, &observed, &stack);
    }
    provide_templates(run, &plan, judged.new_bucket.as_deref()).await?;
    ui.status(&format!(
        "Asking CloudFormation what would change in stack {stack} in {} ...",
        run.opened.place.region
    ));
    let ready = match execute::prepare(&client, &plan, Timestamp::now().as_millisecond())
        .await
        .map_err(failure::step)?
    {
        Prepared::NoChanges => {
            ui.status("CloudFormation sees no resource that would change.");
            return unchanged(run, target, &observed, &stack);
        }
        Prepared::Ready(ready) => *ready,
    };
    let reconciled = reconcile(ready.changes.clone(), judged.estimate);
    let mut view = view(run, &plan, reconciled, Basis::ChangeSet);
    // What only the change set knows of may be at stake too.
    view.stakes = match judged.stakes {
        stakes if stakes.is_empty() => {
            stakes::find(&run.opened.session, &observed, &view.changes).await
        }
        stakes => stakes,
    };
    let pending = Pending { plan, ready, view };
    if let Some(saved) = run.saved(target)
        && let Err(error) = saved.covers(&pending.view.changes)
    {
        discard(run, &pending).await?;
        return Err(CliError::new(ExitStatus::Conflict, error)
            .hint("nothing was changed; make a new plan, look at it, and apply that"));
    }
    Ok(Step::Ready(Box::new(pending)))
}

/// Sees to it that the nested templates are in their bucket.
async fn provide_templates(
    run: &Run<'_>,
    plan: &Plan,
    new_bucket: Option<&str>,
) -> Result<(), CliError> {
    let ui = run.context.ui;
    let Some(bucket) = &plan.desired.bucket else { return Ok(()) };
    let s3 = run.opened.session.s3();
    let region = &run.opened.place.region;
    if new_bucket.is_some() {
        let question = format!("Create bucket {bucket} for nested templates?");
        let _consent: Consent = ui.agree(&question, &run.answers)?;
        execute::create_bucket(&s3, bucket, region).await.map_err(failure::step)?;
        ui.status(&format!("Created bucket {bucket}"));
    } else if *bucket == usual_bucket(&run.opened.place) {
        execute::finish_bucket(&s3, bucket, region).await.map_err(failure::step)?;
    }
    let mut uploaded = 0;
    let uploads = &plan.desired.uploads;
    execute::upload(&s3, bucket, &run.opened.place.account, uploads, &mut |_| uploaded += 1)
        .await
        .map_err(failure::step)?;
    ui.detail(&format!("{uploaded} of {} nested templates were new in {bucket}", uploads.len()));
    Ok(())
}

/// Throws the change set away, and the empty stack that was made for it.
pub(super) async fn discard(run: &Run<'_>, pending: &Pending) -> Result<(), CliError> {
    let client = run.opened.session.cloudformation();
    let kind = match pending.plan.operation {
        Operation::Create => ChangeSetKind::Create,
        Operation::Update | Operation::Nothing | Operation::Blocked => ChangeSetKind::Update,
    };
    execute::discard(&client, &pending.ready.ids, kind).await.map_err(failure::step)
}

/// Carries out what was agreed to, and watches it.
pub(super) async fn carry_out(
    run: &Run<'_>,
    pending: &Pending,
    _consent: Consent,
) -> Result<DeployedStack, CliError> {
    let client = run.opened.session.cloudformation();
    let plan = &pending.plan;
    let (verb, done) = match plan.operation {
        Operation::Create => ("created", Done::Created),
        Operation::Update | Operation::Nothing | Operation::Blocked => ("updated", Done::Updated),
    };
    let expected = pending.view.changes.iter().map(|change| change.path.clone()).collect();
    let start = execute::start(&client, &pending.ready);
    let ended = watched(run, &client, plan, expected, start).await?;
    finished(run, plan, ended, verb, done)
}

/// Where CloudFormation is still at work on the stack or remains have to be cleared away, sees to that first. What is
/// returned can be created or updated, or needs nothing.
async fn settled(
    run: &Run<'_>,
    target: Target,
    client: &CloudFormation,
    first: Look,
) -> Result<Look, CliError> {
    let ui = run.context.ui;
    let mut look = first;
    let patience = Patience { limit: run.timeout, ..Patience::default() };
    let end = Instant::now() + run.timeout;
    loop {
        let Look { observed, plan, .. } = &look;
        match (&plan.approach, observed.presence.stack()) {
            (Approach::Create | Approach::Update, _) | (_, None) => return Ok(look),
            (Approach::Refuse(Refusal::Busy), Some(stack))
                if run.others == Others::Wait && Instant::now() < end =>
            {
                ui.status(&format!(
                    "Waiting until somebody else's operation on stack {} is over ({}) ...",
                    stack.name, stack.status
                ));
                watch::until_idle(client, stack, patience).await.map_err(failure::step)?;
            }
            (Approach::Refuse(why), stack) => {
                return Err(failure::refused(plan, stack, why, &run.opened.typed_flags()));
            }
            (Approach::Attach, Some(stack)) => {
                ui.status(&format!(
                    "Stack {} is already being worked on by this deployment: joining it.",
                    stack.name
                ));
                let verb = if stack.updated.is_some() { "updated" } else { "created" };
                let ended = joined(run, client, plan, stack).await?;
                if ended.status.standing() != Standing::Done {
                    return Err(failure::ended(plan, &ended, verb, &run.opened.typed_flags()));
                }
            }
            (Approach::WaitThenUpdate, Some(stack)) => {
                ui.status(&format!(
                    "Waiting until CloudFormation has cleaned up in stack {} ...",
                    stack.name
                ));
                watch::until_idle(client, stack, patience).await.map_err(failure::step)?;
            }
            (Approach::WaitThenCreate, Some(stack)) => {
                ui.status(&format!(
                    "Waiting until CloudFormation has deleted stack {} ...",
                    stack.name
                ));
                joined(run, client, plan, stack).await?;
            }
            (Approach::DeleteThenCreate, Some(stack)) => {
                Box::pin(clear_away(run, client, plan, stack)).await?
            }
        }
        look = self::look(run, target, client, Foresight::None).await?;
    }
}

/// Reads the stack and plans for it.
pub(super) async fn look(
    run: &Run<'_>,
    target: Target,
    client: &CloudFormation,
    foresight: Foresight,
) -> Result<Look, CliError> {
    if let Some(saved) = run.saved(target) {
        return look_again(run, saved, client).await;
    }
    let (name, observed) = observed(run, target, client).await?;
    let upstream = upstream::find(run, target, foresight).await?;
    let existing = observed.presence.stack().filter(|stack| keeps_parameters(stack));
    let obstacles = |obstacles| CliError::new(ExitStatus::Preflight, obstacles);
    let wanted = desired(
        target,
        name.clone(),
        &run.opened.settings,
        &run.opened.place,
        existing,
        upstream.as_upstream(),
    )
    .map_err(obstacles)?;
    let plan = plan(wanted, &observed).map_err(obstacles)?;
    Ok(Look { observed, plan, imagined: upstream.imagined })
}

/// Reads the stack that a saved plan is for, and makes the same plan again, if nothing has moved since.
async fn look_again(
    run: &Run<'_>,
    saved: &SavedStack,
    client: &CloudFormation,
) -> Result<Look, CliError> {
    let observed = read(client, &saved.stack).await?;
    let upstream = upstream::find(run, saved.target, Foresight::None).await?;
    let obstacles = |obstacles| CliError::new(ExitStatus::Preflight, obstacles);
    let plan = plan(saved.desired(), &observed).map_err(obstacles)?;
    // What was applied in the meantime by the same plan is not in its own way.
    let done = plan.operation == Operation::Nothing || plan.approach == Approach::Attach;
    let mut moved = saved.moved(&observed, &upstream.as_upstream());
    if run.opened.place.account != saved.account {
        moved.push(format!("the plan is for account {}", saved.account));
    }
    if !done && !moved.is_empty() {
        return Err(CliError::new(
            ExitStatus::Conflict,
            Stale { stack: saved.stack.clone(), moved },
        )
        .hint("nothing was changed; make a new plan, look at it, and apply that"));
    }
    Ok(Look { observed, plan, imagined: false })
}

/// Whether what the stack says about its parameters is worth keeping: not that of a shell without resources.
fn keeps_parameters(stack: &Stack) -> bool {
    stack.status.standing() != Standing::Reviewing
}

/// Reads the stack under its name, or under the one that it had before.
async fn observed(
    run: &Run<'_>,
    target: Target,
    client: &CloudFormation,
) -> Result<(StackName, Observed), CliError> {
    let name = run.opened.stack_name(target)?;
    let observed = read(client, &name).await?;
    if observed.presence == Presence::Absent
        && let Some(former) = run.opened.former_stack_name(target)
    {
        let before = read(client, &former).await?;
        if before.presence != Presence::Absent {
            return Ok((former, before));
        }
    }
    Ok((name, observed))
}

async fn read(client: &CloudFormation, name: &StackName) -> Result<Observed, CliError> {
    observe::observe(client, name.as_str())
        .await
        .map_err(|fault| CliError::aws(format!("failed to read stack `{name}`"), fault))
}

/// Asks for consent: by name where data may go, else with a plain question.
pub(super) fn agree(run: &Run<'_>, pending: &Pending) -> Result<Consent, CliError> {
    let ui = run.context.ui;
    let stack = pending.plan.desired.stack.as_str();
    if let Some(warning) = warning(&pending.view.changes, &pending.view.stakes) {
        return ui.agree_by_name(&warning, stack, &run.answers);
    }
    let verb = if pending.plan.operation == Operation::Create { "Create" } else { "Update" };
    let place = &run.opened.place;
    ui.agree(
        &format!("{verb} stack {stack} in {} of account {}?", place.region, place.account),
        &run.answers,
    )
}

async fn joined(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    stack: &Stack,
) -> Result<Ended, CliError> {
    let start = watch::running_operation(client, stack);
    watched(run, client, plan, BTreeSet::new(), start).await
}

async fn watched(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    expected: BTreeSet<String>,
    start: impl Future<Output = Result<History, ExecuteError>>,
) -> Result<Ended, CliError> {
    let stack = plan.desired.stack.to_string();
    let region = run.opened.place.region.to_string();
    let watch = Watch {
        subject: Subject {
            title: format!("{} {stack} in {region}", plan.desired.target),
            stack,
            region,
            names: watching::names(plan.desired.template),
            expected,
        },
        limit: run.timeout,
        flags: run.opened.typed_flags(),
    };
    watching::watch(run.progress, client, watch, start).await
}

/// Deletes the empty remains of a failed creation, after saying why it failed.
async fn clear_away(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    stack: &Stack,
) -> Result<(), CliError> {
    let ui = run.context.ui;
    let name = &stack.name;
    let question = format!(
        "Stack {name} is only the empty remains of a failed creation ({}). Delete it?",
        stack.status
    );
    let _consent: Consent = ui.agree(&question, &run.answers)?;
    ui.status(&format!("Deleting the empty remains of stack {name} ({}) ...", stack.status));
    let start =
        execute::start_deletion(client, stack, Deletion::Whole, Timestamp::now().as_millisecond());
    let ended = Box::pin(watched(run, client, plan, BTreeSet::new(), start)).await?;
    match ended.status.standing() {
        Standing::Gone => Ok(()),
        _ => Err(failure::refused(
            plan,
            ended.stack.as_ref(),
            &Refusal::DeleteFailed,
            &run.opened.typed_flags(),
        )),
    }
}

fn unchanged(
    run: &Run<'_>,
    target: Target,
    observed: &Observed,
    name: &StackName,
) -> Result<Step, CliError> {
    let Some(stack) = observed.presence.stack() else {
        let text =
            format!("stack `{name}` does not exist, and CloudFormation sees nothing to create");
        return Err(CliError::new(ExitStatus::Unexpected, Message(text)));
    };
    run.context.ui.status(&format!("Nothing to do: stack {name} is as it should be."));
    let deployed = DeployedStack::new(target, stack, &run.opened.place, Done::Unchanged);
    Ok(Step::Unchanged(Box::new(deployed)))
}

fn finished(
    run: &Run<'_>,
    plan: &Plan,
    ended: Ended,
    verb: &str,
    done: Done,
) -> Result<DeployedStack, CliError> {
    match (ended.status.standing(), &ended.stack) {
        (Standing::Done, Some(stack)) => {
            let ui = run.context.ui;
            ui.status(&format!(
                "{} Stack {} in {} was {verb}.",
                ui.palette().good("✓"),
                plan.desired.stack,
                run.opened.place.region
            ));
            Ok(DeployedStack::new(plan.desired.target, stack, &run.opened.place, done))
        }
        _ => Err(failure::ended(plan, &ended, verb, &run.opened.typed_flags())),
    }
}
