//! Log sinks without AWS.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    model::events::Batch,
    ports::{Fault, FaultClass, LogSink, LogTarget, PutReport},
};

/// Writes every message to a stream, one per line.
pub struct LineSink<W>(Mutex<W>);

impl<W> std::fmt::Debug for LineSink<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LineSink")
    }
}

impl LineSink<io::Stdout> {
    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self(Mutex::new(io::stdout()))
    }
}

impl<W: Write> LineSink<W> {
    fn write(&self, batch: &Batch) -> io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for event in batch.events() {
            lines.push_str(&event.text());
            lines.push('\n');
        }
        out.write_all(lines.as_bytes())?;
        out.flush()
    }
}

impl<W: Write + Send> LogSink for LineSink<W> {
    fn put<'a>(
        &'a self,
        _target: &'a LogTarget,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        let written = self.write(batch);
        async move {
            match written {
                Ok(()) => Ok(PutReport::default()),
                Err(error) => {
                    Err(Fault::new(FaultClass::Denied, "write a line").with_source(error))
                }
            }
        }
        .boxed()
    }

    fn create_stream<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn create_group<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn set_retention<'a>(
        &'a self,
        _target: &'a LogTarget,
        _days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// Takes every batch and writes nothing: for a dry run.
#[derive(Debug, Default)]
pub struct NoSink;

impl LogSink for NoSink {
    fn put<'a>(
        &'a self,
        _target: &'a LogTarget,
        _batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        async { Ok(PutReport::default()) }.boxed()
    }

    fn create_stream<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn create_group<'a>(&'a self, _target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn set_retention<'a>(
        &'a self,
        _target: &'a LogTarget,
        _days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}
