//! What a failed call to AWS means, apart from which SDK made it.
//!
//! The reading of AWS's error codes and messages is confined to this file.

use std::{error::Error, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::permission;

/// What kind of failure a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// AWS asks for fewer calls.
    Throttled,
    /// The network, or AWS itself, failed; the same call may succeed later.
    Transient,
    /// The identity may not do this.
    Denied,
    /// There are no usable credentials.
    Credentials,
    /// The thing does not exist.
    Missing,
    /// The thing is in a state that does not allow this, or exists already.
    Conflict,
    /// AWS refused the request's content.
    Invalid,
}

/// A failed call.
#[derive(Debug)]
pub struct Fault {
    service: &'static str,
    operation: &'static str,
    class: FaultClass,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// Reads the error of a call of `operation`.
    pub fn new<E>(
        service: &'static str,
        operation: &'static str,
        error: SdkError<E, Response>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned);
        let message = error.message().map(str::to_owned);
        let request_id = RequestId::request_id(&error).map(str::to_owned);
        let http_status = error.raw_response().map(|response| response.status().as_u16());
        let class = match &error {
            SdkError::ServiceError(_) => classify(code.as_deref(), message.as_deref(), http_status),
            _ if lacks_credentials(&error) => FaultClass::Credentials,
            _ => FaultClass::Transient,
        };
        let answered =
            matches!(error, SdkError::ServiceError(_)) && (code.is_some() || message.is_some());
        // The message of an answer is all there is to know; a request without one needs its causes.
        let source = (!answered).then(|| error.into());
        Self { service, operation, class, code, message, request_id, source }
    }

    /// A request that could not even be put together, such as a missing required member.
    pub fn unsendable(
        service: &'static str,
        operation: &'static str,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            service,
            operation,
            class: FaultClass::Invalid,
            code: None,
            message: None,
            request_id: None,
            source: Some(error.into()),
        }
    }

    /// An answer that lacks what it must hold, or holds what nobody knows.
    pub fn unreadable(
        service: &'static str,
        operation: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            service,
            operation,
            class: FaultClass::Transient,
            code: None,
            message: Some(message.into()),
            request_id: None,
            source: None,
        }
    }

    /// Returns the kind of failure.
    pub const fn class(&self) -> FaultClass {
        self.class
    }

    /// Returns AWS's code for the error, if AWS answered.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns AWS's message, if AWS answered.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the call, `service:Operation`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Returns the permission that the call needs, as a policy spells it: the one that a refusal names, which may be for
    /// something that AWS does on the caller's behalf, or else that of the call.
    pub fn permission(&self) -> String {
        let refused = self.message.as_deref().and_then(refused_permission);
        refused.map_or_else(|| permission::of_call(&self.action()).to_owned(), str::to_owned)
    }

    /// Whether the same call may succeed a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(self.class, FaultClass::Throttled | FaultClass::Transient)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.class == FaultClass::Credentials {
            return write!(f, "no usable AWS credentials for `{}`", self.action());
        }
        write!(f, "the call `{}` failed", self.action())?;
        if let Some(message) = &self.message {
            write!(f, ": {}", message.trim_end_matches('.'))?;
        }
        match (&self.code, &self.request_id) {
            (Some(code), Some(request)) => write!(f, " ({code}, request {request})"),
            (Some(code), None) => write!(f, " ({code})"),
            (None, _) => Ok(()),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Returns the permission that the message of a refusal names.
fn refused_permission(message: &str) -> Option<&str> {
    if is_unreadable_template(message) {
        return Some("s3:GetObject");
    }
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let name = rest.split_whitespace().next()?.trim_end_matches([',', '.']);
    name.contains(':').then_some(name)
}

/// Whether CloudFormation could not read a template in S3, which it does as the caller.
fn is_unreadable_template(message: &str) -> bool {
    message.contains("S3 error: Access Denied")
}

/// CloudFormation has no code of its own for a stack that is not there.
pub(crate) fn is_missing_stack(code: Option<&str>, message: Option<&str>) -> bool {
    code == Some("ValidationError") && message.is_some_and(|text| text.contains("does not exist"))
}

/// Whether a change set failed only because it would change nothing.
pub(crate) fn is_empty_change_set(reason: &str) -> bool {
    reason.contains("didn't contain changes")
        || reason.contains("No updates are to be performed")
        || reason.contains("There are no changes to be performed")
}

/// Returns the ARN of the nested change set that a change set failed because of.
pub(crate) fn nested_change_set(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("Nested change set ")?;
    rest.split_whitespace().next().filter(|word| word.starts_with("arn:"))
}

fn classify(code: Option<&str>, message: Option<&str>, http_status: Option<u16>) -> FaultClass {
    let Some(code) = code else {
        return match http_status {
            Some(403) => FaultClass::Denied,
            Some(404) => FaultClass::Missing,
            Some(409 | 412) => FaultClass::Conflict,
            Some(429 | 503) => FaultClass::Throttled,
            Some(400..=499) => FaultClass::Invalid,
            _ => FaultClass::Transient,
        };
    };
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException" => FaultClass::Throttled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "RequestExpired"
        | "InvalidToken" => FaultClass::Credentials,
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "AuthorizationErrorException"
        | "UnauthorizedOperation"
        | "Forbidden"
        | "AllAccessDisabled" => FaultClass::Denied,
        "NoSuchBucket"
        | "NotFound"
        | "NoSuchKey"
        | "ResourceNotFoundException"
        | "ChangeSetNotFound"
        | "ChangeSetNotFoundException"
        | "StackNotFoundException"
        | "RepositoryNotFoundException"
        | "ImageNotFoundException"
        | "NoSuchEntity"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue" => FaultClass::Missing,
        "ConditionalCheckFailedException"
        | "PreconditionFailed"
        | "ConditionalRequestConflict"
        | "AlreadyExistsException"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "InvalidChangeSetStatus"
        | "OperationInProgressException"
        | "TokenAlreadyExistsException"
        | "RepositoryAlreadyExistsException" => FaultClass::Conflict,
        _ if is_missing_stack(Some(code), message) => FaultClass::Missing,
        _ if message.is_some_and(is_unreadable_template) => FaultClass::Denied,
        _ => match http_status {
            Some(500..) => FaultClass::Transient,
            Some(429) => FaultClass::Throttled,
            Some(403) => FaultClass::Denied,
            _ => FaultClass::Invalid,
        },
    }
}

