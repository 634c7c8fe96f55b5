//! Single items: get, put, update, delete, each with its conditions.

use serde_json::{Map, Value};

use super::evaluate::{apply, holds, project};
use super::expression::{Condition, Placeholders, Step};
use super::table::{ItemKey, Table};
use super::value::{Item, item_bytes, read_item, write_item};
use super::{addressed_table, answer, capacity, refuse_legacy, short_name, validation};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

/// The largest item, names included.
pub(super) const MAX_ITEM_BYTES: usize = 400 * 1_024;

/// Reads a map of attribute values that must be there.
pub(super) fn need_item(input: &Value, member: &str) -> Result<Item, ApiError> {
    let map = input::map(input, member)?.ok_or_else(|| {
        let lower = format!("{}{}", member.get(..1).unwrap_or_default().to_ascii_lowercase(), member.get(1..).unwrap_or_default());
        validation(format!("1 validation error detected: Value null at '{lower}' failed to satisfy constraint: Member must not be null"))
    })?;
    read_item(map)
}

/// Checks what an item needs to be stored, besides its key.
pub(super) fn check_size(item: &Item) -> Result<(), ApiError> {
    if item.keys().any(String::is_empty) {
        return Err(validation("One or more parameter values were invalid: Empty attribute name"));
    }
    if item_bytes(item) > MAX_ITEM_BYTES {
        return Err(validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

pub(super) fn get(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let key = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let projection = placeholders.projection(input)?;
    placeholders.finish()?;
    let wanted = need_item(input, "Key")?;
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.table_mut(&key)?.active(context.now)?;
    let place = table.exact_key(&wanted)?;
    let mut reply = Map::new();
    if let Some(item) = table.items.get(&place) {
        let item = match &projection {
            Some(paths) => project(item, paths),
            None => item.clone(),
        };
        reply.insert("Item".to_owned(), write_item(&item));
    }
    insert_capacity(&mut reply, input, &key.name, 0.5);
    Ok(answer(&Value::Object(reply)))
}

fn insert_capacity(reply: &mut Map<String, Value>, input: &Value, table: &str, units: f64) {
    if let Some(capacity) = capacity(input, short_name(table), units) {
        reply.insert("ConsumedCapacity".to_owned(), capacity);
    }
}

/// What a write wants besides its content.
struct Wish {
    condition: Option<Condition>,
    returns: String,
    return_item_on_failure: bool,
}

impl Wish {
    fn read(
        input: &Value,
        placeholders: &mut Placeholders,
        returns: &[&str],
    ) -> Result<Self, ApiError> {
        let condition = placeholders.condition(input, "ConditionExpression")?;
        let wanted = input::text(input, "ReturnValues")?.unwrap_or("NONE");
        if !returns.contains(&wanted) {
            return Err(validation("ReturnValues can only be ALL_OLD or NONE"));
        }
        let on_failure =
            input::text(input, "ReturnValuesOnConditionCheckFailure")?.unwrap_or("NONE");
        Ok(Self {
            condition,
            returns: wanted.to_owned(),
            return_item_on_failure: on_failure == "ALL_OLD",
        })
    }

    fn check(&self, present: Option<&Item>) -> Result<(), ApiError> {
        let nothing = Item::new();
        if self
            .condition
            .as_ref()
            .is_none_or(|condition| holds(condition, present.unwrap_or(&nothing)))
        {
            return Ok(());
        }
        let error =
            ApiError::bad("ConditionalCheckFailedException", "The conditional request failed");
        match present.filter(|_| self.return_item_on_failure) {
            Some(item) => Err(error.member("Item", write_item(item))),
            None => Err(error),
        }
    }
}

pub(super) fn put(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let key = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let wish = Wish::read(input, &mut placeholders, &["NONE", "ALL_OLD"])?;
    placeholders.finish()?;
    let item = need_item(input, "Item")?;
    check_size(&item)?;
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.table_mut(&key)?.active(context.now)?;
    let place = table.key_of_item(&item)?;
    wish.check(table.items.get(&place))?;
    let old = table.items.insert(place, item);
    Ok(written(input, &key.name, &wish, old.as_ref(), None))
}

pub(super) fn delete(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let key = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let wish = Wish::read(input, &mut placeholders, &["NONE", "ALL_OLD"])?;
    placeholders.finish()?;
    let wanted = need_item(input, "Key")?;
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.table_mut(&key)?.active(context.now)?;
    let place = table.exact_key(&wanted)?;
    wish.check(table.items.get(&place))?;
    let old = table.items.remove(&place);
    Ok(written(input, &key.name, &wish, old.as_ref(), None))
}

pub(super) fn update(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    refuse_legacy(input)?;
    let key = addressed_table(context, input)?;
    let mut placeholders = Placeholders::read(input)?;
    let update = placeholders.update(input)?.unwrap_or_default();
    let all = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"];
    let wish = Wish::read(input, &mut placeholders, &all)?;
    placeholders.finish()?;
    let wanted = need_item(input, "Key")?;
    let mut dynamodb = context.shared.dynamodb();
    let table = dynamodb.table_mut(&key)?.active(context.now)?;
    let place = table.exact_key(&wanted)?;
    let touched: Vec<String> = update
        .set
        .iter()
        .map(|(path, _)| path)
        .chain(&update.remove)
        .chain(update.add.iter().map(|(path, _)| path))
        .chain(update.delete.iter().map(|(path, _)| path))
        .filter_map(|path| match path.first() {
            Some(Step::Name(name)) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if let Some(name) = touched.iter().find(|name| table.key_names().contains(&name.as_str())) {
        return Err(validation(format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
        )));
    }
    let old = table.items.get(&place).cloned();
    wish.check(old.as_ref())?;
    let new = apply(&update, old.as_ref().unwrap_or(&wanted))?;
    check_size(&new)?;
    table.items.insert(place, new.clone());
    let only_touched = |item: &Item| -> Item {
        item.iter()
            .filter(|(name, _)| touched.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let (old, new) = match wish.returns.as_str() {
        "UPDATED_OLD" => (old.as_ref().map(only_touched), None),
        "UPDATED_NEW" => (None, Some(only_touched(&new))),
        _ => (old, Some(new)),
    };
    Ok(written(input, &key.name, &wish, old.as_ref(), new.as_ref()))
}

fn written(
    input: &Value,
    table: &str,
    wish: &Wish,
    old: Option<&Item>,
    new: Option<&Item>,
) -> Reply {
    let shown = match wish.returns.as_str() {
        "ALL_OLD" | "UPDATED_OLD" => old,
        "ALL_NEW" | "UPDATED_NEW" => new,
        _ => None,
    };
    let mut reply = Map::new();
    if let Some(item) = shown.filter(|item| !item.is_empty()) {
        reply.insert("Attributes".to_owned(), write_item(item));
    }
    insert_capacity(&mut reply, input, table, 1.0);
    answer(&Value::Object(reply))
}

/// Stores an item without conditions, for batches and for tests.
pub(super) fn store(table: &mut Table, item: Item) -> Result<ItemKey, ApiError> {
    check_size(&item)?;
    let place = table.key_of_item(&item)?;
    table.items.insert(place.clone(), item);
    Ok(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dynamodb::table::KeyAttribute;

    fn table() -> Table {
        let key = |name: &str| KeyAttribute { name: name.to_owned(), kind: "S".to_owned() };
        Table::new(key("tenant_id"), Some(key("type")), 0, 0, "id".to_owned())
    }

    fn check(item: &Value, expected: Result<(), &str>) {
        let item = read_item(item.as_object().unwrap()).unwrap();
        match (store(&mut table(), item), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{}", error.message),
            (seen, expected) => panic!("{seen:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn items_must_fit_the_key_schema() {
        check(&json!({"tenant_id": {"S": "t"}, "type": {"S": "s3"}}), Ok(()));
        check(&json!({"tenant_id": {"S": "t"}}), Err("Missing the key type in the item"));
        check(
            &json!({"tenant_id": {"N": "1"}, "type": {"S": "s3"}}),
            Err("Type mismatch for key tenant_id expected: S actual: N"),
        );
        check(
            &json!({"tenant_id": {"S": ""}, "type": {"S": "s3"}}),
            Err("empty string value. Key: tenant_id"),
        );
        let large = "x".repeat(MAX_ITEM_BYTES);
        check(
            &json!({"tenant_id": {"S": "t"}, "type": {"S": "s3"}, "x": {"S": large}}),
            Err("maximum allowed size"),
        );
    }

    #[test]
    fn keys_hold_nothing_else() {
        let rows = [
            (json!({"tenant_id": {"S": "t"}, "type": {"S": "s3"}}), true),
            (json!({"tenant_id": {"S": "t"}}), false),
            (json!({"tenant_id": {"S": "t"}, "type": {"N": "1"}}), false),
            (json!({"tenant_id": {"S": "t"}, "type": {"S": "s3"}, "more": {"S": "x"}}), false),
        ];
        for (key, expected) in rows {
            let item = read_item(key.as_object().unwrap()).unwrap();
            assert_eq!(table().exact_key(&item).is_ok(), expected, "{key}");
        }
    }
}
