//! `mtlog tenant add`: a new delivery. Nothing that exists is overwritten.

#![expect(clippy::doc_markdown, reason = "the doc comments of flags are help texts")]

use std::{path::PathBuf, time::Duration};

use clap::Args;
use mtlog_processor::model::{
    ids::Region,
    tenant::{DeliveryKind, TenantItem},
};
use serde::Serialize;

use super::{
    DeliveryView, Opened, TableArgs, customer_side,
    delivery::DeliveryArgs,
    import, interview,
    link::{self, Own, PublicationArgs},
    new_external_id, now, open,
    pipeline::{self, CentralArgs, Pipeline},
    table_error,
    wait::{Subject, Waited},
};
use crate::{
    cli::{ConsentArgs, duration},
    commands::Context,
    config::{
        layers::Setting,
        tenant::{self, TableSettings},
        vars,
    },
    error::{CliError, ExitStatus, Message},
    onboard::{
        document::Wanted,
        handover::Handover,
        rules,
        verify::{CheckName, Verdict},
    },
    ui::{Report, style::Palette, table::Table},
};

/// The onboarding state of a delivery whose role is not there yet.
const PENDING: &str = "pending";

/// Onboard a tenant, or add a delivery to one
///
/// Asks step by step for what no flag says, on a terminal. With --customer-account the role need not exist yet: its name
/// is known. The item is then written switched off, and `mtlog tenant wait` switches it on when the role is there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mtlog tenant add acme --role-arn arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2 \\\n    --log-group /ROSA/cluster-logs/acme --target-region us-east-2 --application kube-apiserver\n  mtlog tenant add acme --customer-account 222222222222 --target-region us-east-2 --wait 24h\n  mtlog tenant add acme --customer-profile acme-admin --target-region us-east-2 --yes\n  mtlog tenant add --from acme.yaml"
)]
pub(super) struct AddArgs {
    /// The tenant: the namespace that its logs come from
    #[arg(value_name = "TENANT")]
    tenant: Option<String>,
    /// Read the deliveries from this file, YAML or JSON; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "role_arn", "log_group", "retention_days", "bucket_name", "bucket_prefix", "target_region", "applications", "customer_account", "customer_profile", "wait", "link"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    delivery: DeliveryArgs,
    /// Make an ExternalId of the tenant's own and print it, once
    #[arg(long)]
    generate_external_id: bool,
    /// Write the delivery switched off
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    customer: CustomerArgs,
    #[command(flatten)]
    publication: PublicationArgs,
    #[command(flatten)]
    central: CentralArgs,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// The customer's side.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The customer's side")]
struct CustomerArgs {
    /// The customer's account, in place of --role-arn; with --customer-profile: refuse to touch any other
    #[arg(long, value_name = "ID", conflicts_with = "role_arn")]
    customer_account: Option<String>,
    /// Deploy the customer's stack, too, with this profile of ~/.aws/config
    #[arg(long, value_name = "NAME")]
    customer_profile: Option<String>,
    /// Publish the template and print what the customer needs
    #[arg(long)]
    link: bool,
    /// Wait until the customer's role is there, for so long; then verify and switch on
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1h", value_parser = duration)]
    wait: Option<Duration>,
    /// Switch on although this check fails; may be repeated
    #[arg(long, value_name = "CHECK")]
    accept: Vec<CheckName>,
}

#[derive(Debug, Serialize)]
struct Added {
    table: String,
    delivery: DeliveryView,
    /// Shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handover: Option<Handover>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited: Option<Waited>,
}

impl Report for Added {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new([]).titled(format!("Tenant {}", self.delivery.tenant_id));
        for (name, value) in self.delivery.rows() {
            table.row([name.to_owned(), value]);
        }
        if let Some(id) = &self.external_id {
            table.row(["ExternalId (shown once)".to_owned(), id.clone()]);
        }
        vec![table]
    }

