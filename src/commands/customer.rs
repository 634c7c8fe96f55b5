//! `mtlog customer`: the customer's own view, with the customer's own credentials.

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use jiff::Timestamp;
use mtlog_processor::model::{arn::RoleArn, ids::Region};
use serde::Serialize;

use super::{
    Context,
    target::{self, Opened},
    tenant::verify::lines,
};
use crate::{
    aws::{
        fault::{Fault, FaultClass},
        logs::{LogGroup, Logs},
    },
    cli::FleetConnectionArgs,
    config::deploy::DeployFlags,
    deploy::{stack::Stack, status::Standing, target::Target},
    error::{CliError, ExitStatus},
    onboard::{
        rules::LOG_GROUP_PREFIX,
        trust,
        verify::{self, Check, CheckName, Verdict},
    },
    ui::{Report, style::Palette, table::Table},
};

const ROLE_OUTPUT: &str = "CustomerLogDistributionRoleArn";

/// Look at what the logging service has in this account: for its customers
#[derive(Debug, Args)]
pub struct CustomerArgs {
    #[command(subcommand)]
    command: CustomerCommand,
}

#[derive(Debug, Subcommand)]
enum CustomerCommand {
    /// Check the role, whom it lets in, and what arrived
    Check(CheckArgs),
}

/// Check the role, whom it lets in, and what arrived
///
/// Works with the customer's own credentials and only reads. Ends with exit status 6 if a check failed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mtlog customer check -r us-east-2,us-west-2")]
struct CheckArgs {
    /// Name of the logging service [env: PROJECT_NAME] [default: multi-tenant-logging]
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// A name for the stack other than the usual one
    #[arg(long, short = 's', value_name = "NAME")]
    stack_name: Option<String>,
    #[command(flatten)]
    connection: FleetConnectionArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
struct View {
    checked_at: String,
    account: String,
    passed: bool,
    regions: Vec<RegionView>,
}

#[derive(Debug, Serialize)]
struct RegionView {
    region: String,
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    checks: Vec<Check>,
    log_groups: Vec<GroupView>,
}

#[derive(Debug, Serialize)]
struct GroupView {
    log_group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u16>,
    /// As of some hours ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    /// The time of the newest event, as far as AWS has noticed; late by up to an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_at: Option<String>,
}

impl Report for View {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        let mut text = String::new();
        for view in &self.regions {
            let title = format!("{}, stack {}", view.region, view.stack);
            text += &format!("{}\n{}", palette.strong(&title), lines(&view.checks, palette));
            let mut table = Table::new(["LOG GROUP", "KEPT", "BYTES", "LAST EVENT"]);
            for group in &view.log_groups {
                table.row([
                    group.log_group.clone(),
                    group
                        .retention_days
                        .map_or_else(|| "for ever".to_owned(), |days| format!("{days} days")),
                    group.stored_bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
                    group.last_event_at.clone().unwrap_or_else(|| "-".to_owned()),
                ]);
            }
            if !view.log_groups.is_empty() {
                text += &table.render(palette);
            }
        }
        text
    }
}

/// Runs `mtlog customer`.
pub async fn run(context: &Context<'_>, args: &CustomerArgs) -> Result<ExitStatus, CliError> {
    let CustomerCommand::Check(args) = &args.command;
    let flags = DeployFlags {
        targets: vec![Target::Customer.to_string()],
        project: args.project.clone(),
        stack_name: args.stack_name.clone(),
        connection: args.connection.flags(),
        ..DeployFlags::default()
    };
    let opened = target::open_at_rate(context, &flags, args.connection.max_api_rate()).await?;
    let account = opened.place.account.to_string();
    let regions = opened.regions();
    let looks = regions.iter().map(|region| look(&opened, region));
    let regions: Vec<RegionView> = join_all(looks).await.into_iter().collect::<Result<_, _>>()?;
    let passed = regions.iter().all(|view| verify::gravest(&view.checks) != Verdict::Failed);
    let checked_at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    context.ui.emit(&View { checked_at, account, passed, regions })?;
    Ok(if passed { ExitStatus::Success } else { ExitStatus::Preflight })
}

