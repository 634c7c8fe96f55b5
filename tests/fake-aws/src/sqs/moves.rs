//! Tasks that move the messages of a dead-letter queue elsewhere.
//!
//! Rules: the API model (`StartMessageMoveTask`, `ListMessageMoveTasks`, `CancelMessageMoveTask`), and
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html> for the
//! permissions and reasons of failures. A task moves on whenever SQS is called, as far as its rate and the clock allow.

use serde_json::{Map, Value, json};

use super::{QueueKey, Sqs, answer, authorize, missing, out_of_range, service_error};
use crate::clock::{Millis, SECOND};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::random::Random;
use crate::shared::Context;

/// The fastest rate, in messages a second.
const MAX_RATE: i64 = 500;
/// The most tasks that are listed.
const MAX_LISTED: i64 = 10;
/// Nobody may move messages without these on the dead-letter queue.
const NEEDED: [&str; 3] = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];

/// A task.
#[derive(Debug, Clone)]
pub(super) struct MoveTask {
    handle: String,
    source: QueueKey,
    /// None: every message goes back to the queue that gave it up.
    destination: Option<QueueKey>,
    rate: Option<i64>,
    started_at: Millis,
    to_move: u64,
    moved: u64,
    status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed(&'static str),
}

impl MoveTask {
    fn is_active(&self) -> bool {
        matches!(self.status, Status::Running | Status::Cancelling)
    }

