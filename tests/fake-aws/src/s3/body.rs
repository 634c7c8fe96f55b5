//! Reads the body of an upload: undoes the `aws-chunked` framing and verifies every digest that
//! came with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::checksum;
use crate::error::ApiError;
use crate::http::{Request, hex};

/// An upload's content.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) bytes: Bytes,
    /// Name and value of the checksum header that came with it.
    pub(super) checksum: Option<(String, String)>,
    /// The content encodings without `aws-chunked`.
    pub(super) content_encoding: Option<String>,
}

/// Reads and verifies the body.
pub(super) fn read(request: &Request) -> Result<Upload, ApiError> {
    let declared = request.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
    // Of unknown length, S3 takes uploads only in its own framing.
    if request.header("transfer-encoding").is_some() && !declared.starts_with("STREAMING-") {
        let message = "A header you provided implies functionality that is not implemented";
        let error = ApiError::new(501, "NotImplemented", message);
        return Err(error.member("Header", "Transfer-Encoding"));
    }
    let (bytes, trailers) = if declared.starts_with("STREAMING-") {
        read_chunked(request, declared)?
    } else {
        (request.body.clone(), Vec::new())
    };
    if declared.len() == 64 && hex(&Sha256::digest(&bytes)) != declared {
        return Err(ApiError::bad(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    if let Some(sent) = request.header("content-md5") {
        match STANDARD.decode(sent) {
            Ok(digest) if digest.len() == 16 => {
                if digest != Md5::digest(&bytes).as_slice() {
                    return Err(ApiError::bad(
                        "BadDigest",
                        "The Content-MD5 you specified did not match what we received.",
                    ));
                }
            }
            _ => {
                return Err(ApiError::bad(
                    "InvalidDigest",
                    "The Content-MD5 you specified was invalid.",
                ));
            }
        }
    }
    let in_headers = checksum::HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), request.header(name)?.to_owned())));
    let sent: Vec<(String, String)> = in_headers.chain(trailers).collect();
    if sent.len() > 1 {
        return Err(ApiError::bad(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    for (name, value) in &sent {
        checksum::verify(name, value, &bytes)?;
    }
    Ok(Upload {
        bytes,
        checksum: sent.into_iter().next(),
        content_encoding: content_encoding(request),
    })
}

fn content_encoding(request: &Request) -> Option<String> {
    let sent = request.header("content-encoding")?;
    let kept: Vec<&str> = sent
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn read_chunked(
    request: &Request,
    declared: &str,
) -> Result<(Bytes, Vec<(String, String)>), ApiError> {
    const FORMS: &[&str] = &[
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ];
    if !FORMS.contains(&declared) {
        return Err(ApiError::new(
            501,
            "NotImplemented",
            format!("the payload form {declared} is not known"),
        ));
    }
    let Some(length) =
        request.header("x-amz-decoded-content-length").and_then(|text| text.parse::<usize>().ok())
    else {
        return Err(ApiError::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ));
    };
    let signed = declared.contains("HMAC");
    let (bytes, trailers) = split_chunks(&request.body, signed).ok_or_else(|| {
        ApiError::bad("IncompleteBody", "The request body terminated unexpectedly")
    })?;
    if bytes.len() != length {
        return Err(ApiError::bad(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        ));
    }
    let announced: Vec<String> = request
        .header("x-amz-trailer")
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let arrived: Vec<&String> = trailers
        .iter()
        .map(|(name, _)| name)
        .filter(|name| *name != "x-amz-trailer-signature")
        .collect();
    if arrived.len() != announced.len() || announced.iter().any(|name| !arrived.contains(&name)) {
        return Err(ApiError::bad(
            "MalformedTrailerError",
            "The request contained trailing data that was not well-formed or did not conform to our published schema.",
        ));
    }
    let checksums = trailers
        .into_iter()
        .filter(|(name, _)| checksum::HEADERS.contains(&name.as_str()))
        .collect();
    Ok((bytes, checksums))
}

type Trailers = Vec<(String, String)>;

/// Splits `SIZE[;chunk-signature=…]` framed chunks, or returns nothing when the framing is broken.
fn split_chunks(body: &Bytes, signed: bool) -> Option<(Bytes, Trailers)> {
    let mut rest = body.clone();
    let mut plain = BytesMut::new();
    loop {
        let line = take_line(&mut rest)?;
        let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
        if signed && !extension.starts_with("chunk-signature=") {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 {
            return None;
        }
        plain.extend_from_slice(&rest.split_to(size));
        if &*rest.split_to(2) != b"\r\n" {
            return None;
        }
    }
    let mut trailers = Vec::new();
    while !rest.is_empty() {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    rest.is_empty().then(|| (plain.freeze(), trailers))
}

fn take_line(rest: &mut Bytes) -> Option<String> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = rest.split_to(end);
    let _line_end = rest.split_to(2);
    String::from_utf8(line.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;

    fn request(headers: &[(&'static str, &str)], body: &str) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Request {
            method: Method::PUT,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
            discarded_body: 0,
        }
    }

    const TRAILER: (&str, &str) = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");

    #[test]
    fn chunked_bodies_are_decoded_and_verified() {
        let headers = [
            TRAILER,
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-decoded-content-length", "11"),
            ("content-encoding", "gzip,aws-chunked"),
        ];
        let body = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        let upload = read(&request(&headers, body)).unwrap();
        assert_eq!(&*upload.bytes, b"hello world");
        assert_eq!(
            upload.checksum,
            Some(("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned()))
        );
        assert_eq!(upload.content_encoding.as_deref(), Some("gzip"));
    }

    #[test]
    fn broken_uploads_are_refused() {
        let sum = ("x-amz-trailer", "x-amz-checksum-crc32");
        let length = ("x-amz-decoded-content-length", "5");
        let good = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        type Row<'a> = (&'a [(&'static str, &'a str)], &'a str, &'a str);
        let rows: &[Row<'_>] = &[
            (&[TRAILER, sum], good, "MissingContentLength"),
            (&[TRAILER, sum, ("x-amz-decoded-content-length", "6")], good, "IncompleteBody"),
            (&[TRAILER, length], good, "MalformedTrailerError"),
            (&[TRAILER, sum, length], "5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError"),
            (&[TRAILER, sum, length], "5\r\nhel", "IncompleteBody"),
            (
                &[TRAILER, sum, length],
                "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
                "BadDigest",
            ),
            (&[("x-amz-content-sha256", "STREAMING-OTHER")], good, "NotImplemented"),
            (&[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")], "other", "BadDigest"),
            (&[("content-md5", "short")], "hello", "InvalidDigest"),
            (&[("transfer-encoding", "chunked")], "hello", "NotImplemented"),
            (&[("x-amz-checksum-crc32", "AAAAAA==")], "hello", "BadDigest"),
        ];
        for (headers, body, expected) in rows {
            assert_eq!(read(&request(headers, body)).unwrap_err().code, *expected, "{headers:?}");
        }
        assert!(read(&request(&[TRAILER, sum, length], good)).is_ok());
        let wrong = "a".repeat(64);
        let error = read(&request(&[("x-amz-content-sha256", &wrong)], "hello")).unwrap_err();
        assert_eq!(error.code, "XAmzContentSHA256Mismatch");
    }
}
