//! The layout of an object key in the central bucket.
//!
//! The collector writes `[prefix/]cluster_id/namespace/application/pod_name/file`;
//! the engine reads it back. Both follow this module.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::ids::{InvalidId, TenantId};

/// The longest object key that S3 takes, in bytes of UTF-8
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
pub const MAX_KEY_BYTES: usize = 1024;

/// A literal text before every key: empty, or one that ends in `/` (setting `S3_KEY_PREFIX`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Returns the text, with its final `/` unless it is empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyPrefix {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const WHAT: &str = "a key prefix";
        const RULE: &str = "it is empty or made of segments such as logs/, without empty segments, '.', '..' or a leading '/'";
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        let body = text.strip_suffix('/').unwrap_or(text);
        let legal = |segment: &str| {
            is_usable_segment(segment)
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=!()'".contains(&b))
        };
        if body.len() <= 256 && body.split('/').all(legal) {
            Ok(Self(format!("{body}/")))
        } else {
            Err(InvalidId::new(text, WHAT, RULE))
        }
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A log file in the central bucket, named by its key's segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogObject {
    /// The cluster that the collector runs in.
    pub cluster: String,
    /// The namespace that the logs come from, which is the tenant.
    pub tenant: TenantId,
    /// The application's name; matched against a tenant's `desired_logs`.
    pub application: String,
    /// The pod's name.
    pub pod: String,
    /// What follows the pod's name: normally `<time>-<uuid>.json.gz`.
    pub file: String,
}

/// An object key that does not follow the layout. Its logs have no owner, so it is never skipped silently.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// The key is longer than S3 allows, or empty.
    #[error("the key has {bytes} bytes; S3 allows 1 to {MAX_KEY_BYTES}")]
    Length {
        /// The key's length in bytes.
        bytes: usize,
    },
    /// The key is outside the configured prefix.
    #[error("the key does not start with the configured prefix `{prefix}`")]
    Prefix {
        /// The prefix of the configuration.
        prefix: String,
    },
    /// There are too few segments.
    #[error("the key has {found} segments; cluster/namespace/application/pod/file needs 5")]
    Segments {
        /// The number of segments after the prefix.
        found: usize,
    },
    /// A segment is empty, blank, `.` or `..`.
    #[error("segment {position} of the key (`{name}`) is empty or a dot name")]
    Segment {
        /// The position after the prefix, from 1.
        position: usize,
        /// What the layout calls it.
        name: &'static str,
    },
    /// The namespace segment is not one that Kubernetes allows.
    #[error("the key's namespace is no tenant id")]
    Tenant(#[source] InvalidId),
}

impl LogObject {
    /// Reads a key (already decoded) that the collector wrote below `prefix`.
    pub fn parse(key: &str, prefix: &KeyPrefix) -> Result<Self, InvalidKey> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(InvalidKey::Length { bytes: key.len() });
        }
        let rest = key
            .strip_prefix(prefix.as_str())
            .ok_or_else(|| InvalidKey::Prefix { prefix: prefix.as_str().to_owned() })?;
        let mut segments = rest.splitn(5, '/');
        let (Some(cluster), Some(tenant), Some(application), Some(pod), Some(file)) =
            (segments.next(), segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(InvalidKey::Segments { found: rest.split('/').count() });
        };
        let named = [
            (cluster, "cluster"),
            (tenant, "namespace"),
            (application, "application"),
            (pod, "pod"),
        ];
        for (index, (segment, name)) in named.into_iter().enumerate() {
            if !is_usable_segment(segment) {
                return Err(InvalidKey::Segment { position: index + 1, name });
            }
        }
        if !file.split('/').all(is_usable_segment) {
            return Err(InvalidKey::Segment { position: 5, name: "file" });
        }
        Ok(Self {
            cluster: cluster.to_owned(),
            tenant: tenant.parse().map_err(InvalidKey::Tenant)?,
            application: application.to_owned(),
            pod: pod.to_owned(),
            file: file.to_owned(),
        })
    }

    /// Returns the key that [`LogObject::parse`] reads back.
    pub fn key(&self, prefix: &KeyPrefix) -> String {
        let Self { cluster, tenant, application, pod, file } = self;
        format!("{prefix}{cluster}/{tenant}/{application}/{pod}/{file}")
    }
}

fn is_usable_segment(segment: &str) -> bool {
    !segment.trim().is_empty()
        && segment != "."
        && segment != ".."
        && !segment.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> KeyPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_names_its_tenant() {
        let key = "prod-eu/ocm-acme/kube-apiserver/kube-apiserver-0/20261123-094133-0b1e.json.gz";
        for (before, setting) in [("", ""), ("logs/", "logs"), ("a/b/", "a/b/")] {
            let object = LogObject::parse(&format!("{before}{key}"), &prefix(setting)).unwrap();
            assert_eq!(object.tenant.as_str(), "ocm-acme");
            assert_eq!(object.cluster, "prod-eu");
            assert_eq!(object.application, "kube-apiserver");
            assert_eq!(object.pod, "kube-apiserver-0");
            assert_eq!(object.file, "20261123-094133-0b1e.json.gz");
            assert_eq!(object.key(&prefix(setting)), format!("{before}{key}"));
        }
    }

    #[test]
    fn a_key_outside_the_layout_is_refused_with_its_reason() {
        let parse = |key: &str| LogObject::parse(key, &prefix("")).unwrap_err();
        assert_eq!(parse(""), InvalidKey::Length { bytes: 0 });
        assert_eq!(parse(&"a/".repeat(600)), InvalidKey::Length { bytes: 1200 });
        assert_eq!(parse("c/t/app/pod"), InvalidKey::Segments { found: 4 });
        assert_eq!(parse("c//app/pod/f"), InvalidKey::Segment { position: 2, name: "namespace" });
        assert_eq!(parse("c/t/../pod/f"), InvalidKey::Segment { position: 3, name: "application" });
        assert_eq!(parse("c/t/app/ /f"), InvalidKey::Segment { position: 4, name: "pod" });
        assert_eq!(parse("c/t/app/pod/"), InvalidKey::Segment { position: 5, name: "file" });
        assert_eq!(parse("c/t/app/pod/../f"), InvalidKey::Segment { position: 5, name: "file" });
        assert!(matches!(parse("c/T_1/app/pod/f"), InvalidKey::Tenant(_)));
        let outside = LogObject::parse("c/t/app/pod/f", &prefix("logs"));
        assert_eq!(outside.unwrap_err(), InvalidKey::Prefix { prefix: "logs/".to_owned() });
    }

    #[test]
    fn prefixes_are_normalised_or_refused() {
        assert_eq!(prefix("logs").as_str(), "logs/");
        assert_eq!(prefix("").as_str(), "");
        for text in ["/", "/logs", "a//b", "a/../b", ".", "a b", "{x}"] {
            assert!(text.parse::<KeyPrefix>().is_err(), "{text}");
        }
    }
}
