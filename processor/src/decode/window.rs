//! The part of the decompressed object that is in memory.

use std::io::{self, Read};

use super::{
    DecodeError, Options,
    gzip::{GzipError, Inflater},
};

/// Bytes of free space that a read gets at least: inflate is fastest with large buffers.
const READ_BYTES: usize = 256 << 10;

/// The window holds a record of this many bytes even if the limit is less.
const LEAST_RECORD: usize = 16;

/// A buffer over the decompressed object that moves forward only.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: Inflater<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the decompressed object.
    offset: u64,
    /// Decompressed bytes read.
    inflated: u64,
    /// The longest buffer allowed.
    longest: usize,
    /// The shortest buffer.
    read_bytes: usize,
    ended: bool,
    /// A failure after the last byte of the window.
    failure: Option<DecodeError>,
}

/// Whether there are more bytes than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grown {
    Yes,
    /// The object has ended.
    No,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R, options: &Options) -> Self {
        Self::with_read_bytes(source, options, READ_BYTES)
    }

    /// Reads so many bytes at once; tests put chunk boundaries anywhere with it.
    pub(super) fn with_read_bytes(source: R, options: &Options, read_bytes: usize) -> Self {
        Self {
            source: Inflater::new(source, options.limits),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            inflated: 0,
            longest: options.limits.max_record.max(LEAST_RECORD).saturating_add(read_bytes),
            read_bytes,
            ended: false,
            failure: None,
        }
    }

    /// Returns the bytes that are not consumed yet.
    pub(super) fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the last `len` bytes that were consumed since the window has grown.
    pub(super) fn consumed(&self, len: usize) -> &[u8] {
        self.start
            .checked_sub(len)
            .and_then(|start| self.buffer.get(start..self.start))
            .unwrap_or_default()
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Returns the offset of the first unread byte in the decompressed object.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the object is known to end where the window ends.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    pub(super) fn bytes_inflated(&self) -> u64 {
        self.inflated
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity() + self.source.buffered()
    }

    /// Reads on until the buffer is full, after making it twice as long as the unread bytes.
    ///
    /// So a record that is parsed anew after each growth is parsed over about twice its length.
    /// A failure of the source is reported when all bytes before it are in the window.
    pub(super) fn grow(&mut self) -> Result<Grown, DecodeError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.ended {
            return Ok(Grown::No);
        }
        self.make_room();
        let mut grown = Grown::No;
        while let Some(free) = self.buffer.get_mut(self.end..).filter(|free| !free.is_empty()) {
            match self.source.read(free).map_err(classify) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => {
                    self.end += read;
                    self.inflated += read as u64;
                    grown = Grown::Yes;
                }
                Err(failure) if grown == Grown::No => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        Ok(grown)
    }

    fn make_room(&mut self) {
        let unread = self.end - self.start;
        self.buffer.copy_within(self.start..self.end, 0);
        self.start = 0;
        self.end = unread;
        if self.buffer.is_empty() {
            // Zeroed by the system page by page, so a small object touches little of it.
            self.buffer = vec![0; self.read_bytes];
        }
        let free = self.buffer.len() - unread;
        if free < unread.max(self.read_bytes / 2) {
            let length = (2 * unread + self.read_bytes).min(self.longest);
            self.buffer.reserve_exact(length.saturating_sub(self.buffer.len()));
            self.buffer.resize(length, 0);
        }
    }
}

fn classify(error: io::Error) -> DecodeError {
    match error.downcast::<GzipError>() {
        Ok(error) => DecodeError::Gzip(error),
        Err(error) => DecodeError::Read(error),
    }
}
