//! Several items at once, some of which may be handed back undone.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::evaluate::project;
use super::expression::Placeholders;
use super::item::{need_item, store};
use super::value::{read_item, write_item};
use super::{answer, named_table, refuse_legacy, validation};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

const MAX_KEYS: usize = 100;
const MAX_WRITES: usize = 25;

fn request_items(input: &Value) -> Result<&Map<String, Value>, ApiError> {
    let items = input::map(input, "RequestItems")?.filter(|items| !items.is_empty());
    items.ok_or_else(|| validation("1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"))
}

pub(super) fn get(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let tables = request_items(input)?;
    let mut total = 0;
    let mut responses = Map::new();
    let mut unprocessed = Map::new();
    for (name, request) in tables {
        refuse_legacy(request)?;
        let table_key = named_table(context, name)?;
        let mut placeholders = Placeholders::read(request)?;
        let projection = placeholders.projection(request)?;
        placeholders.finish()?;
        let keys = input::list(request, "Keys")?.unwrap_or_default();
        total += keys.len();
        if keys.is_empty() || total > MAX_KEYS {
            return Err(validation("Too many items requested for the BatchGetItem call"));
        }
        let mut dynamodb = context.shared.dynamodb();
        let mut undone = dynamodb.settings.unprocessed_batch_entries;
        let table = dynamodb.table_mut(&table_key)?.active(context.now)?;
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut left = Vec::new();
        for key in keys {
            let wanted =
                read_item(key.as_object().ok_or_else(|| validation("a key is not a map"))?)?;
            let place = table.exact_key(&wanted)?;
            if !seen.insert(place.clone()) {
                return Err(validation("Provided list of item keys contains duplicates"));
            }
            if undone > 0 {
                undone -= 1;
                left.push(key.clone());
            } else if let Some(item) = table.items.get(&place) {
                found.push(match &projection {
                    Some(paths) => write_item(&project(item, paths)),
                    None => write_item(item),
                });
            }
        }
        dynamodb.settings.unprocessed_batch_entries = undone;
        responses.insert(name.clone(), json!(found));
        if !left.is_empty() {
            let mut again = request.clone();
            if let Some(members) = again.as_object_mut() {
                members.insert("Keys".to_owned(), json!(left));
            }
            unprocessed.insert(name.clone(), again);
        }
    }
    Ok(answer(&json!({"Responses": responses, "UnprocessedKeys": unprocessed})))
}

pub(super) fn write(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    let tables = request_items(input)?;
    let total: usize =
        tables.values().map(|requests| requests.as_array().map_or(0, Vec::len)).sum();
    if total == 0 || total > MAX_WRITES {
        return Err(validation(format!(
            "Too many items requested for the BatchWriteItem call: {total}"
        )));
    }
    let mut unprocessed = Map::new();
    for (name, requests) in tables {
        let table_key = named_table(context, name)?;
        let mut dynamodb = context.shared.dynamodb();
        let mut undone = dynamodb.settings.unprocessed_batch_entries;
        let table = dynamodb.table_mut(&table_key)?.active(context.now)?;
        let mut seen = BTreeSet::new();
        let mut left = Vec::new();
        // Everything is checked before anything is done.
        let mut writes = Vec::new();
        for request in requests.as_array().into_iter().flatten() {
            let write = match (request.get("PutRequest"), request.get("DeleteRequest")) {
                (Some(put), None) => {
                    let item = need_item(put, "Item")?;
                    (table.key_of_item(&item)?, Some(item))
                }
                (None, Some(delete)) => (table.exact_key(&need_item(delete, "Key")?)?, None),
                _ => {
                    return Err(validation(
                        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
                    ));
                }
            };
            if !seen.insert(write.0.clone()) {
                return Err(validation("Provided list of item keys contains duplicates"));
            }
            writes.push((request, write));
        }
        for (request, (place, item)) in writes {
            if undone > 0 {
                undone -= 1;
                left.push(request.clone());
                continue;
            }
            match item {
                Some(item) => {
                    store(table, item)?;
                }
                None => {
                    table.items.remove(&place);
                }
            }
        }
        dynamodb.settings.unprocessed_batch_entries = undone;
        if !left.is_empty() {
            unprocessed.insert(name.clone(), json!(left));
        }
    }
    Ok(answer(&json!({ "UnprocessedItems": unprocessed })))
}
