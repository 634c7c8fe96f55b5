//! Request rates per account and region, when a test asks for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Millis;
use crate::journal::CallFacts;

/// Token buckets of one second's worth, per rule, account and region.
#[derive(Debug)]
pub(crate) struct Throttles {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(String, u32)>,
    buckets: HashMap<(usize, String, String), Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Thousandths of a token.
    tokens: i64,
    at: Millis,
}

impl Throttles {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::default()) }
    }

    /// Limits calls that match a `service:operation` pattern.
    pub(crate) fn limit(&self, pattern: &str, per_second: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rules.retain(|(known, _)| known != pattern);
        state.rules.push((pattern.to_owned(), per_second));
        state.buckets.clear();
    }

    /// Takes a token for a call, or tells that there is none.
    pub(crate) fn admits(&self, call: &CallFacts, now: Millis) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { rules, buckets } = &mut *state;
        for (index, (pattern, per_second)) in rules.iter().enumerate() {
            if !call.is(pattern) {
                continue;
            }
            let full = i64::from(*per_second) * 1_000;
            let name = (index, call.account.clone(), call.region.clone());
            let bucket = buckets.entry(name).or_insert(Bucket { tokens: full, at: now });
            let gained =
                now.saturating_sub(bucket.at).max(0).saturating_mul(i64::from(*per_second));
            bucket.tokens = bucket.tokens.saturating_add(gained).min(full);
            bucket.at = now;
            if bucket.tokens < 1_000 {
                return false;
            }
            bucket.tokens -= 1_000;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(account: &str) -> CallFacts {
        CallFacts {
            service: "logs".to_owned(),
            operation: "CreateLogGroup".to_owned(),
            account: account.to_owned(),
            ..CallFacts::default()
        }
    }

    #[test]
    fn each_account_has_its_own_rate() {
        let throttles = Throttles::new();
        throttles.limit("logs:CreateLogGroup", 2);
        let rows = [
            ("1", 0, true),
            ("1", 0, true),
            ("1", 0, false),
            ("2", 0, true),
            ("1", 500, true),
            ("1", 500, false),
        ];
        for (account, now, expected) in rows {
            assert_eq!(throttles.admits(&call(account), now), expected, "{account} at {now}");
        }
    }
}
