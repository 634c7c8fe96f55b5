//! Compares what was generated with what arrived. Pure.

use anyhow::{Context, Result};
use serde_json::Value;

/// A tenant of the demo.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: &'static str,
    pub(crate) log_group: &'static str,
    /// The applications whose logs the tenant wants; all when empty.
    pub(crate) wanted: &'static [&'static str],
}

impl Tenant {
    fn wants(&self, application: &str) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&application)
    }
}

/// A number of messages and their order-independent hash, as `mtlog generate` defines it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    records: u64,
    bytes: u64,
    hash: u128,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

/// What was generated for one application of a tenant: one line of the manifest.
#[derive(Debug)]
pub(crate) struct Generated {
    tenant: String,
    application: String,
    tally: Tally,
}

impl Generated {
    /// Returns the size of the messages alone.
    pub(crate) fn bytes(&self) -> u64 {
        self.tally.bytes
    }
}

/// What a log group holds.
#[derive(Debug)]
pub(crate) struct Contents {
    log_group: String,
    tally: Tally,
}

/// One tenant's line of the result.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) tenant: &'static str,
    pub(crate) generated: u64,
    filtered: u64,
    expected: Tally,
    delivered: Tally,
}

impl Row {
    /// Says whether exactly the expected messages arrived, and that there were some.
    pub(crate) fn is_exact(&self) -> bool {
        self.expected.records > 0 && self.expected == self.delivered
    }
}

/// Parses a manifest of `mtlog generate`.
pub(crate) fn parse_manifest(text: &str) -> Result<Vec<Generated>> {
    let line = |line: &str| -> Result<Generated> {
        let row: Value = serde_json::from_str(line).context("not JSON")?;
        Ok(Generated {
            tenant: text_field(&row, "tenant")?.to_owned(),
            application: text_field(&row, "application")?.to_owned(),
            tally: tally(&row, "content_hash")?,
        })
    };
    text.lines()
        .map(|text| line(text).with_context(|| format!("in the manifest's line `{text}`")))
        .collect()
}

/// Parses a line of `demo_verify.py`.
pub(crate) fn parse_contents(line: &str) -> Result<Contents> {
    let row: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    Ok(Contents {
        log_group: text_field(&row, "log_group")?.to_owned(),
        tally: tally(&row, "hash")?,
    })
}

/// Sets what each tenant should have against what its log group holds.
pub(crate) fn compare(
    tenants: &[Tenant],
    manifest: &[Generated],
    delivered: &[Contents],
) -> Vec<Row> {
    let row = |tenant: &Tenant| {
        let mut row = Row {
            tenant: tenant.id,
            generated: 0,
            filtered: 0,
            expected: Tally::default(),
            delivered: Tally::default(),
        };
        for line in manifest.iter().filter(|line| line.tenant == tenant.id) {
            row.generated += line.tally.records;
            if tenant.wants(&line.application) {
                row.expected.add(line.tally);
            } else {
                row.filtered += line.tally.records;
            }
        }
        for contents in delivered.iter().filter(|contents| contents.log_group == tenant.log_group) {
            row.delivered.add(contents.tally);
        }
        row
    };
    tenants.iter().map(row).collect()
}

/// Returns the rows as a table for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<14} {:>10} {:>10} {:>10} {:>14}  {:<32}  arrived",
        "tenant", "generated", "filtered", "delivered", "bytes", "content hash"
    )];
    for row in rows {
        let verdict = match (row.is_exact(), row.expected.records == row.delivered.records) {
            (true, _) => "exactly".to_owned(),
            (false, true) => format!("with other content: expected {:032x}", row.expected.hash),
            (false, false) => format!("with {} records expected", row.expected.records),
        };
        lines.push(format!(
            "{:<14} {:>10} {:>10} {:>10} {:>14}  {:032x}  {verdict}",
            row.tenant,
            row.generated,
            row.filtered,
            row.delivered.records,
            row.delivered.bytes,
            row.delivered.hash
        ));
    }
    lines.join("\n")
}

fn tally(row: &Value, hash_field: &str) -> Result<Tally> {
    let number = |field: &str| {
        row.get(field).and_then(Value::as_u64).with_context(|| format!("no number `{field}`"))
    };
    let hash = text_field(row, hash_field)?;
    let hash = u128::from_str_radix(hash, 16).with_context(|| format!("`{hash}` is not a hash"))?;
    Ok(Tally { records: number("records")?, bytes: number("bytes")?, hash })
}

fn text_field<'a>(row: &'a Value, field: &str) -> Result<&'a str> {
    row.get(field).and_then(Value::as_str).with_context(|| format!("no text `{field}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Tenant = Tenant { id: "one", log_group: "/logs/one", wanted: &["web"] };

    const MANIFEST: &str = r#"{"tenant":"one","application":"web","records":2,"bytes":9,"content_hash":"ffffffffffffffffffffffffffffffff"}
{"tenant":"one","application":"batch","records":5,"bytes":50,"content_hash":"00000000000000000000000000000007"}
{"tenant":"two","application":"web","records":1,"bytes":1,"content_hash":"00000000000000000000000000000001"}
"#;

    fn check(records: u64, hash: &str, verdict: &str, exact: bool) {
        let contents =
            format!(r#"{{"log_group":"/logs/one","records":{records},"bytes":9,"hash":"{hash}"}}"#);
        let rows = compare(
            &[TENANT],
            &parse_manifest(MANIFEST).unwrap(),
            &[parse_contents(&contents).unwrap()],
        );
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].generated, rows[0].filtered, rows[0].is_exact()),
            (7, 5, exact),
            "{contents}"
        );
        assert!(table(&rows).ends_with(verdict), "{}", table(&rows));
    }

    #[test]
    fn only_the_same_messages_count_as_exact() {
        let hash = "ffffffffffffffffffffffffffffffff";
        check(2, hash, "  exactly", true);
        check(3, hash, "  with 2 records expected", false);
        check(
            2,
            "00000000000000000000000000000001",
            "  with other content: expected ffffffffffffffffffffffffffffffff",
            false,
        );
    }

    #[test]
    fn a_log_group_without_messages_is_not_exact() {
        let rows = compare(&[TENANT], &[], &[]);
        assert!(!rows[0].is_exact());
    }

    #[test]
    fn hashes_add_modulo_two_to_the_128() {
        let all = Tenant { id: "one", log_group: "/logs/one", wanted: &[] };
        let rows = compare(&[all], &parse_manifest(MANIFEST).unwrap(), &[]);
        assert_eq!(rows[0].expected, Tally { records: 7, bytes: 59, hash: 6 });
    }
}
