//! The tenant table as the command line sees it: every item is shown, also one that cannot be read.

use mtlog_processor::model::{
    ids::TenantId,
    tenant::{
        Attribute, Attributes, DeliveryKind, InvalidItem, PARTITION_KEY, SORT_KEY, TenantItem,
    },
};
use thiserror::Error;

use crate::aws::{
    dynamodb::{Conditional, DynamoDb, ItemKey, Seen},
    fault::Fault,
};

/// What the tenant table of this product has as its key.
const EXPECTED_KEY: [&str; 2] = [PARTITION_KEY, SORT_KEY];

/// Attributes that earlier tools wrote and nobody reads.
const LEGACY_ATTRIBUTES: [&str; 5] = ["account_id", "region", "role_arn", "groups", "log_group"];

/// A table that is known to have the right key.
#[derive(Debug, Clone)]
pub struct TenantTable {
    client: DynamoDb,
    name: String,
}

/// An item of the table, readable or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The partition key, whatever it is.
    pub tenant: String,
    /// The sort key, whatever it is.
    pub kind: String,
    /// The item, or everything that is wrong with it.
    pub item: Result<TenantItem, InvalidItem>,
    /// What is odd about an item that can be read.
    pub notes: Vec<String>,
    /// The attributes as they stand in the table.
    pub attributes: Attributes,
}

/// A failure at the tenant table.
#[derive(Debug, Error)]
pub enum TableError {
    /// There is no such table in this account and region.
    #[error("there is no table `{table}` in this account and region")]
    Missing {
        /// The table's name.
        table: String,
    },
    /// The table of the system that mtlog replaces: one item for each tenant.
    #[error(
        "table `{table}` has the key `{key}` alone; it was made by the system that mtlog replaces, and a table's key cannot be changed"
    )]
    Predecessor {
        /// The table's name.
        table: String,
        /// Its key.
        key: String,
    },
    /// Not the table of the system that mtlog replaces.
    #[error(
        "table `{table}` has the key `{key}`; the table of the system that mtlog replaces has tenant_id alone"
    )]
    NoPredecessor {
        /// The table's name.
        table: String,
        /// Its key.
        key: String,
    },
    /// Some other table.
    #[error("table `{table}` has the key `{key}`; a tenant table has tenant_id and type")]
    Foreign {
        /// The table's name.
        table: String,
        /// Its key.
        key: String,
    },
    /// The item is there already.
    #[error("tenant `{tenant}` has a `{kind}` delivery already; nothing was written")]
    Exists {
        /// The tenant.
        tenant: TenantId,
        /// The delivery.
        kind: DeliveryKind,
    },
    /// The item is not what it was when it was read.
    #[error(
        "the `{kind}` delivery of tenant `{tenant}` was changed by somebody else meanwhile; nothing was written"
    )]
    Moved {
        /// The tenant.
        tenant: String,
        /// The delivery.
        kind: String,
    },
    /// The item is not there.
    #[error("tenant `{tenant}` has no `{kind}` delivery")]
    Absent {
        /// The tenant.
        tenant: String,
        /// The delivery.
        kind: DeliveryKind,
    },
    /// A call failed.
    #[error("failed to {action} table `{table}`")]
    Call {
        /// What was tried.
        action: &'static str,
        /// The table's name.
        table: String,
        /// Why.
        #[source]
        source: Fault,
    },
}

