//! `mtlog iam`: what somebody must be allowed to do to run a command.

use std::collections::BTreeMap;

use clap::{
    Args, CommandFactory as _, Subcommand,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
    error::{ContextKind, ContextValue},
};
use mtlog_processor::model::arn::Partition;

use super::{Context, image::DEFAULT_REPOSITORY, target::FleetArgs};
use crate::{
    cli::Cli,
    config::deploy as settings,
    error::{CliError, ExitStatus, Message},
    permissions::{self, Calls, Scope},
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
    /// is for all of them. Of a command that works on several regions, --region names each.
    #[command(after_help = after_help())]
    Policy(PolicyArgs),
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// The command, without its flags: status, tenant add, deploy, process sqs
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "list",
        num_args = 1..,
        value_parser = CommandWord,
        hide_possible_values = true
    )]
    command: Vec<String>,
    /// List the commands that are known
    #[arg(long, conflicts_with = "command")]
    list: bool,
    /// The repository of images
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REPOSITORY)]
    repository: String,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// A word of a command's name: any, but shells offer those that are known.
#[derive(Debug, Clone)]
struct CommandWord;

impl TypedValueParser for CommandWord {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let known = permissions::commands().unwrap_or_default();
        let mut words: Vec<String> =
            known.keys().flat_map(|name| name.split(' ')).map(str::to_owned).collect();
        words.sort_unstable();
        words.dedup();
        Some(Box::new(words.into_iter().map(PossibleValue::new)))
    }
}

fn after_help() -> String {
    let known = permissions::commands().unwrap_or_default();
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    format!(
        "\
Examples:
  mtlog iam policy status -e production -r us-east-2 --account 111122223333
  mtlog iam policy tenant add -e production -r us-east-2 --account 111122223333
  mtlog iam policy image publish --repository log-processor -r us-east-2,eu-west-1 --account 111122223333
  mtlog iam policy --list

Commands: {}",
        names.join(", ")
    )
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
    let (name, calls) = find(&known, &args.command)?;
    let Some(policy) = permissions::policy(calls, &scope(context, args)?) else {
        let text = if calls.is_empty() {
            format!("`mtlog {name}` calls nothing of AWS: it needs no permission.")
        } else {
            format!("`mtlog {name}` asks AWS only who calls, which is allowed to everybody.")
        };
        context.ui.status(&text);
        return Ok(ExitStatus::Success);
    };
    let text = serde_json::to_string_pretty(&policy)
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    context.ui.data(&format!("{text}\n"));
    // What CloudFormation does for somebody is no call of theirs.
    let makes = [
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:RollbackStack",
        "cloudformation:ContinueUpdateRollback",
    ];
    if makes.iter().any(|call| calls.contains_key(*call)) {
        context.ui.status(
            "CloudFormation makes and deletes the stacks' resources with the rights of who asks, unless the stack has a \
             service role. This policy does not hold those rights.",
        );
    }
    Ok(ExitStatus::Success)
}

fn scope(context: &Context<'_>, args: &PolicyArgs) -> Result<Scope, CliError> {
    let settings = settings::resolve(&context.layers, &args.fleet.flags())?;
    let connection = &settings.connection;
    let first = connection.region.as_ref().map(|region| &region.value);
    let mut regions: Vec<String> =
        first.into_iter().chain(&connection.more_regions).map(ToString::to_string).collect();
    if regions.is_empty() {
        regions.push("*".to_owned());
    }
    Ok(Scope {
        partition: first.map_or(Partition::Aws, Partition::of),
        regions,
        account: connection
            .account
            .as_ref()
            .map_or_else(|| "*".to_owned(), |a| a.value.to_string()),
        project: settings.project.value.to_string(),
        environment: settings.environment.value.to_string(),
        repository: args.repository.clone(),
    })
}

/// Finds the command that the words name, as the command line itself would: aliases count.
fn find<'a>(
    known: &'a BTreeMap<String, Calls>,
    words: &[String],
) -> Result<(String, &'a Calls), CliError> {
    let mut command = Cli::command();
    let mut names: Vec<String> = Vec::new();
    for word in words {
        let Some(found) = command.find_subcommand(word).cloned() else {
            names.push(word.clone());
            continue;
        };
        names.push(found.get_name().to_owned());
        command = found;
    }
    let name = names.join(" ");
    if let Some(calls) = known.get(&name) {
        return Ok((name, calls));
    }
    let below: Vec<&str> = known
        .keys()
        .filter(|other| other.strip_prefix(&name).is_some_and(|rest| rest.starts_with(' ')))
        .map(String::as_str)
        .collect();
    let error = |text| CliError::new(ExitStatus::Usage, Message(text));
    if !below.is_empty() {
        let text = format!("`{name}` is several commands, each with calls of its own");
        return Err(error(text).hint(format!("name one: {}", below.join(", "))));
    }
    let error = error(format!("`{name}` is no command that permissions are known of"));
    let error = match similar(words).as_slice() {
        [] => error,
        similar => error.hint(format!("did you mean {}?", similar.join(" or "))),
    };
    Err(error.next("mtlog iam policy --list"))
}

/// Returns the commands that somebody who mistyped may have meant.
fn similar(words: &[String]) -> Vec<String> {
    let line = std::iter::once("mtlog").chain(words.iter().map(String::as_str));
    let Err(error) = Cli::command().try_get_matches_from(line) else { return Vec::new() };
    let (Some(ContextValue::String(wrong)), Some(ContextValue::Strings(right))) =
        (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::SuggestedSubcommand))
    else {
        return Vec::new();
    };
    let mended = |right: &String| {
        let words: Vec<&str> =
            words.iter().map(|word| if word == wrong { right } else { word }.as_str()).collect();
        format!("`{}`", words.join(" "))
    };
    right.iter().map(mended).collect()
}
