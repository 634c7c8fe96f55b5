//! What must hold for any bytes. Each function takes an input as a fuzzer gives it, and panics when something is wrong.

use std::io::{self, Read, Write as _};

use mtlog_processor::{
    decode::{Counters, DecodeError, Decoded, Decoder, Limits, Options, Reading, ResumePoint},
    model::{
        key::{KeyPrefix, LogObject},
        notification::{Content, Notification},
        progress::Continuation,
    },
};

/// Pieces of notifications and records.
pub(crate) const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "\n",
    "\r\n",
    "null",
    "-1",
    "1e400",
    "\\u0000",
    "\\ud800",
    "\"Records\":",
    "\"Message\":",
    "\"s3\":",
    "\"key\":",
    "%2F",
    "%zz",
    "..",
    "//",
    "\"processing_metadata\":",
    "\"message\":",
    "\"timestamp\":",
    "\u{feff}",
    "[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
];
/// Pieces of keys.
pub(crate) const KEY_WORDS: &[&str] =
    &["/", "//", "..", ".", " ", "%2F", "+", "é", "\0", "logs/", "acme", "ACME", "-", "a/b/c/d/e"];
/// Pieces of timestamps.
pub(crate) const TIME_WORDS: &[&str] = &[
    "2026",
    "-",
    ":",
    "T",
    "Z",
    "+05:30",
    ".",
    "0",
    "999999999",
    "\"",
    "e5",
    "null",
    " ",
    "60",
    "18446744073709551616",
    "00:00:00",
];
/// Pieces of gzip members.
pub(crate) const GZIP_WORDS: &[&str] =
    &["\u{1f}", "\u{8}", "\0\0\0\0", "\u{ff}", "{\"message\":\"x\"}\n", "BC\u{2}\0"];

/// Buffers for reading and inflating, and copies of one record of [`LIMITS`], whatever the length of the input.
const MOST_BUFFERED: usize = 768 * 1024;
const FALLBACK_MS: i64 = 1_795_426_893_123;
/// The last millisecond of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;
/// Small, so that inputs of a few kilobytes reach every bound.
const LIMITS: Limits = Limits { max_record: 4096, max_inflated: 32 * 1024, max_ratio: 20 };

/// A body is a notification or an error, and each of its records stands in a body of its own.
pub(crate) fn envelope(input: &[u8]) {
    let body = String::from_utf8_lossy(input);
    let Ok(notification) = Notification::parse(&body) else { return };
    for entry in &notification.entries {
        let alone = Notification::parse(&entry.body).expect("the body of one record is readable");
        assert!(alone.entries.len() <= 1, "{}", entry.body);
        if let (Content::Created(object), Some(again)) = (&entry.content, alone.entries.first()) {
            let Content::Created(same) = &again.content else { panic!("{}", entry.body) };
            assert_eq!((&object.bucket, &object.key), (&same.bucket, &same.key));
            key(object.key.as_bytes());
        }
    }
    let continuation = Continuation { hops: 3, ..notification.continuation.unwrap_or_default() };
    if let Some(attached) = continuation.attach(&body) {
        let again = Notification::parse(&attached).expect("a continued message is readable");
        assert_eq!(again.entries.len(), notification.entries.len());
        assert_eq!(again.continuation.map(|found| found.hops), Some(3));
    }
}

/// A key that is in the layout is made of its parts again.
pub(crate) fn key(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for prefix in ["", "logs/"] {
        let prefix: KeyPrefix = prefix.parse().unwrap();
        if let Ok(log) = LogObject::parse(&text, &prefix) {
            assert_eq!(log.key(&prefix), text);
            for part in [log.application.as_str(), &log.pod, log.tenant.as_str()] {
                assert!(!part.trim().is_empty() && part != "." && part != "..", "{text}");
            }
        }
    }
}

/// A record's time is one that CloudWatch Logs takes.
pub(crate) fn timestamp(input: &[u8]) {
    let record = [br#"{"message":"x","timestamp":"#, input, b"}"].concat();
    splitter(&record);
}

/// Both ways to read say the same, every record is accounted for, and reading goes on from any place between two.
pub(crate) fn splitter(input: &[u8]) {
    let fast = read(input, Reading::Fast, ResumePoint::default());
    let plain = read(input, Reading::Plain, ResumePoint::default());
    assert_eq!(fast.seen, plain.seen);
    assert_eq!(fast.counters.records, fast.counters.events + fast.counters.bad);
    let middle = fast.seen.len() / 2;
    if fast.error.is_none() && middle > 0 {
        let rest = read(input, Reading::Fast, fast.places[middle - 1]);
        assert_eq!(rest.seen, fast.seen[middle..]);
    }
}

/// Compressed bytes end within their limits, and what is compressed whole is read like the same bytes plain.
pub(crate) fn gzip(input: &[u8]) {
    let found = read(input, Reading::Fast, ResumePoint::default());
    // The bound is looked at once for each buffer of 64 KiB.
    let most = LIMITS.max_inflated.max(LIMITS.max_ratio * input.len() as u64) + 128 * 1024;
    assert!(found.counters.bytes_inflated <= most, "{} bytes", found.counters.bytes_inflated);
    if !input.starts_with(&[0x1f, 0x8b]) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(input).unwrap();
        let packed = read(&encoder.finish().unwrap(), Reading::Fast, ResumePoint::default());
        // A text that is mostly the same byte may look like a bomb.
        if packed.error.is_none() {
            assert_eq!(packed.seen, found.seen);
        }
    }
}

/// What reading found.
struct Found {
    seen: Vec<String>,
    /// Where to go on after each of them.
    places: Vec<ResumePoint>,
    counters: Counters,
    error: Option<DecodeError>,
}

fn read(input: &[u8], reading: Reading, from: ResumePoint) -> Found {
    let options = Options { limits: LIMITS, fallback_timestamp_ms: FALLBACK_MS, reading };
    let mut decoder = Decoder::resume(Drops(input), options, from);
    let (mut seen, mut places) = (Vec::new(), Vec::new());
    let error = loop {
        match decoder.next() {
            Ok(Some(Decoded::Event(event))) => {
                assert!((0..=LAST_MS).contains(&event.timestamp_ms), "{}", event.timestamp_ms);
                let text = event.message.text();
                assert!(!text.is_empty());
                seen.push(format!("{} {text}", event.timestamp_ms));
            }
            Ok(Some(Decoded::Bad(bad))) => {
                seen.push(format!("bad at {}: {}", bad.position.offset, bad.reason));
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        places.push(decoder.resume_point());
        assert!(decoder.buffered() <= MOST_BUFFERED, "{} bytes held", decoder.buffered());
    };
    Found { seen, places, counters: decoder.counters(), error }
}

/// Gives out bytes in pieces of odd sizes, as a connection does.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.0.len() / 3 + 1).min(997).min(buffer.len());
        self.0.take(count as u64).read(buffer).inspect(|count| self.0 = &self.0[*count..])
    }
}
