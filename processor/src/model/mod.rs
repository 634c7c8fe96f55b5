//! The vocabulary shared by the command line and the engine.
//!
//! Pure values: parsed once at the edge, valid from then on. Nothing here does
//! I/O, reads the environment or knows an AWS SDK.

pub mod arn;
pub mod collector;
pub mod events;
pub mod ids;
pub mod key;
pub mod letter;
pub mod notification;
pub mod outcome;
pub mod progress;
pub mod secret;
pub mod tenant;
