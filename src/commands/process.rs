//! `mtlog process`: the engine in this process. Everything about delivery is the engine's; here only its settings are
//! found.

use std::{collections::BTreeMap, future::Future};

use clap::Args;
use mtlog_processor::{
    config::{Config, ConfigErrors, Mode},
    exit,
    modes::{
        self,
        options::{OptionError, ProcessOptions, SinkKind},
    },
    telemetry,
};

use super::{
    Context, block_on,
    target::{self, StackArgs},
};
use crate::{
    config::{
        environment::Environment,
        layers::{Layers, remedy},
        vars::{self, Variable},
    },
    deploy::{outputs, target::Target},
    error::{CliError, ExitStatus, Message},
};

/// Run the engine: deliver log objects to the tenants
///
/// What neither a flag nor the environment nor `.env` gives (queue, tenant table, central role, key prefix) is taken
/// from the outputs of the regional stack.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mtlog process --mode sqs -e production -r us-east-2
  mtlog process --mode manual --file 20260101-x.json.gz --sink stdout
  mtlog process --mode manual --object s3://bucket/cluster/namespace/app/pod/20260101-x.json.gz --dry-run")]
pub struct ProcessArgs {
    #[command(flatten)]
    options: ProcessOptions,
    #[command(flatten)]
    stack: StackArgs,
}

/// Runs `mtlog process`.
pub fn run(context: &Context<'_>, args: ProcessArgs) -> Result<ExitStatus, CliError> {
    let settings =
        Settings { layers: &context.layers, flags: flags(&args.stack), outputs: BTreeMap::new() };
    let mode = mode(&args.options, &settings)?;
    args.options.check(mode)?;
    let config = settings.config(context, &args.stack, &args.options, mode)?;
    let _installed = telemetry::install(mode, &config);
    let options = ProcessOptions { mode: Some(mode), ..args.options };
    Ok(on_threads(modes::run(options, config))?.into())
}

/// Returns the engine's settings for a run with these options.
pub(super) fn engine_config(
    context: &Context<'_>,
    stack: &StackArgs,
    options: &ProcessOptions,
    mode: Mode,
) -> Result<Config, CliError> {
    let settings =
        Settings { layers: &context.layers, flags: flags(stack), outputs: BTreeMap::new() };
    settings.config(context, stack, options, mode)
}

/// Runs the engine's work on several threads.
pub(super) fn on_threads<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    let done = runtime.block_on(work);
    // Threads that still wait for input must not keep the process.
    runtime.shutdown_background();
    Ok(done)
}

/// Where the engine's settings come from, the first that has one.
struct Settings<'a> {
    layers: &'a Layers,
    flags: BTreeMap<&'static str, String>,
    outputs: BTreeMap<String, String>,
}

impl Settings<'_> {
    /// Reads the engine's settings, with those that nothing else gives from the regional stack.
    fn config(
        self,
        context: &Context<'_>,
        stack: &StackArgs,
        options: &ProcessOptions,
        mode: Mode,
    ) -> Result<Config, CliError> {
        let needed = needed(options, mode, &self);
        let outputs = if needed.is_empty() {
            BTreeMap::new()
        } else {
            block_on(found(context, stack, &needed))?
        };
        let settings = Self { outputs, ..self };
        Ok(Config::from_env(|name| settings.get(name))?)
    }

    fn get(&self, name: &str) -> Option<String> {
        let in_environment = |environment: &Environment| environment.get(name).map(str::to_owned);
        self.flags
            .get(name)
            .cloned()
            .or_else(|| in_environment(self.layers.environment()))
            .or_else(|| self.in_file(name))
            .or_else(|| self.outputs.get(name).cloned())
    }

    /// A value of `.env`. Keys count only if the environment has no identity of its own: a mixture would be neither.
    fn in_file(&self, name: &str) -> Option<String> {
        const KEYS: [&Variable; 3] =
            [&vars::ACCESS_KEY_ID, &vars::SECRET_ACCESS_KEY, &vars::SESSION_TOKEN];
        let is_key = KEYS.iter().any(|key| key.name == name);
        let named = |variable: &Variable| {
            self.flags.contains_key(variable.name)
                || self.layers.environment().get(variable.name).is_some()
        };
        if is_key && (KEYS.iter().any(|key| named(key)) || named(&vars::PROFILE)) {
            return None;
        }
        self.layers.dotenv().get(name).map(|(value, _)| value.to_owned())
    }
}

