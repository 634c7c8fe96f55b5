//! Reads an object in ranges and hands its bytes to a decoding thread.
//!
//! A dropped connection costs nothing: reading goes on at the byte where it
//! stopped, of the same content (`If-Match`). Memory holds a few chunks, whatever
//! the object's size.

use std::io;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::{
    engine::retry::{Failure, Retries},
    metrics::{Meter, Metric},
    model::notification::ObjectRef,
    ports::{Fault, FaultClass, ObjectBody, ObjectInfo, ObjectStore},
};

/// How much one request asks for. A connection that idles while CloudWatch throttles us is cut by S3; a range of
/// this size is usually through before.
pub const RANGE_BYTES: u64 = 8 * 1024 * 1024;
/// The most that the decoder is given at once. Allocators serve this size from memory that they have, and need not ask
/// the system for it.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks make up what a connection gives at once: up to 400 KiB.
const CHUNKS_AT_ONCE: usize = 7;
/// How many chunks may wait for the decoder. One is left for it while the next are asked for.
const CHUNKS_AHEAD: usize = CHUNKS_AT_ONCE + 1;

/// An object whose first bytes are on their way.
#[derive(Debug)]
pub(crate) struct OpenObject {
    pub(crate) info: ObjectInfo,
    first: ObjectBody,
}

/// Starts to read an object. None when it is empty.
pub(crate) async fn open(
    store: &dyn ObjectStore,
    object: &ObjectRef,
    if_match: Option<&str>,
    retries: &Retries<'_>,
) -> Result<Option<OpenObject>, Failure> {
    match retries.call(|| store.read(object, 0, RANGE_BYTES, if_match)).await {
        Ok(first) => Ok(Some(OpenObject { info: first.info.clone(), first })),
        Err(Failure::Fault(fault)) if fault.class == FaultClass::OutOfRange => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A piece of an object, or its end.
#[derive(Debug)]
enum Chunk {
    Bytes(Bytes),
    End,
}

/// The sending side: [`fetch`] fills it.
#[derive(Debug)]
pub(crate) struct ChunkSender(mpsc::Sender<Chunk>);

/// The reading side, for a thread that may block.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    ended: bool,
}

/// Connects the two sides.
pub(crate) fn channel() -> (ChunkSender, ChunkReader) {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    (ChunkSender(sender), ChunkReader { chunks, current: Bytes::new(), ended: false })
}

impl ChunkReader {
    /// Waits for the first bytes, so that no thread has to. Of a small object these are all.
    pub(crate) async fn begun(mut self) -> Self {
        // Where there is none, the next read says so.
        if let Some(chunk) = self.chunks.recv().await {
            self.accept(chunk);
        }
        self
    }

    fn accept(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Bytes(bytes) => self.current = bytes,
            Chunk::End => self.ended = true,
        }
    }
}

impl io::Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            // Without an end the object is not complete, and must not look as if it were.
            let chunk = self.chunks.blocking_recv().ok_or(io::ErrorKind::BrokenPipe)?;
            self.accept(chunk);
        }
        let count = buffer.len().min(self.current.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), self.current.get(..count)) {
            target.copy_from_slice(source);
        }
        self.current.advance(count);
        Ok(count)
    }
}

/// Reads the whole object into `sender`. Ends early, without an error, when nobody reads any more.
pub(crate) async fn fetch(
    store: &dyn ObjectStore,
    object: &ObjectRef,
    opened: OpenObject,
    sender: ChunkSender,
    retries: &Retries<'_>,
    meter: &Meter,
) -> Result<(), Failure> {
    let OpenObject { info, first } = opened;
    let mut position = 0;
    let mut repetition = 0;
    let mut next = Some(first);
    while position < info.size {
        let start = position;
        let body = match next.take() {
            Some(body) => Ok(body),
            None => store.read(object, position, RANGE_BYTES, Some(&info.etag)).await,
        };
        let result = match body {
            Ok(body) => pass_on(body, &sender, &mut position, meter).await,
            Err(fault) => Err(fault),
        };
        if position > start {
            repetition = 0;
        }
        match result {
            Ok(Listener::Gone) => return Ok(()),
            Ok(Listener::Present) if position > start => {}
            // A part without a single byte would be asked for for ever.
            Ok(Listener::Present) => {
                retries.pause(Fault::new(FaultClass::Ambiguous, "GetObject"), repetition).await?;
                repetition += 1;
            }
            Err(fault) => {
                retries.pause(fault, repetition).await?;
                repetition += 1;
            }
        }
    }
    // A reader that is gone does not miss the end.
    drop(sender.0.send(Chunk::End).await);
    Ok(())
}

