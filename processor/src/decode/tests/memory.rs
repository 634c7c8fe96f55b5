//! Memory depends on the limits and not on the object.

use super::*;

/// Repeats some bytes, after others.
struct Endless {
    head: &'static [u8],
    pattern: Vec<u8>,
    left: u64,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(out);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let read = self.pattern[self.at..].as_ref().read(&mut out[..wanted])?;
        self.at = (self.at + read) % self.pattern.len();
        self.left -= read as u64;
        Ok(read)
    }
}

/// Decodes a large object and returns its counters.
fn check(head: &'static [u8], pattern: &str, bytes: u64, most: usize) -> Counters {
    let source = Endless { head, pattern: pattern.as_bytes().to_vec(), left: bytes, at: 0 };
    let limits = Limits { max_record: 1 << 20, ..Limits::default() };
    let mut decoder = Decoder::new(source, options(limits, Reading::Fast));
    let mut largest = 0;
    while decoder.next().unwrap().is_some() {
        largest = largest.max(decoder.buffered());
    }
    assert!(largest <= most, "{largest} bytes are held");
    decoder.counters()
}

const READ: usize = 256 << 10;
const SLACK: usize = 32 << 10;

#[test]
fn small_records_need_one_read_buffer_at_any_object_size() {
    let record =
        format!(r#"{{"message":"{}","timestamp":"2026-11-23T09:41:33Z"}},"#, "x".repeat(1500));
    for head in [&b"["[..], b""] {
        let counters = check(head, &record, 40 << 20, READ + (64 << 10) + SLACK);
        assert!(counters.events > 25_000);
    }
}

#[test]
fn an_endless_record_needs_the_record_limit_and_one_read_buffer() {
    for head in [&b"{\"message\":\""[..], b"[{\"a\":\n\"", b"[", b"text", b"{\"a\":[\n"] {
        let counters = check(head, "1,", 8 << 20, (1 << 20) + READ + (64 << 10) + SLACK);
        assert!(counters.bad > 0);
    }
    let counters =
        check(b"{\"message\":", r#"{"a":"#, 8 << 20, (1 << 20) + READ + (64 << 10) + SLACK);
    assert_eq!((counters.records, counters.bad), (1, 1));
}
