//! Tenants: what may be written into the tenant table, and how the table is read without being trusted.
//!
//! Pure but for [`table`], which talks to DynamoDB through `aws`. Nothing here asks or prints.

pub mod difference;
pub mod document;
pub mod external_id;
pub mod rules;
pub mod table;
