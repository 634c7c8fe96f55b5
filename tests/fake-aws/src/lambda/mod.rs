//! Lambda: functions and event source mappings that stacks make. Nothing runs.
//!
//! Rules are those of the API model (`lambda-2015-03-31`).

mod inspect;

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::http::{Reply, Request, decode_percent};
use crate::shared::Context;

/// Account, region and name.
type Key = (String, String, String);

/// The state of the service.
#[derive(Debug, Default)]
pub(crate) struct Lambda {
    /// What `GetFunction` says.
    functions: BTreeMap<Key, Value>,
    /// By account, region and id, what `ListEventSourceMappings` says.
    mappings: BTreeMap<Key, Value>,
}

impl Lambda {
    /// Makes or changes a function as a stack describes it.
    pub(crate) fn put_function(
        &mut self,
        (account, region, name): (&str, &str, &str),
        properties: &Value,
    ) {
        let member = |name: &str| properties.get(name).cloned().unwrap_or_default();
        let number = |name: &str, default: i64| {
            let value = member(name);
            let text = value.as_str().and_then(|text| text.parse().ok());
            value.as_i64().or(text).unwrap_or(default)
        };
        let mut variables = Map::new();
        let given = properties.get("Environment").and_then(|given| given.get("Variables"));
        for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            variables.insert(name.clone(), Value::String(text));
        }
        let image = properties.get("Code").and_then(|code| code.get("ImageUri")).cloned();
        let function = json!({
            "Configuration": {
                "FunctionName": name,
                "FunctionArn": format!("arn:aws:lambda:{region}:{account}:function:{name}"),
                "Role": member("Role"),
                "PackageType": member("PackageType"),
                "Timeout": number("Timeout", 3),
                "MemorySize": number("MemorySize", 128),
                "Architectures": properties.get("Architectures").cloned().unwrap_or(json!(["x86_64"])),
                "Environment": {"Variables": variables},
                "State": "Active",
                "LastUpdateStatus": "Successful",
            },
            "Code": {"RepositoryType": "ECR", "ImageUri": image, "ResolvedImageUri": image},
        });
        self.functions.insert((account.into(), region.into(), name.into()), function);
    }

    /// Deletes a function.
    pub(crate) fn remove_function(&mut self, (account, region, name): (&str, &str, &str)) {
        self.functions.remove(&(account.into(), region.into(), name.into()));
    }

    /// Makes or changes a mapping as a stack describes it.
    pub(crate) fn put_mapping(
        &mut self,
        (account, region, id): (&str, &str, &str),
        properties: &Value,
    ) {
        let member = |name: &str| properties.get(name).cloned().unwrap_or_default();
        let disabled = member("Enabled") == json!(false) || member("Enabled") == json!("false");
        let mapping = json!({
            "UUID": id,
            "EventSourceArn": member("EventSourceArn"),
            "FunctionArn": member("FunctionName"),
            "BatchSize": member("BatchSize").as_i64().unwrap_or(10),
            "FunctionResponseTypes": properties.get("FunctionResponseTypes").cloned().unwrap_or(json!([])),
            "State": if disabled { "Disabled" } else { "Enabled" },
            "StateTransitionReason": "USER_INITIATED",
        });
        self.mappings.insert((account.into(), region.into(), id.into()), mapping);
    }

    /// Deletes a mapping.
    pub(crate) fn remove_mapping(&mut self, (account, region, id): (&str, &str, &str)) {
        self.mappings.remove(&(account.into(), region.into(), id.into()));
    }
}

/// Returns the operation that method and path name.
pub(crate) fn operation(request: &Request) -> String {
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let name = match (&request.method, parts.as_slice()) {
        (&Method::GET, ["2015-03-31", "functions", _]) => "GetFunction",
        (&Method::GET, ["2015-03-31", "event-source-mappings"]) => "ListEventSourceMappings",
        _ => "",
    };
    name.to_owned()
}

/// Returns the name of the function that a request is about, which may be given as an ARN.
pub(crate) fn function_name(request: &Request) -> String {
    let in_path = request.path.strip_prefix("/2015-03-31/functions/").map(decode_percent);
    let given = in_path.or_else(|| request.query("FunctionName").map(str::to_owned));
    let given = given.unwrap_or_default();
    given.rsplit(':').next().unwrap_or_default().trim_end_matches('/').to_owned()
}

pub(crate) fn execute(context: &Context<'_>) -> Result<Reply, ApiError> {
    let (account, region) = (&context.caller.account, context.region);
    let name = function_name(context.request);
    match context.operation {
        "GetFunction" => {
            let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
            context.authorize("lambda:GetFunction", &arn)?;
            let lambda = context.shared.lambda();
            let key = (account.clone(), region.to_owned(), name);
            let function = lambda.functions.get(&key).ok_or_else(|| {
                ApiError::new(
                    404,
                    "ResourceNotFoundException",
                    format!("Function not found: {arn}"),
                )
            })?;
            Ok(Reply::with_body(200, "application/json", function.to_string()))
        }
        "ListEventSourceMappings" => {
            context.authorize("lambda:ListEventSourceMappings", "*")?;
            let limit = context.request.query("MaxItems").map_or(Ok(100), str::parse::<i64>);
            if !limit.is_ok_and(|limit| (1..=10_000).contains(&limit)) {
                return Err(ApiError::bad(
                    "InvalidParameterValueException",
                    "MaxItems must be a number from 1 to 10000",
                ));
            }
            let source = context.request.query("EventSourceArn");
            let lambda = context.shared.lambda();
            let found: Vec<&Value> = lambda
                .mappings
                .iter()
                .filter(|((owner, place, _), _)| owner == account && place == region)
                .map(|(_, mapping)| mapping)
                .filter(|mapping| source.is_none_or(|source| mapping["EventSourceArn"] == source))
                .filter(|mapping| {
                    let arn = mapping["FunctionArn"].as_str().unwrap_or_default();
                    name.is_empty() || arn.rsplit(':').next() == Some(name.as_str())
                })
                .collect();
            let body = json!({"EventSourceMappings": found}).to_string();
            Ok(Reply::with_body(200, "application/json", body))
        }
        _ => Err(ApiError::new(404, "UnknownOperationException", "")),
    }
}

/// Writes an error.
pub(crate) fn error_reply(error: &ApiError) -> Reply {
    let side = if error.status >= 500 { "Service" } else { "User" };
    let body = json!({"Type": side, "Message": error.message, "message": error.message});
    Reply::with_body(error.status, "application/json", body.to_string())
        .header("x-amzn-errortype", &*error.code)
}
