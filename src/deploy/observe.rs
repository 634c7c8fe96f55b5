//! Reads what is deployed. Reads only.

use std::collections::BTreeMap;

use super::{
    stack::{NESTED_STACK_TYPE, Presence, Stack, StackResource},
    state::{OWN_PREFIX, Owner, needs_resources},
    status::{Phase, StackStatus},
};
use crate::{
    aws::{cloudformation::CloudFormation, fault::Fault},
    template::document::Document,
};

/// A stack with everything around it that a plan needs.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The stack.
    pub presence: Presence,
    /// Its resources, where they matter for what to do.
    pub resources: Vec<StackResource>,
    /// The names of the change sets at a stack that only waits for one.
    pub change_sets: Vec<String>,
    /// The token of the operation that runs, if one does.
    pub running_token: Option<String>,
    /// The template text, if there is a stack with one.
    pub template: Option<String>,
}

impl Observed {
    /// Returns whose operation runs: ours, if its token is for exactly this content.
    pub fn owner(&self, content: &str) -> Owner {
        let ours = format!("{OWN_PREFIX}{content}-");
        match &self.running_token {
            Some(token) if token.starts_with(&ours) => Owner::Ours,
            _ => Owner::Foreign,
        }
    }
}

/// A nested stack as it is deployed.
#[derive(Debug, Clone)]
pub struct ObservedChild {
    /// The stack.
    pub stack: Stack,
    /// Its template.
    pub document: Option<Document>,
}

/// How many events are looked at to find who started an operation.
const RECENT_EVENTS: usize = 100;

/// Reads the stack called `name`.
pub async fn observe(client: &CloudFormation, name: &str) -> Result<Observed, Fault> {
    let presence = client.presence(name).await?;
    let mut observed = Observed {
        presence,
        resources: Vec::new(),
        change_sets: Vec::new(),
        running_token: None,
        template: None,
    };
    let Presence::Present(stack) = &observed.presence else { return Ok(observed) };
    if needs_resources(stack) {
        observed.resources = client.resources(&stack.id).await?;
    }
    if stack.status == StackStatus::ReviewInProgress {
        observed.change_sets =
            client.change_sets(&stack.id).await?.into_iter().map(|set| set.name).collect();
    } else {
        observed.template = Some(client.template(&stack.id).await?);
    }
    if stack.status.is_busy() {
        let events = client.events(&stack.id, None, RECENT_EVENTS).await?;
        let newest = events.iter().rev().find(|event| event.token.is_some());
        observed.running_token = newest.and_then(|event| event.token.clone());
    }
    Ok(observed)
}

/// Reads the stacks nested in `stack`, by the name that the parent's template gives them.
pub async fn children(
    client: &CloudFormation,
    stack: &Stack,
) -> Result<BTreeMap<String, ObservedChild>, Fault> {
    let mut children = BTreeMap::new();
    for resource in client.resources(&stack.id).await? {
        if resource.resource_type != NESTED_STACK_TYPE || resource.status.phase() == Phase::Failed {
            continue;
        }
        let Presence::Present(child) = client.presence(&resource.physical_id).await? else {
            continue;
        };
        if child.status == StackStatus::DeleteComplete {
            continue;
        }
        let document = Document::parse(&client.template(&child.id).await?).ok();
        children.insert(resource.logical_id, ObservedChild { stack: *child, document });
    }
    Ok(children)
}
