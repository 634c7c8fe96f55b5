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

/// What a listing asks for.
struct Wish<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    start_after: &'a str,
    token: &'a str,
    /// The last key of the page before.
    after: String,
    max_keys: usize,
    encoding: Encoding,
}

#[derive(Clone, Copy)]
enum Encoding {
    None,
    Url,
}

impl Encoding {
    fn encode(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Url => encode_key(text),
        }
    }
}

impl<'a> Wish<'a> {
    fn read(context: &Context<'a>) -> Result<Self, ApiError> {
        let query = |name: &str| context.request.query(name).unwrap_or_default();
        if query("list-type") != "2" {
            let sent = query("list-type");
            return Err(invalid_argument(
                "Invalid List Type specified in Query",
                "list-type",
                sent,
            ));
        }
        let max_keys = match query("max-keys") {
            "" => MAX_KEYS,
            text => text.parse().map_err(|_| {
                let message = "Provided max-keys not an integer or within integer range";
                invalid_argument(message, "max-keys", text)
            })?,
        };
        let token = query("continuation-token");
        let start_after = query("start-after");
        let after = match token {
            "" => start_after.to_owned(),
            token => read_token(token).ok_or_else(|| {
                let message = "The continuation token provided is incorrect";
                invalid_argument(message, "continuation-token", token)
            })?,
        };
        let encoding = match query("encoding-type") {
            "" => Encoding::None,
            "url" => Encoding::Url,
            other => {
                let message = "Invalid Encoding Method specified in Request";
                return Err(invalid_argument(message, "encoding-type", other));
            }
        };
        let (prefix, delimiter) = (query("prefix"), query("delimiter"));
        Ok(Self { prefix, delimiter, start_after, token, after, max_keys, encoding })
    }
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

pub(super) fn objects(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let wish = Wish::read(context)?;
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:ListBucket", None)?;
    let limit = wish.max_keys.min(MAX_KEYS).min(s3.settings.list_page_limit);
    let page = match limit {
        0 => Page::default(),
        limit => page(bucket, wish.prefix, wish.delimiter, &wish.after, limit),
    };
    let encode = |text: &str| wish.encoding.encode(text);
    let body = xml::document("ListBucketResult", NAMESPACE, |out| {
        out.text("Name", &call.bucket);
        out.text("Prefix", &encode(wish.prefix));
        if !wish.delimiter.is_empty() {
            out.text("Delimiter", &encode(wish.delimiter));
        }
        out.text("MaxKeys", &wish.max_keys.to_string());
        out.text("KeyCount", &(page.keys.len() + page.prefixes.len()).to_string());
        out.text("IsTruncated", if page.last.is_some() { "true" } else { "false" });
        if matches!(wish.encoding, Encoding::Url) {
            out.text("EncodingType", "url");
        }
        if !wish.token.is_empty() {
            out.text("ContinuationToken", wish.token);
        }
        if !wish.start_after.is_empty() {
            out.text("StartAfter", &encode(wish.start_after));
        }
        if let Some(last) = &page.last {
            out.text("NextContinuationToken", &URL_SAFE_NO_PAD.encode(last));
        }
        for (key, object) in page.keys.iter().filter_map(|key| bucket.objects.get_key_value(key)) {
            out.nest("Contents", |out| {
                out.text("Key", &encode(key));
                out.text("LastModified", &iso_millis(object.modified_at));
                out.text("ETag", &quoted(&object.etag));
                out.text("Size", &object.body.len().to_string());
                out.text("StorageClass", "STANDARD");
            });
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
