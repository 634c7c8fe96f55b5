//! Making, finding, emptying and deleting queues.

use serde_json::{Value, json};

use super::queue::Queue;
use super::{
    MINUTE, QueueKey, answer, attributes, authorize, invalid_value, missing, no_queue, ok,
    service_error,
};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

pub(super) fn create(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let name = input::text(input, "QueueName")?.ok_or_else(|| missing("QueueName"))?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if std::path::Path::new(name).extension().is_some_and(|end| end == "fifo") {
        return Err(service_error("UnsupportedOperation", "this stand-in has no FIFO queues"));
    }
    if name.is_empty() || name.len() > 80 || !name.bytes().all(legal) {
        return Err(invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let wanted = attributes::read(input::map(input, "Attributes")?)?;
    let key = QueueKey::new(&context.caller.account, context.region, name);
    context.authorize("sqs:CreateQueue", &key.arn())?;
    let mut sqs = context.shared.sqs();
    attributes::check_redrive(&sqs, &key, &wanted)?;
    let url = key.url(context.shared.endpoint());
    if sqs.deleted.get(&key).is_some_and(|at| context.now < at + MINUTE) {
        return Err(service_error(
            "QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ));
    }
    match sqs.queues.get(&key) {
        Some(queue) if queue.agrees_with(&wanted) => {}
        Some(_) => {
            return Err(service_error(
                "QueueNameExists",
                format!(
                    "A queue already exists with the same name and a different value for attribute(s): {:?}",
                    wanted.keys()
                ),
            ));
        }
        None => {
            let mut queue = Queue::new(key.clone(), context.now);
            queue.set_attributes(wanted, context.now);
            sqs.queues.insert(key, queue);
        }
    }
    Ok(answer(&json!({"QueueUrl": url})))
}

pub(super) fn url(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let name = input::text(input, "QueueName")?.ok_or_else(|| missing("QueueName"))?;
    let owner = input::text(input, "QueueOwnerAWSAccountId")?.unwrap_or(&context.caller.account);
    let key = QueueKey::new(owner, context.region, name);
    authorize(context, &key, "GetQueueUrl")?;
    Ok(answer(&json!({"QueueUrl": key.url(context.shared.endpoint())})))
}

pub(super) fn list(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let prefix = input::text(input, "QueueNamePrefix")?.unwrap_or_default();
    let anything = QueueKey::new(&context.caller.account, context.region, "*");
    context.authorize("sqs:ListQueues", &anything.arn())?;
    let sqs = context.shared.sqs();
    let urls: Vec<String> = sqs
        .queues
        .keys()
        .filter(|key| key.account == context.caller.account && key.region == context.region)
        .filter(|key| key.name.starts_with(prefix))
        .take(1_000)
        .map(|key| key.url(context.shared.endpoint()))
        .collect();
    Ok(answer(&if urls.is_empty() { json!({}) } else { json!({"QueueUrls": urls}) }))
}

pub(super) fn purge(context: &Context<'_>, key: &QueueKey) -> Result<Reply, ApiError> {
    let mut sqs = context.shared.sqs();
    if sqs.queue(key)?.purge(context.now) {
        Ok(ok())
    } else {
        Err(service_error(
            "PurgeQueueInProgress",
            format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", key.name),
        ))
    }
}

pub(super) fn delete(context: &Context<'_>, key: &QueueKey) -> Result<Reply, ApiError> {
    let mut sqs = context.shared.sqs();
    sqs.queues.remove(key).ok_or_else(no_queue)?;
    sqs.deleted.insert(key.clone(), context.now);
    drop(sqs);
    context.shared.wake.notify_waiters();
    Ok(ok())
}

pub(super) fn dead_letter_sources(context: &Context<'_>, key: &QueueKey) -> Reply {
    let sqs = context.shared.sqs();
    let urls: Vec<String> = sqs
        .queues
        .iter()
        .filter(|(_, queue)| queue.redrive().is_some_and(|redrive| redrive.target == *key))
        .map(|(source, _)| source.url(context.shared.endpoint()))
        .collect();
    answer(&json!({"queueUrls": urls}))
}

pub(super) fn tag(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let tags = input::map(input, "Tags")?.ok_or_else(|| missing("Tags"))?;
    let mut sqs = context.shared.sqs();
    let queue = sqs.queue(key)?;
    for (name, value) in tags {
        queue.tags.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    Ok(ok())
}

pub(super) fn tags(context: &Context<'_>, key: &QueueKey) -> Result<Reply, ApiError> {
    let mut sqs = context.shared.sqs();
    let tags = &sqs.queue(key)?.tags;
    Ok(answer(&json!({ "Tags": tags })))
}
