//! DynamoDB: tables, items, conditions, queries in pages.
//!
//! Rules are those of the API model (`dynamodb-2012-08-10`) and of
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>.

mod batch;
mod evaluate;
mod expression;
mod inspect;
mod item;
mod number;
mod parser;
mod query;
mod reserved;
mod table;
mod token;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

pub use inspect::DynamoDbSettings;

use table::Table;

pub(crate) const OPERATIONS: &[&str] = &[
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "ListTables",
    "PutItem",
    "Query",
    "Scan",
    "UpdateContinuousBackups",
    "UpdateItem",
    "UpdateTimeToLive",
];

/// Account, region and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct TableKey {
    account: String,
    region: String,
    name: String,
}

impl TableKey {
    fn arn(&self) -> String {
        format!("arn:aws:dynamodb:{}:{}:table/{}", self.region, self.account, self.name)
    }
}

/// The state of the service.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    tables: BTreeMap<TableKey, Table>,
    settings: DynamoDbSettings,
}

impl DynamoDb {
    pub(crate) fn new() -> Self {
        Self { tables: BTreeMap::new(), settings: DynamoDbSettings::default() }
    }

    fn table_mut(&mut self, key: &TableKey) -> Result<&mut Table, ApiError> {
        self.tables.get_mut(key).ok_or_else(no_resource)
    }
}

/// Returns what a call is about: the table, and the partition key if there is one.
pub(crate) fn facts(input: &Value) -> (String, String) {
    let table = input.get("TableName").and_then(Value::as_str).map(str::to_owned);
    let batch = || {
        let tables = input.get("RequestItems")?.as_object()?;
        tables.keys().next().cloned()
    };
    let key = ["Key", "Item"].iter().find_map(|member| {
        let first = input.get(member)?.as_object()?.values().next()?;
        first.get("S").or_else(|| first.get("N"))?.as_str().map(str::to_owned)
    });
    let table = table.or_else(batch).unwrap_or_default();
    (short_name(&table).to_owned(), key.unwrap_or_default())
}

/// A table may be named by its ARN.
fn short_name(table: &str) -> &str {
    table.split_once(":table/").map_or(table, |(_, name)| name)
}

pub(crate) fn execute(context: &Context<'_>, input: &Value) -> Result<Reply, ApiError> {
    match context.operation {
        "CreateTable" => table::create(context, input),
        "DescribeTable" => table::describe(context, input),
        "DeleteTable" => table::delete(context, input),
        "ListTables" => table::list(context, input),
        "DescribeTimeToLive" => table::time_to_live(context, input),
        "UpdateTimeToLive" => table::set_time_to_live(context, input),
        "DescribeContinuousBackups" => table::backups(context, input),
        "UpdateContinuousBackups" => table::set_backups(context, input),
        "GetItem" => item::get(context, input),
        "PutItem" => item::put(context, input),
        "UpdateItem" => item::update(context, input),
        "DeleteItem" => item::delete(context, input),
        "Query" => query::query(context, input),
        "Scan" => query::scan(context, input),
        "BatchGetItem" => batch::get(context, input),
        "BatchWriteItem" => batch::write(context, input),
        _ => Err(ApiError::bad("UnknownOperationException", "")),
    }
}

/// Finds the table that `TableName` means, and checks that the caller may use it this way.
fn addressed_table(context: &Context<'_>, input: &Value) -> Result<TableKey, ApiError> {
    let name = input::text(input, "TableName")?.ok_or_else(|| {
        validation("1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null")
    })?;
    named_table(context, name)
}

fn named_table(context: &Context<'_>, name: &str) -> Result<TableKey, ApiError> {
    let key = table_key(context, name);
    context.authorize_shared(
        &format!("dynamodb:{}", context.operation),
        &key.arn(),
        &key.account,
        None,
        &[],
    )?;
    Ok(key)
}

fn table_key(context: &Context<'_>, name: &str) -> TableKey {
    let mut parts = name.split(':');
    let (region, account) = match (parts.next(), parts.nth(2), parts.next()) {
        (Some("arn"), Some(region), Some(account)) => (region, account),
        _ => (context.region, context.caller.account.as_str()),
    };
    TableKey {
        account: account.to_owned(),
        region: region.to_owned(),
        name: short_name(name).to_owned(),
    }
}

fn answer(value: &Value) -> Reply {
    Reply::with_body(200, "application/x-amz-json-1.0", value.to_string())
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::bad("ValidationException", message)
}

fn no_resource() -> ApiError {
    ApiError::bad("ResourceNotFoundException", "Requested resource not found")
}

/// Refuses what older clients used instead of expressions.
fn refuse_legacy(input: &Value) -> Result<(), ApiError> {
    const LEGACY: &[&str] = &[
        "AttributesToGet",
        "AttributeUpdates",
        "ConditionalOperator",
        "Expected",
        "KeyConditions",
        "QueryFilter",
        "ScanFilter",
        "IndexName",
    ];
    match LEGACY.iter().find(|member| input.get(**member).is_some_and(|value| !value.is_null())) {
        Some(member) => Err(validation(format!("this stand-in does not know {member}"))),
        None => Ok(()),
    }
}

/// Describes what a call has cost, when it asked for it.
fn capacity(input: &Value, table: &str, units: f64) -> Option<Value> {
    let wanted = input.get("ReturnConsumedCapacity").and_then(Value::as_str);
    matches!(wanted, Some("TOTAL" | "INDEXES"))
        .then(|| serde_json::json!({"TableName": table, "CapacityUnits": units}))
}