    fn text(&self, palette: Palette) -> String {
        let mut parts: Vec<String> =
            self.tables().iter().map(|table| table.render(palette)).collect();
        // What somebody waited for was shown before.
        if self.waited.is_none() {
            parts.extend(self.handover.as_ref().and_then(|handover| handover.text().ok()));
        }
        parts.extend(self.waited.as_ref().map(|waited| waited.text(palette)));
        parts.join("\n")
    }
}

/// Runs `mtlog tenant add`.
pub(super) async fn run(context: &Context<'_>, args: AddArgs) -> Result<ExitStatus, CliError> {
    if args.from.is_some() {
        return from_file(context, &args).await;
    }
    let side = match &args.customer.customer_profile {
        Some(profile) => Some(customer_side::Side::open(context, &args.table, profile).await?),
        None => None,
    };
    let mut flags = args.delivery.flags(args.tenant.as_deref().unwrap_or_default());
    flags.enabled = !args.disabled;
    flags.customer_account = args.customer.customer_account.clone().or_else(|| {
        let known = side.as_ref().filter(|_| flags.role_arn.is_none());
        known.map(|side| side.account().to_string())
    });
    let mut own_id = args.generate_external_id;
    if interview::lacks_something(&flags) && context.ui.can_ask() && !args.consent.no_input {
        let here = here(context, &args);
        own_id |= interview::fill(context.ui, &mut flags, here.as_ref())?;
    }
    let pending = flags.customer_account.is_some() && flags.role_arn.is_none();
    let (settings, mut item) = tenant::delivery(&context.layers, &args.table.flags(), &flags)?;
    for finding in rules::warnings(&item) {
        context.ui.warning(&format!("{}.", finding.text));
    }
    fit(&args, &mut item, own_id, pending)?;
    if let Some(side) = &side {
        side.must_own(&item)?;
    }
    let opened = open(&settings).await?;
    let needs_pipeline = side.is_some() || args.customer.link || args.customer.wait.is_some();
    let pipeline = if needs_pipeline {
        Some(pipeline::find(context, &settings, &opened, &args.central).await?)
    } else {
        None
    };
    write(context, &args, &opened, &item, side.as_ref()).await?;
    let mut report = Added {
        table: opened.table.name().to_owned(),
        delivery: DeliveryView::of(&item),
        external_id: item.external_id.as_ref().map(|id| id.reveal().to_string()),
        handover: None,
        waited: None,
    };
    if let Some(pipeline) = &pipeline {
        let written = Written { settings: &settings, opened: &opened, pipeline, item: &item };
        written.go_on(context, &args, side.as_ref(), &mut report).await?;
    }
    context.ui.emit(&report)?;
    match &report.waited {
        Some(waited) if waited.delivery.verdict == Verdict::Failed => Ok(ExitStatus::Preflight),
        Some(_) => Ok(ExitStatus::Success),
        None if pending => {
            let flags = pipeline::typed_flags(&settings);
            context.ui.next(&format!("mtlog tenant link {}{flags}", item.tenant));
            context.ui.next(&format!("mtlog tenant wait {}{flags}", item.tenant));
            Ok(ExitStatus::Success)
        }
        None => Ok(ExitStatus::Success),
    }
}

/// The region that the flags or settings name, as a suggestion.
fn here(context: &Context<'_>, args: &AddArgs) -> Option<Region> {
    let flag = args.table.flags().connection.region;
    let Setting { value, .. } = context.layers.lookup(&vars::REGION, flag.as_deref())?;
    value.parse().ok()
}

