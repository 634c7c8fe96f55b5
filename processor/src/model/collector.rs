//! Where traces go.

use std::{fmt, str::FromStr};

use crate::model::ids::InvalidId;

/// The port of OTLP over HTTP.
const DEFAULT_PORT: u16 = 4318;

/// An OpenTelemetry collector, as in `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://HOST[:PORT][/PATH]`.
/// Without TLS: a collector stands beside the engine, and knows the way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorAddress {
    host: String,
    port: u16,
    path: String,
}

impl CollectorAddress {
    /// Returns the host to connect to.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port to connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port as they stand in a request.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the path that takes traces.
    pub fn traces_path(&self) -> String {
        format!("{}/v1/traces", self.path)
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl FromStr for CollectorAddress {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = |rule| InvalidId::new(text, "a collector", rule);
        let rest = text.strip_prefix("http://").ok_or_else(|| {
            invalid("it is http://HOST[:PORT]; a collector beside the engine needs no TLS")
        })?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address are within brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| invalid("the port is a number up to 65535"))?)
            }
            Some(_) | None => (authority, DEFAULT_PORT),
        };
        let legal = |c: char| c.is_ascii_graphic() && c != '@' && c != '?' && c != '#';
        if host.is_empty() || !rest.chars().all(legal) {
            return Err(invalid("it names a host, and nothing but host, port and path"));
        }
        Ok(Self { host: host.to_owned(), port, path: path.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_port_and_a_path() {
        for (text, expected) in [
            ("http://localhost", Some(("localhost", 4318, "/v1/traces"))),
            ("http://collector:80/", Some(("collector", 80, "/v1/traces"))),
            ("http://[::1]:4318/base/", Some(("::1", 4318, "/base/v1/traces"))),
            ("http://[::1]", Some(("::1", 4318, "/v1/traces"))),
            ("https://collector", None),
            ("collector:4318", None),
            ("http://", None),
            ("http://user@host", None),
            ("http://host:70000", None),
            ("http://host/a b", None),
        ] {
            let parsed = text.parse::<CollectorAddress>().ok();
            let found = parsed.as_ref().map(|one| (one.host(), one.port(), one.traces_path()));
            let expected = expected.map(|(host, port, path)| (host, port, path.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
