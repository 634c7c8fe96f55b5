//! JSON strings and numbers as bytes (RFC 8259, sections 6 and 7).

use std::borrow::Cow;

use memchr::memchr;
use wide::u8x16;

/// What replaces a surrogate without a partner.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The beginning of some bytes, read as the inside of a JSON string up to its closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StringBody {
    /// Bytes before the closing quote.
    pub(super) len: usize,
    /// Bytes of the text that it stands for.
    pub(super) text_len: usize,
    /// Whether it has escapes, and of what kind.
    pub(super) escapes: Escapes,
    /// Whether all bytes before the closing quote are ASCII.
    pub(super) is_ascii: bool,
}

/// The escapes in a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// There are none: the string is its text.
    None,
    /// There are some, and none is half of a UTF-16 pair.
    Simple,
    /// At least one is half of a UTF-16 pair; `text_len` is not exact.
    Surrogates,
}

/// Part of the text of a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
    /// Half of a UTF-16 pair without the other half.
    LoneSurrogate,
}

/// Reads a JSON string after its opening quote; nothing if it is not valid or has no end.
///
/// Bytes that are not UTF-8 are accepted; the caller checks what is not ASCII.
pub(super) fn string_body(bytes: &[u8]) -> Option<StringBody> {
    let mut body = StringBody { len: 0, text_len: 0, escapes: Escapes::None, is_ascii: true };
    // What escapes take beyond the text that they stand for.
    let mut spared = 0;
    loop {
        let rest = bytes.get(body.len..)?;
        let Marks { mut special, not_ascii } = match rest.first_chunk() {
            Some(block) => marks(block),
            // Behind the end stand zeros, which no string may hold.
            None => marks(&padded(rest)),
        };
        let passed = loop {
            let at = special.trailing_zeros() as usize;
            if at == BLOCK {
                body.is_ascii &= not_ascii == 0;
                break BLOCK;
            }
            match rest.get(at)? {
                b'"' => {
                    body.is_ascii &= not_ascii & !(u64::MAX << at) == 0;
                    body.len += at;
                    body.text_len = body.len - spared;
                    return Some(body);
                }
                b'\\' => {}
                _ => return None,
            }
            if body.escapes == Escapes::None {
                body.escapes = Escapes::Simple;
            }
            let end = match rest.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                    spared += 1;
                    at + 2
                }
                b'u' => {
                    spared += 6 - match hex_unit(rest.get(at + 2..at + 6)?)? {
                        0xd800..=0xdfff => {
                            body.escapes = Escapes::Surrogates;
                            0
                        }
                        0..0x80 => 1,
                        0x80..0x800 => 2,
                        _ => 3,
                    };
                    at + 6
                }
                _ => return None,
            };
            if end >= BLOCK {
                body.is_ascii &= not_ascii == 0;
                break end;
            }
            special &= u64::MAX << end;
        };
        body.len += passed;
    }
}

/// Returns the length of the JSON number at the beginning of `bytes`, if there is one.
pub(super) fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| -> usize {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut len = usize::from(bytes.first() == Some(&b'-'));
    len += match bytes.get(len)? {
        b'0' => 1,
        b'1'..=b'9' => digits(len),
        _ => return None,
    };
    if bytes.get(len) == Some(&b'.') {
        let fraction = digits(len + 1);
        if fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(len) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        if exponent == 0 {
            return None;
        }
        len += 1 + sign + exponent;
    }
    Some(len)
}

/// Returns the length in UTF-8 of the text of a JSON string, if every surrogate has its partner.
///
/// `body` is the valid inside of a JSON string.
pub(super) fn text_len(body: &str) -> Option<usize> {
    let mut len = Some(0);
    for_each_piece(body, |piece| {
        len = match piece {
            Piece::Plain(text) => len.map(|len| len + text.len()),
            Piece::Escaped(character) => len.map(|len| len + character.len_utf8()),
            Piece::LoneSurrogate => None,
        };
    });
    len
}

