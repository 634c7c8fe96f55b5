//! The settings of the tenant commands: which table, and what a new delivery says.

use mtlog_processor::model::{
    arn::RoleArn,
    ids::{AccountId, BucketName, LogGroupName, Region, TenantId},
    tenant::{
        DEFAULT_BUCKET_PREFIX, DeliveryKind, DesiredLogs, Destination, RETENTION_DAYS, TenantItem,
    },
};

use super::{
    connection::{self, Connection, ConnectionFlags},
    layers::{InvalidSettings, Layers, Problem, Resolver, Setting, Source},
    vars,
};
use crate::{
    deploy::names::{EnvironmentName, ProjectName},
    onboard::{
        handover::role_arn,
        rules::{self, LOG_GROUP_PREFIX},
    },
};

/// The flags that lead to a tenant table.
#[derive(Debug, Clone, Default)]
pub struct TableFlags {
    /// `--table`.
    pub table: Option<String>,
    /// `--project`.
    pub project: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    /// Whom we talk to.
    pub connection: ConnectionFlags,
}

/// Where the tenant table is.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// Whom we talk to.
    pub connection: Connection,
    /// The table's name; none: the regional stack knows it.
    pub table: Option<Setting<String>>,
    /// The project, part of the stack's name.
    pub project: Setting<ProjectName>,
    /// The environment, part of the stack's name.
    pub environment: Setting<EnvironmentName>,
}

/// The flags of a new delivery, as they were typed.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFlags {
    /// The tenant's id.
    pub tenant: String,
    /// `--type`.
    pub kind: Option<String>,
    /// `--role-arn`.
    pub role_arn: Option<String>,
    /// `--customer-account`: the role is the one that the customer template makes.
    pub customer_account: Option<String>,
    /// `--log-group`.
    pub log_group: Option<String>,
    /// `--retention-days`.
    pub retention_days: Option<String>,
    /// `--bucket-name`.
    pub bucket_name: Option<String>,
    /// `--bucket-prefix`.
    pub bucket_prefix: Option<String>,
    /// `--target-region`.
    pub target_region: Option<String>,
    /// `--application`, each.
    pub applications: Vec<String>,
    /// The state that `--disabled` asks for.
    pub enabled: bool,
}

/// Resolves where the table is.
pub fn table(layers: &Layers, flags: &TableFlags) -> Result<TableSettings, InvalidSettings> {
    let mut resolver = layers.resolver();
    let settings = table_with(&mut resolver, layers, flags);
    finish(resolver, settings)
}

/// Resolves where the table is and what is to be written; everything that is wrong is reported at once.
pub fn delivery(
    layers: &Layers,
    table: &TableFlags,
    delivery: &DeliveryFlags,
) -> Result<(TableSettings, TenantItem), InvalidSettings> {
    let mut resolver = layers.resolver();
    let settings = table_with(&mut resolver, layers, table);
    let item = item(&mut resolver, delivery);
    if let Some(item) = &item {
        for finding in rules::errors(item) {
            resolver.problem(Problem::Contradiction(finding.text));
        }
    }
    finish(resolver, settings.zip(item))
}

/// Parses the id and kind that name one delivery.
pub fn named(
    layers: &Layers,
    table: &TableFlags,
    kind: Option<&str>,
) -> Result<(TableSettings, DeliveryKind), InvalidSettings> {
    let mut resolver = layers.resolver();
    let settings = table_with(&mut resolver, layers, table);
    let kind = delivery_kind(&mut resolver, kind);
    finish(resolver, settings.zip(kind))
}

fn finish<T>(resolver: Resolver<'_>, value: Option<T>) -> Result<T, InvalidSettings> {
    resolver.finish()?;
    // A value is left out only together with a problem, and those have been reported above.
    value.ok_or(InvalidSettings { problems: Vec::new() })
}

fn table_with(
    resolver: &mut Resolver<'_>,
    layers: &Layers,
    flags: &TableFlags,
) -> Option<TableSettings> {
    let connection = connection::resolve_with(resolver, layers, &flags.connection);
    let table = resolver.optional::<String>(&vars::TENANT_TABLE, flags.table.as_deref());
    let project = resolver.or_default::<ProjectName>(&vars::PROJECT, flags.project.as_deref());
    let environment =
        resolver.or_default::<EnvironmentName>(&vars::ENVIRONMENT, flags.environment.as_deref());
    Some(TableSettings { connection, table, project: project?, environment: environment? })
}

