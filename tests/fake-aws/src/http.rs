//! What the services see of HTTP: a whole request, and a reply to be written.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A request, its body read to the end.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as it came, still percent-encoded.
    pub(crate) path: String,
    /// The query parameters in order, decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Bytes of body that were read and thrown away instead of being kept.
    pub(crate) discarded_body: u64,
}

impl Request {
    /// Returns a header that is valid text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the first query parameter of that name.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Splits a query string or a form body into decoded pairs.
pub(crate) fn parse_form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_form(key), decode_form(value))
        })
        .collect()
}

fn decode_form(text: &str) -> String {
    decode_percent(&text.replace('+', " "))
}

/// Decodes percent escapes; a `+` stays a `+`.
pub(crate) fn decode_percent(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// Encodes an object key the way S3 writes it into event notifications, and into listings that
/// ask for it: as a form value, with `+` for a space and with slashes left alone.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string().replace("%20", "+")
}

/// A reply before the server adds the headers that every reply has.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Payload,
    /// The error code, for the journal.
    pub(crate) error_code: Option<String>,
    pub(crate) origin: Origin,
}

/// Who a reply seems to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A service, which adds its request id.
    Service,
    /// Something in between, which does not.
    Proxy,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Payload::default(),
            error_code: None,
            origin: Origin::Service,
        }
    }

    pub(crate) fn with_body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: Payload::from(body.into()),
            error_code: None,
            origin: Origin::Service,
        }
    }

    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self::with_body(status, "application/xml", body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Bytes that may be large without being held: zeros and repetitions are stored as a count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Bytes(Bytes),
    Zeros(u64),
    /// A part of the endless repetition of `unit`, which is not empty.
    Repeated {
        unit: Bytes,
        start: u64,
        len: u64,
    },
}

const ZEROS: &[u8] = &[0; 64 * 1024];

impl Payload {
    /// Returns that many zero bytes.
    pub(crate) fn zeros(count: u64) -> Self {
        Self { segments: vec![Segment::Zeros(count)] }
    }

    /// Returns `unit` so many times over.
    pub(crate) fn repeated(unit: Bytes, times: u64) -> Self {
        let len = unit.len() as u64 * times;
        if len == 0 {
            return Self::default();
        }
        Self { segments: vec![Segment::Repeated { unit, start: 0, len }] }
    }

    pub(crate) fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.segments.extend(other.segments);
    }

    /// Returns a part of the payload. The range must lie within it.
    pub(crate) fn slice(&self, range: Range<u64>) -> Self {
        let mut segments = Vec::new();
        let mut start = 0;
        for segment in &self.segments {
            let end = start + segment.len();
            let from = range.start.clamp(start, end) - start;
            let to = range.end.clamp(start, end) - start;
            if from < to {
                segments.push(segment.slice(from, to));
            }
            start = end;
        }
        Self { segments }
    }

    /// Takes the first piece off, at most `limit` bytes of it.
    pub(crate) fn take_front(&mut self, limit: u64) -> Option<Bytes> {
        while self.segments.first().is_some_and(|segment| segment.len() == 0) {
            self.segments.remove(0);
        }
        let first = self.segments.first_mut()?;
        let count = limit.min(first.len()).max(1);
        Some(match first {
            Segment::Bytes(bytes) => bytes.split_to(usize::try_from(count).unwrap_or(usize::MAX)),
            Segment::Zeros(left) => {
                let piece =
                    ZEROS.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(ZEROS);
                *left -= piece.len() as u64;
                Bytes::from_static(piece)
            }
            Segment::Repeated { unit, start, len } => {
                let at = usize::try_from(*start % unit.len() as u64).unwrap_or_default();
                let most = usize::try_from(count).unwrap_or(usize::MAX);
                let piece = unit.slice(at..unit.len().min(at.saturating_add(most)));
                *start += piece.len() as u64;
                *len -= piece.len() as u64;
                piece
            }
        })
    }

    /// Returns the bytes in one piece, or nothing when some are stored as a count.
    pub(crate) fn to_bytes(&self) -> Option<Bytes> {
        match self.segments.as_slice() {
            [] => Some(Bytes::new()),
            [Segment::Bytes(bytes)] => Some(bytes.clone()),
            segments => {
                let mut whole = Vec::new();
                for segment in segments {
                    match segment {
                        Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
                        Segment::Zeros(_) | Segment::Repeated { .. } => return None,
                    }
                }
                Some(Bytes::from(whole))
            }
        }
    }

    /// Returns a text that tells sparse payloads apart, for checksums of what is not held.
    pub(crate) fn outline(&self) -> String {
        let mut outline = String::new();
        for segment in &self.segments {
            // Writing to a string does not fail.
            let _ignored = match segment {
                Segment::Bytes(bytes) => write!(outline, "b{}", bytes.len()),
                Segment::Zeros(count) => write!(outline, "z{count}"),
                Segment::Repeated { unit, len, .. } => {
                    write!(outline, "r{}x{len}", unit.len())
                }
            };
        }
        outline
    }
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
            Self::Repeated { len, .. } => *len,
        }
    }

    fn slice(&self, from: u64, to: u64) -> Self {
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let to = usize::try_from(to).unwrap_or(usize::MAX);
                Self::Bytes(bytes.slice(from..to))
            }
            Self::Zeros(_) => Self::Zeros(to - from),
            Self::Repeated { unit, start, .. } => {
                Self::Repeated { unit: unit.clone(), start: start + from, len: to - from }
            }
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::default()
        } else {
            Self { segments: vec![Segment::Bytes(bytes)] }
        }
    }
}

/// Writes bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ignored = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_keys_are_form_encoded() {
        let rows = [
            ("c/ns/app/pod/f.json.gz", "c/ns/app/pod/f.json.gz"),
            ("a b+c/é", "a+b%2Bc/%C3%A9"),
            ("100%zz", "100%25zz"),
            ("a=b&c", "a%3Db%26c"),
        ];
        for (key, expected) in rows {
            assert_eq!(encode_key(key), expected, "{key}");
            assert_eq!(decode_form(expected), key);
        }
    }

    #[test]
    fn payloads_are_cut_across_segments() {
        let mut payload = Payload::from(Bytes::from_static(b"abc"));
        payload.append(Payload::zeros(5));
        payload.append(Payload::from(Bytes::from_static(b"xyz")));
        payload.append(Payload::repeated(Bytes::from_static(b"123"), 4));
        assert_eq!(payload.len(), 23);
        let bytes = |mut part: Payload| {
            let mut seen = Vec::new();
            while let Some(piece) = part.take_front(2) {
                seen.extend_from_slice(&piece);
            }
            String::from_utf8(seen).unwrap()
        };
        assert_eq!(bytes(payload.slice(2..9)), "c\0\0\0\0\0x");
        assert_eq!(bytes(payload.slice(9..23)), "yz123123123123");
        assert_eq!(bytes(payload.slice(13..20)), "3123123");
        assert_eq!(payload.to_bytes(), None);
    }
}
