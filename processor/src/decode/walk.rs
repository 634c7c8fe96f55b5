//! One strict pass over a record that finds its members.
//!
//! It knows valid records only: anything it is not sure of is nothing to it, and is left to
//! [`plain`](super::plain).

use std::ops::Range;

use super::{MAX_DEPTH, json};

/// A member of an object, as ranges of the object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The inside of the key, which has no escapes.
    pub(super) key: Range<usize>,
    /// The JSON text of the value.
    pub(super) value: Range<usize>,
}

/// Returns the length of the object at the beginning of `input`, and fills in its members.
///
/// Bytes that are not UTF-8 are accepted inside strings; the caller checks them.
pub(super) fn walk(input: &[u8], members: &mut Vec<Member>) -> Option<usize> {
    members.clear();
    let mut cursor = Cursor { bytes: input, at: 0 };
    cursor.object(MAX_DEPTH - 1, |key, value| members.push(Member { key, value }))?;
    Some(cursor.at)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Passes an object, calling `member` for each of its members whose key has no escapes.
    ///
    /// Objects and arrays inside it may be nested `depth_left` levels deep.
    fn object(
        &mut self,
        depth_left: usize,
        mut member: impl FnMut(Range<usize>, Range<usize>),
    ) -> Option<()> {
        self.expect(b'{')?;
        self.white_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.key()?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            let start = self.at;
            self.value(depth_left)?;
            member(key, start..self.at);
            self.white_space();
            match self.next()? {
                b',' => self.white_space(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth_left: usize) -> Option<()> {
        self.expect(b'[')?;
        self.white_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth_left)?;
            self.white_space();
            match self.next()? {
                b',' => self.white_space(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.at += json::string_body(self.rest())?.len + 1;
                Some(())
            }
            b'{' => self.object(depth_left.checked_sub(1)?, |_, _| {}),
            b'[' => self.array(depth_left.checked_sub(1)?),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => {
                self.at += json::number_len(self.rest())?;
                Some(())
            }
        }
    }

    fn key(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        let body = json::string_body(self.rest())?;
        self.at += body.len + 1;
        (body.escapes == json::Escapes::None).then_some(start..start + body.len)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest().starts_with(word).then(|| self.at += word.len())
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}
