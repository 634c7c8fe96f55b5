//! Carries plans out. The only writes of a deployment are here.

use std::time::Duration;

use mtlog_processor::model::ids::{AccountId, BucketName, Region};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{
    change::ResourceChange,
    desired::Upload,
    event::DeployEvent,
    plan::{Operation, Plan},
    stack::Stack,
    state::OWN_PREFIX,
    status::StackStatus,
    watch::{History, history, running_operation},
};
use crate::aws::{
    cloudformation::{
        ChangeSetIds, ChangeSetKind, ChangeSetRequest, ChangeSetState, CloudFormation, Deletion,
        Undo,
    },
    fault::{Fault, nested_change_set},
    s3::{S3, Written},
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
pub(super) fn doing(what: impl Into<String>) -> impl FnOnce(Fault) -> ExecuteError {
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
    kind: ChangeSetKind,
    token: String,
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

/// Finishes a bucket for templates that was made but not made private, because the program was stopped in between.
pub async fn finish_bucket(
    s3: &S3,
    bucket: &BucketName,
    region: &Region,
) -> Result<(), ExecuteError> {
    let look = || format!("look at the policy of bucket `{bucket}`");
    if !s3.has_policy(bucket).await.map_err(doing(look()))? {
        let what = format!("make the template bucket `{bucket}` private");
        s3.make_private(bucket, region).await.map_err(doing(what))?;
    }
    Ok(())
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
    let outline = loop {
        match client.change_set(&ids.change_set).await {
            Ok((ChangeSetState::Ready, outline)) => break outline,
            Ok((ChangeSetState::Empty, _)) => {
                discard(client, &ids, request.kind).await?;
                return Ok(Prepared::NoChanges);
            }
            Ok((ChangeSetState::Failed(reason), _)) => {
                let mut checks = checks(client, &ids.change_set, &reason).await;
                // That it cannot be deleted as well must not hide why it failed.
                if let Err(error) = discard(client, &ids, request.kind).await {
                    let causes = crate::error::chain(&error).join(": ");
                    checks.push(format!("the change set stays: {causes}"));
                }
                return Err(ExecuteError::ChangeSetRefused {
                    stack: stack.to_owned(),
                    reason,
                    checks,
                });
            }
            Ok((ChangeSetState::Pending, _)) => {}
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
    };
    let changes = client
        .changes(&ids.change_set, outline)
        .await
        .map_err(doing(format!("read the changes of stack `{stack}`")))?;
    Ok(Prepared::Ready(Box::new(Ready { ids, changes, kind: request.kind, token })))
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
        let Ok((ChangeSetState::Failed(inner), _)) = client.change_set(&nested).await else {
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
                .delete_stack(&ids.stack, Deletion::Whole, &format!("{OWN_PREFIX}discard"))
                .await
                .map_err(doing("delete the stack that was not created"))?;
        }
    }
    Ok(())
}

/// Starts the change set. Returns where the history stood before.
pub async fn start(client: &CloudFormation, ready: &Ready) -> Result<History, ExecuteError> {
    let history = match ready.kind {
        // A stack that is about to be made has no history worth a call.
        ChangeSetKind::Create => History::none(&ready.ids.stack),
        ChangeSetKind::Update => history(client, &ready.ids.stack).await?,
    };
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
    deletion: Deletion,
    attempt: i64,
) -> Result<History, ExecuteError> {
    let history = history(client, &stack.id).await?;
    client
        .delete_stack(&stack.id, deletion, &format!("{OWN_PREFIX}delete-{attempt}"))
        .await
        .map_err(doing(format!("delete stack `{}`", stack.name)))?;
    Ok(history)
}

/// Starts to take an update back. Returns where the history stood before what is being taken back, or before now.
pub async fn start_undoing(
    client: &CloudFormation,
    stack: &Stack,
    undo: Undo,
    skipped: &[String],
    token: &str,
) -> Result<History, ExecuteError> {
    let history = match undo {
        // The operation that runs goes on, as its own rollback.
        Undo::Cancel => running_operation(client, stack).await?,
        Undo::Rollback | Undo::Continue => history(client, &stack.id).await?,
    };
    client
        .undo(&stack.id, undo, skipped, token)
        .await
        .map_err(doing(format!("roll back stack `{}`", stack.name)))?;
    Ok(history)
}
