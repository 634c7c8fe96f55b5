//! Deliveries as a file: YAML or JSON lines, so that tenants can live in version control. Pure.
//!
//! The fields are called as in the table. What only the table knows (when an item was written, its
//! onboarding state) is not part of a file. An external id is a secret: a file says nothing of it
//! unless asked, and a file that says nothing leaves it as it is.

use std::collections::BTreeMap;

use mtlog_processor::model::{
    ids::ExternalId,
    secret::Secret,
    tenant::{Attribute, Attributes, DeliveryKind, Destination, InvalidItem, TenantItem},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::rules;

/// What a file wants of one delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The delivery. Its external id counts only if the file says so.
    pub item: TenantItem,
    /// Whether the file says what the external id is.
    pub external_id: Said,
}

/// Whether a file speaks of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It does.
    Yes,
    /// It does not: what is there stays.
    No,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One YAML list.
    Yaml,
    /// One JSON object a line.
    Jsonl,
}

/// Whether external ids are written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalIds {
    /// They are left out.
    Hidden,
    /// They stand in the file in clear.
    Shown,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// It is neither YAML nor JSON.
    #[error("the file is not {form}")]
    Syntax {
        /// What it looks like.
        form: &'static str,
        /// Where it breaks.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An entry is not a delivery.
    #[error("entry {number}{}: {problem}", named(tenant.as_deref()))]
    Entry {
        /// Which one, from 1.
        number: usize,
        /// Its tenant, if it names one.
        tenant: Option<String>,
        /// What is wrong.
        problem: String,
    },
    /// Two entries are about the same delivery.
    #[error("entries {first} and {second} are both the {kind} delivery of tenant {tenant}")]
    Twice {
        /// The first, from 1.
        first: usize,
        /// The second, from 1.
        second: usize,
        /// The tenant.
        tenant: String,
        /// The delivery.
        kind: DeliveryKind,
    },
}

fn named(tenant: Option<&str>) -> String {
    tenant.map(|tenant| format!(" (tenant {tenant})")).unwrap_or_default()
}

/// One delivery in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    tenant_id: String,
    #[serde(rename = "type", default = "cloudwatch")]
    kind: String,
    #[serde(default = "switched_on")]
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_distribution_role_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_group_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_retention_days: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    desired_logs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "Spoken::is_silent")]
    external_id: Spoken,
}

/// What a file says of an external id.
#[derive(Clone, Default)]
enum Spoken {
    /// The field is not there: nothing.
    #[default]
    Silent,
    /// Null: it is the central account's id.
    Account,
    /// A text: this one.
    Own(String),
}

impl Spoken {
    const fn is_silent(&self) -> bool {
        matches!(self, Self::Silent)
    }

    fn own(&self) -> Option<&String> {
        if let Self::Own(id) = self { Some(id) } else { None }
    }
}

impl Serialize for Spoken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.own().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Spoken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map_or(Self::Account, Self::Own))
    }
}

fn cloudwatch() -> String {
    DeliveryKind::CloudWatch.as_str().to_owned()
}

const fn switched_on() -> bool {
    true
}

/// Reads a file. Everything that is wrong is reported at once.
///
/// A file is JSON if it starts with a brace or a bracket (objects, one after the other or in lists), else YAML
/// (documents, each a delivery or a list of them).
pub fn read(text: &str) -> Result<Vec<Wanted>, Vec<DocumentError>> {
    let entries = entries(text).map_err(|error| vec![error])?;
    let mut errors = Vec::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places: BTreeMap<(String, DeliveryKind), usize> = BTreeMap::new();
    for (number, entry) in (1..).zip(entries) {
        let tenant = entry.get("tenant_id").and_then(Value::as_str).map(str::to_owned);
        match delivery(entry) {
            Ok(one) => {
                let key = (one.item.tenant.to_string(), one.item.destination.kind());
                if let Some(first) = places.get(&key) {
                    let (tenant, kind) = key;
                    errors.push(DocumentError::Twice {
                        first: *first,
                        second: number,
                        tenant,
                        kind,
                    });
                    continue;
                }
                places.insert(key, number);
                wanted.push(one);
            }
            Err(problems) => {
                errors.extend(problems.into_iter().map(|problem| DocumentError::Entry {
                    number,
                    tenant: tenant.clone(),
                    problem,
                }))
            }
        }
    }
    if errors.is_empty() { Ok(wanted) } else { Err(errors) }
}

