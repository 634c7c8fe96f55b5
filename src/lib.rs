//! The operator's side of mtlog.
