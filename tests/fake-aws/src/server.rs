//! The HTTP server: accepts connections, reads requests whole, writes replies, breaks them when
//! told to.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::dispatch::{self, Answer};
use crate::fault::{BodyFault, BodyFaultKind, BodyPosition};
use crate::http::{Payload, Reply, Request, parse_form};
use crate::shared::Shared;

/// The largest piece of a body that is written at once.
const PIECE: u64 = 64 * 1024;

/// How long a body waits before it breaks, so that what came before is on its way.
const FLUSH_TIME: Duration = Duration::from_millis(20);

/// Serves until the sender is dropped or sends.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            _stopped = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
            // Out of file descriptors, most likely: wait for some to be returned.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small replies should not wait for more.
    let _ignored = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let service =
        service_fn(move |request| respond(request, Arc::clone(&shared), Arc::clone(&reset)));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.auto_date_header(false).keep_alive(true);
    // A connection that ends badly is what tests provoke; there is nobody to tell.
    let _ignored = builder.serve_connection(TokioIo::new(socket), service).await;
}

async fn respond(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
) -> Result<hyper::Response<ReplyBody>, ConnectionCut> {
    let head_only = request.method() == hyper::Method::HEAD;
    let request = match read(request, &shared).await {
        Ok(request) => request,
        Err(ReadError::TooLarge) => return Ok(too_large()),
        Err(ReadError::Broken) => return Err(ConnectionCut),
    };
    match dispatch::answer(&shared, &request).await {
        Answer::Reply(reply) => Ok(response(reply, None, &reset, head_only)),
        Answer::Broken(reply, fault) => Ok(response(reply, Some(fault), &reset, head_only)),
        Answer::Reset => {
            reset.store(true, Ordering::SeqCst);
            Err(ConnectionCut)
        }
        Answer::Silence => std::future::pending().await,
    }
}

enum ReadError {
    TooLarge,
    Broken,
}

async fn read(request: hyper::Request<Incoming>, shared: &Shared) -> Result<Request, ReadError> {
    let (parts, mut body) = request.into_parts();
    let max_body = shared.settings().max_body;
    let is_put = parts
        .headers
        .get("x-amz-target")
        .is_some_and(|target| target.as_bytes() == b"Logs_20140328.PutLogEvents");
    let discard = is_put && shared.logs().only_counts_bytes();
    let mut discarded_body = 0;
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ReadError::Broken)?.into_data() else {
            continue;
        };
        if discard {
            discarded_body += data.len() as u64;
            continue;
        }
        if (first.len() + collected.len() + data.len()) as u64 > max_body {
            return Err(ReadError::TooLarge);
        }
        // A body in one piece needs no copy.
        if first.is_empty() && collected.is_empty() {
            first = data;
        } else {
            if collected.is_empty() {
                collected.extend_from_slice(&first);
                first = Bytes::new();
            }
            collected.extend_from_slice(&data);
        }
    }
    Ok(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parse_form(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: if collected.is_empty() { first } else { collected.freeze() },
        discarded_body,
    })
}

fn too_large() -> hyper::Response<ReplyBody> {
    let mut response = hyper::Response::new(ReplyBody::whole(Payload::default()));
    *response.status_mut() = hyper::StatusCode::PAYLOAD_TOO_LARGE;
    response
}

fn response(
    mut reply: Reply,
    fault: Option<BodyFault>,
    reset: &Arc<AtomicBool>,
    head_only: bool,
) -> hyper::Response<ReplyBody> {
    let length = reply.body.len();
    let mut cut = None;
    if let Some(fault) = fault {
        let at = match fault.at {
            BodyPosition::Percent(percent) => {
                length / 100 * u64::from(percent.min(100))
                    + length % 100 * u64::from(percent.min(100)) / 100
            }
            BodyPosition::Byte(byte) => byte.min(length),
        };
        if fault.kind == BodyFaultKind::Shorten {
            reply.body = reply.body.slice(0..at);
        } else {
            cut = Some(Cut { at, kind: fault.kind, pause: None });
        }
    }
    let body = ReplyBody { payload: reply.body, cut, sent: 0, reset: Arc::clone(reset) };
    let body = if head_only { ReplyBody::whole(Payload::default()) } else { body };
    let mut response = hyper::Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        let name = hyper::header::HeaderName::try_from(name);
        let value = hyper::header::HeaderValue::try_from(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The end of a connection without a proper reply.
#[derive(Debug)]
pub(crate) struct ConnectionCut;

impl std::fmt::Display for ConnectionCut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection was cut on purpose")
    }
}

impl std::error::Error for ConnectionCut {}

impl From<Infallible> for ConnectionCut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A reply's body, which may break on its way.
#[derive(Debug)]
struct ReplyBody {
    payload: Payload,
    cut: Option<Cut>,
    sent: u64,
    reset: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Cut {
    at: u64,
    kind: BodyFaultKind,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ReplyBody {
    fn whole(payload: Payload) -> Self {
        Self { payload, cut: None, sent: 0, reset: Arc::new(AtomicBool::new(false)) }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ConnectionCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionCut>>> {
        let this = self.get_mut();
        let mut limit = PIECE;
        if let Some(cut) = &mut this.cut {
            if this.sent >= cut.at {
                let time = match cut.kind {
                    BodyFaultKind::Stall(time) => time,
                    BodyFaultKind::Reset | BodyFaultKind::Close | BodyFaultKind::Shorten => {
                        FLUSH_TIME
                    }
                };
                let pause = cut.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
                if pause.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                match cut.kind {
                    BodyFaultKind::Stall(_) | BodyFaultKind::Shorten => this.cut = None,
                    BodyFaultKind::Reset => {
                        this.reset.store(true, Ordering::SeqCst);
                        return Poll::Ready(Some(Err(ConnectionCut)));
                    }
                    BodyFaultKind::Close => return Poll::Ready(Some(Err(ConnectionCut))),
                }
            } else {
                limit = limit.min(cut.at - this.sent);
            }
        }
        let piece = this.payload.take_front(limit);
        Poll::Ready(piece.map(|piece| {
            this.sent += piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.len() == 0 && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.payload.len())
    }
}

/// A connection that can be reset instead of closed.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // With no time to linger, closing sends a reset.
            let _ignored = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
