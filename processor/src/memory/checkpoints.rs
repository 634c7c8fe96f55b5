//! Checkpoints that live in the engine's own memory only.

use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    model::progress::{Progress, WorkId},
    ports::{Checkpoints, Claim, Fault},
};

/// Keeps nothing beyond what the engine remembers by itself: another process starts an object afresh.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn claim<'a>(&'a self, _id: &'a WorkId) -> BoxFuture<'a, Result<Claim, Fault>> {
        async { Ok(Claim::Granted(None)) }.boxed()
    }

    fn save<'a>(
        &'a self,
        _id: &'a WorkId,
        _progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }

    fn release<'a>(
        &'a self,
        _id: &'a WorkId,
        _progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}
