//! Carries plans out. The only writes of a deployment are here.

use std::time::Duration;

use mtlog_processor::model::ids::{AccountId, BucketName, Region};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{
    desired::Upload,
    event::DeployEvent,
    operation::OperationView,
    plan::{Operation, Plan},
    stack::{Presence, Stack},
    state::OWN_PREFIX,
    status::{Phase, ResourceStatus, StackStatus, Standing},
};
use crate::{
    aws::{
        cloudformation::{
            ChangeSetIds, ChangeSetKind, ChangeSetRequest, ChangeSetState, CloudFormation,
        },
        fault::{Fault, FaultClass, nested_change_set},
        s3::{S3, Written},
    },
    deploy::change::ResourceChange,
};

/// A step of a deployment that failed.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// A call failed.
    #[error("failed to {what}")]
    Call {
        /// What was being done.
        what: String,
        /// Why.
        #[source]
        fault: Box<Fault>,
    },
    /// CloudFormation cannot make a change set of the template and parameters.
    #[error(
        "CloudFormation refused the change set for stack `{stack}`: {reason}{}",
        listed(checks)
    )]
    ChangeSetRefused {
        /// The stack.
        stack: String,
        /// CloudFormation's reason.
        reason: String,
        /// What its checks found, a line each.
        checks: Vec<String>,
    },
    /// The change set is not there after the time that is allowed for it.
    #[error(
        "CloudFormation has not finished the change set for stack `{stack}` after {minutes} minutes"
    )]
    ChangeSetSlow {
        /// The stack.
        stack: String,
        /// How long was waited.
        minutes: u64,
    },
}

fn listed(checks: &[String]) -> String {
    checks.iter().map(|check| format!("\n  - {check}")).collect()
}

/// Names what was being done when a call failed.
fn doing(what: impl Into<String>) -> impl FnOnce(Fault) -> ExecuteError {
    let what = what.into();
    move |fault| ExecuteError::Call { what, fault: Box::new(fault) }
}

/// A change set that waits to be executed, or the news that none is needed.
#[derive(Debug)]
pub enum Prepared {
    /// It is ready.
    Ready(Box<Ready>),
    /// It would have changed nothing, and is deleted.
    NoChanges,
}

/// A change set that is ready.
#[derive(Debug)]
pub struct Ready {
    /// Its ids.
    pub ids: ChangeSetIds,
    /// Its changes, those of nested stacks included.
    pub changes: Vec<ResourceChange>,
    token: String,
}

/// How patient the watching of an operation is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The first pauses between two looks.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// When to stop watching.
    pub limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(700),
            longest: Duration::from_secs(3),
            limit: Duration::from_secs(60 * 60),
        }
    }
}

/// How the watching of an operation ended.
#[derive(Debug)]
pub enum Watched {
    /// The operation ended.
    Ended(Box<Ended>),
    /// The time is over; the operation goes on.
    TimedOut,
    /// The credentials expired; the operation goes on.
    LostAccess(Box<Fault>),
}

/// How an operation ended.
#[derive(Debug)]
pub struct Ended {
    /// The last state.
    pub status: StackStatus,
    /// The stack, unless it is gone.
    pub stack: Option<Stack>,
    /// Everything that its events told.
    pub view: OperationView,
}

/// Makes the bucket for templates.
pub async fn create_bucket(
    s3: &S3,
    bucket: &BucketName,
    region: &Region,
) -> Result<(), ExecuteError> {
    s3.create_private_bucket(bucket, region)
        .await
        .map_err(doing(format!("create the template bucket `{bucket}`")))
}

/// Puts the templates into the bucket, unless they are there already.
pub async fn upload(
    s3: &S3,
    bucket: &BucketName,
    owner: &AccountId,
    uploads: &[Upload],
    on_event: &mut impl FnMut(DeployEvent),
) -> Result<(), ExecuteError> {
    for upload in uploads {
        let what = || format!("upload `{}` to bucket `{bucket}`", upload.template.path());
        let content = upload.template.text().as_bytes().to_vec();
        let written =
            s3.put_if_absent(bucket, owner, &upload.key, content).await.map_err(doing(what()))?;
        if written == Written::Now {
            on_event(DeployEvent::Uploaded { key: upload.key.clone() });
        }
    }
    Ok(())
}

