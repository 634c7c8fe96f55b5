//! How times stand in the data that commands print: as text, such as `2026-11-23T10:20:30Z`.

use jiff::Timestamp;
use serde::Serializer;

/// Writes a time; for serde's `serialize_with`.
pub fn text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Writes a time if there is one; for serde's `serialize_with`.
pub fn maybe_text<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => text(time, serializer),
        None => serializer.serialize_none(),
    }
}
