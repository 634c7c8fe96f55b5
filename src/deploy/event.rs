//! What a deployment tells while it runs.

use std::time::Duration;

use super::operation::Row;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployEvent {
    /// A template was put into the bucket.
    Uploaded {
        /// Its key.
        key: String,
    },
    /// A resource reached another state.
    Resource(Row),
    /// What was done is being undone.
    RollingBack,
    /// The stacks were looked at once more.
    Looked,
    /// AWS asked for patience, or the network failed; the operation is not affected.
    Waiting {
        /// How long until the next call.
        pause: Duration,
        /// Why.
        reason: String,
    },
}
