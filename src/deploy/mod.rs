//! Brings stacks to what the templates and settings say.
//!
//! Planning ([`desired`], [`plan`], [`state`], [`parameters`], [`difference`], [`claims`], [`operation`]) is pure: the same settings
//! and the same observation give the same plan. Acting ([`observe`], [`execute`], [`watch`]) is thin. Progress leaves as values of
//! [`event`]; nothing here prints.

pub mod names;
pub mod stack;
pub mod status;
pub mod target;

pub mod change;
pub mod claims;
pub mod desired;
pub mod difference;
pub mod parameters;
pub mod plan;
pub mod reconcile;
pub mod saved;
pub mod schedule;
pub mod state;

pub mod diagnosis;
pub mod drift;
pub mod event;
pub mod event_file;
pub mod explain;
pub mod operation;
pub mod outputs;

pub mod execute;
pub mod observe;
pub mod watch;
