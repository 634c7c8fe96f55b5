//! The tenant table's items: one delivery of one tenant each.
//!
//! The command line writes them and the engine reads them; both go through
//! [`TenantItem`]. [`Attribute`] stands between this module and the DynamoDB SDK.

use std::{collections::BTreeMap, fmt, str::FromStr};

use thiserror::Error;

use super::{
    arn::RoleArn,
    ids::{BucketName, ExternalId, InvalidId, LogGroupName, Region, TenantId},
    secret::Secret,
};

/// The name of the table's partition key.
pub const PARTITION_KEY: &str = "tenant_id";
/// The name of the table's sort key.
pub const SORT_KEY: &str = "type";
/// Where a tenant's S3 delivery goes unless its item says otherwise.
pub const DEFAULT_BUCKET_PREFIX: &str = "ROSA/cluster-logs/";
/// The retention periods that CloudWatch Logs takes, in days (`PutRetentionPolicy` in the API model).
pub const RETENTION_DAYS: [u16; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// A DynamoDB attribute value, as far as a tenant item can hold one.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// `S`.
    String(String),
    /// `N`, in DynamoDB's own text form.
    Number(String),
    /// `BOOL`.
    Bool(bool),
    /// `L`.
    List(Vec<Attribute>),
    /// `SS`.
    StringSet(Vec<String>),
    /// Any other type, by its DynamoDB name (`M`, `B`, `NULL`, …).
    Other(&'static str),
}

/// An item's attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// What a delivery's sort key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryKind {
    /// To a log group in the customer's account.
    CloudWatch,
    /// To a bucket of the customer's.
    S3,
}

impl DeliveryKind {
    /// Returns the sort key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            Self::S3 => "s3",
        }
    }
}

impl FromStr for DeliveryKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "cloudwatch" => Ok(Self::CloudWatch),
            "s3" => Ok(Self::S3),
            _ => Err(InvalidId::new(text, "a delivery type", "it is cloudwatch or s3")),
        }
    }
}

impl fmt::Display for DeliveryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a tenant's logs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A log group in the customer's account, reached through the customer's role.
    CloudWatch {
        /// The customer's role.
        role: RoleArn,
        /// The log group; created when it is missing.
        log_group: LogGroupName,
        /// Retention for a log group that the engine creates, in days; none: never expires.
        retention_days: Option<u16>,
    },
    /// A bucket of the customer's, reached with the central role.
    S3 {
        /// The bucket.
        bucket: BucketName,
        /// A key prefix that ends in `/`.
        prefix: String,
    },
}

impl Destination {
    /// Returns the sort key's value for this destination.
    pub const fn kind(&self) -> DeliveryKind {
        match self {
            Self::CloudWatch { .. } => DeliveryKind::CloudWatch,
            Self::S3 { .. } => DeliveryKind::S3,
        }
    }
}

/// The applications that a tenant wants: all, or those named, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredLogs(Vec<String>);

impl DesiredLogs {
    /// Wants the applications in `names`; an empty list wants all.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
        )
    }

    /// Whether logs of `application` are wanted.
    pub fn wants(&self, application: &str) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|name| name.to_lowercase() == application.to_lowercase())
    }

    /// Returns the names; empty means all.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// One delivery of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantItem {
    /// The tenant.
    pub tenant: TenantId,
    /// Where its logs go.
    pub destination: Destination,
    /// Whether the delivery is switched on. A missing attribute reads as off and is reported.
    pub enabled: bool,
    /// The region of the log group or bucket.
    pub target_region: Region,
    /// Which applications are wanted.
    pub desired_logs: DesiredLogs,
    /// The tenant's own external id; none: the central account's id.
    pub external_id: Option<Secret<ExternalId>>,
    /// Onboarding state, free text of the command line's (`pending`, `active`).
    pub status: Option<String>,
    /// When the item was written first, RFC 3339.
    pub created_at: Option<String>,
    /// When the item was written last, RFC 3339.
    pub updated_at: Option<String>,
    /// When DynamoDB may delete the item, seconds since the epoch.
    pub ttl: Option<u64>,
}

