//! A cache that asks once, however many wait.
//!
//! One look-up per key runs at a time. A value is renewed by one of its users
//! while the others still use it; a failure is remembered for a while, so that a
//! queue of waiters does not repeat it one by one.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::ports::{Fault, FaultClass};

/// How many keys are kept.
const CAPACITY: usize = 10_000;
/// How long a failure that may pass is remembered, in milliseconds.
const FAILURE_MS: i64 = 1_000;
/// How long the first refusal is remembered; each further one twice as long.
const REFUSAL_MS: i64 = 60_000;
/// The longest that a refusal is remembered.
const REFUSAL_CAP_MS: i64 = 15 * 60_000;
/// How long to leave a value alone that could not be renewed but still holds.
const RENEWAL_PAUSE_MS: i64 = 30_000;

/// A value and how long it holds, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh<V> {
    pub(crate) value: V,
    /// From then on it is renewed by whoever asks first.
    pub(crate) renew_ms: i64,
    /// From then on it is not used any more.
    pub(crate) expires_ms: i64,
}

/// How a look-up was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// From the cache.
    Hit,
    /// By asking.
    Miss,
}

/// Keys with their values.
#[derive(Debug)]
pub(crate) struct Cache<K, V>(Mutex<HashMap<K, Arc<Slot<V>>>>);

#[derive(Debug)]
struct Slot<V> {
    state: Mutex<State<V>>,
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State<V> {
    current: Option<Fresh<V>>,
    failure: Option<Failed>,
    refusals: u32,
}

#[derive(Debug, Clone)]
struct Failed {
    class: FaultClass,
    operation: &'static str,
    code: Option<String>,
    until_ms: i64,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        let state = State { current: None, failure: None, refusals: 0 };
        Self { state: Mutex::new(state), loading: tokio::sync::Mutex::default() }
    }
}

impl<V> Slot<V> {
    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// Returns the value of `key`, asking `load` if need be. `now` gives the time in milliseconds since the epoch.
    pub(crate) async fn get<F, Loading>(
        &self,
        key: &K,
        now: impl Fn() -> i64,
        load: F,
    ) -> Result<(V, Answer), Fault>
    where
        F: FnOnce() -> Loading,
        Loading: Future<Output = Result<Fresh<V>, Fault>>,
    {
        let slot = self.slot(key, now());
        if let Some(value) = fresh(&slot, now()) {
            return Ok((value, Answer::Hit));
        }
        if let Some(value) = usable(&slot, now()) {
            let Ok(_loading) = slot.loading.try_lock() else { return Ok((value, Answer::Hit)) };
            return match load().await {
                Ok(loaded) => Ok((keep(&slot, loaded), Answer::Miss)),
                Err(_) => {
                    if let Some(current) = &mut slot.state().current {
                        current.renew_ms = (now() + RENEWAL_PAUSE_MS).min(current.expires_ms);
                    }
                    Ok((value, Answer::Hit))
                }
            };
        }
        let _loading = slot.loading.lock().await;
        if let Some(value) = fresh(&slot, now()) {
            return Ok((value, Answer::Hit));
        }
        if let Some(fault) = recent_failure(&slot, now()) {
            return Err(fault);
        }
        match load().await {
            Ok(loaded) => Ok((keep(&slot, loaded), Answer::Miss)),
            Err(fault) => {
                remember_failure(&slot, &fault, now());
                Err(fault)
            }
        }
    }

    /// Forgets the value of `key` if `stale` says so, and any failure.
    pub(crate) fn forget(&self, key: &K, stale: impl Fn(&V) -> bool) {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let Some(slot) = slot else { return };
        let mut state = slot.state();
        if state.current.as_ref().is_some_and(|current| stale(&current.value)) {
            state.current = None;
        }
        state.failure = None;
    }

