//! Tables and their keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::number::Decimal;
use super::value::{Attribute, Item, item_bytes, write_item};
use super::{TableKey, addressed_table, answer, no_resource, short_name, validation};
use crate::clock::Millis;
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

/// A key attribute's value, ordered as the service orders it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyValue {
    Text(String),
    Number(Decimal),
    Binary(Vec<u8>),
}

/// An item's place in its table.
pub(super) type ItemKey = (KeyValue, Option<KeyValue>);

/// A key attribute: its name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyAttribute {
    pub(super) name: String,
    pub(super) kind: String,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) hash: KeyAttribute,
    pub(super) range: Option<KeyAttribute>,
    pub(super) items: BTreeMap<ItemKey, Item>,
    created_at: Millis,
    /// From when on the table is active.
    ready_at: Millis,
    billing: String,
    deletion_protection: bool,
    ttl_attribute: Option<String>,
    backups: bool,
    id: String,
}

impl Table {
    pub(super) fn new(
        hash: KeyAttribute,
        range: Option<KeyAttribute>,
        now: Millis,
        ready_at: Millis,
        id: String,
    ) -> Self {
        Self {
            hash,
            range,
            items: BTreeMap::new(),
            created_at: now,
            ready_at,
            billing: "PAY_PER_REQUEST".to_owned(),
            deletion_protection: false,
            ttl_attribute: None,
            backups: false,
            id,
        }
    }

    /// Checks that the table can be used.
    pub(super) fn active(&mut self, now: Millis) -> Result<&mut Self, ApiError> {
        if now < self.ready_at { Err(no_resource()) } else { Ok(self) }
    }

    /// Returns the names of the key attributes.
    pub(super) fn key_names(&self) -> Vec<&str> {
        std::iter::once(self.hash.name.as_str())
            .chain(self.range.as_ref().map(|range| range.name.as_str()))
            .collect()
    }

    /// Takes the key out of a complete item.
    pub(super) fn key_of_item(&self, item: &Item) -> Result<ItemKey, ApiError> {
        let part = |attribute: &KeyAttribute| match item.get(&attribute.name) {
            None => Err(validation(format!(
                "One or more parameter values were invalid: Missing the key {} in the item",
                attribute.name
            ))),
            Some(value) if value.kind() != attribute.kind => Err(validation(format!(
                "One or more parameter values were invalid: Type mismatch for key {} expected: {} actual: {}",
                attribute.name,
                attribute.kind,
                value.kind()
            ))),
            Some(value) => key_value(attribute, value),
        };
        Ok((part(&self.hash)?, self.range.as_ref().map(part).transpose()?))
    }

    /// Reads a key that must hold the key attributes and nothing else.
    pub(super) fn exact_key(&self, key: &Item) -> Result<ItemKey, ApiError> {
        let mismatch = || validation("The provided key element does not match the schema");
        if key.len() != self.key_names().len() {
            return Err(mismatch());
        }
        let part = |attribute: &KeyAttribute| {
            let value = key.get(&attribute.name).filter(|value| value.kind() == attribute.kind);
            key_value(attribute, value.ok_or_else(mismatch)?)
        };
        Ok((part(&self.hash)?, self.range.as_ref().map(part).transpose()?))
    }

    /// Writes the key of an item, as page boundaries are written.
    pub(super) fn write_key(&self, item: &Item) -> Value {
        let key: Item = self
            .key_names()
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())))
            .collect();
        write_item(&key)
    }

    fn describe(&self, key: &TableKey, now: Millis) -> Value {
        let attributes = std::iter::once(&self.hash).chain(self.range.as_ref());
        let definitions: Vec<Value> =
            attributes.map(|attribute| json!({"AttributeName": attribute.name, "AttributeType": attribute.kind})).collect();
        let mut schema = vec![json!({"AttributeName": self.hash.name, "KeyType": "HASH"})];
        if let Some(range) = &self.range {
            schema.push(json!({"AttributeName": range.name, "KeyType": "RANGE"}));
        }
        let bytes: usize = self.items.values().map(item_bytes).sum();
        json!({
            "TableName": key.name,
            "TableArn": key.arn(),
            "TableId": self.id,
            "TableStatus": if now < self.ready_at { "CREATING" } else { "ACTIVE" },
            "CreationDateTime": self.created_at / 1_000,
            "AttributeDefinitions": definitions,
            "KeySchema": schema,
            "ItemCount": self.items.len(),
            "TableSizeBytes": bytes,
            "BillingModeSummary": {"BillingMode": self.billing},
            "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0},
            "DeletionProtectionEnabled": self.deletion_protection,
        })
    }
}

