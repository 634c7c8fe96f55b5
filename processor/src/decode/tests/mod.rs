//! The decoder as its callers see it.
//!
//! Every input of these tests is decoded in both ways to read records and with chunk boundaries
//! in many places, and must give the same result each time.

use std::io::{self, Read};

use super::*;

mod differential;
mod framing;
mod gzip;
mod meaning;
mod memory;
mod predecessor;
mod resuming;

/// A decoded record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Event {
        position: Position,
        timestamp_ms: i64,
        timestamp_source: TimestampSource,
        text: String,
        source: MessageSource,
        raw: Vec<u8>,
    },
    Bad {
        position: Position,
        reason: BadReason,
        raw: Vec<u8>,
    },
}

/// All that a decoder says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    seen: Vec<Seen>,
    counters: Counters,
    error: Option<GzipError>,
    end: ResumePoint,
}

const FALLBACK: i64 = 4_242;

/// Gives at most so many bytes at once.
struct Trickle<'a> {
    bytes: &'a [u8],
    at_once: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = self.at_once.min(out.len());
        self.bytes.read(out.get_mut(..wanted).unwrap_or_default())
    }
}

fn options(limits: Limits, reading: Reading) -> Options {
    Options { limits, fallback_timestamp_ms: FALLBACK, reading }
}

/// Decodes an object in every way; they must agree.
fn decode(object: &[u8], limits: Limits) -> Outcome {
    let expected = decode_once(object, limits, Reading::Plain, 256 << 10, usize::MAX);
    for (reading, read_bytes, at_once) in [
        (Reading::Fast, 256 << 10, usize::MAX),
        (Reading::Fast, 1, 1),
        (Reading::Fast, 3, usize::MAX),
        (Reading::Fast, 61, 7),
        (Reading::Plain, 2, 1),
        (Reading::Plain, 17, usize::MAX),
    ] {
        let mut outcome = decode_once(object, limits, reading, read_bytes, at_once);
        outcome.counters.compared = 0;
        assert_eq!(outcome, expected, "{reading:?}, chunks of {read_bytes} and {at_once}");
    }
    expected
}

fn decode_once(
    object: &[u8],
    limits: Limits,
    reading: Reading,
    read_bytes: usize,
    at_once: usize,
) -> Outcome {
    let options = options(limits, reading);
    let window = Window::with_read_bytes(Trickle { bytes: object, at_once }, &options, read_bytes);
    collect(Decoder::over(window, &options, ResumePoint::default()))
}

/// Reads all records and checks the ledger after each.
fn collect<R: Read>(mut decoder: Decoder<R>) -> Outcome {
    let mut seen = Vec::new();
    let error = loop {
        match decoder.next() {
            Ok(Some(record)) => {
                seen.push(own(&record));
                let counters = decoder.counters();
                assert_eq!(counters.records, seen.len() as u64);
                assert_eq!(counters.records, counters.events + counters.bad);
            }
            Ok(None) => break None,
            Err(DecodeError::Gzip(error)) => break Some(error),
            Err(error @ DecodeError::Read(_)) => panic!("{error:?}"),
        }
    };
    match (&error, decoder.next()) {
        (None, Ok(None)) => {}
        (Some(error), Err(DecodeError::Gzip(again))) => assert_eq!(*error, again),
        (_, unstable) => panic!("the end is not final: {unstable:?}"),
    }
    Outcome { seen, counters: decoder.counters(), error, end: decoder.resume_point() }
}

fn own(decoded: &Decoded<'_>) -> Seen {
    match decoded {
        Decoded::Event(event) => {
            let text = event.message.text().into_owned();
            assert!(!text.is_empty());
            assert_eq!(event.message.text_len(), text.len());
            let mut json = b"\"".to_vec();
            event.message.push_json(&mut json);
            json.push(b'"');
            assert_eq!(
                serde_json::from_slice::<String>(&json).unwrap(),
                text,
                "{}",
                json.escape_ascii()
            );
            assert_eq!(event.position.len, event.raw.len() as u64);
            Seen::Event {
                position: event.position,
                timestamp_ms: event.timestamp_ms,
                timestamp_source: event.timestamp_source,
                text,
                source: event.message.source(),
                raw: event.raw.to_vec(),
            }
        }
        Decoded::Bad(bad) => {
            Seen::Bad { position: bad.position, reason: bad.reason, raw: bad.raw.to_vec() }
        }
    }
}

/// Returns each record as a short text: an event's message, or why it is bad and its bytes.
fn summary(outcome: &Outcome) -> Vec<String> {
    outcome
        .seen
        .iter()
        .map(|seen| match seen {
            Seen::Event { text, .. } => text.clone(),
            Seen::Bad { reason, raw, .. } => {
                format!("{} <{}>", reason.as_str(), raw.escape_ascii())
            }
        })
        .collect()
}
