//! The lines of `corpus.json`: events as the source hands them over, and what must become of them.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vrl::value::{KeyString, ObjectMap, Value};

/// When the container runtime got a line, unless the case says otherwise.
const OBSERVED: &str = "2026-11-23T09:41:34.500000001Z";

/// One line.
pub(crate) struct Case {
    pub(crate) name: String,
    /// What the program gets.
    pub(crate) event: Value,
    /// The text of the message, which must not change.
    pub(crate) message: String,
    /// The fields that the record must have.
    pub(crate) expected: BTreeMap<&'static str, String>,
    /// Whether the time is that of the run.
    pub(crate) is_timed_by_arrival: bool,
}

/// Returns every case.
pub(crate) fn cases() -> Vec<Case> {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("corpus.json")).expect("corpus.json is JSON");
    cases.iter().map(case).collect()
}

fn case(case: &Json) -> Case {
    const FIELDS: [&str; 11] = [
        "case",
        "message",
        "file",
        "observed",
        "timestamp",
        "timestamp_is",
        "kubernetes",
        "without",
        "application",
        "namespace",
        "pod_name",
    ];
    let name = case["case"].as_str().expect("a case has a name").to_owned();
    for field in case.as_object().expect("a case is an object").keys() {
        assert!(FIELDS.contains(&field.as_str()), "{name}: what is `{field}`?");
    }
    let text = |field: &str| case[field].as_str().map(str::to_owned);
    let line = match case["file"].as_array() {
        Some(lines) => from_file(lines),
        None => Line {
            message: text("message").expect("a case has a message or a file"),
            observed: text("observed").unwrap_or_else(|| OBSERVED.to_owned()),
            stream: "stdout".to_owned(),
        },
    };
    let Line { message, observed, stream } = line;
    let mut event = event(&message, &observed);
    event.insert("stream".into(), Value::from(stream));
    if let (Some(Json::Object(changes)), Some(Value::Object(kubernetes))) =
        (case.get("kubernetes"), event.get_mut("kubernetes"))
    {
        for (key, value) in changes {
            kubernetes.insert(key.as_str().into(), Value::from(value.clone()));
        }
    }
    for field in case["without"].as_array().into_iter().flatten() {
        event.remove(field.as_str().expect("a field's name"));
    }
    let expected = [
        ("timestamp", text("timestamp").unwrap_or(observed)),
        ("application", text("application").unwrap_or_else(|| "kube-apiserver".to_owned())),
        ("namespace", text("namespace").unwrap_or_else(|| "ocm-acme".to_owned())),
        ("pod_name", text("pod_name").unwrap_or_else(|| "kube-apiserver-0".to_owned())),
        ("cluster_id", "prod-eu".to_owned()),
    ]
    .into();
    Case {
        name,
        event: Value::Object(event),
        message,
        expected,
        is_timed_by_arrival: case.get("timestamp_is").is_some(),
    }
}

/// What the source makes of a line.
struct Line {
    message: String,
    observed: String,
    stream: String,
}

/// Reads a container's log file as the source does: TIME STREAM P|F TEXT, where P says that the text goes on in the next
/// line. The whole has the time of its first part.
/// <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>
fn from_file(lines: &[Json]) -> Line {
    let parts: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.as_str().expect("a line is a text").splitn(4, ' ').collect())
        .collect();
    let (last, before) = parts.split_last().expect("a file has a line");
    assert!(last[2] == "F" && before.iter().all(|part| part[2] == "P"), "one whole line");
    Line {
        message: parts.iter().map(|part| part[3]).collect(),
        observed: parts[0][0].to_owned(),
        stream: parts[0][1].to_owned(),
    }
}

/// An event of the `kubernetes_logs` source, after the transform that sets the cluster.
pub(crate) fn event(message: &str, observed: &str) -> ObjectMap {
    let event = serde_json::json!({
        "cluster_id": "prod-eu",
        "file": "/var/log/pods/ocm-acme_kube-apiserver-0_5b2f/kube-apiserver/0.log",
        "kubernetes": {
            "container_name": "kube-apiserver",
            "pod_labels": { "app": "kube-apiserver" },
            "pod_name": "kube-apiserver-0",
            "pod_namespace": "ocm-acme",
        },
        "message": message,
        "source_type": "kubernetes_logs",
        "stream": "stdout",
    });
    let Value::Object(mut event) = Value::from(event) else { unreachable!("an object") };
    event.insert("timestamp".into(), timestamp(observed));
    event
}

/// Returns a timestamp as the source makes it, to the nanosecond.
pub(crate) fn timestamp(text: &str) -> Value {
    let time: jiff::Timestamp = text.parse().expect("a time");
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).expect("a time after 1970");
    Value::Timestamp(
        chrono::DateTime::from_timestamp(time.as_second(), nanoseconds).expect("a time in range"),
    )
}

/// Returns the names of the fields of a record.
pub(crate) fn fields(record: &Value) -> Vec<String> {
    record.as_object().into_iter().flat_map(BTreeMap::keys).map(KeyString::to_string).collect()
}
