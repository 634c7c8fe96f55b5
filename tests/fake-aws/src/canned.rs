//! Replies that faults send instead of the true one, each in the words of its service.

use bytes::Bytes;

use crate::error::{ApiError, render};
use crate::http::{Origin, Payload, Reply};
use crate::service::Service;

/// A reply for a fault rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Throttling,
    InternalError,
    ServiceUnavailable,
    ExpiredToken,
    AccessDenied,
    UnrecognizedClient,
    InvalidSignature,
    RequestTimeTooSkewed,
    Error { status: u16, code: String, message: String },
    Raw { status: u16, content_type: Option<String>, body: Bytes },
}

impl Response {
    /// Too many requests, by the service's own code: `ThrottlingException`, `SlowDown`,
    /// `ProvisionedThroughputExceededException`, `RequestThrottled`, `Throttling`.
    pub fn throttling() -> Self {
        Self { kind: Kind::Throttling }
    }

    /// A 500 by the service's own code.
    pub fn internal_error() -> Self {
        Self { kind: Kind::InternalError }
    }

    /// A 503 by the service's own code.
    pub fn service_unavailable() -> Self {
        Self { kind: Kind::ServiceUnavailable }
    }

    /// The session is over, by the service's own code.
    pub fn expired_token() -> Self {
        Self { kind: Kind::ExpiredToken }
    }

    /// The caller may not do that, by the service's own code.
    pub fn access_denied() -> Self {
        Self { kind: Kind::AccessDenied }
    }

    /// The access key is not known, by the service's own code.
    pub fn unrecognized_client() -> Self {
        Self { kind: Kind::UnrecognizedClient }
    }

    /// The signature is not right, by the service's own code.
    pub fn invalid_signature() -> Self {
        Self { kind: Kind::InvalidSignature }
    }

    /// The client's clock is off, by the service's own code.
    pub fn request_time_too_skewed() -> Self {
        Self { kind: Kind::RequestTimeTooSkewed }
    }

    /// Any error, written in the service's protocol.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self { kind: Kind::Error { status, code: code.to_owned(), message: message.to_owned() } }
    }

    /// A 429 without a body, as proxies and load balancers send it.
    pub fn bare_429() -> Self {
        Self { kind: Kind::Raw { status: 429, content_type: None, body: Bytes::new() } }
    }

    /// A page in HTML, as proxies send it.
    pub fn html(status: u16) -> Self {
        let page = format!(
            "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        );
        Self::raw(status, "text/html", page)
    }

    /// Success with nothing in it, not even the request id that services send.
    pub fn empty_ok() -> Self {
        Self { kind: Kind::Raw { status: 200, content_type: None, body: Bytes::new() } }
    }

    /// Success with something in it that is no reply of any service.
    pub fn garbage_ok() -> Self {
        Self::raw(200, "application/octet-stream", &b"\x00\xff not a reply {"[..])
    }

    /// Any status and body, without the request id that services send.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Raw {
                status,
                content_type: Some(content_type.to_owned()),
                body: body.into(),
            },
        }
    }

    pub(crate) fn reply(&self, service: Service, request_id: &str) -> Reply {
        let error = match &self.kind {
            Kind::Raw { status, content_type, body } => {
                let mut reply = Reply { origin: Origin::Proxy, ..Reply::empty(*status) };
                reply.body = Payload::from(body.clone());
                if let Some(content_type) = content_type {
                    reply = reply.header("content-type", content_type.clone());
                }
                return reply;
            }
            Kind::Error { status, code, message } => ApiError::new(*status, code, message.clone()),
            Kind::Throttling => throttling(service),
            Kind::InternalError => internal_error(service),
            Kind::ServiceUnavailable => service_unavailable(service),
            Kind::ExpiredToken => expired_token(service),
            Kind::AccessDenied => access_denied(service, "Access Denied"),
            Kind::UnrecognizedClient => unrecognized_client(service),
            Kind::InvalidSignature => invalid_signature(
                service,
                "The request signature we calculated does not match the signature you provided.",
            ),
            Kind::RequestTimeTooSkewed => request_time_too_skewed(service),
        };
        render(service, &error, request_id)
    }
}

/// Too many requests.
pub(crate) fn throttling(service: Service) -> ApiError {
    match service {
        Service::S3 => ApiError::new(503, "SlowDown", "Please reduce your request rate."),
        Service::Sqs => ApiError::bad("RequestThrottled", "Request is throttled."),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::bad("Throttling", "Rate exceeded"),
        Service::DynamoDb => ApiError::bad(
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.",
        ),
        Service::Logs => ApiError::bad("ThrottlingException", "Rate exceeded"),
        Service::Lambda => ApiError::new(429, "TooManyRequestsException", "Rate exceeded"),
    }
}

