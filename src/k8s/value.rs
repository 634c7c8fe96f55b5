//! What the values of the settings must look like. A wrong one is found here, not by a pod that does not start.

use std::{fmt, str::FromStr};

use mtlog_processor::model::{
    arn::RoleArn,
    ids::{BucketName, InvalidId, Region},
    key::KeyPrefix,
};

use crate::{
    deploy::names::{Audience, ClusterName},
    image::reference::{ImageReference, Version},
};

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// The cluster's name.
    Cluster,
    /// A selector of namespaces.
    Namespaces,
    /// A region.
    Region,
    /// A bucket.
    Bucket,
    /// What stands before every key; may be empty.
    KeyPrefix,
    /// A role.
    Role,
    /// The audience of the service account's token.
    Audience,
    /// A queue, by its URL.
    Queue,
    /// A table.
    Table,
    /// An image, by digest.
    Image,
}

impl ValueKind {
    /// Returns the value as it is to be written.
    pub fn parse(self, text: &str) -> Result<String, InvalidId> {
        match self {
            Self::Cluster => canonical::<ClusterName>(text),
            Self::Namespaces => canonical::<NamespaceSelector>(text),
            Self::Region => canonical::<Region>(text),
            Self::Bucket => canonical::<BucketName>(text),
            Self::KeyPrefix => canonical::<KeyPrefix>(text),
            Self::Role => canonical::<RoleArn>(text),
            Self::Audience => canonical::<Audience>(text),
            Self::Queue => checked(text, "the URL of a queue", QUEUE_RULE, is_queue_url),
            Self::Table => checked(text, "the name of a table", TABLE_RULE, is_table_name),
            Self::Image => checked(text, "an image by digest", IMAGE_RULE, is_pinned),
        }
    }

    /// Whether a pipeline can do without.
    pub const fn may_be_empty(self) -> bool {
        matches!(self, Self::KeyPrefix)
    }
}

const QUEUE_RULE: &str = "it starts with https:// or http:// and has no white space";
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
const TABLE_RULE: &str = "it has 3 to 255 letters, digits or _ . -";
const IMAGE_RULE: &str = "it is REPOSITORY@sha256:DIGEST; a tag may name another image tomorrow";

fn canonical<T: FromStr<Err = InvalidId> + fmt::Display>(text: &str) -> Result<String, InvalidId> {
    text.parse::<T>().map(|value| value.to_string())
}

fn checked(
    text: &str,
    what: &'static str,
    rule: &'static str,
    valid: fn(&str) -> bool,
) -> Result<String, InvalidId> {
    if valid(text) {
        Ok(text.to_owned())
    } else {
        Err(InvalidId { value: text.to_owned(), what, rule })
    }
}

fn is_queue_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_pinned(text: &str) -> bool {
    text.parse::<ImageReference>().is_ok_and(|image| matches!(image.version, Version::Digest(_)))
}

/// Says which namespaces are tenants, by their labels.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSelector(String);

impl NamespaceSelector {
    /// The namespaces of hosted control planes.
    pub const HOSTED_CONTROL_PLANES: &str = "hypershift.openshift.io/hosted-control-plane=true";
}

impl FromStr for NamespaceSelector {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str =
            "it is KEY=VALUE, KEY!=VALUE, KEY or !KEY, or several of them with commas between them";
        if !text.is_empty() && text.split(',').all(is_requirement) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { value: text.to_owned(), what: "a selector of namespaces", rule: RULE })
        }
    }
}

impl fmt::Display for NamespaceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_requirement(text: &str) -> bool {
    if let Some(key) = text.strip_prefix('!') {
        return is_label_key(key);
    }
    let pair =
        text.split_once("!=").or_else(|| text.split_once("==")).or_else(|| text.split_once('='));
    match pair {
        Some((key, value)) => is_label_key(key) && (value.is_empty() || is_label_name(value)),
        None => is_label_key(text),
    }
}

fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => {
            let part = |part: &str| {
                let inner =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                !part.is_empty()
                    && part.bytes().all(inner)
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            };
            domain.len() <= 253 && domain.split('.').all(part) && is_label_name(name)
        }
        None => is_label_name(text),
    }
}

fn is_label_name(text: &str) -> bool {
    let ends_well = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(ends_well)
        && text.ends_with(ends_well)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_that_the_api_server_takes() {
        for text in [
            NamespaceSelector::HOSTED_CONTROL_PLANES,
            "tenant",
            "!internal",
            "tenant==acme",
            "environment!=test,tenant,team=a.b_c-d",
            "empty=",
        ] {
            assert!(text.parse::<NamespaceSelector>().is_ok(), "{text}");
        }
        for text in [
            "", " ", "a=b c", "=x", "a,,b", "a=\"b\"", "a=$B", "/a", "A.B/c", "a/b/c", "a=-b",
            "a in (b)",
        ] {
            assert!(text.parse::<NamespaceSelector>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_and_a_right_one_is_written_as_its_type_has_it() {
        for (kind, text, expected) in [
            (ValueKind::Cluster, "prod/eu", None),
            (ValueKind::Cluster, "prod-eu", Some("prod-eu")),
            (ValueKind::Region, "ohio", None),
            (ValueKind::Bucket, "s3://central", None),
            (ValueKind::KeyPrefix, "logs", Some("logs/")),
            (ValueKind::KeyPrefix, "/logs/", None),
            (ValueKind::KeyPrefix, "", Some("")),
            (ValueKind::Role, "log-writer", None),
            (ValueKind::Queue, "queue", None),
            (
                ValueKind::Queue,
                "https://sqs.us-east-2.amazonaws.com/1/q",
                Some("https://sqs.us-east-2.amazonaws.com/1/q"),
            ),
            (ValueKind::Table, "a b", None),
            (ValueKind::Table, "tenants", Some("tenants")),
            (ValueKind::Image, "registry.example/vector:0.58", None),
        ] {
            assert_eq!(kind.parse(text).ok().as_deref(), expected, "{kind:?} {text}");
        }
    }
}
