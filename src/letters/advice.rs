//! What mends each reason, and whether a redrive helps. The table in `docs/dead-letters.md` says the same.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{RECEIVED_TOO_OFTEN, REFUSED_BY_QUEUE, UNKNOWN};

/// What is known about a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The word in the letter.
    pub reason: &'static str,
    /// Whether the letter can be delivered at all.
    pub prospect: Prospect,
    /// What to do, a sentence without its full stop.
    pub remedy: &'static str,
}

/// What a redrive of a letter leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It should work now.
    Good,
    /// It works once somebody has mended something.
    Mend,
    /// The letter comes back.
    None,
}

use Prospect::{Good, Mend, None as Hopeless};

const fn advice(reason: &'static str, prospect: Prospect, remedy: &'static str) -> Advice {
    Advice { reason, prospect, remedy }
}

/// Every reason that a letter may have.
pub const ALL: &[Advice] = &[
    advice("unknown_tenant", Mend, "add the tenant (mtlog tenant add), then redrive"),
    advice(
        "invalid_tenant_item",
        Mend,
        "mend the item (mtlog tenant show names the mistake), then redrive",
    ),
    advice(
        "role_denied",
        Mend,
        "the customer's role must trust the central role with the ExternalId; then redrive",
    ),
    advice("write_denied", Mend, "the customer's role must allow the write; then redrive"),
    advice(
        "read_denied",
        Mend,
        "the engine's role must read the bucket and use its key; then redrive",
    ),
    advice(
        "region_disabled",
        Mend,
        "the customer must activate the region, or the tenant another one; then redrive",
    ),
    advice(
        "limit_exceeded",
        Mend,
        "the customer's account is at its limit of log groups; raise it, then redrive",
    ),
    advice(
        "invalid_destination",
        Mend,
        "the log group refuses every batch: look at its KMS key, then redrive",
    ),
    advice(
        "destination_missing",
        Mend,
        "the customer's bucket does not exist: make it, or change the tenant; then redrive",
    ),
    advice(
        "throttled",
        Good,
        "the service asked to slow down for too long: redrive slowly (--rate 5)",
    ),
    advice("unavailable", Good, "a service was down for too long: redrive"),
    advice("credentials_expired", Good, "credentials did not renew in time: redrive"),
    advice("object_changing", Good, "the object was written again and again: redrive"),
    advice("in_work_elsewhere", Good, "another process held the object: redrive"),
    advice("internal", Good, "the engine failed: redrive, and report it if it comes back"),
    advice(
        "object_gone",
        Hopeless,
        "the object was deleted or has expired: purge what nobody can bring back",
    ),
    advice(
        "invalid_key",
        Hopeless,
        "the key does not follow the layout: mend the collector or S3_KEY_PREFIX, then redrive",
    ),
    advice(
        "bucket_not_allowed",
        Hopeless,
        "the message names a bucket that the engine does not read: find its sender, purge",
    ),
    advice(
        "content_truncated",
        Hopeless,
        "the object ends early; what could be read is delivered: purge, or upload it again",
    ),
    advice(
        "content_corrupt",
        Hopeless,
        "the object is damaged; what could be read is delivered: purge, or upload it again",
    ),
    advice(
        "content_compressed_twice",
        Hopeless,
        "mend the collector; the object must be written anew: purge",
    ),
    advice(
        "content_undecodable",
        Hopeless,
        "the object holds no JSON records: mend its writer, purge",
    ),
    advice(
        "content_bomb",
        Hopeless,
        "the object expands beyond the limit: look at it by hand, purge",
    ),
    advice("body_not_json", Hopeless, "the message is no S3 event: find its sender, purge"),
    advice("unknown_envelope", Hopeless, "the message is no S3 event: find its sender, purge"),
    advice(
        "invalid_record",
        Hopeless,
        "the event cannot be understood: look at it (mtlog dlq show), purge",
    ),
    advice(
        "too_many_hops",
        Mend,
        "the object takes too long: give the engine more time or memory, then redrive",
    ),
    advice(
        RECEIVED_TOO_OFTEN,
        Mend,
        "the engine died or never finished: look at its logs and alarms, then redrive",
    ),
    advice(
        REFUSED_BY_QUEUE,
        Mend,
        "the queue refused the topic: look at its policy and key, then redrive",
    ),
    advice(UNKNOWN, Mend, "nobody says who sent it: look at it (mtlog dlq show)"),
];

/// Returns what is known about a reason. A newer engine may know more of them.
pub fn find(reason: &str) -> Option<Advice> {
    ALL.iter().find(|advice| advice.reason == reason).copied()
}

/// One of the known reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A word that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{word}` is no reason of a letter: it is one of {}", words())]
pub struct UnknownReason {
    word: String,
}

fn words() -> String {
    ALL.iter().map(|advice| advice.reason).collect::<Vec<_>>().join(", ")
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(word: &str) -> Result<Self, UnknownReason> {
        find(word)
            .map(|advice| Self(advice.reason))
            .ok_or_else(|| UnknownReason { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use mtlog_processor::model::outcome::{Outcome, ParkReason, PoisonReason, TransientReason};

    use super::*;

    #[test]
    fn every_reason_of_the_engine_is_explained_here_and_in_the_documentation() {
        let mut words: Vec<&str> = vec![Outcome::Gone.as_str()];
        words.extend(PoisonReason::ALL.iter().map(|reason| reason.as_str()));
        words.extend(ParkReason::ALL.iter().map(|reason| reason.as_str()));
        words.extend(TransientReason::ALL.iter().map(|reason| reason.as_str()));
        words.extend([RECEIVED_TOO_OFTEN, REFUSED_BY_QUEUE, UNKNOWN]);
        let page = include_str!("../../docs/dead-letters.md");
        for word in &words {
            assert!(find(word).is_some(), "{word}");
            assert!(page.contains(&format!("`{word}`")), "{word} in docs/dead-letters.md");
        }
        assert_eq!(ALL.len(), words.len());
    }

    #[test]
    fn a_word_that_is_no_reason_is_refused_with_those_that_are() {
        assert_eq!("role_denied".parse::<Reason>().unwrap().as_str(), "role_denied");
        let text = "denied".parse::<Reason>().unwrap_err().to_string();
        assert!(text.contains("`denied`") && text.contains("role_denied"), "{text}");
    }
}
