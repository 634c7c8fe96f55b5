//! A message as a queue hands it out.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The queue's id of the message; the same at every receive.
    pub id: String,
    /// The handle of this receive.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// When it was sent. A queue that moves a message to its dead-letter queue keeps this time.
    pub sent: Timestamp,
    /// How often it was received, this time included.
    pub receives: u32,
    /// The queue that gave it up, if one did.
    pub source: Option<String>,
    /// What the sender wrote beside the body.
    pub attributes: BTreeMap<String, Attribute>,
}

/// One message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, perhaps with a label after a dot.
    pub data_type: String,
    /// The value.
    pub value: Value,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, also of numbers.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Message {
    /// Returns the text of an attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.attributes.get(name)?.value {
            Value::Text(text) => Some(text),
            Value::Bytes(_) => None,
        }
    }
}

/// A message that is to be sent: body, attributes, and the group for fair queueing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// What stands beside the body.
    pub attributes: BTreeMap<String, Attribute>,
    /// The tenant, so that one tenant's messages do not hold up another's.
    pub group: Option<String>,
}

impl Outgoing {
    /// Returns the bytes that count against SQS's limits: body, names, types and values.
    pub fn bytes(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, attribute)| {
                let value = match &attribute.value {
                    Value::Text(text) => text.len(),
                    Value::Bytes(bytes) => bytes.len(),
                };
                name.len() + attribute.data_type.len() + value
            })
            .sum();
        self.body.len() + attributes
    }
}
