//! Builds every overlay of the Kubernetes manifests and validates what comes out, offline.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;

/// The file that makes a directory something to build.
const KUSTOMIZATION: &str = "kustomization.yaml";

/// Builds and validates every directory under `k8s/` that has a `kustomization.yaml`.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let files = repository.files()?;
    let directories: Vec<&str> = files
        .iter()
        .filter(|path| path.starts_with("k8s/"))
        .filter_map(|path| path.strip_suffix(KUSTOMIZATION)?.strip_suffix('/'))
        .collect();
    if directories.is_empty() {
        bail!("no `{KUSTOMIZATION}` under `k8s/`");
    }
    let lint = python::ensure(repository, Environment::Lint)?;
    let scratch = Scratch::new(repository, "k8s")?;
    for directory in directories {
        let manifests = scratch.join(&format!("{}.yaml", directory.replace('/', "-")));
        let status = repository
            .command("kubectl")
            .args(["kustomize", directory])
            .stdin(Stdio::null())
            .stdout(File::create(&manifests).context("failed to create a file for the manifests")?)
            .status()
            .context("failed to start kubectl")?;
        if !status.success() {
            bail!("`kubectl kustomize {directory}` ended with {status}");
        }
        command::run(
            repository
                .command(lint.programs.join("kubernetes-validate"))
                .arg("--strict")
                .arg(&manifests),
        )
        .with_context(|| format!("`{directory}` is not valid"))?;
        println!("{directory}: valid");
    }
    Ok(())
}