impl TenantTable {
    /// Opens the table and makes sure that it is a tenant table.
    pub async fn open(client: DynamoDb, name: &str) -> Result<Self, TableError> {
        let schema = client.key_schema(name).await.map_err(|source| TableError::Call {
            action: "describe",
            table: name.to_owned(),
            source,
        })?;
        let table = name.to_owned();
        let Some(schema) = schema else { return Err(TableError::Missing { table }) };
        let key = schema.0.join(", ");
        match schema.0.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            found if found == EXPECTED_KEY => Ok(Self { client, name: table }),
            [PARTITION_KEY] => Err(TableError::Predecessor { table, key }),
            _ => Err(TableError::Foreign { table, key }),
        }
    }

    /// Reads all items of the table `name`, in the same account and region, of the system that mtlog replaces: one for each tenant, with no type. Each is
    /// returned as the delivery that it was: to a log group, and switched on unless it says otherwise.
    pub async fn predecessors(&self, name: &str) -> Result<Vec<Entry>, TableError> {
        let client = &self.client;
        let call =
            |action| move |source| TableError::Call { action, table: name.to_owned(), source };
        let schema = client.key_schema(name).await.map_err(call("describe"))?;
        let table = name.to_owned();
        let Some(schema) = schema else { return Err(TableError::Missing { table }) };
        if schema.0 != [PARTITION_KEY] {
            return Err(TableError::NoPredecessor { table, key: schema.0.join(", ") });
        }
        let items = client.all_items(name).await.map_err(call("read"))?;
        Ok(sorted(items.into_iter().map(as_delivery).collect()))
    }

    /// Returns the table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns every item, in key order.
    pub async fn entries(&self) -> Result<Vec<Entry>, TableError> {
        let items = self
            .client
            .all_items(&self.name)
            .await
            .map_err(|source| self.failed("read", source))?;
        Ok(sorted(items))
    }

    /// Returns the items of one tenant. The id is any text: a bad item must be findable too.
    pub async fn entries_of(&self, tenant: &str) -> Result<Vec<Entry>, TableError> {
        let items = self
            .client
            .items_of(&self.name, tenant)
            .await
            .map_err(|source| self.failed("read", source))?;
        Ok(sorted(items))
    }

    /// Writes a new item; an item that is there already is left alone.
    pub async fn add(&self, item: &TenantItem) -> Result<(), TableError> {
        let written = self.client.insert(&self.name, &item.to_attributes()).await;
        match written.map_err(|source| self.failed("write to", source))? {
            Conditional::Written => Ok(()),
            Conditional::Refused => Err(TableError::Exists {
                tenant: item.tenant.clone(),
                kind: item.destination.kind(),
            }),
        }
    }

    /// Switches a delivery on or off.
    pub async fn set_enabled(
        &self,
        tenant: &str,
        kind: DeliveryKind,
        enabled: bool,
        now: &str,
    ) -> Result<(), TableError> {
        let set = Attributes::from([
            ("enabled".to_owned(), Attribute::Bool(enabled)),
            ("updated_at".to_owned(), Attribute::String(now.to_owned())),
        ]);
        let written =
            self.client.update(&self.name, &key(tenant, kind), &set, &[], Seen::Anything).await;
        self.must_exist(tenant, kind, written.map_err(|source| self.failed("write to", source))?)
    }

    /// Deletes a delivery.
    pub async fn remove(&self, tenant: &str, kind: DeliveryKind) -> Result<(), TableError> {
        let deleted = self.client.remove(&self.name, &key(tenant, kind), Seen::Anything).await;
        self.must_exist(tenant, kind, deleted.map_err(|source| self.failed("delete from", source))?)
    }

    /// Changes a delivery, unless it is no longer what `before` says.
    pub async fn change(
        &self,
        before: &Entry,
        set: &Attributes,
        removed: &[&str],
    ) -> Result<(), TableError> {
        let seen = Seen::Exactly(&before.attributes);
        let written = self.client.update(&self.name, &before.key(), set, removed, seen).await;
        before.unmoved(written.map_err(|source| self.failed("write to", source))?)
    }

    /// Deletes an item, unless it is no longer what `before` says.
    pub async fn remove_unchanged(&self, before: &Entry) -> Result<(), TableError> {
        let seen = Seen::Exactly(&before.attributes);
        let deleted = self.client.remove(&self.name, &before.key(), seen).await;
        before.unmoved(deleted.map_err(|source| self.failed("delete from", source))?)
    }

    fn must_exist(
        &self,
        tenant: &str,
        kind: DeliveryKind,
        written: Conditional,
    ) -> Result<(), TableError> {
        match written {
            Conditional::Written => Ok(()),
            Conditional::Refused => Err(TableError::Absent { tenant: tenant.to_owned(), kind }),
        }
    }

    fn failed(&self, action: &'static str, source: Fault) -> TableError {
        TableError::Call { action, table: self.name.clone(), source }
    }
}

