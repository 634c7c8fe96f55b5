//! Attribute values: reading, checking, comparing, writing.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::number::Decimal;
use super::validation;
use crate::error::ApiError;

/// An item: attributes by name.
pub(super) type Item = BTreeMap<String, Attribute>;

/// The deepest nesting of lists and maps.
const MAX_DEPTH: usize = 32;

/// A typed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    Text(String),
    Number(Decimal),
    Binary(Vec<u8>),
    Bool(bool),
    Null,
    List(Vec<Attribute>),
    Map(Item),
    Texts(BTreeSet<String>),
    Numbers(BTreeSet<Decimal>),
    Binaries(BTreeSet<Vec<u8>>),
}

impl Attribute {
    pub(super) fn read(value: &Value) -> Result<Self, ApiError> {
        Self::read_nested(value, 0)
    }

    fn read_nested(value: &Value, depth: usize) -> Result<Self, ApiError> {
        let Some(members) = value.as_object() else {
            return Err(ApiError::bad(
                "SerializationException",
                "an attribute value is not a structure",
            ));
        };
        if depth > MAX_DEPTH {
            return Err(validation("Nesting Levels have exceeded supported limits"));
        }
        let mut members = members.iter();
        let (Some((kind, content)), None) = (members.next(), members.next()) else {
            return Err(validation(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            ));
        };
        let not_text = || {
            ApiError::bad(
                "SerializationException",
                format!("the value of {kind} has the wrong type"),
            )
        };
        match (kind.as_str(), content) {
            ("S", Value::String(text)) => Ok(Self::Text(text.clone())),
            ("N", Value::String(text)) => Decimal::parse(text)
                .map(Self::Number)
                .map_err(|error| validation(error.message(text))),
            ("B", Value::String(text)) => decode(text).map(Self::Binary),
            ("BOOL", Value::Bool(value)) => Ok(Self::Bool(*value)),
            ("NULL", Value::Bool(true)) => Ok(Self::Null),
            ("NULL", Value::Bool(false)) => Err(validation(
                "One or more parameter values were invalid: Null attribute value types must have the value of true",
            )),
            ("L", Value::Array(values)) => {
                let list = values.iter().map(|value| Self::read_nested(value, depth + 1));
                list.collect::<Result<_, _>>().map(Self::List)
            }
            ("M", Value::Object(values)) => read_map(values, depth + 1).map(Self::Map),
            ("SS", Value::Array(values)) => {
                let texts = set(values, "string", |text| Ok(text.to_owned()))?;
                Ok(Self::Texts(texts))
            }
            ("NS", Value::Array(values)) => {
                let numbers = set(values, "number", |text| {
                    Decimal::parse(text).map_err(|error| validation(error.message(text)))
                })?;
                Ok(Self::Numbers(numbers))
            }
            ("BS", Value::Array(values)) => Ok(Self::Binaries(set(values, "binary", decode)?)),
            ("S" | "N" | "B" | "BOOL" | "NULL" | "L" | "M" | "SS" | "NS" | "BS", _) => {
                Err(not_text())
            }
            _ => Err(validation(
                "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
            )),
        }
    }

    pub(super) fn write(&self) -> Value {
        match self {
            Self::Text(text) => json!({"S": text}),
            Self::Number(number) => json!({"N": number.to_string()}),
            Self::Binary(bytes) => json!({"B": STANDARD.encode(bytes)}),
            Self::Bool(value) => json!({"BOOL": value}),
            Self::Null => json!({"NULL": true}),
            Self::List(values) => json!({"L": values.iter().map(Self::write).collect::<Vec<_>>()}),
            Self::Map(values) => json!({"M": write_item(values)}),
            Self::Texts(values) => json!({"SS": values}),
            Self::Numbers(values) => {
                json!({"NS": values.iter().map(Decimal::to_string).collect::<Vec<_>>()})
            }
            Self::Binaries(values) => {
                json!({"BS": values.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>()})
            }
        }
    }

