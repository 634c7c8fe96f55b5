//! What a test can ask and change about tables.

use std::time::Duration;

use serde_json::Value;

use super::TableKey;
use super::item::store;
use super::table::{KeyAttribute, Table};
use super::value::{read_item, write_item};
use crate::fake::FakeAws;

/// Knobs of the service. The defaults are AWS's.
#[derive(Debug, Clone, Default)]
pub struct DynamoDbSettings {
    /// The largest number of items that a page looks at; by default only `Limit` and 1 MiB end it.
    pub page_items: Option<usize>,
    /// For how long a new table is still being created.
    pub creation_lag: Duration,
    /// That many next entries of batch operations are handed back undone.
    pub unprocessed_batch_entries: u32,
}

fn key(account: &str, region: &str, table: &str) -> TableKey {
    TableKey { account: account.to_owned(), region: region.to_owned(), name: table.to_owned() }
}

impl FakeAws {
    /// Changes the knobs of DynamoDB.
    pub fn configure_dynamodb(&self, change: impl FnOnce(&mut DynamoDbSettings)) {
        change(&mut self.shared().dynamodb().settings);
    }

    /// Creates a table with text keys: a partition key and, if not empty, a sort key.
    pub fn create_table(
        &self,
        account: &str,
        region: &str,
        table: &str,
        partition_key: &str,
        sort_key: &str,
    ) {
        let now = self.shared().clock.now();
        let id = self.shared().random().uuid();
        let attribute = |name: &str| KeyAttribute { name: name.to_owned(), kind: "S".to_owned() };
        let range = (!sort_key.is_empty()).then(|| attribute(sort_key));
        let new = Table::new(attribute(partition_key), range, now, now, id);
        self.shared().dynamodb().tables.insert(key(account, region, table), new);
    }

    /// Stores an item, given in DynamoDB's JSON: `{"tenant_id": {"S": "…"}, …}`.
    pub fn put_item(&self, account: &str, region: &str, table: &str, item: &Value) {
        let members = item.as_object().cloned().unwrap_or_default();
        let stored = read_item(&members).and_then(|item| {
            let mut dynamodb = self.shared().dynamodb();
            store(dynamodb.table_mut(&key(account, region, table))?, item)
        });
        if let Err(error) = stored {
            panic!("an item of table `{table}`: {}", error.message);
        }
    }

    /// Returns all items of a table in order of their keys, in DynamoDB's JSON.
    pub fn items(&self, account: &str, region: &str, table: &str) -> Vec<Value> {
        let dynamodb = self.shared().dynamodb();
        match dynamodb.tables.get(&key(account, region, table)) {
            Some(table) => table.items.values().map(write_item).collect(),
            None => panic!("there is no table `{table}`"),
        }
    }

    /// Returns the item with these key values, in DynamoDB's JSON. The sort key is empty for
    /// tables without one.
    pub fn item(
        &self,
        account: &str,
        region: &str,
        table: &str,
        partition: &str,
        sort: &str,
    ) -> Option<Value> {
        let wanted = |item: &Value, name: &str, value: &str| {
            item.get(name)?.get("S")?.as_str().map(|text| text == value)
        };
        let names: Vec<String> = {
            let dynamodb = self.shared().dynamodb();
            let table = dynamodb.tables.get(&key(account, region, table))?;
            table.key_names().into_iter().map(str::to_owned).collect()
        };
        self.items(account, region, table).into_iter().find(|item| {
            names
                .iter()
                .zip([partition, sort])
                .all(|(name, value)| wanted(item, name, value) == Some(true))
        })
    }

    /// Deletes a table; returns whether there was one.
    pub fn delete_table(&self, account: &str, region: &str, table: &str) -> bool {
        self.shared().dynamodb().tables.remove(&key(account, region, table)).is_some()
    }

    /// Deletes all items of a table.
    pub fn clear_table(&self, account: &str, region: &str, table: &str) {
        let mut dynamodb = self.shared().dynamodb();
        if let Some(table) = dynamodb.tables.get_mut(&key(account, region, table)) {
            table.items.clear();
        }
    }
}
