//! What is known to fail later, found before anything is touched. Reads only.

use futures_util::future::join_all;

use super::{Pinned, Run};
use crate::{
    aws::{
        ecr::StoredManifest,
        fault::{Fault, FaultClass},
        iam::Made,
    },
    deploy::{
        claims::{Claims, ProviderClaim, RoleClaim},
        explain,
        names::EcrImage,
        plan::{Operation, Plan},
        target::{Target, stack_name},
    },
    error::{CliError, ExitStatus, Message},
    image::acceptance,
};

/// Looks at what the plan takes for granted: the image, the central role, free names and identity providers in IAM.
pub(super) async fn check(run: &Run<'_>, plan: &Plan, claims: &Claims) -> Result<(), CliError> {
    if matches!(plan.operation, Operation::Nothing | Operation::Blocked) {
        return Ok(());
    }
    let mut failures = Vec::new();
    failures.extend(image(run, plan).await.err());
    failures.extend(central_role(run, plan).await.err());
    failures.extend(free_names(run, claims).await);
    failures.extend(providers(run, claims).await);
    CliError::together(failures).map_or(Ok(()), Err)
}

/// Returns the parameter's new value, if the plan changes it.
fn changed<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    let change = plan.chosen.changes.iter().find(|change| change.name == name)?;
    change.after.as_deref().filter(|value| !value.is_empty())
}

fn refused(code: &str, text: String) -> CliError {
    let error = CliError::new(ExitStatus::Preflight, Message(text));
    match explain::by_code(code) {
        Some(explanation) => error.explained(explanation),
        None => error,
    }
}

/// An image that Lambda would refuse.
async fn image(run: &Run<'_>, plan: &Plan) -> Result<(), CliError> {
    let Some(text) = changed(plan, "ECRImageUri") else { return Ok(()) };
    let Ok(image) = text.parse::<EcrImage>() else { return Ok(()) };
    let pinned = run.pinned.borrow().clone().filter(|pinned| pinned.uri == text);
    let found = match pinned {
        Some(Pinned { manifest, .. }) => Ok(manifest),
        None => run.opened.session.in_region(image.region()).ecr().manifest(&image).await,
    };
    match found {
        Ok(StoredManifest::Found { text: manifest, media_type }) => {
            acceptance::check_manifest(manifest.as_bytes(), media_type.as_deref())
                .map(|_| ())
                .map_err(|reason| {
                    refused("MT003", format!("Lambda would refuse the image `{text}`: {reason}"))
                })
        }
        Ok(StoredManifest::NoImage) => Err(refused(
            "MT003",
            format!("there is no image `{text}`: the repository does not hold it"),
        )),
        Ok(StoredManifest::NoRepository) => Err(refused(
            "MT003",
            format!(
                "there is no image `{text}`: account {} has no such repository",
                image.account()
            ),
        )),
        Err(fault) => not_seen(run, &format!("the image `{text}`"), fault),
    }
}

/// A central role that is not the one of this account's global stack.
async fn central_role(run: &Run<'_>, plan: &Plan) -> Result<(), CliError> {
    const NAME: &str = "CentralLogDistributionRoleArn";
    if plan.desired.target != Target::Regional {
        return Ok(());
    }
    let Some(arn) = changed(plan, NAME) else { return Ok(()) };
    let account = run.opened.place.account.as_str();
    let wired = plan.desired.wired.iter().any(|wired| wired.parameter == NAME);
    // Another account's role cannot be looked at from here.
    if wired || arn.split(':').nth(4) != Some(account) {
        return Ok(());
    }
    let region = &run.opened.place.region;
    let Ok(name) = stack_name(Target::Global, run.opened.naming(region)) else { return Ok(()) };
    for region in super::upstream::global_regions(run) {
        let client = run.opened.session.in_region(&region).cloudformation();
        let Ok(presence) = client.presence(name.as_str()).await else { continue };
        let output = presence.stack().and_then(|stack| stack.outputs.get(NAME));
        if let Some(output) = output
            && output != arn
        {
            return Err(refused(
                "MT004",
                format!(
                    "the central role `{arn}` is not the one of stack `{name}` in {region}, which is `{output}`"
                ),
            ));
        }
    }
    Ok(())
}

/// Roles that exist already: IAM keeps a name for all regions of an account.
async fn free_names(run: &Run<'_>, claims: &Claims) -> Vec<CliError> {
    let iam = run.opened.session.iam();
    let look = async |claim: &RoleClaim| {
        let RoleClaim { path, name } = claim;
        match iam.role(name).await {
            Ok(None) => Ok(()),
            Ok(Some(made)) => Err(refused(
                "MT001",
                format!(
                    "`{path}` is to make role `{name}`, which exists already: {}",
                    owner(&made)
                ),
            )),
            Err(fault) => not_seen(run, &format!("role `{name}`"), fault),
        }
    };
    let found = join_all(claims.roles.iter().map(look)).await;
    found.into_iter().filter_map(Result::err).collect()
}

fn owner(made: &Made) -> String {
    match made {
        Made::ByStack { stack, region } => format!("stack `{stack}` in {region} made it"),
        Made::Otherwise => "no stack says that it made it".to_owned(),
    }
}

/// Identity providers that do not exist, or do not serve the audience. IAM makes a role that trusts such a provider all
/// the same, and no pod can ever assume it.
async fn providers(run: &Run<'_>, claims: &Claims) -> Vec<CliError> {
    let iam = run.opened.session.iam();
    let look = async |claim: &ProviderClaim| {
        let ProviderClaim { arn, audience } = claim;
        match (iam.oidc_provider(arn).await, audience) {
            (Ok(None), _) => Err(refused(
                "MT002",
                format!("identity provider `{arn}` does not exist in this account"),
            )),
            (Ok(Some(audiences)), Some(wanted)) if !audiences.contains(wanted) => Err(refused(
                "MT002",
                format!(
                    "identity provider `{arn}` does not serve the audience `{wanted}`, but {}",
                    if audiences.is_empty() { "none".to_owned() } else { audiences.join(", ") }
                ),
            )),
            (Ok(Some(_)), _) => Ok(()),
            (Err(fault), _) => not_seen(run, &format!("identity provider `{arn}`"), fault),
        }
    };
    let found = join_all(claims.providers.iter().map(look)).await;
    found.into_iter().filter_map(Result::err).collect()
}

/// Who may deploy need not be allowed to look at everything; AWS has its own word later.
fn not_seen(run: &Run<'_>, what: &str, fault: Fault) -> Result<(), CliError> {
    if fault.class() == FaultClass::Credentials {
        return Err(CliError::aws(format!("failed to look at {what}"), fault));
    }
    run.context.ui.detail(&format!("{what} was not looked at: {fault}"));
    Ok(())
}