fn delivery_kind(resolver: &mut Resolver<'_>, text: Option<&str>) -> Option<DeliveryKind> {
    text.map_or(Some(DeliveryKind::CloudWatch), |text| resolver.flag("type", text))
}

fn item(resolver: &mut Resolver<'_>, flags: &DeliveryFlags) -> Option<TenantItem> {
    let tenant = if flags.tenant.is_empty() {
        let remedy = "name it, or answer the questions on a terminal".to_owned();
        resolver.problem(Problem::Missing { what: "the tenant", remedy });
        None
    } else {
        resolver.flag::<TenantId>("tenant", &flags.tenant)
    };
    let target_region = required::<Region>(
        resolver,
        "target-region",
        flags.target_region.as_deref(),
        "the region of the destination",
    );
    let desired_logs = DesiredLogs::new(flags.applications.iter().cloned());
    let destination = delivery_kind(resolver, flags.kind.as_deref()).and_then(|kind| {
        refuse_flags_of_others(resolver, flags, kind);
        match kind {
            DeliveryKind::CloudWatch => cloudwatch(resolver, flags),
            DeliveryKind::S3 => s3(resolver, flags),
        }
    });
    Some(TenantItem {
        tenant: tenant?,
        destination: destination?,
        enabled: flags.enabled,
        target_region: target_region?,
        desired_logs,
        external_id: None,
        status: None,
        created_at: None,
        updated_at: None,
        ttl: None,
    })
}

fn cloudwatch(resolver: &mut Resolver<'_>, flags: &DeliveryFlags) -> Option<Destination> {
    let role = role(resolver, flags);
    let usual = flags.customer_account.as_ref().map(|_| usual_log_group(&flags.tenant));
    let log_group = required::<LogGroupName>(
        resolver,
        "log-group",
        flags.log_group.as_deref().or(usual.as_deref()),
        "the log group",
    );
    let retention_days = match flags.retention_days.as_deref() {
        None | Some("0") => None,
        Some(text) => Some(retention(resolver, text)?),
    };
    Some(Destination::CloudWatch { role: role?, log_group: log_group?, retention_days })
}

/// The customer's role: the one that is named, or the one that the customer template makes in the account.
fn role(resolver: &mut Resolver<'_>, flags: &DeliveryFlags) -> Option<RoleArn> {
    let account = match (&flags.role_arn, &flags.customer_account) {
        (None, Some(account)) => resolver.flag::<AccountId>("customer-account", account)?,
        (named, _) => {
            let what = "the customer's role";
            return required::<RoleArn>(resolver, "role-arn", named.as_deref(), what);
        }
    };
    let region = flags.target_region.as_deref()?.parse::<Region>().ok()?;
    resolver.flag("customer-account", &role_arn(&account, &region, "/"))
}

/// Returns the log group that a tenant has unless somebody says otherwise.
pub fn usual_log_group(tenant: &str) -> String {
    format!("{LOG_GROUP_PREFIX}{tenant}")
}

fn s3(resolver: &mut Resolver<'_>, flags: &DeliveryFlags) -> Option<Destination> {
    let bucket = required::<BucketName>(
        resolver,
        "bucket-name",
        flags.bucket_name.as_deref(),
        "the customer's bucket",
    );
    let given = flags.bucket_prefix.as_deref().filter(|prefix| !prefix.is_empty());
    let prefix = given.unwrap_or(DEFAULT_BUCKET_PREFIX).trim_end_matches('/');
    if prefix.is_empty()
        || prefix.starts_with('/')
        || prefix.contains("//")
        || prefix.chars().any(char::is_control)
    {
        let rule = format!("`{prefix}` is not a key prefix: it looks like {DEFAULT_BUCKET_PREFIX}");
        resolver.problem(Problem::Invalid { source: Source::Flag("bucket-prefix"), rule });
    }
    Some(Destination::S3 { bucket: bucket?, prefix: format!("{prefix}/") })
}

