//! Query and Scan, in pages.

use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::evaluate::{holds, project};
use super::expression::{Comparison, Condition, Operand, Path, Placeholders, Step};
use super::table::{ItemKey, KeyValue, Table};
use super::value::{Attribute, Item, item_bytes, read_item, write_item};
use super::{addressed_table, answer, capacity, refuse_legacy, validation};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

/// The largest page.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// What both operations read from their input.
struct Wish {
    filter: Option<Condition>,
    projection: Option<Vec<Path>>,
    limit: Option<usize>,
    start: Option<Item>,
    only_count: bool,
}

impl Wish {
    fn read(input: &Value, placeholders: &mut Placeholders) -> Result<Self, ApiError> {
        let limit = input::integer(input, "Limit")?;
        if limit.is_some_and(|limit| limit < 1) {
            return Err(validation(
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ));
        }
        let select = input::text(input, "Select")?.unwrap_or("ALL_ATTRIBUTES");
        let projection = placeholders.projection(input)?;
        match select {
            "ALL_ATTRIBUTES" | "COUNT" => {}
            "SPECIFIC_ATTRIBUTES" if projection.is_some() => {}
            other => return Err(validation(format!("Select type {other} is not supported here"))),
        }
        Ok(Self {
            filter: placeholders.condition(input, "FilterExpression")?,
            projection,
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            start: input::map(input, "ExclusiveStartKey")?.map(read_item).transpose()?,
            only_count: select == "COUNT",
        })
    }
}

pub(super) fn query(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let name = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let condition = placeholders
        .condition(input, "KeyConditionExpression")?
        .ok_or_else(|| validation("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."))?;
    let wish = Wish::read(input, &mut placeholders)?;
    placeholders.finish()?;
    let forward = input::flag(input, "ScanIndexForward")?.unwrap_or(true);
    let mut dynamodb = context.shared.dynamodb();
    let page_items = dynamodb.settings.page_items;
    let table = dynamodb.table_mut(&name)?.active(context.now)?;
    refuse_key_filter(table, wish.filter.as_ref())?;
    let partition = check_key_condition(table, &condition)?;
    let mut found: Vec<(&ItemKey, &Item)> = table
        .items
        .range((Bound::Included((partition.clone(), None)), Bound::Unbounded))
        .take_while(|(key, _)| key.0 == partition)
        .filter(|(_, item)| holds(&condition, item))
        .collect();
    if !forward {
        found.reverse();
    }
    let start = wish.start.as_ref().map(|start| table.exact_key(start)).transpose()?;
    if let Some(start) = &start {
        if start.0 != partition {
            return Err(validation(
                "The provided starting key is outside query boundaries based on provided conditions",
            ));
        }
        found.retain(|(key, _)| if forward { *key > start } else { *key < start });
    }
    Ok(page(input, &name.name, table, &wish, found.into_iter().map(|(_, item)| item), page_items))
}

/// Checks the form of a key condition and returns the partition it is for.
fn check_key_condition(table: &Table, condition: &Condition) -> Result<KeyValue, ApiError> {
    let unsupported = || validation("Query key condition not supported");
    let mut parts = Vec::new();
    flatten(condition, &mut parts);
    if parts.len() > 2 {
        return Err(validation("Conditions can be of length 1 or 2 only"));
    }
    let mut partition = None;
    for part in parts {
        let (path, value, is_equality) = match part {
            Condition::Compare(Operand::Path(path), Comparison::NotEqual, _) => {
                return Err(validation(format!(
                    "Unsupported operator on KeyCondition: <> on {path:?}"
                )));
            }
            Condition::Compare(Operand::Path(path), comparison, Operand::Value(value)) => {
                (path, value, *comparison == Comparison::Equal)
            }
            Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(_)) => {
                (path, low, false)
            }
            Condition::BeginsWith(path, Operand::Value(value)) => (path, value, false),
            _ => return Err(unsupported()),
        };
        let [Step::Name(name)] = path.as_slice() else {
            return Err(unsupported());
        };
        let attribute =
            std::iter::once(&table.hash).chain(table.range.as_ref()).find(|key| key.name == *name);
        let Some(attribute) = attribute else {
            return Err(validation(format!(
                "Query condition missed key schema element: {}",
                table.hash.name
            )));
        };
        if value.kind() != attribute.kind {
            return Err(validation(
                "One or more parameter values were invalid: Condition parameter type does not match schema type",
            ));
        }
        if *name == table.hash.name {
            if !is_equality {
                return Err(unsupported());
            }
            partition = Some(value.clone());
        }
    }
    match partition {
        Some(Attribute::Text(text)) if text.is_empty() => Err(validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {}",
            table.hash.name
        ))),
        Some(Attribute::Text(text)) => Ok(KeyValue::Text(text)),
        Some(Attribute::Number(number)) => Ok(KeyValue::Number(number)),
        Some(Attribute::Binary(bytes)) => Ok(KeyValue::Binary(bytes)),
        _ => Err(validation(format!(
            "Query condition missed key schema element: {}",
            table.hash.name
        ))),
    }
}

