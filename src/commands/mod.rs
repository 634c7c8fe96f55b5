//! One module a verb: resolve, observe, plan, confirm, execute, report.

pub mod attach;
pub mod cancel;
pub mod config;
pub mod cost;
pub mod customer;
pub mod deploy;
pub mod destroy;
pub mod diagnose;
pub mod dlq;
pub mod doctor;
pub mod drift;
pub mod env;
pub mod events;
pub mod explain;
pub mod generate;
pub mod iam;
pub mod identity;
pub mod image;
pub mod k8s;
pub mod outputs;
pub mod probe;
pub mod process;
pub mod protect;
pub mod replay;
pub mod rollback;
pub mod shell;
pub mod status;
mod stopping;
pub mod target;
pub mod template;
pub mod tenant;
mod watching;

use std::future::Future;

use crate::{
    cli::{Cli, Command},
    config::{
        environment::{self, Environment},
        layers::{InvalidSettings, Layers, Problem, Source},
    },
    error::{CliError, ExitStatus},
    ui::Ui,
};

/// What every command gets.
#[derive(Debug)]
pub struct Context<'a> {
    /// The terminal.
    pub ui: &'a Ui,
    /// The environment and `.env`.
    pub layers: Layers,
}

/// Runs the command.
pub fn run(cli: Cli, ui: &Ui, environment: Environment) -> Result<ExitStatus, CliError> {
    let dotenv = environment::read_dotenv(cli.files.env_file.as_deref())
        .map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    let context = Context { ui, layers: Layers::new(environment, dotenv) };
    match cli.command {
        Command::Deploy(args) => block_on(deploy::run(&context, &args)),
        Command::Plan(args) => block_on(deploy::run_plan(&context, &args)),
        Command::Apply(args) => block_on(deploy::run_apply(&context, &args)),
        Command::Destroy(args) => block_on(destroy::run(&context, &args)),
        Command::Dlq(args) => block_on(Box::pin(dlq::run(&context, args))),
        Command::Status(args) => block_on(status::run(&context, &args)),
        Command::Outputs(args) => block_on(outputs::run(&context, &args)),
        Command::Events(args) => block_on(events::run(&context, &args)),
        Command::Attach(args) => block_on(attach::run(&context, &args)),
        Command::Diagnose(args) => block_on(diagnose::run(&context, &args)),
        Command::Doctor(args) => block_on(doctor::run(&context, &args)),
        Command::Cancel(args) => block_on(cancel::run(&context, &args)),
        Command::Drift(args) => block_on(drift::run(&context, &args)),
        Command::Rollback(args) => block_on(rollback::run(&context, &args)),
        Command::Protect(args) => block_on(protect::protect(&context, &args)),
        Command::Unprotect(args) => block_on(protect::unprotect(&context, &args)),
        Command::Template(args) => block_on(template::run(&context, &args)),
        Command::Explain(args) => explain::run(&context, &args),
        Command::Config(args) => config::run(&context, &args),
        Command::Cost(args) => block_on(cost::run(&context, &args)),
        Command::Customer(args) => block_on(customer::run(&context, &args)),
        Command::Iam(args) => iam::run(&context, &args),
        Command::Env(args) => block_on(env::run(&context, args)),
        Command::Generate(args) => block_on(generate::run(&context, *args)),
        Command::Image(args) => block_on(image::run(&context, args)),
        Command::K8s(args) => block_on(k8s::run(&context, *args)),
        Command::Probe(args) => block_on(Box::pin(probe::run(&context, &args))),
        Command::Process(args) => process::run(&context, *args),
        Command::Replay(args) => replay::run(&context, &args),
        Command::Completions(args) => Ok(shell::completions(&context, &args)),
        Command::Man(args) => shell::man(&context, &args),
        Command::Tenant(args) => block_on(tenant::run(&context, args)),
    }
}

/// Runs asynchronous work on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    runtime.block_on(work)
}

impl From<InvalidSettings> for CliError {
    fn from(error: InvalidSettings) -> Self {
        // Only what was typed just now is a matter of usage.
        let typed = |problem: &Problem| match problem {
            Problem::Invalid { source, .. } => {
                matches!(source, Source::Flag(_) | Source::Argument(_))
            }
            Problem::Missing { .. } | Problem::Contradiction(_) => true,
        };
        let status = if error.problems.iter().any(typed) {
            ExitStatus::Usage
        } else {
            ExitStatus::Preflight
        };
        Self::new(status, error).next("mtlog config show")
    }
}
