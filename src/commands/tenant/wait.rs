//! `mtlog tenant wait`: until the customer's role is there; then verifies and switches on.

use std::time::Duration;

use clap::Args;
use mtlog_processor::model::tenant::{
    Attribute, Attributes, DeliveryKind, Destination, TenantItem,
};
use serde::Serialize;

use super::{
    Opened, TableArgs, now, open,
    pipeline::{self, CentralArgs, Pipeline},
    single, table_error,
    verify::{self, How, Seen, Verified},
};
use crate::{
    aws::fault::FaultClass,
    cli::{ConsentArgs, duration},
    commands::Context,
    config::tenant::{self, TableSettings},
    error::{CliError, ExitStatus, Message},
    onboard::{
        probe::{Way, Writes},
        table::Entry,
        verify::{CheckName, Verdict},
    },
    ui::{Report, style::Palette, table::Table, waiting::Waiting},
};

/// The onboarding state of a delivery that works.
const ACTIVE: &str = "active";
/// The first pause between two tries; it grows by half each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a customer who has just pressed the button does not want to wait longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// IAM may take so long to make a new role's permissions known everywhere
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html>).
const SETTLING: Duration = Duration::from_secs(60);

/// Wait until the customer's role lets us in, then verify and switch on
///
/// Tries the way that the engine takes, again and again. Nothing has to be sent back by the customer. What fails for good
/// ends the waiting; what may still come does not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mtlog tenant wait acme --timeout 24h --yes")]
pub(super) struct WaitArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Give up after so long; the item stays as it is
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
    timeout: Duration,
    /// Switch on although this check fails; may be repeated
    #[arg(long, value_name = "CHECK")]
    accept: Vec<CheckName>,
    #[command(flatten)]
    central: CentralArgs,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// What the waiting came to.
#[derive(Debug, Serialize)]
pub(super) struct Waited {
    pub(super) table: String,
    /// How long the role was waited for, in seconds.
    pub(super) waited_seconds: u64,
    /// Whether the delivery was switched on now.
    pub(super) enabled_now: bool,
    pub(super) delivery: Verified,
}

impl Report for Waited {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        self.delivery.text(palette)
    }
}

/// Runs `mtlog tenant wait`.
pub(super) async fn run(context: &Context<'_>, args: &WaitArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let opened = open(&settings).await?;
    let entry = single(&opened, &args.tenant, DeliveryKind::CloudWatch)
        .await
        .map_err(|error| table_error(error, &opened.region))?;
    let item = match &entry.item {
        Ok(item) => item.clone(),
        Err(error) => {
            return Err(CliError::new(ExitStatus::Preflight, error.clone())
                .next(format!("mtlog tenant show {}", args.tenant)));
        }
    };
    let pipeline = pipeline::find(context, &settings, &opened, &args.central).await?;
    if !item.enabled {
        let question = format!(
            "Switch on the cloudwatch delivery of tenant {} in {}, account {}, once the role is there and verified?",
            args.tenant, opened.region, opened.identity.account
        );
        let _consent = context.ui.agree(&question, &args.consent.answers())?;
    }
    let subject = Subject {
        settings: &settings,
        opened: &opened,
        pipeline: &pipeline,
        entry,
        item,
        accepted: &args.accept,
    };
    let waited = subject.until_on(context, args.timeout).await?;
    context.ui.emit(&waited)?;
    Ok(if waited.delivery.verdict == Verdict::Failed {
        ExitStatus::Preflight
    } else {
        ExitStatus::Success
    })
}

/// What is waited for.
pub(super) struct Subject<'a> {
    pub(super) settings: &'a TableSettings,
    pub(super) opened: &'a Opened,
    pub(super) pipeline: &'a Pipeline,
    pub(super) entry: Entry,
    pub(super) item: TenantItem,
    /// Checks whose failure somebody has accepted.
    pub(super) accepted: &'a [CheckName],
}

