//! `mtlog deploy`: creates and updates stacks.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

mod failure;
mod next;
mod report;
mod stack;
mod upstream;
mod view;

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) use self::failure::step as step_failed;
use self::report::DeployReport;
use super::{
    Context,
    target::{self, Opened},
};
use crate::{
    cli::{ConnectionArgs, ConsentArgs},
    config::deploy::{DeployFlags, Part},
    deploy::plan::Operation,
    error::{CliError, ExitStatus},
    ui::{plan::Plans, prompt::Answers},
};
use clap::Args;

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
  mtlog deploy cluster -e production -r us-east-2 --cluster-name c1 --oidc-provider oidc.op1.openshiftapps.com/2abc")]
pub struct DeployArgs {
    /// Show what would happen and change nothing; no call that writes is made
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60, help_heading = "Confirmation")]
    timeout: u64,
}

/// Show what a deployment would change
///
/// Worked out from templates, parameters and what is deployed, nested stacks included. No call that writes is made.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mtlog plan all -e production -r us-east-2 --detailed-exitcode")]
pub struct PlanArgs {
    /// End with exit status 2 if anything would change
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    what: WhatArgs,
}

/// What is deployed, and how.
#[derive(Debug, Args)]
struct WhatArgs {
    /// What to deploy: global, regional, customer, cluster, cluster/vector, cluster/processor, all
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
    connection: ConnectionArgs,
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
        Ok(DeployFlags {
            targets: self.targets.clone(),
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
            sqs: part(self.include_sqs, self.without_sqs),
            lambda: part(self.include_lambda, self.without_lambda),
            alarms: part(self.include_alarms, self.without_alarms),
            parameters: self.parameters.clone(),
            connection: self.connection.flags(),
        })
    }
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

/// What the deployment of every stack of one run shares.
struct Run<'a> {
    context: &'a Context<'a>,
    opened: Opened,
    answers: Answers,
    timeout: Duration,
    /// Whether stacks that this run would make first count as if they were there.
    foresight: Foresight,
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
    let run = Run {
        context,
        opened: target::open(context, &args.what.flags()?).await?,
        answers: args.consent.answers(),
        timeout: Duration::from_secs(args.timeout.saturating_mul(60)),
        foresight: if args.dry_run { Foresight::Imagined } else { Foresight::None },
    };
    if args.dry_run { dry_run(&run).await.map(|_| ExitStatus::Success) } else { deploy(&run).await }
}

/// Runs `mtlog plan`.
pub async fn run_plan(context: &Context<'_>, args: &PlanArgs) -> Result<ExitStatus, CliError> {
    let run = Run {
        context,
        opened: target::open(context, &args.what.flags()?).await?,
        answers: Answers::default(),
        timeout: Duration::ZERO,
        foresight: Foresight::Imagined,
    };
    let changes = dry_run(&run).await?;
    Ok(if changes && args.detailed_exitcode { ExitStatus::Different } else { ExitStatus::Success })
}

/// Prints the plans. Returns whether anything would change.
async fn dry_run(run: &Run<'_>) -> Result<bool, CliError> {
    let mut plans = Vec::new();
    let mut failure = None;
    for target in &run.opened.settings.targets {
        match stack::planned(run, *target).await {
            Ok(stack::Planned { view, refusal }) => {
                plans.push(view);
                failure = failure.or(refusal);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let changes = plans.iter().any(|plan| plan.operation != Operation::Nothing);
    run.context.ui.emit(&Plans { plans })?;
    failure.map_or(Ok(changes), Err)
}

async fn deploy(run: &Run<'_>) -> Result<ExitStatus, CliError> {
    let mut report = DeployReport::default();
    for target in &run.opened.settings.targets {
        match stack::deployed(run, *target).await {
            Ok(stack) => report.stacks.push(stack),
            // What was deployed before the failure is there, and its outputs are worth having.
            Err(error) => {
                if !report.stacks.is_empty() {
                    run.context.ui.emit(&report)?;
                }
                return Err(error);
            }
        }
    }
    run.context.ui.emit(&report)?;
    next::suggest(run, &report);
    Ok(ExitStatus::Success)
}
