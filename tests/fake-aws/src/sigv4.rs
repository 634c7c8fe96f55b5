//! Reads a request's signature, version 4, as far as it tells who signs, for what and when.
//!
//! The signature's value is not computed: secret keys are issued here and prove nothing. But a
//! request must carry a signature that is complete and well-formed, as AWS demands.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Millis;
use crate::http::Request;

/// What a signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) access_key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) session_token: Option<String>,
    pub(crate) signed_at: Millis,
    /// The end of a presigned request's life.
    pub(crate) valid_until: Option<Millis>,
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// The request is not signed at all.
    Missing,
    /// It is signed, but not as the rules say.
    Malformed(String),
}

/// Reads the signature from the `Authorization` header, or from the query of a presigned request.
pub(crate) fn read(request: &Request) -> Result<Signature, SignatureError> {
    if let Some(header) = request.header("authorization") {
        return from_header(header, request);
    }
    if request.query("X-Amz-Signature").is_some() {
        return from_query(request);
    }
    Err(SignatureError::Missing)
}

fn from_header(header: &str, request: &Request) -> Result<Signature, SignatureError> {
    let malformed = |text: &str| SignatureError::Malformed(text.to_owned());
    let Some(fields) = header.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err(malformed("Authorization header requires `AWS4-HMAC-SHA256`"));
    };
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    let Some(credential) = field("Credential") else {
        return Err(malformed("Authorization header requires 'Credential' parameter."));
    };
    let Some(signed_headers) = field("SignedHeaders") else {
        return Err(malformed("Authorization header requires 'SignedHeaders' parameter."));
    };
    let Some(signature) = field("Signature") else {
        return Err(malformed("Authorization header requires 'Signature' parameter."));
    };
    let signed: Vec<&str> = signed_headers.split(';').collect();
    if !signed.contains(&"host") {
        return Err(malformed("'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }
    for name in request.headers.keys() {
        let name = name.as_str();
        if name.starts_with("x-amz-") && !signed.contains(&name) {
            return Err(malformed(
                "There were headers present in the request which were not signed",
            ));
        }
    }
    check_signature_value(signature)?;
    let Some(date) = request.header("x-amz-date").or_else(|| request.header("date")) else {
        return Err(malformed(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ));
    };
    let token = request.header("x-amz-security-token").map(str::to_owned);
    build(credential, date, token, None)
}

fn from_query(request: &Request) -> Result<Signature, SignatureError> {
    let need = |name: &str| {
        request.query(name).ok_or_else(|| {
            SignatureError::Malformed(format!("query parameter '{name}' is missing"))
        })
    };
    check_signature_value(need("X-Amz-Signature")?)?;
    need("X-Amz-SignedHeaders")?;
    let seconds: i64 = need("X-Amz-Expires")?
        .parse()
        .map_err(|_| SignatureError::Malformed("X-Amz-Expires should be a number".to_owned()))?;
    if !(0..=604_800).contains(&seconds) {
        return Err(SignatureError::Malformed(
            "X-Amz-Expires must be less than a week (in seconds)".to_owned(),
        ));
    }
    let token = request.query("X-Amz-Security-Token").map(str::to_owned);
    build(need("X-Amz-Credential")?, need("X-Amz-Date")?, token, Some(seconds))
}

fn check_signature_value(signature: &str) -> Result<(), SignatureError> {
    let hexadecimal =
        signature.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if signature.len() == 64 && hexadecimal {
        Ok(())
    } else {
        Err(SignatureError::Malformed("the signature is not 64 hexadecimal digits".to_owned()))
    }
}

fn build(
    credential: &str,
    date: &str,
    session_token: Option<String>,
    seconds: Option<i64>,
) -> Result<Signature, SignatureError> {
    let malformed = |text: &str| SignatureError::Malformed(text.to_owned());
    let parts: Vec<&str> = credential.split('/').collect();
    let [access_key_id, day, region, service, "aws4_request"] = parts.as_slice() else {
        return Err(malformed("Credential must have exactly 5 slash-delimited elements"));
    };
    let Ok(signed_at) = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|date| TimeZone::UTC.to_timestamp(date))
        .map(jiff::Timestamp::as_millisecond)
    else {
        return Err(malformed("Date must be in ISO-8601 'basic format'"));
    };
    if !date.starts_with(day) || day.len() != 8 {
        return Err(malformed(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
        ));
    }
    if region.is_empty() || service.is_empty() || access_key_id.is_empty() {
        return Err(malformed("Credential must name a key, a region and a service"));
    }
    Ok(Signature {
        access_key_id: (*access_key_id).to_owned(),
        region: (*region).to_owned(),
        service: (*service).to_owned(),
        session_token,
        signed_at,
        valid_until: seconds.map(|seconds| signed_at + seconds * 1_000),
    })
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;

    fn request(headers: &[(&'static str, String)]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Request {
            method: Method::POST,
            path: "/".to_owned(),
            query: Vec::new(),
            headers: map,
            body: bytes::Bytes::new(),
            discarded_body: 0,
        }
    }

    fn authorization(credential: &str, signed: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
        )
    }

    #[test]
    fn a_complete_signature_names_key_region_and_service() {
        let scope = "AKID/20261123/eu-west-1/logs/aws4_request";
        let request = request(&[
            ("authorization", authorization(scope, "host;x-amz-date", &"a".repeat(64))),
            ("x-amz-date", "20261123T102030Z".to_owned()),
        ]);
        let signature = read(&request).unwrap();
        assert_eq!(signature.access_key_id, "AKID");
        assert_eq!(signature.region, "eu-west-1");
        assert_eq!(signature.service, "logs");
        assert_eq!(signature.signed_at, 1_795_429_230_000);
    }

    #[test]
    fn incomplete_signatures_are_refused() {
        let good = "AKID/20261123/eu-west-1/logs/aws4_request";
        let value = "a".repeat(64);
        let rows = [
            authorization("AKID/20261122/eu-west-1/logs/aws4_request", "host;x-amz-date", &value),
            authorization("AKID/20261123/eu-west-1/logs", "host;x-amz-date", &value),
            authorization(good, "x-amz-date", &value),
            authorization(good, "host", &value),
            authorization(good, "host;x-amz-date", "abc"),
            format!("AWS4-HMAC-SHA256 Credential={good}"),
            "Bearer abc".to_owned(),
        ];
        for header in rows {
            let request = request(&[
                ("authorization", header.clone()),
                ("x-amz-date", "20261123T102030Z".to_owned()),
            ]);
            assert!(matches!(read(&request), Err(SignatureError::Malformed(_))), "{header}");
        }
        assert_eq!(read(&request(&[])), Err(SignatureError::Missing));
    }
}