    fn describe(&self) -> Value {
        let status = match &self.status {
            Status::Running => "RUNNING",
            Status::Cancelling => "CANCELLING",
            Status::Completed => "COMPLETED",
            Status::Cancelled => "CANCELLED",
            Status::Failed(_) => "FAILED",
        };
        let mut described = Map::new();
        let mut add = |name: &str, value: Value| described.insert(name.to_owned(), value);
        add("Status", json!(status));
        add("SourceArn", json!(self.source.arn()));
        add("StartedTimestamp", json!(self.started_at));
        add("ApproximateNumberOfMessagesMoved", json!(self.moved));
        add("ApproximateNumberOfMessagesToMove", json!(self.to_move));
        if self.status == Status::Running {
            add("TaskHandle", json!(self.handle));
        }
        if let Some(destination) = &self.destination {
            add("DestinationArn", json!(destination.arn()));
        }
        if let Some(rate) = self.rate {
            add("MaxNumberOfMessagesPerSecond", json!(rate));
        }
        if let Status::Failed(reason) = &self.status {
            add("FailureReason", json!(reason));
        }
        Value::Object(described)
    }
}

pub(super) fn start(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let source = queue_of(context, input, "SourceArn")?.ok_or_else(|| missing("SourceArn"))?;
    authorize(context, &source, "StartMessageMoveTask")?;
    for action in NEEDED {
        authorize(context, &source, action)?;
    }
    let destination = queue_of(context, input, "DestinationArn")?;
    if let Some(destination) = &destination {
        authorize(context, destination, "SendMessage")?;
    }
    let rate = input::integer(input, "MaxNumberOfMessagesPerSecond")?;
    if let Some(rate) = rate.filter(|rate| !(1..=MAX_RATE).contains(rate)) {
        let reason = "Must be between 1 and 500, if provided.";
        return Err(out_of_range(rate, "MaxNumberOfMessagesPerSecond", reason));
    }
    let handle = context.shared.random().uuid();
    let mut sqs = context.shared.sqs();
    let is_dead_letter_queue = sqs
        .queues
        .values()
        .any(|queue| queue.redrive().is_some_and(|redrive| redrive.target == source));
    if !is_dead_letter_queue {
        return Err(service_error(
            "UnsupportedOperation",
            "Source queue must be configured as a Dead Letter Queue.",
        ));
    }
    if sqs.moves.iter().any(|task| task.source == source && task.is_active()) {
        return Err(service_error(
            "UnsupportedOperation",
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        ));
    }
    let to_move = sqs.queue(&source)?.depth(context.now).visible;
    sqs.moves.push(MoveTask {
        handle: handle.clone(),
        source,
        destination,
        rate,
        started_at: context.now,
        to_move,
        moved: 0,
        status: Status::Running,
    });
    Ok(answer(&json!({"TaskHandle": handle})))
}

pub(super) fn list(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let source = queue_of(context, input, "SourceArn")?.ok_or_else(|| missing("SourceArn"))?;
    authorize(context, &source, "ListMessageMoveTasks")?;
    let most = input::integer(input, "MaxResults")?.unwrap_or(1);
    if !(1..=MAX_LISTED).contains(&most) {
        return Err(out_of_range(most, "MaxResults", "Must be between 1 and 10, if provided."));
    }
    let sqs = context.shared.sqs();
    let results: Vec<Value> = sqs
        .moves
        .iter()
        .rev()
        .filter(|task| task.source == source)
        .take(usize::try_from(most).unwrap_or(1))
        .map(MoveTask::describe)
        .collect();
    Ok(answer(&json!({"Results": results})))
}

pub(super) fn cancel(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let handle = input::text(input, "TaskHandle")?.ok_or_else(|| missing("TaskHandle"))?;
    let known = context.shared.sqs().moves.iter().find(|task| task.handle == handle).cloned();
    let Some(known) = known else {
        return Err(service_error("ResourceNotFoundException", "Task does not exist."));
    };
    authorize(context, &known.source, "CancelMessageMoveTask")?;
    let mut sqs = context.shared.sqs();
    let running =
        sqs.moves.iter_mut().find(|task| task.handle == handle && task.status == Status::Running);
    let Some(task) = running else {
        return Err(service_error("UnsupportedOperation", "Only active tasks can be cancelled."));
    };
    task.status = Status::Cancelling;
    Ok(answer(&json!({"ApproximateNumberOfMessagesMoved": task.moved})))
}

/// Returns the queue whose ARN a member holds.
fn queue_of(
    context: &Context<'_>,
    input: &Value,
    member: &str,
) -> Result<Option<QueueKey>, ApiError> {
    let Some(arn) = input::text(input, member)? else { return Ok(None) };
    let key = QueueKey::from_arn(arn).ok_or_else(|| {
        service_error(
            "InvalidAddress",
            format!("The address {arn} is not valid for this endpoint."),
        )
    })?;
    if context.shared.sqs().queues.contains_key(&key) {
        return Ok(Some(key));
    }
    Err(service_error(
        "ResourceNotFoundException",
        format!("The resource that you specified for the {member} parameter doesn't exist."),
    ))
}

impl Sqs {
    /// Lets every task move what its rate allows until `now`.
    pub(super) fn advance_moves(&mut self, random: &mut Random, now: Millis) {
        let Self { moves, queues, .. } = self;
        for task in moves.iter_mut() {
            match task.status {
                Status::Running => {}
                Status::Cancelling => {
                    task.status = Status::Cancelled;
                    continue;
                }
                Status::Completed | Status::Cancelled | Status::Failed(_) => continue,
            }
            let elapsed = now.saturating_sub(task.started_at).max(0);
            let allowed = task.rate.map_or(i64::MAX, |rate| rate.saturating_mul(elapsed) / SECOND);
            let allowed = u64::try_from(allowed).unwrap_or(0).min(task.to_move);
            while task.moved < allowed {
                let taken = queues.get_mut(&task.source).and_then(|queue| queue.take(now));
                let Some(message) = taken else {
                    task.to_move = task.moved;
                    break;
                };
                let origin = message.dead_letter_source.as_deref().and_then(QueueKey::from_arn);
                let Some(key) = task.destination.clone().or(origin) else {
                    task.status = Status::Failed("CouldNotDetermineMessageSource");
                    restore(queues.get_mut(&task.source), message);
                    break;
                };
                match queues.get_mut(&key) {
                    Some(queue) => {
                        queue.take_over(message, random.uuid(), now);
                        task.moved += 1;
                    }
                    None => {
                        task.status = Status::Failed("AWS.SimpleQueueService.NonExistentQueue");
                        restore(queues.get_mut(&task.source), message);
                        break;
                    }
                }
            }
            if task.status == Status::Running && task.moved == task.to_move {
                task.status = Status::Completed;
            }
        }
    }
}

fn restore(queue: Option<&mut super::Queue>, message: super::queue::Message) {
    if let Some(queue) = queue {
        queue.restore(message);
    }
}
