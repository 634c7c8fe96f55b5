//! The engine's ports without AWS: for local files, for standard output, and for
//! tests.

pub mod checkpoints;
pub mod clock;
pub mod copier;
pub mod directory;
pub mod sink;
pub mod store;
