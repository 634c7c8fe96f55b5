//! Reads the URL of a template in S3.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>.

use super::form::invalid;
use super::template::url_suffix;
use super::world::{ObjectPlace, ObjectProblem, World};
use crate::error::ApiError;
use crate::http::decode_percent;

/// Templates in S3 may be this large.
/// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
const LARGEST_TEMPLATE: usize = 1_000_000;

/// Fetches a template for a caller in that region.
pub(super) fn fetch(
    world: &dyn World,
    url: &str,
    account: &str,
    region: &str,
) -> Result<String, ApiError> {
    let place =
        parse(url, region).ok_or_else(|| invalid("TemplateURL must be a supported URL."))?;
    let body = world.template(&place, account).map_err(|problem| {
        let sentence = match problem {
            ObjectProblem::NoBucket => "The specified bucket does not exist",
            ObjectProblem::NoKey => "The specified key does not exist.",
            ObjectProblem::AccessDenied => "Access Denied",
            ObjectProblem::WrongRegion => {
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."
            }
        };
        invalid(format!(
            "S3 error: {sentence}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
        ))
    })?;
    if body.len() > LARGEST_TEMPLATE {
        return Err(invalid(format!("Template may not exceed {LARGEST_TEMPLATE} bytes in size.")));
    }
    Ok(body)
}

/// Reads a URL in virtual-hosted or path style, or finds that it is not one of S3.
fn parse(url: &str, region: &str) -> Option<ObjectPlace> {
    let rest = url.strip_prefix("https://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = rest.split_once('/')?;
    let front = host.strip_suffix(url_suffix(region))?.strip_suffix('.')?;
    let (bucket, endpoint) = match front.find("s3").filter(|_| is_endpoint(front)) {
        Some(_) => (None, front),
        None => {
            let (bucket, endpoint) = split_host(front)?;
            (Some(bucket), endpoint)
        }
    };
    let region = endpoint.strip_prefix("s3").map(|region| region.trim_start_matches(['.', '-']))?;
    let (bucket, key) = match bucket {
        Some(bucket) => (bucket, path),
        None => path.split_once('/')?,
    };
    if bucket.is_empty() || key.is_empty() {
        return None;
    }
    Some(ObjectPlace {
        bucket: bucket.to_owned(),
        key: decode_percent(key),
        region: (!region.is_empty()).then(|| region.to_owned()),
    })
}

/// Tells whether this is `s3`, `s3.REGION` or `s3-REGION`.
fn is_endpoint(text: &str) -> bool {
    match text.strip_prefix("s3") {
        Some("") => true,
        Some(rest) => {
            rest.starts_with(['.', '-'])
                && rest
                    .chars()
                    .skip(1)
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        }
        None => false,
    }
}

/// Splits `BUCKET.s3.REGION`; bucket names may have dots of their own.
fn split_host(front: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    loop {
        let dot = front.get(start..)?.find('.')? + start;
        let (bucket, endpoint) = (front.get(..dot)?, front.get(dot + 1..)?);
        if is_endpoint(endpoint) {
            return Some((bucket, endpoint));
        }
        start = dot + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_s3_are_read_in_every_style() {
        let rows = [
            ("https://s3.amazonaws.com/b/k/x.yaml", "us-east-1", Some(("b", "k/x.yaml", None))),
            (
                "https://s3.eu-west-1.amazonaws.com/b/k",
                "eu-west-1",
                Some(("b", "k", Some("eu-west-1"))),
            ),
            (
                "https://s3-eu-west-1.amazonaws.com/b/k",
                "eu-west-1",
                Some(("b", "k", Some("eu-west-1"))),
            ),
            ("https://b.s3.amazonaws.com/k%20x", "us-east-1", Some(("b", "k x", None))),
            (
                "https://b.c.s3.us-east-2.amazonaws.com/k",
                "us-east-2",
                Some(("b.c", "k", Some("us-east-2"))),
            ),
            (
                "https://b.s3.cn-north-1.amazonaws.com.cn/k",
                "cn-north-1",
                Some(("b", "k", Some("cn-north-1"))),
            ),
            ("https://b.s3.amazonaws.com/k?versionId=1", "us-east-1", Some(("b", "k", None))),
            ("http://b.s3.amazonaws.com/k", "us-east-1", None),
            ("https://b.s3.amazonaws.com/k", "cn-north-1", None),
            ("https://example.com/k", "us-east-1", None),
            ("https://s3.amazonaws.com/b", "us-east-1", None),
            ("http://127.0.0.1:4566/b/k", "us-east-1", None),
            ("s3://b/k", "us-east-1", None),
        ];
        for (url, region, expected) in rows {
            let expected = expected.map(|(bucket, key, region)| ObjectPlace {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                region: region.map(str::to_owned),
            });
            assert_eq!(parse(url, region), expected, "{url}");
        }
    }
}
