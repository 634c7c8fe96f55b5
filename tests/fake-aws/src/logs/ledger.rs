//! The ledger: every event that was accepted, in the order of acceptance, duplicates included.
//!
//! It outlives the groups and streams, so that a test can account for all that was ever taken.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use super::Place;

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogTarget {
    /// The account of the credentials.
    pub account: String,
    /// The region of the credential scope.
    pub region: String,
    /// The log group.
    pub group: String,
    /// The log stream.
    pub stream: String,
}

impl LogTarget {
    pub(super) fn new((account, region): &Place, group: &str, stream: &str) -> Self {
        Self {
            account: account.clone(),
            region: region.clone(),
            group: group.to_owned(),
            stream: stream.to_owned(),
        }
    }
}

/// An event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The event's own time, milliseconds since the epoch.
    pub timestamp: i64,
    /// When it was accepted, milliseconds since the epoch on the fake's clock.
    pub ingested_at: i64,
    /// The number of the `PutLogEvents` call that brought it, from 1, over all targets.
    pub batch: u64,
    /// The message; empty when only hashes are kept.
    pub message: Box<str>,
    /// [`message_hash`] of the message.
    pub hash: u64,
    /// Bytes of the message.
    pub bytes: u32,
}

/// How much of the accepted events is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepEvents {
    /// Everything.
    #[default]
    Messages,
    /// Times, sizes and hashes: 48 bytes an event.
    Hashes,
    /// Counts per stream.
    Counts,
    /// Bodies are not even parsed, nothing is checked but the signature: for measuring the
    /// client's speed alone.
    OnlyCountBytes,
}

/// Sums over the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerTotals {
    /// Calls that were accepted.
    pub batches: u64,
    /// Events that were accepted.
    pub events: u64,
    /// Bytes of their messages.
    pub message_bytes: u64,
    /// Events that a successful call left out as too old, too new or expired.
    pub rejected_events: u64,
    /// Bytes of bodies that were counted without being read.
    pub discarded_body_bytes: u64,
}

/// Hashes a message. The value is the same in every run of the same build.
pub fn message_hash(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(message.as_bytes());
    hasher.finish()
}

#[derive(Debug)]
pub(super) struct Ledger {
    events: BTreeMap<LogTarget, Vec<LoggedEvent>>,
    counts: BTreeMap<LogTarget, LedgerTotals>,
    totals: LedgerTotals,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { events: BTreeMap::new(), counts: BTreeMap::new(), totals: LedgerTotals::default() }
    }

    /// Adds the accepted part of a batch.
    pub(super) fn add<'a>(
        &mut self,
        target: &LogTarget,
        keep: KeepEvents,
        batch: u64,
        ingested_at: i64,
        rejected: u64,
        events: impl Iterator<Item = (i64, &'a str)>,
    ) {
        let mut added =
            LedgerTotals { batches: 1, rejected_events: rejected, ..LedgerTotals::default() };
        let kept = match keep {
            KeepEvents::Messages | KeepEvents::Hashes => {
                Some(self.events.entry(target.clone()).or_default())
            }
            KeepEvents::Counts | KeepEvents::OnlyCountBytes => None,
        };
        let mut count = |message: &str| {
            added.events += 1;
            added.message_bytes += message.len() as u64;
        };
        if let Some(kept) = kept {
            for (timestamp, message) in events {
                count(message);
                kept.push(LoggedEvent {
                    timestamp,
                    ingested_at,
                    batch,
                    message: if keep == KeepEvents::Messages { message.into() } else { "".into() },
                    hash: message_hash(message),
                    bytes: u32::try_from(message.len()).unwrap_or(u32::MAX),
                });
            }
        } else {
            events.for_each(|(_, message)| count(message));
        }
        self.counts.entry(target.clone()).or_default().merge(&added);
        self.totals.merge(&added);
    }

    pub(super) fn add_discarded(&mut self, bytes: u64) {
        self.totals.merge(&LedgerTotals {
            batches: 1,
            discarded_body_bytes: bytes,
            ..LedgerTotals::default()
        });
    }

    /// Returns the kept events of a target.
    pub(super) fn events(&self, target: &LogTarget) -> &[LoggedEvent] {
        self.events.get(target).map_or(&[], Vec::as_slice)
    }

    /// Tells how many events of a target are kept.
    pub(super) fn kept(&self, target: &LogTarget) -> usize {
        self.events(target).len()
    }

    pub(super) fn all(&self) -> &BTreeMap<LogTarget, Vec<LoggedEvent>> {
        &self.events
    }

    pub(super) fn counts(&self) -> &BTreeMap<LogTarget, LedgerTotals> {
        &self.counts
    }

    pub(super) fn totals(&self) -> LedgerTotals {
        self.totals
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

impl LedgerTotals {
    pub(super) fn merge(&mut self, other: &Self) {
        self.batches += other.batches;
        self.events += other.events;
        self.message_bytes += other.message_bytes;
        self.rejected_events += other.rejected_events;
        self.discarded_body_bytes += other.discarded_body_bytes;
    }
}
