//! Uploads in parts.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};

use super::object::{self, Arrival, Description};
use super::{
    Call, MAX_SINGLE_BYTES, NAMESPACE, S3, access, body, conditions, delivery, invalid_argument,
    quoted,
};
use crate::clock::{Millis, iso_millis};
use crate::error::ApiError;
use crate::http::{Payload, Reply, hex};
use crate::shared::Context;
use crate::xml;

const MAX_PARTS: u32 = 10_000;

/// The smallest part but the last one.
const MIN_PART_BYTES: u64 = 5 << 20;

/// An upload that is not complete.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    bucket: String,
    key: String,
    description: Description,
    started_at: Millis,
    parts: BTreeMap<u32, Part>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    content: Payload,
    md5: Vec<u8>,
    pub(super) etag: String,
    modified_at: Millis,
    checksum: Option<(String, String)>,
}

impl Part {
    pub(super) fn new(content: Payload, now: Millis, checksum: Option<(String, String)>) -> Self {
        let md5 = match content.to_bytes() {
            Some(bytes) => Md5::digest(&bytes).to_vec(),
            None => Md5::digest(content.outline().as_bytes()).to_vec(),
        };
        Self { content, etag: hex(&md5), md5, modified_at: now, checksum }
    }
}

fn no_upload() -> ApiError {
    ApiError::new(
        404,
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    )
}

/// Finds the id of an upload of this bucket and key.
fn upload_id(s3: &S3, context: &Context<'_>, call: &Call) -> Result<String, ApiError> {
    let id = context.request.query("uploadId").unwrap_or_default();
    match s3.uploads.get(id) {
        Some(upload) if upload.bucket == call.bucket && upload.key == call.key => Ok(id.to_owned()),
        _ => Err(no_upload()),
    }
}

pub(super) fn part_number(context: &Context<'_>) -> Result<u32, ApiError> {
    let text = context.request.query("partNumber").unwrap_or_default();
    match text.parse() {
        Ok(number) if (1..=MAX_PARTS).contains(&number) => Ok(number),
        _ => Err(invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            text,
        )),
    }
}

pub(super) fn create(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let encoding = context.request.header("content-encoding").map(str::to_owned);
    let description = object::description(context, encoding)?;
    let id = context.shared.random().id(64);
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    let body = xml::document("InitiateMultipartUploadResult", NAMESPACE, |out| {
        out.text("Bucket", &call.bucket);
        out.text("Key", &call.key);
        out.text("UploadId", &id);
    });
    let reply = object::encryption_headers(Reply::xml(200, body), &description.encryption);
    let upload = Upload {
        bucket: call.bucket.clone(),
        key: call.key.clone(),
        description,
        started_at: context.now,
        parts: BTreeMap::new(),
    };
    s3.uploads.insert(id, upload);
    Ok(reply)
}

pub(super) fn upload_part(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let number = part_number(context)?;
    let upload = body::read(context.request)?;
    if upload.bytes.len() as u64 > MAX_SINGLE_BYTES {
        return Err(ApiError::bad(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
        ));
    }
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    let part = Part::new(Payload::from(upload.bytes), context.now, upload.checksum);
    let mut reply = Reply::empty(200).header("etag", quoted(&part.etag));
    if let Some((name, value)) = &part.checksum {
        reply = reply.header(name, value.clone());
    }
    add_part(&mut s3, context, call, number, part)?;
    Ok(reply)
}

/// Adds a part to the upload that the request names.
pub(super) fn add_part(
    s3: &mut S3,
    context: &Context<'_>,
    call: &Call,
    number: u32,
    part: Part,
) -> Result<(), ApiError> {
    let id = upload_id(s3, context, call)?;
    if let Some(upload) = s3.uploads.get_mut(&id) {
        upload.parts.insert(number, part);
    }
    Ok(())
}

