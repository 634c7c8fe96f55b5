//! Messages: what may be sent, their checksums, and how they are handed out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::queue::Message;
use super::{invalid_value, missing, out_of_range, service_error};
use crate::error::ApiError;
use crate::http::hex;
use crate::input;

/// The largest body with its attributes, and the largest batch.
pub(super) const MAX_BYTES: usize = 1_048_576;

const MAX_ATTRIBUTES: usize = 10;

const SYSTEM_ATTRIBUTES: &[&str] = &[
    "All",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

/// A typed value beside the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    data_type: String,
    value: AttributeValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

/// A message that passed all checks that need no queue.
#[derive(Debug, Clone)]
pub(super) struct NewMessage {
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) delay_seconds: Option<i64>,
    pub(super) group_id: Option<String>,
    pub(super) trace_header: Option<String>,
}

impl NewMessage {
    /// Returns a message with nothing but a body.
    pub(super) fn plain(body: &str) -> Self {
        Self {
            body: body.to_owned(),
            attributes: BTreeMap::new(),
            delay_seconds: None,
            group_id: None,
            trace_header: None,
        }
    }

    pub(super) fn read(input: &Value) -> Result<Self, ApiError> {
        let body = input::text(input, "MessageBody")?.ok_or_else(|| missing("MessageBody"))?;
        if body.is_empty() {
            return Err(missing("MessageBody"));
        }
        if !body.chars().all(is_allowed) {
            return Err(service_error(
                "InvalidMessageContents",
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            ));
        }
        let delay_seconds = input::integer(input, "DelaySeconds")?;
        if let Some(delay) = delay_seconds
            && !(0..=900).contains(&delay)
        {
            return Err(out_of_range(
                delay,
                "DelaySeconds",
                "Must be between 0 and 900, if provided.",
            ));
        }
        let group_id = input::text(input, "MessageGroupId")?;
        if let Some(group) = group_id {
            check_group_id(group)?;
        }
        if input::text(input, "MessageDeduplicationId")?.is_some() {
            return Err(invalid_value(
                "The request include parameter MessageDeduplicationId which is not valid for this queue type",
            ));
        }
        let system = read_attributes(input::map(input, "MessageSystemAttributes")?)?;
        if system.keys().any(|name| name != "AWSTraceHeader") {
            return Err(invalid_value("Message system attribute name is not valid."));
        }
        let trace_header =
            system.get("AWSTraceHeader").and_then(|attribute| match &attribute.value {
                AttributeValue::Text(text) => Some(text.clone()),
                AttributeValue::Binary(_) => None,
            });
        Ok(Self {
            body: body.to_owned(),
            attributes: read_attributes(input::map(input, "MessageAttributes")?)?,
            delay_seconds,
            group_id: group_id.map(str::to_owned),
            trace_header,
        })
    }

    /// Counts the body and the names, types and values of the attributes.
    pub(super) fn size(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, attribute)| {
                name.len() + attribute.data_type.len() + attribute.value.bytes().len()
            })
            .sum();
        self.body.len() + attributes
    }

    pub(super) fn body_md5(&self) -> String {
        md5_hex(self.body.as_bytes())
    }

    pub(super) fn attributes_md5(&self) -> Option<String> {
        attributes_md5(self.attributes.iter())
    }
}

impl AttributeValue {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Tells whether a character may be in a body or an attribute.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

fn check_group_id(group: &str) -> Result<(), ApiError> {
    let legal =
        |character: char| character.is_ascii_alphanumeric() || character.is_ascii_punctuation();
    if (1..=128).contains(&group.len()) && group.chars().all(legal) {
        Ok(())
    } else {
        Err(out_of_range(
            group,
            "MessageGroupId",
            "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ))
    }
}

fn read_attributes(
    input: Option<&Map<String, Value>>,
) -> Result<BTreeMap<String, Attribute>, ApiError> {
    let mut attributes = BTreeMap::new();
    for (name, value) in input.into_iter().flatten() {
        attributes.insert(name.clone(), read_attribute(name, value)?);
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        )));
    }
    Ok(attributes)
}

