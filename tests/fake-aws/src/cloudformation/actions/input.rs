//! What several calls read from their requests in the same way.

use std::sync::Arc;

use super::super::engine::{OnFailure, check_capabilities, check_capability_names};
use super::super::form::{Form, check_length, invalid};
use super::super::state::{Definition, RollbackConfiguration, Stack};
use super::super::template::{Given, Template, resolve};
use super::super::template_url;
use super::Call;
use crate::error::ApiError;

/// The largest body that a request may carry; larger templates come by URL.
/// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
const LARGEST_BODY: usize = 51_200;

/// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>.
const MOST_TAGS: usize = 50;

/// Reads the template that a request brings by body or by URL.
pub(super) fn sent_template(call: &Call<'_>) -> Result<Option<Arc<Template>>, ApiError> {
    let form = &call.form;
    match (form.get("TemplateBody"), form.get("TemplateURL")) {
        (Some(_), Some(_)) => {
            Err(invalid("Specify exactly one of 'TemplateBody' or 'TemplateUrl'"))
        }
        (Some(body), None) => {
            check_length("TemplateBody", body, LARGEST_BODY)?;
            if body.len() > LARGEST_BODY {
                // Characters of several bytes count by their bytes once the limit comes near.
                return Err(invalid(format!(
                    "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {LARGEST_BODY}"
                )));
            }
            Template::parse(body).map(Some)
        }
        (None, Some(url)) => {
            let body = template_url::fetch(call.world, url, call.account, call.region)?;
            Template::parse(&body).map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// Reads the definition of a stack from a request. `previous` is that of an update.
pub(super) fn definition(
    call: &Call<'_>,
    previous: Option<&Stack>,
) -> Result<Definition, ApiError> {
    let form = &call.form;
    let deployed = previous.and_then(|stack| stack.definition.as_ref());
    let uses_previous = form.flag("UsePreviousTemplate")?.unwrap_or(false);
    let sent = sent_template(call)?;
    let template = match (sent, uses_previous, deployed) {
        (Some(_), true, _) => {
            return Err(invalid(
                "You cannot specify both usePreviousTemplate and Template Body/Template URL.",
            ));
        }
        (Some(template), false, _) => template,
        (None, true, Some(deployed)) => Arc::clone(&deployed.template),
        (None, _, _) => {
            return Err(invalid("Either Template URL or Template Body must be specified."));
        }
    };
    let capabilities = form.list("Capabilities");
    check_capability_names(&capabilities)?;
    let given = Given::read(form)?;
    let parameters = resolve(&template, &given, deployed.map(|deployed| &deployed.parameters))?;
    check_capabilities(&template, &capabilities)?;
    let tags = match deployed {
        Some(deployed) if !form.has_list("Tags") => deployed.tags.clone(),
        _ => tags(form)?,
    };
    let notification_arns = match deployed {
        Some(deployed) if !form.has_list("NotificationARNs") => deployed.notification_arns.clone(),
        _ => form.list("NotificationARNs"),
    };
    let role_arn = form.get("RoleARN").map(str::to_owned);
    let rollback = rollback_configuration(form)?;
    Ok(Definition {
        template,
        parameters,
        tags,
        capabilities,
        notification_arns,
        role_arn: role_arn.or_else(|| deployed.and_then(|deployed| deployed.role_arn.clone())),
        rollback: rollback
            .or_else(|| deployed.map(|deployed| deployed.rollback.clone()))
            .unwrap_or_default(),
    })
}

fn tags(form: &Form<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for prefix in form.members("Tags") {
        let key = form.require(&format!("{prefix}Key"))?;
        let value = form.require(&format!("{prefix}Value"))?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
        }
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!(
                "Tag {key} is not within the limits of 128 and 256 characters"
            )));
        }
        if tags.iter().any(|(other, _)| other == key) {
            return Err(invalid(format!("Duplicate tag keys found: {key}")));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("The number of tags exceeds the limit of {MOST_TAGS}")));
    }
    tags.sort();
    Ok(tags)
}

fn rollback_configuration(form: &Form<'_>) -> Result<Option<RollbackConfiguration>, ApiError> {
    const KINDS: &[&str] = &["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"];
    let prefixes = form.members("RollbackConfiguration.RollbackTriggers");
    let minutes = form.get("RollbackConfiguration.MonitoringTimeInMinutes");
    if prefixes.is_empty()
        && minutes.is_none()
        && !form.has_list("RollbackConfiguration.RollbackTriggers")
    {
        return Ok(None);
    }
    if prefixes.len() > 5 {
        return Err(invalid("Rollback triggers: at most 5 are allowed"));
    }
    let mut triggers = Vec::new();
    for prefix in prefixes {
        let arn = form.require(&format!("{prefix}Arn"))?;
        let kind = form.require(&format!("{prefix}Type"))?;
        if !KINDS.contains(&kind) {
            return Err(invalid("Rollback Trigger Type not supported"));
        }
        if !arn.contains(":alarm:") {
            return Err(invalid("RelativeId of a Rollback Trigger's ARN is incorrect"));
        }
        triggers.push((arn.to_owned(), kind.to_owned()));
    }
    let minutes = minutes
        .map(|minutes| minutes.parse::<u32>().ok().filter(|minutes| *minutes <= 180))
        .map(|minutes| {
            minutes.ok_or_else(|| invalid("MonitoringTimeInMinutes must be between 0 and 180"))
        })
        .transpose()?;
    Ok(Some(RollbackConfiguration { minutes, triggers }))
}

/// Reads what is to be done when an operation fails, in the words of creations and change sets.
pub(super) fn on_failure(form: &Form<'_>, name: &str) -> Result<Option<OnFailure>, ApiError> {
    Ok(form.choice(name, &["DO_NOTHING", "ROLLBACK", "DELETE"])?.map(|choice| match choice {
        "DO_NOTHING" => OnFailure::DoNothing,
        "DELETE" => OnFailure::Delete,
        _ => OnFailure::Rollback,
    }))
}