async fn look(opened: &Opened, region: &Region) -> Result<RegionView, CliError> {
    let here = opened.in_region(region);
    let client = here.session.cloudformation();
    let (name, presence) = here.stack(&client, Target::Customer).await?;
    let mut view = RegionView {
        region: region.to_string(),
        stack: name.to_string(),
        role_arn: None,
        checks: Vec::new(),
        log_groups: Vec::new(),
    };
    let Some(stack) = presence.stack() else {
        view.checks.push(
            Check::new(
                CheckName::Stack,
                Verdict::Failed,
                "it does not exist: nothing can be delivered",
            )
            .fix("deploy it with the values that the logging service handed to you")
            .next(format!("mtlog deploy customer -r {region} --central-role-arn ARN")),
        );
        return Ok(view);
    };
    view.checks.push(stack_check(stack));
    let output = stack.outputs.get(ROLE_OUTPUT).and_then(|arn| arn.parse::<RoleArn>().ok());
    let Some(role) = output else {
        view.checks.push(Check::new(
            CheckName::Trust,
            Verdict::Skipped,
            "the stack does not name its role",
        ));
        return Ok(view);
    };
    view.role_arn = Some(role.to_string());
    let central =
        stack.parameters.get("CentralLogDistributionRoleArn").cloned().unwrap_or_default();
    view.checks.push(match here.session.iam().trust_policy(&role).await {
        Ok(Some(policy)) => trust::judge(&policy, &central),
        Ok(None) => {
            Check::new(CheckName::Trust, Verdict::Failed, format!("role {role} was deleted"))
                .fix("delete the stack and deploy it again")
        }
        Err(fault) => unclear(CheckName::Trust, &fault),
    });
    let prefix = stack.parameters.get("LogGroupPrefix").map_or(LOG_GROUP_PREFIX, String::as_str);
    match groups(&here.session.logs(), prefix).await {
        Ok(groups) => {
            view.checks.push(arrivals(prefix, &groups));
            view.log_groups = groups;
        }
        Err(fault) => view.checks.push(unclear(CheckName::LogGroup, &fault)),
    }
    Ok(view)
}

fn stack_check(stack: &Stack) -> Check {
    let text = stack.status.to_string();
    match stack.status.standing() {
        Standing::Done => Check::new(CheckName::Stack, Verdict::Passed, text),
        Standing::Running | Standing::RolledBack => {
            Check::new(CheckName::Stack, Verdict::Warning, text).next("mtlog diagnose customer")
        }
        Standing::Stuck | Standing::Gone | Standing::Reviewing => {
            Check::new(CheckName::Stack, Verdict::Failed, text).next("mtlog diagnose customer")
        }
    }
}

fn unclear(check: CheckName, fault: &Fault) -> Check {
    let made = Check::new(check, Verdict::Inconclusive, fault.to_string());
    if fault.class() == FaultClass::Denied {
        made.fix(format!("the identity in use needs `{}`", fault.permission()))
    } else {
        made
    }
}

async fn groups(logs: &Logs, prefix: &str) -> Result<Vec<GroupView>, Fault> {
    let mut views = Vec::new();
    for LogGroup { name, retention_days, stored_bytes } in logs.groups(prefix).await? {
        let last = logs.last_event(&name).await?;
        let last_event_at = last.and_then(|event| {
            let time = Timestamp::from_millisecond(event.time_ms).ok()?;
            Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        });
        views.push(GroupView { log_group: name, retention_days, stored_bytes, last_event_at });
    }
    Ok(views)
}

fn arrivals(prefix: &str, groups: &[GroupView]) -> Check {
    let newest = groups.iter().filter_map(|group| group.last_event_at.as_deref()).max();
    match (groups.len(), newest) {
        (0, _) => Check::new(
            CheckName::LogGroup,
            Verdict::Warning,
            format!("there is no log group below {prefix} yet: nothing was delivered here so far"),
        ),
        (_, None) => Check::new(
            CheckName::LogGroup,
            Verdict::Warning,
            format!("nothing arrived below {prefix} so far"),
        ),
        (count, Some(newest)) => Check::new(
            CheckName::LogGroup,
            Verdict::Passed,
            format!("{count} below {prefix}; the newest event is of {newest}"),
        ),
    }
}
