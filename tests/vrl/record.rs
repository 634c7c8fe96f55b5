//! `record.vrl` over the corpus, and what the engine reads of its records.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use mtlog_processor::decode::{Decoded, Decoder, Options};
use vrl::value::Value;

use crate::{
    corpus::{self, Case},
    program::Program,
};

const SHAPE: [&str; 11] = [
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

fn record_program() -> Program {
    Program::compile(include_str!("../../k8s/collector/base/record.vrl"))
}

/// The record as the sink encodes it.
fn json(record: &Value) -> serde_json::Value {
    serde_json::to_value(record).expect("a record is JSON")
}

/// Says what is wrong with the record of `case`, if anything is.
fn difference(program: &Program, case: &Case) -> Option<String> {
    let record = json(&program.run(case.event.clone()));
    let mut wrong = Vec::new();
    for (field, expected) in &case.expected {
        let seen = record[field].as_str().unwrap_or("nothing");
        let equal = match *field {
            "timestamp" if case.is_timed_by_arrival => true,
            "timestamp" => seen.parse::<jiff::Timestamp>().ok() == expected.parse().ok(),
            _ => seen == expected,
        };
        if !equal {
            wrong.push(format!("{field} is {seen}, not {expected}"));
        }
    }
    if record["message"] != case.message.as_str() {
        wrong.push(format!("the message became {}", record["message"]));
    }
    (!wrong.is_empty()).then(|| format!("  {}: {}", case.name, wrong.join("; ")))
}

#[test]
fn every_line_of_the_corpus_keeps_its_owner_its_time_and_its_text() {
    let program = record_program();
    let cases = corpus::cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(&program, case)).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} VRL cases", cases.len());
}

#[test]
fn a_record_has_the_fields_that_the_generator_and_the_engine_know() {
    let record = record_program().run(Value::Object(corpus::event("x", "2026-11-23T09:41:34Z")));
    assert_eq!(corpus::fields(&record), SHAPE);
}

#[test]
fn a_line_without_any_time_gets_the_time_of_its_arrival() {
    let mut event = corpus::event("x", "2026-11-23T09:41:34Z");
    event.remove("timestamp");
    let before = jiff::Timestamp::now();
    let record = json(&record_program().run(Value::Object(event)));
    let time: jiff::Timestamp =
        record["timestamp"].as_str().expect("a text").parse().expect("a time");
    // The clock of the language is cut to microseconds on some systems.
    assert!(
        before - jiff::SignedDuration::from_millis(1) <= time && time <= jiff::Timestamp::now(),
        "{time}"
    );
}

#[test]
fn bytes_that_are_not_text_and_very_long_lines_pass_unchanged() {
    let program = record_program();
    let long_json = format!(r#"{{"ts":"2026-11-23T09:41:33Z","msg":"{}"}}"#, "x".repeat(1 << 20));
    for (message, time) in [
        (b"\xff\xfe I1123 \x80".to_vec(), "2026-11-23T09:41:34Z"),
        (b"2026-11-23T09:41:33Z caf\xe9".to_vec(), "2026-11-23T09:41:33Z"),
        (b"{\"ts\":\"2026-11-23T09:41:33Z\",\"msg\":\"\xff\"}".to_vec(), "2026-11-23T09:41:33Z"),
        (vec![b'a'; 1 << 20], "2026-11-23T09:41:34Z"),
        (long_json.into_bytes(), "2026-11-23T09:41:33Z"),
        ([&b"{"[..], &vec![b'['; 100_000]].concat(), "2026-11-23T09:41:34Z"),
    ] {
        let mut event = corpus::event("", "2026-11-23T09:41:34Z");
        event.insert("message".into(), Value::Bytes(message.clone().into()));
        let record = program.run(Value::Object(event));
        let fields = record.as_object().expect("a record");
        assert_eq!(fields["message"], Value::Bytes(message.into()));
        assert_eq!(fields["timestamp"], corpus::timestamp(time));
    }
}

#[test]
fn the_engine_reads_every_record_back() {
    let program = record_program();
    let cases = corpus::cases();
    let records: Vec<Value> = cases.iter().map(|case| program.run(case.event.clone())).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for record in &records {
        serde_json::to_writer(&mut gzip, record).expect("a record is JSON");
        gzip.write_all(b"\n").expect("memory takes everything");
    }
    let object = gzip.finish().expect("memory takes everything");
    let mut decoder = Decoder::new(&object[..], Options::default());
    for (case, record) in cases.iter().zip(&records) {
        let Some(Decoded::Event(event)) = decoder.next().expect("an object that can be read")
        else {
            panic!("{}: no event", case.name)
        };
        let time: jiff::Timestamp =
            json(record)["timestamp"].as_str().expect("a text").parse().expect("a time");
        assert_eq!(event.timestamp_ms, time.as_millisecond(), "{}", case.name);
        // An empty message cannot be delivered; the engine sends the record in its place.
        if !case.message.is_empty() {
            assert_eq!(event.message.text(), case.message, "{}", case.name);
        }
    }
    assert!(decoder.next().expect("an object that can be read").is_none());
    assert_eq!(decoder.counters().timestamps_missing + decoder.counters().timestamps_unusable, 0);
}
