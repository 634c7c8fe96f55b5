//! The engine as it ships: the real binary, over HTTP, against a strict stand-in for AWS.
//!
//! Every test states what was put in, what went wrong, and checks the ledger, the
//! queues and the duplicates. Modules are named after the parts of the fault matrix.

#[path = "engine/world.rs"]
mod world;

#[path = "engine/notification.rs"]
mod notification;
