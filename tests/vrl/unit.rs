//! The corpus as unit tests of Vector (`vector test`): each case is a program that makes the event and one that looks at
//! the record. The same programs run here, so a machine without Vector knows that they are right.

use serde_json::{Value as Json, json};

use crate::{
    corpus::{self, Case},
    program::Program,
};

/// Returns the tests for a configuration that has the transform `record`.
pub(crate) fn tests() -> Json {
    corpus::cases()
        .iter()
        .map(|case| {
            json!({
                "name": case.name,
                "inputs": [{"insert_at": "record", "type": "vrl", "source": input(case)}],
                "outputs": [{
                    "extract_from": "record",
                    "conditions": [{"type": "vrl", "source": condition(case)}],
                }],
            })
        })
        .collect()
}

/// A text as an expression, whatever it contains.
fn expression(text: &str) -> String {
    let encoded = text.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("(decode_base16!(\"{encoded}\"))")
}

fn input(case: &Case) -> String {
    let event = serde_json::to_string(&case.event).expect("an event is JSON");
    let mut program = format!(". = object!(parse_json!({}))\n", expression(&event));
    if case.event.as_object().is_some_and(|event| event.contains_key("timestamp")) {
        program.push_str(".timestamp = parse_timestamp!(.timestamp, \"%+\")\n");
    }
    program
}

fn condition(case: &Case) -> String {
    let mut program = format!("assert_eq!(.message, {})\n", expression(&case.message));
    for (field, expected) in &case.expected {
        let expected = expression(expected);
        match *field {
            "timestamp" if case.is_timed_by_arrival => {}
            "timestamp" => program.push_str(&format!(
                "assert_eq!(.timestamp, parse_timestamp!({expected}, \"%+\"))\n"
            )),
            _ => program.push_str(&format!("assert_eq!(.{field}, {expected})\n")),
        }
    }
    program.push_str("true\n");
    program
}

#[test]
fn the_unit_tests_for_vector_make_the_events_of_the_corpus_and_see_its_records() {
    let record = Program::compile(include_str!("../../k8s/collector/base/record.vrl"));
    for case in corpus::cases() {
        let made =
            Program::compile(&input(&case)).run(vrl::value::Value::Object(Default::default()));
        assert_eq!(made, case.event, "{}", case.name);
        let _seen = Program::compile(&condition(&case)).run(record.run(made));
    }
    assert_eq!(tests().as_array().expect("a list").len(), corpus::cases().len());
}
