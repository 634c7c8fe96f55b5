//! The processor function and what feeds it, as operators look at them.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "lambda";

/// A client for Lambda in one region.
#[derive(Debug, Clone)]
pub struct Lambda(Client);

/// A function, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionFacts {
    /// `Active`, `Pending`, `Inactive` or `Failed`; empty if AWS does not say.
    pub state: String,
    /// How the last change of it went: `Successful`, `InProgress` or `Failed`; empty if AWS does not say.
    pub last_update: String,
    /// Why the last change, or the function, failed.
    pub reason: String,
    /// The longest time of an invocation, in seconds.
    pub timeout_seconds: u32,
    /// The memory, in megabytes.
    pub memory_mb: u32,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The execution role's ARN.
    pub role: String,
    /// The image that it was given, and that image by its digest.
    pub image: Option<String>,
    /// The image by its digest.
    pub resolved_image: Option<String>,
    /// The environment variables. None of the template's is a secret.
    pub variables: BTreeMap<String, String>,
}

/// What hands a queue's messages to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFacts {
    /// The queue's ARN.
    pub source: String,
    /// `Enabled`, `Disabled` and what lies between.
    pub state: String,
    /// Why it is in that state, as AWS says it.
    pub reason: String,
    /// Whether a failed message of a batch may come back alone.
    pub reports_single_failures: bool,
}

impl Lambda {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns what is known of a function; `None` if there is none of this name.
    pub async fn function(&self, name: &str) -> Result<Option<FunctionFacts>, Fault> {
        let sent = self.0.get_function().function_name(name).send().await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, "GetFunction", error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let Some(found) = answer.configuration else {
            return Err(Fault::unreadable(SERVICE, "GetFunction", "the answer describes nothing"));
        };
        let number = |value: Option<i32>| value.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let word = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let reasons = [found.last_update_status_reason, found.state_reason];
        let variables = found.environment.and_then(|environment| environment.variables);
        Ok(Some(FunctionFacts {
            state: word(found.state.as_ref().map(|state| state.as_str())),
            last_update: word(found.last_update_status.as_ref().map(|status| status.as_str())),
            reason: reasons.into_iter().flatten().next().unwrap_or_default(),
            timeout_seconds: number(found.timeout),
            memory_mb: number(found.memory_size),
            architecture: word(
                found.architectures.as_ref().and_then(|all| all.first()).map(|one| one.as_str()),
            ),
            role: found.role.unwrap_or_default(),
            image: answer.code.as_ref().and_then(|code| code.image_uri.clone()),
            resolved_image: answer.code.and_then(|code| code.resolved_image_uri),
            variables: variables.unwrap_or_default().into_iter().collect(),
        }))
    }

    /// Returns what feeds a function.
    pub async fn mappings(&self, function: &str) -> Result<Vec<MappingFacts>, Fault> {
        let mut pages = self
            .0
            .list_event_source_mappings()
            .function_name(function)
            .into_paginator()
            .items()
            .send();
        let mut mappings = Vec::new();
        while let Some(mapping) = pages.next().await {
            let mapping =
                mapping.map_err(|error| Fault::new(SERVICE, "ListEventSourceMappings", error))?;
            let types = mapping.function_response_types.unwrap_or_default();
            mappings.push(MappingFacts {
                source: mapping.event_source_arn.unwrap_or_default(),
                state: mapping.state.unwrap_or_default(),
                reason: mapping.state_transition_reason.unwrap_or_default(),
                reports_single_failures: types
                    .iter()
                    .any(|kind| kind.as_str() == "ReportBatchItemFailures"),
            });
        }
        Ok(mappings)
    }
}