fn flags(stack: &StackArgs) -> BTreeMap<&'static str, String> {
    let connection = stack.connection_flags();
    [
        (vars::PROFILE.name, connection.profile),
        (vars::REGION.name, connection.region),
        (vars::ENDPOINT.name, connection.endpoint_url),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn mode(options: &ProcessOptions, settings: &Settings<'_>) -> Result<Mode, CliError> {
    if let Some(mode) = options.mode {
        return Ok(mode);
    }
    match settings.get(vars::EXECUTION_MODE.name) {
        Some(text) => text.parse().map_err(|error| CliError::new(ExitStatus::Preflight, error)),
        None => Err(CliError::new(ExitStatus::Usage, Message("no mode is given".to_owned()))
            .hint("give --mode sqs, --mode manual or --mode scan, or set EXECUTION_MODE")),
    }
}

/// Returns the variables that the run needs and nothing gives.
fn needed(options: &ProcessOptions, mode: Mode, settings: &Settings<'_>) -> Vec<&'static Variable> {
    let delivers = options.sink == SinkKind::Cloudwatch && mode != Mode::Lambda;
    let wanted = [
        (&vars::QUEUE_URL, mode == Mode::Sqs),
        (&vars::TENANT_TABLE, delivers),
        (&vars::CENTRAL_ROLE_ARN, delivers),
        (&vars::SOURCE_BUCKET, mode == Mode::Scan),
    ];
    wanted
        .into_iter()
        .filter(|(variable, wanted)| *wanted && settings.get(variable.name).is_none())
        .map(|(variable, _)| variable)
        .collect()
}

/// Takes what is needed from the outputs of the regional stack.
async fn found(
    context: &Context<'_>,
    stack: &StackArgs,
    needed: &[&'static Variable],
) -> Result<BTreeMap<String, String>, CliError> {
    let names = || needed.iter().map(|variable| variable.name).collect::<Vec<_>>().join(", ");
    let opened = target::open(context, &stack.regional_flags()).await.map_err(|error| {
        error.hint(format!("nothing gives {}, so the regional stack is looked for", names()))
    })?;
    let client = opened.session.cloudformation();
    let stack = opened
        .existing(&client, Target::Regional)
        .await
        .map_err(|error| error.hint(format!("or set {}", names())))?;
    let outputs = outputs::variables(&stack.outputs);
    let missing: Vec<&&Variable> =
        needed.iter().filter(|variable| !outputs.contains_key(variable.name)).collect();
    if missing.is_empty() {
        context.ui.detail(&format!("{} taken from the outputs of stack {}", names(), stack.name));
        return Ok(outputs);
    }
    let mut error = CliError::new(
        ExitStatus::Preflight,
        Message(format!(
            "nothing gives {}, and stack `{}` has no output for it",
            missing.iter().map(|variable| variable.name).collect::<Vec<_>>().join(", "),
            stack.name
        )),
    );
    for variable in missing {
        error = error.hint(remedy(variable));
    }
    Err(error.next("mtlog deploy regional --include-sqs"))
}

impl From<OptionError> for CliError {
    fn from(error: OptionError) -> Self {
        Self::new(ExitStatus::Usage, error)
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(ExitStatus::Preflight, errors).next("mtlog config show")
    }
}

impl From<exit::ExitStatus> for ExitStatus {
    fn from(status: exit::ExitStatus) -> Self {
        match status {
            exit::ExitStatus::Ok => Self::Success,
            exit::ExitStatus::Unexpected => Self::Unexpected,
            exit::ExitStatus::Refused => Self::Access,
            exit::ExitStatus::Config => Self::Preflight,
            exit::ExitStatus::Usage => Self::Usage,
            exit::ExitStatus::Data => Self::Undelivered,
            exit::ExitStatus::Transient => Self::TryAgain,
            exit::ExitStatus::Interrupted => Self::Detached,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::dotenv::DotEnv;

    #[test]
    fn exit_codes_are_the_engines() {
        for status in [
            exit::ExitStatus::Ok,
            exit::ExitStatus::Unexpected,
            exit::ExitStatus::Refused,
            exit::ExitStatus::Config,
            exit::ExitStatus::Usage,
            exit::ExitStatus::Data,
            exit::ExitStatus::Transient,
            exit::ExitStatus::Interrupted,
        ] {
            assert_eq!(ExitStatus::from(status) as u8, status.code());
        }
    }

    #[test]
    fn settings_come_from_the_highest_layer_and_identities_are_not_mixed() {
        let file = "SQS_QUEUE_URL=file\nLOG_LEVEL=file\nAWS_ACCESS_KEY_ID=f\nAWS_SESSION_TOKEN=f\nS3_KEY_PREFIX=file/\n";
        let layers = Layers::new(
            Environment::of([("LOG_LEVEL", "environment"), ("AWS_ACCESS_KEY_ID", "e")]),
            DotEnv::parse(Path::new(".env"), file).unwrap(),
        );
        let outputs = [("SQS_QUEUE_URL", "stack"), ("TENANT_CONFIG_TABLE", "stack")];
        let settings = Settings {
            layers: &layers,
            flags: BTreeMap::from([("AWS_REGION", "flag".to_owned())]),
            outputs: outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        for (name, value) in [
            ("AWS_REGION", Some("flag")),
            ("LOG_LEVEL", Some("environment")),
            ("SQS_QUEUE_URL", Some("file")),
            ("TENANT_CONFIG_TABLE", Some("stack")),
            ("AWS_ACCESS_KEY_ID", Some("e")),
            ("AWS_SESSION_TOKEN", None),
            ("CHECKPOINT", None),
        ] {
            assert_eq!(settings.get(name).as_deref(), value, "{name}");
        }
    }
}
