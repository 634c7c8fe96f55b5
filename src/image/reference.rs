//! The name of an image in a registry: `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:…`.

use std::{fmt, str::FromStr};

use mtlog_processor::model::ids::{AccountId, Region};
use thiserror::Error;

/// A repository in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    /// Host, with a port if it needs one.
    pub registry: String,
    /// The path below the host.
    pub path: String,
}

/// Which image of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// A name that may move.
    Tag(String),
    /// `sha256:` and 64 hexadecimal digits: these bytes and no others.
    Digest(String),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// Where it is.
    pub repository: Repository,
    /// Which one.
    pub version: Version,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not {what}, such as {example}")]
pub struct InvalidReference {
    text: String,
    what: &'static str,
    example: &'static str,
}

impl Repository {
    /// Returns the account and region when this is a private ECR registry.
    /// Form: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>.
    pub fn ecr(&self) -> Option<(AccountId, Region)> {
        let (account, rest) = self.registry.split_once(".dkr.ecr.")?;
        let (region, suffix) = rest.split_once('.')?;
        let known = matches!(suffix, "amazonaws.com" | "amazonaws.com.cn");
        if known { Some((account.parse().ok()?, region.parse().ok()?)) } else { None }
    }

    /// Returns the image of this repository with `digest`.
    pub fn at_digest(&self, digest: &str) -> ImageReference {
        ImageReference { repository: self.clone(), version: Version::Digest(digest.to_owned()) }
    }

    /// Returns the image of this repository with `tag`.
    pub fn tagged(&self, tag: &str) -> ImageReference {
        ImageReference { repository: self.clone(), version: Version::Tag(tag.to_owned()) }
    }
}

impl FromStr for Repository {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference {
            text: text.to_owned(),
            what: "a repository in a registry",
            example: "registry.example:5000/team/log-processor",
        };
        let (registry, path) = text.split_once('/').ok_or_else(invalid)?;
        let host = registry == "localhost" || registry.contains(['.', ':']);
        let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        let segment = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        if host
            && registry.bytes().all(host_byte)
            && path.len() <= 255
            && path.split('/').all(segment)
        {
            Ok(Self { registry: registry.to_owned(), path: path.to_owned() })
        } else {
            Err(invalid())
        }
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference {
            text: text.to_owned(),
            what: "an image with a tag or digest",
            example: "123456789012.dkr.ecr.us-east-2.amazonaws.com/log-processor:1.0.0",
        };
        if let Some((repository, digest)) = text.split_once('@') {
            let hex = digest.strip_prefix("sha256:").ok_or_else(invalid)?;
            let valid = hex.len() == 64
                && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            let repository = repository.parse().map_err(|_| invalid())?;
            let version = Version::Digest(digest.to_owned());
            return if valid { Ok(Self { repository, version }) } else { Err(invalid()) };
        }
        let (repository, tag) = text.rsplit_once(':').ok_or_else(invalid)?;
        let tag_byte = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let valid = (1..=128).contains(&tag.len())
            && tag.bytes().all(tag_byte)
            && !tag.starts_with(['.', '-']);
        let repository = repository.parse().map_err(|_| invalid())?;
        if valid {
            Ok(Self { repository, version: Version::Tag(tag.to_owned()) })
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_printed() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "123456789012.dkr.ecr.us-east-2.amazonaws.com/log-processor:1.0.0".to_owned(),
            format!("localhost:5000/team/log-processor@{digest}"),
            "127.0.0.1:5000/x:latest".to_owned(),
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_ecr_host_tells_account_and_region() {
        let ecr = |text: &str| text.parse::<Repository>().unwrap().ecr();
        let (account, region) = ecr("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/x").unwrap();
        assert_eq!((account.as_str(), region.as_str()), ("123456789012", "cn-north-1"));
        assert_eq!(ecr("localhost:5000/x"), None);
        assert_eq!(ecr("123456789012.dkr.ecr.us-east-1.example.com/x"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "log-processor",
            "log-processor:1",
            "host.example/X:1",
            "host.example/x",
            "h.example/x@sha256:00",
            "h.example/x:-a",
            "h.example//x:1",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
