//! Tasks of SQS that move the messages of a dead-letter queue elsewhere.
//!
//! A queue has one running task at most. It moves what is in the queue when it starts, gives each message a new id
//! and a new age, and goes on for up to 36 hours whoever watches.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>.

use jiff::Timestamp;

use super::{fault::Fault, sqs::Sqs};

const SERVICE: &str = "sqs";
/// The fastest rate, in messages a second (`StartMessageMoveTask` in the API model).
pub const MAX_RATE: u32 = 500;
/// The most tasks that one call lists (`ListMessageMoveTasks` in the API model).
const MAX_LISTED: i32 = 10;

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Names a running task; those that have ended have none.
    pub handle: Option<String>,
    /// How it stands.
    pub state: MoveState,
    /// When it was started.
    pub started: Timestamp,
    /// About how many messages it has moved.
    pub moved: u64,
    /// About how many messages it had to move when it started.
    pub to_move: Option<u64>,
    /// Where it moves them.
    pub destination: Option<String>,
    /// The most messages a second.
    pub rate: Option<u32>,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveState {
    /// It moves messages.
    Running,
    /// It was asked to stop.
    Cancelling,
    /// It has moved everything.
    Completed,
    /// It has stopped; what it had not moved is where it was.
    Cancelled,
    /// It has failed; what it had not moved is where it was.
    Failed {
        /// Why, in AWS's words.
        reason: String,
    },
    /// A state that this version does not know.
    Other(String),
}

impl Move {
    /// Whether it still moves messages.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, MoveState::Running | MoveState::Cancelling)
    }
}

impl Sqs {
    /// Returns the latest tasks of a dead-letter queue, the newest first.
    pub async fn moves(&self, queue_arn: &str) -> Result<Vec<Move>, Fault> {
        const OPERATION: &str = "ListMessageMoveTasks";
        let request =
            self.0.list_message_move_tasks().source_arn(queue_arn).max_results(MAX_LISTED);
        let answer = request.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        let mut moves = Vec::new();
        for task in answer.results.unwrap_or_default() {
            let started = Timestamp::from_millisecond(task.started_timestamp).map_err(|error| {
                Fault::unreadable(
                    SERVICE,
                    OPERATION,
                    format!("a task has no usable start: {error}"),
                )
            })?;
            let state = match task.status.as_deref().unwrap_or_default() {
                "RUNNING" => MoveState::Running,
                "CANCELLING" => MoveState::Cancelling,
                "COMPLETED" => MoveState::Completed,
                "CANCELLED" => MoveState::Cancelled,
                "FAILED" => MoveState::Failed { reason: task.failure_reason.unwrap_or_default() },
                other => MoveState::Other(other.to_owned()),
            };
            moves.push(Move {
                handle: task.task_handle,
                state,
                started,
                moved: u64::try_from(task.approximate_number_of_messages_moved).unwrap_or(0),
                to_move: task
                    .approximate_number_of_messages_to_move
                    .and_then(|count| u64::try_from(count).ok()),
                destination: task.destination_arn,
                rate: task
                    .max_number_of_messages_per_second
                    .and_then(|rate| u32::try_from(rate).ok()),
            });
        }
        moves.sort_by_key(|task| std::cmp::Reverse(task.started));
        Ok(moves)
    }

    /// Starts to move all messages of the dead-letter queue `from` to the queue `to`.
    ///
    /// The destination is always named: SQS knows none of its own for what was sent to the dead-letter queue rather
    /// than moved there, and letters of the engine are.
    pub async fn start_move(&self, from: &str, to: &str, rate: u32) -> Result<(), Fault> {
        let request = self
            .0
            .start_message_move_task()
            .source_arn(from)
            .destination_arn(to)
            .max_number_of_messages_per_second(i32::try_from(rate).unwrap_or(i32::MAX));
        let sent = request.send().await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "StartMessageMoveTask", error))
    }

    /// Asks a running task to stop.
    pub async fn cancel_move(&self, handle: &str) -> Result<(), Fault> {
        let sent = self.0.cancel_message_move_task().task_handle(handle).send().await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "CancelMessageMoveTask", error))
    }
}
