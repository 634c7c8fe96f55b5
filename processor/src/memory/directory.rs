//! Tenants without a table.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    model::{
        arn::RoleArn,
        ids::{LogGroupName, Region, TenantId},
        tenant::{DesiredLogs, Destination, TenantItem},
    },
    ports::{DirectoryItem, Fault, TenantDirectory},
};

/// A directory in which every tenant has the same delivery: for sinks that write no account.
#[derive(Debug, Clone)]
pub struct AnyTenant {
    role: RoleArn,
    log_group: LogGroupName,
    region: Region,
}

impl AnyTenant {
    /// Gives every tenant these names.
    pub const fn new(role: RoleArn, log_group: LogGroupName, region: Region) -> Self {
        Self { role, log_group, region }
    }
}

impl TenantDirectory for AnyTenant {
    fn items<'a>(
        &'a self,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<DirectoryItem>, Fault>> {
        let item = TenantItem {
            tenant: tenant.clone(),
            destination: Destination::CloudWatch {
                role: self.role.clone(),
                log_group: self.log_group.clone(),
                retention_days: None,
            },
            enabled: true,
            target_region: self.region.clone(),
            desired_logs: DesiredLogs::default(),
            external_id: None,
            status: None,
            created_at: None,
            updated_at: None,
            ttl: None,
        };
        async { Ok(vec![Ok(item)]) }.boxed()
    }
}

/// A table in memory.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<BTreeMap<TenantId, Vec<DirectoryItem>>>);

impl MemoryDirectory {
    /// Puts the items of a tenant in place of those it had.
    pub fn set(&self, tenant: TenantId, items: Vec<DirectoryItem>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant, items);
    }
}

impl TenantDirectory for MemoryDirectory {
    fn items<'a>(
        &'a self,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<DirectoryItem>, Fault>> {
        let items = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .cloned()
            .unwrap_or_default();
        async { Ok(items) }.boxed()
    }
}