fn flatten<'a>(condition: &'a Condition, parts: &mut Vec<&'a Condition>) {
    if let Condition::And(left, right) = condition {
        flatten(left, parts);
        flatten(right, parts);
    } else {
        parts.push(condition);
    }
}

/// Refuses a filter on key attributes, which belong into the key condition.
fn refuse_key_filter(table: &Table, filter: Option<&Condition>) -> Result<(), ApiError> {
    let mut names = Vec::new();
    if let Some(filter) = filter {
        mentioned(filter, &mut names);
    }
    match names.iter().find(|name| table.key_names().contains(&name.as_str())) {
        Some(name) => Err(validation(format!(
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
        ))),
        None => Ok(()),
    }
}

fn mentioned(condition: &Condition, names: &mut Vec<String>) {
    let mut path = |path: &Path| {
        if let Some(Step::Name(name)) = path.first() {
            names.push(name.clone());
        }
    };
    match condition {
        Condition::And(left, right) | Condition::Or(left, right) => {
            mentioned(left, names);
            mentioned(right, names);
        }
        Condition::Not(inner) => mentioned(inner, names),
        Condition::Exists(subject)
        | Condition::NotExists(subject)
        | Condition::HasType(subject, _)
        | Condition::BeginsWith(subject, _)
        | Condition::Contains(subject, _) => path(subject),
        Condition::Compare(left, _, right) => {
            for operand in [left, right] {
                if let Operand::Path(subject) | Operand::Size(subject) = operand {
                    path(subject);
                }
            }
        }
        Condition::Between(operand, ..) | Condition::In(operand, _) => {
            if let Operand::Path(subject) | Operand::Size(subject) = operand {
                path(subject);
            }
        }
    }
}

pub(super) fn scan(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let name = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let wish = Wish::read(input, &mut placeholders)?;
    placeholders.finish()?;
    let segment = read_segment(input)?;
    let mut dynamodb = context.shared.dynamodb();
    let page_items = dynamodb.settings.page_items;
    let table = dynamodb.table_mut(&name)?.active(context.now)?;
    let start = wish.start.as_ref().map(|start| table.exact_key(start)).transpose()?;
    let from = start.map_or(Bound::Unbounded, Bound::Excluded);
    let found = table
        .items
        .range((from, Bound::Unbounded))
        .filter(|(key, _)| segment.is_none_or(|(number, total)| hash(&key.0) % total == number))
        .map(|(_, item)| item);
    Ok(page(input, &name.name, table, &wish, found, page_items))
}

fn read_segment(input: &Value) -> Result<Option<(u64, u64)>, ApiError> {
    match (input::integer(input, "Segment")?, input::integer(input, "TotalSegments")?) {
        (None, None) => Ok(None),
        (Some(segment), Some(total)) if (0..total).contains(&segment) && total <= 1_000_000 => {
            Ok(Some((segment.unsigned_abs(), total.unsigned_abs())))
        }
        (Some(_), Some(_)) => Err(validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        )),
        _ => Err(validation("The Segment parameter is required together with TotalSegments")),
    }
}

fn hash(value: &KeyValue) -> u64 {
    crate::logs::message_hash(&format!("{value:?}"))
}

/// Writes one page. A page ends at its limit even when nothing follows, as the service's pages do.
fn page<'a>(
    input: &Value,
    table_name: &str,
    table: &Table,
    wish: &Wish,
    found: impl Iterator<Item = &'a Item>,
    page_items: Option<usize>,
) -> Reply {
    let limit = wish.limit.unwrap_or(usize::MAX).min(page_items.unwrap_or(usize::MAX));
    let mut scanned = 0;
    let mut bytes = 0;
    let mut items = Vec::new();
    let mut last = None;
    for item in found {
        scanned += 1;
        bytes += item_bytes(item);
        if wish.filter.as_ref().is_none_or(|filter| holds(filter, item)) {
            items.push(item);
        }
        if scanned >= limit || bytes >= MAX_PAGE_BYTES {
            last = Some(item);
            break;
        }
    }
    let mut reply = Map::new();
    reply.insert("Count".to_owned(), json!(items.len()));
    reply.insert("ScannedCount".to_owned(), json!(scanned));
    if !wish.only_count {
        let written: Vec<Value> = items
            .into_iter()
            .map(|item| match &wish.projection {
                Some(paths) => write_item(&project(item, paths)),
                None => write_item(item),
            })
            .collect();
        reply.insert("Items".to_owned(), json!(written));
    }
    if let Some(last) = last {
        reply.insert("LastEvaluatedKey".to_owned(), table.write_key(last));
    }
    if let Some(capacity) = capacity(input, table_name, 0.5) {
        reply.insert("ConsumedCapacity".to_owned(), capacity);
    }
    answer(&Value::Object(reply))
}
