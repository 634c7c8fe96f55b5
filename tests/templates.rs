//! Tests of the CloudFormation templates: what they come to for given parameters, what their names
//! look like, and who may do what. `templates/README.md` says which test guards which old defect.

mod access;
mod access_chain;
mod access_processor;
mod constraints;
mod deployment;
mod document;
mod names;
mod parameters;
mod physical;
mod readme;
mod resources;
mod structure;
mod world;
