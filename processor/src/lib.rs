//! The delivery engine of mtlog, and the vocabulary that it shares with the command line.
//!
//! A message names objects; each is decoded as a stream and delivered to its
//! tenant's destinations; the message is deleted only when every record is
//! accounted for. `DESIGN.md` explains the contract to an operator.
//!
//! [`model`] is pure. [`ports`] says what the engine needs of the world, `aws`
//! and [`memory`] provide it, [`engine`] decides and acts, [`modes`] feed it.

pub mod aws;
mod cache;
pub mod config;
pub mod decode;
pub mod engine;
pub mod error_chain;
pub mod exit;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod modes;
pub mod ports;
mod shutdown;
#[doc(hidden)]
pub mod stages;
pub mod telemetry;
#[cfg(feature = "traces")]
mod traces;