/// Whether somebody still reads.
enum Listener {
    Present,
    Gone,
}

async fn pass_on(
    mut body: ObjectBody,
    sender: &ChunkSender,
    position: &mut u64,
    meter: &Meter,
) -> Result<Listener, Fault> {
    // Asked for when there is room for all of it, so that nothing waits here.
    while let Ok(mut room) = sender.0.reserve_many(CHUNKS_AT_ONCE).await {
        let Some(bytes) = body.bytes.next().await else { return Ok(Listener::Present) };
        let bytes = bytes?;
        *position += bytes.len() as u64;
        meter.add(Metric::BytesCompressed, "", bytes.len() as u64);
        // Copied, and at once: the connection reads on into the same memory if nobody has a part of it any more.
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let chunk = Chunk::Bytes(Bytes::copy_from_slice(chunk));
            match room.next() {
                Some(room) => room.send(chunk),
                None if sender.0.send(chunk).await.is_ok() => {}
                None => return Ok(Listener::Gone),
            }
        }
    }
    Ok(Listener::Gone)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures_util::FutureExt;

    use super::*;

    /// Reads what was sent, on a thread that may block.
    async fn all_of(chunks: Vec<Chunk>) -> io::Result<Vec<u8>> {
        let (sender, reader) = channel();
        let sending = tokio::spawn(async move {
            for chunk in chunks {
                sender.0.send(chunk).await.unwrap();
            }
        });
        let mut reader = reader.begun().await;
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let read = reading.await.unwrap();
        sending.await.unwrap();
        read
    }

    /// A part of an object that comes as it is given here.
    fn body(given: Vec<Bytes>) -> ObjectBody {
        let info = ObjectInfo { etag: String::new(), size: 0, last_modified_ms: 0 };
        ObjectBody { info, bytes: futures_util::stream::iter(given).map(Ok).boxed() }
    }

    #[tokio::test]
    async fn what_comes_at_once_is_read_whole_and_in_order() {
        let whole: Vec<u8> = (0..=250_u8).cycle().take(3 * CHUNKS_AHEAD * CHUNK_BYTES).collect();
        for size in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNKS_AT_ONCE * CHUNK_BYTES + 1, whole.len()]
        {
            let given = whole.chunks(size).take(1000).map(Bytes::copy_from_slice).collect();
            let expected = &whole[..whole.len().min(1000 * size)];
            let (sender, reader) = channel();
            let reading = tokio::task::spawn_blocking(move || {
                let (mut reader, mut bytes) = (reader, Vec::new());
                // There is no end in this part.
                reader.read_to_end(&mut bytes).unwrap_err();
                bytes
            });
            let mut position = 0;
            pass_on(body(given), &sender, &mut position, &Meter::default()).await.unwrap();
            drop(sender);
            assert_eq!(position, expected.len() as u64);
            assert!(reading.await.unwrap() == expected, "{size}");
        }
    }

    #[tokio::test]
    async fn the_memory_of_a_connection_is_its_own_again_before_anything_is_read() {
        let given = Bytes::from(vec![7; CHUNKS_AT_ONCE * CHUNK_BYTES]);
        let (sender, reader) = channel();
        let (mut position, meter) = (0, Meter::default());
        let passing = pass_on(body(vec![given.clone()]), &sender, &mut position, &meter);
        assert!(passing.now_or_never().is_none(), "the next is asked for when there is room");
        assert!(given.is_unique());
        assert_eq!(reader.chunks.len(), CHUNKS_AT_ONCE);
    }

    #[tokio::test]
    async fn an_object_without_its_end_is_not_complete() {
        let bytes = |text: &'static str| Chunk::Bytes(Bytes::from_static(text.as_bytes()));
        let whole = all_of(vec![bytes("ab"), bytes("c"), Chunk::End]).await;
        assert_eq!(whole.unwrap(), b"abc");
        assert_eq!(all_of(vec![Chunk::End]).await.unwrap(), b"");
        for cut in [vec![], vec![bytes("ab")], vec![bytes("ab"), bytes("c")]] {
            assert_eq!(all_of(cut).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    }
}
