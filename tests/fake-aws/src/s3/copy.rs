//! Copies on the server: whole objects and parts of uploads.

use std::ops::Range;

use super::multipart;
use super::object::{self, Arrival, Description};
use super::{
    Call, MAX_SINGLE_BYTES, NAMESPACE, Object, S3, access, conditions, delivery, invalid_argument,
    quoted,
};
use crate::clock::iso_millis;
use crate::error::ApiError;
use crate::http::{Reply, decode_percent};
use crate::shared::Context;
use crate::xml;

/// Finds the source that `x-amz-copy-source` names.
fn source(context: &Context<'_>) -> Result<Call, ApiError> {
    let header = context.request.header("x-amz-copy-source").unwrap_or_default();
    let (path, version) = header.split_once("?versionId=").unwrap_or((header, "null"));
    let path = decode_percent(path);
    let path = path.strip_prefix('/').unwrap_or(&path);
    match path.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && version == "null" => {
            Ok(Call { bucket: bucket.to_owned(), key: key.to_owned() })
        }
        _ => Err(invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            header,
        )),
    }
}

/// Reads the source, which may lie in another account and region.
fn source_object(context: &Context<'_>, s3: &S3, source: &Call) -> Result<Object, ApiError> {
    let bucket = s3.bucket(&source.bucket)?;
    access::check_owner(context, "x-amz-source-expected-bucket-owner", bucket)?;
    access::check(context, bucket, "s3:GetObject", Some(&source.key))?;
    let object = bucket
        .objects
        .get(&source.key)
        .ok_or_else(|| access::missing_key(context, bucket, &source.key))?;
    conditions::check_read(context.request, "x-amz-copy-source-", object)?;
    Ok(object.clone())
}

pub(super) fn object(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let source = source(context)?;
    let mut s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    conditions::check_write(context.request, bucket.objects.get(&call.key))?;
    let original = source_object(context, &s3, &source)?;
    if original.body.len() > MAX_SINGLE_BYTES {
        return Err(ApiError::bad(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let replaces = directive(context, "x-amz-metadata-directive")?;
    if source == *call && !replaces {
        return Err(ApiError::bad(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let own = object::description(
        context,
        context.request.header("content-encoding").map(str::to_owned),
    )?;
    let tagging =
        if directive(context, "x-amz-tagging-directive")? { own.tagging } else { original.tagging };
    let description = Description {
        headers: if replaces { own.headers } else { original.headers },
        encryption: own.encryption,
        tagging,
    };
    let etag = object::etag(&original.body, &description.encryption);
    let body = xml::document("CopyObjectResult", NAMESPACE, |out| {
        out.text("LastModified", &iso_millis(context.now));
        out.text("ETag", &quoted(&etag));
    });
    let reply = object::encryption_headers(Reply::xml(200, body), &description.encryption);
    let arrival = Arrival {
        content: original.body,
        etag,
        description,
        checksum: original.checksum,
        event: "Copy",
    };
    let deliveries = object::store(context, &mut s3, call, arrival)?;
    drop(s3);
    delivery::send(context.shared, deliveries);
    Ok(reply)
}

/// Tells whether a directive says `REPLACE`.
fn directive(context: &Context<'_>, header: &str) -> Result<bool, ApiError> {
    match context.request.header(header) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(invalid_argument("Unknown metadata directive.", header, other)),
    }
}

pub(super) fn part(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let source = source(context)?;
    let number = multipart::part_number(context)?;
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    let original = source_object(context, &s3, &source)?;
    let length = original.body.len();
    let range = match context.request.header("x-amz-copy-source-range") {
        None => 0..length,
        Some(text) => copy_range(text, length)?,
    };
    if range.end - range.start > MAX_SINGLE_BYTES {
        return Err(ApiError::bad(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let part = multipart::Part::new(original.body.slice(range), context.now, None);
    let etag = part.etag.clone();
    multipart::add_part(&mut s3, context, call, number, part)?;
    let body = xml::document("CopyPartResult", NAMESPACE, |out| {
        out.text("LastModified", &iso_millis(context.now));
        out.text("ETag", &quoted(&etag));
    });
    Ok(Reply::xml(200, body))
}

/// Reads the range of a part. Unlike ranges of reads it must lie within the source.
fn copy_range(text: &str, length: u64) -> Result<Range<u64>, ApiError> {
    let bounds = text.strip_prefix("bytes=").and_then(|bounds| bounds.split_once('-'));
    let parsed = bounds
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match parsed {
        Some((first, last)) if first <= last && last < length => Ok(first..last + 1),
        Some((first, last)) if first <= last => Err(invalid_argument(
            &format!("Range specified is not valid for source object of size: {length}"),
            "x-amz-copy-source-range",
            text,
        )),
        _ => Err(invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            text,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_ranges_lie_within_their_source() {
        let rows = [
            ("bytes=0-9", Some(0..10)),
            ("bytes=0-10", None),
            ("bytes=5-", None),
            ("bytes=9-5", None),
            ("0-9", None),
        ];
        for (text, expected) in rows {
            assert_eq!(copy_range(text, 10).ok(), expected, "{text}");
        }
    }
}
