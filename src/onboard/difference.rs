//! What must be written so that the tenant table says what is wanted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mtlog_processor::model::tenant::{Attribute, Attributes, PARTITION_KEY, SORT_KEY, TenantItem};
use serde::Serialize;

use super::{document::Wanted, table::Entry};

/// The attribute whose value is never shown.
const SECRET: &str = "external_id";
/// Attributes that a file does not speak of; whoever keeps them keeps them.
const BOOKKEEPING: [&str; 3] = ["created_at", "updated_at", "status"];
/// The attributes that make up a delivery: what is wanted says all of them, present or not.
const MANAGED: [&str; 10] = [
    "enabled",
    "target_region",
    "log_distribution_role_arn",
    "log_group_name",
    "log_retention_days",
    "bucket_name",
    "bucket_prefix",
    "desired_logs",
    "external_id",
    "ttl",
];

/// One attribute that changes, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The attribute.
    pub name: String,
    /// What it was; none: it was not there.
    pub before: Option<String>,
    /// What it becomes; none: it goes away.
    pub after: Option<String>,
}

/// The attributes of an item that change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// For people.
    pub fields: Vec<FieldChange>,
    /// What is written.
    pub set: Attributes,
    /// What is taken away.
    pub removed: Vec<&'static str>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A delivery that is not there.
    Add(Box<TenantItem>),
    /// A delivery that is there and says something else.
    Change(Box<Entry>, Change),
    /// A delivery that nobody wants any more.
    Remove(Box<Entry>),
}

/// What is to be done with deliveries that are there and not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// They stay.
    Keep,
    /// They are deleted.
    Remove,
}

/// Returns what turns `before` into `after`. An attribute that reads the same is left as it is.
pub fn change(before: &Attributes, after: &TenantItem) -> Change {
    let wanted = after.to_attributes();
    let mut change = Change::default();
    for name in MANAGED {
        let (old, new) = (before.get(name), wanted.get(name));
        if old.map(reading) == new.map(reading) {
            continue;
        }
        let shown = |value: Option<&Attribute>| value.map(|value| show(name, value));
        change.fields.push(FieldChange {
            name: name.to_owned(),
            before: shown(old),
            after: shown(new),
        });
        match new {
            Some(value) => {
                change.set.insert(name.to_owned(), value.clone());
            }
            None => change.removed.push(name),
        }
    }
    change
}

/// Returns the writes that make a table with `found` say what is `wanted`, in the order of their keys.
pub fn steps(found: &[Entry], wanted: &[Wanted], unwanted: Unwanted) -> Vec<Step> {
    let key = |entry: &Entry| (entry.tenant.clone(), entry.kind.clone());
    let found: BTreeMap<(String, String), &Entry> =
        found.iter().map(|entry| (key(entry), entry)).collect();
    let mut steps: BTreeMap<(String, String), Step> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for one in wanted {
        let key = (one.item.tenant.to_string(), one.item.destination.kind().as_str().to_owned());
        let Some(entry) = found.get(&key) else {
            steps.insert(key, Step::Add(Box::new(one.item.clone())));
            continue;
        };
        let known = entry.item.as_ref().ok().and_then(|item| item.external_id.as_ref());
        let mut change = change(&entry.attributes, &one.with_external_id_of(known));
        if entry.item.is_err() && one.external_id == super::document::Said::No {
            // An external id of an item that cannot be read is still somebody's; the file says nothing of it.
            change.keep(SECRET);
        }
        kept.insert(key.clone());
        if !change.fields.is_empty() {
            steps.insert(key, Step::Change(Box::new((*entry).clone()), change));
        }
    }
    if unwanted == Unwanted::Remove {
        for (key, entry) in found {
            if !kept.contains(&key) {
                steps.insert(key, Step::Remove(Box::new(entry.clone())));
            }
        }
    }
    steps.into_values().collect()
}

impl Change {
    /// Leaves an attribute as it is.
    fn keep(&mut self, name: &str) {
        self.fields.retain(|field| field.name != name);
        self.set.remove(name);
        self.removed.retain(|removed| *removed != name);
    }
}

impl Step {
    /// Returns the tenant and the type.
    pub fn names(&self) -> (String, String) {
        match self {
            Self::Add(item) => {
                (item.tenant.to_string(), item.destination.kind().as_str().to_owned())
            }
            Self::Change(entry, _) | Self::Remove(entry) => {
                (entry.tenant.clone(), entry.kind.clone())
            }
        }
    }

    /// Returns a word for what happens.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Change(..) => "change",
            Self::Remove(_) => "remove",
        }
    }

    /// Returns the attributes that change.
    pub fn fields(&self) -> Vec<FieldChange> {
        match self {
            Self::Add(item) => change(&Attributes::new(), item).fields,
            Self::Change(_, change) => change.fields.clone(),
            Self::Remove(entry) => entry
                .attributes
                .iter()
                .filter(|(name, _)| {
                    ![PARTITION_KEY, SORT_KEY].contains(&name.as_str())
                        && !BOOKKEEPING.contains(&name.as_str())
                })
                .map(|(name, value)| FieldChange {
                    name: name.clone(),
                    before: Some(show(name, value)),
                    after: None,
                })
                .collect(),
        }
    }
}

