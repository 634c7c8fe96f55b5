//! What was written, per tenant and application: the figures that a delivery is compared with.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use mtlog_processor::model::ids::TenantId;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A hash of a set of messages in which neither order nor grouping matters.
///
/// It is the sum, modulo 2^128, of the first 16 bytes (big-endian) of each message's SHA-256. Two copies of a
/// message count twice, so a duplicate shows as well as a loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentHash(u128);

impl ContentHash {
    /// Adds one message.
    pub fn add(&mut self, message: &[u8]) {
        let digest = Sha256::digest(message);
        let head = digest.iter().take(16).fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        self.0 = self.0.wrapping_add(head);
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A number of messages, with their size and content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many messages.
    pub records: u64,
    /// Their size in bytes of UTF-8, without the record around them.
    pub bytes: u64,
    /// Their content.
    pub content: ContentHash,
}

impl Tally {
    /// Counts one message.
    pub fn add(&mut self, message: &str) {
        self.records += 1;
        self.bytes += message.len() as u64;
        self.content.add(message.as_bytes());
    }

    fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.content.0 = self.content.0.wrapping_add(other.content.0);
    }
}

/// The tallies of all tenants and applications, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    rows: BTreeMap<(TenantId, String), Tally>,
}

/// One line of a manifest file.
#[derive(Serialize)]
struct Row<'a> {
    tenant: &'a str,
    application: &'a str,
    records: u64,
    bytes: u64,
    content_hash: String,
}

impl Manifest {
    /// Adds what was written for an application of a tenant.
    pub fn add(&mut self, tenant: &TenantId, application: &str, tally: &Tally) {
        self.rows.entry((tenant.clone(), application.to_owned())).or_default().merge(tally);
    }

    /// Returns the number of messages of all.
    pub fn records(&self) -> u64 {
        self.rows.values().map(|tally| tally.records).sum()
    }

    /// Writes one JSON object a line: `tenant`, `application`, `records`, `bytes`, `content_hash`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for ((tenant, application), tally) in &self.rows {
            let row = Row {
                tenant: tenant.as_str(),
                application,
                records: tally.records,
                bytes: tally.bytes,
                content_hash: tally.content.to_string(),
            };
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(messages: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for message in messages {
            tally.add(message);
        }
        tally
    }

    #[test]
    fn the_hash_is_the_sum_of_truncated_sha256() {
        // SHA-256 of "abc" starts ba7816bf8f01cfea414140de5dae2223.
        assert_eq!(tally(&["abc"]).content.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        // Twice that, modulo 2^128.
        assert_eq!(tally(&["abc", "abc"]).content.to_string(), "74f02d7f1e039fd4828281bcbb5c4446");
    }

    #[test]
    fn order_does_not_matter_and_duplicates_do() {
        assert_eq!(tally(&["a", "b"]), tally(&["b", "a"]));
        assert_ne!(tally(&["a", "b"]).content, tally(&["a", "b", "b"]).content);
        assert_ne!(tally(&["ab"]).content, tally(&["a", "b"]).content);
    }

    #[test]
    fn a_manifest_has_one_line_per_tenant_and_application() {
        let tenant: TenantId = "ocm-acme".parse().unwrap();
        let mut manifest = Manifest::default();
        manifest.add(&tenant, "web", &tally(&["abc"]));
        manifest.add(&tenant, "api", &tally(&["é"]));
        manifest.add(&tenant, "web", &tally(&["abc"]));
        let mut text = Vec::new();
        manifest.write(&mut text).unwrap();
        let lines: Vec<serde_json::Value> = String::from_utf8(text)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["application"], &lines[0]["bytes"]), (&"api".into(), &2.into()));
        assert_eq!(
            lines[1],
            serde_json::json!({"tenant": "ocm-acme", "application": "web", "records": 2, "bytes": 6,
                "content_hash": "74f02d7f1e039fd4828281bcbb5c4446"})
        );
    }
}
