//! What the tenant commands need to know of the pipeline around the table: the central role, the bucket of log objects.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

use clap::Args;
use mtlog_processor::model::{
    arn::Partition,
    ids::{BucketName, Region},
    key::KeyPrefix,
};

use super::Opened;
use crate::{
    commands::Context,
    config::{
        layers::{Layers, Setting, Source},
        tenant::TableSettings,
        vars,
    },
    deploy::{
        names::CentralRole,
        stack::{Presence, Stack},
        target::{Naming, Target, stack_name},
    },
    error::{CliError, ExitStatus, Message},
};

/// Where a global stack was put unless somebody said otherwise.
const FORMER_HOME: &str = "us-east-1";
const ROLE_OUTPUT: &str = "CentralLogDistributionRoleArn";
const BUCKET_OUTPUT: &str = "CentralLoggingBucketName";
const PREFIX_OUTPUT: &str = "S3KeyPrefix";

/// Which central role.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Central role")]
pub(super) struct CentralArgs {
    /// The central role [env: CENTRAL_LOG_DISTRIBUTION_ROLE_ARN] [default: from the stacks]
    #[arg(long, value_name = "ARN")]
    central_role_arn: Option<String>,
    /// Region of the global stack, if it is another one
    #[arg(long, value_name = "REGION")]
    global_region: Option<Region>,
}

/// The pipeline that a tenant table belongs to.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    /// The role that customers trust.
    pub(super) central_role: CentralRole,
    /// Where log objects are, if anything tells.
    pub(super) bucket: Option<BucketName>,
    /// What stands before their keys.
    pub(super) key_prefix: KeyPrefix,
}

/// Finds out: from flags and settings first, then from the stacks.
pub(super) async fn find(
    context: &Context<'_>,
    settings: &TableSettings,
    opened: &Opened,
    args: &CentralArgs,
) -> Result<Pipeline, CliError> {
    let given = given(&context.layers, args)?;
    let here = &opened.region;
    let regional = stack(opened, settings, Target::Regional, here).await?;
    let output = |stack: &Option<Stack>, name: &str| stack.as_ref()?.outputs.get(name).cloned();
    let central_role = match given.central_role {
        Some(role) => role,
        None => match output(&regional, ROLE_OUTPUT) {
            Some(text) => parsed(&text, Target::Regional)?,
            None => of_global_stack(settings, opened, args).await?,
        },
    };
    let bucket = match given.bucket {
        Some(bucket) => Some(bucket),
        None => output(&regional, BUCKET_OUTPUT)
            .map(|text| parsed(&text, Target::Regional))
            .transpose()?,
    };
    let key_prefix = match given.key_prefix {
        Some(prefix) => prefix,
        None => output(&regional, PREFIX_OUTPUT)
            .map(|text| parsed(&text, Target::Regional))
            .transpose()?
            .unwrap_or_default(),
    };
    Ok(Pipeline { central_role, bucket, key_prefix })
}

#[derive(Debug)]
struct Given {
    central_role: Option<CentralRole>,
    bucket: Option<BucketName>,
    key_prefix: Option<KeyPrefix>,
}

fn given(layers: &Layers, args: &CentralArgs) -> Result<Given, CliError> {
    let mut resolver = layers.resolver();
    let central_role = resolver.optional(&vars::CENTRAL_ROLE_ARN, args.central_role_arn.as_deref());
    let bucket = resolver.optional(&vars::SOURCE_BUCKET, None);
    let key_prefix = resolver.optional(&vars::KEY_PREFIX, None);
    resolver.finish()?;
    Ok(Given {
        central_role: central_role.map(|Setting { value, .. }| value),
        bucket: bucket.map(|Setting { value, .. }| value),
        key_prefix: key_prefix.map(|Setting { value, .. }| value),
    })
}

fn parsed<T>(text: &str, target: Target) -> Result<T, CliError>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    text.parse().map_err(|error| {
        let what = format!("an output of the {target} stack is not what it should be");
        CliError::because(ExitStatus::Preflight, what, error)
    })
}

async fn of_global_stack(
    settings: &TableSettings,
    opened: &Opened,
    args: &CentralArgs,
) -> Result<CentralRole, CliError> {
    let mut regions: Vec<Region> = match &args.global_region {
        Some(region) => vec![region.clone()],
        None => vec![opened.region.clone()],
    };
    if args.global_region.is_none()
        && Partition::of(&opened.region) == Partition::Aws
        && opened.region.as_str() != FORMER_HOME
    {
        regions.extend(FORMER_HOME.parse::<Region>());
    }
    for region in &regions {
        let found = stack(opened, settings, Target::Global, region).await?;
        if let Some(text) = found.and_then(|stack| stack.outputs.get(ROLE_OUTPUT).cloned()) {
            return parsed(&text, Target::Global);
        }
    }
    let list: Vec<&str> = regions.iter().map(Region::as_str).collect();
    let text = format!(
        "the central role is not known: there is no global stack of project `{}` in {}",
        settings.project.value,
        list.join(" or ")
    );
    Err(CliError::new(ExitStatus::Preflight, Message(text))
        .hint("give --central-role-arn, or --global-region where the global stack is")
        .next("mtlog status"))
}

async fn stack(
    opened: &Opened,
    settings: &TableSettings,
    target: Target,
    region: &Region,
) -> Result<Option<Stack>, CliError> {
    let naming = Naming {
        project: settings.project.value.as_str(),
        environment: settings.environment.value.as_str(),
        region,
        cluster: None,
    };
    let name =
        stack_name(target, naming).map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    let presence =
        opened.session.in_region(region).cloudformation().presence(name.as_str()).await.map_err(
            |fault| CliError::aws(format!("failed to read stack `{name}` in {region}"), fault),
        )?;
    Ok(match presence {
        Presence::Present(stack) => Some(*stack),
        Presence::Absent => None,
    })
}

/// Returns the flags that were typed and that another tenant command needs again.
pub(super) fn typed_flags(settings: &TableSettings) -> String {
    let mut flags = String::new();
    let mut add = |flag: &str, value: &str, source: &Source| {
        if matches!(source, Source::Flag(_)) {
            flags.push_str(&format!(" {flag} {value}"));
        }
    };
    if let Some(table) = &settings.table {
        add("--table", &table.value, &table.source);
    }
    add("-p", settings.project.value.as_str(), &settings.project.source);
    add("-e", settings.environment.value.as_str(), &settings.environment.source);
    if let Some(region) = &settings.connection.region {
        add("-r", region.value.as_str(), &region.source);
    }
    flags
}
