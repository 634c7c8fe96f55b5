//! `mtlog tenant set`: changes some attributes of a delivery, and shows old and new first.

use clap::Args;
use mtlog_processor::model::tenant::{Attribute, Attributes, DeliveryKind, TenantItem};
use serde::Serialize;

use super::{
    Opened, TableArgs, change_table, delivery::DeliveryArgs, new_external_id, now, open, single,
    table_error,
};
use crate::{
    cli::ConsentArgs,
    commands::Context,
    config::tenant,
    error::{CliError, ExitStatus, Message},
    onboard::{
        difference::{self, FieldChange},
        rules,
    },
    ui::{Report, table::Table},
};

/// Change a delivery
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mtlog tenant set acme --retention-days 90\n  mtlog tenant set acme --application kube-apiserver --application audit\n  mtlog tenant set acme --all-applications"
)]
pub(super) struct SetArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    #[command(flatten)]
    delivery: DeliveryArgs,
    /// All applications' logs
    #[arg(long, conflicts_with = "applications")]
    all_applications: bool,
    /// Make a new ExternalId of the tenant's own and print it, once
    #[arg(long)]
    generate_external_id: bool,
    /// Go back to the central account's id as ExternalId
    #[arg(long, conflicts_with = "generate_external_id")]
    account_external_id: bool,
    /// Show what would change; write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Set {
    table: String,
    tenant_id: String,
    r#type: &'static str,
    changes: Vec<FieldChange>,
    /// Whether it was written.
    written: bool,
    /// Shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
}

impl Report for Set {
    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![change_table(
            &format!("Tenant {}, {}", self.tenant_id, self.r#type),
            &self.changes,
        )];
        if let Some(id) = &self.external_id {
            let mut table = Table::new([]);
            table.row(["ExternalId (shown once)".to_owned(), id.clone()]);
            tables.push(table);
        }
        tables
    }
}

/// Runs `mtlog tenant set`.
pub(super) async fn run(context: &Context<'_>, args: &SetArgs) -> Result<ExitStatus, CliError> {
    let (settings, kind) =
        tenant::named(&context.layers, &args.table.flags(), args.delivery.kind.as_deref())?;
    let generated = if args.generate_external_id { Some(new_external_id()?) } else { None };
    let external_id = generated.as_ref().map(|id| id.reveal().to_string());
    let edits = edits(args, kind, external_id.clone())?;
    if edits.is_empty() {
        let text = "nothing is to be changed: name an attribute, for example --retention-days 90";
        return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
    }
    let opened = open(&settings).await?;
    let failed = |error| table_error(error, &opened.region);
    let entry = single(&opened, &args.tenant, kind).await.map_err(failed)?;
    let Opened { table, identity, region, .. } = &opened;
    let item = edited(&entry.attributes, edits)?;
    for finding in rules::warnings(&item) {
        context.ui.warning(&format!("{}.", finding.text));
    }
    let change = difference::change(&entry.attributes, &item);
    let mut report = Set {
        table: table.name().to_owned(),
        tenant_id: args.tenant.clone(),
        r#type: kind.as_str(),
        changes: change.fields.clone(),
        written: false,
        external_id: None,
    };
    if change.fields.is_empty() || args.dry_run {
        context.ui.emit(&report)?;
        if args.dry_run {
            context.ui.status("Nothing was written: this was a dry run.");
        }
        return Ok(ExitStatus::Success);
    }
    let answers = args.consent.answers();
    if !answers.yes {
        let preview = change_table("", &change.fields).render(context.ui.palette());
        context.ui.status(preview.trim_end());
    }
    let question = format!(
        "Change the {kind} delivery of tenant {} in {region}, account {}?",
        args.tenant, identity.account
    );
    let _consent = context.ui.agree(&question, &answers)?;
    let mut set = change.set;
    set.insert("updated_at".to_owned(), Attribute::String(now()));
    table.change(&entry, &set, &change.removed).await.map_err(failed)?;
    context.ui.status(&format!("The {kind} delivery of tenant {} was changed.", args.tenant));
    report.written = true;
    report.external_id = external_id;
    context.ui.emit(&report)?;
    Ok(ExitStatus::Success)
}

/// One attribute and its new value; none: it goes away.
type Edit = (&'static str, Option<Attribute>);

fn edits(
    args: &SetArgs,
    kind: DeliveryKind,
    external_id: Option<String>,
) -> Result<Vec<Edit>, CliError> {
    let text = |value: &Option<String>| value.clone().map(Attribute::String);
    let cloudwatch = [
        ("role-arn", "log_distribution_role_arn", text(&args.delivery.role_arn)),
        ("log-group", "log_group_name", text(&args.delivery.log_group)),
        ("generate-external-id", "external_id", external_id.map(Attribute::String)),
    ];
    let s3 = [
        ("bucket-name", "bucket_name", text(&args.delivery.bucket_name)),
        ("bucket-prefix", "bucket_prefix", text(&args.delivery.bucket_prefix)),
    ];
    let (own, foreign) = match kind {
        DeliveryKind::CloudWatch => (cloudwatch.to_vec(), s3.to_vec()),
        DeliveryKind::S3 => (s3.to_vec(), cloudwatch.to_vec()),
    };
    let mut foreign: Vec<&str> = foreign
        .into_iter()
        .filter(|(_, _, value)| value.is_some())
        .map(|(flag, ..)| flag)
        .collect();
    if kind == DeliveryKind::S3 {
        foreign.extend(args.delivery.retention_days.as_ref().map(|_| "retention-days"));
        foreign.extend(args.account_external_id.then_some("account-external-id"));
    }
    if let Some(flag) = foreign.first() {
        let text = format!("--{flag} has no meaning for a {kind} delivery");
        return Err(CliError::new(ExitStatus::Usage, Message(text)));
    }
    let mut edits: Vec<Edit> = own
        .into_iter()
        .filter(|(_, _, value)| value.is_some())
        .map(|(_, name, value)| (name, value))
        .collect();
    edits.extend(text(&args.delivery.target_region).map(|region| ("target_region", Some(region))));
    edits.extend(args.delivery.retention_days.as_ref().map(|days| {
        ("log_retention_days", (days != "0").then(|| Attribute::Number(days.clone())))
    }));
    if !args.delivery.applications.is_empty() {
        let names = args.delivery.applications.iter().cloned().map(Attribute::String).collect();
        edits.push(("desired_logs", Some(Attribute::List(names))));
    }
    if args.all_applications {
        edits.push(("desired_logs", None));
    }
    if args.account_external_id {
        edits.push(("external_id", None));
    }
    Ok(edits)
}

/// Applies the edits to what the table has. What comes out must be a delivery, whatever it was before.
fn edited(before: &Attributes, edits: Vec<Edit>) -> Result<TenantItem, CliError> {
    let mut attributes = before.clone();
    for (name, value) in edits {
        match value {
            Some(value) => attributes.insert(name.to_owned(), value),
            None => attributes.remove(name),
        };
    }
    let item = TenantItem::from_attributes(&attributes)
        .map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    match rules::errors(&item).into_iter().next() {
        Some(finding) => Err(CliError::new(ExitStatus::Usage, Message(finding.text))),
        None => Ok(item),
    }
}
