//! Calls that a test makes itself, as somebody who changes things by hand.

use hyper::Method;
use serde_json::Value;

use super::services::{at_once, bare, root};
use crate::error::ApiError;
use crate::fake::FakeAws;
use crate::service::Service;
use crate::shared::Context;
use crate::{dynamodb, logs, sqs};

impl FakeAws {
    /// Makes a call such as `sqs:SetQueueAttributes` as an account's root, beside the network and
    /// the journal: for what somebody does by hand. Services that speak JSON only.
    pub fn call_as_root(&self, account: &str, region: &str, call: &str, input: &Value) -> Value {
        let (name, operation) = call.split_once(':').unwrap_or((call, ""));
        let (Some(service), caller, request) =
            (Service::from_name(name), root(account), bare(Method::POST, "/"))
        else {
            panic!("there is no service `{name}`")
        };
        let context = Context {
            shared: self.shared(),
            service,
            operation,
            caller: &caller,
            region,
            now: self.shared().clock.now(),
            request: &request,
            request_id: "by-hand",
        };
        answer(&context, input).unwrap_or_else(|error| panic!("{call}: {error:?}"))
    }
}

/// Lets a service that speaks JSON answer.
pub(super) fn answer(context: &Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let reply = match context.service {
        Service::Sqs => at_once(sqs::execute(context, input))?,
        Service::DynamoDb => dynamodb::execute(context, input)?,
        _ => logs::execute(context, input)?,
    };
    let body = reply.body.to_bytes().unwrap_or_default();
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}
