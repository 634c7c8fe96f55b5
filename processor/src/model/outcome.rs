//! What became of records, objects and messages.
//!
//! [`Ledger`] counts the records of one object; [`Outcome`] says how one object
//! ended at one destination. `engine::verdict` turns outcomes into what happens
//! to the message.

use std::{fmt, ops::AddAssign, time::Duration};

use serde::{Deserialize, Serialize};

/// Where every record of an object went. `read` is the sum of the other fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Records found in the object, the undecodable ones included.
    pub read: u64,
    /// Accepted by the destination.
    pub delivered: u64,
    /// Not wanted by the tenant.
    pub filtered: u64,
    /// Refused by the service as too old (more than 14 days).
    pub rejected_old: u64,
    /// Refused by the service as too new (more than two hours ahead).
    pub rejected_new: u64,
    /// Refused by the service as older than the log group's retention.
    pub expired: u64,
    /// Refused by the service as invalid, and isolated from the rest.
    pub quarantined: u64,
    /// Not readable as a log record.
    pub undecodable: u64,
}

impl Ledger {
    /// Returns the records that have reached a final state.
    pub const fn settled(&self) -> u64 {
        self.delivered
            + self.filtered
            + self.rejected_old
            + self.rejected_new
            + self.expired
            + self.quarantined
            + self.undecodable
    }

    /// Whether every record that was read has reached a final state.
    pub const fn is_balanced(&self) -> bool {
        self.read == self.settled()
    }
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.rejected_old += other.rejected_old;
        self.rejected_new += other.rejected_new;
        self.expired += other.expired;
        self.quarantined += other.quarantined;
        self.undecodable += other.undecodable;
    }
}

/// The step at which something went wrong; an attribute of dead letters and of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Understanding the message.
    Envelope,
    /// Reading the key and choosing destinations.
    Route,
    /// Looking up the tenant.
    Directory,
    /// Reading the object.
    Read,
    /// Decoding its content.
    Decode,
    /// Assuming the roles.
    Assume,
    /// Writing to the destination.
    Deliver,
}

impl Stage {
    /// Returns the name used in attributes and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Route => "route",
            Self::Directory => "directory",
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Assume => "assume",
            Self::Deliver => "deliver",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the reasons of one class, each with the word that dead letters, log lines and metrics use.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the word used in attributes, log lines and metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Why there was nothing to deliver, or nothing left to do.
    Skip {
        /// The event names no object to deliver.
        Ignored = "ignored_event",
        /// The tenant does not want this application.
        Unwanted = "application_not_wanted",
        /// The delivery is switched off.
        Disabled = "delivery_disabled",
        /// This object has been delivered to this destination before.
        Duplicate = "duplicate",
    }
}

reasons! {
    /// Why a message can never be delivered as it is.
    PoisonReason {
        /// The body is not JSON.
        NotJson = "body_not_json",
        /// The body is none of the known envelopes.
        UnknownEnvelope = "unknown_envelope",
        /// One record of the event cannot be understood.
        InvalidRecord = "invalid_record",
        /// The object key does not follow the layout.
        InvalidKey = "invalid_key",
        /// The bucket is not one that this engine reads.
        BucketNotAllowed = "bucket_not_allowed",
        /// The compressed data ends early.
        Truncated = "content_truncated",
        /// The compressed data is damaged.
        Corrupt = "content_corrupt",
        /// The content is compressed twice.
        Nested = "content_compressed_twice",
        /// The content is not a sequence of JSON records.
        Undecodable = "content_undecodable",
        /// The data expands beyond the limit.
        Bomb = "content_bomb",
        /// The message has been handed on too often.
        TooManyHops = "too_many_hops",
    }
}

