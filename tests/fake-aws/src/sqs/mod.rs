//! Simple Queue Service: standard queues with visibility timeouts, dead-letter queues and long
//! polls.
//!
//! Rules are those of the API model (`sqs-2012-11-05`) and of
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.

mod attributes;
mod batch;
mod inspect;
mod lifecycle;
mod message;
mod moves;
mod queue;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::clock::{Millis, SECOND};
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::input;
use crate::shared::Context;

pub(crate) use inspect::deliver;
pub use inspect::{QueueDepth, QueueStats, QueuedMessage, SqsSettings};

use message::NewMessage;
use queue::{Queue, ReceiptError, Wanted};

pub(crate) const OPERATIONS: &[&str] = &[
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
];

/// The longest that a message can be hidden, from its receipt on.
const MAX_VISIBILITY_SECONDS: i64 = 43_200;

/// How long after a deletion a queue's name, or after a purge a queue, is blocked.
const MINUTE: Millis = 60 * SECOND;

/// Account, region and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

impl QueueKey {
    fn new(account: &str, region: &str, name: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, self.account, self.name)
    }

    fn from_arn(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sqs", region, account, name] => Some(Self::new(account, region, name)),
            _ => None,
        }
    }

    fn url(&self, endpoint: &str) -> String {
        format!("{endpoint}/{}/{}", self.account, self.name)
    }
}

/// The state of the service.
#[derive(Debug)]
pub(crate) struct Sqs {
    queues: BTreeMap<QueueKey, Queue>,
    deleted: BTreeMap<QueueKey, Millis>,
    moves: Vec<moves::MoveTask>,
    settings: SqsSettings,
}

impl Sqs {
    pub(crate) fn new() -> Self {
        Self {
            queues: BTreeMap::new(),
            deleted: BTreeMap::new(),
            moves: Vec::new(),
            settings: SqsSettings::default(),
        }
    }

    fn queue(&mut self, key: &QueueKey) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(key).ok_or_else(no_queue)
    }

    /// Deletes by handle.
    fn delete(&mut self, key: &QueueKey, handle: &str) -> Result<(), ApiError> {
        if self.settings.lost_deletes > 0 {
            self.settings.lost_deletes -= 1;
            return Ok(());
        }
        let refuse_stale = self.settings.deletes_report_stale_handles;
        self.queue(key)?.delete(handle, refuse_stale).map_err(receipt_error)
    }

    /// Receives, moving what was received too often to the dead-letter queue.
    fn receive(
        &mut self,
        key: &QueueKey,
        wanted: &Wanted,
        now: Millis,
    ) -> Result<Vec<queue::Message>, ApiError> {
        let Self { queues, settings, .. } = self;
        let queue = queues.get_mut(key).ok_or_else(no_queue)?;
        if wanted.is_short_poll && queue.depth(now).in_flight >= settings.in_flight_limit {
            return Err(service_error(
                "OverLimit",
                "The maximum number of in flight messages is reached.",
            ));
        }
        let received = queue.receive(wanted, now);
        for message in &received.messages {
            if settings.unhidden_receives > 0 {
                settings.unhidden_receives -= 1;
                queue.reveal(|known| known.id == message.id, now);
            }
        }
        let dead_letter_queue = queue.redrive().map(|redrive| redrive.target);
        if let Some(target) = dead_letter_queue.filter(|_| !received.dead.is_empty())
            && let Some(target) = queues.get_mut(&target)
        {
            for message in received.dead {
                target.adopt(message, &key.arn(), now);
            }
        }
        Ok(received.messages)
    }
}

/// Returns what a call is about: the queue.
pub(crate) fn facts(input: &Value, _request: &Request) -> (String, String) {
    let member = |name| input.get(name).and_then(Value::as_str);
    let name = member("QueueUrl").map(|url| url.rsplit('/').next().unwrap_or(url));
    let by_arn = || member("SourceArn").map(|arn| arn.rsplit(':').next().unwrap_or(arn));
    (
        name.or_else(|| member("QueueName")).or_else(by_arn).unwrap_or_default().to_owned(),
        String::new(),
    )
}

