//! Stops work between two steps: what a step has begun is finished first.

use std::{fmt, future::Future, pin::Pin};

use futures_util::FutureExt as _;

use super::watching::asked_to_stop;

/// Whether Ctrl-C or SIGTERM came since this was made.
pub(super) struct StopRequest {
    waiting: Pin<Box<dyn Future<Output = ()>>>,
    came: bool,
}

impl StopRequest {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        let mut stop = Self { waiting: Box::pin(asked_to_stop()), came: false };
        // The first look is what registers with the system.
        let _registered: bool = stop.came();
        stop
    }

    /// Whether it came.
    pub(super) fn came(&mut self) -> bool {
        if !self.came {
            self.came = self.waiting.as_mut().now_or_never().is_some();
        }
        self.came
    }

    /// Waits until it comes.
    pub(super) async fn wait(&mut self) {
        if !self.came {
            self.waiting.as_mut().await;
            self.came = true;
        }
    }
}

impl fmt::Debug for StopRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopRequest").field("came", &self.came).finish_non_exhaustive()
    }
}
