//! Settings: flag, then environment, then `.env`, then what deployed stacks say, then the default.
//!
//! This is the only reader of the environment. Every value remembers where it came from, and everything that is wrong
//! is reported at once.

pub mod connection;
pub mod deploy;
pub mod dotenv;
pub mod environment;
pub mod layers;
pub mod parameter_file;
pub mod period;
pub mod tenant;
pub mod vars;