fn read_attribute(name: &str, value: &Value) -> Result<Attribute, ApiError> {
    let lower = name.to_ascii_lowercase();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let bad_dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || name.len() > 256 || !name.bytes().all(legal) || bad_dots {
        return Err(invalid_value(format!("Invalid attribute name {name}.")));
    }
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(invalid_value(
            "Message attribute name can not start with 'AWS.' or 'Amazon.'.",
        ));
    }
    let data_type = input::text(value, "DataType")?.unwrap_or_default();
    let kind = data_type.split('.').next().unwrap_or_default();
    if data_type.len() > 256 {
        return Err(invalid_value(format!("The message attribute '{name}' has a too long type.")));
    }
    let content = match kind {
        "String" | "Number" => {
            let text = input::text(value, "StringValue")?.unwrap_or_default();
            let is_number = kind != "Number" || text.parse::<f64>().is_ok();
            if text.is_empty() || !text.chars().all(is_allowed) || !is_number {
                return Err(invalid_value(format!(
                    "The message attribute '{name}' must contain a valid value for its type '{data_type}'."
                )));
            }
            AttributeValue::Text(text.to_owned())
        }
        "Binary" => {
            let text = input::text(value, "BinaryValue")?.unwrap_or_default();
            match STANDARD.decode(text) {
                Ok(bytes) if !bytes.is_empty() => AttributeValue::Binary(bytes),
                _ => {
                    return Err(invalid_value(format!(
                        "The message attribute '{name}' must contain a non-empty binary value."
                    )));
                }
            }
        }
        _ => {
            return Err(invalid_value(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            )));
        }
    };
    Ok(Attribute { data_type: data_type.to_owned(), value: content })
}

/// Computes the checksum over attributes in order of their names.
fn attributes_md5<'a>(
    attributes: impl Iterator<Item = (&'a String, &'a Attribute)>,
) -> Option<String> {
    let mut hash = Md5::new();
    let mut any = false;
    for (name, attribute) in attributes {
        any = true;
        let transport: u8 = match attribute.value {
            AttributeValue::Text(_) => 1,
            AttributeValue::Binary(_) => 2,
        };
        for part in [name.as_bytes(), attribute.data_type.as_bytes()] {
            add_with_length(&mut hash, part);
        }
        hash.update([transport]);
        add_with_length(&mut hash, attribute.value.bytes());
    }
    any.then(|| hex(&hash.finalize()))
}

fn add_with_length(hash: &mut Md5, part: &[u8]) {
    hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(part);
}

pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// Which attributes a receiver asked for.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    system: Vec<String>,
    custom: Vec<String>,
}

impl Selection {
    pub(super) fn read(input: &Value) -> Result<Self, ApiError> {
        let mut system: Vec<String> = Vec::new();
        for member in ["MessageSystemAttributeNames", "AttributeNames"] {
            for name in input::texts(input, member)?.into_iter().flatten() {
                if !SYSTEM_ATTRIBUTES.contains(&name) {
                    return Err(service_error(
                        "InvalidAttributeName",
                        format!("Unknown Attribute {name}."),
                    ));
                }
                system.push(name.to_owned());
            }
        }
        let custom = input::texts(input, "MessageAttributeNames")?.unwrap_or_default();
        Ok(Self { system, custom: custom.into_iter().map(str::to_owned).collect() })
    }

    fn wants_system(&self, name: &str) -> bool {
        self.system.iter().any(|wanted| wanted == name || wanted == "All")
    }

    fn wants_custom(&self, name: &str) -> bool {
        self.custom.iter().any(|wanted| {
            wanted == name
                || wanted == "All"
                || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        })
    }

    /// Writes a message as `ReceiveMessage` hands it out.
    pub(super) fn describe(&self, message: &Message) -> Value {
        let mut described = Map::new();
        described.insert("MessageId".to_owned(), json!(message.id));
        described.insert("ReceiptHandle".to_owned(), json!(message.handle()));
        described.insert("MD5OfBody".to_owned(), json!(md5_hex(message.body.as_bytes())));
        described.insert("Body".to_owned(), json!(&*message.body));
        let system: BTreeMap<&str, String> = message
            .system_attributes()
            .into_iter()
            .filter(|(name, _)| self.wants_system(name))
            .collect();
        if !system.is_empty() {
            described.insert("Attributes".to_owned(), json!(system));
        }
        let custom: BTreeMap<&String, &Attribute> =
            message.attributes.iter().filter(|(name, _)| self.wants_custom(name)).collect();
        if let Some(md5) =
            attributes_md5(custom.iter().map(|(name, attribute)| (*name, *attribute)))
        {
            let values: Map<String, Value> = custom
                .iter()
                .map(|(name, attribute)| ((*name).clone(), attribute.describe()))
                .collect();
            described.insert("MessageAttributes".to_owned(), Value::Object(values));
            described.insert("MD5OfMessageAttributes".to_owned(), json!(md5));
        }
        Value::Object(described)
    }
}