/// What is wrong with one attribute of an item.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// A required attribute is not there.
    #[error("attribute `{name}` is missing")]
    Missing {
        /// The attribute.
        name: &'static str,
    },
    /// The attribute has a type that cannot be read.
    #[error("attribute `{name}` has the wrong type: it must be {expected}")]
    Type {
        /// The attribute.
        name: &'static str,
        /// The DynamoDB types that are read.
        expected: &'static str,
    },
    /// The attribute's value breaks its rule.
    #[error("attribute `{name}`: {problem}")]
    Value {
        /// The attribute.
        name: &'static str,
        /// What is wrong, with the rule.
        problem: InvalidId,
    },
}

/// An item that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the item has {} bad attribute(s): {}", problems.len(), join(problems))]
pub struct InvalidItem {
    /// Every problem found.
    pub problems: Vec<AttributeError>,
}

fn join(problems: &[AttributeError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl TenantItem {
    /// Reads an item. All problems are reported together.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, InvalidItem> {
        let mut reader = Reader { attributes, problems: Vec::new() };
        let tenant = reader.required::<TenantId>(PARTITION_KEY);
        let kind = reader.required::<DeliveryKind>(SORT_KEY);
        let destination = kind.and_then(|kind| reader.destination(kind));
        let target_region = reader.required::<Region>("target_region");
        let enabled = reader.enabled();
        let desired_logs = reader.desired_logs();
        let external_id = reader.optional::<ExternalId>("external_id").map(Secret::new);
        let status = reader.text("status").map(str::to_owned);
        let created_at = reader.text("created_at").map(str::to_owned);
        let updated_at = reader.text("updated_at").map(str::to_owned);
        let ttl = reader.number::<u64>("ttl");
        match (tenant, destination, target_region, reader.problems) {
            (Some(tenant), Some(destination), Some(target_region), problems)
                if problems.is_empty() =>
            {
                Ok(Self {
                    tenant,
                    destination,
                    enabled,
                    target_region,
                    desired_logs,
                    external_id,
                    status,
                    created_at,
                    updated_at,
                    ttl,
                })
            }
            (_, _, _, problems) => Err(InvalidItem { problems }),
        }
    }

    /// Writes the item: `enabled` always, `desired_logs` as a list, absent values not at all.
    pub fn to_attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        let mut put = |name: &str, value: Attribute| attributes.insert(name.to_owned(), value);
        let text = |value: &dyn fmt::Display| Attribute::String(value.to_string());
        put(PARTITION_KEY, text(&self.tenant));
        put(SORT_KEY, text(&self.destination.kind()));
        put("enabled", Attribute::Bool(self.enabled));
        put("target_region", text(&self.target_region));
        if !self.desired_logs.names().is_empty() {
            let names = self.desired_logs.names().iter().cloned().map(Attribute::String).collect();
            put("desired_logs", Attribute::List(names));
        }
        match &self.destination {
            Destination::CloudWatch { role, log_group, retention_days } => {
                put("log_distribution_role_arn", text(role));
                put("log_group_name", text(log_group));
                if let Some(days) = retention_days {
                    put("log_retention_days", Attribute::Number(days.to_string()));
                }
            }
            Destination::S3 { bucket, prefix } => {
                put("bucket_name", text(bucket));
                put("bucket_prefix", text(prefix));
            }
        }
        if let Some(id) = &self.external_id {
            put("external_id", text(id.reveal()));
        }
        for (name, value) in [
            ("status", &self.status),
            ("created_at", &self.created_at),
            ("updated_at", &self.updated_at),
        ] {
            if let Some(value) = value {
                put(name, text(value));
            }
        }
        if let Some(ttl) = self.ttl {
            put("ttl", Attribute::Number(ttl.to_string()));
        }
        attributes
    }
}