/// The longest that a change set may take to be computed.
const CHANGE_SET_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Asks CloudFormation for a change set and waits until it is computed. `attempt` tells apart two tries with the
/// same content.
pub async fn prepare(
    client: &CloudFormation,
    plan: &Plan,
    attempt: i64,
) -> Result<Prepared, ExecuteError> {
    let stack = plan.desired.stack.as_str();
    let token = format!("{OWN_PREFIX}{}-{attempt}", plan.content);
    let request = ChangeSetRequest {
        stack: stack.to_owned(),
        name: token.clone(),
        token: token.clone(),
        kind: match plan.operation {
            Operation::Create => ChangeSetKind::Create,
            Operation::Update | Operation::Nothing | Operation::Blocked => ChangeSetKind::Update,
        },
        template: plan.desired.template.text().to_owned(),
        parameters: plan.chosen.sent.clone(),
        tags: plan.desired.tags.clone(),
        description: format!("mtlog {} deploy {}", env!("CARGO_PKG_VERSION"), plan.desired.target),
    };
    let ids = client
        .create_change_set(&request)
        .await
        .map_err(doing(format!("create a change set for stack `{stack}`")))?;
    let began = Instant::now();
    let mut pause = Duration::from_millis(300);
    loop {
        match client.change_set_state(&ids.change_set).await {
            Ok(ChangeSetState::Ready) => break,
            Ok(ChangeSetState::Empty) => {
                discard(client, &ids, request.kind).await?;
                return Ok(Prepared::NoChanges);
            }
            Ok(ChangeSetState::Failed(reason)) => {
                let checks = checks(client, &ids.change_set, &reason).await;
                discard(client, &ids, request.kind).await?;
                return Err(ExecuteError::ChangeSetRefused {
                    stack: stack.to_owned(),
                    reason,
                    checks,
                });
            }
            Ok(ChangeSetState::Pending) => {}
            Err(fault) if fault.is_passing() => {}
            Err(fault) => {
                return Err(doing(format!("read the change set of stack `{stack}`"))(fault));
            }
        }
        if began.elapsed() > CHANGE_SET_LIMIT {
            let minutes = CHANGE_SET_LIMIT.as_secs() / 60;
            return Err(ExecuteError::ChangeSetSlow { stack: stack.to_owned(), minutes });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(3));
    }
    let changes = client
        .changes(&ids.change_set)
        .await
        .map_err(doing(format!("read the changes of stack `{stack}`")))?;
    Ok(Prepared::Ready(Box::new(Ready { ids, changes, token })))
}

/// How deep stacks are nested at most.
const DEEPEST: usize = 5;

/// Returns why a change set failed, beyond the reason that it gives itself: what its checks found, and if it failed
/// because that of a nested stack did, the reason of that one.
async fn checks(client: &CloudFormation, change_set: &str, reason: &str) -> Vec<String> {
    let mut found = client.failed_checks(change_set).await;
    let mut reason = reason.to_owned();
    for _ in 0..DEEPEST {
        let Some(nested) = nested_change_set(&reason).map(str::to_owned) else { break };
        let Ok(ChangeSetState::Failed(inner)) = client.change_set_state(&nested).await else {
            break;
        };
        found.push(inner.clone());
        found.extend(client.failed_checks(&nested).await);
        reason = inner;
    }
    found
}

/// Deletes a change set that is not wanted, and the empty stack that it was made for.
pub async fn discard(
    client: &CloudFormation,
    ids: &ChangeSetIds,
    kind: ChangeSetKind,
) -> Result<(), ExecuteError> {
    client
        .delete_change_set(&ids.change_set)
        .await
        .map_err(doing(format!("delete the change set `{}`", ids.change_set)))?;
    if kind == ChangeSetKind::Create {
        let status = client
            .presence(&ids.stack)
            .await
            .map_err(doing("read the stack that was not created"))?;
        if status.stack().is_some_and(|stack| stack.status == StackStatus::ReviewInProgress) {
            client
                .delete_stack(&ids.stack, &format!("{OWN_PREFIX}discard"))
                .await
                .map_err(doing("delete the stack that was not created"))?;
        }
    }
    Ok(())
}

