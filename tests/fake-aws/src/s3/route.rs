//! From method, host, path and query to an operation on a bucket and a key.

use hyper::Method;

use crate::error::ApiError;
use crate::http::{Request, decode_percent};

/// What a request addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// Host names whose first labels are a bucket.
const VIRTUAL_HOSTS: &[&str] = &[".localhost", ".s3.amazonaws.com"];

/// The longest key, in bytes.
const MAX_KEY: usize = 1_024;

/// Finds bucket and key.
pub(crate) fn parse(request: &Request, operation: &str) -> Result<Call, ApiError> {
    let (bucket, key) = address(request);
    if operation.is_empty() {
        return Err(ApiError::new(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        ));
    }
    if key.len() > MAX_KEY {
        return Err(ApiError::bad("KeyTooLongError", "Your key is too long"));
    }
    Ok(Call { bucket, key })
}

fn address(request: &Request) -> (String, String) {
    let path = request.path.strip_prefix('/').unwrap_or(&request.path);
    if let Some(bucket) = virtual_host_bucket(request.header("host").unwrap_or_default()) {
        return (bucket.to_owned(), decode_percent(path));
    }
    match path.split_once('/') {
        Some((bucket, key)) => (decode_percent(bucket), decode_percent(key)),
        None => (decode_percent(path), String::new()),
    }
}

fn virtual_host_bucket(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if let Some((bucket, rest)) = name.split_once(".s3.")
        && rest.contains(".amazonaws.com")
    {
        return Some(bucket);
    }
    VIRTUAL_HOSTS
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|bucket| !bucket.is_empty())
}

/// Names the operation; empty when there is none.
pub(crate) fn operation(request: &Request) -> String {
    let (bucket, key) = address(request);
    let has = |name: &str| request.query(name).is_some();
    let is_copy = request.headers.contains_key("x-amz-copy-source");
    let name = if bucket.is_empty() {
        if request.method == Method::GET { "ListBuckets" } else { "" }
    } else if key.is_empty() {
        bucket_operation(&request.method, &has)
    } else {
        object_operation(&request.method, &has, is_copy)
    };
    name.to_owned()
}

/// Subresources of a bucket with the operations that read, write and delete them.
const DOCUMENTS: &[(&str, &str, &str, &str)] = &[
    ("policy", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    ("versioning", "GetBucketVersioning", "PutBucketVersioning", ""),
    ("encryption", "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"),
    (
        "publicAccessBlock",
        "GetPublicAccessBlock",
        "PutPublicAccessBlock",
        "DeletePublicAccessBlock",
    ),
    (
        "lifecycle",
        "GetBucketLifecycleConfiguration",
        "PutBucketLifecycleConfiguration",
        "DeleteBucketLifecycle",
    ),
    ("tagging", "GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"),
    ("ownershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls", ""),
    (
        "notification",
        "GetBucketNotificationConfiguration",
        "PutBucketNotificationConfiguration",
        "",
    ),
];

fn bucket_operation(method: &Method, has: &dyn Fn(&str) -> bool) -> &'static str {
    for (document, get, put, delete) in DOCUMENTS {
        if has(document) {
            return match *method {
                Method::GET => get,
                Method::PUT => put,
                Method::DELETE => delete,
                _ => "",
            };
        }
    }
    match *method {
        Method::GET if has("location") => "GetBucketLocation",
        Method::GET if has("uploads") => "ListMultipartUploads",
        Method::GET if has("versions") => "ListObjectVersions",
        Method::GET if has("list-type") => "ListObjectsV2",
        Method::GET => "ListObjects",
        Method::HEAD => "HeadBucket",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if has("delete") => "DeleteObjects",
        _ => "",
    }
}

/// Returns the name of the document that an operation on a bucket is about.
pub(super) fn document(operation: &str) -> Option<&'static str> {
    DOCUMENTS
        .iter()
        .find(|(_, get, put, delete)| [get, put, delete].contains(&&operation))
        .map(|(document, ..)| *document)
}

fn object_operation(method: &Method, has: &dyn Fn(&str) -> bool, is_copy: bool) -> &'static str {
    match *method {
        Method::GET if has("tagging") => "GetObjectTagging",
        Method::GET if has("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::PUT if has("tagging") => "PutObjectTagging",
        Method::PUT if has("uploadId") && is_copy => "UploadPartCopy",
        Method::PUT if has("uploadId") => "UploadPart",
        Method::PUT if is_copy => "CopyObject",
        Method::PUT => "PutObject",
        Method::POST if has("uploads") => "CreateMultipartUpload",
        Method::POST if has("uploadId") => "CompleteMultipartUpload",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;
    use crate::http::parse_form;

    fn check(method: Method, host: &str, target: &str, expected: (&str, &str, &str)) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        let request = Request {
            method,
            path: path.to_owned(),
            query: parse_form(query),
            headers,
            body: bytes::Bytes::new(),
            discarded_body: 0,
        };
        let operation = operation(&request);
        let call = parse(&request, &operation).unwrap();
        assert_eq!((operation.as_str(), call.bucket.as_str(), call.key.as_str()), expected);
    }

    #[test]
    fn both_address_styles_are_understood() {
        let ip = "127.0.0.1:4566";
        check(Method::GET, ip, "/", ("ListBuckets", "", ""));
        check(Method::GET, ip, "/b?list-type=2", ("ListObjectsV2", "b", ""));
        check(Method::PUT, ip, "/b?encryption", ("PutBucketEncryption", "b", ""));
        check(Method::GET, ip, "/b/a%20b/c%2Bd?x-id=GetObject", ("GetObject", "b", "a b/c+d"));
        check(Method::GET, ip, "/b/a+b", ("GetObject", "b", "a+b"));
        check(Method::PUT, ip, "/b/k?partNumber=1&uploadId=u", ("UploadPart", "b", "k"));
        check(Method::HEAD, "b.localhost:1", "/k", ("HeadObject", "b", "k"));
        check(Method::GET, "b.x.s3.us-east-1.amazonaws.com", "/k/l", ("GetObject", "b.x", "k/l"));
        check(Method::DELETE, "b.s3.amazonaws.com", "/", ("DeleteBucket", "b", ""));
    }
}
