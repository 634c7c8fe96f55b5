//! `mtlog deploy`: creates and updates stacks.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

mod apply;
mod dry_run;
mod failure;
mod fleet;
mod next;
mod preflight;
mod report;
mod stack;
mod stakes;
mod upstream;
mod view;

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::apply::{ApplyArgs, run as run_apply};
pub(super) use self::failure::step as step_failed;
use self::fleet::Fleet;
use super::{
    Context,
    target::{self, Opened},
};
use crate::{
    aws::ecr::StoredManifest,
    cli::{ConsentArgs, FleetConnectionArgs, duration},
    config::{
        deploy::{DeployFlags, Part},
        parameter_file,
    },
    deploy::{
        saved::{SavedPlan, SavedStack},
        schedule,
        target::Target,
    },
    error::{CliError, ExitStatus, Message},
    ui::{progress::Progress, prompt::Answers},
};
use clap::Args;
use mtlog_processor::model::ids::Region;

/// Create or update stacks
///
/// Targets: global (the central role), regional (bucket, topic, table, and by choice queues, function and alarms),
/// customer (the role in a customer's account), cluster or cluster/vector or cluster/processor (roles of a cluster),
/// all (global and regional, and the cluster if one is named). They are deployed in the order in which they depend on
/// each other, and take what they need from each other's outputs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog deploy global --dry-run
  mtlog deploy global regional -e production -r us-east-2 --include-sqs
  mtlog deploy customer -r us-east-2 --central-role-arn arn:aws:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123abcd
  mtlog deploy cluster -e production -r us-east-2 --cluster-name c1 --oidc-provider oidc.op1.openshiftapps.com/2abc
  mtlog deploy regional -e production --waves 'us-east-2; us-west-2,eu-west-1' --bake 10m")]
pub struct DeployArgs {
    /// Show what would happen and change nothing; no call that writes is made
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
    /// Wait for an operation of somebody else on the stack, for as long as --timeout says, instead of refusing
    #[arg(long, help_heading = "Confirmation")]
    wait_for_other: bool,
}

/// Show what a deployment would change
///
/// Worked out from templates, parameters and what is deployed, nested stacks included. No call that writes is made.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mtlog plan all -e production -r us-east-2 --detailed-exitcode
  mtlog plan regional -e production -r us-east-2 --save plan.json")]
pub struct PlanArgs {
    /// End with exit status 2 if anything would change
    #[arg(long)]
    detailed_exitcode: bool,
    /// Write the plan to a new file, for `mtlog apply`
    #[arg(long, value_name = "PATH")]
    save: Option<PathBuf>,
    #[command(flatten)]
    what: WhatArgs,
}

/// How several regions are deployed to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several regions")]
struct PaceArgs {
    /// Regions in waves: those of one wave at the same time, the next wave when all went well
    #[arg(long, value_name = "R; R,R", conflicts_with = "region")]
    waves: Option<String>,
    /// Watch a wave for so long before the next: stop if messages arrive in a dead-letter queue (90s, 10m)
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "waves")]
    bake: Option<Duration>,
}

impl PaceArgs {
    fn waves(&self) -> Result<Option<Vec<Vec<Region>>>, CliError> {
        let read = |text: &String| {
            schedule::waves(text).map_err(|problem| {
                CliError::new(ExitStatus::Usage, Message(format!("--waves: {problem}")))
            })
        };
        self.waves.as_ref().map(read).transpose()
    }

    fn bake(&self) -> Duration {
        self.bake.unwrap_or_default()
    }
}

/// What is deployed, and how.
#[derive(Debug, Args)]
struct WhatArgs {
    /// What to deploy: global, regional (or its part: regional/core, regional/sqs, regional/lambda, regional/alarms),
    /// customer, cluster, cluster/vector, cluster/processor, all
    #[arg(value_name = "TARGET", required = true, num_args = 1..)]
    targets: Vec<String>,

    /// development, staging or production [env: ENVIRONMENT] [default: development]
    #[arg(long, short = 'e', alias = "env", value_name = "NAME")]
    environment: Option<String>,
    /// Name of the pipeline [env: PROJECT_NAME] [default: multi-tenant-logging]
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// A name for the stack other than the usual one
    #[arg(long, short = 's', value_name = "NAME")]
    stack_name: Option<String>,
    /// Set a parameter of the template; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,