/// Starts the change set. Returns where the history stood before.
pub async fn start(client: &CloudFormation, ready: &Ready) -> Result<History, ExecuteError> {
    let history = history(client, &ready.ids.stack).await?;
    client
        .execute_change_set(&ready.ids.change_set, &ready.token)
        .await
        .map_err(doing(format!("execute the change set `{}`", ready.ids.change_set)))?;
    Ok(history)
}

/// Starts to delete a stack. Returns where the history stood before.
pub async fn start_deletion(
    client: &CloudFormation,
    stack: &Stack,
    attempt: i64,
) -> Result<History, ExecuteError> {
    let history = history(client, &stack.id).await?;
    client
        .delete_stack(&stack.id, &format!("{OWN_PREFIX}delete-{attempt}"))
        .await
        .map_err(doing(format!("delete stack `{}`", stack.name)))?;
    Ok(history)
}

/// A point in the history of a stack.
#[derive(Debug, Clone)]
pub struct History {
    stack: String,
    /// The newest event at that point.
    last: Option<String>,
}

async fn history(client: &CloudFormation, stack: &str) -> Result<History, ExecuteError> {
    let events =
        client.events(stack, None, 1).await.map_err(doing("read the history of the stack"))?;
    Ok(History { stack: stack.to_owned(), last: events.last().map(|event| event.id.clone()) })
}

/// How much of a stack's history is read to find where a running operation began.
const LONGEST_HISTORY: usize = 2_000;

/// Returns the point just before the operation that runs began, so that a watcher sees all of it.
pub async fn running_operation(
    client: &CloudFormation,
    stack: &Stack,
) -> Result<History, ExecuteError> {
    let events = client
        .events(&stack.id, None, LONGEST_HISTORY)
        .await
        .map_err(doing("read the history of the stack"))?;
    let beginning = events.iter().rposition(|event| {
        event.is_about_the_stack()
            && matches!(
                event.status,
                ResourceStatus::CreateInProgress
                    | ResourceStatus::UpdateInProgress
                    | ResourceStatus::DeleteInProgress
                    | ResourceStatus::ImportInProgress
            )
    });
    let last = beginning.and_then(|index| index.checked_sub(1)).and_then(|index| events.get(index));
    Ok(History { stack: stack.id.clone(), last: last.map(|event| event.id.clone()) })
}

/// Without any event after this time, the stack's state alone is believed.
const EVENTS_DUE: Duration = Duration::from_secs(20);
/// How often a creation that failed must look final: CloudFormation first says so and then begins to clean up.
const FINAL_LOOKS: u32 = 3;

