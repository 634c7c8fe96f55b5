//! One stack: observe, plan, confirm, execute, report.

use jiff::Timestamp;

use super::{
    Run, failure,
    report::{DeployedStack, Done},
    upstream,
    view::{estimate, missing_bucket, note, view, warning},
};
use crate::{
    aws::cloudformation::{ChangeSetKind, CloudFormation},
    commands::watching::{self, Watch},
    deploy::{
        desired::{desired, usual_bucket},
        execute::{self, Prepared, Ready},
        observe::{self, Observed},
        plan::{Operation, Plan, plan},
        reconcile::{Reconciled, reconcile},
        stack::{Presence, Stack, StackName},
        state::{Approach, Refusal},
        status::Standing,
        target::Target,
        watch::{self, Ended, History, Patience},
    },
    error::{CliError, ExitStatus, Message},
    ui::{
        plan::{Basis, PlanView},
        prompt::Consent,
    },
};

/// A stack that was looked at, with what would happen to it.
struct Look {
    observed: Observed,
    plan: Plan,
    /// Whether values stand in it that are not there yet.
    imagined: bool,
}

/// The plan of a dry run, and why it cannot be carried out.
pub(super) struct Planned {
    pub(super) view: PlanView,
    pub(super) refusal: Option<CliError>,
}

/// Plans for one stack without a write call.
pub(super) async fn planned(run: &Run<'_>, target: Target) -> Result<Planned, CliError> {
    let client = run.opened.session.cloudformation();
    let Look { observed, plan, imagined } = look(run, target, &client).await?;
    let estimate = estimate(run, &client, &plan, &observed).await?;
    let mut view = view(run, &plan, Reconciled { changes: estimate, hidden: 0 }, Basis::Templates);
    if imagined {
        for parameter in &mut view.parameters {
            if view.wired.contains_key(&parameter.name) {
                parameter.after = Some("known once that is deployed".to_owned());
            }
        }
    }
    let mut refusal = None;
    if let Approach::Refuse(why) = &plan.approach {
        let error =
            failure::refused(&plan, observed.presence.stack(), why, &run.opened.typed_flags());
        view.note = Some(error.to_string());
        refusal = Some(error);
    } else {
        view.note = note(&plan.approach, observed.presence.stack());
        view.new_bucket = missing_bucket(run, &plan).await?;
    }
    Ok(Planned { view, refusal })
}

/// Brings one stack to what it should be.
pub(super) async fn deployed(run: &Run<'_>, target: Target) -> Result<DeployedStack, CliError> {
    let ui = run.context.ui;
    let client = run.opened.session.cloudformation();
    let Look { observed, plan, .. } = settled(run, target, &client).await?;
    let stack = plan.desired.stack.clone();
    if plan.operation == Operation::Nothing {
        return unchanged(run, target, &observed, &stack);
    }
    let new_bucket = missing_bucket(run, &plan).await?;
    let estimate = estimate(run, &client, &plan, &observed).await?;
    // Where nobody can be asked, the first write would already be one too many.
    let warning = warning(&estimate);
    ui.could_agree(
        warning.as_ref().map(|warning| (stack.as_str(), warning.as_str())),
        &run.answers,
    )?;
    if let Some(bucket) = &plan.desired.bucket {
        if new_bucket.is_some() {
            let question = format!("Create bucket {bucket} for nested templates?");
            let _consent: Consent = ui.agree(&question, &run.answers)?;
            let s3 = run.opened.session.s3();
            execute::create_bucket(&s3, bucket, &run.opened.place.region)
                .await
                .map_err(failure::step)?;
            ui.status(&format!("Created bucket {bucket}"));
        } else if *bucket == usual_bucket(&run.opened.place) {
            let s3 = run.opened.session.s3();
            execute::finish_bucket(&s3, bucket, &run.opened.place.region)
                .await
                .map_err(failure::step)?;
        }
        let mut uploaded = 0;
        execute::upload(
            &run.opened.session.s3(),
            bucket,
            &run.opened.place.account,
            &plan.desired.uploads,
            &mut |_| uploaded += 1,
        )
        .await
        .map_err(failure::step)?;
        ui.detail(&format!(
            "{uploaded} of {} nested templates were new in {bucket}",
            plan.desired.uploads.len()
        ));
    }
    ui.status(&format!("Asking CloudFormation what would change in stack {stack} ..."));
    let ready = match execute::prepare(&client, &plan, Timestamp::now().as_millisecond())
        .await
        .map_err(failure::step)?
    {
        Prepared::NoChanges => {
            ui.status("CloudFormation sees no resource that would change.");
            return unchanged(run, target, &observed, &stack);
        }
        Prepared::Ready(ready) => ready,
    };
    let view = view(run, &plan, reconcile(ready.changes.clone(), estimate), Basis::ChangeSet);
    ui.status(view.render(ui.palette()).trim_end());
    let consent = match agree(run, &plan, &view) {
        Ok(consent) => consent,
        Err(declined) => {
            let kind = if plan.operation == Operation::Create {
                ChangeSetKind::Create
            } else {
                ChangeSetKind::Update
            };
            execute::discard(&client, &ready.ids, kind).await.map_err(failure::step)?;
            return Err(declined);
        }
    };
    let (verb, done) = match plan.operation {
        Operation::Create => ("created", Done::Created),
        Operation::Update | Operation::Nothing | Operation::Blocked => ("updated", Done::Updated),
    };
    let ended = execute(run, &client, &plan, &ready, consent).await?;
    finished(run, &plan, ended, verb, done)
}

