//! Classifies what the SDK returns. AWS's error codes are known here only.

use std::{error::Error, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use crate::{
    aws::skew,
    model::outcome::SystemicReason,
    ports::{Fault, FaultClass},
};

/// The longest error text that is kept.
const MAX_TEXT_CHARS: usize = 300;

/// What AWS answers when the time of a request is off.
const TIME_CODES: [&str; 5] = [
    "RequestTimeTooSkewed",
    "RequestExpired",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
];

/// Whose credentials a call is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// The engine's own.
    Own,
    /// Those of an assumed role.
    Role,
}

/// The service's own words about an error.
#[derive(Debug)]
struct ServiceText(String);

impl fmt::Display for ServiceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ServiceText {}

/// Turns an SDK error into a fault.
pub(super) fn fault<E>(
    operation: &'static str,
    caller: Caller,
    error: &SdkError<E, HttpResponse>,
) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    if is_time_code(code)
        && let Some(date) = error.raw_response().and_then(|response| response.headers().get("date"))
    {
        skew::learn(date);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let class = match error {
        SdkError::ServiceError(_) => service_class(code, status, caller),
        SdkError::ResponseError(_) if status.is_some_and(|status| status >= 500) => {
            FaultClass::Unavailable
        }
        SdkError::ResponseError(_) | SdkError::TimeoutError(_) => FaultClass::Ambiguous,
        _ if is_credentials_error(error) => match caller {
            Caller::Own => FaultClass::Systemic(SystemicReason::OwnCredentials),
            Caller::Role => FaultClass::Expired,
        },
        SdkError::DispatchFailure(_) => FaultClass::Ambiguous,
        _ => FaultClass::Unavailable,
    };
    let mut fault = Fault::new(class, operation);
    fault.code = code.map(str::to_owned);
    fault.request_id = error.request_id().map(str::to_owned);
    let text = match error.as_service_error() {
        // A refusal may quote what it refuses, and that may be a customer's log line.
        Some(_) if class == FaultClass::Invalid && operation == "PutLogEvents" => None,
        Some(service) => service.message().map(str::to_owned),
        None => Some(crate::error_chain::Chain(error).to_string()),
    };
    if let Some(text) = text {
        fault = fault.with_source(ServiceText(text.chars().take(MAX_TEXT_CHARS).collect()));
    }
    fault
}

/// Whether a call was refused because the clock is off. The next one goes by the time that the answer says.
pub(super) fn is_about_time(fault: &Fault) -> bool {
    is_time_code(fault.code.as_deref())
}

fn is_time_code(code: Option<&str>) -> bool {
    code.is_some_and(|code| TIME_CODES.contains(&code))
}

fn service_class(code: Option<&str>, status: Option<u16>, caller: Caller) -> FaultClass {
    code.and_then(|code| class_of_code(code, caller)).unwrap_or_else(|| class_of_status(status))
}

fn class_of_code(code: &str, caller: Caller) -> Option<FaultClass> {
    // Codes come with and without the service's namespace before them.
    let code = code.rsplit_once('#').map_or(code, |(_, name)| name);
    let refused_credentials = match caller {
        Caller::Own => FaultClass::Systemic(SystemicReason::OwnCredentials),
        Caller::Role => FaultClass::Expired,
    };
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "ProvisionedThroughputExceededException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "OverLimit"
        | "AWS.SimpleQueueService.OverLimit"
        | "KMS.ThrottlingException"
        | "KmsThrottled" => FaultClass::Throttled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "MissingAuthenticationToken" => refused_credentials,
        // A clock that is off. It may well be mended before the message is received again.
        "RequestTimeTooSkewed"
        | "RequestExpired"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError" => FaultClass::Unavailable,
        "RequestTimeout" | "RequestTimeoutException" => FaultClass::Ambiguous,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidObjectState"
        | "NoSuchBucket"
        | "KMS.DisabledException"
        | "KMS.InvalidStateException"
        | "KMS.NotFoundException"
        | "KmsAccessDenied"
        | "KmsDisabled"
        | "KMSInvalidStateException" => FaultClass::Denied,
        "ResourceNotFoundException"
        | "NoSuchKey"
        | "NotFound"
        | "NoSuchVersion"
        | "NoSuchUpload"
        | "ReceiptHandleIsInvalid"
        | "MessageNotInflight"
        | "AWS.SimpleQueueService.MessageNotInflight"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue" => FaultClass::Missing,
        "ResourceAlreadyExistsException" => FaultClass::Exists,
        "OperationAborted"
        | "OperationAbortedException"
        | "ConflictException"
        | "ConditionalRequestConflict" => FaultClass::Conflict,
        "LimitExceededException" => FaultClass::LimitExceeded,
        "RegionDisabledException" => FaultClass::RegionDisabled,
        "PreconditionFailed" => FaultClass::Changed,
        "InvalidRange" => FaultClass::OutOfRange,
        "InvalidParameterException"
        | "InvalidParameterValue"
        | "ValidationException"
        | "ValidationError"
        | "SerializationException" => FaultClass::Invalid,
        _ => return None,
    })
}

const fn class_of_status(status: Option<u16>) -> FaultClass {
    match status {
        Some(429) => FaultClass::Throttled,
        Some(401 | 403) => FaultClass::Denied,
        Some(404) => FaultClass::Missing,
        Some(412) => FaultClass::Changed,
        Some(416) => FaultClass::OutOfRange,
        Some(400..=499) => FaultClass::Invalid,
        _ => FaultClass::Unavailable,
    }
}

fn is_credentials_error(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<CredentialsError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_before_statuses() {
        let own = Caller::Own;
        for (code, status, expected) in [
            (Some("ThrottlingException"), Some(400), FaultClass::Throttled),
            (Some("com.amazonaws.logs#ThrottlingException"), Some(400), FaultClass::Throttled),
            (Some("ResourceNotFoundException"), Some(400), FaultClass::Missing),
            (Some("SomethingNew"), Some(400), FaultClass::Invalid),
            (Some("SomethingNew"), Some(503), FaultClass::Unavailable),
            (None, Some(500), FaultClass::Unavailable),
            (None, Some(429), FaultClass::Throttled),
            (None, Some(416), FaultClass::OutOfRange),
            (None, None, FaultClass::Unavailable),
        ] {
            assert_eq!(service_class(code, status, own), expected, "{code:?} {status:?}");
        }
    }

    #[test]
    fn refused_credentials_are_renewed_for_a_role_and_stop_the_engine_otherwise() {
        for code in ["ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"] {
            assert_eq!(class_of_code(code, Caller::Role), Some(FaultClass::Expired));
            let systemic = FaultClass::Systemic(SystemicReason::OwnCredentials);
            assert_eq!(class_of_code(code, Caller::Own), Some(systemic));
        }
    }
}