/// An attribute's value as the engine reads it: a list and a set of the same names are the same.
fn reading(attribute: &Attribute) -> (bool, Vec<String>) {
    match attribute {
        Attribute::String(text) | Attribute::Number(text) => (false, vec![text.clone()]),
        Attribute::Bool(value) => (false, vec![value.to_string()]),
        Attribute::List(values) => {
            (true, values.iter().flat_map(|value| reading(value).1).collect())
        }
        Attribute::StringSet(texts) => (true, texts.clone()),
        Attribute::Other(name) => (false, vec![format!("({name})")]),
    }
}

fn show(name: &str, attribute: &Attribute) -> String {
    if name == SECRET {
        return "***".to_owned();
    }
    match reading(attribute) {
        (true, names) => format!("[{}]", names.join(", ")),
        (false, values) => values.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboard::document;

    const FILE: &str = "\
tenant_id: acme
target_region: us-east-2
log_distribution_role_arn: arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2
log_group_name: /ROSA/cluster-logs/acme
desired_logs: [a, b]
";

    fn wanted(text: &str) -> Vec<Wanted> {
        document::read(text).unwrap()
    }

    fn entry(attributes: Attributes) -> Entry {
        let text = |name: &str| match &attributes[name] {
            Attribute::String(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        Entry {
            tenant: text("tenant_id"),
            kind: text("type"),
            item: TenantItem::from_attributes(&attributes),
            notes: Vec::new(),
            attributes,
        }
    }

    fn found(text: &str) -> Entry {
        entry(wanted(text)[0].item.to_attributes())
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        let fields = |step: &Step| {
            step.fields()
                .into_iter()
                .map(|field| {
                    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                    format!("{}: {} -> {}", field.name, text(field.before), text(field.after))
                })
                .collect::<Vec<_>>()
                .join("; ")
        };
        steps
            .iter()
            .map(|step| format!("{} {} {}", step.verb(), step.names().0, fields(step)))
            .collect()
    }

    #[test]
    fn what_is_there_already_is_not_written() {
        let mut same = found(FILE);
        assert_eq!(steps(&[same.clone()], &wanted(FILE), Unwanted::Remove), []);
        // A set of the same names, an external id and the book-keeping are none of the file's business.
        let text = |text: &str| Attribute::String(text.to_owned());
        same.attributes.extend([
            ("desired_logs".to_owned(), Attribute::StringSet(vec!["a".into(), "b".into()])),
            ("external_id".to_owned(), text("0123456789abcdef")),
            ("updated_at".to_owned(), text("2026-01-01T00:00:00Z")),
            ("status".to_owned(), text("active")),
        ]);
        assert_eq!(steps(&[entry(same.attributes)], &wanted(FILE), Unwanted::Remove), []);
    }

    #[test]
    fn each_attribute_that_differs_is_shown_and_written() {
        let changed =
            FILE.replace("/acme", "/other").replace("desired_logs: [a, b]\n", "enabled: false\n");
        let steps = steps(&[found(FILE)], &wanted(&changed), Unwanted::Keep);
        assert_eq!(
            shown(&steps),
            [
                "change acme enabled: true -> false; log_group_name: /ROSA/cluster-logs/acme -> /ROSA/cluster-logs/other; \
              desired_logs: [a, b] -> -"
            ]
        );
        let [Step::Change(_, change)] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(change.set.keys().collect::<Vec<_>>(), ["enabled", "log_group_name"]);
        assert_eq!(change.removed, ["desired_logs"]);
    }

    #[test]
    fn nothing_is_removed_unless_asked() {
        let other = FILE.replace("acme", "zeta");
        let table = [found(FILE), found(&other)];
        assert_eq!(steps(&table, &wanted(FILE), Unwanted::Keep), []);
        let removed = steps(&table, &wanted(FILE), Unwanted::Remove);
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].names(), ("zeta".to_owned(), "cloudwatch".to_owned()));
        assert!(shown(&removed)[0].contains("enabled: true -> -"), "{removed:?}");
        let added = steps(&[], &wanted(FILE), Unwanted::Keep);
        assert!(shown(&added)[0].starts_with("add acme enabled: - -> true"));
    }

    #[test]
    fn an_item_that_cannot_be_read_is_mended_and_its_secret_is_kept() {
        let mut broken = found(FILE).attributes;
        broken.remove("target_region");
        broken.insert("external_id".to_owned(), Attribute::String("0123456789abcdef".to_owned()));
        broken.insert("enabled".to_owned(), Attribute::String("yes".to_owned()));
        let steps = steps(&[entry(broken)], &wanted(FILE), Unwanted::Keep);
        assert_eq!(
            shown(&steps),
            ["change acme enabled: yes -> true; target_region: - -> us-east-2"]
        );
        let given = format!("{FILE}external_id: another-one\n");
        let shown = shown(&super::steps(&[found(FILE)], &wanted(&given), Unwanted::Keep));
        assert_eq!(shown, ["change acme external_id: - -> ***"]);
    }
}
