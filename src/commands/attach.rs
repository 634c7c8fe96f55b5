//! `mtlog attach`: joins whatever operation runs on a stack, whoever started it.

use std::time::Duration;

use clap::Args;

use super::{
    Context,
    target::{self, StackArgs},
    watching::{self, Watch},
};
use crate::{
    deploy::{
        status::Standing,
        watch::{self, Ended},
    },
    error::{CliError, ExitStatus},
    ui::progress::{Progress, Subject},
};

/// Join the operation that runs on a stack
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// A target (global, regional, customer, cluster/vector, cluster/processor) or the name of a stack
    #[arg(value_name = "TARGET|STACK")]
    subject: String,
    #[command(flatten)]
    stack: StackArgs,
    /// Stop watching after so many minutes; the operation goes on
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    timeout: u64,
}

/// Runs `mtlog attach`.
pub async fn run(context: &Context<'_>, args: &AttachArgs) -> Result<ExitStatus, CliError> {
    let (opened, target) = target::open_subject(context, &args.stack, &args.subject).await?;
    let client = opened.session.cloudformation();
    let stack = opened.subject(&client, target, &args.subject).await?;
    let ui = context.ui;
    if !stack.status.is_busy() {
        ui.status(&format!("Nothing runs on stack {}: {}.", stack.name, stack.status));
        return Ok(ExitStatus::Success);
    }
    let progress = Progress::start(ui);
    let flags = opened.typed_flags();
    let watch = Watch {
        subject: Subject {
            title: format!("{} in {}", stack.name, opened.place.region),
            stack: stack.name.clone(),
            region: opened.place.region.to_string(),
            names: target.map(|target| watching::names(target.template())).unwrap_or_default(),
            ..Subject::default()
        },
        limit: Duration::from_secs(args.timeout.saturating_mul(60)),
        flags: flags.clone(),
    };
    let start = watch::running_operation(&client, &stack);
    let work = Box::pin(watching::watch(&progress, &client, watch, start));
    let ended = watching::until_stopped(&progress, &flags, work).await?;
    report(context, &stack.name, &ended, &opened.typed_flags())
}

/// Says how an operation ended that somebody else may have started.
pub(super) fn report(
    context: &Context<'_>,
    name: &str,
    ended: &Ended,
    flags: &str,
) -> Result<ExitStatus, CliError> {
    let status = match ended.status.standing() {
        Standing::Done | Standing::Gone => {
            context.ui.status(&format!("Stack {name} is in {} now.", ended.status));
            return Ok(ExitStatus::Success);
        }
        Standing::RolledBack => ExitStatus::RolledBack,
        Standing::Running | Standing::Stuck | Standing::Reviewing => ExitStatus::NeedsAttention,
    };
    let what =
        format!("the operation on stack `{name}` failed; the stack is in {} now", ended.status);
    Err(watching::failed(status, what, ended).next(format!("mtlog events {name} --failed{flags}")))
}