fn key_value(attribute: &KeyAttribute, value: &Attribute) -> Result<KeyValue, ApiError> {
    let empty = |kind: &str| {
        validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {}",
            attribute.name
        ))
    };
    match value {
        Attribute::Text(text) if text.is_empty() => Err(empty("string")),
        Attribute::Text(text) if text.len() > 2_048 => Err(validation(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        )),
        Attribute::Text(text) => Ok(KeyValue::Text(text.clone())),
        Attribute::Number(number) => Ok(KeyValue::Number(*number)),
        Attribute::Binary(bytes) if bytes.is_empty() => Err(empty("binary")),
        Attribute::Binary(bytes) => Ok(KeyValue::Binary(bytes.clone())),
        other => Err(validation(format!("a key cannot be of type {}", other.kind()))),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (3..=255).contains(&name.len()) && name.bytes().all(legal) {
        return Ok(());
    }
    Err(validation(
        "TableName must be at least 3 characters long and at most 255 characters long, and match [a-zA-Z0-9_.-]+",
    ))
}

pub(super) fn create(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    check_name(&key.name)?;
    for member in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification"] {
        if input.get(member).is_some_and(|value| !value.is_null()) {
            return Err(validation(format!("this stand-in does not know {member}")));
        }
    }
    let (hash, range) = read_schema(input)?;
    let billing = input::text(input, "BillingMode")?.unwrap_or("PROVISIONED");
    let throughput = input::map(input, "ProvisionedThroughput")?;
    match (billing, throughput) {
        ("PAY_PER_REQUEST", None) | ("PROVISIONED", Some(_)) => {}
        ("PAY_PER_REQUEST", Some(_)) => {
            return Err(validation(
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        ("PROVISIONED", None) => {
            return Err(validation(
                "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            ));
        }
        _ => {
            return Err(validation(format!(
                "1 validation error detected: Value '{billing}' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"
            )));
        }
    }
    let id = context.shared.random().uuid();
    let mut dynamodb = context.shared.dynamodb();
    if dynamodb.tables.contains_key(&key) {
        return Err(ApiError::bad(
            "ResourceInUseException",
            format!("Table already exists: {}", key.name),
        ));
    }
    let ready_at = context.now.saturating_add(crate::clock::millis(dynamodb.settings.creation_lag));
    let mut table = Table::new(hash, range, context.now, ready_at, id);
    billing.clone_into(&mut table.billing);
    table.deletion_protection = input::flag(input, "DeletionProtectionEnabled")?.unwrap_or(false);
    // The reply to a creation always tells that it goes on.
    let mut described = table.describe(&key, context.now);
    if let Some(members) = described.as_object_mut() {
        members.insert("TableStatus".to_owned(), json!("CREATING"));
    }
    dynamodb.tables.insert(key, table);
    Ok(answer(&json!({ "TableDescription": described })))
}

fn read_schema(input: &Value) -> Result<(KeyAttribute, Option<KeyAttribute>), ApiError> {
    let definitions = input::list(input, "AttributeDefinitions")?.unwrap_or_default();
    let schema = input::list(input, "KeySchema")?.unwrap_or_default();
    if schema.len() != definitions.len() {
        return Err(validation(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ));
    }
    let mut attributes = Vec::new();
    for (index, element) in schema.iter().enumerate() {
        let name = input::text(element, "AttributeName")?.unwrap_or_default();
        let wanted = if index == 0 { "HASH" } else { "RANGE" };
        if input::text(element, "KeyType")? != Some(wanted) {
            return Err(validation(format!(
                "Invalid KeySchema: element {index} is not a {wanted} key type"
            )));
        }
        let definition = definitions
            .iter()
            .find(|definition| definition.get("AttributeName").and_then(Value::as_str) == Some(name))
            .ok_or_else(|| validation(format!("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [{name}]")))?;
        let kind = input::text(definition, "AttributeType")?.unwrap_or_default();
        if !["S", "N", "B"].contains(&kind) {
            return Err(validation(format!(
                "1 validation error detected: Value '{kind}' at 'attributeDefinitions.{}.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
                index + 1
            )));
        }
        attributes.push(KeyAttribute { name: name.to_owned(), kind: kind.to_owned() });
    }
    let mut attributes = attributes.into_iter();
    match (attributes.next(), attributes.next(), attributes.next()) {
        (Some(hash), range, None) => Ok((hash, range)),
        _ => Err(validation(
            "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: Member must have length between 1 and 2",
        )),
    }
}

fn not_found(key: &TableKey) -> ApiError {
    ApiError::bad(
        "ResourceNotFoundException",
        format!("Requested resource not found: Table: {} not found", key.name),
    )
}

pub(super) fn describe(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get(&key).ok_or_else(|| not_found(&key))?;
    Ok(answer(&json!({ "Table": table.describe(&key, context.now) })))
}

pub(super) fn delete(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get(&key).ok_or_else(|| not_found(&key))?;
    if table.deletion_protection {
        return Err(validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    let mut described = table.describe(&key, context.now);
    if let Some(members) = described.as_object_mut() {
        members.insert("TableStatus".to_owned(), json!("DELETING"));
    }
    dynamodb.tables.remove(&key);
    Ok(answer(&json!({ "TableDescription": described })))
}

pub(super) fn list(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let start = input::text(input, "ExclusiveStartTableName")?.unwrap_or_default();
    let limit = input::integer(input, "Limit")?.unwrap_or(100);
    if !(1..=100).contains(&limit) {
        return Err(validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100"
        )));
    }
    context.authorize("dynamodb:ListTables", "*")?;
    let dynamodb = context.shared.dynamodb();
    let mut names: Vec<&str> = dynamodb
        .tables
        .keys()
        .filter(|key| key.account == context.caller.account && key.region == context.region)
        .map(|key| short_name(&key.name))
        .filter(|name| *name > start)
        .collect();
    let limit = usize::try_from(limit).unwrap_or(100);
    let more = names.len() > limit;
    names.truncate(limit);
    let mut reply = Map::new();
    if let (true, Some(last)) = (more, names.last()) {
        reply.insert("LastEvaluatedTableName".to_owned(), json!(last));
    }
    reply.insert("TableNames".to_owned(), json!(names));
    Ok(answer(&Value::Object(reply)))
}

pub(super) fn time_to_live(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get(&key).ok_or_else(|| not_found(&key))?;
    let description = match &table.ttl_attribute {
        Some(name) => json!({"TimeToLiveStatus": "ENABLED", "AttributeName": name}),
        None => json!({"TimeToLiveStatus": "DISABLED"}),
    };
    Ok(answer(&json!({ "TimeToLiveDescription": description })))
}

pub(super) fn set_time_to_live(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let specification = input.get("TimeToLiveSpecification").cloned().unwrap_or_default();
    let enabled = input::flag(&specification, "Enabled")?.unwrap_or(false);
    let name = input::text(&specification, "AttributeName")?.unwrap_or_default();
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get_mut(&key).ok_or_else(|| not_found(&key))?;
    if enabled == table.ttl_attribute.is_some() {
        let state = if enabled { "enabled" } else { "disabled" };
        return Err(validation(format!("TimeToLive is already {state}")));
    }
    table.ttl_attribute = enabled.then(|| name.to_owned());
    Ok(answer(&json!({ "TimeToLiveSpecification": specification })))
}

fn describe_backups(table: &Table) -> Value {
    let status = if table.backups { "ENABLED" } else { "DISABLED" };
    json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status},
    }})
}

pub(super) fn backups(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get(&key).ok_or_else(|| {
        ApiError::bad("TableNotFoundException", format!("Table not found: {}", key.name))
    })?;
    Ok(answer(&describe_backups(table)))
}

pub(super) fn set_backups(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let key = addressed_table(context, input)?;
    let specification = input.get("PointInTimeRecoverySpecification").cloned().unwrap_or_default();
    let enabled = input::flag(&specification, "PointInTimeRecoveryEnabled")?.unwrap_or(false);
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.tables.get_mut(&key).ok_or_else(|| {
        ApiError::bad("TableNotFoundException", format!("Table not found: {}", key.name))
    })?;
    table.backups = enabled;
    Ok(answer(&describe_backups(table)))
}
