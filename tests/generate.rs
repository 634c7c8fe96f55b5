//! `mtlog generate`, run as a process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use fake_aws::{FakeAws, Fault, Response};
use flate2::read::MultiGzDecoder;
use mtlog_processor::model::key::{KeyPrefix, LogObject};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const START: &[&str] = &["--start", "2026-11-23T09:00:00Z", "--interval", "10ms"];

fn mtlog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlog"));
    // A file that the developer keeps in this directory must not matter.
    command.env_clear().current_dir(std::env::temp_dir()).arg("generate");
    command
}

fn generate(arguments: &[&str]) -> Output {
    mtlog().args(arguments).output().expect("mtlog runs")
}

#[track_caller]
fn generated(arguments: &[&str]) -> Vec<u8> {
    let output = generate(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The files below `root`, by the path that would be their key.
fn objects(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), path);
            }
        }
    }
    found
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Counts messages per tenant and application as a manifest should, without the code under test.
fn counted<'a>(
    records: impl IntoIterator<Item = &'a Value>,
) -> BTreeMap<(String, String), (u64, u64, String)> {
    let mut sums: BTreeMap<(String, String), (u64, u64, u128)> = BTreeMap::new();
    for record in records {
        let name = |field: &str| record[field].as_str().unwrap().to_owned();
        let message = name("message");
        let digest = Sha256::digest(message.as_bytes());
        let head = u128::from_be_bytes(digest[..16].try_into().unwrap());
        let sum = sums.entry((name("namespace"), name("application"))).or_default();
        *sum = (sum.0 + 1, sum.1 + message.len() as u64, sum.2.wrapping_add(head));
    }
    sums.into_iter()
        .map(|(key, (count, bytes, hash))| (key, (count, bytes, format!("{hash:032x}"))))
        .collect()
}

fn manifest(path: &Path) -> BTreeMap<(String, String), (u64, u64, String)> {
    records(&fs::read_to_string(path).unwrap())
        .iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            let number = |field: &str| row[field].as_u64().unwrap();
            (
                (text("tenant"), text("application")),
                (number("records"), number("bytes"), text("content_hash")),
            )
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = |seed: &str, format: &str| {
        generated(
            &[
                &[
                    "--count", "500", "--tenant", "a", "--tenant", "b", "--seed", seed, "--format",
                    format,
                ],
                START,
            ]
            .concat(),
        )
    };
    for format in ["raw", "collector"] {
        assert_eq!(run("7", format), run("7", format));
        assert_ne!(run("7", format), run("8", format));
    }
}

#[test]
fn raw_lines_are_the_messages_of_the_records() {
    let common = [&["--count", "300"], START].concat();
    let raw = String::from_utf8(generated(&common)).unwrap();
    let collector =
        String::from_utf8(generated(&[&common[..], &["--format", "collector"]].concat())).unwrap();
    let messages: Vec<String> = records(&collector)
        .iter()
        .map(|record| record["message"].as_str().unwrap().to_owned() + "\n")
        .collect();
    assert_eq!(messages.len(), 300);
    assert_eq!(messages.concat(), raw);
}

#[test]
fn a_record_has_the_collectors_shape() {
    let collector = String::from_utf8(generated(
        &[&["--count", "200", "--format", "collector"], START].concat(),
    ))
    .unwrap();
    let mut before = String::new();
    for line in collector.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(
            line.starts_with(
                r#"{"application":"test-app","cluster_id":"test-cluster","file":"/var/log/pods/"#
            ),
            "{line}"
        );
        assert!(keys_are_sorted(line), "{line}");
        let fields: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "application",
            "cluster_id",
            "file",
            "ingest_timestamp",
            "kubernetes",
            "message",
            "namespace",
            "pod_name",
            "source_type",
            "stream",
            "timestamp",
        ];
        assert_eq!(fields, expected);
        assert_eq!(record["kubernetes"].as_object().unwrap().len(), 15);
        assert_eq!(record["kubernetes"]["pod_namespace"], record["namespace"]);
        assert_eq!(record["kubernetes"]["pod_name"], record["pod_name"]);
        assert_eq!(record["source_type"], "kubernetes_logs");
        assert!(["stdout", "stderr"].contains(&record["stream"].as_str().unwrap()));
        let time: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
        let ingested: jiff::Timestamp =
            record["ingest_timestamp"].as_str().unwrap().parse().unwrap();
        assert!(time < ingested);
        let time = time.as_nanosecond().to_string();
        assert!(before <= time);
        before = time;
    }
}