fn retention(resolver: &mut Resolver<'_>, text: &str) -> Option<u16> {
    let days = text.parse().ok().filter(|days| RETENTION_DAYS.contains(days));
    if days.is_none() {
        let choices: Vec<String> = RETENTION_DAYS.iter().map(ToString::to_string).collect();
        let rule =
            format!("`{text}` is not a retention period: it is one of {}", choices.join(", "));
        resolver.problem(Problem::Invalid { source: Source::Flag("retention-days"), rule });
    }
    days
}

fn required<T>(
    resolver: &mut Resolver<'_>,
    flag: &'static str,
    text: Option<&str>,
    what: &'static str,
) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    if let Some(text) = text {
        return resolver.flag(flag, text);
    }
    resolver.problem(Problem::Missing { what, remedy: format!("give --{flag}") });
    None
}

/// A flag that the delivery has no use for is a mistake that must not go unnoticed.
fn refuse_flags_of_others(resolver: &mut Resolver<'_>, flags: &DeliveryFlags, kind: DeliveryKind) {
    let others = match kind {
        DeliveryKind::CloudWatch => {
            vec![
                (flags.bucket_name.is_some(), "bucket-name"),
                (flags.bucket_prefix.is_some(), "bucket-prefix"),
            ]
        }
        DeliveryKind::S3 => vec![
            (flags.role_arn.is_some(), "role-arn"),
            (flags.customer_account.is_some(), "customer-account"),
            (flags.log_group.is_some(), "log-group"),
            (flags.retention_days.is_some(), "retention-days"),
        ],
    };
    for (_, flag) in others.into_iter().filter(|(given, _)| *given) {
        resolver.problem(Problem::Contradiction(format!(
            "--{flag} has no meaning for a {kind} delivery"
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> DeliveryFlags {
        DeliveryFlags {
            tenant: "acme".to_owned(),
            role_arn: Some(
                "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2".to_owned(),
            ),
            log_group: Some("/ROSA/cluster-logs/acme".to_owned()),
            target_region: Some("us-east-2".to_owned()),
            enabled: true,
            ..DeliveryFlags::default()
        }
    }

    fn resolved(flags: &DeliveryFlags) -> Result<TenantItem, String> {
        delivery(&Layers::default(), &TableFlags::default(), flags)
            .map(|(_, item)| item)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_become_an_item() {
        let item =
            resolved(&DeliveryFlags { applications: vec!["api".to_owned()], ..flags() }).unwrap();
        assert_eq!(item.tenant.as_str(), "acme");
        assert_eq!(item.desired_logs.names(), ["api"]);
        assert!(item.enabled);
        let bucket = DeliveryFlags {
            kind: Some("s3".to_owned()),
            role_arn: None,
            log_group: None,
            bucket_name: Some("acme-logs".to_owned()),
            ..flags()
        };
        let destination = resolved(&bucket).unwrap().destination;
        assert!(
            matches!(destination, Destination::S3 { prefix, .. } if prefix == DEFAULT_BUCKET_PREFIX)
        );
    }

    #[test]
    fn an_account_is_enough_to_know_the_role_and_the_log_group() {
        let known = DeliveryFlags {
            role_arn: None,
            log_group: None,
            customer_account: Some("222222222222".to_owned()),
            retention_days: Some("0".to_owned()),
            ..flags()
        };
        assert_eq!(resolved(&known), resolved(&flags()));
        let wrong = DeliveryFlags { customer_account: Some("2".to_owned()), ..known };
        assert!(resolved(&wrong).unwrap_err().contains("--customer-account: `2`"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong = DeliveryFlags {
            tenant: "Acme".to_owned(),
            role_arn: Some("arn:aws:iam::2:role/x".to_owned()),
            log_group: None,
            retention_days: Some("31".to_owned()),
            target_region: Some("east".to_owned()),
            bucket_name: Some("b".to_owned()),
            ..flags()
        };
        let text = resolved(&wrong).unwrap_err();
        for part in [
            "--tenant: `Acme`",
            "--role-arn",
            "give --log-group",
            "`31`",
            "--target-region",
            "--bucket-name has no meaning",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_role_that_cannot_be_assumed_is_refused() {
        let role = Some("arn:aws:iam::222222222222:role/Other".to_owned());
        let text = resolved(&DeliveryFlags { role_arn: role, ..flags() }).unwrap_err();
        assert!(text.contains("CustomerLogDistribution-*"), "{text}");
    }
}