/// Writes a file.
pub fn write<'a>(
    items: impl IntoIterator<Item = &'a TenantItem>,
    form: Form,
    external_ids: ExternalIds,
) -> Result<String, DocumentError> {
    let deliveries: Vec<Delivery> =
        items.into_iter().map(|item| Delivery::of(item, external_ids)).collect();
    match form {
        Form::Yaml => serde_yaml::to_string(&deliveries)
            .map_err(|error| DocumentError::Syntax { form: "YAML", source: error.into() }),
        Form::Jsonl => deliveries.iter().try_fold(String::new(), |text, delivery| {
            let line = serde_json::to_string(delivery)
                .map_err(|error| DocumentError::Syntax { form: "JSON", source: error.into() })?;
            Ok(text + &line + "\n")
        }),
    }
}

fn entries(text: &str) -> Result<Vec<Value>, DocumentError> {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let documents: Vec<Value> = if start.starts_with(['{', '[']) {
        serde_json::Deserializer::from_str(start)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| DocumentError::Syntax { form: "JSON", source: error.into() })?
    } else {
        serde_yaml::Deserializer::from_str(start)
            .map(Value::deserialize)
            .collect::<Result<_, _>>()
            .map_err(|error| DocumentError::Syntax { form: "YAML", source: error.into() })?
    };
    let mut entries = Vec::new();
    for document in documents {
        match document {
            Value::Array(list) => entries.extend(list),
            Value::Null => {}
            one => entries.push(one),
        }
    }
    Ok(entries)
}

