//! What a plan shows: what would change, what is in the way, what is grave.

use std::collections::BTreeMap;

use super::Run;
use crate::{
    aws::{cloudformation::CloudFormation, s3::BucketPresence},
    commands::watching,
    deploy::{
        change::{ResourceChange, Stake},
        claims::Claims,
        observe::{self, Observed},
        outputs,
        parameters::ParameterChange,
        plan::{Operation, Plan},
        reconcile::Reconciled,
        stack::Stack,
        state::Approach,
    },
    error::{CliError, ExitStatus, Message},
    ui::plan::{Basis, PlanView},
};

/// What a plan comes to before CloudFormation is asked.
#[derive(Debug)]
pub(super) struct Estimate {
    /// What would change.
    pub(super) changes: Vec<ResourceChange>,
    /// What has to hold in IAM for that.
    pub(super) claims: Claims,
}

/// Works out what would change, from what is deployed and from the templates.
pub(super) async fn estimate(
    run: &Run<'_>,
    client: &CloudFormation,
    plan: &Plan,
    observed: &Observed,
) -> Result<Estimate, CliError> {
    let children = match observed.presence.stack() {
        Some(stack)
            if !plan.desired.template.children().is_empty()
                && plan.operation == Operation::Update =>
        {
            observe::children(client, stack).await.map_err(|fault| {
                CliError::aws(format!("failed to read what is nested in `{}`", stack.name), fault)
            })?
        }
        _ => BTreeMap::new(),
    };
    let place = &run.opened.place;
    Ok(Estimate {
        changes: plan.estimated_changes(observed, &children, place),
        claims: plan.claims(observed, &children, place),
    })
}

/// Returns the bucket if it has to be made, and refuses one that cannot be used.
pub(super) async fn missing_bucket(run: &Run<'_>, plan: &Plan) -> Result<Option<String>, CliError> {
    let Some(bucket) = &plan.desired.bucket else { return Ok(None) };
    let found =
        run.opened.session.s3().presence(bucket, &run.opened.place.account).await.map_err(
            |fault| CliError::aws(format!("failed to look at bucket `{bucket}`"), fault),
        )?;
    let refuse = |text: String| {
        Err(CliError::new(ExitStatus::Preflight, Message(text)).hint("give another with --bucket"))
    };
    let here = run.opened.place.region.as_str();
    match found {
        BucketPresence::Absent => Ok(Some(bucket.to_string())),
        BucketPresence::Ours { region: Some(region) } if region != here => refuse(format!(
            "the template bucket `{bucket}` is in {region}, but the stack is in {here}"
        )),
        BucketPresence::Ours { .. } => Ok(None),
        BucketPresence::Elsewhere { region } => refuse(format!(
            "the template bucket `{bucket}` is in {region}, but the stack is in {here}"
        )),
        BucketPresence::Foreign => refuse(format!(
            "the template bucket `{bucket}` belongs to another account, or this identity may not see it: that takes \
             `s3:ListBucket` on it"
        )),
    }
}

pub(super) fn note(approach: &Approach, stack: Option<&Stack>) -> Option<String> {
    let state = stack.map(|stack| stack.status.to_string()).unwrap_or_default();
    match approach {
        Approach::Create | Approach::Update | Approach::Refuse(_) => None,
        Approach::DeleteThenCreate => {
            Some(format!("The empty remains of a failed creation ({state}) are deleted first."))
        }
        Approach::WaitThenUpdate | Approach::WaitThenCreate => {
            Some(format!("CloudFormation has to finish what it does first ({state})."))
        }
        Approach::Attach => Some(format!("This very deployment is already under way ({state}).")),
    }
}

pub(super) fn view(run: &Run<'_>, plan: &Plan, reconciled: Reconciled, basis: Basis) -> PlanView {
    let place = &run.opened.place;
    PlanView {
        target: plan.desired.target,
        stack: plan.desired.stack.to_string(),
        region: place.region.to_string(),
        account: place.account.to_string(),
        operation: plan.operation,
        note: None,
        basis,
        parameters: plan.chosen.changes.iter().map(shown).collect(),
        tags: plan.tags.clone(),
        wired: plan
            .desired
            .wired
            .iter()
            .map(|wired| (wired.parameter.to_owned(), wired.source.to_string()))
            .collect(),
        changes: reconciled.changes,
        stakes: Vec::new(),
        new_bucket: None,
        hidden: reconciled.hidden,
        uploads: plan.desired.uploads.len(),
        names: watching::names(plan.desired.template),
        defaults: plan.defaults(),
    }
}

/// A change of a parameter as it may be shown.
fn shown(change: &ParameterChange) -> ParameterChange {
    let value =
        |value: &Option<String>| value.as_deref().map(|text| outputs::shown(&change.name, text));
    ParameterChange {
        name: change.name.clone(),
        before: value(&change.before),
        after: value(&change.after),
    }
}

/// Returns what to say before a name is typed, if anything demands that.
pub(super) fn warning(changes: &[ResourceChange], stakes: &[Stake]) -> Option<String> {
    let grave: Vec<&str> = changes
        .iter()
        .filter(|change| change.is_grave())
        .map(|change| change.path.as_str())
        .collect();
    if grave.is_empty() {
        return None;
    }
    let mut text =
        format!("this takes away what holds data or what logs pass through: {}", grave.join(", "));
    for stake in stakes {
        text.push_str(&format!("; {}: {}", stake.path, stake.what));
    }
    Some(text)
}
