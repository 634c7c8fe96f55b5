//! A queue that holds nothing: it says when it is polled.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};

/// A listener that answers as an empty queue would, up to the first poll.
#[derive(Debug)]
pub(crate) struct EmptyQueue(TcpListener);

impl EmptyQueue {
    /// Listens on a free port of loopback.
    pub(crate) fn open() -> Result<Self> {
        Ok(Self(TcpListener::bind("127.0.0.1:0").context("failed to open a port on loopback")?))
    }

    /// Returns the address of all services.
    pub(crate) fn endpoint(&self) -> Result<String> {
        Ok(format!("http://{}", self.0.local_addr()?))
    }

    /// Ends a wait for a poll that will not come.
    pub(crate) fn wake(&self) -> Result<()> {
        TcpStream::connect(self.0.local_addr()?).map(drop).context("failed to end the wait")
    }

    /// Waits for the first poll and leaves it without an answer, as a long poll does.
    pub(crate) fn first_poll(&self) -> Result<TcpStream> {
        loop {
            let (stream, _) = self.0.accept().context("nobody polled")?;
            if serve(&stream)? {
                return Ok(stream);
            }
        }
    }
}

/// Answers one request and closes, or tells that it is a poll.
fn serve(mut stream: &TcpStream) -> Result<bool> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut is_poll) = (0, false);
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the container ended without a poll");
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        is_poll |= line == "x-amz-target: amazonsqs.receivemessage";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().context("a length is not a number")?;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    if !is_poll {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n\
                      content-length: 17\r\nconnection: close\r\n\r\n{\"Attributes\":{}}";
        stream.write_all(answer.as_bytes())?;
    }
    Ok(is_poll)
}
