//! The three batch operations: up to ten entries, each with its own outcome.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::message::{MAX_BYTES, NewMessage};
use super::{
    QueueKey, answer, check_visibility, missing, put_message, receipt_error, service_error,
};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

const MAX_ENTRIES: usize = 10;

pub(super) fn send(
    context: &Context<'_>,
    input: &Value,
    key: &QueueKey,
) -> Result<Reply, ApiError> {
    let entries = entries(input)?;
    let messages: Vec<Result<NewMessage, ApiError>> =
        entries.iter().map(|(_, entry)| NewMessage::read(entry)).collect();
    let total: usize = messages.iter().flatten().map(NewMessage::size).sum();
    if total > MAX_BYTES {
        return Err(service_error(
            "BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {total} bytes."
            ),
        ));
    }
    let outcomes =
        messages.into_iter().map(|message| put_message(context, key, message?).map(Value::Object));
    let reply = collect(&entries, outcomes);
    context.shared.wake.notify_waiters();
    Ok(reply)
}

pub(super) fn delete(
    context: &Context<'_>,
    input: &Value,
    key: &QueueKey,
) -> Result<Reply, ApiError> {
    let entries = entries(input)?;
    let mut sqs = context.shared.sqs();
    sqs.queue(key)?;
    let outcomes: Vec<Result<Value, ApiError>> = entries
        .iter()
        .map(|(_, entry)| {
            let handle =
                input::text(entry, "ReceiptHandle")?.ok_or_else(|| missing("ReceiptHandle"))?;
            if sqs.settings.failing_delete_entries > 0 {
                sqs.settings.failing_delete_entries -= 1;
                return Err(ApiError::new(500, "InternalError", "An internal error has occurred."));
            }
            sqs.delete(key, handle)?;
            Ok(json!({}))
        })
        .collect();
    drop(sqs);
    Ok(collect(&entries, outcomes.into_iter()))
}

pub(super) fn change_visibility(
    context: &Context<'_>,
    input: &Value,
    key: &QueueKey,
) -> Result<Reply, ApiError> {
    let entries = entries(input)?;
    let mut sqs = context.shared.sqs();
    let queue = sqs.queue(key)?;
    let outcomes: Vec<Result<Value, ApiError>> = entries
        .iter()
        .map(|(_, entry)| {
            let handle =
                input::text(entry, "ReceiptHandle")?.ok_or_else(|| missing("ReceiptHandle"))?;
            let seconds = input::integer(entry, "VisibilityTimeout")?
                .ok_or_else(|| missing("VisibilityTimeout"))?;
            let seconds = check_visibility(seconds)?;
            queue.change_visibility(handle, seconds, context.now).map_err(receipt_error)?;
            Ok(json!({}))
        })
        .collect();
    drop(sqs);
    context.shared.wake.notify_waiters();
    Ok(collect(&entries, outcomes.into_iter()))
}

/// Checks the entries' count and ids.
fn entries(input: &Value) -> Result<Vec<(&str, &Value)>, ApiError> {
    let entries = input::list(input, "Entries")?.unwrap_or_default();
    if entries.is_empty() {
        return Err(service_error(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if entries.len() > MAX_ENTRIES {
        return Err(service_error(
            "TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are 10. You have sent {}.",
                entries.len()
            ),
        ));
    }
    let mut seen = BTreeSet::new();
    let mut identified = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = input::text(entry, "Id")?.ok_or_else(|| missing("Id"))?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(legal) {
            return Err(service_error(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(service_error("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
        identified.push((id, entry));
    }
    Ok(identified)
}

fn collect(
    entries: &[(&str, &Value)],
    outcomes: impl Iterator<Item = Result<Value, ApiError>>,
) -> Reply {
    let mut successful = Vec::new();
    let mut failed = Vec::new();
    for ((id, _), outcome) in entries.iter().zip(outcomes) {
        match outcome {
            Ok(mut value) => {
                if let Some(members) = value.as_object_mut() {
                    members.insert("Id".to_owned(), json!(id));
                }
                successful.push(value);
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "Code": error.query_code.unwrap_or(&error.code),
                "Message": error.message,
                "SenderFault": error.status < 500,
            })),
        }
    }
    // The service leaves an empty list of failures out.
    let mut reply = json!({ "Successful": successful });
    if !failed.is_empty()
        && let Some(members) = reply.as_object_mut()
    {
        members.insert("Failed".to_owned(), json!(failed));
    }
    answer(&reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ids: &[&str], expected: Result<(), &str>) {
        let list: Vec<Value> = ids.iter().map(|id| json!({"Id": id})).collect();
        let input = json!({"Entries": list});
        let seen = entries(&input).map(|_| ()).map_err(|error| error.code);
        assert_eq!(seen, expected.map_err(str::to_owned), "{ids:?}");
    }

    #[test]
    fn entries_are_few_and_distinct() {
        let (longest, too_long) = ("x".repeat(80), "x".repeat(81));
        check(&["a", "b-_1"], Ok(()));
        check(&[], Err("EmptyBatchRequest"));
        check(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"], Ok(()));
        check(
            &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
            Err("TooManyEntriesInBatchRequest"),
        );
        check(&["a", "a"], Err("BatchEntryIdsNotDistinct"));
        check(&["a b"], Err("InvalidBatchEntryId"));
        check(&[""], Err("InvalidBatchEntryId"));
        check(&[longest.as_str()], Ok(()));
        check(&[too_long.as_str()], Err("InvalidBatchEntryId"));
    }
}
