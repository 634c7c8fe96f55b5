//! Runs kubectl, without a shell, and keeps what it says when it fails.

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use thiserror::Error;

/// A call of kubectl that failed.
#[derive(Debug, Error)]
pub enum KubectlError {
    /// The program could not be started.
    #[error("failed to start kubectl")]
    Start(#[source] io::Error),
    /// The program's input could not be written.
    #[error("failed to hand the manifests to `kubectl {verb}`")]
    Input {
        /// What it should have done.
        verb: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program said that it failed.
    #[error("`kubectl {verb}` failed: {said}")]
    Failed {
        /// What it should have done.
        verb: &'static str,
        /// What it said, without the line breaks at its end.
        said: String,
    },
    /// The program's output is not what it should be.
    #[error("`kubectl {verb}` answered with something that is not JSON")]
    Answer {
        /// What it should have done.
        verb: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The program, and the cluster that it talks to.
#[derive(Debug, Clone, Default)]
pub struct Kubectl {
    /// A context of the kubeconfig; none: the current one.
    pub context: Option<String>,
}

impl Kubectl {
    /// Builds a kustomization. This talks to no cluster.
    pub fn kustomize(directory: &Path) -> Result<String, KubectlError> {
        let mut command = Command::new("kubectl");
        command.arg("kustomize").arg(directory);
        let output = run(command, "kustomize", "")?;
        succeeded("kustomize", &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Returns the difference between the cluster and `manifests`, empty if there is none.
    pub fn diff(&self, manifests: &str) -> Result<String, KubectlError> {
        let output = run(self.command(["diff", "--filename", "-"]), "diff", manifests)?;
        // 1 says that there are differences, anything above that something failed.
        if output.status.code() != Some(1) {
            succeeded("diff", &output)?;
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Applies `manifests` and returns what kubectl says about each resource.
    pub fn apply(&self, manifests: &str) -> Result<String, KubectlError> {
        let output = run(self.command(["apply", "--filename", "-"]), "apply", manifests)?;
        succeeded("apply", &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Returns a resource, if it exists. One without a namespace of its own ignores `namespace`.
    pub fn get(
        &self,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> Result<Option<Value>, KubectlError> {
        let arguments =
            ["get", kind, name, "--namespace", namespace, "--ignore-not-found", "--output", "json"];
        let output = run(self.command(arguments), "get", "")?;
        succeeded("get", &output)?;
        if output.stdout.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&output.stdout)
            .map(Some)
            .map_err(|source| KubectlError::Answer { verb: "get", source })
    }

    /// Returns the pods of the workload `name`, as a list.
    pub fn pods(&self, name: &str, namespace: &str) -> Result<Value, KubectlError> {
        let selector = format!("app.kubernetes.io/name={name}");
        let arguments =
            ["get", "pods", "--namespace", namespace, "--selector", &selector, "--output", "json"];
        let output = run(self.command(arguments), "get", "")?;
        succeeded("get", &output)?;
        serde_json::from_slice(&output.stdout)
            .map_err(|source| KubectlError::Answer { verb: "get", source })
    }

    fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new("kubectl");
        if let Some(context) = &self.context {
            command.arg("--context").arg(context);
        }
        command.args(arguments);
        command
    }
}

fn run(mut command: Command, verb: &'static str, input: &str) -> Result<Output, KubectlError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(KubectlError::Start)?;
    let stdin = child.stdin.take();
    // The program may answer before it has read everything: both ends move at the same time.
    let (written, output) = std::thread::scope(|scope| {
        let writer = scope
            .spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let output = output.map_err(KubectlError::Start)?;
    match written {
        // A program that fails need not read its input; why it failed says more.
        Ok(Err(source)) if output.status.success() => Err(KubectlError::Input { verb, source }),
        Ok(_) | Err(_) => Ok(output),
    }
}

fn succeeded(verb: &'static str, output: &Output) -> Result<(), KubectlError> {
    if output.status.success() {
        return Ok(());
    }
    let said = essence(&String::from_utf8_lossy(&output.stderr));
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(KubectlError::Failed { verb, said })
}

/// Returns what kubectl says without the lines of its own log, which repeat one failure five times, unless they are all.
fn essence(said: &str) -> String {
    let is_logged = |line: &&str| {
        let (head, _) = line.split_once(' ').unwrap_or_default();
        head.len() == 5
            && head.starts_with(['I', 'W', 'E', 'F'])
            && head.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    };
    let plain: Vec<&str> = said.trim_end().lines().filter(|line| !is_logged(line)).collect();
    if plain.is_empty() { said.trim_end().to_owned() } else { plain.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_without_the_programs_own_log() {
        let logged =
            "E1128 18:04:20.384481   17833 memcache.go:265] \"Unhandled Error\" err=\"refused\"";
        let plain = "The connection to the server localhost:8080 was refused\nError: x";
        for (said, expected) in [
            (format!("{logged}\n{logged}\n{plain}\n"), plain),
            (format!("{plain}\n"), plain),
            (format!("{logged}\n"), logged),
            (String::new(), ""),
        ] {
            assert_eq!(essence(&said), expected);
        }
    }
}