pub(crate) async fn execute(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    context.shared.sqs().advance_moves(&mut context.shared.random(), context.now);
    match context.operation {
        "StartMessageMoveTask" => moves::start(context, input),
        "ListMessageMoveTasks" => moves::list(context, input),
        "CancelMessageMoveTask" => moves::cancel(context, input),
        "CreateQueue" => lifecycle::create(context, input),
        "GetQueueUrl" => lifecycle::url(context, input),
        "ListQueues" => lifecycle::list(context, input),
        operation => {
            let key = addressed_queue(context, input)?;
            authorize(context, &key, operation)?;
            match operation {
                "ReceiveMessage" => receive(context, input, &key).await,
                "SendMessage" => send(context, input, &key),
                "DeleteMessage" => delete(context, input, &key),
                "ChangeMessageVisibility" => change_visibility(context, input, &key),
                "SendMessageBatch" => batch::send(context, input, &key),
                "DeleteMessageBatch" => batch::delete(context, input, &key),
                "ChangeMessageVisibilityBatch" => batch::change_visibility(context, input, &key),
                "GetQueueAttributes" => attributes::get(context, input, &key),
                "SetQueueAttributes" => attributes::set(context, input, &key),
                "PurgeQueue" => lifecycle::purge(context, &key),
                "DeleteQueue" => lifecycle::delete(context, &key),
                "ListDeadLetterSourceQueues" => Ok(lifecycle::dead_letter_sources(context, &key)),
                "TagQueue" => lifecycle::tag(context, input, &key),
                "ListQueueTags" => lifecycle::tags(context, &key),
                _ => Err(ApiError::bad("UnknownOperationException", "")),
            }
        }
    }
}

fn answer(value: &Value) -> Reply {
    Reply::with_body(200, "application/x-amz-json-1.0", value.to_string())
}

fn ok() -> Reply {
    Reply::with_body(200, "application/x-amz-json-1.0", "{}")
}

/// An error that the model has a shape for.
fn service_error(code: &'static str, message: impl Into<String>) -> ApiError {
    let status = if code == "OverLimit" { 403 } else { 400 };
    ApiError::new(status, code, message)
}

fn no_queue() -> ApiError {
    service_error("QueueDoesNotExist", "The specified queue does not exist.")
}

/// A parameter outside its range. The model has no shape for it.
fn invalid_value(message: impl Into<String>) -> ApiError {
    ApiError::bad("InvalidParameterValueException", message).query_code("InvalidParameterValue")
}

fn out_of_range(value: impl std::fmt::Display, parameter: &str, reason: &str) -> ApiError {
    invalid_value(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

fn missing(parameter: &str) -> ApiError {
    ApiError::bad(
        "MissingRequiredParameterException",
        format!("The request must contain the parameter {parameter}."),
    )
    .query_code("MissingParameter")
}

/// Finds the queue that `QueueUrl` names. Only account and name count, not the host.
fn addressed_queue(context: &Context<'_>, input: &Value) -> Result<QueueKey, ApiError> {
    let url = input::text(input, "QueueUrl")?.ok_or_else(|| missing("QueueUrl"))?;
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parts = path.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(account))
            if crate::identity::is_account_id(account) && !name.is_empty() =>
        {
            Ok(QueueKey::new(account, context.region, name))
        }
        _ => Err(service_error(
            "InvalidAddress",
            format!("The address {url} is not valid for this endpoint."),
        )),
    }
}

fn authorize(context: &Context<'_>, key: &QueueKey, operation: &str) -> Result<(), ApiError> {
    let policy = context.shared.sqs().queue(key)?.policy();
    let action = format!("sqs:{}", operation.strip_suffix("Batch").unwrap_or(operation));
    context.authorize_shared(&action, &key.arn(), &key.account, policy.as_ref(), &[])
}

