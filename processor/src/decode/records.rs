//! Cuts the decompressed bytes of an object into records.
//!
//! One grammar covers every form that objects come in: JSON objects with white space or commas
//! between them, any number of which may stand in an array, on one line or on many. How much
//! white space and how many commas there are does not matter. Anything else is a bad record:
//!
//! - A value that is not an object is one bad record.
//! - What is not valid JSON ends at the end of its line, or where its brackets balance, or, inside
//!   an array, where the array goes on. So a broken line costs that line.
//! - A record that is too long or too deep is passed over to its end without being kept.
//! - A record that the object's end cuts off, and an array that is not closed, are bad records.
//!
//! What is inside a record is decided by the caller's [`Parse`].

use std::io::Read;

use memchr::memchr;

use super::{
    BadReason, DecodeError, Framing, MAX_OVERSIZED_SAMPLE, Options, Position, ResumePoint,
    extent::{Extent, LineRule, too_deep_at},
    gzip::{self, GzipError},
    window::{Grown, Window},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What stands at the beginning of some bytes; lengths are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A valid object of this length.
    Object(usize),
    /// A valid value of this length that is not an object. A number may go on after the bytes.
    Other(usize),
    /// A valid value of this length, nested too deep.
    TooDeep(usize),
    /// The beginning of a valid value.
    Incomplete,
    /// No valid value: the bytes are wrong before this offset.
    Invalid(usize),
}

/// Recognises a record.
pub(super) trait Parse {
    /// Says what stands at the beginning of `input`, which is not empty.
    fn parse(&mut self, input: &[u8]) -> Parsed;
}

/// A record; its bytes are at hand until the next one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) position: Position,
    pub(super) kind: FrameKind,
    bytes: FrameBytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A valid object.
    Record,
    /// Something else.
    Bad(BadReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameBytes {
    /// The last bytes consumed, as many as this.
    InWindow(usize),
    InSample,
}

/// Cuts an object into records.
#[derive(Debug)]
pub(super) struct Records<R> {
    window: Window<R>,
    max_record: usize,
    /// The place after the last record. Its offset is known to the window only, once begun.
    place: ResumePoint,
    begun: bool,
    /// The beginning of the last oversized record.
    sample: Vec<u8>,
}

/// Why a record is not a valid object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is not valid JSON before this offset.
    Invalid(usize),
    /// It does not end within the longest record allowed.
    Endless,
    /// The object ends inside it.
    CutOff,
}

impl<R: Read> Records<R> {
    /// Starts at `place`; the window is at the beginning of the object.
    pub(super) fn new(window: Window<R>, options: &Options, place: ResumePoint) -> Self {
        let max_record = options.limits.max_record.max(1);
        Self { window, max_record, place, begun: false, sample: Vec::new() }
    }

    /// Returns the next record, or nothing at the end of the object.
    pub(super) fn next(&mut self, parser: &mut impl Parse) -> Result<Option<Frame>, DecodeError> {
        if !self.begun {
            self.begin()?;
        }
        loop {
            let unread = self.window.unread();
            let separators = unread.iter().take_while(|byte| is_separator(**byte)).count();
            self.window.consume(separators);
            match (self.window.unread().first(), self.place.framing) {
                (None, _) => {
                    if self.window.grow()? == Grown::No {
                        return Ok(self.end());
                    }
                }
                (Some(b'['), Framing::Sequence) => self.enter(Framing::Array),
                (Some(b']'), Framing::Array) => self.enter(Framing::Sequence),
                (Some(&first), _) => return self.record(parser, first).map(Some),
            }
        }
    }

    /// Returns the bytes of the last record.
    pub(super) fn raw(&self, frame: &Frame) -> &[u8] {
        match frame.bytes {
            FrameBytes::InWindow(len) => self.window.consumed(len),
            FrameBytes::InSample => &self.sample,
        }
    }

    /// Returns the place after the last record.
    pub(super) fn place(&self) -> ResumePoint {
        if self.begun {
            ResumePoint { offset: self.window.offset(), ..self.place }
        } else {
            self.place
        }
    }

