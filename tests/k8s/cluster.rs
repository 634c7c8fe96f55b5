//! `mtlog k8s` against a kubectl that plays a cluster: it builds for real, and answers the rest from files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{mtlog, render, settings};

/// A directory with a program `kubectl`, what it was called with, and what it answers.
pub(crate) struct Cluster(TempDir);

impl Cluster {
    /// A cluster that has the namespace and in which nothing differs.
    pub(crate) fn settled(workload: &Value) -> Self {
        let cluster = Self(tempfile::tempdir().unwrap());
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join("kubectl"))
            .find(|program| program.is_file())
            .expect("kubectl is on the PATH");
        let here = cluster.0.path().display();
        let script = format!(
            "#!/bin/sh\n\
             if [ \"$1\" = kustomize ]; then exec {real} \"$@\"; fi\n\
             echo \"$*\" >> {here}/calls\n\
             if [ \"$1\" = --context ]; then shift 2; fi\n\
             case \"$1 $2\" in\n\
             'get namespace') cat {here}/namespace ;;\n\
             'get pods') cat {here}/pods ;;\n\
             get*) cat {here}/workload ;;\n\
             diff*) cat > {here}/stdin; cat {here}/diff; if [ -s {here}/diff ]; then exit 1; fi ;;\n\
             apply*) cat > {here}/stdin; echo applied ;;\n\
             esac\n\
             if [ -s {here}/fails ]; then cat {here}/fails >&2; exit 3; fi\n",
            real = real.display(),
        );
        cluster.answer("kubectl", &script);
        fs::set_permissions(cluster.path("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
        cluster.answer("namespace", "{\"kind\":\"Namespace\"}");
        cluster.answer("workload", &workload.to_string());
        cluster.answer("pods", "{\"items\":[]}");
        cluster.answer("diff", "");
        cluster
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn answer(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// What kubectl was asked to do.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// The path on which this kubectl is found first.
    pub(crate) fn search_path(&self) -> String {
        format!("{}:/bin:/usr/bin", self.0.path().display())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = mtlog(arguments);
        command
            .env("PATH", self.search_path())
            .args(["--overlay", "production", "--settings"])
            .arg(settings(arguments[1]));
        command.output().expect("mtlog runs")
    }
}

pub(crate) fn deployment(updated: u64, ready: u64) -> Value {
    let image = "111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor@sha256:".to_owned()
        + &"0".repeat(64);
    json!({
        "metadata": {"generation": 2},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "log-processor", "image": image}]}}},
        "status": {"observedGeneration": 2, "updatedReplicas": updated, "readyReplicas": ready},
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn nothing_is_applied_where_nothing_differs() {
    let cluster = Cluster::settled(&deployment(3, 3));
    let output = cluster.run(&["apply", "processor", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("nothing to apply"));
    assert!(!cluster.calls().iter().any(|call| call.starts_with("apply")), "{:?}", cluster.calls());
}

#[test]
fn the_difference_is_shown_before_anything_is_applied() {
    let cluster = Cluster::settled(&deployment(3, 3));
    cluster.answer("diff", "-  replicas: 2\n+  replicas: 3\n");
    let output = cluster.run(&["apply", "processor"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("+  replicas: 3"));
    assert!(said(&output).contains("--yes"), "{}", said(&output));
    assert!(!cluster.calls().iter().any(|call| call.starts_with("apply")), "{:?}", cluster.calls());

    let output = cluster.run(&["apply", "processor", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.find("replicas: 3") < shown.find("applied"), "{shown}");
    assert_eq!(cluster.calls().last().unwrap(), "apply --filename -");
    assert_eq!(
        fs::read_to_string(cluster.path("stdin")).unwrap(),
        render("processor", "production", &[])
    );
}

#[test]
fn a_cluster_without_the_namespace_gets_everything() {
    let cluster = Cluster::settled(&deployment(3, 3));
    cluster.answer("namespace", "");
    let output = cluster.run(&["apply", "collector", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("everything is new") && shown.contains("+kind: DaemonSet"), "{shown}");
    assert!(!cluster.calls().iter().any(|call| call.starts_with("diff")), "{:?}", cluster.calls());
}

#[test]
fn a_check_is_good_only_when_manifests_and_pods_are() {
    for (workload, difference, code, expected) in [
        (deployment(3, 3).to_string(), "", 0, "as wanted"),
        (deployment(3, 2).to_string(), "", 2, "as wanted"),
        (deployment(1, 3).to_string(), "", 2, "as wanted"),
        (deployment(3, 3).to_string(), "-a\n+b\n", 2, "differ"),
        (String::new(), "", 2, "-"),
    ] {
        let cluster = Cluster::settled(&json!({}));
        cluster.answer("workload", &workload);
        cluster.answer("diff", difference);
        let output = cluster.run(&["check", "processor"]);
        assert_eq!(output.status.code(), Some(code), "{workload} {difference}: {}", said(&output));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            shown.lines().nth(1).unwrap().ends_with(if difference.is_empty() {
                "as wanted"
            } else {
                "differ"
            }),
            "{shown}"
        );
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_check_says_why_a_pod_is_not_ready() {
    let cluster = Cluster::settled(&deployment(3, 2));
    let pods = json!({"items": [{
        "metadata": {"name": "log-processor-7d"},
        "spec": {"nodeName": "node-a"},
        "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
    }]});
    cluster.answer("pods", &pods.to_string());
    let output = cluster.run(&["check", "processor"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for expected in ["log-processor-7d", "node-a", "ImagePullBackOff"] {
        assert!(shown.contains(expected), "{shown}");
    }
    let asked = "get pods --namespace logging --selector app.kubernetes.io/name=log-processor --output json";
    assert!(cluster.calls().iter().any(|call| call == asked), "{:?}", cluster.calls());
}

#[test]
fn a_check_for_programs_has_the_numbers_and_the_difference() {
    let cluster = Cluster::settled(&deployment(3, 2));
    cluster.answer("diff", "-a\n+b\n");
    let output = cluster.run(&["check", "processor", "--output", "json", "--kube-context", "prod"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["workload"]["ready"], 2);
    assert_eq!(report["difference"], "-a\n+b\n");
    assert_eq!((&report["schema"], &report["component"]), (&json!(1), &json!("processor")));
    assert!(
        cluster.calls().iter().all(|call| call.starts_with("--context prod ")),
        "{:?}",
        cluster.calls()
    );
}

#[test]
fn what_kubectl_says_when_it_fails_is_kept() {
    let cluster = Cluster::settled(&deployment(3, 3));
    cluster.answer("fails", "error: You must be logged in to the server (Unauthorized)\n");
    let output = cluster.run(&["check", "processor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("You must be logged in to the server"), "{}", said(&output));
    assert!(said(&output).contains("--kube-context"), "{}", said(&output));
}

#[test]
fn a_machine_without_kubectl_is_told_so() {
    let mut command = mtlog(&["render", "collector", "--overlay", "base", "--settings"]);
    let output = command.arg(settings("collector")).env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("kubectl must be on the PATH"), "{}", said(&output));
}

#[test]
fn settings_that_are_not_complete_are_refused_line_by_line() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("settings.env");
    for component in ["collector", "processor"] {
        let sample = fs::read_to_string(settings(component)).unwrap();
        let names: Vec<&str> = sample
            .lines()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .filter(|name| !name.starts_with('#') && *name != "S3_KEY_PREFIX")
            .collect();
        assert!(names.len() >= 7);
        for name in names {
            for replacement in ["".to_owned(), format!("{name}=")] {
                let lines: Vec<String> = sample
                    .lines()
                    .map(|line| {
                        if line.starts_with(&format!("{name}=")) {
                            replacement.clone()
                        } else {
                            line.to_owned()
                        }
                    })
                    .collect();
                fs::write(&file, lines.join("\n")).unwrap();
                let mut command = mtlog(&["render", component, "--overlay", "base", "--settings"]);
                let output = command.arg(&file).output().unwrap();
                assert_eq!(output.status.code(), Some(64), "{name}: {}", said(&output));
                assert!(said(&output).contains(&format!("`{name}`")), "{name}: {}", said(&output));
                assert!(output.stdout.is_empty());
            }
        }
    }
}

#[test]
fn words_that_mean_nothing_are_usage_errors() {
    for (arguments, expected) in [
        (&["render", "agent"][..], "agent"),
        (&["render", "collector", "--overlay", "prod"], "is not an overlay"),
        (&["render", "collector", "--with", "keda"], "there is podmonitor"),
        (&["render", "collector", "--namespace-selector", "a b"], "a selector of namespaces"),
        (&["render", "processor", "--namespace-selector", "a=b"], "for the collector"),
        (&["render", "processor", "--with", "keda", "--with", "hpa"], "choose one"),
        (&["render", "collector", "--settings", "/nonexistent/settings.env"], "cannot be read"),
        (&["render", "collector", "--image", "x:y"], "--image"),
        (&["apply"], "COMPONENT"),
    ] {
        let output = mtlog(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}
