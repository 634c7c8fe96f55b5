//! `mtlog env`: the environment that other programs need, as commands for a shell or as a `.env` file.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use mtlog_processor::model::{arn::RoleArn, secret::Secret};

use super::{
    Context,
    outputs::quoted,
    target::{self, Opened, StackArgs},
};
use crate::{
    aws::session::{Keys, Profile},
    config::{
        layers::{self, Source},
        vars,
    },
    deploy::{outputs, target::Target},
    error::{CliError, ExitStatus, Message},
};

/// The session's name in the audit log.
const SESSION_NAME: &str = "mtlog-env-vector";

/// Print the environment that another program needs
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(subcommand)]
    command: EnvCommand,
}

#[derive(Debug, Subcommand)]
enum EnvCommand {
    /// For mtlog and the engine, as lines of a `.env` file
    ///
    /// Everything that the regional stack knows: queue, bucket, tenant table, central role, region.
    #[command(after_help = "\
Examples:
  mtlog env dotenv -e production -r us-east-2 > .env")]
    Dotenv(StackArgs),
    /// The same as commands for a shell
    #[command(after_help = "\
Examples:
  eval \"$(mtlog env shell -e production -r us-east-2)\"
  mtlog process --mode sqs")]
    Shell(StackArgs),
    /// For Vector on this machine, with k8s/collector/vector-local-test.yaml
    ///
    /// Prints shell commands: the names of cluster, region and bucket, and with --role-arn temporary credentials of that
    /// role. Without it, Vector uses the credentials of your shell.
    #[command(after_help = "\
Examples:
  eval \"$(mtlog env vector --cluster test-cluster -e development)\"
  eval \"$(mtlog env vector --cluster test-cluster --role-arn arn:aws:iam::111122223333:role/log-tester)\"
  mtlog generate --count 100 | vector --config k8s/collector/vector-local-test.yaml")]
    Vector(VectorArgs),
}

#[derive(Debug, Args)]
struct VectorArgs {
    /// Assume this role, which must be allowed to put objects below the cluster's prefix, and print its credentials
    #[arg(long, value_name = "ARN")]
    role_arn: Option<RoleArn>,
    #[command(flatten)]
    stack: StackArgs,
}

/// Runs `mtlog env`.
pub async fn run(context: &Context<'_>, args: EnvArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        EnvCommand::Dotenv(args) => {
            let lines = settings(context, &args).await?;
            let text =
                "# Written by `mtlog env dotenv`; `mtlog config sample` lists every setting.\n";
            context.ui.data(text);
            context.ui.data(
                &lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>(),
            );
        }
        EnvCommand::Shell(args) => {
            let lines = settings(context, &args).await?;
            let lines =
                lines.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
            context.ui.data(&lines.collect::<String>());
        }
        EnvCommand::Vector(args) => Box::pin(vector(context, args)).await?,
    }
    Ok(ExitStatus::Success)
}

/// What the regional stack knows, and which environment that is.
async fn settings(
    context: &Context<'_>,
    args: &StackArgs,
) -> Result<BTreeMap<String, String>, CliError> {
    let opened = target::open(context, &args.flags(&[])).await?;
    let regional = opened.existing(&opened.session.cloudformation(), Target::Regional).await?;
    let mut variables = outputs::variables(&regional.outputs);
    for (variable, value) in [
        (&vars::ENVIRONMENT, opened.settings.environment.value.to_string()),
        (&vars::PROJECT, opened.settings.project.value.to_string()),
        (&vars::ACCOUNT, opened.place.account.to_string()),
    ] {
        variables.insert(variable.name.to_owned(), value);
    }
    Ok(variables)
}

async fn vector(context: &Context<'_>, args: VectorArgs) -> Result<(), CliError> {
    let opened = target::open(context, &args.stack.flags(&[])).await?;
    let mut variables = names(context, &opened).await?;
    if let Some(role) = &args.role_arn {
        variables.extend(credentials(&opened, role).await?);
    } else if let Some(Profile::Demanded(name) | Profile::Suggested(name)) =
        &opened.settings.connection.session.profile
    {
        variables.push(("AWS_PROFILE", name.clone()));
    }
    let lines: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", quoted(value)))
        .collect();
    context.ui.data(&lines.concat());
    Ok(())
}

/// What the collector of this cluster is told.
async fn names(
    context: &Context<'_>,
    opened: &Opened,
) -> Result<Vec<(&'static str, String)>, CliError> {
    let Some(cluster) = &opened.settings.cluster else {
        let text = format!("the cluster is missing: {}", layers::remedy(&vars::CLUSTER_NAME));
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    };
    let regional = opened.existing(&opened.session.cloudformation(), Target::Regional).await?;
    let Some(bucket) = regional.outputs.get("CentralLoggingBucketName") else {
        let text = format!("stack `{}` has no output `CentralLoggingBucketName`", regional.name);
        return Err(CliError::new(ExitStatus::Preflight, Message(text))
            .next("mtlog deploy regional --dry-run"));
    };
    let prefix = regional.parameters.get("S3KeyPrefix").cloned().unwrap_or_default();
    // A prefix from elsewhere would send the objects where the pipeline does not look.
    if let Some(setting) = context.layers.lookup(&vars::KEY_PREFIX, None)
        && setting.value != prefix
        && !matches!(setting.source, Source::Default)
    {
        context.ui.warning(&format!(
            "{} says `{}`, but the pipeline's prefix is `{prefix}`.",
            setting.source, setting.value
        ));
    }
    Ok(vec![
        // Vector fills in variables only with this, since 0.57.
        ("VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION", "true".to_owned()),
        ("CLUSTER_ID", cluster.value.to_string()),
        ("AWS_REGION", opened.place.region.to_string()),
        ("S3_BUCKET_NAME", bucket.clone()),
        ("S3_KEY_PREFIX", prefix),
    ])
}

async fn credentials(
    opened: &Opened,
    role: &RoleArn,
) -> Result<Vec<(&'static str, String)>, CliError> {
    let keys = opened.session.sts().assume_role(role, SESSION_NAME).await.map_err(|fault| {
        CliError::aws(format!("failed to assume `{role}`"), fault)
            .hint("a cluster's writer role trusts only the collector of that cluster: name a role of your own")
    })?;
    let Keys { access_key_id, secret_access_key, session_token } = keys;
    Ok(vec![
        ("AWS_ACCESS_KEY_ID", access_key_id),
        ("AWS_SECRET_ACCESS_KEY", secret_access_key.reveal().clone()),
        (
            "AWS_SESSION_TOKEN",
            session_token.as_ref().map(Secret::reveal).cloned().unwrap_or_default(),
        ),
    ])
}
