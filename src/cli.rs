//! The command line's grammar: clap types only, no behaviour.

use std::path::PathBuf;

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
#[derive(Debug, Clone, Args)]
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
    /// When to use colours [env: `NO_COLOR`]
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
    /// Named profile of ~/.aws/config [env: `AWS_PROFILE`]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region [env: `AWS_REGION`]
    #[arg(long, short = 'r', value_name = "REGION")]
    pub region: Option<String>,
    /// Refuse to touch any other account [env: `AWS_ACCOUNT_ID`]
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Send every call here instead of to AWS [env: `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

impl ConnectionArgs {
    /// Returns the flags for the settings' resolution.
    pub fn flags(&self) -> ConnectionFlags {
        ConnectionFlags {
            profile: self.profile.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
            endpoint_url: self.endpoint_url.clone(),
        }
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or update stacks
    Deploy(Box<commands::deploy::DeployArgs>),
    /// Show what a deployment would change; no call that writes is made
    Plan(Box<commands::deploy::PlanArgs>),
    /// Delete stacks
    Destroy(commands::destroy::DestroyArgs),
    /// Show every stack of the pipeline in the region
    Status(commands::status::StatusArgs),
    /// Print what stacks tell: names, ARNs and URLs
    Outputs(commands::outputs::OutputsArgs),
    /// Show what happened to a stack and to those nested in it
    Events(commands::events::EventsArgs),
    /// Explain a code such as MT001, or list all of them
    Explain(commands::explain::ExplainArgs),
    /// Show settings and where they come from
    Config(commands::config::ConfigArgs),
    /// Print the environment that another program needs
    Env(commands::env::EnvArgs),
    /// Write realistic pod logs to standard output, a directory or the bucket
    Generate(Box<commands::generate::GenerateArgs>),
    /// Build and push the engine's image
    Image(commands::image::ImageArgs),
    /// Fill in, apply and check the Kubernetes manifests
    K8s(Box<commands::k8s::K8sArgs>),
    /// Run the engine: deliver log objects to their tenants
    Process(Box<commands::process::ProcessArgs>),
    /// Keep tenants: who gets which logs, and where
    Tenant(commands::tenant::TenantArgs),
}
