//! The memory that all objects in work share.
//!
//! Each object has a share of its own, with which it always gets on. What makes it faster beyond that (more segments,
//! so more calls at a time) comes out of one budget, for as long as there is any. Nobody waits for it, so an
//! object whose destination hangs holds up nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are given out and come back.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Mutex<usize>>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Returns a grant of so many bytes, if there are as many.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Grant> {
        let mut free = self.bytes();
        *free = free.checked_sub(bytes)?;
        Some(Grant { budget: self.clone(), bytes })
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
        let first = budget.try_take(60).unwrap();
        assert!(budget.try_take(41).is_none());
        let second = budget.try_take(40).unwrap();
        assert_eq!(budget.free(), 0);
        drop(second);
        assert_eq!(budget.free(), 40);
        drop(first);
        assert_eq!(budget.free(), 100);
    }
}
