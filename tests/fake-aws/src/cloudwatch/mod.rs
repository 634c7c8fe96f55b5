//! CloudWatch: metrics that a test puts there, and alarms that stacks make.
//!
//! Rules are those of the API model (`monitoring-2010-08-01`) and of
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>.
//! Alarms are never evaluated: their state is what the test says.

mod alarms;
mod inspect;
mod metrics;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cbor;
use crate::clock::Millis;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::shared::Context;

pub use inspect::AlarmState;

pub(crate) const OPERATIONS: &[&str] = &["DescribeAlarms", "GetMetricData"];

/// The name of the service in paths.
const PATH_NAME: &str = "GraniteServiceVersion20100801";

/// What identifies a metric: account, region, namespace, name, dimensions in order.
type MetricKey = (String, String, String, String, Vec<(String, String)>);

/// The state of the service.
#[derive(Debug, Default)]
pub(crate) struct CloudWatch {
    metrics: BTreeMap<MetricKey, Vec<(Millis, f64)>>,
    /// By account, region and name.
    alarms: BTreeMap<(String, String, String), Alarm>,
}

#[derive(Debug)]
struct Alarm {
    description: String,
    state: AlarmState,
    reason: String,
    since: Millis,
    namespace: String,
    metric: String,
}

impl CloudWatch {
    /// Makes or changes an alarm as a stack describes it.
    pub(crate) fn put_alarm(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
        properties: &Value,
        now: Millis,
    ) {
        let text = |member: &str| {
            properties.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let key = (account.to_owned(), region.to_owned(), name.to_owned());
        let before = self.alarms.remove(&key);
        let (state, reason, since) = before.map_or_else(
            || (AlarmState::Ok, "Threshold not crossed".to_owned(), now),
            |alarm| (alarm.state, alarm.reason, alarm.since),
        );
        let (description, namespace, metric) =
            (text("AlarmDescription"), text("Namespace"), text("MetricName"));
        self.alarms.insert(key, Alarm { description, state, reason, since, namespace, metric });
    }

    /// Deletes an alarm.
    pub(crate) fn remove_alarm(&mut self, account: &str, region: &str, name: &str) {
        self.alarms.remove(&(account.to_owned(), region.to_owned(), name.to_owned()));
    }
}

/// Returns the operation that a path names.
pub(crate) fn operation(request: &Request) -> String {
    let mut parts = request.path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("service"), Some(PATH_NAME), Some("operation"), Some(name), None) => name.to_owned(),
        _ => String::new(),
    }
}

/// Reads a request's body.
pub(crate) fn parse(request: &Request) -> Result<Value, ApiError> {
    let is_cbor = request.header("smithy-protocol") == Some("rpc-v2-cbor")
        && request.header("content-type") == Some("application/cbor");
    if !is_cbor {
        return Err(ApiError::bad("UnknownOperationException", "only rpc-v2-cbor is spoken here"));
    }
    match cbor::read(&request.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ApiError::bad("SerializationException", "the body is no map")),
        Err(error) => Err(ApiError::bad("SerializationException", error)),
    }
}

pub(crate) fn execute(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let answer = match context.operation {
        "GetMetricData" => metrics::get(context, input),
        "DescribeAlarms" => alarms::describe(context, input),
        _ => Err(ApiError::bad("UnknownOperationException", "")),
    }?;
    Ok(reply(200, &answer))
}

/// Writes an error.
pub(crate) fn error_reply(error: &ApiError) -> Reply {
    let kind = format!("com.amazonaws.cloudwatch#{}", error.code);
    reply(error.status, &serde_json::json!({"__type": kind, "message": error.message}))
}

fn reply(status: u16, value: &Value) -> Reply {
    Reply::with_body(status, "application/cbor", cbor::write(value))
        .header("smithy-protocol", "rpc-v2-cbor")
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::bad("ValidationError", message)
}
