//! Progress in a DynamoDB table with the partition key `work_id` (S) and the time to live `ttl` (N).
//!
//! An item is written only by who holds its claim. A claim ends by itself, so
//! that a process that died does not keep its work for ever.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    aws::{
        fault::{Caller, fault},
        session::Session,
    },
    model::progress::{Progress, WorkId},
    ports::{Checkpoints, Claim, Clock, Fault, FaultClass},
};

const UPDATE: &str = "UpdateItem";
/// How long a claim holds without news, in milliseconds.
const CLAIM_MS: i64 = 5 * 60_000;
/// How long an item is kept: longer than a message can live (14 days), in milliseconds.
const KEPT_MS: i64 = 15 * 24 * 60 * 60_000;

/// The table.
pub struct CheckpointTable {
    client: Client,
    name: String,
    clock: Arc<dyn Clock>,
    /// Tells this process from all others.
    owner: String,
}

impl std::fmt::Debug for CheckpointTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CheckpointTable {
    /// Keeps progress in the table `name`. `owner` must differ from that of every other process.
    pub fn new(session: &Session, name: &str, clock: Arc<dyn Clock>, owner: String) -> Self {
        Self { client: Client::new(&session.sdk), name: name.to_owned(), clock, owner }
    }

    async fn claim(&self, id: &WorkId) -> Result<Claim, Fault> {
        let now_ms = self.clock.now_ms();
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("work_id", AttributeValue::S(item_key(id)))
            .update_expression("SET #owner = :me, claimed_until = :until, #ttl = :ttl")
            .condition_expression(
                "attribute_not_exists(claimed_until) OR claimed_until < :now OR #owner = :me",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":me", AttributeValue::S(self.owner.clone()))
            .expression_attribute_values(":now", number(now_ms))
            .expression_attribute_values(":until", number(now_ms + CLAIM_MS))
            .expression_attribute_values(":ttl", number((now_ms + KEPT_MS) / 1000))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match result {
            Ok(output) => Ok(Claim::Granted(output.attributes().and_then(progress))),
            Err(error) => {
                let fault = fault(UPDATE, Caller::Own, &error);
                if is_condition(&fault) { Ok(Claim::Busy) } else { Err(fault) }
            }
        }
    }

    async fn write(&self, id: &WorkId, progress: &Progress, until_ms: i64) -> Result<(), Fault> {
        let text = serde_json::to_string(progress)
            .map_err(|error| Fault::new(FaultClass::Invalid, UPDATE).with_source(error))?;
        let ttl = (self.clock.now_ms() + KEPT_MS) / 1000;
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("work_id", AttributeValue::S(item_key(id)))
            .update_expression("SET progress = :progress, claimed_until = :until, #ttl = :ttl")
            .condition_expression("#owner = :me")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":me", AttributeValue::S(self.owner.clone()))
            .expression_attribute_values(":progress", AttributeValue::S(text))
            .expression_attribute_values(":until", number(until_ms))
            .expression_attribute_values(":ttl", number(ttl))
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut fault = fault(UPDATE, Caller::Own, &error);
                if is_condition(&fault) {
                    fault.class = FaultClass::Changed;
                }
                Err(fault)
            }
        }
    }
}

impl Checkpoints for CheckpointTable {
    fn claim<'a>(&'a self, id: &'a WorkId) -> BoxFuture<'a, Result<Claim, Fault>> {
        self.claim(id).boxed()
    }

    fn save<'a>(
        &'a self,
        id: &'a WorkId,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.write(id, progress, self.clock.now_ms() + CLAIM_MS).boxed()
    }

    fn release<'a>(
        &'a self,
        id: &'a WorkId,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.write(id, progress, 0).boxed()
    }
}

/// Returns the partition key: no segment of it contains a line break, so that no two works share one.
fn item_key(id: &WorkId) -> String {
    format!("{}\n{}\n{}", id.destination, id.bucket, id.key)
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn is_condition(fault: &Fault) -> bool {
    fault.code.as_deref() == Some("ConditionalCheckFailedException")
}

/// Reads the progress of an item. One that cannot be read counts as none: the object is delivered afresh.
fn progress(item: &HashMap<String, AttributeValue>) -> Option<Progress> {
    serde_json::from_str(item.get("progress")?.as_s().ok()?).ok()
}
