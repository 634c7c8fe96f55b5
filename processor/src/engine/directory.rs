//! The tenant table, remembered for a while.

use std::sync::Arc;

use crate::{
    cache::{Answer, Cache, Fresh},
    engine::retry::{Failure, Retries},
    metrics::{Meter, Metric},
    model::ids::TenantId,
    ports::{Clock, DirectoryItem, TenantDirectory},
};

/// How long a tenant's items are used without a new look, in milliseconds.
const KNOWN_MS: i64 = 60_000;
/// How long a tenant without items stays unknown, in milliseconds. Short: onboarding may be under way.
const UNKNOWN_MS: i64 = 10_000;

/// The tenant table with its cache.
pub(crate) struct Directory {
    table: Arc<dyn TenantDirectory>,
    known: Cache<TenantId, Arc<[DirectoryItem]>>,
}

impl Directory {
    pub(crate) fn new(table: Arc<dyn TenantDirectory>) -> Self {
        Self { table, known: Cache::default() }
    }

    /// Returns the items of `tenant`, at most a minute old.
    pub(crate) async fn items(
        &self,
        tenant: &TenantId,
        clock: &dyn Clock,
        retries: &Retries<'_>,
        meter: &Meter,
    ) -> Result<Arc<[DirectoryItem]>, Failure> {
        let load = || async {
            let items: Arc<[DirectoryItem]> = self.table.items(tenant).await?.into();
            let until = clock.now_ms() + if items.is_empty() { UNKNOWN_MS } else { KNOWN_MS };
            Ok(Fresh { value: items, renew_ms: until, expires_ms: until })
        };
        let (items, answer) =
            retries.call(|| self.known.get(tenant, || clock.now_ms(), load)).await?;
        meter.add(Metric::TenantCache, if answer == Answer::Hit { "hit" } else { "miss" }, 1);
        Ok(items)
    }

    /// Makes the next look-up of `tenant` ask the table: what the cache holds did not work.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.known.forget(tenant, |_| true);
    }
}