reasons! {
    /// What somebody has to mend before the message can be delivered.
    ParkReason {
        /// The tenant is not in the table.
        UnknownTenant = "unknown_tenant",
        /// An item of the tenant cannot be used.
        InvalidItem = "invalid_tenant_item",
        /// The customer's role refuses us, or does not exist.
        RoleDenied = "role_denied",
        /// The customer's account refuses the write.
        WriteDenied = "write_denied",
        /// Reading the object is refused.
        ReadDenied = "read_denied",
        /// The region is not active in the customer's account.
        RegionDisabled = "region_disabled",
        /// The account has as many log groups as it may have.
        LimitExceeded = "limit_exceeded",
        /// The destination refuses every batch as invalid, as it does when the group's key is disabled.
        InvalidDestination = "invalid_destination",
        /// The destination's bucket does not exist.
        DestinationMissing = "destination_missing",
    }
}

reasons! {
    /// What should pass by itself.
    TransientReason {
        /// The service asks us to slow down.
        Throttled = "throttled",
        /// The service, or the way to it, failed.
        Unavailable = "unavailable",
        /// Credentials expired and a fresh set did not help in time.
        Expired = "credentials_expired",
        /// The object changed again and again while it was read.
        Changing = "object_changing",
        /// Another process works on the same object.
        Busy = "in_work_elsewhere",
        /// A part of this engine failed; the message was not harmed.
        Internal = "internal",
    }
}

reasons! {
    /// Why an attempt was broken off between two segments.
    StopReason {
        /// The process is shutting down.
        Shutdown = "shutdown",
        /// The queue has given the message to somebody else.
        LeaseLost = "lease_lost",
        /// The time for this attempt is up.
        Deadline = "deadline",
    }
}

reasons! {
    /// What stops the whole engine rather than one message.
    SystemicReason {
        /// The engine's own credentials are missing or refused.
        OwnCredentials = "own_credentials",
        /// The central role refuses us.
        CentralRoleDenied = "central_role_denied",
        /// The tenant table cannot be read.
        TableUnreadable = "tenant_table_unreadable",
    }
}

/// How one object ended at one destination, or before one was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record is accounted for.
    Delivered,
    /// There was nothing to deliver.
    Skipped(Skip),
    /// It did not work now and should work soon.
    Transient {
        /// Why.
        reason: TransientReason,
        /// Where.
        stage: Stage,
    },
    /// It works once somebody mends something.
    Parked {
        /// Why.
        reason: ParkReason,
        /// Where.
        stage: Stage,
    },
    /// It will never work.
    Poison {
        /// Why.
        reason: PoisonReason,
        /// Where.
        stage: Stage,
    },
    /// The object does not exist.
    Gone,
    /// The attempt was broken off; what is committed stays committed.
    Stopped(StopReason),
    /// The engine itself cannot work.
    Systemic(SystemicReason),
}

impl Outcome {
    /// Whether nothing is left to do.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Delivered | Self::Skipped(_))
    }

    /// Returns the word for log lines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Skipped(skip) => skip.as_str(),
            Self::Transient { reason, .. } => reason.as_str(),
            Self::Parked { reason, .. } => reason.as_str(),
            Self::Poison { reason, .. } => reason.as_str(),
            Self::Gone => "object_gone",
            Self::Stopped(reason) => reason.as_str(),
            Self::Systemic(reason) => reason.as_str(),
        }
    }
}

/// What a message has been through, as far as a verdict depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// How often the message was received, this time included; hand-overs to ourselves count on.
    pub receives: u32,
    /// After how many receives the queue moves the message away by itself; none: never.
    pub max_receives: Option<u32>,
    /// The time since the message was first sent.
    pub age: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_balances_when_every_record_is_settled() {
        let mut ledger = Ledger { read: 10, delivered: 4, rejected_old: 3, ..Ledger::default() };
        assert!(!ledger.is_balanced());
        ledger += Ledger { filtered: 1, undecodable: 1, quarantined: 1, ..Ledger::default() };
        assert!(ledger.is_balanced());
    }

    #[test]
    fn reasons_are_distinct_words() {
        let mut words: Vec<&str> = Vec::new();
        words.extend(PoisonReason::ALL.iter().map(|reason| reason.as_str()));
        words.extend(ParkReason::ALL.iter().map(|reason| reason.as_str()));
        words.extend(TransientReason::ALL.iter().map(|reason| reason.as_str()));
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
