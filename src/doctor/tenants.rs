//! Checks of the tenant table.

use jiff::{SignedDuration, Timestamp};
use mtlog_processor::model::tenant::{Attribute, PARTITION_KEY, SORT_KEY};

use super::{
    Check, Finding, Look,
    Severity::{Problem, Warning},
    Texts, Verdict, check,
    facts::Facts,
    seen,
};
use crate::{
    aws::dynamodb::TableFacts,
    onboard::{rules, table::Entry},
};

const TABLE: &str = "the tenant table";
/// A delivery that ends within this time is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(24);

/// Codes MT130 to MT139.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Table],
        key,
        Texts {
            code: "MT130",
            well: "the tenant table is there",
            title: "the tenant table is missing or another one",
            why: "A table of the system that mtlog replaces has tenant_id alone as its key, and holds one delivery a tenant.",
            fix: "`mtlog tenant import --from-table NAME` reads such a table into the new one.",
        },
    ),
    check(
        Warning,
        &[Look::Table],
        recovery,
        Texts {
            code: "MT131",
            well: "the tenant table can be restored",
            title: "the tenant table cannot be restored",
            why: "Point-in-time recovery is off. A wrong import or script cannot be undone.",
            fix: "Deploy the regional stack again; keep `mtlog tenant export` in version control as well.",
        },
    ),
    check(
        Warning,
        &[Look::Table],
        expiry,
        Texts {
            code: "MT132",
            well: "items end when they should",
            title: "items do not end",
            why: "The table's time to live is off, so that deliveries with a `ttl` go on for ever.",
            fix: "Deploy the regional stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Items],
        usable,
        Texts {
            code: "MT133",
            well: "every delivery can be read",
            title: "a delivery cannot be read",
            why: "The processor cannot use this item, so this tenant's logs are not delivered to it.",
            fix: "`mtlog tenant show TENANT` shows the item; `mtlog tenant set TENANT` corrects it.",
        },
    ),
    check(
        Problem,
        &[Look::Items],
        reachable,
        Texts {
            code: "MT134",
            well: "every delivery is possible",
            title: "a delivery is impossible",
            why: "Each value has the right form, but the central role may not do what they ask for.",
            fix: "`mtlog tenant set TENANT --role-arn ARN`, with the role that the customer's stack has made.",
        },
    ),
    check(
        Warning,
        &[Look::Items],
        odd,
        Texts {
            code: "MT135",
            well: "no item is odd",
            title: "an item is odd",
            why: "It works, but holds attributes that nobody reads, or lacks one that is always written. Somebody may \
              expect something else from it.",
            fix: "`mtlog tenant show TENANT` shows what it is; `mtlog tenant set TENANT` writes it as it should be.",
        },
    ),
    check(
        Warning,
        &[Look::Items],
        ending,
        Texts {
            code: "MT136",
            well: "no delivery ends soon",
            title: "a delivery ends",
            why: "The item's `ttl` is over or nearly so. DynamoDB deletes it, and the delivery stops.",
            fix: "If it is not meant to end, export, take the `ttl` away, and import: `mtlog tenant export > tenants.yaml`.",
        },
    ),
];

fn name(facts: &Facts) -> &str {
    facts.pipeline.table.as_deref().unwrap_or(TABLE)
}

/// Judges a table that is there.
fn existing(facts: &Facts, judge: impl FnOnce(&TableFacts) -> Verdict) -> Verdict {
    seen(&facts.table, TABLE, |table| match table {
        Some(table) => judge(table),
        None => Verdict::Skipped { reason: "the tenant table does not exist".to_owned() },
    })
}

pub(super) fn key(facts: &Facts) -> Verdict {
    seen(&facts.table, TABLE, |table| match table {
        None => Verdict::found(name(facts), "does not exist, although the stack has it"),
        Some(table) => Verdict::well_if(table.key.0 == [PARTITION_KEY, SORT_KEY], || {
            let text = format!("has the key {}, not tenant_id, type", table.key.0.join(", "));
            Finding::new(name(facts), text)
        }),
    })
}

pub(super) fn recovery(facts: &Facts) -> Verdict {
    existing(facts, |table| {
        seen(&table.recoverable, TABLE, |on| {
            Verdict::well_if(*on, || {
                Finding::new(name(facts), "cannot be restored to an earlier time")
            })
        })
    })
}

pub(super) fn expiry(facts: &Facts) -> Verdict {
    existing(facts, |table| {
        seen(&table.expiring, TABLE, |on| {
            Verdict::well_if(*on, || {
                Finding::new(name(facts), "does not delete items whose `ttl` has passed")
            })
        })
    })
}

/// Judges every item.
fn items(facts: &Facts, judge: impl Fn(&Entry) -> Option<String>) -> Verdict {
    seen(&facts.items, TABLE, |entries| {
        let found = entries.iter().filter_map(|entry| {
            let subject = format!("tenant {} {}", entry.tenant, entry.kind);
            judge(entry).map(|reason| Finding::new(subject, reason))
        });
        Verdict::of(found.collect())
    })
}

pub(super) fn usable(facts: &Facts) -> Verdict {
    items(facts, |entry| {
        let problems = &entry.item.as_ref().err()?.problems;
        Some(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })
}

pub(super) fn reachable(facts: &Facts) -> Verdict {
    items(facts, |entry| {
        let errors = rules::errors(entry.item.as_ref().ok()?);
        let texts: Vec<String> = errors.into_iter().map(|finding| finding.text).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    })
}

pub(super) fn odd(facts: &Facts) -> Verdict {
    items(facts, |entry| {
        entry.item.as_ref().ok()?;
        (!entry.notes.is_empty()).then(|| entry.notes.join("; "))
    })
}

pub(super) fn ending(facts: &Facts) -> Verdict {
    items(facts, |entry| {
        let Some(Attribute::Number(text)) = entry.attributes.get("ttl") else { return None };
        let ends = Timestamp::from_second(text.parse().ok()?).ok()?;
        let left = ends.duration_since(facts.now);
        if left.is_negative() {
            return Some(format!("ended at {ends} by its `ttl` and is about to be deleted"));
        }
        (left < SOON).then(|| format!("ends at {ends} by its `ttl`"))
    })
}