impl Attribute {
    /// Returns a text attribute.
    pub(super) fn text(value: &str) -> Self {
        Self { data_type: "String".to_owned(), value: AttributeValue::Text(value.to_owned()) }
    }

    /// Returns the value as text; binary ones in base64.
    pub(super) fn as_text(&self) -> String {
        match &self.value {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
        }
    }

    fn describe(&self) -> Value {
        match &self.value {
            AttributeValue::Text(text) => json!({"DataType": self.data_type, "StringValue": text}),
            AttributeValue::Binary(bytes) => {
                json!({"DataType": self.data_type, "BinaryValue": STANDARD.encode(bytes)})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &Value, expected: Result<(), &str>) {
        let seen = NewMessage::read(input).map(|_| ()).map_err(|error| error.code);
        assert_eq!(seen, expected.map_err(str::to_owned), "{input}");
    }

    #[test]
    fn messages_are_checked_as_the_service_does() {
        const VALUE: &str = "InvalidParameterValueException";
        let attribute = |name: &str, value: Value| json!({"MessageBody": "x", "MessageAttributes": {name: value}});
        let text = json!({"DataType": "String", "StringValue": "v"});
        check(&json!({"MessageBody": "tab\t line\n é 😀"}), Ok(()));
        check(&json!({}), Err("MissingRequiredParameterException"));
        check(&json!({"MessageBody": ""}), Err("MissingRequiredParameterException"));
        check(&json!({"MessageBody": 5}), Err("SerializationException"));
        check(&json!({"MessageBody": "a\u{0}b"}), Err("InvalidMessageContents"));
        check(&json!({"MessageBody": "a\u{8}b"}), Err("InvalidMessageContents"));
        check(&json!({"MessageBody": "a\u{FFFE}b"}), Err("InvalidMessageContents"));
        check(&json!({"MessageBody": "x", "DelaySeconds": 900}), Ok(()));
        check(&json!({"MessageBody": "x", "DelaySeconds": 901}), Err(VALUE));
        check(&json!({"MessageBody": "x", "MessageGroupId": "tenant-1"}), Ok(()));
        check(&json!({"MessageBody": "x", "MessageGroupId": ""}), Err(VALUE));
        check(&json!({"MessageBody": "x", "MessageDeduplicationId": "1"}), Err(VALUE));
        check(&attribute("ok.name-1_x", text.clone()), Ok(()));
        check(&attribute("AWS.x", text.clone()), Err(VALUE));
        check(&attribute("a b", text), Err(VALUE));
        check(&attribute("n", json!({"DataType": "Number.int", "StringValue": "5"})), Ok(()));
        check(&attribute("n", json!({"DataType": "Number", "StringValue": "five"})), Err(VALUE));
        check(&attribute("n", json!({"DataType": "String", "StringValue": ""})), Err(VALUE));
        check(&attribute("n", json!({"DataType": "Other", "StringValue": "x"})), Err(VALUE));
        check(&attribute("n", json!({"DataType": "Binary", "BinaryValue": "AAE="})), Ok(()));
        let many: Map<String, Value> = (0..11)
            .map(|n| (format!("a{n}"), json!({"DataType": "String", "StringValue": "v"})))
            .collect();
        check(&json!({"MessageBody": "x", "MessageAttributes": many}), Err(VALUE));
    }

    #[test]
    fn checksums_are_those_of_the_service() {
        assert_eq!(md5_hex(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        let input = json!({"MessageBody": "x", "MessageAttributes": {
            "timestamp": {"DataType": "Number", "StringValue": "1493147359900"}}});
        let message = NewMessage::read(&input).unwrap();
        assert_eq!(message.attributes_md5().unwrap(), "235c5c510d26fb653d073faed50ae77c");
    }
}