impl Subject<'_> {
    /// Waits for the role, verifies, and switches the delivery on. The caller has been agreed with.
    pub(super) async fn until_on(
        &self,
        context: &Context<'_>,
        timeout: Duration,
    ) -> Result<Waited, CliError> {
        let mut waiting = Waiting::start(context.ui);
        self.until_admitted(&mut waiting, timeout).await?;
        let waited_seconds = waiting.elapsed().as_secs();
        let delivery = self.until_verified(&mut waiting).await?;
        drop(waiting);
        let mut waited = Waited {
            table: self.opened.table.name().to_owned(),
            waited_seconds,
            enabled_now: false,
            delivery,
        };
        let tenant = &self.item.tenant;
        if waited.delivery.verdict == Verdict::Failed {
            let state = if self.item.enabled { "on" } else { "off" };
            context.ui.warning(&format!(
                "The role of tenant {tenant} is there, but a check failed; the delivery stays {state}."
            ));
            return Ok(waited);
        }
        if !self.item.enabled || self.item.status.as_deref() != Some(ACTIVE) {
            let set = Attributes::from([
                ("enabled".to_owned(), Attribute::Bool(true)),
                ("status".to_owned(), Attribute::String(ACTIVE.to_owned())),
                ("updated_at".to_owned(), Attribute::String(now())),
            ]);
            let changed = self.opened.table.change(&self.entry, &set, &[]).await;
            changed.map_err(|error| table_error(error, &self.opened.region))?;
            waited.enabled_now = !self.item.enabled;
        }
        context.ui.status(&format!(
            "{} The cloudwatch delivery of tenant {tenant} works and is on.",
            context.ui.palette().good("✓")
        ));
        Ok(waited)
    }

    async fn until_admitted(
        &self,
        waiting: &mut Waiting<'_>,
        timeout: Duration,
    ) -> Result<(), CliError> {
        let Destination::CloudWatch { role, .. } = &self.item.destination else {
            let text = "an s3 delivery needs no role of the customer: there is nothing to wait for";
            return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
        };
        let mut pause = FIRST_PAUSE;
        loop {
            waiting.say(&format!("Waiting until {role} lets us in ..."));
            let opened = self.opened;
            // A session of the central role lasts an hour; the customer may take longer.
            let way = Way::open(&opened.session, &self.pipeline.central_role, &opened.region).await;
            let last = match way.customer(&self.item, role).await {
                Ok(_) => return Ok(()),
                Err(Some(fault)) if fault.class() == FaultClass::Denied || fault.is_passing() => {
                    fault.to_string()
                }
                Err(Some(fault)) => {
                    return Err(CliError::aws(format!("failed to take role `{role}`"), fault));
                }
                Err(None) => match way.into_refused() {
                    Some(fault) if !fault.is_passing() => {
                        let what = format!("failed to act as {}", self.pipeline.central_role);
                        return Err(CliError::aws(what, fault).hint(
                            "the global stack's parameter OperatorRoleArns names the roles and users that may",
                        ));
                    }
                    fault => fault.map(|fault| fault.to_string()).unwrap_or_default(),
                },
            };
            if waiting.elapsed() + pause > timeout {
                let flags = pipeline::typed_flags(self.settings);
                let text = format!(
                    "role `{role}` did not let us in within {} s; the last answer was: {last}",
                    timeout.as_secs()
                );
                return Err(CliError::new(ExitStatus::TimedOut, Message(text))
                    .hint("the item stays as it is; the customer's stack may still come")
                    .next(format!("mtlog tenant wait {}{flags}", self.item.tenant)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Verifies, and again for a while if something fails: a new role's permissions come after the role.
    async fn until_verified(&self, waiting: &mut Waiting<'_>) -> Result<Verified, CliError> {
        let admitted = waiting.elapsed();
        let mut pause = FIRST_PAUSE;
        loop {
            waiting.say("The role is there. Verifying ...");
            let opened = self.opened;
            let way = Way::open(&opened.session, &self.pipeline.central_role, &opened.region).await;
            let how = How { writes: Writes::Probe, accepted: self.accepted, seen: &Seen::NotAsked };
            let tried = verify::try_one(&way, &self.entry, self.settings, how);
            let verified = Box::pin(tried).await?;
            if verified.verdict != Verdict::Failed
                || waiting.elapsed() + pause > admitted + SETTLING
            {
                return Ok(verified);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}
