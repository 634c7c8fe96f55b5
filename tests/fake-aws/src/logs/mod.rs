//! CloudWatch Logs: groups, streams, and the strict intake of events.
//!
//! Limits are those of the API model (`logs-2014-03-28`) and of the quota page,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>.

mod inspect;
mod ledger;
mod names;
mod pattern;
mod put;
mod query;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::Millis;
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

pub use inspect::LogsSettings;
pub use ledger::{KeepEvents, LedgerTotals, LogTarget, LoggedEvent, message_hash};
pub(crate) use put::{PutLogEvents, count_discarded, gunzip, parse_put, parse_put_owned, put};

use ledger::Ledger;

pub(crate) const OPERATIONS: &[&str] = &[
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeleteRetentionPolicy",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "FilterLogEvents",
    "GetLogEvents",
    "PutLogEvents",
    "PutRetentionPolicy",
];

const RETENTION_DAYS: &[i64] = &[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// An account and a region.
type Place = (String, String);

/// The state of the service.
#[derive(Debug)]
pub(crate) struct Logs {
    groups: BTreeMap<Place, BTreeMap<String, Group>>,
    ledger: Ledger,
    settings: LogsSettings,
    batches: u64,
}

#[derive(Debug, Clone)]
struct Group {
    created: Millis,
    retention_days: Option<i64>,
    class: String,
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug, Clone)]
struct Stream {
    created: Millis,
    /// From when on events are accepted: creation is eventually consistent.
    ready_at: Millis,
    /// How many events of the ledger belong to an earlier stream of this name.
    earlier_events: usize,
    first_timestamp: Option<Millis>,
    last_timestamp: Option<Millis>,
    last_ingestion: Option<Millis>,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            groups: BTreeMap::new(),
            ledger: Ledger::new(),
            settings: LogsSettings::default(),
            batches: 0,
        }
    }

    /// Tells whether bodies of `PutLogEvents` are thrown away unread.
    pub(crate) fn only_counts_bytes(&self) -> bool {
        self.settings.keep == KeepEvents::OnlyCountBytes
    }

    pub(crate) fn accepts_gzip(&self) -> bool {
        self.settings.accept_gzip
    }

    fn group_mut(&mut self, place: &Place, name: &str) -> Result<&mut Group, ApiError> {
        self.groups.get_mut(place).and_then(|groups| groups.get_mut(name)).ok_or_else(no_group)
    }

    fn group(&self, place: &Place, name: &str) -> Result<&Group, ApiError> {
        self.groups.get(place).and_then(|groups| groups.get(name)).ok_or_else(no_group)
    }
}

/// Returns what a call is about: the group and the stream.
pub(crate) fn facts(input: &Value) -> (String, String) {
    let member = |name: &str| input.get(name).and_then(Value::as_str);
    let group = member("logGroupName").or_else(|| member("logGroupIdentifier"));
    let group = group.or_else(|| member("logGroupNamePrefix")).unwrap_or_default();
    let stream =
        member("logStreamName").or_else(|| member("logStreamNamePrefix")).unwrap_or_default();
    (group.to_owned(), stream.to_owned())
}

/// Carries out every operation but `PutLogEvents`.
pub(crate) fn execute(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let place = (context.caller.account.clone(), context.region.to_owned());
    match context.operation {
        "CreateLogGroup" => create_group(context, &place, input),
        "CreateLogStream" => create_stream(context, &place, input),
        "DeleteLogGroup" => delete_group(context, &place, input),
        "DeleteLogStream" => delete_stream(context, &place, input),
        "PutRetentionPolicy" => put_retention(context, &place, input),
        "DeleteRetentionPolicy" => delete_retention(context, &place, input),
        "DescribeLogGroups" => query::describe_groups(context, &place, input),
        "DescribeLogStreams" => query::describe_streams(context, &place, input),
        "GetLogEvents" => query::get_events(context, &place, input),
        "FilterLogEvents" => query::filter_events(context, &place, input),
        _ => Err(ApiError::bad("UnknownOperationException", "")),
    }
}

fn ok() -> Reply {
    Reply::with_body(200, "application/x-amz-json-1.1", "")
}

fn answer(value: &Value) -> Reply {
    Reply::with_body(200, "application/x-amz-json-1.1", value.to_string())
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::bad("InvalidParameterException", message)
}

