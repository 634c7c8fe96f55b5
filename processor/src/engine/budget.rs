//! The memory that all objects in work share.
//!
//! Each object has a small share of its own, with which it always gets on. What makes it faster beyond that (longer
//! segments, more calls at a time) comes out of one budget, for as long as there is any. Nobody waits for it, so an
//! object whose destination hangs holds up nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are given out and come back.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Mutex<usize>>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Returns a grant of nothing.
    pub(crate) fn nothing(&self) -> Grant {
        Grant { budget: self.clone(), bytes: 0 }
    }

    /// Returns a grant of so many bytes, if there are as many.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Grant> {
        let mut grant = self.nothing();
        grant.try_widen(bytes).then_some(grant)
    }

    /// Returns how many bytes nobody has.
    pub(crate) fn free(&self) -> usize {
        *self.bytes()
    }

    fn bytes(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a budget. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Grant {
    budget: Budget,
    bytes: usize,
}

impl Grant {
    /// Takes so many bytes more, if there are as many. Whether there were.
    pub(crate) fn try_widen(&mut self, bytes: usize) -> bool {
        let mut free = self.budget.bytes();
        let Some(left) = free.checked_sub(bytes) else { return false };
        *free = left;
        self.bytes += bytes;
        true
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        *self.budget.bytes() += self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_comes_back_and_no_more_is_granted_than_there_is() {
        let budget = Budget::new(100);
        let mut first = budget.try_take(60).unwrap();
        assert!(budget.try_take(41).is_none());
        let second = budget.try_take(40).unwrap();
        assert!(!first.try_widen(1));
        drop(second);
        assert!(first.try_widen(40));
        assert_eq!((first.bytes(), budget.free()), (100, 0));
        drop(first);
        assert_eq!(budget.free(), 100);
    }
}