/// Returns the text of a JSON string, with U+FFFD for each surrogate without a partner.
///
/// `body` is the valid inside of a JSON string.
pub(super) fn text(body: &str) -> Cow<'_, str> {
    if memchr(b'\\', body.as_bytes()).is_none() {
        return Cow::Borrowed(body);
    }
    let mut text = String::with_capacity(body.len());
    push_text(body, &mut text);
    Cow::Owned(text)
}

/// Appends the text of a JSON string, with U+FFFD for each surrogate without a partner.
///
/// `body` is the valid inside of a JSON string.
pub(super) fn push_text(body: &str, out: &mut String) {
    for_each_piece(body, |piece| match piece {
        Piece::Plain(text) => out.push_str(text),
        Piece::Escaped(character) => out.push(character),
        Piece::LoneSurrogate => out.push(REPLACEMENT),
    });
}

/// Appends a text, in UTF-8, as the inside of a JSON string.
pub(super) fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at_checked(plain_len(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            return;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(byte >> 4),
                    digit(byte & 15),
                ]);
            }
        }
        rest = after;
    }
}

/// Returns how many bytes there are before the first quote, backslash or control character.
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let special = marks(block).special;
        if special != 0 {
            return index * BLOCK + special.trailing_zeros() as usize;
        }
    }
    let special = marks(&padded(tail)).special;
    blocks.len() * BLOCK + special.trailing_zeros() as usize
}

/// How many bytes are looked at together.
const BLOCK: usize = 64;

/// One bit for each byte of a block, the first byte's the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    /// The byte is a quote, a backslash or a control character.
    special: u64,
    not_ascii: u64,
}

/// Returns a block of what is shorter than one, with zeros behind it.
fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = *from;
    }
    block
}

/// Marks the bytes of a block, sixteen at a time.
fn marks(block: &[u8; BLOCK]) -> Marks {
    let mut marks = Marks { special: 0, not_ascii: 0 };
    let (lanes, _) = block.as_chunks::<16>();
    for (index, lane) in lanes.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let is_control = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
        let is_quote = lane.simd_eq(u8x16::splat(b'"'));
        let is_backslash = lane.simd_eq(u8x16::splat(b'\\'));
        let special = is_control | is_quote | is_backslash;
        marks.special |= u64::from(special.to_bitmask()) << (16 * index);
        marks.not_ascii |= u64::from(lane.to_bitmask()) << (16 * index);
    }
    marks
}

fn for_each_piece<'a>(body: &'a str, mut visit: impl FnMut(Piece<'a>)) {
    let mut rest = body;
    while let Some((plain, escape)) = rest.split_once('\\') {
        if !plain.is_empty() {
            visit(Piece::Plain(plain));
        }
        let mut characters = escape.chars();
        let kind = characters.next();
        rest = characters.as_str();
        visit(match kind {
            Some('b') => Piece::Escaped('\u{8}'),
            Some('f') => Piece::Escaped('\u{c}'),
            Some('n') => Piece::Escaped('\n'),
            Some('r') => Piece::Escaped('\r'),
            Some('t') => Piece::Escaped('\t'),
            Some('u') => {
                let (piece, after) = unicode_escape(rest);
                rest = after;
                piece
            }
            Some(character) => Piece::Escaped(character),
            None => return,
        });
    }
    if !rest.is_empty() {
        visit(Piece::Plain(rest));
    }
}

/// Reads the digits after `\u`, and the second half of a pair.
fn unicode_escape(digits: &str) -> (Piece<'_>, &str) {
    let Some((unit, after)) = take_unit(digits) else {
        return (Piece::LoneSurrogate, digits);
    };
    if let Some(character) = char::from_u32(unit) {
        return (Piece::Escaped(character), after);
    }
    let partner = after.strip_prefix("\\u").and_then(take_unit);
    match partner {
        Some((low @ 0xdc00..=0xdfff, after_pair)) if unit < 0xdc00 => {
            let scalar = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(scalar).map_or(Piece::LoneSurrogate, Piece::Escaped), after_pair)
        }
        _ => (Piece::LoneSurrogate, after),
    }
}

