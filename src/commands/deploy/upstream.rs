//! Reads the stacks that a target takes values from.

use std::collections::BTreeMap;

use mtlog_processor::model::{arn::Partition, ids::Region};

use super::{Foresight, Pinned, Run};
use crate::{
    aws::ecr::StoredManifest,
    deploy::{
        desired::Upstream,
        names::{EcrImage, ImageVersion},
        stack::{Presence, Stack},
        status::{StackStatus, Standing},
        target::{Target, stack_name},
    },
    error::CliError,
    image::pack::digest,
};

/// The region where the replaced script put the global stack unless it was told otherwise.
const FORMER_HOME: &str = "us-east-1";

/// The stacks above a target.
#[derive(Debug, Default)]
pub(super) struct Found {
    global: Option<Stack>,
    regional: Option<Stack>,
    image: Option<EcrImage>,
    /// Whether one of them is only imagined.
    pub(super) imagined: bool,
}

impl Found {
    pub(super) fn as_upstream(&self) -> Upstream<'_> {
        Upstream {
            global: self.global.as_ref(),
            regional: self.regional.as_ref(),
            image: self.image.as_ref(),
        }
    }
}

/// Reads what `target` needs and no setting gives.
pub(super) async fn find(
    run: &Run<'_>,
    target: Target,
    foresight: Foresight,
) -> Result<Found, CliError> {
    let settings = &run.opened.settings;
    let mut found = Found::default();
    if target == Target::Regional {
        found.image = pinned_image(run).await;
    }
    match target {
        Target::Global => {}
        Target::Regional | Target::Customer => {
            if settings.central_role.is_none() {
                for region in global_regions(run) {
                    found.global = stack(run, Target::Global, &region).await?;
                    if found.global.is_some() {
                        break;
                    }
                }
                if found.global.is_none() && imagines(run, foresight, Target::Global) {
                    found.global = imagined(run, Target::Global);
                    found.imagined = true;
                }
            }
        }
        Target::ClusterVector | Target::ClusterProcessor => {
            found.regional = stack(run, Target::Regional, &run.opened.place.region).await?;
            if found.regional.is_none() && imagines(run, foresight, Target::Regional) {
                found.regional = imagined(run, Target::Regional);
                found.imagined = true;
            }
        }
    }
    Ok(found)
}

/// Returns what the tag of the given image stands for. Who may not look deploys by the tag.
async fn pinned_image(run: &Run<'_>) -> Option<EcrImage> {
    let image = &run.opened.settings.image.as_ref()?.value;
    let ImageVersion::Tag(_) = image.version() else { return None };
    match run.opened.session.in_region(image.region()).ecr().manifest(image).await {
        Ok(StoredManifest::Found { text, media_type }) => {
            let pinned = image.pinned(&digest(text.as_bytes()));
            let manifest = StoredManifest::Found { text, media_type };
            *run.pinned.borrow_mut() = Some(Pinned { uri: pinned.to_string(), manifest });
            Some(pinned)
        }
        // The preflight says so, if the stack is to take it.
        Ok(StoredManifest::NoImage | StoredManifest::NoRepository) => None,
        Err(fault) => {
            run.context.ui.detail(&format!("the tag of `{image}` was not looked up: {fault}"));
            None
        }
    }
}

/// Whether a stack that does not exist is to be imagined: a plan is made, and the same run would make the stack first.
fn imagines(run: &Run<'_>, foresight: Foresight, target: Target) -> bool {
    foresight == Foresight::Imagined && run.opened.settings.targets.contains(&target)
}

/// Returns the stack as it will look, with values of the right form that nobody may use.
fn imagined(run: &Run<'_>, target: Target) -> Option<Stack> {
    let place = &run.opened.place;
    let (partition, account, region) =
        (Partition::of(&place.region), &place.account, &place.region);
    let arn =
        |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    let iam = |rest: &str| format!("arn:{partition}:iam::{account}:{rest}");
    let outputs = match target {
        Target::Global => vec![(
            "CentralLogDistributionRoleArn",
            iam("role/ROSA-CentralLogDistributionRole-00000000"),
        )],
        Target::Regional => vec![
            ("VectorAssumeRolePolicyArn", iam("policy/unknown")),
            ("CentralS3WriterPolicyArn", iam("policy/unknown")),
            ("TenantConfigTableArn", arn("dynamodb", "table/unknown")),
            ("CentralLoggingBucketArn", format!("arn:{partition}:s3:::unknown")),
            ("CentralLogDistributionRoleArn", iam("role/ROSA-CentralLogDistributionRole-00000000")),
            ("LogDeliveryQueueArn", arn("sqs", "unknown")),
            ("LogDeliveryDLQArn", arn("sqs", "unknown")),
        ],
        Target::Customer | Target::ClusterVector | Target::ClusterProcessor => return None,
    };
    let name = stack_name(target, run.opened.naming(region)).ok()?;
    Some(Stack {
        name: name.to_string(),
        id: String::new(),
        status: StackStatus::CreateComplete,
        reason: None,
        parameters: BTreeMap::new(),
        outputs: outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        tags: BTreeMap::new(),
        created: None,
        updated: None,
        protected: false,
        parent: None,
    })
}

/// Where the global stack may be: where the settings say, else here, where this command would put it, or where it used
/// to be.
pub(super) fn global_regions(run: &Run<'_>) -> Vec<Region> {
    if let Some(region) = &run.opened.settings.global_region {
        return vec![region.clone()];
    }
    let here = run.opened.place.region.clone();
    let mut regions = vec![here.clone()];
    if run.home != here {
        regions.push(run.home.clone());
    }
    if Partition::of(&here) == Partition::Aws
        && here.as_str() != FORMER_HOME
        && let Ok(home) = FORMER_HOME.parse()
        && !regions.contains(&home)
    {
        regions.push(home);
    }
    regions
}

/// Returns the stack, if it is there and its outputs count.
async fn stack(run: &Run<'_>, target: Target, region: &Region) -> Result<Option<Stack>, CliError> {
    let Ok(name) = stack_name(target, run.opened.naming(region)) else { return Ok(None) };
    let presence = run
        .opened
        .session
        .in_region(region)
        .cloudformation()
        .presence(name.as_str())
        .await
        .map_err(|fault| {
            CliError::aws(format!("failed to read stack `{name}` in {region}"), fault)
        })?;
    Ok(match presence {
        Presence::Present(stack) if outputs_count(&stack) => Some(*stack),
        Presence::Present(_) | Presence::Absent => None,
    })
}

/// Whether a stack's outputs are those of something that exists. After a failed update they are those of before.
fn outputs_count(stack: &Stack) -> bool {
    match stack.status.standing() {
        Standing::Done | Standing::RolledBack => !stack.outputs.is_empty(),
        Standing::Running | Standing::Stuck => !stack.outputs.is_empty(),
        Standing::Gone | Standing::Reviewing => false,
    }
}
