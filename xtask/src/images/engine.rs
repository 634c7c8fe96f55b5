//! Images by a container engine: `mtlog image build` and `mtlog image push`.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Test;

/// Builds the processor's image with each engine that Debian has, pushes one, and has it verified and started.
pub(super) fn build_and_push(test: &Test<'_>) -> Result<()> {
    for engine in ["podman", "buildah"] {
        let tag = format!("localhost/log-processor:{engine}");
        let arguments = [
            "image",
            "build",
            "processor",
            "--binary",
            test.program,
            "--engine",
            engine,
            "--tag",
            &tag,
        ];
        let start = Instant::now();
        let built = test.mtlog(&format!("build-{engine}"), &arguments)?;
        println!("{:<24} {:>6.1} s", format!("built by {engine}"), start.elapsed().as_secs_f64());
        ensure!(built.trim() == tag, "`mtlog image build` printed {built}");
    }
    let repository = test.registry.repository("built");
    let push =
        ["image", "push", "localhost/log-processor:podman", "--registry", &repository, "--yes"];
    let start = Instant::now();
    let reference = test.mtlog("push", &push)?.trim().to_owned();
    println!("{:<24} {:>6.1} s", "pushed by podman", start.elapsed().as_secs_f64());
    ensure!(reference.starts_with(&format!("{repository}@sha256:")), "push printed {reference}");

    let verdict = test.mtlog("verify", &["image", "verify", &reference, "--output", "json"])?;
    let verdict: Value = serde_json::from_str(&verdict)?;
    let architecture = verdict.get("lambda_architecture").and_then(Value::as_str);
    ensure!(architecture.is_some(), "`mtlog image verify` said {verdict}");
    // A user without rights, a root that cannot be written, no network: the program needs none of it to start.
    let arguments =
        ["run", "--rm", "--network=none", "--read-only", "--cap-drop=all", "--user=65532:65532"];
    let image = ["localhost/log-processor:podman", "--version"];
    let version = test.podman.run("built-version", &[&arguments[..], &image].concat())?.text()?;
    ensure!(version.starts_with("log-processor "), "the image says {version}");
    Ok(())
}
