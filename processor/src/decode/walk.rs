//! One strict pass over a record that finds its members and its values.
//!
//! It knows valid records only: anything it is not sure of is nothing to it, and is left to
//! [`plain`](super::plain).

use std::ops::Range;

use super::{MAX_DEPTH, json};

/// Objects of more members are left to `plain`, so that a layout stays small.
const MAX_MEMBERS: usize = 256;

/// How many values are noted. A layout with as many is not whole.
pub(super) const MAX_SCALARS: usize = 512;

/// Where the parts of an object stand, as ranges of its bytes.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Its members, not those of objects inside it.
    pub(super) members: Vec<Member>,
    /// The strings and numbers in it that are values, at any depth, in their order.
    pub(super) scalars: Vec<Range<usize>>,
}

/// A member of an object, as ranges of the object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The inside of the key.
    pub(super) key: Range<usize>,
    /// The JSON text of the value.
    pub(super) value: Range<usize>,
}

/// Returns the length of the object at the beginning of `input`, and fills in its layout.
///
/// Bytes that are not UTF-8 are accepted inside strings; the caller checks them.
pub(super) fn walk(input: &[u8], layout: &mut Layout) -> Option<usize> {
    layout.members.clear();
    layout.scalars.clear();
    let mut cursor = Cursor { bytes: input, at: 0, scalars: &mut layout.scalars };
    cursor.object(MAX_DEPTH - 1, |key, value| {
        layout.members.push(Member { key, value });
        (layout.members.len() <= MAX_MEMBERS).then_some(())
    })?;
    Some(cursor.at)
}

impl Layout {
    /// Returns the memory held for data, in bytes.
    pub(super) fn buffered(&self) -> usize {
        self.members.capacity() * size_of::<Member>()
            + self.scalars.capacity() * size_of::<Range<usize>>()
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    scalars: &'a mut Vec<Range<usize>>,
}

impl Cursor<'_> {
    /// Passes an object, calling `member` for each of its members, which may stop it.
    ///
    /// Objects and arrays inside it may be nested `depth_left` levels deep.
    fn object(
        &mut self,
        depth_left: usize,
        mut member: impl FnMut(Range<usize>, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        self.white_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let key = self.string_body()?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            let start = self.at;
            self.value(depth_left)?;
            member(key, start..self.at)?;
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
        let start = self.at;
        match self.peek()? {
            b'{' => return self.object(depth_left.checked_sub(1)?, |_, _| Some(())),
            b'[' => return self.array(depth_left.checked_sub(1)?),
            b't' => return self.word(b"true"),
            b'f' => return self.word(b"false"),
            b'n' => return self.word(b"null"),
            b'"' => {
                self.at += 1;
                self.string_body()?;
            }
            _ => self.at += json::number_len(self.rest())?,
        }
        if self.scalars.len() < MAX_SCALARS {
            self.scalars.push(start..self.at);
        }
        Some(())
    }

    /// Passes a string after its opening quote, and returns where its inside stands.
    fn string_body(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let len = json::string_body(self.rest())?.len;
        self.at += len + 1;
        Some(start..start + len)
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