impl Entry {
    fn key(&self) -> ItemKey {
        ItemKey { tenant: self.tenant.clone(), kind: self.kind.clone() }
    }

    fn unmoved(&self, written: Conditional) -> Result<(), TableError> {
        match written {
            Conditional::Written => Ok(()),
            Conditional::Refused => {
                Err(TableError::Moved { tenant: self.tenant.clone(), kind: self.kind.clone() })
            }
        }
    }
}

fn key(tenant: &str, kind: DeliveryKind) -> ItemKey {
    ItemKey { tenant: tenant.to_owned(), kind: kind.as_str().to_owned() }
}

fn sorted(items: Vec<Attributes>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = items.iter().map(entry).collect();
    entries.sort_by(|a, b| (&a.tenant, &a.kind).cmp(&(&b.tenant, &b.kind)));
    entries
}

fn entry(attributes: &Attributes) -> Entry {
    let text = |name: &str| match attributes.get(name) {
        Some(Attribute::String(text)) => text.clone(),
        _ => String::new(),
    };
    Entry {
        tenant: text(PARTITION_KEY),
        kind: text(SORT_KEY),
        item: TenantItem::from_attributes(attributes),
        notes: notes(attributes),
        attributes: attributes.clone(),
    }
}

fn as_delivery(mut attributes: Attributes) -> Attributes {
    attributes
        .entry(SORT_KEY.to_owned())
        .or_insert_with(|| Attribute::String(DeliveryKind::CloudWatch.as_str().to_owned()));
    attributes.entry("enabled".to_owned()).or_insert(Attribute::Bool(true));
    attributes
}

fn notes(attributes: &Attributes) -> Vec<String> {
    let mut notes = Vec::new();
    if !attributes.contains_key("enabled") {
        notes.push("attribute `enabled` is missing, which reads as off".to_owned());
    }
    if matches!(attributes.get("desired_logs"), Some(Attribute::StringSet(_))) {
        notes.push("`desired_logs` is a string set; it is read, and written as a list".to_owned());
    }
    for name in LEGACY_ATTRIBUTES.into_iter().filter(|name| attributes.contains_key(*name)) {
        notes.push(format!(
            "attribute `{name}` is left over from an earlier tool; nothing reads it"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_another_tool_is_explained_and_does_not_hide_the_others() {
        let text = |value: &str| Attribute::String(value.to_owned());
        let foreign = Attributes::from([
            ("tenant_id".to_owned(), text("zeta")),
            ("type".to_owned(), text("cloudwatch")),
            ("role_arn".to_owned(), text("arn")),
            ("desired_logs".to_owned(), Attribute::StringSet(vec!["a".to_owned()])),
        ]);
        let nameless =
            Attributes::from([("tenant_id".to_owned(), Attribute::Number("7".to_owned()))]);
        let entries = sorted(vec![foreign, nameless]);
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].tenant.as_str(), entries[1].tenant.as_str()), ("", "zeta"));
        assert!(entries[0].item.is_err());
        let problems = entries[1].item.as_ref().unwrap_err().to_string();
        assert!(problems.contains("log_distribution_role_arn"), "{problems}");
        let notes = entries[1].notes.join("\n");
        for part in ["`enabled` is missing", "string set", "`role_arn` is left over"] {
            assert!(notes.contains(part), "{part} in {notes}");
        }
    }
}
