//! The tenant table.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    aws::{
        fault::{Caller, fault},
        session::Session,
    },
    model::{
        ids::TenantId,
        tenant::{Attribute, Attributes, PARTITION_KEY, SORT_KEY, TenantItem},
    },
    ports::{DirectoryItem, Fault, TenantDirectory, UnusableItem},
};

const QUERY: &str = "Query";

/// The table, read with the engine's own credentials.
#[derive(Debug, Clone)]
pub struct TenantTable {
    client: Client,
    name: String,
}

impl TenantTable {
    /// Reads the table `name`.
    pub fn new(session: &Session, name: &str) -> Self {
        Self { client: Client::new(&session.sdk), name: name.to_owned() }
    }

    async fn items(&self, tenant: &TenantId) -> Result<Vec<DirectoryItem>, Fault> {
        let mut items = Vec::new();
        let mut from: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("#key = :tenant")
                .expression_attribute_names("#key", PARTITION_KEY)
                .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_string()))
                .consistent_read(true)
                .set_exclusive_start_key(from.take())
                .send()
                .await
                .map_err(|error| fault(QUERY, Caller::Own, &error))?;
            items.extend(page.items().iter().map(|item| directory_item(&attributes(item))));
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() => from = Some(key),
                _ => return Ok(items),
            }
        }
    }
}

impl TenantDirectory for TenantTable {
    fn items<'a>(
        &'a self,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<DirectoryItem>, Fault>> {
        self.items(tenant).boxed()
    }
}

fn directory_item(attributes: &Attributes) -> DirectoryItem {
    TenantItem::from_attributes(attributes).map_err(|problem| {
        let kind = match attributes.get(SORT_KEY) {
            Some(Attribute::String(kind)) => kind.clone(),
            _ => String::new(),
        };
        // Only an item that clearly says so is switched off: a broken one may be wanted.
        let enabled = !matches!(attributes.get("enabled"), None | Some(Attribute::Bool(false)));
        UnusableItem { kind, enabled, problem }
    })
}

fn attributes(item: &HashMap<String, AttributeValue>) -> Attributes {
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &AttributeValue) -> Attribute {
    match value {
        AttributeValue::S(text) => Attribute::String(text.clone()),
        AttributeValue::N(number) => Attribute::Number(number.clone()),
        AttributeValue::Bool(value) => Attribute::Bool(*value),
        AttributeValue::L(values) => Attribute::List(values.iter().map(attribute).collect()),
        AttributeValue::Ss(texts) => Attribute::StringSet(texts.clone()),
        AttributeValue::M(_) => Attribute::Other("M"),
        AttributeValue::B(_) => Attribute::Other("B"),
        AttributeValue::Bs(_) => Attribute::Other("BS"),
        AttributeValue::Ns(_) => Attribute::Other("NS"),
        AttributeValue::Null(_) => Attribute::Other("NULL"),
        _ => Attribute::Other("unknown"),
    }
}
