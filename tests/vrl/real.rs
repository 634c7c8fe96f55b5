//! The configurations in a real Vector, where one is installed.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value as Json;

const CLUSTER: &str = include_str!("../../k8s/collector/base/vector.yaml");
const LOCAL: &str = include_str!("../../k8s/collector/vector-local-test.yaml");

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Finds the program, or says that it is not there.
fn vector() -> Option<Command> {
    let path = std::env::var_os("PATH")?;
    let program: Option<PathBuf> = std::env::split_paths(&path)
        .map(|directory| directory.join("vector"))
        .find(|program| program.is_file());
    let Some(program) = program else {
        println!("no vector on this machine: the configurations were not tried in it");
        return None;
    };
    let mut command = Command::new(program);
    command.current_dir(root()).envs([
        ("AWS_REGION", "us-east-2"),
        ("CLUSTER_ID", "prod-eu"),
        ("NAMESPACE_SELECTOR", "tenant=true"),
        ("S3_BUCKET_NAME", "central"),
        ("S3_WRITER_ROLE_ARN", "arn:aws:iam::111122223333:role/writer"),
        ("VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION", "true"),
        ("VECTOR_SELF_NODE_NAME", "node"),
    ]);
    Some(command)
}

/// Writes a configuration that finds its data and its program on this machine.
fn written(directory: &Path, text: &str) -> PathBuf {
    let program = root().join("k8s/collector/base/record.vrl");
    let text = text
        .replace("/etc/vector/record.vrl", program.to_str().expect("a path of text"))
        .replace("/var/lib/vector", directory.to_str().expect("a path of text"));
    let path = directory.join("vector.yaml");
    std::fs::write(&path, text).expect("a written file");
    path
}

#[test]
fn vector_accepts_both_configurations() {
    for text in [CLUSTER, LOCAL] {
        let Some(mut command) = vector() else { return };
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(directory.path(), text);
        let output =
            command.args(["validate", "--no-environment"]).arg(path).output().expect("vector runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn the_unit_tests_of_the_corpus_pass_in_vector() {
    let Some(mut command) = vector() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = written(directory.path(), CLUSTER);
    let tests = directory.path().join("tests.json");
    let text = serde_json::json!({"tests": crate::unit::tests()}).to_string();
    std::fs::write(&tests, text).expect("a written file");
    let output = command.arg("test").arg(path).arg(tests).output().expect("vector runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn vector_makes_the_same_records_of_lines_as_the_tests_do() {
    let Some(mut command) = vector() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (before, _) = LOCAL.split_once("\nsinks:").expect("sinks");
    let console =
        "\nsinks:\n  out:\n    type: console\n    inputs: [record]\n    encoding: {codec: json}\n";
    let path = written(directory.path(), &format!("{before}{console}"));
    let mut child = command
        .env("VECTOR_DATA_DIR", directory.path())
        .args(["--quiet", "--config"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("vector runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let now = jiff::Timestamp::now();
    let lines = [format!("{now:.6} INFO started"), format!(r#"{{"ts":"{now:.3}","msg":"ok"}}"#)];
    for line in &lines {
        writeln!(stdin, "{line}").expect("vector reads");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("vector ends");
    let records: Vec<Json> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record is JSON"))
        .collect();
    assert_eq!(records.len(), lines.len());
    for ((record, line), precision) in records.iter().zip(&lines).zip([6, 3]) {
        assert_eq!(record["message"], line.as_str());
        assert_eq!(
            (&record["cluster_id"], &record["namespace"]),
            (&"prod-eu".into(), &"test-tenant".into())
        );
        let time: jiff::Timestamp =
            record["timestamp"].as_str().expect("a text").parse().expect("a time");
        assert_eq!(format!("{time:.precision$}"), format!("{now:.precision$}"));
    }
}
