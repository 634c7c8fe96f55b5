//! `mtlog tenant`: who gets which logs, and where.

mod add;
mod customer_side;
mod delivery;
mod export;
mod import;
mod interview;
mod link;
mod list;
mod pipeline;
mod remove;
mod set;
mod switch;
pub(super) mod verify;
mod wait;

use clap::{Args, Subcommand};
use mtlog_processor::model::{
    ids::{ExternalId, Region},
    secret::Secret,
    tenant::{DeliveryKind, Destination, TenantItem},
};
use serde::Serialize;

use super::{Context, identity};
use crate::{
    aws::{session::Session, sts::Identity},
    cli::ConnectionArgs,
    config::tenant::{TableFlags, TableSettings},
    deploy::{
        stack::{Presence, StackName},
        target::{Naming, Target, stack_name},
    },
    error::{CliError, ExitStatus, Message},
    onboard::{
        difference::FieldChange,
        external_id,
        table::{Entry, TableError, TenantTable},
    },
    ui::table::Table,
};

/// The output of the regional stack that names the table.
const TABLE_OUTPUT: &str = "TenantConfigTableName";

/// Keep tenants: who gets which logs, and where
#[derive(Debug, Args)]
pub struct TenantArgs {
    #[command(subcommand)]
    command: TenantCommand,
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Onboard a tenant, or add a delivery to one
    Add(Box<add::AddArgs>),
    /// List all deliveries
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one tenant's deliveries in full
    Show(list::ShowArgs),
    /// Change a delivery
    Set(Box<set::SetArgs>),
    /// Switch a delivery on
    Enable(switch::SwitchArgs),
    /// Switch a delivery off; its logs are then skipped
    Disable(switch::SwitchArgs),
    /// Delete a delivery
    #[command(visible_alias = "rm")]
    Remove(remove::RemoveArgs),
    /// Print what a customer needs: links, commands, a note to send
    Link(Box<link::LinkArgs>),
    /// Wait until the customer's role lets us in, then verify and switch on
    Wait(Box<wait::WaitArgs>),
    /// Try deliveries: the role, who is let in, the destination, one event of our own
    Verify(Box<verify::VerifyArgs>),
    /// Print all deliveries as a file that `tenant import` reads
    Export(export::ExportArgs),
    /// Make the table say what a file says
    Import(import::ImportArgs),
}

