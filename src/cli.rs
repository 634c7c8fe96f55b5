//! The command line's grammar: clap types only, no behaviour.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::{
    commands,
    config::connection::ConnectionFlags,
    ui::{ColorChoice, OutputFormat, prompt::Answers},
};

/// Operates a multi-tenant logging pipeline on AWS: deploys it, onboards customers, delivers their logs
#[derive(Debug, Parser)]
#[command(
    name = "mtlog",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// What the terminal shows.
    #[command(flatten)]
    pub display: DisplayArgs,
    /// Where settings come from.
    #[command(flatten)]
    pub files: FileArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit status: 0 done, or nothing to do · 1 unexpected · 3 credentials or permission · \
4 failed and rolled back · 5 failed, needs attention · 6 a check failed, nothing touched · 7 declined · \
8 conflict · 9 timed out, the operation goes on · 64 usage · 130 detached by Ctrl-C, the operation goes on";

/// What the terminal shows.
#[derive(Debug, Clone, Default, Args)]
pub struct DisplayArgs {
    /// Form of the data on standard output
    #[arg(
        long,
        short = 'o',
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Display"
    )]
    pub output: OutputFormat,
    /// When to use colours [env: NO_COLOR]
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Display"
    )]
    pub color: ColorChoice,
    /// Say only what is wrong
    #[arg(long, short = 'q', global = true, help_heading = "Display", conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(long, short = 'v', global = true, action = ArgAction::Count, help_heading = "Display")]
    pub verbose: u8,
}

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// Read settings from this file instead of `.env`
    #[arg(long, global = true, value_name = "PATH", help_heading = "Display")]
    pub env_file: Option<PathBuf>,
}

/// Which account, region and endpoint.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Named profile of ~/.aws/config [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region [env: AWS_REGION]
    #[arg(long, short = 'r', value_name = "REGION")]
    pub region: Option<String>,
    /// Refuse to touch any other account [env: AWS_ACCOUNT_ID]
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Send every call here instead of to AWS [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

impl ConnectionArgs {
    /// Returns the flags for the settings' resolution.
    pub fn flags(&self) -> ConnectionFlags {
        ConnectionFlags {
            profile: self.profile.clone(),
            region: self.region.clone(),
            more_regions: Vec::new(),
            account: self.account.clone(),
            endpoint_url: self.endpoint_url.clone(),
        }
    }
}

/// Which account, regions and endpoint, for commands that work on several regions at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct FleetConnectionArgs {
    /// Named profile of ~/.aws/config [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Region; several at once when repeated or separated by commas [env: AWS_REGION]
    #[arg(long, short = 'r', value_name = "REGION", value_delimiter = ',')]
    region: Vec<String>,
    /// Refuse to touch any other account [env: AWS_ACCOUNT_ID]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Send every call here instead of to AWS [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The most calls to CloudFormation a second, for all stacks together
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    max_api_rate: u32,
}

impl FleetConnectionArgs {
    /// Returns the flags for the settings' resolution.
    pub fn flags(&self) -> ConnectionFlags {
        let mut regions = self.region.iter().cloned();
        ConnectionFlags {
            profile: self.profile.clone(),
            region: regions.next(),
            more_regions: regions.collect(),
            account: self.account.clone(),
            endpoint_url: self.endpoint_url.clone(),
        }
    }

    /// Returns the most calls a second.
    pub const fn max_api_rate(&self) -> u32 {
        self.max_api_rate
    }
}

/// Answers in advance.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Confirmation")]
pub struct ConsentArgs {
    /// Go on without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Ask nothing; fail where a question would be needed
    #[arg(long)]
    pub no_input: bool,
    /// Confirm by name what cannot be undone; may be repeated
    #[arg(long, value_name = "NAME")]
    pub confirm: Vec<String>,
}

impl ConsentArgs {
    /// Returns the answers.
    pub fn answers(&self) -> Answers {
        Answers { yes: self.yes, no_input: self.no_input, confirm: self.confirm.clone() }
    }
}

/// Reads a time such as `90s`, `10m` or `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let rule = || format!("`{text}` is no time: it looks like 90s, 10m or 1h");
    let unit = text.chars().last().ok_or_else(rule)?;
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| rule())?;
    let seconds = match unit {
        's' => number,
        'm' => number.saturating_mul(60),
        'h' => number.saturating_mul(3600),
        _ => return Err(rule()),
    };
    Ok(Duration::from_secs(seconds))
}

