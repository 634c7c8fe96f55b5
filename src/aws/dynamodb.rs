//! The tenant table.

use std::collections::{BTreeMap, HashMap};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeyType, PointInTimeRecoveryStatus, Select, TimeToLiveStatus},
};
use mtlog_processor::model::tenant::{Attribute, Attributes, PARTITION_KEY, SORT_KEY};

use super::fault::{Fault, FaultClass};
use crate::operate::reading::Reading;

const SERVICE: &str = "dynamodb";

/// A client for DynamoDB in one region.
#[derive(Debug, Clone)]
pub struct DynamoDb(Client);

/// The key of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey {
    /// The partition key's value.
    pub tenant: String,
    /// The sort key's value.
    pub kind: String,
}

/// The attributes that make up a table's key, partition key first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchema(pub Vec<String>);

/// A table's key and settings.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFacts {
    /// The key.
    pub key: KeySchema,
    /// Whether it can be restored to an earlier time.
    pub recoverable: Reading<bool>,
    /// Whether items with a `ttl` that has passed are deleted.
    pub expiring: Reading<bool>,
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditional {
    /// It was made.
    Written,
    /// The condition did not hold; nothing was written.
    Refused,
}

/// What the item must still be for a write to happen.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// It exists, whatever it says.
    Anything,
    /// It has these attributes with these values, and of those that are written no others.
    Exactly(&'a Attributes),
}

impl DynamoDb {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns the table's key, or `None` if there is no such table.
    pub async fn key_schema(&self, table: &str) -> Result<Option<KeySchema>, Fault> {
        const OPERATION: &str = "DescribeTable";
        let sent = self.0.describe_table().table_name(table).send().await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let mut keys = answer.table.and_then(|table| table.key_schema).unwrap_or_default();
        keys.sort_by_key(|key| key.key_type != KeyType::Hash);
        Ok(Some(KeySchema(keys.into_iter().map(|key| key.attribute_name).collect())))
    }

    /// Returns a table's key and settings, or `None` if there is no such table.
    pub async fn facts(&self, table: &str) -> Result<Option<TableFacts>, Fault> {
        let Some(key) = self.key_schema(table).await? else { return Ok(None) };
        let backups = self.0.describe_continuous_backups().table_name(table).send().await;
        let recoverable = backups
            .map_err(|error| Fault::new(SERVICE, "DescribeContinuousBackups", error))
            .map(|answer| {
                let backups = answer.continuous_backups_description;
                let recovery = backups.and_then(|all| all.point_in_time_recovery_description);
                let status = recovery.and_then(|found| found.point_in_time_recovery_status);
                status == Some(PointInTimeRecoveryStatus::Enabled)
            });
        let expiry = self.0.describe_time_to_live().table_name(table).send().await;
        let expiring = expiry
            .map_err(|error| Fault::new(SERVICE, "DescribeTimeToLive", error))
            .map(|answer| {
                let status =
                    answer.time_to_live_description.and_then(|found| found.time_to_live_status);
                matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
            });
        let (recoverable, expiring) = (Reading::of(recoverable), Reading::of(expiring));
        Ok(Some(TableFacts { key, recoverable, expiring }))
    }

    /// Counts the items of a table; `None` if there is no such table.
    pub async fn count(&self, table: &str) -> Result<Option<u64>, Fault> {
        let mut pages =
            self.0.scan().table_name(table).select(Select::Count).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            match page.map_err(|error| Fault::new(SERVICE, "Scan", error)) {
                Ok(page) => count += u64::try_from(page.count).unwrap_or(0),
                Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(count))
    }