    /// Returns the source of the bytes.
    pub(super) fn window(&self) -> &Window<R> {
        &self.window
    }

    /// Goes to the first record.
    fn begin(&mut self) -> Result<(), DecodeError> {
        let wanted = BYTE_ORDER_MARK.len().max(gzip::MAGIC.len());
        while self.window.unread().len() < wanted && self.window.grow()? == Grown::Yes {}
        // The window has decompressed what was compressed, so this was compressed twice.
        if self.window.unread().starts_with(&gzip::MAGIC) {
            return Err(DecodeError::Gzip(GzipError::Nested));
        }
        if self.window.unread().starts_with(BYTE_ORDER_MARK) {
            self.window.consume(BYTE_ORDER_MARK.len());
        }
        while self.window.offset() < self.place.offset {
            let ahead =
                usize::try_from(self.place.offset - self.window.offset()).unwrap_or(usize::MAX);
            let unread = self.window.unread().len();
            self.window.consume(ahead.min(unread));
            if ahead > unread && self.window.grow()? == Grown::No {
                // The object is not the one that the place was taken from.
                self.place.framing = Framing::Sequence;
                break;
            }
        }
        self.begun = true;
        Ok(())
    }

    /// Reads the record that starts with the byte `first`.
    fn record(&mut self, parser: &mut impl Parse, first: u8) -> Result<Frame, DecodeError> {
        loop {
            let head = self.head();
            let is_capped = head.len() < self.window.unread().len();
            let fault = match parser.parse(head) {
                Parsed::Object(len) => return Ok(self.whole(FrameKind::Record, len)),
                Parsed::TooDeep(len) => {
                    return Ok(self.whole(FrameKind::Bad(BadReason::TooDeep), len));
                }
                Parsed::Other(len) if len < head.len() || (self.window.ended() && !is_capped) => {
                    return Ok(self.whole(FrameKind::Bad(BadReason::NotAnObject), len));
                }
                Parsed::Invalid(at) => Fault::Invalid(at),
                Parsed::Other(_) | Parsed::Incomplete if is_capped => Fault::Endless,
                Parsed::Other(_) | Parsed::Incomplete if self.window.ended() => Fault::CutOff,
                Parsed::Other(_) | Parsed::Incomplete => {
                    self.window.grow()?;
                    continue;
                }
            };
            return self.broken(first, fault);
        }
    }

    /// Returns the unread bytes that a record may consist of.
    ///
    /// What a record is found to be must not depend on how many more happen to be in the window.
    fn head(&self) -> &[u8] {
        let unread = self.window.unread();
        unread.get(..self.max_record).unwrap_or(unread)
    }

    /// Finds the end of a record that is not valid, and passes over it.
    fn broken(&mut self, first: u8, fault: Fault) -> Result<Frame, DecodeError> {
        let invalid = if first == b'{' { BadReason::Syntax } else { BadReason::NotAnObject };
        let (mut reason, line_rule) = self.judge(fault, invalid);
        let mut extent = Extent::new(self.place.framing, line_rule, first);
        let max_record = self.max_record;
        let offset = self.window.offset();
        let mut seen = 0;
        let is_cut_off = loop {
            let unread = self.window.unread();
            if let Some(more) = extent.feed(unread.get(seen..).unwrap_or_default()) {
                seen += more;
                break false;
            }
            seen = unread.len();
            if self.window.offset() > offset || seen > max_record {
                self.pass_over(seen, offset);
                seen = 0;
            }
            if self.window.grow()? == Grown::No {
                break true;
            }
        };
        let passed_over = self.window.offset() - offset;
        let (len, bytes) = if passed_over + seen as u64 > max_record as u64 {
            self.pass_over(seen, offset);
            reason = if reason == BadReason::TooDeep { reason } else { BadReason::Oversized };
            (passed_over + seen as u64, FrameBytes::InSample)
        } else {
            // The end of its last line is not part of a record.
            let unread = self.window.unread().get(..seen).unwrap_or_default();
            let len = unread.strip_suffix(b"\n").unwrap_or(unread).len();
            self.window.consume(len);
            (len as u64, FrameBytes::InWindow(len))
        };
        match (reason, is_cut_off) {
            // One report for the record and the array around it.
            (BadReason::Truncated, true) => self.place.framing = Framing::Sequence,
            (BadReason::Truncated, false) => reason = invalid,
            _ => {}
        }
        Ok(self.frame(
            FrameKind::Bad(reason),
            Position { index: self.place.record, offset, len },
            bytes,
        ))
    }

