//! A small HTTP client that signs as far as the fake looks.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fake_aws::{Credentials, FakeAws};
use serde_json::Value;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const CUSTOMER: &str = "444455556666";
pub(crate) const REGION: &str = "us-east-1";

/// Somebody who calls.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    endpoint: String,
    credentials: Credentials,
    region: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body is as long as its header said.
    pub(crate) complete: bool,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The text of an XML element.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let rest = text.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once("</")?.0.to_owned())
    }

    /// The code of an error, in any protocol.
    pub(crate) fn code(&self) -> String {
        if let Ok(value) = serde_json::from_slice::<Value>(&self.body)
            && let Some(kind) = value["__type"].as_str()
        {
            return kind.rsplit('#').next().unwrap_or(kind).to_owned();
        }
        self.element("Code").unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(fake: &FakeAws, credentials: Credentials) -> Self {
        Self { endpoint: fake.endpoint_url(), credentials, region: REGION.to_owned() }
    }

    pub(crate) fn root(fake: &FakeAws, account: &str) -> Self {
        Self::new(fake, fake.root_credentials(account))
    }

    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    pub(crate) fn json(&self, service: &str, target: &str, version: &str, body: &Value) -> Reply {
        let content_type = format!("application/x-amz-json-{version}");
        let headers = [("content-type", content_type.as_str()), ("x-amz-target", target)];
        self.send(service, "POST", "/", &headers, body.to_string().as_bytes())
    }

    pub(crate) fn logs(&self, operation: &str, body: &Value) -> Reply {
        self.json("logs", &format!("Logs_20140328.{operation}"), "1.1", body)
    }

    pub(crate) fn sqs(&self, operation: &str, body: &Value) -> Reply {
        self.json("sqs", &format!("AmazonSQS.{operation}"), "1.0", body)
    }

    pub(crate) fn dynamodb(&self, operation: &str, body: &Value) -> Reply {
        self.json("dynamodb", &format!("DynamoDB_20120810.{operation}"), "1.0", body)
    }

    pub(crate) fn sts(&self, operation: &str, members: &[(&str, &str)]) -> Reply {
        let mut body = format!("Action={operation}&Version=2011-06-15");
        for (name, value) in members {
            let value = value
                .replace('%', "%25")
                .replace('&', "%26")
                .replace('+', "%2B")
                .replace('=', "%3D");
            write!(body, "&{name}={value}").unwrap();
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("sts", "POST", "/", &headers, body.as_bytes())
    }

    pub(crate) fn s3(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut all = vec![("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
        if headers.iter().any(|(name, _)| *name == "x-amz-content-sha256") {
            all.clear();
        }
        all.extend_from_slice(headers);
        self.send("s3", method, target, &all, body)
    }

    /// Takes a role; panics when that is refused.
    pub(crate) fn take(&self, fake: &FakeAws, role_arn: &str, more: &[(&str, &str)]) -> Self {
        let mut members = vec![("RoleArn", role_arn), ("RoleSessionName", "test-session")];
        members.extend_from_slice(more);
        let reply = self.sts("AssumeRole", &members);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let element = |name: &str| reply.element(name).unwrap();
        let credentials = Credentials {
            access_key_id: element("AccessKeyId"),
            secret_access_key: element("SecretAccessKey"),
            session_token: Some(element("SessionToken")),
            expiration: None,
        };
        Self::new(fake, credentials)
    }

    pub(crate) fn send(
        &self,
        service: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.try_send(service, method, target, headers, body).unwrap()
    }

    pub(crate) fn try_send(
        &self,
        service: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        exchange(&self.endpoint, method, target, &self.sign(service, headers), body)
    }

    /// Sends a request and leaves the connection open, without reading.
    pub(crate) fn open(
        &self,
        service: &str,
        target: &str,
        version: &str,
        body: &Value,
    ) -> TcpStream {
        let content_type = format!("application/x-amz-json-{version}");
        let headers = [("content-type", content_type.as_str()), ("x-amz-target", target)];
        let body = body.to_string();
        let signed = self.sign(service, &headers);
        write_request(&self.endpoint, "POST", "/", &signed, body.as_bytes()).unwrap()
    }

    fn sign(&self, service: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        all.push(("x-amz-date".to_owned(), date.clone()));
        if let Some(token) = &self.credentials.session_token {
            all.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let names: Vec<&str> = all
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("x-amz-"))
            .collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/{}/{service}/aws4_request, SignedHeaders=host;{}, Signature={}",
            self.credentials.access_key_id,
            &date[..8],
            self.region,
            names.join(";"),
            "0".repeat(64),
        );
        all.push(("authorization".to_owned(), authorization));
        all
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn exchange(
    endpoint: &str,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut stream = write_request(endpoint, method, target, headers, body)?;
    read_reply(&mut stream, method)
}

fn write_request(
    endpoint: &str,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> std::io::Result<TcpStream> {
    let host = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name == "host") {
        write!(head, "host: {host}\r\n").unwrap();
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "connection: close\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Ok(stream)
}

fn read_reply(stream: &mut TcpStream, method: &str) -> std::io::Result<Reply> {
    let mut seen = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        let end = seen.windows(4).position(|window| window == b"\r\n\r\n");
        let head = end.map(|end| String::from_utf8_lossy(&seen[..end]).into_owned());
        let expected =
            head.as_deref().map(|head| if method == "HEAD" { 0 } else { content_length(head) });
        if let (Some(end), Some(head), Some(expected)) = (end, &head, expected)
            && seen.len() >= end + 4 + expected
        {
            return Ok(reply(head, &seen[end + 4..end + 4 + expected], true));
        }
        match stream.read(&mut piece) {
            Ok(0) => {
                let (Some(end), Some(head)) = (end, &head) else {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                };
                return Ok(reply(head, &seen[end + 4..], false));
            }
            Ok(count) => seen.extend_from_slice(&piece[..count]),
            Err(error) => match (end, &head) {
                (Some(end), Some(head)) => return Ok(reply(head, &seen[end + 4..], false)),
                _ => return Err(error),
            },
        }
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap())
}

fn reply(head: &str, body: &[u8], complete: bool) -> Reply {
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Reply { status, headers, body: body.to_vec(), complete }
}
