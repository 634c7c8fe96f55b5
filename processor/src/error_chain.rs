//! An error with its causes, as text. What says nothing is left out, what does say something never is.

use std::{error::Error, fmt};

/// What the layers of the SDK say when something below them failed: the failure itself follows.
///
/// Source: the `Display` of the error types of aws-smithy-runtime-api, aws-smithy-http-client, aws-credential-types,
/// aws-config and hyper-util.
const EMPTY_WORDS: [&str; 14] = [
    "dispatch failure",
    "other",
    "io error",
    "timeout",
    "client error (Connect)",
    "client error (SendRequest)",
    "error trying to connect",
    "tcp connect error",
    "dns error",
    "an error occurred while loading credentials",
    "an error occurred while loading an access token",
    "the credential provider was not enabled",
    "failed to load credentials",
    "unhandled error",
];

/// What each source of credentials says before its reason, where it could not be asked.
const NOT_ENABLED: &str = ": the credential provider was not enabled";

/// Displays an error, then each cause after a colon, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, message) in messages(self.0).iter().enumerate() {
            if number > 0 {
                f.write_str(": ")?;
            }
            for (number, line) in message.lines().enumerate() {
                let separator = if number > 1 { "; " } else { " " };
                f.write_str(if number > 0 { separator } else { "" })?;
                f.write_str(line.trim())?;
            }
        }
        Ok(())
    }
}

/// Returns the message of an error and those of its causes, outermost first, each once. Those that only say that
/// something below failed are left out when it follows.
pub fn messages(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let message = without_noise(&cause.to_string());
        if EMPTY_WORDS.contains(&message.as_str()) && next.is_some() {
            continue;
        }
        // SDK errors tend to repeat their source's text at every level.
        if !messages.iter().any(|known| known.contains(&message)) {
            messages.push(message);
        }
    }
    messages
}

/// The list of all sources of credentials that were tried says the same of each.
fn without_noise(message: &str) -> String {
    let is_list = message.contains('\n');
    if !is_list {
        return message.to_owned();
    }
    message
        .lines()
        .map(|line| match line.split_once(NOT_ENABLED) {
            Some((source, "")) => format!("{source}: not set up"),
            Some((source, reason)) => format!("{source}{reason}"),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Fault, FaultClass};

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Self>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn link(texts: &[&'static str]) -> Link {
        let (first, rest) = texts.split_first().unwrap();
        Link(first, (!rest.is_empty()).then(|| Box::new(link(rest))))
    }

    #[test]
    fn causes_follow_the_error() {
        let fault = Fault::new(FaultClass::Missing, "GetObject").with_source("gone".to_owned());
        assert_eq!(Chain(&fault).to_string(), "GetObject failed: gone");
    }

    /// The texts are those that the SDK gives.
    #[test]
    fn what_says_nothing_is_left_out_and_everything_else_is_kept() {
        for (texts, kept) in [
            (
                &[
                    "the call failed",
                    "dispatch failure",
                    "io error",
                    "client error (Connect)",
                    "tcp connect error",
                    "Connection refused (os error 111)",
                ][..],
                &["the call failed", "Connection refused (os error 111)"][..],
            ),
            (
                &[
                    "the call failed",
                    "dispatch failure",
                    "io error",
                    "client error (Connect)",
                    "dns error",
                    "failed to lookup address information: Name or service not known",
                ],
                &[
                    "the call failed",
                    "failed to lookup address information: Name or service not known",
                ],
            ),
            (
                &[
                    "the call failed",
                    "dispatch failure",
                    "timeout",
                    "error trying to connect",
                    "HTTP connect timeout occurred after 10s",
                ],
                &["the call failed", "HTTP connect timeout occurred after 10s"],
            ),
            (
                &[
                    "the call failed",
                    "dispatch failure",
                    "io error",
                    "client error (Connect)",
                    "invalid peer certificate: UnknownIssuer",
                ],
                &["the call failed", "invalid peer certificate: UnknownIssuer"],
            ),
            (
                &[
                    "no usable AWS credentials",
                    "dispatch failure",
                    "other",
                    "an error occurred while loading credentials",
                    "an error occurred while loading an access token",
                    "the SSO token has expired and cannot be refreshed",
                ],
                &["no usable AWS credentials", "the SSO token has expired and cannot be refreshed"],
            ),
            // Nothing better follows.
            (
                &["the call failed", "dispatch failure", "io error"],
                &["the call failed", "io error"],
            ),
            (&["dispatch failure", "other", "why"], &["why"]),
            // Said before.
            (&["failed: refused", "refused"], &["failed: refused"]),
        ] {
            assert_eq!(messages(&link(texts)), kept);
        }
    }

    #[test]
    fn the_sources_of_credentials_are_listed_with_their_own_words() {
        let list = "no credentials found in chain. Attempted:\n  \
                    Environment: the credential provider was not enabled: environment variable not set\n  \
                    Profile: the credential provider was not enabled";
        let error = link(&["failed", "the credential provider was not enabled", list]);
        let kept = "no credentials found in chain. Attempted:\n  Environment: environment variable not set\n  \
                    Profile: not set up";
        assert_eq!(messages(&error), ["failed", kept]);
        assert_eq!(
            Chain(&error).to_string(),
            "failed: no credentials found in chain. Attempted: Environment: environment variable not set; \
             Profile: not set up"
        );
    }
}
