//! Makes realistic pod logs: seeded, repeatable, streamed.
//!
//! [`population::Population`] says who writes, [`source::PodSource`] yields one pod's messages,
//! [`record::RecordWriter`] wraps a message as the collector does, and [`run`] spreads the records over
//! the pods into lines or objects. Nothing here knows AWS, the terminal or the command line.

pub mod directory;
pub mod manifest;
pub mod message;
pub mod pace;
pub mod population;
mod prose;
mod random;
pub mod record;
pub mod run;
pub mod source;
pub mod timeline;
