//! Sends spans to an OpenTelemetry collector: OTLP over HTTP, in JSON.
//!
//! Only with the feature `traces`, and only when `OTEL_EXPORTER_OTLP_ENDPOINT` names a
//! collector. A span stands for a message, an object at a destination, or a call of
//! `PutLogEvents`. Spans that the collector does not take in time are dropped: a
//! delivery never waits for its trace.
//!
//! The wire format is the stable one of
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. It is written here, because the
//! exporter crates bring a second HTTP client and a protobuf compiler for one POST.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_body_util::Full;
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use thiserror::Error;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::model::collector::CollectorAddress;

/// How many spans wait for the collector.
const SPANS_AHEAD: usize = 4096;
/// The most spans of one request.
const SPANS_PER_REQUEST: usize = 512;
/// How long a span waits for others to share a request with.
const LINGER: Duration = Duration::from_secs(2);
/// How long the collector may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last spans.
const LAST_SPANS_TIME: Duration = Duration::from_secs(2);

/// Makes the layer that collects spans, and starts the thread that sends them.
pub(crate) fn to_collector(address: CollectorAddress) -> io::Result<(SpanLayer, LastSpans)> {
    let (spans, ended) = mpsc::channel(SPANS_AHEAD);
    let (done, all_sent) = sync_channel::<()>(1);
    let closing = CancellationToken::new();
    let exporter = Exporter { address, ended, closing: closing.clone() };
    // A runtime of its own: traces take no part of the engine's, and outlive it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
        // Dropped at the end, which tells that all is sent.
        let _done = done;
        runtime.block_on(exporter.run());
    })?;
    Ok((SpanLayer { spans }, LastSpans { closing, all_sent }))
}

/// Sends the last spans when it is dropped.
#[derive(Debug)]
pub(crate) struct LastSpans {
    closing: CancellationToken,
    all_sent: Receiver<()>,
}

impl Drop for LastSpans {
    fn drop(&mut self) {
        self.closing.cancel();
        match self.all_sent.recv_timeout(LAST_SPANS_TIME) {
            // All is sent, or the collector does not answer: the process ends all the same.
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// Collects spans.
#[derive(Debug)]
pub(crate) struct SpanLayer {
    spans: mpsc::Sender<Span>,
}

/// Sends spans for as long as it runs.
#[derive(Debug)]
struct Exporter {
    address: CollectorAddress,
    ended: mpsc::Receiver<Span>,
    closing: CancellationToken,
}

/// A span that has ended, as the collector gets it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'static str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Serialize)]
struct Attribute {
    key: &'static str,
    value: AttributeValue,
}

/// OTLP's `AnyValue`. Its JSON form has 64-bit numbers as text.
#[derive(Debug, Serialize)]
enum AttributeValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

/// A span that has not ended.
struct Open {
    trace_id: u128,
    span_id: u64,
    parent_span_id: Option<u64>,
    start: SystemTime,
    attributes: Vec<Attribute>,
}

impl<S> Layer<S> for SpanLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| {
            parent.extensions().get::<Open>().map(|open| (open.trace_id, open.span_id))
        });
        let mut open = Open {
            trace_id: parent.map_or_else(random_trace, |(trace_id, _)| trace_id),
            span_id: random(),
            parent_span_id: parent.map(|(_, span_id)| span_id),
            start: SystemTime::now(),
            attributes: Vec::new(),
        };
        attributes.record(&mut Fields(&mut open.attributes));
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut Fields(&mut open.attributes));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        // A collector that is slow costs spans, not time.
        drop(self.spans.try_send(Span {
            trace_id: format!("{:032x}", open.trace_id),
            span_id: format!("{:016x}", open.span_id),
            parent_span_id: open.parent_span_id.map(|id| format!("{id:016x}")),
            name: span.name(),
            kind: KIND_INTERNAL,
            start_time_unix_nano: nanoseconds(open.start),
            end_time_unix_nano: nanoseconds(SystemTime::now()),
            attributes: open.attributes,
        }));
    }
}

/// `SPAN_KIND_INTERNAL`.
const KIND_INTERNAL: u8 = 1;

