//! Names in a deployment, each with the rule that the templates have for it.

use std::{fmt, str::FromStr};

use mtlog_processor::model::{
    arn::RoleArn,
    ids::{AccountId, InvalidId, Region},
};

/// Declares a text newtype whose constructor checks and may tidy the text.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
                let parse: fn(&str) -> Option<String> = $parse;
                parse(text)
                    .map(Self)
                    .ok_or_else(|| InvalidId { value: text.to_owned(), what: $what, rule: $rule })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The pipeline's name, the first part of every name in it.
    ProjectName,
    "a project name",
    "it has 3 to 26 lower-case letters, digits and '-', starts with a letter and does not end in '-'",
    |text| {
        let legal = (3..=26).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        legal.then(|| text.to_owned())
    }
);

name!(
    /// One of the three environments.
    EnvironmentName,
    "an environment",
    "it is development, staging or production",
    |text| matches!(text, "development" | "staging" | "production").then(|| text.to_owned())
);

name!(
    /// A cluster's name, the first part of its object keys.
    ClusterName,
    "a cluster name",
    "it has 1 to 29 letters, digits and '-', and neither starts nor ends with '-'",
    |text| {
        let legal = (1..=29).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        legal.then(|| text.to_owned())
    }
);

name!(
    /// An OIDC issuer without its scheme: host, and path if it has one.
    Issuer,
    "an OIDC issuer",
    "it is a host with an optional path, such as oidc.op1.openshiftapps.com/2abc3def, with or without https://",
    |text| {
        let text = text.strip_prefix("https://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, path) = text.split_once('/').unwrap_or((text, "x"));
        let host_legal = host.contains('.')
            && host.starts_with(|c: char| c.is_ascii_alphanumeric())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b));
        let path_legal = path.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
        });
        (host_legal && path_legal).then(|| text.to_owned())
    }
);

name!(
    /// Whom a cluster's service account tokens are meant for.
    Audience,
    "an OIDC audience",
    "it is openshift, or sts.amazonaws.com on EKS and with hosted control planes",
    |text| matches!(text, "openshift" | "sts.amazonaws.com").then(|| text.to_owned())
);

/// An image in a private ECR repository, with a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrImage {
    text: String,
    account: AccountId,
    region: Region,
}

impl EcrImage {
    /// Returns the whole reference.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the account of the repository.
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// Returns the region of the repository.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// Returns the repository's name.
    pub fn repository(&self) -> &str {
        let path = self.text.split_once('/').map_or("", |(_, path)| path);
        let end = path.find('@').or_else(|| path.rfind(':')).unwrap_or(path.len());
        path.get(..end).unwrap_or(path)
    }

    /// Returns the image by its digest: a tag can come to mean another image, and a stack that names one does not
    /// notice.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> Self {
        let host = self.text.split_once('/').map_or("", |(host, _)| host);
        Self { text: format!("{host}/{}@{digest}", self.repository()), ..self.clone() }
    }

    /// Returns what names one image of the repository.
    pub fn version(&self) -> ImageVersion<'_> {
        let path = self.text.split_once('/').map_or("", |(_, path)| path);
        match (path.split_once('@'), path.rsplit_once(':')) {
            (Some((_, digest)), _) => ImageVersion::Digest(digest),
            (None, Some((_, tag))) => ImageVersion::Tag(tag),
            (None, None) => ImageVersion::Tag(""),
        }
    }
}

/// What names one image of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageVersion<'a> {
    /// A name that may be moved to another image, unless the repository forbids it.
    Tag(&'a str),
    /// The image's own digest.
    Digest(&'a str),
}

impl fmt::Display for EcrImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EcrImage {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "it looks like 111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1, with a tag or \
                            a digest";
        let invalid = || InvalidId { value: text.to_owned(), what: "an image in ECR", rule: RULE };
        let (host, repository) = text.split_once('/').ok_or_else(invalid)?;
        let mut labels = host.splitn(5, '.');
        let mut label = || labels.next().ok_or_else(invalid);
        let (account, dkr, ecr, region, domain) =
            (label()?, label()?, label()?, label()?, label()?);
        let account = account.parse().map_err(|_| invalid())?;
        let region = region.parse().map_err(|_| invalid())?;
        let tagged = match repository.split_once("@sha256:") {
            Some((_, digest)) => {
                digest.len() == 64 && digest.bytes().all(|b| b"0123456789abcdef".contains(&b))
            }
            None => repository
                .rsplit_once(':')
                .is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty()),
        };
        let legal = dkr == "dkr"
            && (ecr == "ecr" || ecr == "ecr-fips")
            && domain.starts_with("amazonaws.com")
            && tagged
            && repository.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/:@-".contains(&b));
        if legal { Ok(Self { text: text.to_owned(), account, region }) } else { Err(invalid()) }
    }
}