/// Completes the item with what only this command says.
fn fit(args: &AddArgs, item: &mut TenantItem, own_id: bool, pending: bool) -> Result<(), CliError> {
    let needs_role = [
        (own_id, "--generate-external-id"),
        (args.customer.wait.is_some(), "--wait"),
        (args.customer.link, "--link"),
        (args.customer.customer_profile.is_some(), "--customer-profile"),
    ];
    let unfit = needs_role.iter().find(|(given, _)| *given).map(|(_, flag)| *flag);
    if let (DeliveryKind::S3, Some(flag)) = (item.destination.kind(), unfit) {
        let text =
            format!("{flag} has no meaning for an s3 delivery: no role of the customer is assumed");
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    if own_id {
        item.external_id = Some(new_external_id()?);
    }
    if pending || args.customer.wait.is_some() {
        item.enabled = false;
        item.status = Some(PENDING.to_owned());
    }
    let created = now();
    item.created_at = Some(created.clone());
    item.updated_at = Some(created);
    Ok(())
}

async fn write(
    context: &Context<'_>,
    args: &AddArgs,
    opened: &Opened,
    item: &TenantItem,
    side: Option<&customer_side::Side>,
) -> Result<(), CliError> {
    let Opened { table, identity, region, .. } = opened;
    let kind = item.destination.kind();
    let also = match side {
        Some(side) => format!(" and deploy the customer's stack in account {}", side.account()),
        None => String::new(),
    };
    let question = format!(
        "Write the {kind} delivery of tenant {} to table {} in {region}, account {}{also}?",
        item.tenant,
        table.name(),
        identity.account
    );
    let _consent = context.ui.agree(&question, &args.consent.answers())?;
    table.add(item).await.map_err(|error| table_error(error, region))?;
    let off = if item.status.as_deref() == Some(PENDING) {
        " It is off until the customer's role is there."
    } else {
        ""
    };
    context.ui.status(&format!(
        "Tenant {} was written to table {} in {region}, account {}.{off}",
        item.tenant,
        table.name(),
        identity.account
    ));
    Ok(())
}

/// An item that was just written, and the pipeline that it belongs to.
struct Written<'a> {
    settings: &'a TableSettings,
    opened: &'a Opened,
    pipeline: &'a Pipeline,
    item: &'a TenantItem,
}

impl Written<'_> {
    /// Prints what the customer needs, or does it, and waits for it.
    async fn go_on(
        &self,
        context: &Context<'_>,
        args: &AddArgs,
        side: Option<&customer_side::Side>,
        report: &mut Added,
    ) -> Result<(), CliError> {
        let Self { settings, opened, pipeline, item } = self;
        if args.customer.link {
            let published =
                link::publish(context, opened, item, &args.publication, &args.consent).await?;
            link::warn_of_death(context, &published);
            let offer = link::handover(settings, pipeline, item, &[], Own::Shown, &published)?;
            if args.customer.wait.is_some() {
                context.ui.status(&link::written(offer.text())?);
            }
            report.handover = Some(offer);
        }
        if let Some(side) = side {
            Box::pin(side.deploy(context, settings, pipeline, item, &args.consent)).await?;
        } else if !args.customer.link && args.customer.wait.is_some() {
            let unpublished = link::Published::nowhere();
            let offer = link::handover(settings, pipeline, item, &[], Own::Shown, &unpublished)?;
            if let Some(offer) = offer.offers.first() {
                context.ui.status(&format!(
                    "The customer runs:\n  {}\nor opens a link: mtlog tenant link {}{}",
                    offer.command,
                    item.tenant,
                    pipeline::typed_flags(settings)
                ));
            }
        }
        let timeout = match (args.customer.wait, side) {
            (Some(timeout), _) => timeout,
            // The role is there, but IAM needs some seconds to say so everywhere.
            (None, Some(_)) => Duration::from_secs(120),
            (None, None) => return Ok(()),
        };
        let entry = super::single(opened, item.tenant.as_str(), DeliveryKind::CloudWatch)
            .await
            .map_err(|error| table_error(error, &opened.region))?;
        let subject = Subject {
            settings,
            opened,
            pipeline,
            entry,
            item: (*item).clone(),
            accepted: &args.customer.accept,
        };
        let waited = Box::pin(subject.until_on(context, timeout)).await?;
        if waited.enabled_now {
            report.delivery.enabled = true;
            report.delivery.status = Some("active".to_owned());
        }
        report.waited = Some(waited);
        Ok(())
    }
}

