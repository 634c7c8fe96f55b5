//! Reads events from the output of `aws cloudformation describe-stack-events`: for failures of stacks that this
//! identity cannot see. Fields that are not used are passed over, as the format is AWS's own.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use thiserror::Error;

use super::{stack::StackEvent, status::ResourceStatus};

/// A file that does not hold events.
#[derive(Debug, Error)]
pub enum EventFileError {
    /// It is no JSON of the right form.
    #[error("the file does not hold what `aws cloudformation describe-stack-events` prints")]
    Form(#[source] serde_json::Error),
    /// There is nothing in it.
    #[error("the file holds no events")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    stack_events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    event_id: String,
    stack_id: String,
    #[serde(default)]
    logical_resource_id: String,
    #[serde(default)]
    physical_resource_id: String,
    #[serde(default)]
    resource_type: String,
    #[serde(deserialize_with = "time")]
    timestamp: Timestamp,
    #[serde(default)]
    resource_status: String,
    resource_status_reason: Option<String>,
    client_request_token: Option<String>,
    detailed_status: Option<String>,
    hook_status: Option<String>,
    hook_status_reason: Option<String>,
}

/// Reads a time as the AWS CLI prints it.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("`{text}` is no time: {error}")))
}

/// Reads one or more documents after each other, one for each stack of the tree, in any order. Returns the events in
/// the order of time.
pub fn read(text: &str) -> Result<Vec<StackEvent>, EventFileError> {
    let mut events = Vec::new();
    for page in serde_json::Deserializer::from_str(text).into_iter::<Page>() {
        let page = page.map_err(EventFileError::Form)?;
        // The newest comes first. What happened at the same moment keeps its order.
        events.extend(page.stack_events.into_iter().rev().map(StackEvent::from));
    }
    events.sort_by_key(|event: &StackEvent| event.time);
    if events.is_empty() { Err(EventFileError::Empty) } else { Ok(events) }
}

/// Returns the stack that none of the others nests: the one whose events hold the others.
pub fn root(events: &[StackEvent]) -> Option<String> {
    let nested: Vec<&str> = events.iter().filter_map(StackEvent::nested_stack).collect();
    let is_root = |event: &&StackEvent| !nested.contains(&event.stack_id.as_str());
    events.iter().find(is_root).or(events.first()).map(|event| event.stack_id.clone())
}

impl From<Event> for StackEvent {
    fn from(event: Event) -> Self {
        Self {
            id: event.event_id,
            stack_id: event.stack_id,
            logical_id: event.logical_resource_id,
            physical_id: event.physical_resource_id,
            resource_type: event.resource_type,
            status: ResourceStatus::of(&event.resource_status),
            reason: event.resource_status_reason.filter(|reason| !reason.is_empty()),
            time: event.timestamp,
            token: event.client_request_token,
            stabilising: event.detailed_status.as_deref() == Some("CONFIGURATION_COMPLETE"),
            hook_failure: event
                .hook_status_reason
                .filter(|_| event.hook_status.as_deref() == Some("HOOK_COMPLETE_FAILED")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_events_is_refused() {
        for (text, part) in [("{", "does not hold"), ("[]", "does not hold"), ("", "no events")] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