struct Fields<'a>(&'a mut Vec<Attribute>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: AttributeValue) {
        self.0.push(Attribute { key: field.name(), value });
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, AttributeValue::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, AttributeValue::Text(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, AttributeValue::Flag(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, AttributeValue::Number(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, AttributeValue::Number(value.to_string()));
    }
}

/// Returns a number that no other span has. The standard library seeds every hasher anew.
fn random() -> u64 {
    RandomState::new().hash_one(SystemTime::now()).max(1)
}

fn random_trace() -> u128 {
    u128::from(random()) << 64 | u128::from(random())
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

impl Exporter {
    async fn run(mut self) {
        let mut reported = false;
        while let Some(spans) = self.next_spans().await {
            let sent = tokio::time::timeout(REQUEST_TIME, post(&self.address, body(&spans))).await;
            let problem = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it does not answer".to_owned()),
            };
            if let Some(problem) = problem.filter(|_| !reported) {
                // Once: the collector may be away for days.
                tracing::warn!(collector = %self.address, problem, "spans not taken");
                reported = true;
            }
        }
    }

    /// Waits for spans to send together; none when there will be no more.
    async fn next_spans(&mut self) -> Option<Vec<Span>> {
        let mut spans = Vec::new();
        let first = tokio::select! {
            first = self.ended.recv() => first?,
            // What had ended before is still sent.
            () = self.closing.cancelled() => self.ended.try_recv().ok()?,
        };
        spans.push(first);
        let linger = tokio::time::sleep(LINGER);
        tokio::pin!(linger);
        while spans.len() < SPANS_PER_REQUEST {
            tokio::select! {
                biased;
                span = self.ended.recv() => match span {
                    Some(span) => spans.push(span),
                    None => break,
                },
                () = &mut linger => break,
                () = self.closing.cancelled() => break,
            }
        }
        Some(spans)
    }
}

/// The body of a request: `ExportTraceServiceRequest`.
fn body(spans: &[Span]) -> Vec<u8> {
    let name =
        Attribute { key: "service.name", value: AttributeValue::Text("log-processor".to_owned()) };
    let version = Attribute {
        key: "service.version",
        value: AttributeValue::Text(env!("CARGO_PKG_VERSION").to_owned()),
    };
    let request = ExportRequest {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes: [name, version] },
            scope_spans: [ScopeSpans { scope: Scope { name: "mtlog" }, spans }],
        }],
    };
    serde_json::to_vec(&request).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportRequest<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: [Attribute; 2],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: &'a [Span],
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
}

/// Why spans were not taken.
#[derive(Debug, Error)]
enum PostError {
    #[error("it cannot be reached: {0}")]
    Connect(#[from] io::Error),
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be made: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("it answered {0}")]
    Refused(StatusCode),
}

/// Sends one request on a connection of its own: there is one every few seconds.
async fn post(address: &CollectorAddress, body: Vec<u8>) -> Result<(), PostError> {
    let stream = TcpStream::connect((address.host(), address.port())).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(address.traces_path())
        .header(header::HOST, address.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))?;
    let (response, connection) = tokio::join!(sender.send_request(request), connection);
    let response = response?;
    connection?;
    if response.status().is_success() { Ok(()) } else { Err(PostError::Refused(response.status())) }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
    };

    use serde_json::Value;
    use tracing::{Instrument as _, subscriber};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Takes one request and returns its path and body.
    fn take_request(listener: &TcpListener) -> (String, Value) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut path, mut length) = (String::new(), 0);
        for line in reader.by_ref().lines() {
            let line = line.unwrap();
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap().to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        (path, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn spans_reach_the_collector_with_their_parents() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/base", listener.local_addr().unwrap());
        let (layer, last) = to_collector(address.parse().unwrap()).unwrap();
        subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let message = tracing::info_span!("message", message_id = "m-1");
            let object = tracing::info_span!(
                parent: &message, "object", records = 7_u64, outcome = tracing::field::Empty);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {}.instrument(object.clone()));
            object.record("outcome", "delivered");
        });
        let taking = std::thread::spawn(move || take_request(&listener));
        drop(last);
        let (path, body) = taking.join().unwrap();
        assert_eq!(path, "/base/v1/traces");
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let (object, message) = (&spans[0], &spans[1]);
        assert_eq!((&object["name"], &message["name"]), (&"object".into(), &"message".into()));
        assert_eq!(object["parentSpanId"], message["spanId"]);
        assert_eq!(object["traceId"], message["traceId"]);
        assert_eq!(object["traceId"].as_str().unwrap().len(), 32);
        assert!(message.get("parentSpanId").is_none());
        let attributes = object["attributes"].to_string();
        assert!(
            attributes.contains(r#"{"key":"records","value":{"intValue":"7"}}"#),
            "{attributes}"
        );
        assert!(attributes.contains(r#"{"key":"outcome","value":{"stringValue":"delivered"}}"#));
    }
}
