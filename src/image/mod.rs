//! Container images: the engine's, packed and pushed without a container engine, and those that an engine builds.
//!
//! A static binary becomes an OCI image in memory ([`pack`]): same bytes in, same digest out, on any
//! machine. [`acceptance`] decides whether Lambda takes an image. What talks to a registry is in
//! [`registry`]; what talks to ECR's own API is in `aws::ecr`. [`engine`] runs podman, docker or buildah.

pub mod acceptance;
pub mod binary;
pub mod certificates;
pub mod engine;
pub mod export;
pub mod failure;
pub mod logins;
pub mod pack;
pub mod reference;
pub mod registry;
pub mod sbom;