    /// Set the parameters of a JSON file (CloudFormation's list or an object); --param wins
    #[arg(long, value_name = "PATH")]
    param_file: Option<PathBuf>,

    /// Bucket for nested templates; made when it is missing [env: TEMPLATE_BUCKET]
    #[arg(
        long,
        short = 'b',
        alias = "template-bucket",
        value_name = "NAME",
        help_heading = "Regional"
    )]
    bucket: Option<String>,
    /// Have queues
    #[arg(long, help_heading = "Regional")]
    include_sqs: bool,
    /// Have the engine as a Lambda function (and so queues); needs --image
    #[arg(long, help_heading = "Regional")]
    include_lambda: bool,
    /// Have alarms and a dashboard (and so queues)
    #[arg(long, help_heading = "Regional")]
    include_alarms: bool,
    /// Delete the queues with their messages
    #[arg(long, help_heading = "Regional", conflicts_with = "include_sqs")]
    without_sqs: bool,
    /// Delete the function
    #[arg(long, help_heading = "Regional", conflicts_with = "include_lambda")]
    without_lambda: bool,
    /// Delete the alarms
    #[arg(long, help_heading = "Regional", conflicts_with = "include_alarms")]
    without_alarms: bool,
    /// Image of the engine in ECR, in the stack's region [env: ECR_IMAGE_URI]
    #[arg(long, alias = "ecr-image-uri", value_name = "URI", help_heading = "Regional")]
    image: Option<String>,

    /// The central role [env: CENTRAL_LOG_DISTRIBUTION_ROLE_ARN] [default: from the global stack]
    #[arg(long, value_name = "ARN", help_heading = "Central role")]
    central_role_arn: Option<String>,
    /// Region of the global stack, if it is another one
    #[arg(long, value_name = "REGION", help_heading = "Central role")]
    global_region: Option<String>,
    /// What the central role must present to the customer's role [default: the central account's id]
    #[arg(long, value_name = "ID", help_heading = "Central role")]
    external_id: Option<String>,
    /// Read it from this file, or from standard input if it is `-`
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Central role",
        conflicts_with = "external_id"
    )]
    external_id_file: Option<PathBuf>,

    /// The cluster [env: CLUSTER_NAME]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    cluster_name: Option<String>,
    /// The cluster's OIDC issuer [env: OIDC_PROVIDER]
    #[arg(long, value_name = "HOST/PATH", help_heading = "Cluster")]
    oidc_provider: Option<String>,
    /// Audience of service account tokens [env: OIDC_AUDIENCE] [default: openshift]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    oidc_audience: Option<String>,

    #[command(flatten)]
    connection: FleetConnectionArgs,
}

impl WhatArgs {
    fn flags(&self) -> Result<DeployFlags, CliError> {
        let part = |include: bool, without: bool| match (include, without) {
            (true, _) => Part::Included,
            (false, true) => Part::Removed,
            (false, false) => Part::Unchanged,
        };
        let external_id = match &self.external_id_file {
            Some(path) => Some(read_secret(path)?),
            None => self.external_id.clone(),
        };
        let file_parameters = match &self.param_file {
            Some(path) => read_parameters(path)?,
            None => Vec::new(),
        };
        // A part of the regional stack is that stack with the part.
        let part_named = |name: &str| self.targets.iter().any(|target| target == name);
        let targets = self
            .targets
            .iter()
            .map(|target| match target.as_str() {
                "regional/core" | "regional/sqs" | "regional/lambda" | "regional/alarms" => {
                    "regional".to_owned()
                }
                other => other.to_owned(),
            })
            .collect();
        Ok(DeployFlags {
            targets,
            project: self.project.clone(),
            environment: self.environment.clone(),
            stack_name: self.stack_name.clone(),
            bucket: self.bucket.clone(),
            central_role_arn: self.central_role_arn.clone(),
            external_id,
            global_region: self.global_region.clone(),
            image: self.image.clone(),
            cluster_name: self.cluster_name.clone(),
            oidc_provider: self.oidc_provider.clone(),
            oidc_audience: self.oidc_audience.clone(),
            sqs: part(self.include_sqs || part_named("regional/sqs"), self.without_sqs),
            lambda: part(self.include_lambda || part_named("regional/lambda"), self.without_lambda),
            alarms: part(self.include_alarms || part_named("regional/alarms"), self.without_alarms),
            file_parameters,
            parameters: self.parameters.clone(),
            connection: self.connection.flags(),
        })
    }
}