/// Looks at the stack, and where CloudFormation is still at work on it or remains have to be cleared away, sees to that
/// first. What is returned can be created or updated, or needs nothing.
async fn settled(run: &Run<'_>, target: Target, client: &CloudFormation) -> Result<Look, CliError> {
    let ui = run.context.ui;
    loop {
        let look = look(run, target, client).await?;
        let Look { observed, plan, .. } = &look;
        match (&plan.approach, observed.presence.stack()) {
            (Approach::Create | Approach::Update, _) | (_, None) => return Ok(look),
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
                let patience = Patience { limit: run.timeout, ..Patience::default() };
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
                clear_away(run, client, plan, stack).await?
            }
        }
    }
}

/// Reads the stack and plans for it.
async fn look(run: &Run<'_>, target: Target, client: &CloudFormation) -> Result<Look, CliError> {
    let (name, observed) = observed(run, target, client).await?;
    let upstream = upstream::find(run, target).await?;
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
fn agree(run: &Run<'_>, plan: &Plan, view: &PlanView) -> Result<Consent, CliError> {
    let ui = run.context.ui;
    let stack = plan.desired.stack.as_str();
    if let Some(warning) = warning(&view.changes) {
        return ui.agree_by_name(&warning, stack, &run.answers);
    }
    let verb = if plan.operation == Operation::Create { "Create" } else { "Update" };
    ui.agree(
        &format!("{verb} stack {stack} in account {}?", run.opened.place.account),
        &run.answers,
    )
}

/// Executes the change set that was agreed to, and watches it.
async fn execute(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    ready: &Ready,
    _consent: Consent,
) -> Result<Ended, CliError> {
    let history = execute::start(client, ready).await.map_err(failure::step)?;
    watched(run, client, plan, history).await
}

async fn joined(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    stack: &Stack,
) -> Result<Ended, CliError> {
    let history = watch::running_operation(client, stack).await.map_err(failure::step)?;
    watched(run, client, plan, history).await
}

async fn watched(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    history: History,
) -> Result<Ended, CliError> {
    let stack = plan.desired.stack.as_str();
    let watch = Watch {
        title: format!("{} {stack} in {}", plan.desired.target, run.opened.place.region),
        stack,
        names: watching::names(plan.desired.template),
        limit: run.timeout,
        flags: run.opened.typed_flags(),
    };
    watching::watch(run.context.ui, client, history, watch).await
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
    let history = execute::start_deletion(client, stack, Timestamp::now().as_millisecond())
        .await
        .map_err(failure::step)?;
    let ended = watched(run, client, plan, history).await?;
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
) -> Result<DeployedStack, CliError> {
    let Some(stack) = observed.presence.stack() else {
        let text =
            format!("stack `{name}` does not exist, and CloudFormation sees nothing to create");
        return Err(CliError::new(ExitStatus::Unexpected, Message(text)));
    };
    run.context.ui.status(&format!("Nothing to do: stack {name} is as it should be."));
    Ok(DeployedStack::new(target, stack, &run.opened.place, Done::Unchanged))
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
                "{} Stack {} was {verb}.",
                ui.palette().good("✓"),
                plan.desired.stack
            ));
            Ok(DeployedStack::new(plan.desired.target, stack, &run.opened.place, done))
        }
        _ => Err(failure::ended(plan, &ended, verb, &run.opened.typed_flags())),
    }
}