async fn receive(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let count = input::integer(input, "MaxNumberOfMessages")?.unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(out_of_range(
            count,
            "MaxNumberOfMessages",
            "Must be between 1 and 10, if provided.",
        ));
    }
    let wait = input::integer(input, "WaitTimeSeconds")?;
    if wait.is_some_and(|wait| !(0..=20).contains(&wait)) {
        return Err(out_of_range(
            wait.unwrap_or_default(),
            "WaitTimeSeconds",
            "Must be >= 0 and <= 20, if provided.",
        ));
    }
    let visibility =
        input::integer(input, "VisibilityTimeout")?.map(check_visibility).transpose()?;
    let selection = message::Selection::read(input)?;
    let (wait, cap) = {
        let mut sqs = context.shared.sqs();
        let cap = sqs.settings.long_poll_cap;
        (wait.unwrap_or_else(|| sqs.queue(key).map_or(0, |queue| queue.default_wait())), cap)
    };
    let wanted = Wanted {
        count: usize::try_from(count).unwrap_or(1),
        visibility_seconds: visibility,
        is_short_poll: wait == 0,
    };
    let until = context.now.saturating_add(wait * SECOND);
    let real_wait = Duration::from_secs(wait.unsigned_abs()).min(cap.unwrap_or(Duration::MAX));
    let real_until = Instant::now() + real_wait;
    loop {
        // Registered before looking, so that no signal is lost in between.
        let signalled = context.shared.wake.notified();
        tokio::pin!(signalled);
        signalled.as_mut().enable();
        let now = context.shared.clock.now();
        let (messages, next) = {
            let mut sqs = context.shared.sqs();
            let messages = sqs.receive(key, &wanted, now)?;
            (messages, sqs.queue(key)?.next_visible(now))
        };
        let left = real_until.saturating_duration_since(Instant::now());
        if !messages.is_empty() || now >= until || left.is_zero() {
            let described: Vec<Value> =
                messages.iter().map(|message| selection.describe(message)).collect();
            return Ok(answer(&if described.is_empty() {
                json!({})
            } else {
                json!({"Messages": described})
            }));
        }
        let wake_at = next.unwrap_or(until).min(until);
        let pause =
            context.shared.clock.real_pause(wake_at).max(Duration::from_millis(1)).min(left);
        tokio::select! {
            () = &mut signalled => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn check_visibility(seconds: i64) -> Result<i64, ApiError> {
    if (0..=MAX_VISIBILITY_SECONDS).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(out_of_range(seconds, "VisibilityTimeout", "Must be between 0 and 43200, if provided."))
    }
}

fn send(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let message = NewMessage::read(input)?;
    let receipt = put_message(context, key, message)?;
    context.shared.wake.notify_waiters();
    Ok(answer(&Value::Object(receipt)))
}

/// Puts a checked message into the queue and describes it as both sending operations do.
fn put_message(
    context: &Context<'_>,
    key: &QueueKey,
    message: NewMessage,
) -> Result<Map<String, Value>, ApiError> {
    let id = context.shared.random().uuid();
    let mut receipt = Map::new();
    receipt.insert("MessageId".to_owned(), json!(id));
    receipt.insert("MD5OfMessageBody".to_owned(), json!(message.body_md5()));
    if let Some(md5) = message.attributes_md5() {
        receipt.insert("MD5OfMessageAttributes".to_owned(), json!(md5));
    }
    let sender = context.caller.user_id.clone();
    let mut sqs = context.shared.sqs();
    let queue = sqs.queue(key)?;
    queue.check_size(&message)?;
    queue.send(message, id, sender, context.now);
    Ok(receipt)
}

fn delete(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let handle = input::text(input, "ReceiptHandle")?.ok_or_else(|| missing("ReceiptHandle"))?;
    context.shared.sqs().delete(key, handle)?;
    Ok(ok())
}

fn change_visibility(
    context: &Context<'_>,
    input: &Value,
    key: &QueueKey,
) -> Result<Reply, ApiError> {
    let handle = input::text(input, "ReceiptHandle")?.ok_or_else(|| missing("ReceiptHandle"))?;
    let seconds =
        input::integer(input, "VisibilityTimeout")?.ok_or_else(|| missing("VisibilityTimeout"))?;
    let seconds = check_visibility(seconds)?;
    context
        .shared
        .sqs()
        .queue(key)?
        .change_visibility(handle, seconds, context.now)
        .map_err(receipt_error)?;
    context.shared.wake.notify_waiters();
    Ok(ok())
}

fn receipt_error(error: ReceiptError) -> ApiError {
    match error {
        ReceiptError::Malformed(handle) => service_error(
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        ),
        ReceiptError::NotInFlight => {
            service_error("MessageNotInflight", "The specified message isn't in flight.")
        }
        ReceiptError::Gone(handle) => out_of_range(
            handle,
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        ),
        ReceiptError::TooLong(seconds) => out_of_range(
            seconds,
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        ),
    }
}
