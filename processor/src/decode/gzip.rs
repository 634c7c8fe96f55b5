//! Decompression by content: gzip when the bytes say so, otherwise the bytes as they are.
//!
//! The name of an object says nothing reliable: proxies and tools decompress on the way or forget
//! to. All members of a gzip file are read, because concatenated gzip files are one gzip file.

use std::io::{self, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use thiserror::Error;

use super::Limits;

/// The first two bytes of a gzip member (RFC 1952, section 2.3.1).
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Compressed bytes read from the source at once.
const INPUT_BYTES: usize = 64 << 10;

/// Why compressed bytes cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GzipError {
    /// The input ends inside a gzip member.
    #[error("the input ends inside a gzip member, after {at} compressed bytes")]
    Truncated {
        /// Compressed bytes read.
        at: u64,
    },
    /// A member's header is not one of gzip with deflate.
    #[error("the gzip header before compressed byte {at} is not valid")]
    Header {
        /// Compressed bytes read.
        at: u64,
    },
    /// The deflate stream is not valid.
    #[error("the deflate stream is not valid near compressed byte {at}")]
    Deflate {
        /// Compressed bytes read.
        at: u64,
    },
    /// The checksum or the length in a member's trailer does not match its content.
    #[error("the checksum before compressed byte {at} does not match the content")]
    Checksum {
        /// Offset of the end of the member in the input.
        at: u64,
    },
    /// Something else than another member, or padding with zeros, follows a member.
    #[error("bytes that are not gzip follow a member at compressed byte {at}")]
    TrailingGarbage {
        /// Offset of the garbage in the input.
        at: u64,
    },
    /// The content is gzip again.
    #[error("the content of the gzip file is a gzip file")]
    Nested,
    /// The content is larger than allowed, at a ratio that no log has.
    #[error("{read} compressed bytes inflate to {inflated} bytes or more")]
    Bomb {
        /// Compressed bytes read.
        read: u64,
        /// Decompressed bytes so far.
        inflated: u64,
    },
}

/// Reads the decompressed bytes of an object.
///
/// As a [`Read`] it reports a [`GzipError`] inside an [`io::Error`]. Errors are final: another
/// read gives the same one.
#[derive(Debug)]
pub struct Inflater<R> {
    input: Input<R>,
    state: State,
    inflate: Option<Decompress>,
    checksum: Crc,
    limits: Limits,
    inflated: u64,
}

/// The source with a buffer, so that headers can be read byte by byte.
#[derive(Debug)]
struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    consumed: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is read yet.
    Start,
    /// The input is not compressed.
    Plain,
    /// Inside the deflate stream of a member.
    Body,
    /// After the deflate stream of a member.
    Trailer,
    /// After the last member.
    Ended,
    /// The content is refused.
    Failed(GzipError),
    /// The source failed.
    SourceFailed(io::ErrorKind),
}

/// What stops a step: the content or the source.
enum Stop {
    Content(GzipError),
    Source(io::Error),
}

impl<R: Read> Inflater<R> {
    /// Reads `source` within the limits of inflation.
    pub fn new(source: R, limits: Limits) -> Self {
        let input = Input { source, buffer: Vec::new(), start: 0, end: 0, consumed: 0 };
        Self {
            input,
            state: State::Start,
            inflate: None,
            checksum: Crc::new(),
            limits,
            inflated: 0,
        }
    }

    /// Returns how many bytes of the source are used up.
    pub fn bytes_read(&self) -> u64 {
        self.input.consumed
    }

    /// Returns the memory held for data, in bytes.
    pub fn buffered(&self) -> usize {
        self.input.buffer.capacity()
    }

    fn step(&mut self, out: &mut [u8]) -> Result<usize, Stop> {
        loop {
            match self.state {
                State::Start => self.start()?,
                State::Plain => return self.input.read(out).map_err(Stop::Source),
                State::Body => {
                    let produced = self.body(out)?;
                    if produced > 0 {
                        return Ok(produced);
                    }
                }
                State::Trailer => self.trailer()?,
                State::Ended => return Ok(0),
                State::Failed(error) => return Err(Stop::Content(error)),
                State::SourceFailed(kind) => {
                    return Err(Stop::Source(io::Error::new(kind, "the source has failed before")));
                }
            }
        }
    }

    fn start(&mut self) -> Result<(), Stop> {
        if self.input.peek_two()? == Some(MAGIC) {
            self.header()
        } else {
            self.state = State::Plain;
            Ok(())
        }
    }

    /// Reads a member's header (RFC 1952, section 2.3).
    fn header(&mut self) -> Result<(), Stop> {
        const HEADER_CRC: u8 = 1 << 1;
        const EXTRA: u8 = 1 << 2;
        const NAME: u8 = 1 << 3;
        const COMMENT: u8 = 1 << 4;
        const RESERVED: u8 = 0b1110_0000;
        const DEFLATE: u8 = 8;

        let mut checksum = Crc::new();
        let fixed: [u8; 10] = self.input.take(&mut checksum)?;
        let [.., method, flags, _, _, _, _, _, _] = fixed;
        if method != DEFLATE || flags & RESERVED != 0 {
            return Err(self.header_error());
        }
        if flags & EXTRA != 0 {
            let length = u16::from_le_bytes(self.input.take(&mut checksum)?);
            for _ in 0..length {
                let _: [u8; 1] = self.input.take(&mut checksum)?;
            }
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && self.input.take(&mut checksum)? != [0] {}
        }
        if flags & HEADER_CRC != 0 {
            let expected = checksum.sum().to_le_bytes();
            let stored: [u8; 2] = self.input.take(&mut checksum)?;
            if !expected.starts_with(&stored) {
                return Err(self.header_error());
            }
        }
        self.checksum.reset();
        match &mut self.inflate {
            Some(inflate) => inflate.reset(false),
            None => self.inflate = Some(Decompress::new(false)),
        }
        self.state = State::Body;
        Ok(())
    }