fn read_parameters(path: &Path) -> Result<Vec<(String, String)>, CliError> {
    parameter_file::read(path).map_err(|error| {
        let what = format!("--param-file `{}` cannot be used", path.display());
        CliError::because(ExitStatus::Usage, what, error)
    })
}

/// Reads a short secret from a file, or from standard input if the path is `-`.
fn read_secret(path: &Path) -> Result<String, CliError> {
    const LONGEST: u64 = 4096;
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => {
            let what = format!("failed to read the external id from `{}`", path.display());
            Err(CliError::because(ExitStatus::Usage, what, error))
        }
    }
}

/// What the deployment of every stack in one region shares.
struct Run<'a> {
    context: &'a Context<'a>,
    progress: &'a Progress<'a>,
    opened: Opened,
    /// Where the global stack of this command is, or would be made.
    home: Region,
    answers: Answers,
    timeout: Duration,
    others: Others,
    /// The plan that is carried out, if it comes from a file.
    plan: Option<&'a SavedPlan>,
    /// What the image's tag stands for, as it was last looked up.
    pinned: RefCell<Option<Pinned>>,
}

/// An image that a tag stands for. What was read to find it is what it is judged by.
#[derive(Debug, Clone)]
struct Pinned {
    /// Its URI, by digest.
    uri: String,
    manifest: StoredManifest,
}

impl Run<'_> {
    /// Returns what the plan file says about a stack of this region.
    fn saved(&self, target: Target) -> Option<&SavedStack> {
        let region = &self.opened.place.region;
        self.plan?.stacks.iter().find(|saved| saved.target == target && saved.region == *region)
    }
}

/// What becomes of a deployment while somebody else's operation runs on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// It does not begin.
    Refuse,
    /// It waits until that is over, and then looks at what it has come to.
    Wait,
}

/// Whether values that are not there yet are imagined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foresight {
    /// For a plan, which only shows them.
    Imagined,
    /// For a deployment, which uses them.
    None,
}

/// Runs `mtlog deploy`.
pub async fn run(context: &Context<'_>, args: &DeployArgs) -> Result<ExitStatus, CliError> {
    let flags = args.what.flags()?;
    let waves = args.pace.waves()?;
    let opened = target::open_at_rate(context, &flags, args.what.connection.max_api_rate()).await?;
    let fleet = Fleet {
        context,
        answers: args.consent.answers(),
        timeout: Duration::from_secs(args.timeout.saturating_mul(60)),
        bake: args.pace.bake(),
        others: if args.wait_for_other { Others::Wait } else { Others::Refuse },
        plan: None,
    };
    if args.dry_run {
        fleet::plan(&fleet, &opened, waves.as_deref()).await?;
        return Ok(ExitStatus::Success);
    }
    fleet::deploy(&fleet, &opened, waves.as_deref()).await
}

/// Deploys the customer's stack for another command, which has been agreed with. Returns the role that it made.
pub(super) async fn customer_role(
    context: &Context<'_>,
    flags: &DeployFlags,
    answers: Answers,
    timeout: Duration,
) -> Result<Option<String>, CliError> {
    let opened = target::open(context, flags).await?;
    let fleet = Fleet {
        context,
        answers,
        timeout,
        bake: Duration::ZERO,
        others: Others::Refuse,
        plan: None,
    };
    let report = fleet::deployed(&fleet, &opened).await?;
    let outputs = report.stacks.first().map(|stack| stack.outputs());
    Ok(outputs.and_then(|outputs| outputs.get("CustomerLogDistributionRoleArn").cloned()))
}

/// Runs `mtlog plan`.
pub async fn run_plan(context: &Context<'_>, args: &PlanArgs) -> Result<ExitStatus, CliError> {
    let flags = args.what.flags()?;
    let opened = target::open_at_rate(context, &flags, args.what.connection.max_api_rate()).await?;
    let fleet = Fleet {
        context,
        answers: Answers::default(),
        timeout: Duration::ZERO,
        bake: Duration::ZERO,
        others: Others::Refuse,
        plan: None,
    };
    let planned = fleet::plan(&fleet, &opened, None).await?;
    let changes = planned.changes();
    if let Some(path) = &args.save {
        apply::save(context, path, planned)?;
    }
    Ok(if changes && args.detailed_exitcode { ExitStatus::Different } else { ExitStatus::Success })
}