/// Whether the call failed for want of credentials: the SDK says so only deep in its causes.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_set_without_changes_is_known_by_its_reason() {
        for (reason, empty) in [
            (
                "The submitted information didn't contain changes. Submit different information to create a change set.",
                true,
            ),
            ("No updates are to be performed.", true),
            ("Parameters: [X] must have values", false),
        ] {
            assert_eq!(is_empty_change_set(reason), empty, "{reason}");
        }
    }

    #[test]
    fn the_nested_change_set_that_failed_is_named() {
        let reason = "Nested change set arn:aws:cloudformation:r:1:changeSet/a/b was not successfully created: Currently in FAILED.";
        assert_eq!(nested_change_set(reason), Some("arn:aws:cloudformation:r:1:changeSet/a/b"));
        assert_eq!(nested_change_set("Parameters: [X] must have values"), None);
    }

    #[test]
    fn a_refusal_names_the_permission_that_is_missing() {
        let fault = |service, operation, message: Option<&str>| Fault {
            service,
            operation,
            class: FaultClass::Denied,
            code: None,
            message: message.map(str::to_owned),
            request_id: None,
            source: None,
        };
        let sentence = "User: arn:aws:iam::111122223333:user/me is not authorized to perform: sqs:DeleteMessage on \
                        resource: arn:aws:sqs:us-east-2:111122223333:x because no identity-based policy allows the \
                        sqs:DeleteMessage action";
        for (service, operation, message, permission) in [
            ("s3", "HeadBucket", None, "s3:ListBucket"),
            ("s3", "PutObject", Some("Access Denied"), "s3:PutObject"),
            ("sqs", "StartMessageMoveTask", Some(sentence), "sqs:DeleteMessage"),
            (
                "cloudformation",
                "CreateChangeSet",
                Some("S3 error: Access Denied\nFor more information check ..."),
                "s3:GetObject",
            ),
        ] {
            assert_eq!(fault(service, operation, message).permission(), permission);
        }
    }

    #[test]
    fn codes_and_statuses_are_read() {
        for (code, message, status, class) in [
            (Some("Throttling"), Some("Rate exceeded"), Some(400), FaultClass::Throttled),
            (Some("ExpiredToken"), None, Some(403), FaultClass::Credentials),
            (Some("AccessDenied"), None, Some(403), FaultClass::Denied),
            (
                Some("ValidationError"),
                Some("Stack with id x does not exist"),
                Some(400),
                FaultClass::Missing,
            ),
            (
                Some("ValidationError"),
                Some("No updates are to be performed."),
                Some(400),
                FaultClass::Invalid,
            ),
            (Some("ConditionalCheckFailedException"), None, Some(400), FaultClass::Conflict),
            (Some("InternalFailure"), None, Some(500), FaultClass::Transient),
            (None, None, Some(403), FaultClass::Denied),
            (None, None, Some(404), FaultClass::Missing),
            (None, None, Some(502), FaultClass::Transient),
        ] {
            assert_eq!(classify(code, message, status), class, "{code:?} {message:?} {status:?}");
        }
    }
}
