//! The delivery engine of mtlog, and the vocabulary that it shares with the command line.

pub mod model;