/// Which table.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Table")]
struct TableArgs {
    /// The tenant table; found through the regional stack when absent [env: `TENANT_CONFIG_TABLE`]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Name of the pipeline [env: `PROJECT_NAME`] [default: multi-tenant-logging]
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// development, staging or production [env: ENVIRONMENT] [default: development]
    #[arg(long, short = 'e', value_name = "NAME")]
    environment: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl TableArgs {
    fn flags(&self) -> TableFlags {
        TableFlags {
            table: self.table.clone(),
            project: self.project.clone(),
            environment: self.environment.clone(),
            connection: self.connection.flags(),
        }
    }
}

/// Runs `mtlog tenant`.
pub async fn run(context: &Context<'_>, args: TenantArgs) -> Result<ExitStatus, CliError> {
    match args.command {
        TenantCommand::Add(args) => Box::pin(add::run(context, *args)).await,
        TenantCommand::List(args) => list::list(context, &args).await,
        TenantCommand::Show(args) => list::show(context, &args).await,
        TenantCommand::Set(args) => set::run(context, &args).await,
        TenantCommand::Enable(args) => switch::run(context, &args, switch::To::On).await,
        TenantCommand::Disable(args) => switch::run(context, &args, switch::To::Off).await,
        TenantCommand::Remove(args) => remove::run(context, &args).await,
        TenantCommand::Link(args) => Box::pin(link::run(context, &args)).await,
        TenantCommand::Wait(args) => Box::pin(wait::run(context, &args)).await,
        TenantCommand::Verify(args) => Box::pin(verify::run(context, &args)).await,
        TenantCommand::Export(args) => export::run(context, &args).await,
        TenantCommand::Import(args) => import::run(context, &args).await,
    }
}

/// An open tenant table, and who we are in its account.
struct Opened {
    session: Session,
    table: TenantTable,
    identity: Identity,
    region: Region,
}

/// Finds and opens the table.
async fn open(settings: &TableSettings) -> Result<Opened, CliError> {
    let session = Session::open(&settings.connection.session).await;
    let Some(region) = session.region() else {
        return Err(CliError::new(
            ExitStatus::Usage,
            Message("the region of the tenant table is missing".to_owned()),
        )
        .hint("give --region or set AWS_REGION"));
    };
    let region: Region = region.parse().map_err(|error| CliError::new(ExitStatus::Usage, error))?;
    let identity = identity::checked(&session, &settings.connection).await?;
    let name = match &settings.table {
        Some(setting) => setting.value.clone(),
        None => table_of_stack(&session, settings, &region).await?,
    };
    let table = TenantTable::open(session.dynamodb(), &name)
        .await
        .map_err(|error| table_error(error, &region))?;
    Ok(Opened { session, table, identity, region })
}

async fn table_of_stack(
    session: &Session,
    settings: &TableSettings,
    region: &Region,
) -> Result<String, CliError> {
    let usage = |error| CliError::new(ExitStatus::Usage, error);
    let naming = Naming {
        project: settings.project.value.as_str(),
        environment: settings.environment.value.as_str(),
        region,
        cluster: None,
    };
    let stack: StackName = stack_name(Target::Regional, naming).map_err(usage)?;
    let presence = session
        .cloudformation()
        .presence(stack.as_str())
        .await
        .map_err(|fault| CliError::aws(format!("failed to read stack `{stack}`"), fault))?;
    let missing = |what: &str| {
        CliError::new(ExitStatus::Preflight, Message(format!("{what} `{stack}` in {region}")))
            .hint("give --table, or the --project, --environment and --region of a deployed stack")
            .next(format!("mtlog deploy regional -e {} -r {region}", settings.environment.value))
    };
    match presence {
        Presence::Absent => Err(missing("the tenant table is not known: there is no stack")),
        Presence::Present(found) => found
            .outputs
            .get(TABLE_OUTPUT)
            .cloned()
            .ok_or_else(|| missing(&format!("there is no output {TABLE_OUTPUT} in stack"))),
    }
}

/// Gives a failure at the table its exit status and advice.
pub(super) fn table_error(
    error: TableError,
    region: &(impl std::fmt::Display + ?Sized),
) -> CliError {
    match error {
        TableError::Call { action, table, source } => {
            CliError::aws(format!("failed to {action} table `{table}` in {region}"), source)
        }
        TableError::Missing { .. } => CliError::new(ExitStatus::Preflight, error).hint(format!(
            "the region is {region}; give another one with --region, or the table with --table"
        )),
        TableError::Predecessor { ref table, .. } => {
            let next = format!("mtlog tenant import --from-table {table}");
            CliError::new(ExitStatus::Preflight, error)
                .hint("deploy the regional stack with mtlog: it makes a table of its own next to the old one")
                .next(next)
        }
        TableError::Foreign { .. } | TableError::NoPredecessor { .. } => {
            CliError::new(ExitStatus::Preflight, error)
        }
        TableError::Exists { ref tenant, .. } => {
            let next = format!("mtlog tenant show {tenant}");
            CliError::new(ExitStatus::Conflict, error).next(next)
        }
        TableError::Moved { ref tenant, .. } => {
            let next = format!("mtlog tenant show {tenant}");
            CliError::new(ExitStatus::Conflict, error).next(next)
        }
        TableError::Absent { .. } => {
            CliError::new(ExitStatus::Preflight, error).next("mtlog tenant list")
        }
    }
}

/// One delivery, as JSON shows it. The external id is never in it.
#[derive(Debug, Serialize)]
struct DeliveryView {
    tenant_id: String,
    r#type: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_distribution_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_retention_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_prefix: Option<String>,
    /// Empty: all applications.
    desired_logs: Vec<String>,
    /// `own`, or `account`: the central account's id.
    external_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// What is wrong: the engine does not use this item.
    problems: Vec<String>,
    /// What is odd.
    notes: Vec<String>,
}

impl DeliveryView {
    /// An item of which only the key is known.
    fn unreadable(tenant: &str, kind: &str) -> Self {
        Self {
            tenant_id: tenant.to_owned(),
            r#type: kind.to_owned(),
            enabled: false,
            target_region: None,
            log_distribution_role_arn: None,
            log_group_name: None,
            log_retention_days: None,
            bucket_name: None,
            bucket_prefix: None,
            desired_logs: Vec::new(),
            external_id: "account",
            status: None,
            created_at: None,
            updated_at: None,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn of(item: &TenantItem) -> Self {
        let mut view = Self {
            enabled: item.enabled,
            target_region: Some(item.target_region.to_string()),
            desired_logs: item.desired_logs.names().to_vec(),
            external_id: if item.external_id.is_some() { "own" } else { "account" },
            status: item.status.clone(),
            created_at: item.created_at.clone(),
            updated_at: item.updated_at.clone(),
            ..Self::unreadable(item.tenant.as_str(), item.destination.kind().as_str())
        };
        match &item.destination {
            Destination::CloudWatch { role, log_group, retention_days } => {
                view.log_distribution_role_arn = Some(role.to_string());
                view.log_group_name = Some(log_group.to_string());
                view.log_retention_days = *retention_days;
            }
            Destination::S3 { bucket, prefix } => {
                view.bucket_name = Some(bucket.to_string());
                view.bucket_prefix = Some(prefix.clone());
            }
        }
        view
    }

    /// Where the logs go, in one cell.
    fn destination(&self) -> String {
        match (&self.log_group_name, &self.bucket_name) {
            (Some(log_group), _) => log_group.clone(),
            (None, Some(bucket)) => {
                format!("s3://{bucket}/{}", self.bucket_prefix.as_deref().unwrap_or_default())
            }
            (None, None) => "-".to_owned(),
        }
    }

    fn applications(&self) -> String {
        if self.desired_logs.is_empty() { "all".to_owned() } else { self.desired_logs.join(", ") }
    }

    fn state(&self) -> &'static str {
        match (self.problems.is_empty(), self.enabled) {
            (false, _) => "broken",
            (true, true) => "on",
            (true, false) => "off",
        }
    }

    /// Name and value of everything that is known, for a table.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("tenant", self.tenant_id.clone()),
            ("type", self.r#type.clone()),
            ("state", self.state().to_owned()),
        ];
        let optional = [
            ("target region", &self.target_region),
            ("role", &self.log_distribution_role_arn),
            ("log group", &self.log_group_name),
            ("bucket", &self.bucket_name),
            ("bucket prefix", &self.bucket_prefix),
            ("status", &self.status),
            ("created", &self.created_at),
            ("updated", &self.updated_at),
        ];
        rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        rows.extend(self.log_retention_days.map(|days| ("retention", format!("{days} days"))));
        rows.push(("applications", self.applications()));
        let external_id =
            if self.external_id == "own" { "its own" } else { "the central account's id" };
        rows.push(("external id", external_id.to_owned()));
        rows.extend(self.problems.iter().map(|problem| ("problem", problem.clone())));
        rows.extend(self.notes.iter().map(|note| ("note", note.clone())));
        rows
    }
}

/// Shows what changes in one delivery.
fn change_table(title: &str, changes: &[FieldChange]) -> Table {
    let mut table =
        Table::new(["ATTRIBUTE", "OLD", "NEW"]).or_say("All of that is so already.".to_owned());
    if !title.is_empty() {
        table = table.titled(title);
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    for change in changes {
        table.row([change.name.clone(), value(&change.before), value(&change.after)]);
    }
    table
}

/// Reads one delivery of a tenant.
async fn single(opened: &Opened, tenant: &str, kind: DeliveryKind) -> Result<Entry, TableError> {
    let entries = opened.table.entries_of(tenant).await?;
    let found = entries.into_iter().find(|entry| entry.kind == kind.as_str());
    found.ok_or_else(|| TableError::Absent { tenant: tenant.to_owned(), kind })
}

fn new_external_id() -> Result<Secret<ExternalId>, CliError> {
    external_id::from_random(random()?)
        .map_err(|error| CliError::new(ExitStatus::Unexpected, error))
}

/// Returns 128 random bits as hexadecimal digits.
fn random_hex() -> Result<String, CliError> {
    Ok(random()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random() -> Result<[u8; 16], CliError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| CliError::new(ExitStatus::Unexpected, error))?;
    Ok(random)
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
