//! Records read with `serde_json`: the reference for every other way to read them.

use std::fmt;

use memchr::memchr_iter;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{extent::too_deep_at, fields::Fields, json, records::Parsed};

/// Reads the JSON value at the beginning of `input`, without looking at its meaning.
///
/// Bytes that are not UTF-8 are accepted inside strings.
pub(super) fn boundary(input: &[u8]) -> Parsed {
    let mut values = serde_json::Deserializer::from_slice(input).into_iter::<IgnoredAny>();
    match values.next() {
        None => Parsed::Incomplete,
        Some(Ok(_)) => {
            let len = values.byte_offset();
            let value = input.get(..len).unwrap_or_default();
            if too_deep_at(value).is_some() {
                Parsed::TooDeep(len)
            } else if value.starts_with(b"{") {
                Parsed::Object(len)
            } else {
                Parsed::Other(len)
            }
        }
        Some(Err(error)) if error.is_eof() => Parsed::Incomplete,
        Some(Err(error)) => {
            let at = offset_of(&error, input);
            // A number that the input cuts off is an error like any other to `serde_json`.
            let may_go_on = matches!(input.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'));
            if at == input.len() && may_go_on { Parsed::Incomplete } else { Parsed::Invalid(at) }
        }
    }
}

/// Reads the fields of an object that make a log event. Of equal keys the last one counts.
pub(super) fn fields(record: &str) -> Result<Fields<'_>, serde_json::Error> {
    let mut fields = Fields::default();
    for_each_member(record, |key, value| fields.set(&json::text(key), value))?;
    Ok(fields)
}

/// Appends the object without the members whose keys `is_dropped` names.
///
/// The other members stay byte for byte; white space between members goes.
pub(super) fn push_without(
    record: &str,
    is_dropped: fn(&str) -> bool,
    out: &mut String,
) -> Result<(), serde_json::Error> {
    out.push('{');
    let mut separator = "";
    for_each_member(record, |key, value| {
        if !is_dropped(&json::text(key)) {
            for part in [separator, "\"", key, "\":", value] {
                out.push_str(part);
            }
            separator = ",";
        }
    })?;
    out.push('}');
    Ok(())
}

/// Calls `visit` with the inside of each key and the JSON text of its value.
fn for_each_member<'a>(
    record: &'a str,
    visit: impl FnMut(&'a str, &'a str),
) -> Result<(), serde_json::Error> {
    struct Members<F>(F);

    impl<'de, F: FnMut(&'de str, &'de str)> Visitor<'de> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            // Raw keys, because a key may hold a surrogate that no `str` can.
            while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                let key = key.get();
                let key =
                    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
                (self.0)(key, value.get());
            }
            Ok(())
        }
    }

    let mut json = serde_json::Deserializer::from_str(record);
    json.deserialize_map(Members(visit))?;
    json.end()
}

/// Returns where `serde_json` stopped reading: at the fault or shortly after it.
fn offset_of(error: &serde_json::Error, input: &[u8]) -> usize {
    let line_start = match error.line().checked_sub(2) {
        None => 0,
        Some(nth) => memchr_iter(b'\n', input).nth(nth).map_or(0, |newline| newline + 1),
    };
    (line_start + error.column()).min(input.len())
}
