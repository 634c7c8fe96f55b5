//! The two Vector configurations: what they require, what programs they hold, and that they agree.

use std::collections::{BTreeMap, BTreeSet};

use mtlog_processor::model::key::{KeyPrefix, LogObject};
use serde_json::Value as Json;
use vrl::value::Value;

use crate::{corpus, program::Program};

const CLUSTER: &str = include_str!("../../k8s/collector/base/vector.yaml");
const LOCAL: &str = include_str!("../../k8s/collector/vector-local-test.yaml");
const DAEMON_SET: &str = include_str!("../../k8s/collector/base/daemonset.yaml");

/// A `${NAME...}` of a configuration.
struct Variable<'a> {
    name: &'a str,
    /// What stands in its place when it is not set; nothing: Vector refuses to start.
    default: Option<&'a str>,
}

/// Finds every variable as Vector does: in the whole text, before it is YAML.
fn variables(text: &str) -> Vec<Variable<'_>> {
    let inner =
        text.split("${").skip(1).map(|rest| rest.split_once('}').expect("a closing brace").0);
    inner
        .map(|inner| match (inner.split_once(":-"), inner.split_once(":?")) {
            (Some((name, default)), _) => Variable { name, default: Some(default) },
            (None, Some((name, message))) => {
                assert_eq!(message, format!("{name} is not set"));
                Variable { name, default: None }
            }
            (None, None) => {
                panic!("`{inner}`: only :- and :? treat an empty variable as a missing one")
            }
        })
        .collect()
}

/// Fills in the variables as Vector does.
fn interpolated(text: &str, set: &BTreeMap<&str, &str>) -> Result<Json, String> {
    let mut filled = String::new();
    let mut rest = text;
    for variable in variables(text) {
        let (before, behind) = rest.split_once("${").expect("a variable");
        let value =
            set.get(variable.name).copied().filter(|value| !value.is_empty()).or(variable.default);
        filled.push_str(before);
        filled.push_str(value.ok_or_else(|| format!("{} is not set", variable.name))?);
        rest = behind.split_once('}').expect("a closing brace").1;
    }
    filled.push_str(rest);
    Ok(serde_yaml::from_str(&filled).expect("a configuration is YAML"))
}

fn settings() -> BTreeMap<&'static str, &'static str> {
    [
        ("AWS_REGION", "us-east-2"),
        ("CLUSTER_ID", "prod-eu"),
        ("NAMESPACE_SELECTOR", "tenant=true"),
        ("S3_BUCKET_NAME", "central"),
        ("S3_WRITER_ROLE_ARN", "arn:aws:iam::111122223333:role/writer"),
        ("VECTOR_SELF_NODE_NAME", "node"),
    ]
    .into()
}

#[test]
fn vector_does_not_start_while_a_variable_is_missing_or_empty() {
    let required: BTreeSet<&str> = variables(CLUSTER)
        .iter()
        .filter(|variable| variable.default.is_none())
        .map(|variable| variable.name)
        .collect();
    assert_eq!(required, settings().into_keys().collect());
    for name in required {
        let mut set = settings();
        set.insert(name, "");
        assert_eq!(interpolated(CLUSTER, &set).unwrap_err(), format!("{name} is not set"));
        set.remove(name);
        assert_eq!(interpolated(CLUSTER, &set).unwrap_err(), format!("{name} is not set"));
    }
    interpolated(CLUSTER, &settings()).unwrap();
}

#[test]
fn the_daemon_set_gives_every_variable_that_the_configuration_reads() {
    let manifest: Json = serde_yaml::from_str(DAEMON_SET).unwrap();
    let given: BTreeSet<&str> = manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    for variable in variables(CLUSTER) {
        // The size is for nodes with very many pods: an overlay may set it, and all is well without.
        assert!(
            given.contains(variable.name) || variable.name == "S3_BATCH_MAX_BYTES",
            "{}",
            variable.name
        );
    }
}