fn delivery(entry: Value) -> Result<Wanted, Vec<String>> {
    let delivery: Delivery =
        serde_json::from_value(entry).map_err(|error| vec![error.to_string()])?;
    let external_id = if delivery.external_id.is_silent() { Said::No } else { Said::Yes };
    let foreign = delivery.foreign_fields();
    let item =
        TenantItem::from_attributes(&delivery.attributes()).map_err(|InvalidItem { problems }| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        });
    let mut problems: Vec<String> = foreign
        .into_iter()
        .map(|field| format!("`{field}` has no meaning for this type"))
        .collect();
    match item {
        Ok(item) => {
            problems.extend(rules::errors(&item).into_iter().map(|finding| finding.text));
            if problems.is_empty() { Ok(Wanted { item, external_id }) } else { Err(problems) }
        }
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

impl Delivery {
    fn of(item: &TenantItem, external_ids: ExternalIds) -> Self {
        let mut delivery = Self {
            tenant_id: item.tenant.to_string(),
            kind: item.destination.kind().as_str().to_owned(),
            enabled: item.enabled,
            target_region: Some(item.target_region.to_string()),
            log_distribution_role_arn: None,
            log_group_name: None,
            log_retention_days: None,
            bucket_name: None,
            bucket_prefix: None,
            desired_logs: item.desired_logs.names().to_vec(),
            ttl: item.ttl,
            external_id: Spoken::Silent,
        };
        match &item.destination {
            Destination::CloudWatch { role, log_group, retention_days } => {
                delivery.log_distribution_role_arn = Some(role.to_string());
                delivery.log_group_name = Some(log_group.to_string());
                delivery.log_retention_days = *retention_days;
                if external_ids == ExternalIds::Shown {
                    let own = item.external_id.as_ref().map(|id| id.reveal().to_string());
                    delivery.external_id = own.map_or(Spoken::Account, Spoken::Own);
                }
            }
            Destination::S3 { bucket, prefix } => {
                delivery.bucket_name = Some(bucket.to_string());
                delivery.bucket_prefix = Some(prefix.clone());
            }
        }
        delivery
    }

    /// Returns the fields that only the other type has.
    fn foreign_fields(&self) -> Vec<&'static str> {
        let cloudwatch = [
            (self.log_distribution_role_arn.is_some(), "log_distribution_role_arn"),
            (self.log_group_name.is_some(), "log_group_name"),
            (self.log_retention_days.is_some(), "log_retention_days"),
            (self.external_id.own().is_some(), "external_id"),
        ];
        let s3 = [
            (self.bucket_name.is_some(), "bucket_name"),
            (self.bucket_prefix.is_some(), "bucket_prefix"),
        ];
        let foreign = match self.kind.parse() {
            Ok(DeliveryKind::CloudWatch) => s3.to_vec(),
            Ok(DeliveryKind::S3) => cloudwatch.to_vec(),
            // Another type is a problem of its own.
            Err(_) => Vec::new(),
        };
        foreign.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }

    fn attributes(&self) -> Attributes {
        let text = |text: &String| Attribute::String(text.clone());
        let number = |number: String| Attribute::Number(number);
        let mut attributes = Attributes::from([
            ("tenant_id".to_owned(), text(&self.tenant_id)),
            ("type".to_owned(), text(&self.kind)),
            ("enabled".to_owned(), Attribute::Bool(self.enabled)),
        ]);
        let optional = [
            ("target_region", self.target_region.as_ref().map(text)),
            ("log_distribution_role_arn", self.log_distribution_role_arn.as_ref().map(text)),
            ("log_group_name", self.log_group_name.as_ref().map(text)),
            ("log_retention_days", self.log_retention_days.map(|days| number(days.to_string()))),
            ("bucket_name", self.bucket_name.as_ref().map(text)),
            ("bucket_prefix", self.bucket_prefix.as_ref().map(text)),
            ("ttl", self.ttl.map(|seconds| number(seconds.to_string()))),
            ("external_id", self.external_id.own().map(text)),
        ];
        attributes.extend(
            optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        if !self.desired_logs.is_empty() {
            let names = self.desired_logs.iter().map(text).collect();
            attributes.insert("desired_logs".to_owned(), Attribute::List(names));
        }
        attributes
    }
}

impl Wanted {
    /// Returns the item with the external id that is to be written, given the one that is there.
    pub fn with_external_id_of(&self, known: Option<&Secret<ExternalId>>) -> TenantItem {
        match self.external_id {
            Said::Yes => self.item.clone(),
            Said::No => TenantItem { external_id: known.cloned(), ..self.item.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLOUDWATCH: &str = "\
- tenant_id: acme
  target_region: us-east-2
  log_distribution_role_arn: arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2
  log_group_name: /ROSA/cluster-logs/acme
  desired_logs: [kube-apiserver]
- tenant_id: acme
  type: s3
  target_region: us-east-2
  bucket_name: acme-logs
";

    fn problems(text: &str) -> String {
        let errors = read(text).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn yaml_lists_yaml_documents_and_json_lines_say_the_same() {
        let list = read(CLOUDWATCH).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[0].item.enabled);
        assert_eq!(list[0].external_id, Said::No);
        let documents = CLOUDWATCH.replace("- tenant_id", "---\n  tenant_id");
        assert_eq!(read(&documents).unwrap(), list);
        let items: Vec<&TenantItem> = list.iter().map(|wanted| &wanted.item).collect();
        let lines = write(items, Form::Jsonl, ExternalIds::Hidden).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert_eq!(read(&lines).unwrap(), list);
        assert_eq!(read(" \n").unwrap(), []);
    }

    #[test]
    fn everything_that_is_wrong_is_said_with_its_entry() {
        let text = CLOUDWATCH
            .replace("role/CustomerLogDistribution-us-east-2", "role/Other")
            .replace("  bucket_name: acme-logs", "  bucket_name: No\n  log_group_name: /x");
        let problems = problems(&text);
        for part in [
            "entry 1 (tenant acme)",
            "`Other`",
            "entry 2",
            "`log_group_name` has no meaning",
            "bucket_name",
        ] {
            assert!(problems.contains(part), "{part} in\n{problems}");
        }
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused() {
        assert!(problems("tenant_id: acme\ngroups: [API]\n").contains("groups"));
        assert!(problems("- 7\n").contains("entry 1"));
        assert!(problems("a: [\n").contains("not YAML"));
        assert!(problems("{\"a\": }").contains("not JSON"));
    }

    #[test]
    fn the_same_delivery_twice_is_refused() {
        let first = CLOUDWATCH.split("- tenant_id: acme\n  type: s3").next().unwrap();
        let problems = problems(&format!("{first}{first}"));
        assert_eq!(problems, "entries 1 and 2 are both the cloudwatch delivery of tenant acme");
    }

    #[test]
    fn an_external_id_is_kept_given_or_taken_away() {
        let id: Secret<ExternalId> = Secret::new("0123456789abcdef".parse().unwrap());
        let other: Secret<ExternalId> = Secret::new("another-one".parse().unwrap());
        let first = CLOUDWATCH.split("- tenant_id: acme\n  type: s3").next().unwrap();
        for (line, expected) in [
            ("", Some(&id)),
            ("  external_id: another-one\n", Some(&other)),
            ("  external_id: null\n", None),
        ] {
            let wanted = read(&format!("{first}{line}")).unwrap();
            let item = wanted[0].with_external_id_of(Some(&id));
            assert_eq!(item.external_id.as_ref(), expected, "{line}");
        }
        let item = TenantItem { external_id: Some(id), ..read(first).unwrap()[0].item.clone() };
        let hidden = write([&item], Form::Yaml, ExternalIds::Hidden).unwrap();
        assert!(!hidden.contains("0123456789abcdef") && !hidden.contains("external_id"));
        let shown = write([&item], Form::Yaml, ExternalIds::Shown).unwrap();
        assert_eq!(read(&shown).unwrap()[0].item, item);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            tenant in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
            group in "[.\\-_/#A-Za-z0-9]{1,60}",
            names in proptest::collection::vec("[A-Za-z0-9_.:#'\"-]{1,20}", 0..4),
            prefix in "[a-zA-Z0-9 :#{}&*!|>'%@`_-]{1,20}",
            days in proptest::option::of(proptest::sample::select(vec![1_u16, 7, 365])),
            ttl in proptest::option::of(1_u64..4_000_000_000),
            enabled: bool,
            s3: bool,
        ) {
            let destination = if s3 {
                Destination::S3 { bucket: "acme-logs".parse().unwrap(), prefix: format!("{prefix}/") }
            } else {
                let Ok(log_group) = group.parse() else { return Ok(()) };
                let role = "arn:aws:iam::222222222222:role/CustomerLogDistribution-x".parse().unwrap();
                Destination::CloudWatch { role, log_group, retention_days: days }
            };
            let item = TenantItem {
                tenant: tenant.parse().unwrap(),
                destination,
                enabled,
                target_region: "us-east-2".parse().unwrap(),
                desired_logs: mtlog_processor::model::tenant::DesiredLogs::new(names),
                external_id: None,
                status: None,
                created_at: None,
                updated_at: None,
                ttl,
            };
            for form in [Form::Yaml, Form::Jsonl] {
                let text = write([&item], form, ExternalIds::Shown).unwrap();
                let read: Vec<TenantItem> =
                    read(&text).unwrap().into_iter().map(|wanted| wanted.item).collect();
                prop_assert_eq!(&read, std::slice::from_ref(&item), "{}", text);
            }
        }
    }
}