fn no_group() -> ApiError {
    ApiError::bad("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_stream() -> ApiError {
    ApiError::bad("ResourceNotFoundException", "The specified log stream does not exist.")
}

fn group_arn(context: &Context<'_>, group: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{group}", context.region, context.caller.account)
}

fn stream_arn(context: &Context<'_>, group: &str, stream: &str) -> String {
    format!("{}:log-stream:{stream}", group_arn(context, group))
}

fn create_group(context: &Context<'_>, place: &Place, input: &Value) -> Result<Reply, ApiError> {
    let name = names::group(input::text(input, "logGroupName")?)?;
    if name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    let class = input::text(input, "logGroupClass")?.unwrap_or("STANDARD");
    if !["STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"].contains(&class) {
        return Err(names::constraint(
            class,
            "logGroupClass",
            "Member must satisfy enum value set: [STANDARD, INFREQUENT_ACCESS, DELIVERY, ESSENTIALS]",
        ));
    }
    if let Some(tags) = input::map(input, "tags")?
        && (tags.is_empty() || tags.len() > 50)
    {
        return Err(invalid(
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length between 1 and 50",
        ));
    }
    context.authorize("logs:CreateLogGroup", &format!("{}:*", group_arn(context, name)))?;
    let mut logs = context.shared.logs();
    let limit = logs.settings.max_groups;
    let groups = logs.groups.entry(place.clone()).or_default();
    if groups.contains_key(name) {
        return Err(ApiError::bad(
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ));
    }
    if groups.len() >= limit {
        return Err(ApiError::bad("LimitExceededException", "Resource limit exceeded."));
    }
    groups.insert(
        name.to_owned(),
        Group {
            created: context.now,
            retention_days: None,
            class: class.to_owned(),
            streams: BTreeMap::new(),
        },
    );
    Ok(ok())
}

fn create_stream(context: &Context<'_>, place: &Place, input: &Value) -> Result<Reply, ApiError> {
    let group_name = names::group(input::text(input, "logGroupName")?)?;
    let stream_name = names::stream(input::text(input, "logStreamName")?)?;
    context.authorize("logs:CreateLogStream", &stream_arn(context, group_name, stream_name))?;
    let mut logs = context.shared.logs();
    let ready_at = context.now.saturating_add(logs.settings.creation_lag_millis());
    let target = LogTarget::new(place, group_name, stream_name);
    let earlier_events = logs.ledger.kept(&target);
    let group = logs.group_mut(place, group_name)?;
    if group.streams.contains_key(stream_name) {
        return Err(ApiError::bad(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    group.streams.insert(
        stream_name.to_owned(),
        Stream {
            created: context.now,
            ready_at,
            earlier_events,
            first_timestamp: None,
            last_timestamp: None,
            last_ingestion: None,
        },
    );
    Ok(ok())
}

fn delete_group(context: &Context<'_>, place: &Place, input: &Value) -> Result<Reply, ApiError> {
    let name = names::group(input::text(input, "logGroupName")?)?;
    context.authorize("logs:DeleteLogGroup", &format!("{}:*", group_arn(context, name)))?;
    let mut logs = context.shared.logs();
    logs.groups.get_mut(place).and_then(|groups| groups.remove(name)).ok_or_else(no_group)?;
    Ok(ok())
}

fn delete_stream(context: &Context<'_>, place: &Place, input: &Value) -> Result<Reply, ApiError> {
    let group_name = names::group(input::text(input, "logGroupName")?)?;
    let stream_name = names::stream(input::text(input, "logStreamName")?)?;
    context.authorize("logs:DeleteLogStream", &stream_arn(context, group_name, stream_name))?;
    let mut logs = context.shared.logs();
    let group = logs.group_mut(place, group_name)?;
    group.streams.remove(stream_name).ok_or_else(no_stream)?;
    Ok(ok())
}

fn put_retention(context: &Context<'_>, place: &Place, input: &Value) -> Result<Reply, ApiError> {
    let name = names::group(input::text(input, "logGroupName")?)?;
    let days =
        input::integer(input, "retentionInDays")?.ok_or_else(|| names::null("retentionInDays"))?;
    if !RETENTION_DAYS.contains(&days) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: {RETENTION_DAYS:?}"
        )));
    }
    context.authorize("logs:PutRetentionPolicy", &format!("{}:*", group_arn(context, name)))?;
    context.shared.logs().group_mut(place, name)?.retention_days = Some(days);
    Ok(ok())
}

fn delete_retention(
    context: &Context<'_>,
    place: &Place,
    input: &Value,
) -> Result<Reply, ApiError> {
    let name = names::group(input::text(input, "logGroupName")?)?;
    context.authorize("logs:DeleteRetentionPolicy", &format!("{}:*", group_arn(context, name)))?;
    context.shared.logs().group_mut(place, name)?.retention_days = None;
    Ok(ok())
}

fn describe_group(context: &Context<'_>, name: &str, group: &Group, stored: u64) -> Value {
    let mut described = json!({
        "logGroupName": name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": format!("{}:*", group_arn(context, name)),
        "logGroupArn": group_arn(context, name),
        "storedBytes": stored,
        "logGroupClass": group.class,
    });
    if let (Some(days), Some(members)) = (group.retention_days, described.as_object_mut()) {
        members.insert("retentionInDays".to_owned(), json!(days));
    }
    described
}
