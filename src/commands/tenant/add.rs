//! `mtlog tenant add`: a new delivery. Nothing that exists is overwritten.

use clap::Args;
use mtlog_processor::model::tenant::DeliveryKind;
use serde::Serialize;

use super::{DeliveryView, Opened, TableArgs, new_external_id, now, open, table_error};
use crate::{
    cli::ConsentArgs,
    commands::Context,
    config::tenant::{self, DeliveryFlags},
    error::{CliError, ExitStatus, Message},
    onboard::rules,
    ui::{Report, table::Table},
};

/// Onboard a tenant, or add a delivery to one
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mtlog tenant add acme --role-arn arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2 \\\n    --log-group /ROSA/cluster-logs/acme --target-region us-east-2 --application kube-apiserver"
)]
pub(super) struct AddArgs {
    /// The tenant: the namespace that its logs come from
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Where to: cloudwatch or s3
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The customer's role, output CustomerLogDistributionRoleArn of the customer's stack
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// The log group in the customer's account; made when it is missing
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,
    /// Retention of a log group that is made, in days; without it logs never expire
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<String>,
    /// The customer's bucket
    #[arg(long, value_name = "NAME")]
    bucket_name: Option<String>,
    /// Where in the bucket
    #[arg(long, value_name = "PREFIX")]
    bucket_prefix: Option<String>,
    /// The region of the log group or bucket
    #[arg(long, value_name = "REGION")]
    target_region: Option<String>,
    /// Only this application's logs; may be given several times
    #[arg(long = "application", short = 'a', value_name = "NAME")]
    applications: Vec<String>,
    /// Make an ExternalId of the tenant's own and print it, once
    #[arg(long)]
    generate_external_id: bool,
    /// Write the delivery switched off
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Debug, Serialize)]
struct Added {
    table: String,
    delivery: DeliveryView,
    /// Shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
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
}

/// Runs `mtlog tenant add`.
pub(super) async fn run(context: &Context<'_>, args: AddArgs) -> Result<ExitStatus, CliError> {
    let flags = DeliveryFlags {
        tenant: args.tenant,
        kind: args.kind,
        role_arn: args.role_arn,
        log_group: args.log_group,
        retention_days: args.retention_days,
        bucket_name: args.bucket_name,
        bucket_prefix: args.bucket_prefix,
        target_region: args.target_region,
        applications: args.applications,
        enabled: !args.disabled,
    };
    let (settings, mut item) = tenant::delivery(&context.layers, &args.table.flags(), &flags)?;
    for finding in rules::warnings(&item) {
        context.ui.warning(&format!("{}.", finding.text));
    }
    if args.generate_external_id {
        if item.destination.kind() == DeliveryKind::S3 {
            let text = "--generate-external-id has no meaning for an s3 delivery: no role of the customer is assumed";
            return Err(CliError::new(ExitStatus::Usage, Message(text.to_owned())));
        }
        item.external_id = Some(new_external_id()?);
    }
    let created = now();
    item.created_at = Some(created.clone());
    item.updated_at = Some(created);
    let Opened { table, identity, region } = open(&settings).await?;
    let question = format!(
        "Write the {} delivery of tenant {} to table {} in {region}, account {}?",
        item.destination.kind(),
        item.tenant,
        table.name(),
        identity.account
    );
    let _consent = context.ui.agree(&question, &args.consent.answers())?;
    table.add(&item).await.map_err(|error| table_error(error, &region))?;
    context.ui.status(&format!(
        "Tenant {} was written to table {} in {region}, account {}.",
        item.tenant,
        table.name(),
        identity.account
    ));
    context.ui.emit(&Added {
        table: table.name().to_owned(),
        delivery: DeliveryView::of(&item),
        external_id: item.external_id.as_ref().map(|id| id.reveal().to_string()),
    })?;
    Ok(ExitStatus::Success)
}