fn internal_error(service: Service) -> ApiError {
    let (code, message) = match service {
        Service::S3 => ("InternalError", "We encountered an internal error. Please try again."),
        Service::DynamoDb => ("InternalServerError", "Internal server error"),
        Service::Logs
        | Service::Sqs
        | Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Lambda
        | Service::Iam
        | Service::Sns
        | Service::Unknown => {
            ("InternalFailure", "The request processing has failed because of an unknown error.")
        }
    };
    ApiError::new(500, code, message)
}

fn service_unavailable(service: Service) -> ApiError {
    let (code, message) = match service {
        Service::Logs => {
            ("ServiceUnavailableException", "The service cannot complete the request.")
        }
        Service::S3 => ("ServiceUnavailable", "Reduce your request rate."),
        Service::DynamoDb
        | Service::Sqs
        | Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Lambda
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ("ServiceUnavailable", "Service is unable to handle request."),
    };
    ApiError::new(503, code, message)
}

/// The session token has run out.
pub(crate) fn expired_token(service: Service) -> ApiError {
    match service {
        Service::S3 => ApiError::bad("ExpiredToken", "The provided token has expired."),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::new(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        ),
        Service::Sqs => ApiError::new(
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
        )
        .query_code("ExpiredToken"),
        Service::Logs | Service::DynamoDb | Service::Lambda => ApiError::bad(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
    }
}

/// The caller has no permission.
pub(crate) fn access_denied(service: Service, message: &str) -> ApiError {
    match service {
        Service::S3 => ApiError::new(403, "AccessDenied", "Access Denied"),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Unknown => ApiError::new(403, "AccessDenied", message),
        Service::Sns => ApiError::new(403, "AuthorizationError", message),
        Service::Sqs => {
            ApiError::new(403, "AccessDeniedException", message).query_code("AccessDenied")
        }
        Service::Lambda => ApiError::new(403, "AccessDeniedException", message),
        Service::Logs | Service::DynamoDb => ApiError::bad("AccessDeniedException", message),
    }
}

/// The access key id, or the token that belongs to it, is not known.
pub(crate) fn unrecognized_client(service: Service) -> ApiError {
    let message = "The security token included in the request is invalid.";
    match service {
        Service::S3 => ApiError::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::new(403, "InvalidClientTokenId", message),
        Service::Sqs => ApiError::new(403, "UnrecognizedClientException", message)
            .query_code("InvalidClientTokenId"),
        Service::Logs | Service::DynamoDb | Service::Lambda => {
            ApiError::bad("UnrecognizedClientException", message)
        }
    }
}

/// The signature is there but wrong.
pub(crate) fn invalid_signature(service: Service, message: &str) -> ApiError {
    match service {
        Service::S3
        | Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::new(403, "SignatureDoesNotMatch", message),
        Service::Sqs => ApiError::new(403, "InvalidSignatureException", message)
            .query_code("SignatureDoesNotMatch"),
        Service::Logs | Service::DynamoDb | Service::Lambda => {
            ApiError::bad("InvalidSignatureException", message)
        }
    }
}

/// The client's clock is too far from ours.
pub(crate) fn request_time_too_skewed(service: Service) -> ApiError {
    match service {
        Service::S3 => ApiError::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        Service::Logs
        | Service::Sqs
        | Service::Sts
        | Service::DynamoDb
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Lambda
        | Service::Iam
        | Service::Sns
        | Service::Unknown => invalid_signature(service, "Signature not yet current or expired"),
    }
}

/// The request carries no signature.
pub(crate) fn missing_authentication(service: Service) -> ApiError {
    match service {
        Service::S3 => ApiError::new(403, "AccessDenied", "Access Denied"),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        Service::Sqs => ApiError::new(
            403,
            "MissingAuthenticationTokenException",
            "Request is missing Authentication Token",
        )
        .query_code("MissingAuthenticationToken"),
        Service::Logs | Service::DynamoDb | Service::Lambda => ApiError::bad(
            "MissingAuthenticationTokenException",
            "Request is missing Authentication Token",
        ),
    }
}

/// The signature is not complete.
pub(crate) fn incomplete_signature(service: Service, message: &str) -> ApiError {
    match service {
        Service::S3 => ApiError::bad("AuthorizationHeaderMalformed", message),
        Service::Sts
        | Service::CloudFormation
        | Service::CloudWatch
        | Service::Iam
        | Service::Sns
        | Service::Unknown => ApiError::bad("IncompleteSignature", message),
        Service::Sqs => {
            ApiError::bad("IncompleteSignatureException", message).query_code("IncompleteSignature")
        }
        Service::Logs | Service::DynamoDb | Service::Lambda => {
            ApiError::bad("IncompleteSignatureException", message)
        }
    }
}