    /// Inflates into `out`; returns 0 at the end of a member.
    fn body(&mut self, out: &mut [u8]) -> Result<usize, Stop> {
        loop {
            // Without input there may still be output that did not fit before.
            let filled = self.input.fill()?;
            let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
            let (read_before, written_before) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(self.input.unread(), out, FlushDecompress::None);
            let read = as_len(inflate.total_in() - read_before);
            let written = as_len(inflate.total_out() - written_before);
            self.input.consume(read);
            self.checksum.update(out.get(..written).unwrap_or_default());
            self.check_ratio(written).map_err(Stop::Content)?;
            match status {
                Ok(Status::StreamEnd) => {
                    self.state = State::Trailer;
                    return Ok(written);
                }
                Ok(_) if written > 0 => return Ok(written),
                Ok(_) if read > 0 => {}
                Ok(_) if filled == Filled::End => {
                    return Err(Stop::Content(GzipError::Truncated { at: self.input.consumed }));
                }
                // What was inflated before the broken place is good, and is returned first.
                Ok(_) | Err(_) => {
                    self.state = State::Failed(GzipError::Deflate { at: self.input.consumed });
                    return Ok(written);
                }
            }
        }
    }

    /// Refuses bombs.
    fn check_ratio(&mut self, written: usize) -> Result<(), GzipError> {
        self.inflated += written as u64;
        let (read, inflated) = (self.input.consumed, self.inflated);
        let allowed = self.limits.max_inflated.max(read.saturating_mul(self.limits.max_ratio));
        if inflated > allowed { Err(GzipError::Bomb { read, inflated }) } else { Ok(()) }
    }

    /// Checks a member's trailer and looks at what follows it.
    fn trailer(&mut self) -> Result<(), Stop> {
        let mut unused = Crc::new();
        let sum = u32::from_le_bytes(self.input.take(&mut unused)?);
        let length = u32::from_le_bytes(self.input.take(&mut unused)?);
        if sum != self.checksum.sum() || length != self.checksum.amount() {
            return Err(Stop::Content(GzipError::Checksum { at: self.input.consumed }));
        }
        if self.input.peek_two()? == Some(MAGIC) {
            return self.header();
        }
        while self.input.fill()? == Filled::Some {
            let zeros = self.input.unread().iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                return Err(Stop::Content(GzipError::TrailingGarbage { at: self.input.consumed }));
            }
            self.input.consume(zeros);
        }
        self.state = State::Ended;
        Ok(())
    }

    fn header_error(&self) -> Stop {
        Stop::Content(GzipError::Header { at: self.input.consumed })
    }
}

impl<R: Read> Read for Inflater<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.step(out).map_err(|stop| match stop {
            Stop::Content(error) => {
                self.state = State::Failed(error);
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            Stop::Source(error) => {
                self.state = State::SourceFailed(error.kind());
                error
            }
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Filled {
    Some,
    End,
}

impl<R: Read> Input<R> {
    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.consumed += bytes as u64;
    }

    /// Reads from the source unless there are unread bytes.
    fn fill(&mut self) -> Result<Filled, Stop> {
        if self.start < self.end {
            return Ok(Filled::Some);
        }
        self.start = 0;
        self.end = 0;
        self.read_more()
    }

    fn read_more(&mut self) -> Result<Filled, Stop> {
        if self.buffer.is_empty() {
            self.buffer.resize(INPUT_BYTES, 0);
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = read_uninterrupted(&mut self.source, free).map_err(Stop::Source)?;
        self.end += read;
        Ok(if read > 0 { Filled::Some } else { Filled::End })
    }

    /// Returns the next two bytes without consuming them, or nothing if there are fewer.
    fn peek_two(&mut self) -> Result<Option<[u8; 2]>, Stop> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < 2 {
            if self.read_more()? == Filled::End {
                return Ok(None);
            }
        }
        Ok(self.unread().first_chunk().copied())
    }

    /// Consumes the next `N` bytes of a header or a trailer.
    fn take<const N: usize>(&mut self, checksum: &mut Crc) -> Result<[u8; N], Stop> {
        let mut taken = [0; N];
        for byte in &mut taken {
            if self.fill()? == Filled::End {
                return Err(Stop::Content(GzipError::Truncated { at: self.consumed }));
            }
            *byte = self.unread().first().copied().unwrap_or_default();
            self.consume(1);
        }
        checksum.update(&taken);
        Ok(taken)
    }

    /// Reads bytes as they are: first what is buffered, then from the source without a copy.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = if self.start < self.end {
            self.unread().read(out)?
        } else {
            let read = read_uninterrupted(&mut self.source, out)?;
            self.start = 0;
            self.end = 0;
            self.consumed += read as u64;
            return Ok(read);
        };
        self.consume(read);
        Ok(read)
    }
}

fn read_uninterrupted(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A count of bytes inside a buffer fits in memory.
fn as_len(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
