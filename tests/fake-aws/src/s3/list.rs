//! Listings in pages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Bucket, Call, NAMESPACE, access, invalid_argument, quoted};
use crate::clock::iso_millis;
use crate::error::ApiError;
use crate::http::{Reply, encode_key};
use crate::shared::Context;
use crate::xml;

const MAX_KEYS: usize = 1_000;

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    keys: Vec<String>,
    prefixes: BTreeSet<String>,
    /// The last key or prefix of the page, when more follows.
    last: Option<String>,
}

/// Collects a page of keys after `after`, folding those with the delimiter behind the prefix.
fn page(bucket: &Bucket, prefix: &str, delimiter: &str, after: &str, limit: usize) -> Page {
    let mut page = Page::default();
    let mut last: Option<String> = None;
    for key in bucket.objects.keys() {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let folded = if delimiter.is_empty() { None } else { rest.split_once(delimiter) }
            .map(|(part, _)| format!("{prefix}{part}{delimiter}"));
        let entry = folded.as_ref().unwrap_or(key);
        if entry.as_str() <= after || page.prefixes.contains(entry) {
            continue;
        }
        if page.keys.len() + page.prefixes.len() >= limit {
            page.last = last;
            return page;
        }
        last = Some(entry.clone());
        match folded {
            Some(folded) => {
                page.prefixes.insert(folded);
            }
            None => page.keys.push(key.clone()),
        }
    }
    page
}

pub(super) fn objects(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let query = |name: &str| context.request.query(name).unwrap_or_default();
    if query("list-type") != "2" {
        return Err(invalid_argument("Invalid List Type specified in Query", "list-type", query("list-type")));
    }
    let max_keys = match query("max-keys") {
        "" => MAX_KEYS,
        text => text.parse::<usize>().map_err(|_| invalid_argument("Provided max-keys not an integer or within integer range", "max-keys", text))?,
    };
    let token = query("continuation-token");
    let after = match token {
        "" => query("start-after").to_owned(),
        token => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| invalid_argument("The continuation token provided is incorrect", "continuation-token", token))?,
    };
    let as_url = match query("encoding-type") {
        "" => false,
        "url" => true,
        other => return Err(invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", other)),
    };
    let encode = |text: &str| if as_url { encode_key(text) } else { text.to_owned() };
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:ListBucket", None)?;
    let limit = max_keys.min(MAX_KEYS).min(s3.settings.list_page_limit);
    let (prefix, delimiter) = (query("prefix"), query("delimiter"));
    let page = if limit == 0 { Page::default() } else { page(bucket, prefix, delimiter, &after, limit) };
    let body = xml::document("ListBucketResult", NAMESPACE, |out| {
        out.text("Name", &call.bucket);
        out.text("Prefix", &encode(prefix));
        if !delimiter.is_empty() {
            out.text("Delimiter", &encode(delimiter));
        }
        out.text("MaxKeys", &max_keys.to_string());
        out.text("KeyCount", &(page.keys.len() + page.prefixes.len()).to_string());
        out.text("IsTruncated", if page.last.is_some() { "true" } else { "false" });
        if as_url {
            out.text("EncodingType", "url");
        }
        if !token.is_empty() {
            out.text("ContinuationToken", token);
        }
        if !query("start-after").is_empty() {
            out.text("StartAfter", &encode(query("start-after")));
        }
        if let Some(last) = &page.last {
            out.text("NextContinuationToken", &URL_SAFE_NO_PAD.encode(last));
        }
        for key in &page.keys {
            if let Some(object) = bucket.objects.get(key) {
                out.nest("Contents", |out| {
                    out.text("Key", &encode(key));
                    out.text("LastModified", &iso_millis(object.modified_at));
                    out.text("ETag", &quoted(&object.etag));
                    out.text("Size", &object.body.len().to_string());
                    out.text("StorageClass", "STANDARD");
                });
            }
        }
        for prefix in &page.prefixes {
            out.nest("CommonPrefixes", |out| out.text("Prefix", &encode(prefix)));
        }
    });
    Ok(Reply::xml(200, body))
}

/// Lists versions: every object has the one that buckets without versioning have.
pub(super) fn versions(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let query = |name: &str| context.request.query(name).unwrap_or_default();
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:ListBucketVersions", None)?;
    let limit = MAX_KEYS.min(s3.settings.list_page_limit);
    let page = page(bucket, query("prefix"), "", query("key-marker"), limit);
    let body = xml::document("ListVersionsResult", NAMESPACE, |out| {
        out.text("Name", &call.bucket);
        out.text("Prefix", query("prefix"));
        out.text("KeyMarker", query("key-marker"));
        out.text("MaxKeys", "1000");
        out.text("IsTruncated", if page.last.is_some() { "true" } else { "false" });
        if let Some(last) = &page.last {
            out.text("NextKeyMarker", last);
            out.text("NextVersionIdMarker", "null");
        }
        for key in &page.keys {
            if let Some(object) = bucket.objects.get(key) {
                out.nest("Version", |out| {
                    out.text("Key", key);
                    out.text("VersionId", "null");
                    out.text("IsLatest", "true");
                    out.text("LastModified", &iso_millis(object.modified_at));
                    out.text("ETag", &quoted(&object.etag));
                    out.text("Size", &object.body.len().to_string());
                    out.text("StorageClass", "STANDARD");
                });
            }
        }
    });
    Ok(Reply::xml(200, body))
}