    /// Says what is wrong with a record, and how to find its end.
    fn judge(&self, fault: Fault, invalid: BadReason) -> (BadReason, LineRule) {
        let head = self.head();
        let valid = match fault {
            Fault::Invalid(at) => head.get(..at).unwrap_or(head),
            Fault::Endless | Fault::CutOff => head,
        };
        let spans_lines =
            |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| memchr(b'\n', bytes).is_some());
        if let Some(deep_at) = too_deep_at(valid) {
            let is_one_line = !spans_lines(valid.get(..deep_at));
            return (
                BadReason::TooDeep,
                if is_one_line { LineRule::EndOfLine } else { LineRule::Ignore },
            );
        }
        match fault {
            Fault::Invalid(_) => (invalid, LineRule::EndOfLine),
            Fault::Endless if spans_lines(Some(head)) => {
                (BadReason::Oversized, LineRule::NextRecordLine)
            }
            Fault::Endless => (BadReason::Oversized, LineRule::EndOfLine),
            Fault::CutOff => (BadReason::Truncated, LineRule::NextRecordLine),
        }
    }

    /// Consumes bytes of an oversized record that starts at `offset`, keeping its beginning.
    fn pass_over(&mut self, bytes: usize, offset: u64) {
        if self.window.offset() == offset {
            self.sample.clear();
        }
        let kept = bytes.min(MAX_OVERSIZED_SAMPLE - self.sample.len());
        self.sample.extend_from_slice(self.window.unread().get(..kept).unwrap_or_default());
        self.window.consume(bytes);
    }

    /// Consumes a record that the parser has found to be a valid value.
    fn whole(&mut self, kind: FrameKind, len: usize) -> Frame {
        let position =
            Position { index: self.place.record, offset: self.window.offset(), len: len as u64 };
        self.window.consume(len);
        self.frame(kind, position, FrameBytes::InWindow(len))
    }

    fn end(&mut self) -> Option<Frame> {
        if self.place.framing == Framing::Sequence {
            return None;
        }
        self.place.framing = Framing::Sequence;
        let position = Position { index: self.place.record, offset: self.window.offset(), len: 0 };
        Some(self.frame(
            FrameKind::Bad(BadReason::UnclosedArray),
            position,
            FrameBytes::InWindow(0),
        ))
    }

    fn frame(&mut self, kind: FrameKind, position: Position, bytes: FrameBytes) -> Frame {
        self.place.record += 1;
        Frame { position, kind, bytes }
    }

    /// Enters or leaves an array.
    fn enter(&mut self, framing: Framing) {
        self.place.framing = framing;
        self.window.consume(1);
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::plain;

    /// Counts the bytes that it is given.
    struct Counting(usize);

    impl Parse for Counting {
        fn parse(&mut self, input: &[u8]) -> Parsed {
            self.0 += input.len();
            plain::boundary(input)
        }
    }

    #[test]
    fn a_long_record_is_parsed_over_a_few_times_its_length() {
        let record = format!(r#"{{"message":"{}"}}"#, "x".repeat(1 << 20));
        let options = Options::default();
        let window = Window::with_read_bytes(record.as_bytes(), &options, 1024);
        let mut records = Records::new(window, &options, ResumePoint::default());
        let mut parser = Counting(0);
        let frame = records.next(&mut parser).unwrap().unwrap();
        assert_eq!(frame.kind, FrameKind::Record);
        assert!(parser.0 < 4 * record.len(), "{} bytes", parser.0);
    }
}
