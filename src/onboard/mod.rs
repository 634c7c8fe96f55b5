//! Tenants: what may be written into the tenant table, and how the table is read without being trusted.
//!
//! Pure but for [`table`] and [`probe`], which talk to AWS through `aws`. Nothing here asks or prints.

pub mod difference;
pub mod document;
pub mod external_id;
pub mod handover;
pub mod probe;
pub mod rules;
pub mod sharing;
pub mod table;
pub mod trust;
pub mod verify;