    /// Returns the type's name in requests.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "S",
            Self::Number(_) => "N",
            Self::Binary(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::List(_) => "L",
            Self::Map(_) => "M",
            Self::Texts(_) => "SS",
            Self::Numbers(_) => "NS",
            Self::Binaries(_) => "BS",
        }
    }

    /// Compares texts, numbers and binaries with their like; nothing else has an order.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(first), Self::Text(second)) => {
                Some(first.as_bytes().cmp(second.as_bytes()))
            }
            (Self::Number(first), Self::Number(second)) => Some(first.cmp(second)),
            (Self::Binary(first), Self::Binary(second)) => Some(first.cmp(second)),
            _ => None,
        }
    }

    /// Returns what `size()` returns, where it is defined.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Binary(bytes) => Some(bytes.len()),
            Self::List(values) => Some(values.len()),
            Self::Map(values) => Some(values.len()),
            Self::Texts(values) => Some(values.len()),
            Self::Numbers(values) => Some(values.len()),
            Self::Binaries(values) => Some(values.len()),
            Self::Number(_) | Self::Bool(_) | Self::Null => None,
        }
    }

    /// Returns the bytes that count against the limit of an item.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(number) => number.to_string().len().div_ceil(2) + 1,
            Self::Binary(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::List(values) => 3 + values.iter().map(|value| value.bytes() + 1).sum::<usize>(),
            Self::Map(values) => 3 + item_bytes(values) + values.len(),
            Self::Texts(values) => values.iter().map(String::len).sum(),
            Self::Numbers(values) => {
                values.iter().map(|number| number.to_string().len().div_ceil(2) + 1).sum()
            }
            Self::Binaries(values) => values.iter().map(Vec::len).sum(),
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(text)
        .map_err(|_| ApiError::bad("SerializationException", "a binary value is not base64"))
}

fn set<T: Ord>(
    values: &[Value],
    kind: &str,
    read: impl Fn(&str) -> Result<T, ApiError>,
) -> Result<BTreeSet<T>, ApiError> {
    if values.is_empty() {
        return Err(validation(format!(
            "One or more parameter values were invalid: An {kind} set  may not be empty"
        )));
    }
    let mut members = BTreeSet::new();
    for value in values {
        let text = value.as_str().ok_or_else(|| {
            ApiError::bad("SerializationException", "a member of a set is not a string")
        })?;
        if !members.insert(read(text)?) {
            return Err(validation(format!(
                "One or more parameter values were invalid: Input collection {values:?} contains duplicates."
            )));
        }
    }
    Ok(members)
}

fn read_map(values: &Map<String, Value>, depth: usize) -> Result<Item, ApiError> {
    let mut item = Item::new();
    for (name, value) in values {
        item.insert(name.clone(), Attribute::read_nested(value, depth)?);
    }
    Ok(item)
}

pub(super) fn read_item(values: &Map<String, Value>) -> Result<Item, ApiError> {
    read_map(values, 0)
}

pub(super) fn write_item(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value.write())).collect())
}

/// Returns the bytes of names and values.
pub(super) fn item_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.bytes()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_sent() {
        let rows = [
            json!({"S": "text"}),
            json!({"N": "12.5"}),
            json!({"B": "AAE="}),
            json!({"BOOL": false}),
            json!({"NULL": true}),
            json!({"L": [{"S": "a"}, {"N": "1"}]}),
            json!({"M": {"k": {"SS": ["a", "b"]}}}),
            json!({"NS": ["1", "2"]}),
        ];
        for row in rows {
            assert_eq!(Attribute::read(&row).unwrap().write(), row);
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        const WRONG: &str = "ValidationException";
        const TYPE: &str = "SerializationException";
        let rows = [
            (json!({}), WRONG),
            (json!({"S": "a", "N": "1"}), WRONG),
            (json!({"X": "a"}), WRONG),
            (json!({"N": "x"}), WRONG),
            (json!({"NULL": false}), WRONG),
            (json!({"SS": []}), WRONG),
            (json!({"SS": ["a", "a"]}), WRONG),
            (json!({"NS": ["1", "1.0"]}), WRONG),
            (json!({"S": 5}), TYPE),
            (json!({"N": 5}), TYPE),
            (json!("plain"), TYPE),
        ];
        for (row, expected) in rows {
            assert_eq!(Attribute::read(&row).unwrap_err().code, expected, "{row}");
        }
    }
}