/// The commands. Each is described where its arguments are.
#[derive(Debug, Subcommand)]
pub enum Command {
    Deploy(Box<commands::deploy::DeployArgs>),
    Plan(Box<commands::deploy::PlanArgs>),
    Apply(commands::deploy::ApplyArgs),
    Destroy(commands::destroy::DestroyArgs),
    Dlq(commands::dlq::DlqArgs),
    Status(commands::status::StatusArgs),
    Outputs(commands::outputs::OutputsArgs),
    Events(commands::events::EventsArgs),
    Attach(commands::attach::AttachArgs),
    Diagnose(commands::diagnose::DiagnoseArgs),
    Doctor(commands::doctor::DoctorArgs),
    Rollback(commands::rollback::RollbackArgs),
    Cancel(commands::cancel::CancelArgs),
    Drift(commands::drift::DriftArgs),
    Protect(commands::protect::ProtectArgs),
    Unprotect(commands::protect::UnprotectArgs),
    Template(commands::template::TemplateArgs),
    Explain(commands::explain::ExplainArgs),
    Config(commands::config::ConfigArgs),
    Cost(commands::cost::CostArgs),
    Customer(commands::customer::CustomerArgs),
    Completions(commands::shell::CompletionsArgs),
    Man(commands::shell::ManArgs),
    Env(commands::env::EnvArgs),
    Generate(Box<commands::generate::GenerateArgs>),
    Iam(commands::iam::IamArgs),
    Image(commands::image::ImageArgs),
    K8s(Box<commands::k8s::K8sArgs>),
    Probe(Box<commands::probe::ProbeArgs>),
    Process(Box<commands::process::ProcessArgs>),
    Replay(Box<commands::replay::ReplayArgs>),
    Tenant(commands::tenant::TenantArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::config::vars;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    /// Calls `visit` with every argument of every command.
    fn every_argument(command: &clap::Command, visit: &mut impl FnMut(&clap::Arg)) {
        command.get_arguments().for_each(&mut *visit);
        for subcommand in command.get_subcommands() {
            every_argument(subcommand, visit);
        }
    }

    #[test]
    fn every_example_in_the_help_is_understood() {
        fn texts(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(command.get_after_help().map(ToString::to_string));
            for subcommand in command.get_subcommands() {
                texts(subcommand, found);
            }
        }
        let mut found = Vec::new();
        texts(&Cli::command(), &mut found);
        let mut examples = 0;
        for text in found {
            let joined = text.replace("\\\n", " ");
            for line in joined.lines() {
                let Some(start) = line.find("mtlog ").filter(|_| line.starts_with("  ")) else {
                    continue;
                };
                let end = [")\"", " | ", " > ", " >> "]
                    .iter()
                    .filter_map(|end| line.get(start..)?.find(end))
                    .min()
                    .map_or(line.len(), |length| start + length);
                let words =
                    line.get(start..end).unwrap_or_default().split_whitespace().map(|word| {
                        word.trim_matches('\'')
                            .replace(
                                "REPOSITORY@",
                                "111122223333.dkr.ecr.us-east-2.amazonaws.com/x@",
                            )
                            .replace("DIGEST", &"0".repeat(64))
                    });
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{line}\n{error}");
                }
                examples += 1;
            }
        }
        assert!(examples > 10, "{examples} examples");
    }

    #[test]
    fn flags_and_variables_agree() {
        let mut flags = Vec::new();
        every_argument(&Cli::command(), &mut |argument| {
            let flag = argument.get_long().unwrap_or_default().to_owned();
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            if let Some((_, rest)) = help.split_once("[env: ")
                && let Some((name, _)) = rest.split_once(']')
            {
                let name = name.trim_matches('`');
                let variable = vars::ALL.iter().find(|variable| variable.name == name);
                let variable = variable.unwrap_or_else(|| panic!("--{flag} names {name}"));
                assert!(variable.flag.is_none_or(|known| known == flag), "--{flag} names {name}");
            }
            flags.push(flag);
        });
        for variable in vars::ALL {
            if let Some(flag) = variable.flag {
                assert!(
                    flags.iter().any(|known| known == flag),
                    "{} names --{flag}",
                    variable.name
                );
            }
        }
    }
}