/// Reads the keys of the outermost object and of `kubernetes` in the order in which they stand.
fn keys_are_sorted(line: &str) -> bool {
    let top = line
        .match_indices(r#"":"#)
        .map(|(end, _)| line[..end].rsplit('"').next().unwrap().to_owned());
    let known = [
        "application",
        "cluster_id",
        "file",
        "ingest_timestamp",
        "kubernetes",
        "message",
        "namespace",
    ];
    let seen: Vec<String> = top.filter(|key| known.contains(&key.as_str())).take(5).collect();
    let kubernetes = [
        "container_id",
        "container_image",
        "container_image_id",
        "container_name",
        "namespace_labels",
        "node_labels",
        "pod_annotations",
        "pod_ip",
        "pod_ips",
        "pod_labels",
        "pod_name",
        "pod_namespace",
        "pod_node_name",
        "pod_owner",
        "pod_uid",
    ];
    let places: Vec<usize> =
        kubernetes.iter().map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
    seen.is_sorted() && places.is_sorted()
}

#[test]
fn objects_follow_the_key_layout_and_agree_with_the_manifest() {
    for (framing, extra) in [("ndjson", &[][..]), ("array", &["--key-prefix", "logs"][..])] {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("manifest.jsonl");
        let root = directory.path().join("objects");
        generated(
            &[
                &[
                    "--count",
                    "1003",
                    "--records-per-object",
                    "40",
                    "--framing",
                    framing,
                    "--tenant",
                    "acme",
                    "--tenant",
                    "globex",
                    "--cluster",
                    "prod-eu",
                    "--cluster",
                    "prod-us",
                    "--application",
                    "web",
                    "--application",
                    "api",
                    "--pods",
                    "2",
                    "--directory",
                    root.to_str().unwrap(),
                    "--manifest",
                    file.to_str().unwrap(),
                ],
                extra,
            ]
            .concat(),
        );
        let prefix: KeyPrefix = if extra.is_empty() { "" } else { "logs" }.parse().unwrap();
        let mut all = Vec::new();
        let mut pods = BTreeMap::<String, u64>::new();
        for (key, path) in objects(&root) {
            let object =
                LogObject::parse(&key, &prefix).unwrap_or_else(|error| panic!("{key}: {error}"));
            assert!(
                object.file.ends_with(".json.gz")
                    && object.file.len() == "20261123-094133-".len() + 36 + 8,
                "{key}"
            );
            let text = text(&path);
            let found = if framing == "array" {
                assert_eq!(text.lines().count(), 1);
                serde_json::from_str::<Vec<Value>>(&text).unwrap()
            } else {
                assert!(text.ends_with("}\n"));
                records(&text)
            };
            assert!((1..=40).contains(&found.len()), "{}", found.len());
            for record in &found {
                assert_eq!(record["cluster_id"], object.cluster);
                assert_eq!(record["namespace"], object.tenant.as_str());
                assert_eq!(record["application"], object.application);
                assert_eq!(record["pod_name"], object.pod);
            }
            *pods.entry(format!("{}/{}", object.cluster, object.pod)).or_default() +=
                found.len() as u64;
            all.extend(found);
        }
        assert_eq!(all.len(), 1003);
        assert_eq!(pods.len(), 16);
        assert!(pods.values().all(|count| (62..=63).contains(count)), "{pods:?}");
        assert_eq!(counted(&all), manifest(&file));
        assert_eq!(manifest(&file).len(), 4);
    }
}

fn bucket_command(fake: &FakeAws) -> Command {
    let mut command = mtlog();
    command.envs(fake.environment("us-east-2", &fake.root_credentials("111111111111")));
    command.env("AWS_S3_USE_PATH_STYLE", "true").args([
        "--bucket",
        "central",
        "--key-prefix",
        "logs",
    ]);
    command.args(["--tenant", "acme", "--application", "web", "--application", "api"]);
    command
}

#[test]
fn objects_in_the_bucket_are_those_that_a_collector_would_write() {
    let fake = FakeAws::start_blocking();
    fake.create_bucket("111111111111", "us-east-2", "central");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("manifest.jsonl");
    let output = bucket_command(&fake)
        .args([
            "--count",
            "1000",
            "--records-per-object",
            "70",
            "--manifest",
            file.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prefix: KeyPrefix = "logs".parse().unwrap();
    let mut all = Vec::new();
    for key in fake.object_keys("central") {
        let object =
            LogObject::parse(&key, &prefix).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!((object.tenant.as_str(), object.cluster.as_str()), ("acme", "test-cluster"));
        let stored = fake.object("central", &key).unwrap();
        assert_eq!(stored.headers.get("content-encoding").map(String::as_str), Some("gzip"));
        assert_eq!(stored.headers.get("content-type").map(String::as_str), Some("text/x-log"));
        let mut text = String::new();
        MultiGzDecoder::new(&stored.body.unwrap()[..]).read_to_string(&mut text).unwrap();
        all.extend(records(&text));
    }
    assert_eq!(fake.object_keys("central").len(), 16);
    assert_eq!(counted(&all), manifest(&file));
    assert_eq!(all.len(), 1000);
}

#[test]
fn a_bucket_that_cannot_be_written_is_named_with_the_reason() {
    let fake = FakeAws::start_blocking();
    let output = bucket_command(&fake).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("to bucket `central`") && said.contains("NoSuchBucket"), "{said}");

    fake.create_bucket("111111111111", "us-east-2", "central");
    fake.inject(Fault::on("s3:PutObject").respond(Response::access_denied()));
    let output = bucket_command(&fake).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("s3:PutObject"), "{said}");
}

#[test]
fn the_manifest_of_lines_counts_what_was_printed() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("manifest.jsonl");
    let output = generated(&[
        "--count",
        "250",
        "--format",
        "collector",
        "--manifest",
        file.to_str().unwrap(),
    ]);
    assert_eq!(counted(&records(&String::from_utf8(output).unwrap())), manifest(&file));
}