/// What was added from a file.
#[derive(Debug, Serialize)]
struct AddedFromFile {
    table: String,
    deliveries: Vec<DeliveryView>,
    /// ExternalIds of their own, by tenant. Shown here and never again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_ids: Vec<MadeId>,
}

#[derive(Debug, Serialize)]
struct MadeId {
    tenant_id: String,
    external_id: String,
}

impl Report for AddedFromFile {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["TENANT", "TYPE", "STATE", "REGION", "DESTINATION"]);
        for view in &self.deliveries {
            table.row([
                view.tenant_id.clone(),
                view.r#type.clone(),
                view.state().to_owned(),
                view.target_region.clone().unwrap_or_default(),
                view.destination(),
            ]);
        }
        let mut ids = Table::new(["TENANT", "EXTERNALID (SHOWN ONCE)"]);
        for made in &self.external_ids {
            ids.row([made.tenant_id.clone(), made.external_id.clone()]);
        }
        if self.external_ids.is_empty() { vec![table] } else { vec![table, ids] }
    }
}

async fn from_file(context: &Context<'_>, args: &AddArgs) -> Result<ExitStatus, CliError> {
    let settings = tenant::table(&context.layers, &args.table.flags())?;
    let wanted = match &args.from {
        Some(path) => import::read(path)?,
        None => Vec::new(),
    };
    check_file(args, &wanted)?;
    let opened = open(&settings).await?;
    let failed = |error| table_error(error, &opened.region);
    // What is there already is found before the first write.
    for one in &wanted {
        let (tenant, kind) = (&one.item.tenant, one.item.destination.kind());
        let entries = opened.table.entries_of(tenant.as_str()).await.map_err(failed)?;
        if entries.iter().any(|entry| entry.kind == kind.as_str()) {
            return Err(failed(crate::onboard::table::TableError::Exists {
                tenant: tenant.clone(),
                kind,
            })
            .hint("`mtlog tenant import` changes what exists, and shows it first"));
        }
    }
    for one in &wanted {
        for finding in rules::warnings(&one.item) {
            context.ui.warning(&format!("Tenant {}: {}.", one.item.tenant, finding.text));
        }
    }
    let question = format!(
        "Write {} deliveries to table {} in {}, account {}?",
        wanted.len(),
        opened.table.name(),
        opened.region,
        opened.identity.account
    );
    let _consent = context.ui.agree(&question, &args.consent.answers())?;
    let mut report = AddedFromFile {
        table: opened.table.name().to_owned(),
        deliveries: Vec::new(),
        external_ids: Vec::new(),
    };
    for one in wanted {
        let mut item = one.item;
        if args.generate_external_id && item.destination.kind() == DeliveryKind::CloudWatch {
            let id = new_external_id()?;
            report.external_ids.push(MadeId {
                tenant_id: item.tenant.to_string(),
                external_id: id.reveal().to_string(),
            });
            item.external_id = Some(id);
        }
        item.enabled &= !args.disabled;
        let created = now();
        item.created_at = Some(created.clone());
        item.updated_at = Some(created);
        if let Err(error) = opened.table.add(&item).await {
            // What was written before, with its ids, must not get lost.
            context.ui.emit(&report)?;
            return Err(failed(error));
        }
        report.deliveries.push(DeliveryView::of(&item));
    }
    context.ui.status(&format!("{} deliveries were written.", report.deliveries.len()));
    context.ui.emit(&report)?;
    Ok(ExitStatus::Success)
}

fn check_file(args: &AddArgs, wanted: &[Wanted]) -> Result<(), CliError> {
    let usage = |text: String| Err(CliError::new(ExitStatus::Usage, Message(text)));
    if wanted.is_empty() {
        return usage("the file names no delivery".to_owned());
    }
    let stranger = args
        .tenant
        .as_deref()
        .and_then(|tenant| wanted.iter().find(|one| one.item.tenant.as_str() != tenant));
    match (&args.tenant, stranger) {
        (Some(tenant), Some(one)) => {
            usage(format!("the file is about tenant `{}`, not `{tenant}`", one.item.tenant))
        }
        _ => Ok(()),
    }
}
