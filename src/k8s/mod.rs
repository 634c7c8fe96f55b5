//! The Kubernetes manifests: what a cluster needs to know, and the files themselves.
//!
//! [`settings`] makes the one file that differs from cluster to cluster, from the outputs of the stacks;
//! [`manifests`] holds `k8s/` of this repository; [`kubectl`] runs the program that builds and applies them.
//! Nothing here knows the terminal or the command line.

pub mod component;
pub mod kubectl;
pub mod manifests;
pub mod settings;
pub mod value;
pub mod workload;
