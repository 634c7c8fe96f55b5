//! Drift: what resources really look like, beside what their stack made of them.

use serde_json::Value;

use super::difference::{self, Leaf};
use super::state::{Resource, Stack};
use crate::clock::Millis;

/// A drift detection that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    pub(super) stack: String,
    pub(super) at: Millis,
    pub(super) drifted: usize,
    pub(super) status: &'static str,
}

/// Where a resource that is gone keeps that fact.
pub(super) const GONE: &str = "fake-aws:gone";

impl Resource {
    /// Returns `IN_SYNC`, `MODIFIED`, `DELETED` or, for types without drift detection, `NOT_CHECKED`.
    pub(super) fn drift_status(&self) -> &'static str {
        if self.drift_checked.is_none() || self.kind.is_stack() {
            return "NOT_CHECKED";
        }
        self.present_drift()
    }

    /// Returns what a detection would find now.
    pub(super) fn present_drift(&self) -> &'static str {
        match &self.live {
            Some(Value::String(text)) if text == GONE => "DELETED",
            Some(live) if !difference::is_same(live, &self.properties) => "MODIFIED",
            _ => "IN_SYNC",
        }
    }

    /// Returns the properties that differ from what the stack made.
    pub(super) fn drift_leaves(&self) -> Vec<Leaf> {
        match &self.live {
            Some(live) if live.is_object() => {
                difference::leaves("", Some(&self.properties), Some(live))
            }
            _ => Vec::new(),
        }
    }
}

/// Looks at the resources of a stack and notes what is found.
pub(super) fn detect(stack: &mut Stack, logical_ids: &[String], now: Millis) -> Detection {
    let mut drifted = 0;
    for resource in stack.resources.values_mut() {
        if resource.kind.is_stack()
            || !logical_ids.is_empty() && !logical_ids.contains(&resource.logical)
        {
            continue;
        }
        resource.drift_checked = Some(now);
        if resource.present_drift() != "IN_SYNC" {
            drifted += 1;
        }
    }
    let status = if drifted == 0 { "IN_SYNC" } else { "DRIFTED" };
    stack.drift = Some((status.to_owned(), now));
    Detection { stack: stack.id().to_owned(), at: now, drifted, status }
}
