//! What in the account is no longer as its stack made it.

use serde::Serialize;

/// A resource that somebody changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drifted {
    /// The nested stacks that lead to it, then its own name.
    pub path: String,
    /// The type.
    pub resource_type: String,
    /// The name in AWS.
    pub physical_id: String,
    /// Whether it is gone.
    pub deleted: bool,
    /// What of it is different.
    pub properties: Vec<DriftedProperty>,
}

/// One property that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriftedProperty {
    /// The path in the resource.
    pub path: String,
    /// What the stack made it; none: not set.
    pub expected: Option<String>,
    /// What it is; none: not set.
    pub actual: Option<String>,
}
