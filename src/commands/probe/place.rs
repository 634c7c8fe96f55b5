//! Where heartbeats are sent, and where they arrive.

use std::collections::BTreeSet;

use mtlog_processor::model::{
    ids::{BucketName, LogGroupName, LogStreamName, TenantId},
    tenant::Destination,
};

use super::ProbeArgs;
use crate::{
    aws::{
        heartbeat::Arrivals,
        s3::S3,
        session::{Profile, Session},
    },
    commands::{
        Context,
        dlq::queues::{self, Queues},
    },
    config::vars::{self, Variable},
    deploy::target::Target,
    error::{CliError, ExitStatus, Message},
    onboard::table::TenantTable,
    probe::APPLICATION,
};

/// Both ends of the pipeline.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) queues: Queues,
    pub(super) s3: S3,
    pub(super) bucket: BucketName,
    pub(super) tenant: TenantId,
    pub(super) group: LogGroupName,
    pub(super) arrivals: Arrivals,
    /// Names the heartbeats of this run.
    pub(super) run: String,
    /// Objects that have not arrived.
    pub(super) pending: BTreeSet<String>,
    /// Streams that have heartbeats of this run.
    pub(super) streams: Vec<LogStreamName>,
}

/// Finds both ends and makes sure that the heartbeat can arrive.
pub(super) async fn find(context: &Context<'_>, args: &ProbeArgs) -> Result<Place, CliError> {
    let queues = queues::find(context, &args.stack).await?;
    let opened = &queues.opened;
    let named = queues.named;
    let variable =
        |variable: &Variable| Some(context.layers.lookup(variable, None).filter(|_| !named)?.value);
    let (mut bucket, mut table) = (variable(&vars::SOURCE_BUCKET), variable(&vars::TENANT_TABLE));
    if bucket.is_none() || table.is_none() {
        let client = opened.session.cloudformation();
        let stack = opened.existing(&client, Target::Regional).await?;
        bucket = bucket.or_else(|| stack.outputs.get("CentralLoggingBucketName").cloned());
        table = table.or_else(|| stack.outputs.get("TenantConfigTableName").cloned());
    }
    let (Some(bucket), Some(table)) = (bucket, table) else {
        let text = "the bucket or the tenant table is not known".to_owned();
        return Err(CliError::new(ExitStatus::Preflight, Message(text)).next("mtlog config show"));
    };
    let bucket: BucketName =
        bucket.parse().map_err(|error| CliError::new(ExitStatus::Preflight, error))?;
    let (group, region, account) = destination(context, args, &queues, &table).await?;
    let session = match &args.read_profile {
        Some(name) => {
            let mut settings = opened.settings.connection.session.clone();
            settings.profile = Some(Profile::Demanded(name.clone()));
            settings.keys = None;
            Session::open(&settings).await
        }
        None if account == opened.place.account.as_str() => opened.session.clone(),
        None => {
            let text = format!(
                "the log group of tenant `{}` is in account {account}, and this is account {}",
                args.tenant, opened.place.account
            );
            return Err(CliError::new(ExitStatus::Preflight, Message(text)).hint(
                "name a profile that may read it with --read-profile, or keep a tenant for heartbeats with a log \
                 group in this account",
            ));
        }
    };
    let arrivals = Arrivals::new(&session.in_region(&region));
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    Ok(Place {
        s3: opened.session.s3(),
        bucket,
        tenant: args.tenant.clone(),
        group,
        arrivals,
        run: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        pending: BTreeSet::new(),
        streams: Vec::new(),
        queues,
    })
}

/// Returns the tenant's log group, its region and its account.
async fn destination(
    context: &Context<'_>,
    args: &ProbeArgs,
    queues: &Queues,
    table: &str,
) -> Result<(LogGroupName, mtlog_processor::model::ids::Region, String), CliError> {
    let tenant = &args.tenant;
    let region = queues.opened.place.region.as_str();
    let failed = |error| crate::commands::tenant::table_error(error, region);
    let table = TenantTable::open(queues.opened.session.dynamodb(), table).await.map_err(failed)?;
    let entries = table.entries_of(tenant.as_str()).await.map_err(failed)?;
    let flags = queues.opened.typed_flags();
    let refuse = |text: String| CliError::new(ExitStatus::Preflight, Message(text));
    let add = format!(
        "mtlog tenant add {tenant} --role-arn ARN --log-group /ROSA/cluster-logs/{tenant} --target-region {region}{flags}"
    );
    let mut found = None;
    for entry in entries {
        let Ok(item) = entry.item else {
            let text = format!("the {} entry of tenant `{tenant}` cannot be used", entry.kind);
            context.ui.warning(&format!("{text}; `mtlog tenant show {tenant}` says why."));
            continue;
        };
        if let Destination::CloudWatch { role, log_group, .. } = &item.destination {
            found = Some((item.clone(), log_group.clone(), role.account().to_string()));
        }
    }
    let Some((item, group, account)) = found else {
        let text = format!("tenant `{tenant}` has no delivery to CloudWatch Logs");
        return Err(refuse(text).next(add));
    };
    if !item.enabled {
        let text =
            format!("the delivery of tenant `{tenant}` is switched off: nothing would arrive");
        return Err(refuse(text).next(format!("mtlog tenant enable {tenant}{flags}")));
    }
    if !item.desired_logs.wants(APPLICATION) {
        let text = format!("tenant `{tenant}` does not want the application `{APPLICATION}`");
        return Err(refuse(text)
            .hint("probe another tenant, or add the application to those that the tenant wants"));
    }
    Ok((group, item.target_region, account))
}

impl Place {
    /// Returns the flags that another command about the same stack needs.
    pub(super) fn flags(&self) -> String {
        self.queues.opened.typed_flags()
    }

    /// Deletes what heartbeats left. What cannot be deleted is named.
    pub(super) async fn clean(&self, context: &Context<'_>) {
        for stream in &self.streams {
            if let Err(fault) = self.arrivals.delete_stream(&self.group, stream).await {
                context.ui.warning(&format!(
                    "The log stream {stream} in {} stays (deleting it needs `{}`).",
                    self.group,
                    fault.permission()
                ));
            }
        }
        for key in &self.pending {
            // Deleting it now would make a dead letter of it: the engine may read it any time.
            context.ui.warning(&format!(
                "The object s3://{}/{key} stays until the bucket deletes it: it has not arrived.",
                self.bucket
            ));
        }
    }
}