pub(super) fn complete(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let sent = body::read(context.request)?;
    let wanted = read_part_list(&sent.bytes)?;
    let mut s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    conditions::check_write(context.request, bucket.objects.get(&call.key))?;
    let id = upload_id(&s3, context, call)?;
    let upload = s3.uploads.get(&id).cloned().ok_or_else(no_upload)?;
    let (content, etag) = assemble(&upload, &wanted)?;
    let body = xml::document("CompleteMultipartUploadResult", NAMESPACE, |out| {
        out.text(
            "Location",
            &format!("{}/{}/{}", context.shared.endpoint(), call.bucket, call.key),
        );
        out.text("Bucket", &call.bucket);
        out.text("Key", &call.key);
        out.text("ETag", &quoted(&etag));
    });
    let arrival = Arrival {
        content,
        etag,
        description: upload.description,
        checksum: None,
        event: "CompleteMultipartUpload",
    };
    let deliveries = object::store(context, &mut s3, call, arrival)?;
    s3.uploads.remove(&id);
    drop(s3);
    delivery::send(context.shared, deliveries);
    Ok(Reply::xml(200, body))
}

fn read_part_list(bytes: &[u8]) -> Result<Vec<(u32, String)>, ApiError> {
    let malformed = || {
        ApiError::bad(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let text = String::from_utf8_lossy(bytes);
    let root = xml::parse(&text)
        .filter(|root| root.name == "CompleteMultipartUpload")
        .ok_or_else(malformed)?;
    let mut parts = Vec::new();
    for part in root.all("Part") {
        let number = part
            .child_text("PartNumber")
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(malformed)?;
        let etag = part.child_text("ETag").ok_or_else(malformed)?;
        parts.push((number, etag.trim().trim_matches('"').to_owned()));
    }
    if parts.is_empty() {
        return Err(malformed());
    }
    if !parts.is_sorted_by(|first, second| first.0 < second.0) {
        return Err(ApiError::bad(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ));
    }
    Ok(parts)
}

/// Joins the parts and computes the tag of the whole: the MD5 of the parts' MD5s, and their count.
fn assemble(upload: &Upload, wanted: &[(u32, String)]) -> Result<(Payload, String), ApiError> {
    let mut content = Payload::default();
    let mut hash = Md5::new();
    for (index, (number, etag)) in wanted.iter().enumerate() {
        let part = upload.parts.get(number).filter(|part| part.etag == *etag).ok_or_else(|| {
            ApiError::bad("InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
                .member("PartNumber", number.to_string())
                .member("ETag", &**etag)
        })?;
        if index + 1 < wanted.len() && part.content.len() < MIN_PART_BYTES {
            return Err(ApiError::bad(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            )
            .member("ProposedSize", part.content.len().to_string())
            .member("MinSizeAllowed", MIN_PART_BYTES.to_string())
            .member("PartNumber", number.to_string()));
        }
        hash.update(&part.md5);
        content.append(part.content.clone());
    }
    let etag = format!("{}-{}", hex(&hash.finalize()), wanted.len());
    Ok((content, etag))
}

pub(super) fn abort(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:AbortMultipartUpload", Some(&call.key))?;
    let id = upload_id(&s3, context, call)?;
    s3.uploads.remove(&id);
    Ok(Reply::empty(204))
}

pub(super) fn list_parts(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:ListMultipartUploadParts", Some(&call.key))?;
    let id = upload_id(&s3, context, call)?;
    let upload = s3.uploads.get(&id).ok_or_else(no_upload)?;
    let body = xml::document("ListPartsResult", NAMESPACE, |out| {
        out.text("Bucket", &call.bucket);
        out.text("Key", &call.key);
        out.text("UploadId", &id);
        out.text("IsTruncated", "false");
        for (number, part) in &upload.parts {
            out.nest("Part", |out| {
                out.text("PartNumber", &number.to_string());
                out.text("LastModified", &iso_millis(part.modified_at));
                out.text("ETag", &quoted(&part.etag));
                out.text("Size", &part.content.len().to_string());
            });
        }
    });
    Ok(Reply::xml(200, body))
}

pub(super) fn list_uploads(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:ListBucketMultipartUploads", None)?;
    let body = xml::document("ListMultipartUploadsResult", NAMESPACE, |out| {
        out.text("Bucket", &call.bucket);
        out.text("IsTruncated", "false");
        for (id, upload) in s3.uploads.iter().filter(|(_, upload)| upload.bucket == call.bucket) {
            out.nest("Upload", |out| {
                out.text("Key", &upload.key);
                out.text("UploadId", id);
                out.text("Initiated", &iso_millis(upload.started_at));
            });
        }
    });
    Ok(Reply::xml(200, body))
}
