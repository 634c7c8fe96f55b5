//! Tests of the mtlog command.
