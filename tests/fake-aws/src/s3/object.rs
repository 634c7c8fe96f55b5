//! Objects: putting, getting, deleting.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};

use super::{
    Call, Encryption, MAX_SINGLE_BYTES, NAMESPACE, Object, S3, access, body, conditions, delivery,
    no_key, quoted,
};
use crate::clock::http_date;
use crate::error::ApiError;
use crate::http::{Payload, Reply, hex};
use crate::shared::Context;
use crate::xml;

/// The largest sum of user metadata names and values.
const MAX_METADATA: usize = 2_048;

/// Headers that are stored with an object and come back with it.
const STORED_HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-storage-class",
];

/// What a write says about the object besides its content.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) encryption: Encryption,
    pub(super) tagging: String,
}

/// Reads the headers of a write.
pub(super) fn description(
    context: &Context<'_>,
    content_encoding: Option<String>,
) -> Result<Description, ApiError> {
    let request = context.request;
    let mut headers = BTreeMap::new();
    for name in STORED_HEADERS {
        if let Some(value) = request.header(name) {
            headers.insert((*name).to_owned(), value.to_owned());
        }
    }
    headers.remove("content-encoding");
    if let Some(encoding) = content_encoding {
        headers.insert("content-encoding".to_owned(), encoding);
    }
    let mut metadata = 0;
    for (name, value) in &request.headers {
        if let Some(short) = name.as_str().strip_prefix("x-amz-meta-") {
            let value = value.to_str().unwrap_or_default();
            metadata += short.len() + value.len();
            headers.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    if metadata > MAX_METADATA {
        return Err(ApiError::bad(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
        )
        .member("Size", metadata.to_string())
        .member("MaxSizeAllowed", "2048"));
    }
    let encryption = match request.header("x-amz-server-side-encryption") {
        None | Some("AES256") => Encryption::Aes256,
        Some("aws:kms" | "aws:kms:dsse") => Encryption::Kms {
            key_id: request
                .header("x-amz-server-side-encryption-aws-kms-key-id")
                .map(str::to_owned),
        },
        Some(other) => {
            return Err(super::invalid_argument(
                "The encryption method specified is not supported",
                "x-amz-server-side-encryption",
                other,
            ));
        }
    };
    check_acl(context)?;
    Ok(Description {
        headers,
        encryption,
        tagging: request.header("x-amz-tagging").unwrap_or_default().to_owned(),
    })
}

/// Checks the ACL. Buckets own their objects by default, and then take only two of them.
fn check_acl(context: &Context<'_>) -> Result<(), ApiError> {
    const KNOWN: &[&str] = &[
        "private",
        "public-read",
        "public-read-write",
        "aws-exec-read",
        "authenticated-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
    ];
    match context.request.header("x-amz-acl") {
        None | Some("private" | "bucket-owner-full-control") => Ok(()),
        Some(acl) if KNOWN.contains(&acl) => {
            Err(ApiError::bad("AccessControlListNotSupported", "The bucket does not allow ACLs"))
        }
        Some(acl) => Err(super::invalid_argument("", "x-amz-acl", acl)),
    }
}

/// Computes the tag of content in one piece. Under a customer key it is no MD5.
pub(super) fn etag(content: &Payload, encryption: &Encryption) -> String {
    let mut hash = Md5::new();
    match content.to_bytes() {
        Some(bytes) => hash.update(&bytes),
        None => hash.update(content.outline().as_bytes()),
    }
    if matches!(encryption, Encryption::Kms { .. }) {
        hash.update(b"kms");
    }
    hex(&hash.finalize())
}

/// A complete object on its way into a bucket.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) content: Payload,
    pub(super) etag: String,
    pub(super) description: Description,
    pub(super) checksum: Option<(String, String)>,
    /// How it came, as notifications name it: `Put`, `Copy`, `CompleteMultipartUpload`.
    pub(super) event: &'static str,
}

/// Stores an object and returns the notifications that it causes.
pub(super) fn store(
    context: &Context<'_>,
    s3: &mut S3,
    call: &Call,
    arrival: Arrival,
) -> Result<Vec<delivery::Delivery>, ApiError> {
    let sequencer = s3.next_sequencer();
    let bucket = s3.bucket_mut(&call.bucket)?;
    bucket.objects.insert(
        call.key.clone(),
        Object {
            body: arrival.content,
            etag: arrival.etag,
            modified_at: context.now,
            sequencer,
            headers: arrival.description.headers,
            checksum: arrival.checksum,
            encryption: arrival.description.encryption,
            tagging: arrival.description.tagging,
            written_by: context.caller.user_id.clone(),
        },
    );
    Ok(delivery::deliveries(
        bucket,
        &call.key,
        &format!("ObjectCreated:{}", arrival.event),
        context.now,
    ))
}

pub(super) fn put(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let upload = body::read(context.request)?;
    if upload.bytes.len() as u64 > MAX_SINGLE_BYTES {
        return Err(ApiError::bad(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
        ));
    }
    let description = description(context, upload.content_encoding)?;
    let mut s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:PutObject", Some(&call.key))?;
    conditions::check_write(context.request, bucket.objects.get(&call.key))?;
    let content = Payload::from(upload.bytes);
    let etag = etag(&content, &description.encryption);
    let mut reply = encryption_headers(
        Reply::empty(200).header("etag", quoted(&etag)),
        &description.encryption,
    );
    if let Some((name, value)) = &upload.checksum {
        reply = reply.header(name, value.clone()).header("x-amz-checksum-type", "FULL_OBJECT");
    }
    let arrival = Arrival { content, etag, description, checksum: upload.checksum, event: "Put" };
    let deliveries = store(context, &mut s3, call, arrival)?;
    drop(s3);
    delivery::send(context.shared, deliveries);
    Ok(reply)
}

pub(super) fn encryption_headers(reply: Reply, encryption: &Encryption) -> Reply {
    match encryption {
        Encryption::Aes256 => reply.header("x-amz-server-side-encryption", "AES256"),
        Encryption::Kms { key_id } => {
            let reply = reply.header("x-amz-server-side-encryption", "aws:kms");
            match key_id {
                Some(key_id) => {
                    reply.header("x-amz-server-side-encryption-aws-kms-key-id", key_id.clone())
                }
                None => reply,
            }
        }
    }
}

pub(super) fn get(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let object = find(context, &s3, call)?;
    let range = conditions::range(context.request, object.body.len())?;
    let mut reply = describe(context, object, range.is_some());
    match range {
        Some(range) => {
            reply.status = 206;
            let bounds = format!("bytes {}-{}/{}", range.start, range.end - 1, object.body.len());
            reply.body = object.body.slice(range);
            Ok(reply.header("content-range", bounds))
        }
        None => {
            reply.body = object.body.clone();
            Ok(reply)
        }
    }
}

pub(super) fn head(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let object = find(context, &s3, call)?;
    let range = conditions::range(context.request, object.body.len())?;
    let mut reply = describe(context, object, range.is_some());
    let length = match range {
        Some(range) => {
            reply.status = 206;
            range.end - range.start
        }
        None => object.body.len(),
    };
    Ok(reply.header("content-length", length.to_string()))
}

fn find<'a>(context: &Context<'_>, s3: &'a S3, call: &Call) -> Result<&'a Object, ApiError> {
    if context.request.query("versionId").is_some_and(|version| version != "null") {
        return Err(ApiError::bad("InvalidArgument", "Invalid version id specified"));
    }
    if context.request.query("partNumber").is_some() {
        return Err(ApiError::new(501, "NotImplemented", "this stand-in cannot read single parts"));
    }
    let bucket = access::bucket(context, s3, &call.bucket, "s3:GetObject", Some(&call.key))?;
    let object = bucket
        .objects
        .get(&call.key)
        .ok_or_else(|| access::missing_key(context, bucket, &call.key))?;
    conditions::check_read(context.request, "", object)?;
    Ok(object)
}

fn describe(context: &Context<'_>, object: &Object, is_partial: bool) -> Reply {
    let mut reply = Reply::empty(200)
        .header("accept-ranges", "bytes")
        .header("etag", quoted(&object.etag))
        .header("last-modified", http_date(object.modified_at));
    if !object.headers.contains_key("content-type") {
        reply = reply.header("content-type", "binary/octet-stream");
    }
    for (name, value) in &object.headers {
        reply = reply.header(name, value.clone());
    }
    let wants_checksum = context
        .request
        .header("x-amz-checksum-mode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    if let Some((name, value)) = object.checksum.as_ref().filter(|_| wants_checksum && !is_partial)
    {
        let kind = if value.contains('-') { "COMPOSITE" } else { "FULL_OBJECT" };
        reply = reply.header(name, value.clone()).header("x-amz-checksum-type", kind);
    }
    encryption_headers(reply, &object.encryption)
}

pub(super) fn tagging(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let bucket =
        access::bucket(context, &s3, &call.bucket, "s3:GetObjectTagging", Some(&call.key))?;
    let object = bucket.objects.get(&call.key).ok_or_else(|| no_key(&call.key))?;
    let tags = crate::http::parse_form(&object.tagging);
    let body = xml::document("Tagging", NAMESPACE, |out| {
        out.nest("TagSet", |out| {
            for (key, value) in &tags {
                out.nest("Tag", |out| {
                    out.text("Key", key);
                    out.text("Value", value);
                });
            }
        });
    });
    Ok(Reply::xml(200, body))
}

pub(super) fn delete(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:DeleteObject", Some(&call.key))?;
    let deliveries = remove(context, &mut s3, &call.bucket, &call.key)?;
    drop(s3);
    delivery::send(context.shared, deliveries);
    Ok(Reply::empty(204))
}

fn remove(
    context: &Context<'_>,
    s3: &mut S3,
    bucket: &str,
    key: &str,
) -> Result<Vec<delivery::Delivery>, ApiError> {
    let sequencer = s3.next_sequencer();
    let bucket = s3.bucket_mut(bucket)?;
    let deliveries = match bucket.objects.get_mut(key) {
        Some(object) => {
            object.sequencer = sequencer;
            delivery::deliveries(bucket, key, "ObjectRemoved:Delete", context.now)
        }
        None => Vec::new(),
    };
    bucket.objects.remove(key);
    Ok(deliveries)
}

pub(super) fn delete_many(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let has_digest = context.request.headers.keys().any(|name| {
        let name = name.as_str();
        name == "content-md5" || name.starts_with("x-amz-checksum-") || name == "x-amz-trailer"
    });
    if !has_digest {
        return Err(ApiError::bad(
            "InvalidRequest",
            "Missing required header for this request: Content-MD5",
        ));
    }
    let upload = body::read(context.request)?;
    let text = String::from_utf8_lossy(&upload.bytes).into_owned();
    let malformed = || {
        ApiError::bad(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let root = xml::parse(&text).filter(|root| root.name == "Delete").ok_or_else(malformed)?;
    let keys: Vec<&str> =
        root.all("Object").filter_map(|object| object.child_text("Key")).collect();
    if keys.is_empty() || keys.len() > 1_000 || keys.iter().any(|key| key.is_empty()) {
        return Err(malformed());
    }
    let quiet = root.child_text("Quiet") == Some("true");
    let mut s3 = context.shared.s3();
    s3.bucket(&call.bucket)?;
    let mut outcomes = Vec::new();
    let mut deliveries = Vec::new();
    for key in keys {
        let allowed =
            access::bucket(context, &s3, &call.bucket, "s3:DeleteObject", Some(key)).map(|_| ());
        let outcome = allowed.and_then(|()| remove(context, &mut s3, &call.bucket, key));
        outcomes.push((key, outcome.map(|sent| deliveries.extend(sent))));
    }
    drop(s3);
    delivery::send(context.shared, deliveries);
    let body = xml::document("DeleteResult", NAMESPACE, |out| {
        for (key, outcome) in &outcomes {
            match outcome {
                Ok(()) if quiet => {}
                Ok(()) => out.nest("Deleted", |out| out.text("Key", key)),
                Err(error) => out.nest("Error", |out| {
                    out.text("Key", key);
                    out.text("Code", &error.code);
                    out.text("Message", &error.message);
                }),
            }
        }
    });
    Ok(Reply::xml(200, body))
}
