//! What is lost when a store goes away: messages, items, objects, and the tenants whose delivery stops.

use std::collections::BTreeMap;

use crate::{
    aws::session::Session,
    deploy::{
        change::{Action, Replacement, ResourceChange, Stake},
        observe::Observed,
        stack::{NESTED_STACK_TYPE, Stack},
    },
    onboard::table::{TableError, TenantTable},
};

/// Finds what is at stake. Reads only, and only where a change is grave; what cannot be read is said to be unknown.
pub(super) async fn find(
    session: &Session,
    observed: &Observed,
    changes: &[ResourceChange],
) -> Vec<Stake> {
    let Some(stack) = observed.presence.stack() else { return Vec::new() };
    let grave: Vec<&ResourceChange> = changes
        .iter()
        .filter(|change| change.action == Action::Remove || change.replacement == Replacement::Yes)
        .filter(|change| change.is_grave())
        .collect();
    if grave.is_empty() {
        return Vec::new();
    }
    let physical = physical_ids(session, stack, &grave).await;
    let mut stakes = Vec::new();
    for change in &grave {
        let id = change.physical_id.as_ref().or_else(|| physical.get(&change.path));
        let what = match (change.resource_type.as_str(), id) {
            ("AWS::SQS::Queue", Some(url)) => queue(session, url).await,
            ("AWS::DynamoDB::Table", Some(table)) => table_content(session, table).await,
            ("AWS::S3::Bucket", Some(bucket)) => bucket_content(session, bucket).await,
            _ => None,
        };
        stakes.extend(what.map(|what| Stake { path: change.path.clone(), what }));
    }
    if let Some(change) = grave.iter().find(|change| carries_delivery(&change.resource_type))
        && let Some(what) = tenants(session, stack).await
    {
        stakes.push(Stake { path: change.path.clone(), what });
    }
    stakes
}

/// Whether logs stop when a resource of this type goes away.
fn carries_delivery(resource_type: &str) -> bool {
    matches!(
        resource_type,
        "AWS::SQS::Queue"
            | "AWS::SNS::Subscription"
            | "AWS::Lambda::EventSourceMapping"
            | "AWS::DynamoDB::Table"
    )
}

/// Returns the names in AWS of the changed resources, by path.
async fn physical_ids(
    session: &Session,
    root: &Stack,
    changes: &[&ResourceChange],
) -> BTreeMap<String, String> {
    let client = session.cloudformation();
    let mut found = BTreeMap::new();
    let mut pending = vec![(root.id.clone(), String::new())];
    while let Some((stack, prefix)) = pending.pop() {
        let Ok(resources) = client.resources(&stack).await else { continue };
        for resource in resources {
            let path = format!("{prefix}{}", resource.logical_id);
            let inner = format!("{path}/");
            let leads_on = changes.iter().any(|change| change.path.starts_with(&inner));
            if resource.resource_type == NESTED_STACK_TYPE && leads_on {
                pending.push((resource.physical_id, inner));
            } else {
                found.insert(path, resource.physical_id);
            }
        }
    }
    found
}

async fn queue(session: &Session, url: &str) -> Option<String> {
    Some(match session.sqs().depth(url).await {
        Ok(Some(0)) => "no messages wait in it".to_owned(),
        Ok(Some(1)) => "1 message waits in it".to_owned(),
        Ok(Some(count)) => format!("{count} messages wait in it"),
        Ok(None) => return None,
        Err(fault) => format!("how many messages wait in it cannot be told: {fault}"),
    })
}

async fn table_content(session: &Session, table: &str) -> Option<String> {
    Some(match session.dynamodb().count(table).await {
        Ok(Some(1)) => "1 item is in it".to_owned(),
        Ok(Some(count)) => format!("{count} items are in it"),
        Ok(None) => return None,
        Err(fault) => format!("how many items are in it cannot be told: {fault}"),
    })
}

async fn bucket_content(session: &Session, bucket: &str) -> Option<String> {
    let name = bucket.parse().ok()?;
    Some(match session.s3().first_objects(&name).await {
        Ok(found) if found.more => format!("more than {} objects are in it", found.count),
        Ok(found) if found.count == 1 => "1 object is in it".to_owned(),
        Ok(found) => format!("{} objects are in it", found.count),
        Err(fault) => format!("how many objects are in it cannot be told: {fault}"),
    })
}

/// Returns whose delivery stops.
async fn tenants(session: &Session, stack: &Stack) -> Option<String> {
    /// The most tenants that are named.
    const MOST: usize = 5;
    let name = stack.outputs.get("TenantConfigTableName")?;
    let read = async { TenantTable::open(session.dynamodb(), name).await?.entries().await };
    let entries = match read.await {
        Ok(entries) => entries,
        Err(TableError::Missing { .. }) => return None,
        Err(error) => {
            let causes = crate::error::chain(&error).join(": ");
            return Some(format!("whose delivery stops cannot be told: {causes}"));
        }
    };
    let mut names: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.item.as_ref().is_ok_and(|item| item.enabled))
        .map(|entry| entry.tenant.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    Some(match names.len() {
        0 => "no tenant's delivery is switched on".to_owned(),
        1 => format!("delivery stops for 1 tenant: {shown}"),
        count if count > MOST => format!("delivery stops for {count} tenants: {shown}, ..."),
        count => format!("delivery stops for {count} tenants: {shown}"),
    })
}
