//! `DELIVERY_ENGINE=vector`, with a program in the place of Vector. It reads what Vector reads, says what Vector says in
//! its metrics, and ends with 0 even after it has dropped everything, as Vector does. A real Vector was not tried here.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Tenant, World, messages, records, sorted};

const RECENT: Duration = Duration::from_secs(600);

/// The stand-in. `behaviour` beside it says what it does with the events.
const PROGRAM: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
if [ "$1" = --version ]; then echo "vector 0.58.0 (x86_64-unknown-linux-gnu 2bcad9b)"; exit 0; fi
here=$(dirname "$0")
run=$here/run-$$
mkdir "$run"
cp "$2" "$run/vector.json"
dirname "$2" > "$run/directory"
env > "$run/environment"
behaviour=$(cat "$here/behaviour")
metric() {
    echo "{\"name\":\"component_$1_events_total\",\"namespace\":\"vector\",\"tags\":{\"component_id\":\"$2\"},\"kind\":\"absolute\",\"counter\":{\"value\":$3.0}}"
}
if [ "$behaviour" = refuses ]; then echo "ERROR vector::cli: Configuration error." >&2; exit 78; fi
cat > "$run/lines"
count=$(wc -l < "$run/lines")
metric received customer "$count"
metric sent timed "$count"
if [ "$behaviour" = drops-once ]; then echo sends > "$here/behaviour"; behaviour=drops; fi
case $behaviour in
sends) metric sent customer 0; metric sent customer "$count"; exec sleep 1000 ;;
drops) echo "ERROR sink{component_id=customer}: Retries exhausted; dropping the request." >&2
       metric sent customer 0; metric discarded customer "$count"; exec sleep 1000 ;;
loses-one) metric sent customer $((count - 1)); metric discarded customer 1 ;;
is-short) metric sent customer $((count - 1)) ;;
says-nothing) ;;
esac
exit 0
"#;

/// A directory with the program and what each of its runs left.
struct Vector(TempDir);

impl Vector {
    fn that(behaviour: &str, world: &mut World) -> Self {
        let vector = Self(tempfile::tempdir().unwrap());
        let program = vector.0.path().join("vector");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(vector.0.path().join("behaviour"), behaviour).unwrap();
        world.set("DELIVERY_ENGINE", "vector");
        world.evidence().delivered_elsewhere();
        world.set("VECTOR_PROGRAM", program.to_str().unwrap());
        world.set("PATH", "/usr/bin:/bin");
        vector
    }

    fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// All events that any run was given.
    fn events(&self) -> Vec<Value> {
        let texts =
            self.runs().into_iter().map(|run| fs::read_to_string(run.join("lines")).unwrap());
        let events = texts.flat_map(|text| {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        });
        events.collect()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn object(tenant: &Tenant) -> String {
    format!("s3://central-logs/{}", World::key(tenant, "x"))
}

#[test]
fn vector_gets_every_event_once_with_its_time_and_nothing_of_the_engines_secrets() {
    let mut world = World::new();
    let vector = Vector::that("sends", &mut world);
    let tenant = world.tenant("acme", "222222222222");
    let mut item = tenant.item();
    item["log_retention_days"] = serde_json::json!({"N": "30"});
    world.put_item(&item);
    let records = records(&world.fake, 50, RECENT);
    world.put_lines(&World::key(&tenant, "x"), &records);
    world.drain().assert_code(0);
    world.assert_queues(0);

    let events = vector.events();
    assert_eq!(sorted(messages(&events)), sorted(messages(&records)));
    for (event, record) in events.iter().zip(&records) {
        let time: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(event["at"], time.as_millisecond());
    }
    assert!(world.delivered(&tenant).is_empty(), "delivered natively as well");

    // Group, retention and stream were made natively.
    assert_eq!(world.fake.log_retention(&tenant.account, "us-east-2", &tenant.group), Some(30));
    let streams = world.fake.log_streams(&tenant.account, "us-east-2", &tenant.group);
    assert!(!streams.is_empty() && streams.len() == vector.runs().len(), "{streams:?}");

    for run in vector.runs() {
        let environment = text(&run.join("environment"));
        let value = |name: &str| {
            let found = environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            found.map(str::to_owned)
        };
        let configuration = text(&run.join("vector.json"));
        let own = world.variables().iter().cloned().collect::<std::collections::BTreeMap<_, _>>();
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            let given = value(name).unwrap_or_else(|| panic!("no {name}"));
            assert_ne!(given, own[name], "{name} is the engine's own");
            assert!(!configuration.contains(&given), "{name} is in the configuration");
        }
        for name in ["SQS_QUEUE_URL", "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", "DELIVERY_ENGINE"] {
            assert_eq!(value(name), None, "{name}");
        }
        let configuration: Value = serde_json::from_str(&configuration).unwrap();
        let sink = &configuration["sinks"]["customer"];
        assert_eq!(sink["group_name"], tenant.group.as_str());
        assert!(streams.contains(&sink["stream_name"].as_str().unwrap().to_owned()));
        let directory = text(&run.join("directory"));
        assert!(!Path::new(directory.trim()).exists(), "{directory} is left");
    }
}

#[test]
fn a_vector_that_ends_well_without_proof_has_delivered_nothing() {
    for (behaviour, expected) in [
        ("drops", "Retries exhausted"),
        ("loses-one", "after sending 4 of 5 events and dropping 1"),
        ("is-short", "ended with exit status: 0 after sending 4 of 5 events and dropping 0"),
        ("says-nothing", "after sending 0 of 5 events"),
        ("refuses", "ended with exit status: 78"),
    ] {
        let mut world = World::new();
        let _vector = Vector::that(behaviour, &mut world);
        world.set("RETRY_ATTEMPTS", "0");
        let tenant = world.tenant("acme", "222222222222");
        world.put_lines(&World::key(&tenant, "x"), &records(&world.fake, 5, RECENT));
        let run = world.run(&["--mode", "manual", "--object", &object(&tenant)], None);
        run.assert_code(75);
        assert!(run.stderr.contains(expected), "{behaviour}: {}", run.stderr);
        assert_eq!(run.sum("delivered"), 0, "{behaviour}");
        assert!(!run.stderr.contains("line 0"), "log content in our log: {}", run.stderr);
    }
}

#[test]
fn a_batch_that_vector_dropped_is_given_to_it_again() {
    let mut world = World::new();
    let vector = Vector::that("drops-once", &mut world);
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 5, RECENT);
    world.put_lines(&World::key(&tenant, "x"), &records);
    let run = world.drain_hurried();
    run.assert_code(0);
    world.assert_queues(0);
    assert_eq!(run.sum("delivered"), 5);
    assert_eq!(vector.runs().len(), 2);
    let twice = [messages(&records), messages(&records)].concat();
    assert_eq!(sorted(messages(&vector.events())), sorted(twice));
}

#[test]
fn a_name_that_vector_would_read_as_a_template_goes_out_natively() {
    let mut world = World::new();
    let vector = Vector::that("sends", &mut world);
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 3, RECENT);
    world.put_lines("cluster-1/acme/100%/api-0/x.json.gz", &records);
    world.drain().assert_code(0);
    assert_eq!(sorted(world.delivered(&tenant)), sorted(messages(&records)));
    assert!(vector.runs().is_empty());
}

#[test]
fn a_machine_without_vector_is_told_before_a_message_is_taken() {
    for (program, expected) in
        [("/nonexistent/vector", "failed to start"), ("/bin/echo", "no version of Vector")]
    {
        let mut world = World::new();
        world.set("DELIVERY_ENGINE", "vector").set("VECTOR_PROGRAM", program);
        let tenant = world.tenant("acme", "222222222222");
        world.put_lines(&World::key(&tenant, "x"), &records(&world.fake, 1, RECENT));
        let run = world.drain();
        run.assert_code(6);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert_eq!(world.fake.queue_depth(&world.queue).total(), 1);
    }
}
