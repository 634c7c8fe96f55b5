//! Drift detection.

use serde_json::Value;

use super::super::difference::Leaf;
use super::super::drift;
use super::super::form::invalid;
use super::super::paging;
use super::super::state::{Resource, State};
use super::super::template::scalar;
use super::{Absence, Call};
use crate::clock::iso_millis;
use crate::error::ApiError;
use crate::xml::Writer;

pub(super) fn detect_stack_drift(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let name = call.form.name("StackName")?;
    let logical_ids = call.form.list("LogicalResourceIds");
    let now = call.now;
    let stack = call.find_mut(state, name, Absence::Bracketed)?;
    if stack.status.is_busy() || stack.definition.is_none() {
        return Err(invalid(format!(
            "Drift detection cannot be run on stack [{}] while it is in status {}",
            stack.name(),
            stack.status
        )));
    }
    let detection = drift::detect(stack, &logical_ids, now);
    let id = state.random.uuid();
    state.detections.insert(id.clone(), detection);
    out.text("StackDriftDetectionId", &id);
    Ok(())
}

pub(super) fn describe_detection(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let id = call.form.require("StackDriftDetectionId")?;
    let detection = state
        .detections
        .get(id)
        .ok_or_else(|| invalid(format!("Drift detection with id {id} does not exist")))?;
    out.text("StackId", &detection.stack);
    out.text("StackDriftDetectionId", id);
    out.text("StackDriftStatus", detection.status);
    out.text("DetectionStatus", "DETECTION_COMPLETE");
    out.text("DriftedStackResourceCount", &detection.drifted.to_string());
    out.text("Timestamp", &iso_millis(detection.at));
    Ok(())
}

pub(super) fn describe_resource_drifts(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let stack = call.find(state, call.form.name("StackName")?, Absence::Bracketed)?;
    let wanted = call.form.list("StackResourceDriftStatusFilters");
    let resources: Vec<&Resource> = stack
        .living()
        .filter(|resource| resource.drift_checked.is_some())
        .filter(|resource| {
            wanted.is_empty() || wanted.iter().any(|status| status == resource.drift_status())
        })
        .collect();
    let size = call
        .form
        .get("MaxResults")
        .and_then(|most| most.parse().ok())
        .unwrap_or(state.settings.page_size);
    let page = paging::page(resources, call.form.get("NextToken"), size, |resource| {
        resource.logical.clone()
    })?;
    out.nest("StackResourceDrifts", |out| {
        for resource in page.entries {
            out.nest("member", |out| {
                out.text("StackId", stack.id());
                write(out, resource);
            });
        }
    });
    if let Some(next) = page.next {
        out.text("NextToken", &next);
    }
    Ok(())
}

fn write(out: &mut Writer, resource: &Resource) {
    out.text("LogicalResourceId", &resource.logical);
    out.text("PhysicalResourceId", resource.physical.as_deref().unwrap_or_default());
    out.text("ResourceType", resource.kind.name);
    out.text("ExpectedProperties", &resource.properties.to_string());
    let status = resource.drift_status();
    if status != "DELETED" {
        out.text(
            "ActualProperties",
            &resource.live.as_ref().unwrap_or(&resource.properties).to_string(),
        );
    }
    out.nest("PropertyDifferences", |out| {
        if status == "MODIFIED" {
            resource
                .drift_leaves()
                .iter()
                .for_each(|leaf| out.nest("member", |out| difference(out, leaf)));
        }
    });
    out.text("StackResourceDriftStatus", status);
    out.text("Timestamp", &iso_millis(resource.drift_checked.unwrap_or(resource.at)));
}

fn difference(out: &mut Writer, leaf: &Leaf) {
    let text =
        |value: &Option<Value>| value.as_ref().map(scalar).unwrap_or_else(|| "null".to_owned());
    out.text("PropertyPath", &leaf.path);
    out.text("ExpectedValue", &text(&leaf.before));
    out.text("ActualValue", &text(&leaf.after));
    let kind = match (&leaf.before, &leaf.after) {
        (None, _) => "ADD",
        (_, None) => "REMOVE",
        _ => "NOT_EQUAL",
    };
    out.text("DifferenceType", kind);
}
