//! Templates: showing them, and looking at them without a stack.

use serde_json::Value;

use super::super::form::invalid;
use super::super::state::State;
use super::super::template::{Template, scalar};
use super::{Absence, Call, input};
use crate::error::ApiError;
use crate::xml::Writer;

pub(super) fn get_template(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    form.choice("TemplateStage", &["Original", "Processed"])?;
    let stack_name = form.optional_name("StackName")?;
    let definition = match form.optional_name("ChangeSetName")? {
        Some(change_set) => {
            let stack =
                stack_name.map(|name| call.find(state, name, Absence::WithId)).transpose()?;
            let set = state.find_change_set(stack.map(super::Stack::id), change_set).ok_or_else(
                || {
                    ApiError::new(
                        404,
                        "ChangeSetNotFound",
                        format!("ChangeSet [{change_set}] does not exist"),
                    )
                },
            )?;
            set.definition.as_ref()
        }
        None => call.find(state, form.name("StackName")?, Absence::WithId)?.definition.as_ref(),
    };
    let definition = definition.ok_or_else(|| {
        invalid(format!("Template for stack [{}] does not exist", stack_name.unwrap_or_default()))
    })?;
    out.text("TemplateBody", definition.template.text());
    out.nest("StagesAvailable", |out| {
        out.text("member", "Original");
        out.text("member", "Processed");
    });
    Ok(())
}

pub(super) fn validate_template(call: &Call<'_>, out: &mut Writer) -> Result<(), ApiError> {
    let template = input::sent_template(call)?
        .ok_or_else(|| invalid("Either Template URL or Template Body must be specified."))?;
    out.nest("Parameters", |out| {
        for (name, declared) in template.section("Parameters") {
            out.nest("member", |out| {
                out.text("ParameterKey", name);
                parameter_facts(out, declared);
            });
        }
    });
    if let Some(description) = template.description() {
        out.text("Description", description);
    }
    capabilities(out, &template);
    out.nest("DeclaredTransforms", |_| ());
    Ok(())
}

pub(super) fn get_template_summary(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let template = match (input::sent_template(call)?, call.form.optional_name("StackName")?) {
        (Some(template), None) => template,
        (None, Some(name)) => {
            let stack = call.find(state, name, Absence::WithId)?;
            let definition = stack.definition.as_ref();
            definition
                .ok_or_else(|| invalid(format!("Stack [{name}] has no template")))?
                .template
                .clone()
        }
        _ => {
            return Err(invalid(
                "Specify exactly one of 'TemplateBody', 'TemplateUrl' or 'StackName'",
            ));
        }
    };
    out.nest("Parameters", |out| {
        for (name, declared) in template.section("Parameters") {
            out.nest("member", |out| {
                out.text("ParameterKey", name);
                out.text(
                    "ParameterType",
                    declared.get("Type").and_then(Value::as_str).unwrap_or_default(),
                );
                parameter_facts(out, declared);
                out.nest("ParameterConstraints", |out| {
                    if let Some(allowed) = declared.get("AllowedValues").and_then(Value::as_array) {
                        out.nest("AllowedValues", |out| {
                            allowed.iter().for_each(|value| out.text("member", &scalar(value)));
                        });
                    }
                });
            });
        }
    });
    if let Some(description) = template.description() {
        out.text("Description", description);
    }
    capabilities(out, &template);
    let mut kinds: Vec<&str> = template.resources().map(|resource| resource.kind.name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    out.nest("ResourceTypes", |out| kinds.iter().for_each(|kind| out.text("member", kind)));
    if let Some(version) = template.version() {
        out.text("Version", version);
    }
    if let Some(metadata) = template.metadata() {
        out.text("Metadata", &metadata.to_string());
    }
    out.nest("ResourceIdentifierSummaries", |out| {
        for kind in kinds {
            identifiers(out, &template, kind);
        }
    });
    Ok(())
}

fn identifiers(out: &mut Writer, template: &Template, kind: &str) {
    let of_kind: Vec<_> =
        template.resources().filter(|resource| resource.kind.name == kind).collect();
    let Some(property) = of_kind.first().and_then(|resource| resource.kind.name_property) else {
        return;
    };
    out.nest("member", |out| {
        out.text("ResourceType", kind);
        out.nest("LogicalResourceIds", |out| {
            of_kind.iter().for_each(|resource| out.text("member", resource.logical));
        });
        out.nest("ResourceIdentifiers", |out| out.text("member", property));
    });
}

fn parameter_facts(out: &mut Writer, declared: &Value) {
    if let Some(default) = declared.get("Default") {
        out.text("DefaultValue", &scalar(default));
    }
    let is_secret = declared.get("NoEcho").is_some_and(|value| scalar(value) == "true");
    out.text("NoEcho", if is_secret { "true" } else { "false" });
    if let Some(description) = declared.get("Description").and_then(Value::as_str) {
        out.text("Description", description);
    }
}

fn capabilities(out: &mut Writer, template: &Template) {
    if let Some((capability, kinds)) = template.needed_capability() {
        out.nest("Capabilities", |out| out.text("member", capability));
        out.text(
            "CapabilitiesReason",
            &format!("The following resource(s) require capabilities: [{}]", kinds.join(", ")),
        );
    }
}