    fn slot(&self, key: &K, now_ms: i64) -> Arc<Slot<V>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return Arc::clone(slot);
        }
        if slots.len() >= CAPACITY {
            slots.retain(|_, slot| {
                let in_use = Arc::strong_count(slot) > 1;
                in_use
                    || slot
                        .state()
                        .current
                        .as_ref()
                        .is_some_and(|current| current.expires_ms > now_ms)
            });
            if slots.len() >= CAPACITY {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

fn fresh<V: Clone>(slot: &Slot<V>, now_ms: i64) -> Option<V> {
    let state = slot.state();
    state
        .current
        .as_ref()
        .filter(|current| now_ms < current.renew_ms)
        .map(|current| current.value.clone())
}

fn usable<V: Clone>(slot: &Slot<V>, now_ms: i64) -> Option<V> {
    let state = slot.state();
    state
        .current
        .as_ref()
        .filter(|current| now_ms < current.expires_ms)
        .map(|current| current.value.clone())
}

fn keep<V: Clone>(slot: &Slot<V>, loaded: Fresh<V>) -> V {
    let value = loaded.value.clone();
    *slot.state() = State { current: Some(loaded), failure: None, refusals: 0 };
    value
}

fn recent_failure<V>(slot: &Slot<V>, now_ms: i64) -> Option<Fault> {
    let failed = slot.state().failure.clone().filter(|failed| now_ms < failed.until_ms)?;
    let mut fault = Fault::new(failed.class, failed.operation);
    fault.code = failed.code;
    Some(fault)
}

fn remember_failure<V>(slot: &Slot<V>, fault: &Fault, now_ms: i64) {
    let mut state = slot.state();
    let refused = matches!(
        fault.class,
        FaultClass::Denied
            | FaultClass::RoleDenied
            | FaultClass::RegionDisabled
            | FaultClass::Systemic(_)
    );
    let hold_ms = if refused {
        state.refusals += 1;
        (REFUSAL_MS << (state.refusals - 1).min(8)).min(REFUSAL_CAP_MS)
    } else {
        FAILURE_MS
    };
    state.failure = Some(Failed {
        class: fault.class,
        operation: fault.operation,
        code: fault.code.clone(),
        until_ms: now_ms + hold_ms,
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use super::*;

    struct World {
        cache: Cache<&'static str, u32>,
        now: AtomicI64,
        loads: AtomicU32,
    }

    impl World {
        fn new() -> Self {
            Self { cache: Cache::default(), now: AtomicI64::new(0), loads: AtomicU32::new(0) }
        }

        async fn get(&self, result: Result<(), FaultClass>) -> Result<u32, FaultClass> {
            let load = || async {
                tokio::task::yield_now().await;
                let value = self.loads.fetch_add(1, Ordering::Relaxed) + 1;
                let now = self.now.load(Ordering::Relaxed);
                result.map_err(|class| Fault::new(class, "Load"))?;
                Ok(Fresh { value, renew_ms: now + 80, expires_ms: now + 100 })
            };
            let found = self.cache.get(&"key", || self.now.load(Ordering::Relaxed), load).await;
            found.map(|(value, _)| value).map_err(|fault| fault.class)
        }

        fn at(&self, now: i64) {
            self.now.store(now, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn many_waiters_cause_one_load() {
        let world = World::new();
        let found = futures_util::future::join_all((0..100).map(|_| world.get(Ok(())))).await;
        assert!(found.iter().all(|value| *value == Ok(1)));
        assert_eq!(world.loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_value_is_renewed_by_one_while_the_others_use_it() {
        let world = World::new();
        assert_eq!(world.get(Ok(())).await, Ok(1));
        world.at(79);
        assert_eq!(world.get(Ok(())).await, Ok(1));
        world.at(80);
        let found = futures_util::future::join_all((0..3).map(|_| world.get(Ok(())))).await;
        assert_eq!(found, [Ok(2), Ok(1), Ok(1)]);
        world.at(165);
        assert_eq!(
            world.get(Err(FaultClass::Unavailable)).await,
            Ok(2),
            "the old value still holds"
        );
        world.at(180);
        assert_eq!(world.get(Err(FaultClass::Unavailable)).await, Err(FaultClass::Unavailable));
    }

    #[tokio::test]
    async fn a_failure_is_remembered_and_a_refusal_longer_each_time() {
        for (class, holds) in [
            (FaultClass::Unavailable, [FAILURE_MS, FAILURE_MS]),
            (FaultClass::RoleDenied, [REFUSAL_MS, 2 * REFUSAL_MS]),
        ] {
            let world = World::new();
            let mut at = 0;
            for (round, hold) in holds.into_iter().enumerate() {
                world.at(at);
                assert_eq!(world.get(Err(class)).await, Err(class));
                world.at(at + hold - 1);
                assert_eq!(world.get(Ok(())).await, Err(class), "{class:?} in round {round}");
                at += hold;
            }
            world.at(at);
            assert!(world.get(Ok(())).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_forgotten_value_is_asked_for_again() {
        let world = World::new();
        assert_eq!(world.get(Ok(())).await, Ok(1));
        world.cache.forget(&"key", |value| *value == 7);
        assert_eq!(world.get(Ok(())).await, Ok(1));
        world.cache.forget(&"key", |value| *value == 1);
        assert_eq!(world.get(Ok(())).await, Ok(2));
    }
}
