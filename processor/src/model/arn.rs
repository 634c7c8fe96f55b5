//! Amazon resource names, and the partitions that they live in.
//!
//! This is the only place that puts an ARN together or takes one apart.

use std::{fmt, str::FromStr};

use super::ids::{AccountId, InvalidId, Region};

/// A group of regions with its own ARN prefix and endpoints.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// The commercial regions, `aws`.
    Aws,
    /// The regions in China, `aws-cn`.
    China,
    /// AWS GovCloud (US), `aws-us-gov`.
    GovCloud,
}

impl Partition {
    /// Returns the partition that `region` belongs to.
    pub fn of(region: &Region) -> Self {
        let name = region.as_str();
        if name.starts_with("cn-") {
            Self::China
        } else if name.starts_with("us-gov-") {
            Self::GovCloud
        } else {
            Self::Aws
        }
    }

    /// Returns the second field of the partition's ARNs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// Returns the domain that the partition's endpoints end in.
    pub const fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "aws" => Some(Self::Aws),
            "aws-cn" => Some(Self::China),
            "aws-us-gov" => Some(Self::GovCloud),
            _ => None,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The ARN of an IAM role, with its optional path: `arn:aws:iam::123456789012:role/path/Name`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleArn {
    partition: Partition,
    account: AccountId,
    /// Path and name as they stand after `role/`.
    resource: String,
}

const ROLE_WHAT: &str = "a role ARN";
const ROLE_RULE: &str =
    "it looks like arn:aws:iam::123456789012:role/Name, with a name of at most 64 characters";

impl RoleArn {
    /// Returns the partition in the ARN.
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// Returns the account that owns the role.
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// Returns the IAM path: `/` for a role without one, else it starts and ends with a slash.
    pub fn path(&self) -> String {
        self.resource
            .rsplit_once('/')
            .map_or_else(|| "/".to_owned(), |(path, _)| format!("/{path}/"))
    }

    /// Returns the role's name without its path.
    pub fn name(&self) -> &str {
        self.resource.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new(text, ROLE_WHAT, ROLE_RULE);
        let mut fields = text.splitn(6, ':');
        let mut next = || fields.next().ok_or_else(invalid);
        let (scheme, partition, service, region, account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        let partition = Partition::parse(partition).ok_or_else(invalid)?;
        let account = account.parse().map_err(|_| invalid())?;
        let resource = resource.strip_prefix("role/").ok_or_else(invalid)?;
        if scheme != "arn" || service != "iam" || !region.is_empty() || !is_role_resource(resource)
        {
            return Err(invalid());
        }
        Ok(Self { partition, account, resource: resource.to_owned() })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:iam::{}:role/{}", self.partition, self.account, self.resource)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleArn({self})")
    }
}

/// Whether `text` is an optional path and a role name, by the rules of `CreateRole` in the API model.
fn is_role_resource(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=64).contains(&name.len())
        && name.bytes().all(name_byte)
        && path.len() <= 510
        && path.bytes().all(|b| (0x21..=0x7e).contains(&b))
        && !text.starts_with('/')
        && !text.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_are_taken_apart() {
        let arn: RoleArn =
            "arn:aws-us-gov:iam::123456789012:role/team/logs/CustomerLogDistribution-x"
                .parse()
                .unwrap();
        assert_eq!(arn.partition(), Partition::GovCloud);
        assert_eq!(arn.account().as_str(), "123456789012");
        assert_eq!((arn.path().as_str(), arn.name()), ("/team/logs/", "CustomerLogDistribution-x"));
        assert_eq!("arn:aws:iam::123456789012:role/x".parse::<RoleArn>().unwrap().path(), "/");
        assert_eq!(
            arn.to_string(),
            "arn:aws-us-gov:iam::123456789012:role/team/logs/CustomerLogDistribution-x"
        );
    }

    #[test]
    fn other_arns_are_refused() {
        for text in [
            "",
            "arn:aws:iam::",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:s3:::bucket",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:amazon:iam::123456789012:role/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role//x",
            " arn:aws:iam::123456789012:role/x",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
        assert!(
            format!("arn:aws:iam::123456789012:role/{}", "a".repeat(65))
                .parse::<RoleArn>()
                .is_err()
        );
    }

    #[test]
    fn a_region_tells_its_partition() {
        for (region, partition) in [
            ("us-east-1", Partition::Aws),
            ("cn-north-1", Partition::China),
            ("us-gov-west-1", Partition::GovCloud),
        ] {
            assert_eq!(Partition::of(&region.parse().unwrap()), partition);
        }
    }
}