#[test]
fn records_end_now_unless_a_start_is_given() {
    let before = jiff::Timestamp::now();
    let output = generated(&["--count", "100", "--format", "collector"]);
    let after = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    for record in records(&String::from_utf8(output).unwrap()) {
        let time: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(before - hour < time && time < after, "{time}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = mtlog()
        .args(["--count", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), "")
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_quietly_with_whole_objects() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("objects");
    let file = directory.path().join("manifest.jsonl");
    let mut child = mtlog()
        .args([
            "--count",
            "0",
            "--rate",
            "2000",
            "--records-per-object",
            "50",
            "--stats-interval",
            "200",
        ])
        .args(["--directory", root.to_str().unwrap(), "--manifest", file.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    let interrupted =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.lines().all(|line| line.ends_with(" records written")), "{rest}");
    let all: Vec<Value> = objects(&root).values().flat_map(|path| records(&text(path))).collect();
    assert!(all.len() >= 200);
    assert_eq!(counted(&all), manifest(&file));
}

#[test]
fn bursts_end_after_their_number() {
    let burst = [
        "--min-batch-size",
        "3",
        "--max-batch-size",
        "3",
        "--min-sleep",
        "0",
        "--max-sleep",
        "0",
        "--total-batches",
        "4",
    ];
    let arguments = [&burst[..], &["--timestamp-format", "plain"]].concat();
    assert_eq!(String::from_utf8(generated(&arguments)).unwrap().lines().count(), 12);
}

#[test]
fn an_object_of_any_size_needs_little_memory() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().to_str().unwrap();
    let mut child = mtlog()
        .args(["--count", "100000", "--records-per-object", "100000", "--directory", root])
        .spawn()
        .unwrap();
    // `VmHWM` would count the mapped pages of the binary too: most of it, in a development build.
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))
        {
            let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            peak_kib = peak_kib.max(kib);
        }
    }
    let sizes: Vec<u64> =
        objects(directory.path()).values().map(|path| text(path).len() as u64).collect();
    assert_eq!(sizes.len(), 1);
    assert!(sizes[0] > 180_000_000, "{sizes:?}");
    // Outside Linux there is no such file, and nothing is measured.
    assert!(!cfg!(target_os = "linux") || peak_kib > 0);
    assert!(peak_kib < 16 * 1024, "{peak_kib} KiB");
}

#[test]
fn flags_that_cannot_be_followed_are_usage_errors() {
    for (arguments, expected) in [
        (&["--tenant", "A_B"][..], "is not a tenant id"),
        (&["--tenant", "a", "--tenant", "a"], "the tenant `a` is given twice"),
        (&["--application", "a/b"], "contains a `/`"),
        (&["--pods", "0"], "no pod"),
        (&["--rate", "0"], "not a positive number"),
        (&["--rate", "5", "--min-sleep", "1"], "cannot be used with"),
        (&["--format", "raw", "--directory", "x"], "--format raw needs standard output"),
        (&["--directory", "x", "--bucket", "bucket"], "cannot be used with"),
        (&["--bucket", "No Bucket"], "is not an S3 bucket name"),
        (&["--records-per-object", "0"], "0 is not in"),
        (&["--timestamp-format", "klog"], "--list-formats"),
        (&["--interval", "0s"], "not longer than zero"),
        (&["--start", "yesterday"], "--start"),
        (&["--min-message-bytes", "9", "--max-message-bytes", "8"], "above the greatest"),
        (&["--min-batch-size", "9", "--max-batch-size", "8"], "bursts of 9 to 8"),
        (&["--key-prefix", "/x"], "is not a key prefix"),
    ] {
        let output = generate(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_does_not_wait_for_a_reader_that_does_not_read() {
    let mut child = mtlog()
        .args(["--count", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // From here on nobody reads: the pipe fills, and only the second interrupt can end it.
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut [0]).unwrap();
    let process = child.id().to_string();
    let interrupt =
        || Command::new("kill").args(["-INT", &process]).stderr(Stdio::null()).status().unwrap();
    assert!(interrupt().success());
    // Signals of one kind that come together are one: it is sent until the process is gone.
    while child.try_wait().unwrap().is_none() {
        let _gone = interrupt();
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
