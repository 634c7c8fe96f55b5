//! What a failed conversation with a registry means.

use std::{error::Error as _, io};

use oci_client::errors::{OciDistributionError, OciErrorCode};
use thiserror::Error;

use super::acceptance::Unacceptable;

/// A failed conversation with a registry.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The client could not be made.
    #[error("failed to prepare a connection to registry `{registry}`")]
    Client {
        /// The registry's host.
        registry: String,
        /// Why.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// The registry does not know who asks (401).
    #[error("registry `{registry}` did not accept the login, needed to {action} `{subject}`")]
    Login {
        /// The registry's host.
        registry: String,
        /// What was tried.
        action: &'static str,
        /// On which blob or image.
        subject: String,
        /// Its words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// The registry knows who asks, and does not allow it (403).
    #[error("registry `{registry}` does not allow this login to {action} `{subject}`")]
    Forbidden {
        /// The registry's host.
        registry: String,
        /// What was tried.
        action: &'static str,
        /// On which blob or image.
        subject: String,
        /// Its words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// There is no such image or repository (404).
    #[error("registry has no `{reference}`")]
    Missing {
        /// The image.
        reference: String,
        /// Its words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// The tag names another image, and tags do not move there.
    #[error("`{reference}` names another image already, and tags of this repository do not move")]
    Taken {
        /// The image.
        reference: String,
        /// The registry's words.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// Too many requests, a fault of the registry, or a cut connection, in every attempt.
    #[error("failed to {action} `{subject}` in every attempt")]
    Passing {
        /// What was tried.
        action: &'static str,
        /// On which blob or image.
        subject: String,
        /// Why, the last time.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// Another failure.
    #[error("failed to {action} `{subject}`")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On which blob or image.
        subject: String,
        /// Why.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// What came back is not what was pushed.
    #[error("registry returned manifest `{found}` for `{reference}`, expected `{expected}`")]
    Different {
        /// The image.
        reference: String,
        /// The digest of what came back.
        found: String,
        /// The digest of what was pushed.
        expected: String,
    },
    /// Lambda will not take what is in the registry.
    #[error("Lambda will refuse `{reference}`")]
    Unacceptable {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: Unacceptable,
    },
}

/// Reads an error of the client.
pub(super) fn read(
    registry: &str,
    action: &'static str,
    subject: &str,
    error: OciDistributionError,
) -> RegistryError {
    let (status, passing, taken) = (status(&error), is_passing(&error), is_taken(&error));
    let (registry, subject, source) = (registry.to_owned(), subject.to_owned(), Box::new(error));
    match status {
        Some(401) => RegistryError::Login { registry, action, subject, source },
        Some(403) => RegistryError::Forbidden { registry, action, subject, source },
        Some(404) => RegistryError::Missing { reference: subject, source },
        _ if taken => RegistryError::Taken { reference: subject, source },
        _ if passing => RegistryError::Passing { action, subject, source },
        _ => RegistryError::Failed { action, subject, source },
    }
}

/// Whether the same request may succeed a little later: throttling, a fault of the server, a cut connection.
pub(super) fn is_passing(error: &OciDistributionError) -> bool {
    match (status(error), error) {
        (Some(status), _) => status == 429 || status >= 500,
        (None, OciDistributionError::RequestError(error)) => !error.is_builder(),
        (None, OciDistributionError::IoError(error)) => error.kind() != io::ErrorKind::StorageFull,
        (None, _) => false,
    }
}

/// Returns the messages of an error and of its causes, without repetitions.
pub(super) fn words(error: &OciDistributionError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The status of the answer, or the one that the registry's code stands for.
fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => Some(401),
        OciDistributionError::ImageManifestNotFoundError(_) => Some(404),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().find_map(|error| match &error.code {
                OciErrorCode::Unauthorized => Some(401),
                OciErrorCode::Denied => Some(403),
                OciErrorCode::BlobUnknown
                | OciErrorCode::ManifestUnknown
                | OciErrorCode::NameUnknown
                | OciErrorCode::NotFound => Some(404),
                OciErrorCode::Toomanyrequests => Some(429),
                _ => None,
            })
        }
        _ => None,
    }
}

/// ECR's words for a tag of a repository with immutable tags
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html>).
fn is_taken(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code: 400 | 409, message, .. } => {
            message.contains("immutable") || message.contains("TAG_INVALID")
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| error.code == OciErrorCode::TagInvalid)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> OciDistributionError {
        OciDistributionError::ServerError { code, url: String::new(), message: message.to_owned() }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let meaning = |error| match read("host", "push manifest", "host/x:1", error) {
            RegistryError::Login { .. } => "login",
            RegistryError::Forbidden { .. } => "forbidden",
            RegistryError::Missing { .. } => "missing",
            RegistryError::Taken { .. } => "taken",
            RegistryError::Passing { .. } => "passing",
            RegistryError::Failed { .. } => "failed",
            other => panic!("{other}"),
        };
        let envelope = |code: &str| OciDistributionError::RegistryError {
            envelope: serde_json::from_str(&format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#))
                .unwrap(),
            url: String::new(),
        };
        let tag = "The image tag '1' already exists in the 'x' repository and cannot be overwritten because the repository is immutable.";
        for (error, expected) in [
            (server(401, ""), "login"),
            (OciDistributionError::AuthenticationFailure("no".to_owned()), "login"),
            (server(403, ""), "forbidden"),
            (envelope("DENIED"), "forbidden"),
            (server(404, ""), "missing"),
            (envelope("NAME_UNKNOWN"), "missing"),
            (server(400, tag), "taken"),
            (envelope("TAG_INVALID"), "taken"),
            (server(429, ""), "passing"),
            (envelope("TOOMANYREQUESTS"), "passing"),
            (server(503, ""), "passing"),
            (server(400, "bad"), "failed"),
            (envelope("SOMETHING_ELSE"), "failed"),
        ] {
            let text = error.to_string();
            assert_eq!(meaning(error), expected, "{text}");
        }
    }
}
