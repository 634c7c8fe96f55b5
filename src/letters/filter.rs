//! Chooses letters.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use mtlog_processor::model::ids::TenantId;

use super::{Letter, advice::Reason, span};

/// Which letters are meant. What is empty or absent lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Letters of one of these tenants.
    pub tenants: Vec<TenantId>,
    /// Letters with one of these reasons.
    pub reasons: Vec<Reason>,
    /// Letters that were sent at least so long ago.
    pub older_than: Option<Duration>,
    /// Letters that were sent less than so long ago.
    pub newer_than: Option<Duration>,
}

impl Filter {
    /// Whether every letter is meant.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this letter is meant.
    pub fn admits(&self, letter: &Letter, now: Timestamp) -> bool {
        let age = letter.age(now);
        let tenant = letter.tenant.as_deref();
        let of_tenant = self.tenants.is_empty()
            || self.tenants.iter().any(|wanted| Some(wanted.as_str()) == tenant);
        let for_reason = self.reasons.is_empty()
            || self.reasons.iter().any(|wanted| wanted.as_str() == letter.reason);
        of_tenant
            && for_reason
            && self.older_than.is_none_or(|least| age >= least)
            && self.newer_than.is_none_or(|most| age < most)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.tenants.is_empty() {
            let names: Vec<&str> = self.tenants.iter().map(TenantId::as_str).collect();
            parts.push(format!("of tenant {}", names.join(" or ")));
        }
        if !self.reasons.is_empty() {
            let words: Vec<&str> = self.reasons.iter().map(|reason| reason.as_str()).collect();
            parts.push(format!("with reason {}", words.join(" or ")));
        }
        parts.extend(self.older_than.map(|time| format!("older than {}", span(time))));
        parts.extend(self.newer_than.map(|time| format!("newer than {}", span(time))));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::Sender;

    fn letter(tenant: &str, reason: &str, age_seconds: i64) -> Letter {
        Letter {
            id: "m".to_owned(),
            sender: Sender::Engine,
            reason: reason.to_owned(),
            stage: None,
            tenant: Some(tenant.to_owned()),
            destination: None,
            objects: Vec::new(),
            detail: None,
            version: None,
            settled_records: 0,
            cut_from_bytes: None,
            sent: Timestamp::from_second(1_000_000 - age_seconds).unwrap(),
            receives: 0,
            body_bytes: 0,
        }
    }

    #[test]
    fn letters_are_chosen_by_tenant_reason_and_age() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let hour = Some(Duration::from_secs(3_600));
        let letter = letter("acme", "role_denied", 3_600);
        let tenants = |name: &str| vec![name.parse().unwrap()];
        let reasons = |word: &str| vec![word.parse().unwrap()];
        for (filter, admitted) in [
            (Filter::default(), true),
            (Filter { tenants: tenants("acme"), ..Filter::default() }, true),
            (Filter { tenants: tenants("globex"), ..Filter::default() }, false),
            (Filter { reasons: reasons("role_denied"), ..Filter::default() }, true),
            (Filter { reasons: reasons("throttled"), ..Filter::default() }, false),
            (Filter { older_than: hour, ..Filter::default() }, true),
            (Filter { newer_than: hour, ..Filter::default() }, false),
            (
                Filter {
                    tenants: tenants("acme"),
                    reasons: reasons("throttled"),
                    ..Filter::default()
                },
                false,
            ),
        ] {
            assert_eq!(filter.admits(&letter, now), admitted, "{filter:?}");
        }
        assert!(!Filter { newer_than: hour, ..Filter::default() }.is_everything());
    }

    #[test]
    fn a_filter_is_said_in_words() {
        let filter = Filter {
            tenants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            reasons: vec!["object_gone".parse().unwrap()],
            older_than: Some(Duration::from_secs(7_200)),
            newer_than: None,
        };
        assert_eq!(filter.to_string(), "of tenant a or b, with reason object_gone, older than 2h");
    }
}
