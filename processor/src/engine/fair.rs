//! Shares the engine's hands among tenants: deficit round robin.
//!
//! A tenant with a thousand objects waits for its turn like one with a single
//! object, and never holds more than its part of the hands.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// What a tenant may spend each time it is its turn, in bytes of compressed objects.
const QUANTUM: u64 = 1024 * 1024;
/// The most that one object costs: a huge one must come to its turn, too.
const MAX_COST: u64 = 16 * QUANTUM;

/// Hands, and those who wait for one.
#[derive(Debug)]
pub struct Fair {
    state: Mutex<State>,
    per_tenant: usize,
}

#[derive(Debug)]
struct State {
    all: usize,
    free: usize,
    lanes: BTreeMap<String, Lane>,
    /// The tenants with somebody waiting, in the order of their turns.
    turns: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiter>,
    in_work: usize,
    credit: u64,
}

#[derive(Debug)]
struct Waiter {
    cost: u64,
    granted: oneshot::Sender<()>,
}

/// One hand. Dropping it gives it back.
#[derive(Debug)]
pub struct Hand {
    fair: Arc<Fair>,
    tenant: String,
}

impl Drop for Hand {
    fn drop(&mut self) {
        let mut state = self.fair.state();
        state.free += 1;
        if let Some(lane) = state.lanes.get_mut(&self.tenant) {
            lane.in_work = lane.in_work.saturating_sub(1);
            if lane.in_work == 0 && lane.waiting.is_empty() {
                state.lanes.remove(&self.tenant);
            }
        }
        state.grant(self.fair.per_tenant);
    }
}

impl Fair {
    /// Makes so many hands, of which one tenant never holds more than `per_tenant`.
    pub fn new(hands: usize, per_tenant: usize) -> Arc<Self> {
        let state =
            State { all: hands, free: hands, lanes: BTreeMap::new(), turns: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state), per_tenant: per_tenant.max(1) })
    }

    /// Takes a place among those who wait for a hand to work on an object of `tenant` with so many bytes.
    pub fn enlist(self: &Arc<Self>, tenant: &str, bytes: u64) -> Place {
        let (sender, granted) = oneshot::channel();
        let waiter = Waiter { cost: bytes.clamp(1, MAX_COST), granted: sender };
        let mut state = self.state();
        let lane = state.lanes.entry(tenant.to_owned()).or_default();
        let first = lane.waiting.is_empty();
        lane.waiting.push_back(waiter);
        if first {
            state.turns.push_back(tenant.to_owned());
        }
        state.grant(self.per_tenant);
        drop(state);
        Place { fair: Arc::clone(self), tenant: tenant.to_owned(), granted }
    }

    /// Returns how many hands nobody holds.
    pub fn free(&self) -> usize {
        self.state().free
    }

    /// Returns how many hands are at work.
    pub fn busy(&self) -> usize {
        let state = self.state();
        state.all - state.free
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait. Dropping it gives it up, with the hand that may have been granted.
#[derive(Debug)]
pub struct Place {
    fair: Arc<Fair>,
    tenant: String,
    granted: oneshot::Receiver<()>,
}

impl Place {
    /// Waits for the hand.
    pub async fn hand(mut self) -> Hand {
        // The sender is dropped only with the whole scheduler, which this place keeps.
        drop((&mut self.granted).await);
        Hand { fair: Arc::clone(&self.fair), tenant: self.tenant.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.granted.close();
        // Granted and not taken: the message is there, and its receiver goes.
        if self.granted.try_recv().is_ok() {
            drop(Hand { fair: Arc::clone(&self.fair), tenant: self.tenant.clone() });
        }
    }
}

impl State {
    /// Gives free hands away, tenant by tenant.
    fn grant(&mut self, per_tenant: usize) {
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.turns.len() {
            let Some(tenant) = self.turns.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&tenant) else { continue };
            lane.waiting.retain(|waiter| !waiter.granted.is_closed());
            let Some(cost) = lane.waiting.front().map(|waiter| waiter.cost) else {
                lane.credit = 0;
                if lane.in_work == 0 {
                    self.lanes.remove(&tenant);
                }
                continue;
            };
            if lane.in_work >= per_tenant {
                passed_over += 1;
                self.turns.push_back(tenant);
                continue;
            }
            passed_over = 0;
            if lane.credit < cost {
                lane.credit += QUANTUM;
            }
            while lane.credit >= lane.waiting.front().map_or(u64::MAX, |waiter| waiter.cost)
                && lane.in_work < per_tenant
                && self.free > 0
            {
                let Some(waiter) = lane.waiting.pop_front() else { break };
                if waiter.granted.send(()).is_ok() {
                    lane.credit -= waiter.cost;
                    lane.in_work += 1;
                    self.free -= 1;
                }
            }
            if lane.waiting.is_empty() {
                lane.credit = 0;
            } else {
                self.turns.push_back(tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

    use super::*;

    /// Lets tenants wait with objects of these sizes and returns the order in which they get the only hand.
    async fn order(waits: &[(&'static str, u64)]) -> Vec<&'static str> {
        let fair = Fair::new(1, 1);
        let first = fair.enlist("first", 1).hand().await;
        let mut waiting: FuturesUnordered<_> = waits
            .iter()
            .map(|(tenant, bytes)| {
                let place = fair.enlist(tenant, *bytes);
                async move { (*tenant, place.hand().await) }
            })
            .collect();
        assert!(waiting.next().now_or_never().is_none());
        drop(first);
        let mut order = Vec::new();
        while let Some((tenant, hand)) = waiting.next().await {
            order.push(tenant);
            drop(hand);
        }
        order
    }

    #[tokio::test]
    async fn tenants_take_turns_whatever_the_length_of_their_queues() {
        let waits =
            [("a", QUANTUM), ("a", QUANTUM), ("a", QUANTUM), ("b", QUANTUM), ("c", QUANTUM)];
        assert_eq!(order(&waits).await, ["a", "b", "c", "a", "a"]);
    }

    #[tokio::test]
    async fn a_tenant_with_large_objects_comes_less_often() {
        let mut waits = vec![("large", 4 * QUANTUM), ("large", 4 * QUANTUM)];
        waits.extend([("small", QUANTUM); 6]);
        let order = order(&waits).await;
        let position = order.iter().position(|tenant| *tenant == "large").unwrap();
        assert_eq!(position, 3, "{order:?}");
        assert_eq!(order.len(), 8);
    }

    #[tokio::test]
    async fn one_tenant_never_holds_all_hands() {
        let fair = Fair::new(4, 2);
        let _one = fair.enlist("noisy", 1).hand().await;
        let _two = fair.enlist("noisy", 1).hand().await;
        assert!(fair.enlist("noisy", 1).hand().now_or_never().is_none());
        assert_eq!(fair.free(), 2);
        let quiet = fair.enlist("quiet", 1).hand().await;
        assert_eq!(fair.free(), 1);
        drop(quiet);
        assert_eq!(fair.free(), 2);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_costs_no_hand() {
        let fair = Fair::new(1, 1);
        let held = fair.enlist("a", 1).hand().await;
        let given_up = fair.enlist("b", 1);
        // Granted, and given up before it was seen.
        drop(held);
        assert_eq!(fair.free(), 0);
        drop(given_up);
        assert_eq!(fair.free(), 1);
        // Given up before it was granted.
        let held = fair.enlist("a", 1).hand().await;
        drop(fair.enlist("b", 1));
        drop(held);
        assert_eq!(fair.free(), 1);
    }
}
