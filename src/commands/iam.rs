//! `mtlog iam`: what somebody must be allowed to do to run a command.

use clap::{Args, Subcommand};
use mtlog_processor::model::arn::Partition;

use super::{Context, target::FleetArgs};
use crate::{
    config::deploy as settings,
    error::{CliError, ExitStatus, Message},
    permissions::{self, Scope},
};

/// Show which permissions a command needs
#[derive(Debug, Args)]
pub struct IamArgs {
    #[command(subcommand)]
    command: IamCommand,
}

#[derive(Debug, Subcommand)]
enum IamCommand {
    /// Print the least policy that lets somebody run a command
    ///
    /// The calls are those that the command makes in the tests of this program. Without --account and --region the policy
    /// is for all of them.
    #[command(after_help = "\
Examples:
  mtlog iam policy status -e production -r us-east-2 --account 111122223333
  mtlog iam policy tenant add -e production -r us-east-2 --account 111122223333
  mtlog iam policy --list")]
    Policy(PolicyArgs),
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// The command, without its flags: status, tenant add, deploy
    #[arg(value_name = "COMMAND", required_unless_present = "list", num_args = 1..)]
    command: Vec<String>,
    /// List the commands that are known
    #[arg(long, conflicts_with = "command")]
    list: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Runs `mtlog iam`.
pub fn run(context: &Context<'_>, args: &IamArgs) -> Result<ExitStatus, CliError> {
    let IamCommand::Policy(args) = &args.command;
    let known =
        permissions::commands().map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    if args.list {
        let names: String = known.keys().map(|name| format!("{name}\n")).collect();
        context.ui.data(&names);
        return Ok(ExitStatus::Success);
    }
    let name = args.command.join(" ");
    let Some(calls) = known.get(&name) else {
        let text = format!("nothing is known of the permissions of `{name}`");
        return Err(CliError::new(ExitStatus::Usage, Message(text)).next("mtlog iam policy --list"));
    };
    let settings = settings::resolve(&context.layers, &args.fleet.flags())?;
    let connection = &settings.connection;
    let anything = || "*".to_owned();
    let region = connection.region.as_ref().map(|region| &region.value);
    let scope = Scope {
        partition: region.map_or_else(|| "aws".to_owned(), |r| Partition::of(r).to_string()),
        region: region.map_or_else(anything, ToString::to_string),
        account: connection.account.as_ref().map_or_else(anything, |a| a.value.to_string()),
        project: settings.project.value.to_string(),
        environment: settings.environment.value.to_string(),
    };
    let policy = permissions::policy(calls.iter().map(String::as_str), &scope);
    let text = serde_json::to_string_pretty(&policy)
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    context.ui.data(&format!("{text}\n"));
    // What CloudFormation does for somebody is no call of theirs.
    let makes = [
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:CreateStack",
    ];
    if makes.iter().any(|call| calls.contains(*call)) {
        context.ui.status(
            "CloudFormation makes and deletes the stacks' resources with the rights of who asks, unless the stack has a \
             service role. This policy does not hold those rights.",
        );
    }
    Ok(ExitStatus::Success)
}
