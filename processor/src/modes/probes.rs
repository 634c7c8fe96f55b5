//! Serves metrics and probes over HTTP.
//!
//! `/livez` answers as long as the process can answer. `/readyz` says whether
//! messages are being received. `/metrics` is for Prometheus.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinSet};
use tracing::debug;

use crate::metrics::{Meter, Metric};

/// How many connections are served at a time.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to send its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The content type of the text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A listener that is ready to serve.
#[derive(Debug)]
pub(super) struct Probes {
    listener: TcpListener,
    meter: Arc<Meter>,
}

impl Probes {
    /// Listens on `address`.
    pub(super) async fn listen(address: SocketAddr, meter: Arc<Meter>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, meter })
    }

    /// Returns the address that it listens on.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= MAX_CONNECTIONS {
                drop(connections.join_next().await);
            }
            while connections.try_join_next().is_some() {}
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    debug!(%error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let meter = Arc::clone(&self.meter);
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let response = respond(&request, &meter);
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST_TIME)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    debug!(%error, "connection broken");
                }
            });
        }
    }
}

fn respond(request: &Request<Incoming>, meter: &Meter) -> Response<Full<Bytes>> {
    let ready = meter.get(Metric::Receiving, "") == 1;
    let (status, content_type, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, PROMETHEUS_TEXT, meter.prometheus_text()),
        (&Method::GET, "/livez") => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        (&Method::GET, "/readyz") if ready => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        (&Method::GET, "/readyz") => {
            (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not receiving messages\n".to_owned())
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "try /metrics, /livez or /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}
