//! How many calls an account and region gets at a time.
//!
//! More while it keeps up, half as many when it asks to slow down: additive
//! increase, multiplicative decrease.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::model::ids::{AccountId, Region};

/// How many calls at a time at first.
const FIRST: f64 = 8.0;
/// The most calls at a time.
const MOST: f64 = 16.0;
/// A second throttle within so many milliseconds is the same one.
const ONE_THROTTLE_MS: i64 = 1_000;
/// How many accounts are remembered.
const REMEMBERED: usize = 10_000;

/// The paces of all accounts and regions.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<HashMap<(AccountId, Region), Arc<Pace>>>);

/// The pace of one account and region.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    throttled_ms: Option<i64>,
}

/// One call under way. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Call<'a>(&'a Pace);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

impl Paces {
    /// Returns the pace of an account in a region.
    pub(crate) fn of(&self, account: &AccountId, region: &Region) -> Arc<Pace> {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= REMEMBERED {
            paces.retain(|_, pace| Arc::strong_count(pace) > 1);
        }
        Arc::clone(paces.entry((account.clone(), region.clone())).or_default())
    }
}

impl Default for Pace {
    fn default() -> Self {
        let state = State { limit: FIRST, in_flight: 0, throttled_ms: None };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }
}

impl Pace {
    /// Waits until one more call may be made.
    pub(crate) async fn enter(&self) -> Call<'_> {
        loop {
            {
                let mut state = self.state();
                if f64::from(state.in_flight) < state.limit {
                    state.in_flight += 1;
                    // Whoever else was woken for nothing, or not at all, gets the next place.
                    if f64::from(state.in_flight) < state.limit {
                        self.freed.notify_one();
                    }
                    return Call(self);
                }
            }
            self.freed.notified().await;
        }
    }

    /// Notes that a call was accepted.
    pub(crate) fn kept_up(&self) {
        let mut state = self.state();
        state.limit = (state.limit + 1.0 / state.limit).min(MOST);
    }

    /// Notes that a call was throttled.
    pub(crate) fn throttled(&self, now_ms: i64) {
        let mut state = self.state();
        if state.throttled_ms.is_none_or(|last| now_ms - last >= ONE_THROTTLE_MS) {
            state.throttled_ms = Some(now_ms);
            state.limit = (state.limit / 2.0).max(1.0);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Returns how many calls may be made at a time now.
    fn places(pace: &Pace) -> usize {
        let mut calls = Vec::new();
        while let Some(call) = pace.enter().now_or_never() {
            calls.push(call);
        }
        calls.len()
    }

    #[tokio::test]
    async fn the_pace_halves_once_per_throttle_and_recovers_slowly() {
        let pace = Pace::default();
        assert_eq!(places(&pace), 8);
        (0..10).for_each(|_| pace.throttled(0));
        assert_eq!(places(&pace), 4);
        pace.throttled(ONE_THROTTLE_MS);
        assert_eq!(places(&pace), 2);
        (2..10).for_each(|second| pace.throttled(second * ONE_THROTTLE_MS));
        assert_eq!(places(&pace), 1);
        (0..1000).for_each(|_| pace.kept_up());
        assert_eq!(places(&pace), 16);
    }

    #[tokio::test]
    async fn a_call_that_ends_lets_the_next_one_in() {
        let pace = Pace::default();
        let mut calls: Vec<Call<'_>> = Vec::new();
        for _ in 0..8 {
            calls.push(pace.enter().await);
        }
        let mut waiting = Box::pin(pace.enter());
        assert!((&mut waiting).now_or_never().is_none());
        calls.pop();
        assert!((&mut waiting).now_or_never().is_some());
    }
}