    /// Returns every item of the table.
    pub async fn all_items(&self, table: &str) -> Result<Vec<Attributes>, Fault> {
        let mut pages =
            self.0.scan().table_name(table).consistent_read(true).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(read_item(item.map_err(|error| Fault::new(SERVICE, "Scan", error))?));
        }
        Ok(items)
    }

    /// Returns the items of one tenant.
    pub async fn items_of(&self, table: &str, tenant: &str) -> Result<Vec<Attributes>, Fault> {
        let mut pages = self
            .0
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#key = :tenant")
            .expression_attribute_names("#key", PARTITION_KEY)
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(read_item(item.map_err(|error| Fault::new(SERVICE, "Query", error))?));
        }
        Ok(items)
    }

    /// Writes an item unless one with the same key is there.
    pub async fn insert(&self, table: &str, item: &Attributes) -> Result<Conditional, Fault> {
        const OPERATION: &str = "PutItem";
        let sent = self
            .0
            .put_item()
            .table_name(table)
            .set_item(Some(
                write_item(item).map_err(|what| Fault::unsendable(SERVICE, OPERATION, what))?,
            ))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", PARTITION_KEY)
            .send()
            .await;
        conditional(sent.map(|_| ()).map_err(|error| Fault::new(SERVICE, OPERATION, error)))
    }

    /// Sets attributes of an item that must be as it was `seen`, and takes the attributes in `removed` away.
    pub async fn update(
        &self,
        table: &str,
        key: &ItemKey,
        set: &Attributes,
        removed: &[&str],
        seen: Seen<'_>,
    ) -> Result<Conditional, Fault> {
        const OPERATION: &str = "UpdateItem";
        let unsendable = |what| Fault::unsendable(SERVICE, OPERATION, what);
        let mut expression = Expression::default();
        let mut clauses = Vec::new();
        let mut sets = Vec::new();
        for (name, value) in set {
            sets.push(format!(
                "{} = {}",
                expression.name(name),
                expression.value(value).map_err(unsendable)?
            ));
        }
        if !sets.is_empty() {
            clauses.push(format!("SET {}", sets.join(", ")));
        }
        let removes: Vec<String> = removed.iter().map(|name| expression.name(name)).collect();
        if !removes.is_empty() {
            clauses.push(format!("REMOVE {}", removes.join(", ")));
        }
        let written = set.keys().map(String::as_str).chain(removed.iter().copied());
        let condition = expression.condition(seen, written).map_err(unsendable)?;
        let sent = self
            .0
            .update_item()
            .table_name(table)
            .set_key(Some(key_of(key)))
            .update_expression(clauses.join(" "))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(expression.values)
            .send()
            .await;
        conditional(sent.map(|_| ()).map_err(|error| Fault::new(SERVICE, OPERATION, error)))
    }

    /// Deletes an item that must be as it was `seen`.
    pub async fn remove(
        &self,
        table: &str,
        key: &ItemKey,
        seen: Seen<'_>,
    ) -> Result<Conditional, Fault> {
        const OPERATION: &str = "DeleteItem";
        let mut expression = Expression::default();
        let condition = expression
            .condition(seen, [])
            .map_err(|what| Fault::unsendable(SERVICE, OPERATION, what))?;
        let sent = self
            .0
            .delete_item()
            .table_name(table)
            .set_key(Some(key_of(key)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(expression.values)
            .send()
            .await;
        conditional(sent.map(|_| ()).map_err(|error| Fault::new(SERVICE, OPERATION, error)))
    }
}

fn key_of(key: &ItemKey) -> HashMap<String, AttributeValue> {
    [(PARTITION_KEY, &key.tenant), (SORT_KEY, &key.kind)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
        .into()
}

/// The names and values that an expression stands for. DynamoDB refuses reserved words and an empty map of values.
#[derive(Debug, Default)]
struct Expression {
    names: HashMap<String, String>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        let known =
            self.names.iter().find(|(_, known)| *known == name).map(|(short, _)| short.clone());
        known.unwrap_or_else(|| {
            let short = format!("#n{}", self.names.len());
            self.names.insert(short.clone(), name.to_owned());
            short
        })
    }

    /// Fails with a value that is only read, never written.
    fn value(&mut self, value: &Attribute) -> Result<String, String> {
        let value = write(value)?;
        let values = self.values.get_or_insert_default();
        let short = format!(":v{}", values.len());
        values.insert(short.clone(), value);
        Ok(short)
    }

    fn condition<'a>(
        &mut self,
        seen: Seen<'_>,
        written: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, String> {
        let mut terms = vec![format!("attribute_exists({})", self.name(PARTITION_KEY))];
        let Seen::Exactly(attributes) = seen else { return Ok(terms.remove(0)) };
        for (name, value) in attributes {
            let name = self.name(name);
            terms.push(match value {
                // What we cannot write we cannot compare either.
                Attribute::Other(_) => format!("attribute_exists({name})"),
                value => format!("{name} = {}", self.value(value)?),
            });
        }
        for name in written {
            if !attributes.contains_key(name) {
                terms.push(format!("attribute_not_exists({})", self.name(name)));
            }
        }
        Ok(terms.join(" AND "))
    }
}

fn conditional(sent: Result<(), Fault>) -> Result<Conditional, Fault> {
    match sent {
        Ok(()) => Ok(Conditional::Written),
        Err(fault) if fault.code() == Some("ConditionalCheckFailedException") => {
            Ok(Conditional::Refused)
        }
        Err(fault) => Err(fault),
    }
}

fn read_item(item: HashMap<String, AttributeValue>) -> Attributes {
    item.into_iter().map(|(name, value)| (name, read(value))).collect::<BTreeMap<_, _>>()
}

fn read(value: AttributeValue) -> Attribute {
    match value {
        AttributeValue::S(text) => Attribute::String(text),
        AttributeValue::N(text) => Attribute::Number(text),
        AttributeValue::Bool(value) => Attribute::Bool(value),
        AttributeValue::L(values) => Attribute::List(values.into_iter().map(read).collect()),
        AttributeValue::Ss(texts) => Attribute::StringSet(texts),
        AttributeValue::M(_) => Attribute::Other("M"),
        AttributeValue::B(_) => Attribute::Other("B"),
        AttributeValue::Bs(_) => Attribute::Other("BS"),
        AttributeValue::Ns(_) => Attribute::Other("NS"),
        AttributeValue::Null(_) => Attribute::Other("NULL"),
        _ => Attribute::Other("unknown"),
    }
}

fn write_item(item: &Attributes) -> Result<HashMap<String, AttributeValue>, String> {
    item.iter().map(|(name, value)| Ok((name.clone(), write(value)?))).collect()
}

fn write(value: &Attribute) -> Result<AttributeValue, String> {
    Ok(match value {
        Attribute::String(text) => AttributeValue::S(text.clone()),
        Attribute::Number(text) => AttributeValue::N(text.clone()),
        Attribute::Bool(value) => AttributeValue::Bool(*value),
        Attribute::List(values) => {
            AttributeValue::L(values.iter().map(write).collect::<Result<_, _>>()?)
        }
        Attribute::StringSet(texts) => AttributeValue::Ss(texts.clone()),
        Attribute::Other(name) => {
            return Err(format!("an attribute of type {name} is only read, never written"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_a_round_trip() {
        let list = Attribute::List(vec![Attribute::String("a".to_owned()), Attribute::Bool(true)]);
        for attribute in [
            Attribute::String("x".to_owned()),
            Attribute::Number("1".to_owned()),
            Attribute::StringSet(vec!["a".to_owned()]),
            list,
        ] {
            assert_eq!(read(write(&attribute).unwrap()), attribute);
        }
    }

    #[test]
    fn what_we_cannot_write_is_refused() {
        assert!(write(&Attribute::Other("M")).is_err());
    }
}
