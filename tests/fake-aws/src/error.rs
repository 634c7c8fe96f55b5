//! An error as a service decides it, and its writing in the three protocols.

use serde_json::json;

use crate::http::Reply;
use crate::service::Service;
use crate::xml;
use crate::{cloudformation, cloudwatch, iam_api, lambda, sns};

/// A refusal or a failure, still without protocol.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// The code as the service names it, without namespace.
    pub(crate) code: String,
    pub(crate) message: String,
    /// Further members of the error, such as the `Item` of a failed condition or S3's `Key`.
    pub(crate) members: Vec<(String, serde_json::Value)>,
    /// Headers that go with the error.
    pub(crate) headers: Vec<(String, String)>,
    /// The code that SQS keeps for clients of its older protocol, when it differs.
    pub(crate) query_code: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            members: Vec::new(),
            headers: Vec::new(),
            query_code: None,
        }
    }

    /// The caller's mistake, HTTP 400.
    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    pub(crate) fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.members.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn query_code(mut self, code: &'static str) -> Self {
        self.query_code = Some(code);
        self
    }

    fn fault(&self) -> &'static str {
        if self.status >= 500 { "Receiver" } else { "Sender" }
    }
}

/// Writes an error as that service writes it.
pub(crate) fn render(service: Service, error: &ApiError, request_id: &str) -> Reply {
    let mut reply = match service {
        Service::Logs => json_reply(error, "application/x-amz-json-1.1", &error.code, "message"),
        Service::DynamoDb => dynamodb_reply(error),
        Service::Sqs => sqs_reply(error),
        Service::CloudFormation => cloudformation::error_reply(error, request_id),
        Service::Iam => query_reply(iam_api::NAMESPACE, error, request_id),
        Service::Sns => query_reply(sns::NAMESPACE, error, request_id),
        Service::Sts | Service::Unknown => {
            query_reply("https://sts.amazonaws.com/doc/2011-06-15/", error, request_id)
        }
        Service::CloudWatch => cloudwatch::error_reply(error),
        Service::Lambda => lambda::error_reply(error),
        Service::S3 => s3_reply(error, request_id),
    };
    reply.error_code = Some(error.code.clone());
    reply.headers.extend(error.headers.iter().cloned());
    reply
}

fn json_reply(error: &ApiError, content_type: &str, kind: &str, message_name: &str) -> Reply {
    let mut body = serde_json::Map::new();
    body.insert("__type".to_owned(), json!(kind));
    body.insert(message_name.to_owned(), json!(error.message));
    for (name, value) in &error.members {
        body.insert(name.clone(), value.clone());
    }
    Reply::with_body(error.status, content_type, serde_json::Value::Object(body).to_string())
        .header("x-amzn-errortype", &*error.code)
}

fn dynamodb_reply(error: &ApiError) -> Reply {
    let namespace = match error.code.as_str() {
        "ValidationException" => "com.amazon.coral.validate",
        "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "AccessDeniedException"
        | "MissingAuthenticationTokenException"
        | "SerializationException"
        | "UnknownOperationException"
        | "ThrottlingException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException" => "com.amazon.coral.service",
        _ => "com.amazonaws.dynamodb.v20120810",
    };
    let kind = format!("{namespace}#{}", error.code);
    // The services differ in how they spell this member; clients read both.
    let name = if error.code == "ConditionalCheckFailedException" { "message" } else { "Message" };
    let name = if namespace.ends_with("v20120810") || namespace.ends_with("validate") {
        "message"
    } else {
        name
    };
    json_reply(error, "application/x-amz-json-1.0", &kind, name)
}

fn sqs_reply(error: &ApiError) -> Reply {
    const MODELLED: &[&str] = &[
        "QueueDoesNotExist",
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "OverLimit",
        "InvalidMessageContents",
        "BatchRequestTooLong",
        "BatchEntryIdsNotDistinct",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "TooManyEntriesInBatchRequest",
        "InvalidAttributeName",
        "InvalidAttributeValue",
        "QueueNameExists",
        "PurgeQueueInProgress",
        "UnsupportedOperation",
        "RequestThrottled",
        "InvalidAddress",
        "InvalidSecurity",
        "QueueDeletedRecently",
    ];
    let modelled = MODELLED.contains(&error.code.as_str());
    let namespace = if modelled { "com.amazonaws.sqs" } else { "com.amazon.coral.service" };
    let kind = format!("{namespace}#{}", error.code);
    let query_code = error.query_code.unwrap_or_else(|| sqs_query_code(&error.code));
    json_reply(error, "application/x-amz-json-1.0", &kind, "message")
        .header("x-amzn-query-error", format!("{query_code};{}", error.fault()))
}

/// Returns the name by which clients of the older protocol know an error of SQS. It goes into
/// `x-amzn-query-error`, and current clients prefer it.
fn sqs_query_code(code: &str) -> &str {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "MessageNotInflight" => "AWS.SimpleQueueService.MessageNotInflight",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "InvalidBatchEntryId" => "AWS.SimpleQueueService.InvalidBatchEntryId",
        "BatchRequestTooLong" => "AWS.SimpleQueueService.BatchRequestTooLong",
        "PurgeQueueInProgress" => "AWS.SimpleQueueService.PurgeQueueInProgress",
        "QueueDeletedRecently" => "AWS.SimpleQueueService.QueueDeletedRecently",
        "UnsupportedOperation" => "AWS.SimpleQueueService.UnsupportedOperation",
        "QueueNameExists" => "QueueAlreadyExists",
        other => other,
    }
}

/// Writes an error of an `awsQuery` service.
pub(crate) fn query_reply(namespace: &str, error: &ApiError, request_id: &str) -> Reply {
    let body = xml::document("ErrorResponse", Some(namespace), |out| {
        out.nest("Error", |out| {
            out.text("Type", error.fault());
            out.text("Code", &error.code);
            out.text("Message", &error.message);
        });
        out.text("RequestId", request_id);
    });
    let mut reply = Reply::with_body(error.status, "text/xml", body);
    reply.error_code = Some(error.code.clone());
    reply
}

fn s3_reply(error: &ApiError, request_id: &str) -> Reply {
    if error.status == 304 {
        return Reply::empty(304);
    }
    let body = xml::document("Error", None, |out| {
        out.text("Code", &error.code);
        out.text("Message", &error.message);
        for (name, value) in &error.members {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.text(name, &value);
        }
        out.text("RequestId", request_id);
        out.text("HostId", "fake");
    });
    Reply::xml(error.status, body)
}