/// Reads attributes and collects what is wrong with them.
struct Reader<'a> {
    attributes: &'a Attributes,
    problems: Vec<AttributeError>,
}

impl<'a> Reader<'a> {
    /// A text attribute; blank is the same as absent.
    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.attributes.get(name) {
            None | Some(Attribute::Other("NULL")) => None,
            Some(Attribute::String(text)) if text.trim().is_empty() => None,
            Some(Attribute::String(text)) => Some(text),
            Some(_) => {
                self.problems.push(AttributeError::Type { name, expected: "a string (S)" });
                None
            }
        }
    }

    fn optional<T: FromStr<Err = InvalidId>>(&mut self, name: &'static str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(AttributeError::Value { name, problem });
                None
            }
        }
    }

    fn required<T: FromStr<Err = InvalidId>>(&mut self, name: &'static str) -> Option<T> {
        let problems_before = self.problems.len();
        let value = self.optional(name);
        if value.is_none() && self.problems.len() == problems_before {
            self.problems.push(AttributeError::Missing { name });
        }
        value
    }

    fn number<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        let value = self.attributes.get(name)?;
        let parsed = if let Attribute::Number(text) = value { text.parse().ok() } else { None };
        if parsed.is_none() {
            self.problems.push(AttributeError::Type { name, expected: "a whole number (N)" });
        }
        parsed
    }

    fn enabled(&mut self) -> bool {
        match self.attributes.get("enabled") {
            None => false,
            Some(Attribute::Bool(value)) => *value,
            Some(_) => {
                self.problems
                    .push(AttributeError::Type { name: "enabled", expected: "a boolean (BOOL)" });
                false
            }
        }
    }

    fn desired_logs(&mut self) -> DesiredLogs {
        const WRONG: AttributeError = AttributeError::Type {
            name: "desired_logs",
            expected: "a list of strings (L) or a string set (SS)",
        };
        match self.attributes.get("desired_logs") {
            None | Some(Attribute::Other("NULL")) => DesiredLogs::default(),
            Some(Attribute::StringSet(names)) => DesiredLogs::new(names.iter().cloned()),
            Some(Attribute::List(values)) => {
                let names: Option<Vec<String>> = values
                    .iter()
                    .map(|value| {
                        if let Attribute::String(name) = value { Some(name.clone()) } else { None }
                    })
                    .collect();
                if names.is_none() {
                    self.problems.push(WRONG);
                }
                DesiredLogs::new(names.unwrap_or_default())
            }
            Some(_) => {
                self.problems.push(WRONG);
                DesiredLogs::default()
            }
        }
    }

    fn destination(&mut self, kind: DeliveryKind) -> Option<Destination> {
        match kind {
            DeliveryKind::CloudWatch => {
                let role = self.required::<RoleArn>("log_distribution_role_arn");
                let log_group = self.required::<LogGroupName>("log_group_name");
                let retention_days = self.retention();
                Some(Destination::CloudWatch { role: role?, log_group: log_group?, retention_days })
            }
            DeliveryKind::S3 => {
                let bucket = self.required::<BucketName>("bucket_name");
                let prefix = self.text("bucket_prefix").unwrap_or(DEFAULT_BUCKET_PREFIX);
                let prefix =
                    if prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
                Some(Destination::S3 { bucket: bucket?, prefix })
            }
        }
    }

    fn retention(&mut self) -> Option<u16> {
        const NAME: &str = "log_retention_days";
        let days = self.number::<u16>(NAME).filter(|days| *days != 0)?;
        if RETENTION_DAYS.contains(&days) {
            return Some(days);
        }
        let rule = "it is one of the periods that CloudWatch Logs takes, such as 7, 30, 90 or 365";
        let problem = InvalidId::new(&days.to_string(), "a retention period in days", rule);
        self.problems.push(AttributeError::Value { name: NAME, problem });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloudwatch_item() -> Attributes {
        let text = |value: &str| Attribute::String(value.to_owned());
        Attributes::from([
            ("tenant_id".to_owned(), text("acme")),
            ("type".to_owned(), text("cloudwatch")),
            ("enabled".to_owned(), Attribute::Bool(true)),
            ("target_region".to_owned(), text("us-east-2")),
            (
                "log_distribution_role_arn".to_owned(),
                text("arn:aws:iam::222222222222:role/CustomerLogDistribution-x"),
            ),
            ("log_group_name".to_owned(), text("/ROSA/cluster-logs/acme")),
        ])
    }

    fn with(name: &str, value: Attribute) -> Attributes {
        let mut attributes = cloudwatch_item();
        attributes.insert(name.to_owned(), value);
        attributes
    }

    #[test]
    fn an_item_survives_a_round_trip() {
        let mut attributes =
            with("desired_logs", Attribute::List(vec![Attribute::String("API".to_owned())]));
        attributes.insert("external_id".to_owned(), Attribute::String("abc123".to_owned()));
        attributes.insert("log_retention_days".to_owned(), Attribute::Number("30".to_owned()));
        attributes.insert("ttl".to_owned(), Attribute::Number("1900000000".to_owned()));
        let item = TenantItem::from_attributes(&attributes).unwrap();
        assert_eq!(item.to_attributes(), attributes);
        assert!(!format!("{item:?}").contains("abc123"), "the external id must not be printed");
    }

    #[test]
    fn a_missing_enabled_reads_as_off() {
        let mut attributes = cloudwatch_item();
        attributes.remove("enabled");
        assert!(!TenantItem::from_attributes(&attributes).unwrap().enabled);
    }

    #[test]
    fn desired_logs_are_a_list_or_a_set_and_matched_without_case() {
        let list = Attribute::List(vec![Attribute::String("Kube-ApiServer".to_owned())]);
        let set = Attribute::StringSet(vec!["kube-apiserver".to_owned()]);
        for value in [list, set] {
            let item = TenantItem::from_attributes(&with("desired_logs", value)).unwrap();
            assert!(item.desired_logs.wants("kube-apiserver"));
            assert!(!item.desired_logs.wants("kube-apiserver-operator"));
        }
        for value in
            [Attribute::List(Vec::new()), Attribute::List(vec![Attribute::String(" ".to_owned())])]
        {
            let item = TenantItem::from_attributes(&with("desired_logs", value)).unwrap();
            assert!(item.desired_logs.wants("anything"));
        }
    }

    #[test]
    fn every_problem_of_an_item_is_reported_at_once() {
        let mut attributes = with("log_group_name", Attribute::String("   ".to_owned()));
        attributes.remove("target_region");
        attributes.insert("enabled".to_owned(), Attribute::String("yes".to_owned()));
        attributes.insert("log_retention_days".to_owned(), Attribute::Number("31".to_owned()));
        let problems = TenantItem::from_attributes(&attributes).unwrap_err().to_string();
        for name in ["log_group_name", "target_region", "enabled", "log_retention_days"] {
            assert!(problems.contains(name), "{name} in {problems}");
        }
    }

    #[test]
    fn an_s3_item_has_a_prefix_with_a_slash() {
        let text = |value: &str| Attribute::String(value.to_owned());
        let mut attributes = Attributes::from([
            ("tenant_id".to_owned(), text("acme")),
            ("type".to_owned(), text("s3")),
            ("target_region".to_owned(), text("us-east-2")),
            ("bucket_name".to_owned(), text("acme-logs")),
        ]);
        for (given, expected) in
            [(None, DEFAULT_BUCKET_PREFIX), (Some("logs"), "logs/"), (Some("a/b/"), "a/b/")]
        {
            if let Some(given) = given {
                attributes.insert("bucket_prefix".to_owned(), text(given));
            }
            let item = TenantItem::from_attributes(&attributes).unwrap();
            assert!(
                matches!(item.destination, Destination::S3 { prefix, .. } if prefix == expected)
            );
        }
    }
}
