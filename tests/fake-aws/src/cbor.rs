//! Reads and writes the CBOR of `rpcv2Cbor` services as JSON values, in which a time is a number of
//! seconds on the way in and `{"$time": SECONDS}` on the way out.
//!
//! Protocol: <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>.

use minicbor::data::{Tag, Type};
use minicbor::decode::{Decoder, Error};
use minicbor::encode::Encoder;
use serde_json::{Map, Number, Value, json};

/// How deep a document may be nested.
const MAX_DEPTH: usize = 32;
/// The tag of a time in seconds since the epoch.
const EPOCH_TIME: u64 = 1;

/// Reads one value.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder::new(bytes);
    let value = value(&mut decoder, MAX_DEPTH).map_err(|error| error.to_string())?;
    if decoder.position() == bytes.len() {
        Ok(value)
    } else {
        Err("there is more after the value".to_owned())
    }
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::message("nested too deeply"));
    };
    Ok(match decoder.datatype()? {
        Type::Bool => Value::Bool(decoder.bool()?),
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Value::Null
        }
        Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::I8
        | Type::I16
        | Type::I32
        | Type::I64 => Value::from(decoder.i64()?),
        Type::F16 | Type::F32 | Type::F64 => number(decoder)?,
        Type::String | Type::StringIndef => Value::String(text(decoder)?),
        Type::Array | Type::ArrayIndef => {
            let count = decoder.array()?;
            let mut values = Vec::new();
            while more(decoder, count, values.len())? {
                values.push(value(decoder, depth)?);
            }
            Value::Array(values)
        }
        Type::Map | Type::MapIndef => {
            let count = decoder.map()?;
            let mut members = Map::new();
            let mut read = 0;
            while more(decoder, count, read)? {
                let name = text(decoder)?;
                members.insert(name, value(decoder, depth)?);
                read += 1;
            }
            Value::Object(members)
        }
        Type::Tag => {
            let tag = decoder.tag()?;
            if tag != Tag::new(EPOCH_TIME) {
                return Err(Error::message("a tag that no service of this fake uses"));
            }
            value(decoder, depth)?
        }
        other => return Err(Error::type_mismatch(other)),
    })
}

fn number(decoder: &mut Decoder<'_>) -> Result<Value, Error> {
    let value = match decoder.datatype()? {
        Type::F16 => f64::from(decoder.f16()?),
        Type::F32 => f64::from(decoder.f32()?),
        _ => decoder.f64()?,
    };
    Number::from_f64(value).map(Value::Number).ok_or_else(|| Error::message("no finite number"))
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, Error> {
    decoder.str_iter()?.collect()
}

/// Tells whether an array or a map goes on, and steps over its end if it has one.
fn more(decoder: &mut Decoder<'_>, count: Option<u64>, read: usize) -> Result<bool, Error> {
    if let Some(count) = count {
        return Ok((read as u64) < count);
    }
    let ended = decoder.datatype()? == Type::Break;
    if ended {
        decoder.skip()?;
    }
    Ok(!ended)
}

/// Returns a time for [`write()`].
pub(crate) fn time(at: crate::clock::Millis) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "times of our age are exact to the millisecond")]
    let seconds = at as f64 / 1000.0;
    json!({"$time": seconds})
}

/// Writes one value.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // Writing to memory does not fail.
    let _ignored = put(&mut encoder, value);
    encoder.into_writer()
}

fn put(
    encoder: &mut Encoder<Vec<u8>>,
    value: &Value,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    match value {
        Value::Null => {
            encoder.null()?;
        }
        Value::Bool(value) => {
            encoder.bool(*value)?;
        }
        Value::Number(number) => {
            match number.as_i64() {
                Some(whole) => encoder.i64(whole)?,
                None => encoder.f64(number.as_f64().unwrap_or_default())?,
            };
        }
        Value::String(text) => {
            encoder.str(text)?;
        }
        Value::Array(values) => {
            encoder.array(values.len() as u64)?;
            for value in values {
                put(encoder, value)?;
            }
        }
        Value::Object(members) => {
            if let Some(seconds) = members.get("$time").and_then(Value::as_f64) {
                encoder.tag(Tag::new(EPOCH_TIME))?.f64(seconds)?;
                return Ok(());
            }
            encoder.map(members.len() as u64)?;
            for (name, value) in members {
                encoder.str(name)?;
                put(encoder, value)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_round_trip() {
        let value = json!({"a": [1, -2, 1.5, "x", null, true], "b": {"c": {}}});
        assert_eq!(read(&write(&value)).unwrap(), value);
        assert_eq!(read(&write(&time(1_500))).unwrap(), json!(1.5));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for bytes in [&b""[..], b"\xff", b"\x01\x01", b"\xc2\x01", b"\x9f\x01"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        let deep: Vec<u8> = std::iter::repeat_n(0x81, 100).chain([0x01]).collect();
        assert!(read(&deep).is_err());
    }
}
