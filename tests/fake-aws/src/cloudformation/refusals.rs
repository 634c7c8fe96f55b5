//! The sentences in which resources say why they failed.

use super::kinds::Kind;
use super::names::Taken;
use super::world::Refusal;
use crate::random::Random;

/// Says that a name is taken.
pub(super) fn taken(random: &mut Random, kind: &Kind, name: &str, taken: &Taken) -> String {
    match taken {
        Taken::ByStack(stack) => format!("{name} already exists in stack {stack}"),
        Taken::InAccount => match kind.name {
            "AWS::IAM::Role" => handler(
                random,
                &format!("Role with name {name} already exists."),
                Some(("Iam", 409)),
                "AlreadyExists",
            ),
            "AWS::IAM::ManagedPolicy" => handler(
                random,
                &format!("A policy called {name} already exists. Duplicate names are not allowed."),
                Some(("Iam", 409)),
                "AlreadyExists",
            ),
            "AWS::S3::Bucket" => {
                let token = random.uuid();
                format!(
                    "Resource handler returned message: \"{name} already exists (Service: S3, Status Code: 0, Request ID: null)\" (RequestToken: {token}, HandlerErrorCode: AlreadyExists)"
                )
            }
            other => {
                let sentence =
                    format!("Resource of type '{other}' with identifier '{name}' already exists.");
                handler(random, &sentence, None, "AlreadyExists")
            }
        },
        Taken::ByOthers => handler(
            random,
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
            Some(("S3", 409)),
            "AlreadyExists",
        ),
    }
}

/// Says why a service refused.
pub(super) fn refusal(random: &mut Random, kind: &Kind, name: &str, refusal: &Refusal) -> String {
    match refusal {
        Refusal::AlreadyExists => taken(random, kind, name, &Taken::InAccount),
        Refusal::AlreadyExistsElsewhere => taken(random, kind, name, &Taken::ByOthers),
        Refusal::NotEmpty => handler(
            random,
            "The bucket you tried to delete is not empty",
            Some(("S3", 409)),
            "GeneralServiceException",
        ),
        Refusal::Other(sentence) => handler(random, sentence, None, "InvalidRequest"),
    }
}

/// Writes a sentence as resource handlers do.
fn handler(
    random: &mut Random,
    sentence: &str,
    service: Option<(&str, u16)>,
    code: &str,
) -> String {
    let token = random.uuid();
    match service {
        Some((service, status)) => {
            let request = random.uuid();
            format!(
                "Resource handler returned message: \"{sentence} (Service: {service}, Status Code: {status}, Request ID: {request}) (SDK Attempt Count: 1)\" (RequestToken: {token}, HandlerErrorCode: {code})"
            )
        }
        None => format!(
            "Resource handler returned message: \"{sentence}\" (RequestToken: {token}, HandlerErrorCode: {code})"
        ),
    }
}
