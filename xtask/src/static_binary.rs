//! Builds programs that need no shared library, for images made from nothing and for releases.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::repository::Repository;

/// One program of the workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
}

/// The engine alone.
pub(crate) const ENGINE: Program = Program { package: "mtlog-processor", name: "log-processor" };

/// Builds the engine for tests, in the development profile.
///
/// Only the last step differs from other builds: the libraries that `mtlog` was built from are linked once more. The
/// release profile would take many minutes and show nothing more about images.
pub(crate) fn engine_for_tests(repository: &Repository) -> Result<PathBuf> {
    println!("building {}, statically linked", ENGINE.name);
    command::run(
        repository
            .cargo()
            // The same features as in the tests, so that no library is compiled twice.
            .args(["build", "--locked", "--quiet", "--workspace", "--all-features"])
            .args(["--bin", ENGINE.name])
            .env("RUSTC_WORKSPACE_WRAPPER", repository.path("xtask/static_rustc.sh")),
    )
    .with_context(|| format!("failed to build {}", ENGINE.name))?;
    Ok(repository.target().join("debug").join(ENGINE.name))
}

/// Builds a program in the release profile for `target`, a Linux target whose C library can be linked statically.
pub(crate) fn release(repository: &Repository, program: Program, target: &str) -> Result<PathBuf> {
    ensure!(target.contains("-linux-"), "static programs are built for Linux, not for `{target}`");
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    println!("building {} for {target}, statically linked", program.name);
    // With --target the flags are for the program alone: build scripts and macros stay dynamic, as they must.
    command::run(
        repository
            .cargo()
            .args(["build", "--release", "--locked", "--package", program.package])
            .args(["--bin", program.name, "--target", target])
            .env(variable, "-C target-feature=+crt-static")
            // It would replace the flags above.
            .env_remove("RUSTFLAGS"),
    )
    .with_context(|| format!("failed to build {}", program.name))?;
    Ok(repository.target().join(target).join("release").join(program.name))
}

/// Returns the target of this machine.
pub(crate) fn host(repository: &Repository) -> Result<String> {
    let tuple = command::output(repository.command("rustc").args(["--print", "host-tuple"]))?;
    Ok(tuple.trim().to_owned())
}
