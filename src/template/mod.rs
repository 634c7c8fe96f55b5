//! The CloudFormation templates inside the program, and how to read them.

pub mod catalogue;
pub mod document;
pub mod evaluate;
pub mod validate;
