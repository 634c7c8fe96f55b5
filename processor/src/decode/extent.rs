//! Where a record ends that is not valid JSON, and how deep a record is nested.
//!
//! Quotes are respected, brackets are counted, and nothing else is asked of the bytes.

use memchr::memchr2_iter;

use super::{Framing, MAX_DEPTH};

/// What ends a broken record besides the balance of its brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineRule {
    /// The end of its line.
    EndOfLine,
    /// A line that starts with `{`: the record itself spans lines.
    NextRecordLine,
    /// Nothing: the record spans lines, and any of them may start with `{`.
    Ignore,
}

/// Finds the end of a broken record in bytes that arrive in pieces.
#[derive(Debug)]
pub(super) struct Extent {
    framing: Framing,
    line_rule: LineRule,
    shape: Shape,
    started: bool,
    braces: u64,
    brackets: u64,
    string: InString,
    previous: u8,
}

/// What a record starts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Object,
    Array,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InString {
    No,
    Yes,
    /// After a backslash.
    Escape,
}

impl Extent {
    /// Looks for the end of a record that starts with the byte `first`.
    pub(super) fn new(framing: Framing, line_rule: LineRule, first: u8) -> Self {
        Self {
            framing,
            line_rule,
            shape: match first {
                b'{' => Shape::Object,
                b'[' => Shape::Array,
                _ => Shape::Other,
            },
            started: false,
            braces: 0,
            brackets: 0,
            string: InString::No,
            previous: b' ',
        }
    }

    /// Returns the record's length within `bytes`, or nothing if it goes on after them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|&byte| self.ends_before(byte))
    }

    /// Whether the record ends before `byte`. A record is at least one byte long.
    fn ends_before(&mut self, byte: u8) -> bool {
        let balanced = self.braces == 0 && self.brackets == 0 && self.string == InString::No;
        let ends = self.started
            && ((balanced && self.ends_when_balanced(byte))
                || self.ends_at_line(byte)
                || self.closes_outer(byte));
        self.started = true;
        self.previous = byte;
        if !ends {
            self.count(byte);
        }
        ends
    }

    fn ends_when_balanced(&self, byte: u8) -> bool {
        self.shape != Shape::Other
            || (self.framing == Framing::Array && matches!(byte, b',' | b']'))
    }

    fn ends_at_line(&self, byte: u8) -> bool {
        if self.string != InString::No {
            return byte == b'\n';
        }
        match self.line_rule {
            LineRule::EndOfLine => byte == b'\n',
            LineRule::NextRecordLine => self.previous == b'\n' && byte == b'{',
            LineRule::Ignore => false,
        }
    }

    /// Whether a `]` closes the array around the record.
    fn closes_outer(&self, byte: u8) -> bool {
        byte == b']'
            && self.framing == Framing::Array
            && self.brackets == 0
            && self.string == InString::No
    }

    fn count(&mut self, byte: u8) {
        let is_text = self.string != InString::No;
        self.string = self.string.after(byte);
        match byte {
            _ if is_text => {}
            b'{' => self.braces += 1,
            b'}' => self.braces = self.braces.saturating_sub(1),
            b'[' => self.brackets += 1,
            b']' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        // The last closing brace also closes brackets that were opened inside and forgotten.
        if self.shape == Shape::Object && byte == b'}' && self.braces == 0 {
            self.brackets = 0;
        }
    }
}

impl InString {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Yes, b'\\') => Self::Escape,
            (Self::Yes, b'"') => Self::No,
            (Self::Yes | Self::Escape, _) | (Self::No, b'"') => Self::Yes,
            (Self::No, _) => Self::No,
        }
    }
}

/// Returns where valid JSON becomes nested deeper than [`MAX_DEPTH`].
///
/// `bytes` are valid JSON or the beginning of it.
pub(super) fn too_deep_at(bytes: &[u8]) -> Option<usize> {
    // Most records have few brackets, even counting those inside strings.
    memchr2_iter(b'{', b'[', bytes).nth(MAX_DEPTH)?;
    let mut depth = 0_usize;
    let mut string = InString::No;
    for (at, &byte) in bytes.iter().enumerate() {
        match (string, byte) {
            (InString::No, b'{' | b'[') if depth == MAX_DEPTH => return Some(at),
            (InString::No, b'{' | b'[') => depth += 1,
            (InString::No, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        string = string.after(byte);
    }
    None
}