/// Watches an operation until it ends. Throttling and network failures only slow it down.
pub async fn watch(
    client: &CloudFormation,
    history: History,
    patience: Patience,
    on_event: &mut impl FnMut(DeployEvent),
) -> Watched {
    let mut view = OperationView::new(&history.stack);
    let mut newest: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    if let Some(last) = history.last {
        newest.insert(history.stack.clone(), last);
    }
    let began = Instant::now();
    let mut troubles: u32 = 0;
    let mut looks: u32 = 0;
    loop {
        let mut trouble = None;
        // The root's events name nested stacks, whose events may name more.
        let mut pending = vec![history.stack.clone()];
        let mut visited = Vec::new();
        while let Some(stack) = pending.pop() {
            match client
                .events(&stack, newest.get(&stack).map(String::as_str), LONGEST_HISTORY)
                .await
            {
                Ok(events) => {
                    for event in &events {
                        // A nested stack's earlier operations are not ours.
                        let old = stack != history.stack
                            && view.began().is_some_and(|began| event.time < began);
                        if !old && let Some(row) = view.apply(event) {
                            on_event(DeployEvent::Resource(row.clone()));
                        }
                    }
                    view.was_read(&stack);
                    if let Some(last) = events.last() {
                        newest.insert(stack.clone(), last.id.clone());
                    }
                }
                Err(fault) if fault.class() == FaultClass::Credentials => {
                    return Watched::LostAccess(Box::new(fault));
                }
                // A stack that is gone for good has no history left to read.
                Err(fault) if fault.class() == FaultClass::Missing => view.was_read(&stack),
                Err(fault) => trouble = Some(fault),
            }
            visited.push(stack);
            pending = view
                .nested_to_read()
                .into_iter()
                .filter(|stack| !visited.contains(stack))
                .collect();
        }
        let stack_rests = trouble.is_none()
            && view.stack_status().is_some_and(|status| status.phase() != Phase::Running);
        let nothing_heard = view.stack_status().is_none() && began.elapsed() > EVENTS_DUE;
        if stack_rests || nothing_heard {
            match client.presence(&history.stack).await {
                Ok(presence) => {
                    looks += 1;
                    if let Some((status, stack)) = ending(presence, looks) {
                        return Watched::Ended(Box::new(Ended { status, stack, view }));
                    }
                }
                Err(fault) if fault.class() == FaultClass::Credentials => {
                    return Watched::LostAccess(Box::new(fault));
                }
                Err(fault) => trouble = Some(fault),
            }
        } else {
            looks = 0;
        }
        on_event(DeployEvent::Looked);
        if began.elapsed() > patience.limit {
            return Watched::TimedOut;
        }
        let pause = match trouble {
            Some(fault) => {
                troubles += 1;
                let pause = jittered(
                    patience.longest.min(patience.first * 2u32.saturating_pow(troubles)) * 2,
                );
                on_event(DeployEvent::Waiting { pause, reason: fault.to_string() });
                pause
            }
            None => {
                troubles = 0;
                // Slower with time: what takes minutes is not worth a look every second.
                let grown = patience.first + began.elapsed() / 20;
                jittered(grown.min(patience.longest))
            }
        };
        sleep(pause).await;
    }
}

/// Returns the stack's final state, if it is in one.
fn ending(presence: Presence, looks: u32) -> Option<(StackStatus, Option<Stack>)> {
    let Presence::Present(stack) = presence else {
        return Some((StackStatus::DeleteComplete, None));
    };
    match (stack.status.standing(), &stack.status) {
        (Standing::Running | Standing::Reviewing, _) => None,
        (Standing::Stuck, StackStatus::CreateFailed | StackStatus::UpdateFailed)
            if looks < FINAL_LOOKS =>
        {
            None
        }
        (Standing::Gone, _) => Some((StackStatus::DeleteComplete, None)),
        (Standing::Done | Standing::RolledBack | Standing::Stuck, status) => {
            Some((status.clone(), Some(*stack)))
        }
    }
}

/// Spreads the looks of several watchers. Not a matter of security: the clock's nanoseconds are random enough.
fn jittered(pause: Duration) -> Duration {
    let noise = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1000;
    pause * 9 / 10 + pause * noise / 5000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_varies_by_a_tenth() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(10));
            assert!(
                (Duration::from_secs(9)..=Duration::from_secs(11)).contains(&pause),
                "{pause:?}"
            );
        }
    }

    fn stack(status: StackStatus) -> Presence {
        Presence::Present(Box::new(Stack {
            name: "x".to_owned(),
            id: "arn:x".to_owned(),
            status,
            reason: None,
            parameters: std::collections::BTreeMap::new(),
            outputs: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        }))
    }

    #[test]
    fn a_failed_creation_is_final_only_when_it_stays_so() {
        assert_eq!(ending(stack(StackStatus::CreateFailed), 1), None);
        assert!(ending(stack(StackStatus::CreateFailed), FINAL_LOOKS).is_some());
        assert_eq!(ending(stack(StackStatus::UpdateInProgress), 9), None);
        assert_eq!(ending(Presence::Absent, 1), Some((StackStatus::DeleteComplete, None)));
    }
}
