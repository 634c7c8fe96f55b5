//! The wish to break off.
//!
//! Work is broken off between two segments, and every wait ends at once. A
//! message's wish also holds when the process's does.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::model::outcome::StopReason;

/// A wish to break off, shared by those who may have it and those who heed it.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
    parent: Option<Arc<OnceLock<StopReason>>>,
}

impl Stop {
    /// Makes a wish for one message; it also holds when this one does.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            reason: Arc::default(),
            parent: Some(Arc::clone(&self.reason)),
        }
    }

    /// Wishes to break off. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        // A second reason changes nothing: the work is being broken off already.
        if self.reason.set(reason).is_ok() {
            self.token.cancel();
        }
    }

    /// Returns why to break off, if so.
    pub fn reason(&self) -> Option<StopReason> {
        let inherited = || self.parent.as_ref().and_then(|parent| parent.get());
        self.reason.get().or_else(inherited).copied()
    }

    /// Waits for the wish.
    pub async fn stopped(&self) -> StopReason {
        self.token.cancelled().await;
        self.reason().unwrap_or(StopReason::Shutdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_stops_with_its_process_and_alone() {
        let process = Stop::default();
        let (one, other) = (process.child(), process.child());
        one.stop(StopReason::LeaseLost);
        one.stop(StopReason::Deadline);
        assert_eq!(
            (one.reason(), other.reason(), process.reason()),
            (Some(StopReason::LeaseLost), None, None)
        );
        process.stop(StopReason::Shutdown);
        assert_eq!(one.stopped().await, StopReason::LeaseLost);
        assert_eq!(other.stopped().await, StopReason::Shutdown);
    }
}