/// The central role: a role whose name is the one that the global template makes and every other template demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentralRole(RoleArn);

impl CentralRole {
    /// Returns the ARN.
    pub const fn arn(&self) -> &RoleArn {
        &self.0
    }
}

impl fmt::Display for CentralRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CentralRole {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "it looks like arn:aws:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123abcd, the \
                            output CentralLogDistributionRoleArn of the global stack";
        let invalid =
            || InvalidId { value: text.to_owned(), what: "the ARN of a central role", rule: RULE };
        let arn: RoleArn = text.parse().map_err(|_| invalid())?;
        let suffix =
            arn.name().strip_prefix("ROSA-CentralLogDistributionRole-").ok_or_else(invalid)?;
        if suffix.len() == 8 && suffix.bytes().all(|b| b"0123456789abcdef".contains(&b)) {
            Ok(Self(arn))
        } else {
            Err(invalid())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = InvalidId> + fmt::Display>(good: &[(&str, &str)], bad: &[&str]) {
        for (text, expected) in good {
            assert_eq!(text.parse::<T>().expect(text).to_string(), *expected);
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "`{text}` was accepted");
        }
    }

    #[test]
    fn names_follow_the_rules_of_the_templates() {
        check::<ProjectName>(
            &[("abc", "abc"), ("a-1", "a-1")],
            &["", "ab", "1ab", "ab-", "aB1", "a_b"],
        );
        check::<EnvironmentName>(&[("production", "production")], &["", "prod", "Production"]);
        check::<ClusterName>(&[("c", "c"), ("C-1", "C-1")], &["", "-c", "c-", "a.b"]);
        check::<Audience>(&[("openshift", "openshift")], &["", "Openshift"]);
    }

    #[test]
    fn issuers_lose_their_scheme_and_keep_their_path() {
        let path = "oidc.op1.openshiftapps.com/2abc";
        check::<Issuer>(
            &[(path, path), ("https://oidc.op1.openshiftapps.com/2abc/", path), ("a.b", "a.b")],
            &["", "http://a.b", "a.b//c", "a b.c", "localhost"],
        );
    }

    #[test]
    fn images_tell_their_account_and_region() {
        let text = "111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1";
        let image: EcrImage = text.parse().unwrap();
        assert_eq!(
            (image.account().as_str(), image.region().as_str()),
            ("111122223333", "us-east-2")
        );
        assert_eq!(
            (image.repository(), image.version()),
            ("log-processor", ImageVersion::Tag("v1"))
        );
        let digest = format!(
            "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b@sha256:{}",
            "0".repeat(64)
        );
        let pinned: EcrImage = digest.parse().unwrap();
        assert_eq!(pinned.repository(), "a/b");
        assert!(matches!(pinned.version(), ImageVersion::Digest(d) if d.starts_with("sha256:0")));
        check::<EcrImage>(
            &[(text, text), (&digest, &digest)],
            &[
                "",
                "log-processor:v1",
                "111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor",
                "ghcr.io/a/b:c",
            ],
        );
    }

    #[test]
    fn a_central_role_has_the_name_that_the_global_stack_gives_it() {
        let good = "arn:aws-us-gov:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123abcd";
        check::<CentralRole>(
            &[(good, good)],
            &[
                "",
                "arn:aws:iam::111122223333:role/multi-tenant-logging-production-log-distributor-role",
                "arn:aws:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123ABCD",
            ],
        );
    }
}
