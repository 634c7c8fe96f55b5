//! Container images of the engine, built and pushed without a container engine.
//!
//! A static binary becomes an OCI image in memory ([`pack`]): same bytes in, same digest out, on any
//! machine. [`acceptance`] decides whether Lambda takes an image. What talks to a registry is in
//! [`registry`]; what talks to ECR's own API is in `aws::ecr`.

pub mod acceptance;
pub mod binary;
pub mod certificates;
pub mod export;
pub mod pack;
pub mod reference;
pub mod registry;
pub mod sbom;
