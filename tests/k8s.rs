//! The Kubernetes manifests: what they build to, that they agree with the rest, and `mtlog k8s`.

mod agreement;
pub(crate) mod cluster;
mod golden;
mod pipeline;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// The settings that every test renders with.
const COLLECTOR_SETTINGS: &str = "k8s/collector/settings/settings.env.sample";
const PROCESSOR_SETTINGS: &str = "k8s/processor/settings/settings.env.sample";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `mtlog k8s` with nothing of the machine but the way to kubectl.
fn mtlog(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlog"));
    command.env_clear().current_dir(std::env::temp_dir()).arg("k8s").args(arguments);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

fn settings(component: &str) -> PathBuf {
    root().join(match component {
        "collector" => COLLECTOR_SETTINGS,
        _ => PROCESSOR_SETTINGS,
    })
}

#[track_caller]
fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Builds an overlay with its optional parts from the settings' sample.
#[track_caller]
fn render(component: &str, overlay: &str, parts: &[&str]) -> String {
    let mut command = mtlog(&["render", component, "--overlay", overlay, "--settings"]);
    command.arg(settings(component));
    for part in parts {
        command.args(["--with", part]);
    }
    text(command.output().expect("mtlog runs"))
}

/// The resources of a YAML stream.
fn resources(manifests: &str) -> Vec<Value> {
    manifests
        .split("\n---\n")
        .map(|document| {
            serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
        })
        .collect()
}

#[track_caller]
fn resource(resources: &[Value], kind: &str) -> Value {
    let found: Vec<&Value> = resources.iter().filter(|resource| resource["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0].clone()
}
