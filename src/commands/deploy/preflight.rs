//! What is known to fail later, found before anything is touched. Reads only.

use super::Run;
use crate::{
    aws::{ecr::StoredManifest, fault::FaultClass},
    deploy::{
        explain,
        names::EcrImage,
        plan::{Operation, Plan},
        target::{Target, stack_name},
    },
    error::{CliError, ExitStatus, Message},
    image::acceptance,
};

/// Looks at what the plan takes for granted: the image, the central role.
pub(super) async fn check(run: &Run<'_>, plan: &Plan) -> Result<(), CliError> {
    if matches!(plan.operation, Operation::Nothing | Operation::Blocked) {
        return Ok(());
    }
    let mut failures = Vec::new();
    failures.extend(image(run, plan).await.err());
    failures.extend(central_role(run, plan).await.err());
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
    let session = run.opened.session.in_region(image.region());
    match session.ecr().manifest(&image).await {
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
        Err(fault) if fault.class() == FaultClass::Credentials => {
            Err(CliError::aws(format!("failed to look at the image `{text}`"), fault))
        }
        // Who may deploy need not be allowed to look at the image; Lambda has its own word later.
        Err(fault) => {
            run.context.ui.detail(&format!("the image `{text}` was not looked at: {fault}"));
            Ok(())
        }
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
