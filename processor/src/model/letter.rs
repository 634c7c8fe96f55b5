//! The attributes of a dead letter: the engine writes them, operators read them.
//!
//! They are message attributes of the type `String`; SQS takes ten of them. The names are part of the interface.

/// Why there is a letter: the word of the outcome, such as `role_denied`.
pub const REASON: &str = "reason";
/// The step at which it went wrong: the word of a [`Stage`](super::outcome::Stage).
pub const STAGE: &str = "stage";
/// How many records of the object were settled before.
pub const OFFSET: &str = "offset";
/// The version of the engine that wrote the letter.
pub const VERSION: &str = "version";
/// The tenant, when the key names one.
pub const TENANT: &str = "tenant";
/// The object's bucket.
pub const BUCKET: &str = "bucket";
/// The object's key, decoded; characters that SQS does not take are replaced.
pub const KEY: &str = "key";
/// Which delivery of the tenant failed: the sort key of the tenant table.
pub const DESTINATION: &str = "destination";
/// What else is known, without any log content.
pub const DETAIL: &str = "detail";
/// The length of a body that was too long for a letter and was cut.
pub const CUT_FROM_BYTES: &str = "cut_from_bytes";

/// Every attribute that the engine writes.
pub const ALL: [&str; 10] =
    [REASON, STAGE, OFFSET, VERSION, TENANT, BUCKET, KEY, DESTINATION, DETAIL, CUT_FROM_BYTES];