/// Since 0.57 Vector leaves variables as they stand unless it is told to fill them in, and takes such a text as the name
/// of a bucket. Whoever starts it must say so, and a Vector that was not told must not start.
#[test]
fn vector_is_told_to_fill_in_variables_and_cannot_start_when_it_does_not() {
    let manifest: Json = serde_yaml::from_str(DAEMON_SET).unwrap();
    let variables =
        manifest["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let switch = serde_json::json!({"name": "VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION", "value": "true"});
    assert!(variables.contains(&switch));

    for text in [CLUSTER, LOCAL] {
        let raw: Json = serde_yaml::from_str(text).unwrap();
        assert!(raw["sinks"]["bucket"]["batch"]["max_bytes"].is_string(), "not a number to Vector");
        let filled = interpolated(text, &settings()).unwrap();
        assert_eq!(filled["sinks"]["bucket"]["batch"]["max_bytes"], 32 << 20);
    }
}

/// What Vector does by itself drops lines: on a refusal by S3, and of long lines.
#[test]
fn the_collector_gives_nothing_up() {
    let configuration = interpolated(CLUSTER, &settings()).unwrap();
    let sink = &configuration["sinks"]["bucket"];
    assert_eq!(sink["retry_strategy"], serde_json::json!({"type": "all"}));
    assert!(sink["request"].is_null(), "by default, a request is repeated without end");
    assert_eq!(sink["acknowledgements"]["enabled"], true);
    assert_eq!(sink["buffer"]["when_full"], "block");
    let source = &configuration["sources"]["pods"];
    for limit in ["max_line_bytes", "max_merged_line_bytes"] {
        assert!(source[limit].as_u64() >= Some(1 << 20), "{limit}");
    }
    assert_eq!(source["use_apiserver_cache"], true);
}

#[test]
fn both_configurations_write_the_same_objects() {
    let cluster = interpolated(CLUSTER, &settings()).unwrap();
    let local = interpolated(LOCAL, &settings()).unwrap();
    let (cluster, local) = (&cluster["sinks"]["bucket"], &local["sinks"]["bucket"]);
    let same = [
        "type",
        "bucket",
        "region",
        "key_prefix",
        "filename_time_format",
        "filename_append_uuid",
        "filename_extension",
        "compression",
        "encoding",
        "framing",
        "acknowledgements",
    ];
    for field in same {
        assert!(!cluster[field].is_null(), "{field}");
        assert_eq!(cluster[field], local[field], "{field}");
    }
    assert_eq!(cluster["framing"]["method"], "newline_delimited");
    assert!(
        cluster["encoding"]["framing"].is_null(),
        "framing inside encoding is ignored by Vector"
    );
    assert_eq!(cluster["buffer"]["max_size"], 10 * (1_u64 << 30));
}

#[test]
fn keys_are_those_that_the_engine_reads() {
    for prefix in ["", "logs/"] {
        let mut set = settings();
        set.insert("S3_KEY_PREFIX", prefix);
        let sink = interpolated(CLUSTER, &set).unwrap()["sinks"]["bucket"].clone();
        let template = sink["key_prefix"].as_str().unwrap();
        // Vector 0.58 refuses a key that starts with a field.
        assert!(!template.starts_with("{{"), "{template}");
        let mut key = template.to_owned();
        for (field, value) in [
            ("namespace", "ocm-acme"),
            ("application", "kube-apiserver"),
            ("pod_name", "kube-apiserver-0"),
        ] {
            key = key.replace(&format!("{{{{ {field} }}}}"), value);
        }
        key.push_str("20261123-094133-0b1e.");
        key.push_str(sink["filename_extension"].as_str().unwrap());
        let prefix: KeyPrefix = prefix.parse().unwrap();
        let object = LogObject::parse(&key, &prefix).unwrap();
        assert_eq!((object.cluster.as_str(), object.tenant.as_str()), ("prod-eu", "ocm-acme"));
        assert_eq!(
            (object.application.as_str(), object.pod.as_str()),
            ("kube-apiserver", "kube-apiserver-0")
        );
        assert!(object.file.ends_with(".json.gz"));
    }
}

#[test]
fn every_input_exists_and_every_program_file_is_the_one_source() {
    for (text, file) in
        [(CLUSTER, "/etc/vector/record.vrl"), (LOCAL, "k8s/collector/base/record.vrl")]
    {
        let configuration = interpolated(text, &settings()).unwrap();
        let part = |name: &str| configuration[name].as_object().cloned().unwrap_or_default();
        let known: BTreeSet<String> =
            part("sources").into_iter().chain(part("transforms")).map(|(name, _)| name).collect();
        for (name, component) in part("transforms").into_iter().chain(part("sinks")) {
            for input in component["inputs"].as_array().unwrap() {
                assert!(known.contains(input.as_str().unwrap()), "{name} reads {input}");
            }
        }
        assert_eq!(configuration["transforms"]["record"]["file"], file);
    }
}

#[test]
fn the_programs_inside_the_configurations_compile_and_name_the_owner() {
    for (text, transform) in [(CLUSTER, "cluster"), (LOCAL, "pod")] {
        let configuration = interpolated(text, &settings()).unwrap();
        let program =
            Program::compile(configuration["transforms"][transform]["source"].as_str().unwrap());
        let record = Program::compile(include_str!("../../k8s/collector/base/record.vrl"));
        let mut event = corpus::event("x", "2026-11-23T09:41:34Z");
        event.remove("cluster_id");
        event.insert("host".into(), Value::from("laptop"));
        let stored = record.run(program.run(Value::Object(event)));
        let stored = stored.as_object().unwrap();
        let (namespace, application) = if transform == "pod" {
            ("test-tenant", "test-app")
        } else {
            ("ocm-acme", "kube-apiserver")
        };
        assert_eq!(stored["cluster_id"], Value::from("prod-eu"));
        assert_eq!(stored["namespace"], Value::from(namespace));
        assert_eq!(stored["application"], Value::from(application));
    }
}

/// The program of `DELIVERY_ENGINE=vector`: without it, Vector takes the time of sending for that of an event.
#[test]
fn an_event_on_its_way_through_vector_keeps_its_time() {
    let program = Program::compile(mtlog_processor::aws::vector::TIME_PROGRAM);
    let event = serde_json::json!({"at": 1_795_426_893_123_i64, "message": "x"});
    let sent = program.run(Value::from(event));
    assert_eq!(
        sent.as_object().unwrap()["timestamp"],
        corpus::timestamp("2026-11-23T09:41:33.123Z")
    );
}

/// The version stands in one place; what says a version in passing says that one.
#[test]
fn one_version_of_vector_is_meant_everywhere() {
    let readme = include_str!("../../k8s/README.md");
    let record = include_str!("../../k8s/collector/base/record.vrl");
    let expected = format!("Vector {}", mtlog_processor::aws::vector::VERSION);
    for (name, text) in
        [("vector.yaml", CLUSTER), ("local", LOCAL), ("record.vrl", record), ("README", readme)]
    {
        assert!(text.contains(&expected), "{name} does not say {expected}");
        for (at, _) in text.match_indices("Vector 0.") {
            assert!(text[at..].starts_with(&expected), "{name}: {}", &text[at..at + 12]);
        }
    }
}
