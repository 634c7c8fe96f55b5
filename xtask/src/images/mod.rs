//! The images, for real: `cargo xtask test images`.
//!
//! Packs the static engine with `mtlog image publish`, pushes it to a registry on loopback, pulls it with skopeo and
//! podman, delivers logs with it against the emulator, and stops it. Everything lives in one scratch directory.

mod container;
mod engine;
mod podman;
mod queue;
mod registry;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::podman::Podman;
use self::registry::Registry;
use crate::command;
use crate::mtlog::Mtlog;
use crate::python::{self, Environment};
use crate::repository::Repository;
use crate::scratch::Scratch;
use crate::static_binary;

/// Programs that Debian has: the command, and the package that brings it.
const TOOLS: [(&str, &str); 6] = [
    ("podman", "podman"),
    ("runc", "runc"),
    ("buildah", "buildah"),
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("htpasswd", "apache2-utils"),
];
/// What the images are built from where an engine builds them.
const CONTAINERFILES: [&str; 2] =
    ["processor/Containerfile.processor", "processor/Containerfile.collector"];
/// What the container delivers.
const RECORDS: u64 = 2_000;

/// Runs the step. Where a program is missing it says so and does nothing, except on CI.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let lint = python::ensure(repository, Environment::Lint)?;
    command::run(repository.command(lint.programs.join("hadolint")).args(CONTAINERFILES))?;
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        let text = format!("these Debian packages are missing: {}", missing.join(", "));
        ensure!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
        return Ok(());
    }
    let scratch = Scratch::new(repository, "images")?;
    let mtlog = Mtlog::build(repository, &scratch)?;
    let program = scratch.join("log-processor");
    fs::copy(static_binary::engine_for_tests(repository)?, &program)
        .context("failed to copy the static engine")?;
    let program = program.display().to_string();
    let python = python::ensure(repository, Environment::Emulator)?;
    let registry = Registry::start(repository, &python.interpreter(), scratch.path())?;
    let podman = Podman::new(repository, &scratch, &python.interpreter())?;
    let test = Test {
        repository,
        scratch: &scratch,
        mtlog: &mtlog,
        registry: &registry,
        podman: &podman,
        program: &program,
    };

    let published = test.publish()?;
    test.pull_with_skopeo(&published)?;
    engine::build_and_push(&test)?;

    container::deliver(&test, &published)?;
    container::stop(&test, &published)
}

/// What every part of the step needs.
struct Test<'a> {
    repository: &'a Repository,
    scratch: &'a Scratch,
    mtlog: &'a Mtlog<'a>,
    registry: &'a Registry,
    podman: &'a Podman<'a>,
    /// The static engine.
    program: &'a str,
}

impl Test<'_> {
    /// Runs `mtlog` with the logins of the registry, and nothing else of this machine.
    fn mtlog(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let logins =
            ("REGISTRY_AUTH_FILE".to_owned(), self.registry.logins().display().to_string());
        self.mtlog.run(name, arguments, &[self.podman.environment(), vec![logins]].concat())?.text()
    }

    /// Publishes twice. The second time, nothing is sent and the digest is the same.
    fn publish(&self) -> Result<String> {
        let repository = self.registry.repository("log-processor");
        let arguments =
            ["image", "publish", "--binary", self.program, "--registry", &repository, "--yes"];
        let mut references = Vec::new();
        for name in ["publish", "publish-again"] {
            let (start, requests) = (Instant::now(), self.registry.requests()?.len());
            references.push(self.mtlog(name, &arguments)?.trim().to_owned());
            let made = self.registry.requests()?.split_off(requests);
            println!(
                "{name:<24} {:>6.1} s, {} requests",
                start.elapsed().as_secs_f64(),
                made.len()
            );
            let sent = made.iter().any(|line| !line.contains("GET ") && !line.contains("HEAD "));
            ensure!(sent == (name == "publish"), "{name} asked for {made:#?}");
            ensure!(sent || made.len() <= 4, "publishing again took {} requests", made.len());
        }
        let [first, second] = references.as_slice() else {
            bail!("two publishes gave {references:?}")
        };
        ensure!(first == second, "the digest changed: {first}, then {second}");
        ensure!(first.starts_with(&format!("{repository}@sha256:")), "publish printed {first}");
        Ok(second.clone())
    }

    /// Pulls the image with another tool, which checks every blob against its digest.
    fn pull_with_skopeo(&self, published: &str) -> Result<()> {
        let layout = self.scratch.join("pulled");
        let logins = self.registry.logins();
        let source = format!("docker://{published}");
        command::run(
            self.repository
                .command("skopeo")
                .args(["copy", "--quiet", "--src-tls-verify=false", "--authfile"])
                .arg(logins)
                .arg(&source)
                .arg(format!("oci:{}:pulled", layout.display())),
        )?;
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
        let digest = index
            .pointer("/manifests/0/digest")
            .and_then(Value::as_str)
            .context("skopeo wrote no manifest")?;
        ensure!(published.ends_with(digest), "skopeo pulled {digest} for {published}");
        // What was written to a directory is the same image as what was pushed.
        let own = self.scratch.join("layout").display().to_string();
        let printed = self.mtlog(
            "layout",
            &["image", "publish", "--binary", self.program, "--oci-layout", &own],
        )?;
        ensure!(printed.trim() == digest, "the layout is {printed}, the registry has {digest}");
        let bytes: u64 = compressed_bytes(&layout)?;
        println!("{:<24} {} compressed", "pulled by skopeo", crate::memory::mebibytes(bytes));
        Ok(())
    }
}

fn compressed_bytes(layout: &Path) -> Result<u64> {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).context("there is no blob")?;
    blobs.map(|blob| Ok(blob?.metadata()?.len())).sum()
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
