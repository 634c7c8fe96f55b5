//! Names and identifiers, each with the rules of the service that owns it.
//!
//! Every type is parsed with `FromStr` and printed with `Display`; a value that
//! exists is valid. The error says what was given and what would be right.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A text that is not what its type demands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is not {what}: {rule}")]
pub struct InvalidId {
    /// The text as it was given, cut to a printable length.
    pub value: String,
    /// What it should have been, with its article: "an AWS account id".
    pub what: &'static str,
    /// The rule that it breaks, as advice.
    pub rule: &'static str,
}

impl InvalidId {
    pub(crate) fn new(value: &str, what: &'static str, rule: &'static str) -> Self {
        const LONGEST_SHOWN: usize = 120;
        let value = if value.chars().count() > LONGEST_SHOWN {
            value.chars().take(LONGEST_SHOWN).chain(['…']).collect()
        } else {
            value.to_owned()
        };
        Self { value, what, rule }
    }
}

/// Declares a text newtype whose only constructor checks `$valid`.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId::new(text, $what, $rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

text_id!(
    /// A twelve-digit AWS account id.
    AccountId,
    "an AWS account id",
    "it has exactly 12 digits",
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

text_id!(
    /// An AWS region, such as `us-east-2` or `us-gov-west-1`.
    ///
    /// Checked by shape: new regions appear without a release of ours.
    Region,
    "an AWS region",
    "it looks like us-east-2",
    is_region
);

text_id!(
    /// A tenant: the Kubernetes namespace that its logs come from (an RFC 1123 label).
    TenantId,
    "a tenant id",
    "it is a Kubernetes namespace: 1 to 63 lower-case letters, digits and '-', starting and ending with a letter or digit",
    is_dns_label
);

text_id!(
    /// An S3 bucket name.
    /// Rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
    BucketName,
    "an S3 bucket name",
    "it has 3 to 63 lower-case letters, digits, '-' and '.', starts and ends with a letter or digit, has no '..' and is not an IP address",
    is_bucket_name
);

text_id!(
    /// A CloudWatch Logs log group name (`CreateLogGroup` in the API model).
    LogGroupName,
    "a log group name",
    "it has 1 to 512 characters of a-z, A-Z, 0-9, '.', '-', '_', '/', '#' and does not start with 'aws/'",
    |text| (1..=512).contains(&text.len())
        && !text.starts_with("aws/")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#".contains(&b))
);

text_id!(
    /// The id that a role's trust policy asks for (`sts:ExternalId`, `AssumeRole` in the API model).
    ///
    /// A tenant's own id is as good as a password: keep it in a [`super::secret::Secret`].
    ExternalId,
    "an external id",
    "it has 2 to 1224 characters of a-z, A-Z, 0-9 and =,.@:/-_+",
    |text| (2..=1224).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"=,.@:/-_+".contains(&b))
);

/// A CloudWatch Logs log stream name: 1 to 512 bytes, no `:` and no `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogStreamName(String);

impl LogStreamName {
    /// The most characters that CloudWatch Logs takes (`CreateLogStream` in the API model).
    pub const MAX_LENGTH: usize = 512;

    /// Makes a legal name of `text`: `:` and `*` and control characters become `_`;
    /// a longer name is cut and ends in a hash of the whole, so that two long names stay two.
    pub fn sanitised(text: &str) -> Self {
        let clean: String = text
            .chars()
            .map(|c| if c == ':' || c == '*' || c.is_control() { '_' } else { c })
            .collect();
        if clean.is_empty() {
            return Self("_".to_owned());
        }
        if clean.len() <= Self::MAX_LENGTH {
            return Self(clean);
        }
        let suffix = format!("-{:016x}", fnv1a(text.as_bytes()));
        let mut cut = Self::MAX_LENGTH - suffix.len();
        while !clean.is_char_boundary(cut) {
            cut -= 1;
        }
        let (head, _) = clean.split_at(cut);
        Self(format!("{head}{suffix}"))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogStreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 64-bit FNV-1a hash: short, stable between builds, and not a security measure.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let Some((number, words)) = parts.split_last() else { return false };
    (2..=3).contains(&words.len())
        && words.iter().all(letters)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

fn is_bucket_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && !text.contains("..")
        && text.parse::<std::net::Ipv4Addr>().is_err()
        && !text.starts_with("xn--")
        && !text.ends_with("-s3alias")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = InvalidId> + fmt::Display>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<T>().expect(text).to_string(), *text);
        }
        for text in bad {
            let error = text.parse::<T>().err().unwrap_or_else(|| panic!("`{text}` was accepted"));
            assert_eq!(
                error.value.chars().take(20).collect::<String>(),
                text.chars().take(20).collect::<String>()
            );
        }
    }

    #[test]
    fn account_ids_have_twelve_digits() {
        check::<AccountId>(
            &["000000000000", "123456789012"],
            &["", "12345678901", "1234567890123", "12345678901a"],
        );
    }

    #[test]
    fn regions_are_checked_by_shape() {
        check::<Region>(
            &["us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "us-iso-east-1"],
            &["", "us-east", "us east 1", "US-EAST-1", "us-east-1a", "useast1", "us--1"],
        );
    }

    #[test]
    fn tenant_ids_are_namespaces() {
        let longest = "a".repeat(63);
        check::<TenantId>(
            &["a", "ocm-staging-2abc", longest.as_str()],
            &["", "-a", "a-", "A", "a_b", "a.b", "tenänt"],
        );
        assert!("a".repeat(64).parse::<TenantId>().is_err());
    }

    #[test]
    fn bucket_names_follow_the_s3_rules() {
        check::<BucketName>(
            &["abc", "a.b-c", "0ab"],
            &["ab", "AB1", "a..b", "-ab", "ab-", "1.2.3.4", "a_b"],
        );
    }

    #[test]
    fn log_group_names_follow_the_cloudwatch_rules() {
        check::<LogGroupName>(
            &["/ROSA/cluster-logs/x", "a#b"],
            &["", "   ", "a b", "aws/x", "a:b", "a*"],
        );
    }

    #[test]
    fn external_ids_follow_the_sts_rules() {
        check::<ExternalId>(
            &["ab", "123456789012", "a=b,c.d@e:f/g-h_i+j"],
            &["", "a", "a b", "ä1"],
        );
    }

    #[test]
    fn stream_names_are_made_legal_and_stay_distinct() {
        assert_eq!(LogStreamName::sanitised("a:b*c\n").as_str(), "a_b_c_");
        assert_eq!(LogStreamName::sanitised("").as_str(), "_");
        let long = "é".repeat(400);
        let one = LogStreamName::sanitised(&format!("{long}1"));
        let two = LogStreamName::sanitised(&format!("{long}2"));
        assert!(one.as_str().len() <= LogStreamName::MAX_LENGTH);
        assert_ne!(one, two);
    }
}