fn take_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    Some((hex_unit(digits.as_bytes())?, after))
}

/// Returns the value of four hexadecimal digits.
fn hex_unit(digits: &[u8]) -> Option<u32> {
    let mut unit = 0;
    for &digit in digits {
        unit = unit * 16 + char::from(digit).to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn strings() -> impl Strategy<Value = String> {
        let pieces = vec![
            "\\",
            "\"",
            "n",
            "u",
            "0041",
            "\\u0041",
            "\\ud83d",
            "\\ude00",
            "\\uDBFF",
            "\\uDC00",
            "\\/",
            "é",
            "\u{1f600}",
            "\u{1}",
            "abcdefgh",
        ];
        prop_oneof![vec(select(pieces), 0..8).prop_map(|pieces| pieces.concat()), any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_string_is_read_as_serde_json_reads_it(body in strings()) {
            let closed = format!("{body}\"");
            let quoted = format!("\"{closed}");
            let mut values = serde_json::Deserializer::from_str(&quoted).into_iter::<String>();
            let expected = values.next().and_then(Result::ok).map(|text| (values.byte_offset() - 2, text));
            let found = string_body(closed.as_bytes());
            if let Some((len, expected)) = expected {
                let found = found.unwrap();
                let body = closed.get(..len).unwrap();
                prop_assert_eq!(found.len, len);
                prop_assert_eq!(&*text(body), expected.as_str());
                prop_assert_eq!(text_len(body), Some(expected.len()));
                prop_assert_eq!(found.escapes == Escapes::None, expected == body);
                prop_assert_eq!(found.is_ascii, body.is_ascii());
                if found.escapes != Escapes::Surrogates {
                    prop_assert_eq!(found.text_len, expected.len());
                }
            } else if let Some(found) = found {
                // `serde_json` refuses a lone surrogate in a text.
                let body = closed.get(..found.len).unwrap();
                prop_assert_eq!(found.escapes, Escapes::Surrogates);
                prop_assert_eq!(text_len(body), None);
                let is_replaced = text(body).contains(REPLACEMENT);
                prop_assert!(is_replaced);
            }
        }

        #[test]
        fn an_escaped_text_is_the_text_again(original in any::<String>()) {
            let mut json = Vec::new();
            push_escaped(original.as_bytes(), &mut json);
            let json = String::from_utf8(json).unwrap();
            prop_assert_eq!(text(&json), original.as_str());
            prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{json}\"")).unwrap(), original);
        }

        #[test]
        fn a_number_is_as_long_as_serde_json_finds_it(number in "-?[0-9.eE+-]{0,8}", after in select(vec!["", ",", "}", " "])) {
            let input = format!("{number}{after}");
            let mut values = serde_json::Deserializer::from_str(&input).into_iter::<serde::de::IgnoredAny>();
            let expected = values.next().and_then(Result::ok).map(|_| values.byte_offset());
            let found = number_len(input.as_bytes()).filter(|&len| len == number.len());
            prop_assert_eq!(found, expected.filter(|&len| len == number.len()));
        }

        #[test]
        fn a_block_is_marked_where_its_bytes_are_special(bytes in vec(any::<u8>(), BLOCK)) {
            let block: &[u8; BLOCK] = bytes.first_chunk().unwrap();
            let mut expected = Marks { special: 0, not_ascii: 0 };
            for (at, byte) in bytes.iter().enumerate() {
                let is_special = *byte < 0x20 || *byte == b'"' || *byte == b'\\';
                expected.special |= u64::from(is_special) << at;
                expected.not_ascii |= u64::from(!byte.is_ascii()) << at;
            }
            prop_assert_eq!(marks(block), expected);
        }

        #[test]
        fn plain_bytes_end_at_the_first_special_one(bytes in vec(prop_oneof![1 => any::<u8>(), 30 => b' '..b'z'], 0..300)) {
            let expected = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(plain_len(&bytes), expected.unwrap_or(bytes.len()));
        }
    }
}
