//! Conditional requests and ranges.

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Object;
use crate::clock::{Millis, SECOND};
use crate::error::ApiError;
use crate::http::Request;

/// Checks the conditions of a read. The names differ by a prefix for the source of a copy.
pub(super) fn check_read(request: &Request, prefix: &str, object: &Object) -> Result<(), ApiError> {
    let header = |name: &str| request.header(&format!("{prefix}{name}"));
    let modified = object.modified_at / SECOND * SECOND;
    match header("if-match") {
        Some(tags) if !matches_etag(tags, &object.etag) => return Err(failed("If-Match")),
        Some(_) => {}
        None => {
            if let Some(since) = header("if-unmodified-since").and_then(parse_date)
                && modified > since
            {
                return Err(failed("If-Unmodified-Since"));
            }
        }
    }
    let unchanged = match header("if-none-match") {
        Some(tags) => matches_etag(tags, &object.etag),
        None => {
            header("if-modified-since").and_then(parse_date).is_some_and(|since| modified <= since)
        }
    };
    if unchanged {
        // A copy has no way to say "not modified".
        return Err(if prefix.is_empty() {
            ApiError::new(304, "NotModified", "")
        } else {
            failed("If-None-Match")
        });
    }
    Ok(())
}

/// Checks the conditions of a write.
pub(super) fn check_write(request: &Request, present: Option<&Object>) -> Result<(), ApiError> {
    if let Some(tags) = request.header("if-none-match") {
        if tags != "*" {
            return Err(ApiError::new(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            )
            .member("Header", "If-None-Match"));
        }
        if present.is_some() {
            return Err(failed("If-None-Match"));
        }
    }
    if let Some(tags) = request.header("if-match") {
        match present {
            None => {
                return Err(ApiError::new(404, "NoSuchKey", "The specified key does not exist."));
            }
            Some(object) if !matches_etag(tags, &object.etag) => return Err(failed("If-Match")),
            Some(_) => {}
        }
    }
    Ok(())
}

fn failed(condition: &str) -> ApiError {
    ApiError::new(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
    .member("Condition", condition)
}

fn matches_etag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_matches('"') == etag)
}

fn parse_date(text: &str) -> Option<Millis> {
    let date = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    Some(TimeZone::UTC.to_timestamp(date).ok()?.as_millisecond())
}

/// Finds the part of an object that `Range` asks for. What is no range is ignored, as HTTP has it.
pub(super) fn range(request: &Request, length: u64) -> Result<Option<Range<u64>>, ApiError> {
    let Some(bounds) = request.header("range").and_then(|range| range.strip_prefix("bytes="))
    else {
        return Ok(None);
    };
    let Some((first, last)) = bounds.split_once('-') else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Ok(None),
    };
    if range.start >= length || range.is_empty() {
        return Err(ApiError::new(416, "InvalidRange", "The requested range is not satisfiable")
            .member("RangeRequested", format!("bytes={bounds}"))
            .member("ActualObjectSize", length.to_string()));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;

    fn check(text: &str, length: u64, expected: Result<Option<Range<u64>>, &str>) {
        let mut headers = HeaderMap::new();
        headers.insert("range", text.parse().unwrap());
        let request = Request {
            method: Method::GET,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers,
            body: bytes::Bytes::new(),
            discarded_body: 0,
        };
        let seen = range(&request, length).map_err(|error| error.code);
        assert_eq!(seen, expected.map_err(str::to_owned), "{text} of {length}");
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        check("bytes=0-4", 10, Ok(Some(0..5)));
        check("bytes=5-", 10, Ok(Some(5..10)));
        check("bytes=-3", 10, Ok(Some(7..10)));
        check("bytes=-30", 10, Ok(Some(0..10)));
        check("bytes=8-99", 10, Ok(Some(8..10)));
        check("bytes=10-", 10, Err("InvalidRange"));
        check("bytes=-0", 10, Err("InvalidRange"));
        check("bytes=0-0", 0, Err("InvalidRange"));
        check("bytes=5-2", 10, Ok(None));
        check("lines=1-2", 10, Ok(None));
    }
}
