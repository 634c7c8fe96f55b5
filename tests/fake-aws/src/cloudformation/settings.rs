//! How the fake behaves where tests need it to behave differently.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When the work on stacks goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// An operation is over before its call returns.
    Instant,
    /// Each call that reads stacks, events, resources or change sets lets this many steps happen
    /// after it has been answered.
    StepsPerRead(u32),
    /// A step each time that much of the fake's clock has passed.
    Every(Duration),
    /// Only when the test says so.
    Held,
}

/// How a call is answered that the account or the region does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// As AWS answers it.
    Available,
    /// The caller may not make it.
    AccessDenied,
    /// The region does not know it.
    Unknown,
}

/// Whether the service looks at templates before it touches resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyValidation {
    /// Change sets fail for names that are taken and for wrong properties.
    On,
    /// Such mistakes come up when the resource is made.
    Off,
}

/// Which operation id the events of an automatic rollback have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackOperation {
    /// One of their own, as the API reference says.
    Own,
    /// That of the operation that failed.
    Shared,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) pace: Pace,
    pub(super) availability: BTreeMap<String, Availability>,
    pub(super) early_validation: EarlyValidation,
    pub(super) rollback_operation: RollbackOperation,
    /// How many reads after the start of an operation still see the stack as it was before.
    pub(super) stale_reads: u32,
    pub(super) page_size: usize,
    /// ARNs of alarms that are in alarm.
    pub(super) alarms: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Pace::Instant,
            availability: BTreeMap::new(),
            early_validation: EarlyValidation::On,
            rollback_operation: RollbackOperation::Own,
            stale_reads: 0,
            page_size: 100,
            alarms: BTreeSet::new(),
        }
    }
}
