//! The fast way to read records against the plain one, on inputs near and far from valid.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Texts that records are made of: what collectors write, and what breaks readers of JSON.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\t",
    "{}",
    "[]",
    "\"\"",
    "null",
    "true",
    "fals",
    "0",
    "-0",
    "01",
    "1.5",
    "1e5",
    "1.",
    "-",
    "1e999",
    "12345678901234567890",
    "\"message\"",
    "\"timestamp\"",
    "\"time\"",
    "\".timestamp\"",
    "\"log\"",
    "\".\"",
    "\"x\"",
    "\"m\\u0065ssage\"",
    "\"message\":",
    "\"timestamp\":",
    "\"kubernetes\":{\"a\":[1]}",
    "\"stream\":\"stdout\"",
    "\"stream\":\"stderr\"",
    "\"2026-11-23T09:41:33.123456789Z\"",
    "\"2026-11-23 09:41\"",
    "1795426893",
    "1795426893.25",
    "\"1795426893123\"",
    "\"plain\"",
    "\"\\n\\\"\\u0041\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u12\"",
    "\"\\q\"",
    "\"é世\"",
    "\u{feff}",
    "\"message\":\"a\",\"timestamp\":\"2026-11-23T09:41:33Z\"",
    "{\"message\":\"a\"}",
    "{\"message\":\"\"}",
    "{\"message\":\"a\",\"timestamp\":1795426893}",
    "{\"a\":\n",
    "{\"a\":[\n",
    "x",
];

/// Bytes that change the meaning of what is around them.
const BYTES: &[u8] = b"\"\\{}[],:\n\r \x00\x1f\x7f\x80\xc3\xff09-.eutn";

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(select(PIECES), 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        2 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => select(vec!["\"\"", "\"\\ud800x\"", "\"\\/\\u00e9\"", "7", "null", "{\"a\": [\"b\"]}"]).prop_map(str::to_owned),
    ]
}

fn timestamp() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..60_u32, 0..1_000_000_000_u32).prop_map(|(s, n)| format!("\"2026-11-23T09:41:{s:02}.{n:09}Z\"")),
        // The form that is read without looking for the end of the string, and what is nearly so.
        3 => select(vec!["Z", ".5Z", ".123456Z", ".Z", ".5", "Z ", "Zx", "+01:00", "\\u005a", "\\\"Z"])
            .prop_map(|end| format!("\"2026-11-23T09:41:33{end}\"")),
        1 => (1_600_000_000..1_900_000_000_u64).prop_map(|s| s.to_string()),
        1 => select(vec!["\"\"", "\"2026-11-23\"", "null", "0", "true", "1e9", "\"2026-11-23T09:41:60Z\""]).prop_map(str::to_owned),
    ]
}

/// A record as the collector writes it, more or less.
fn record() -> impl Strategy<Value = String> {
    (message(), timestamp(), select(vec!["stdout", "stderr", "é"]), 0..4_u8, "[a-c]", 0..12_u8).prop_map(
        |(message, timestamp, stream, container, tail, layout)| {
            let kubernetes = format!(r#"{{"container_name":"c{container}","pod_ips":["10.0.0.1"],"labels":{{"app":"x{{\"y\""}}}}"#);
            match layout {
                0 => format!(r#"{{"message":{message}}}"#),
                1 => format!(r#"{{"timestamp":{timestamp},"message":{message},"message":{message}}}"#),
                2 => format!(r#"{{ "n": {container}, "message": {message}, "timestamp": {timestamp} }}"#),
                3 => format!("{{\n  \"message\": {message},\n  \"timestamp\": {timestamp}\n}}"),
                4 => format!(r#"{{"time":{timestamp},"log":{message}}}"#),
                _ => format!(
                    r#"{{"file":"/var/log/{container}","kubernetes":{kubernetes},"message":{message},"stream":"{stream}","tail":"{tail}","timestamp":{timestamp}}}"#
                ),
            }
        },
    )
}

/// Many records of one layout, whose values differ at every depth.
fn alike() -> impl Strategy<Value = Vec<String>> {
    let values = (message(), timestamp(), "[a-z\\\\\"é]{0,3}", -1000..1000_i32, any::<bool>());
    vec(values, 9..30).prop_map(|records| {
        let record = |(message, timestamp, text, number, flag): (String, String, String, i32, bool)| {
            let text = serde_json::to_string(&text).unwrap();
            format!(
                r#"{{"a":{number},"k":{{"flag":{flag},"labels":[{text},{{"n": {number}.5e1 }}]}},"message":{message},"timestamp":{timestamp},"z":{text}}}"#
            )
        };
        records.into_iter().map(record).collect()
    })
}

/// An object of records, then damaged in a few places.
fn object(records: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = Vec<u8>> {
    let framing = select(vec![
        ("", "\n", "\n"),
        ("[", ",", "]"),
        ("[\n", ",\n", "\n]\n"),
        ("", "", ""),
        ("", "\r\n", ""),
    ]);
    let damage = (any::<prop::sample::Index>(), select(BYTES), 0..4_u8);
    (records, framing, vec(damage, 0..4)).prop_map(|(records, (open, between, close), damages)| {
        let mut object = format!("{open}{}{close}", records.join(between)).into_bytes();
        for (place, byte, kind) in damages {
            if object.is_empty() {
                break;
            }
            let at = place.index(object.len());
            match kind {
                0 => object[at] = byte,
                1 => object.insert(at, byte),
                2 => drop(object.remove(at)),
                _ => object.truncate(at.max(object.len() / 2)),
            }
        }
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readings_agree_on_damaged_objects(object in object(vec(record(), 0..12))) {
        decode(&object, Limits::default());
    }

    #[test]
    fn both_readings_agree_on_damaged_objects_of_one_layout(object in object(alike())) {
        decode(&object, Limits::default());
    }

    #[test]
    fn both_readings_agree_on_token_soup(object in soup()) {
        decode(&object, Limits::default());
    }

    #[test]
    fn both_readings_agree_on_any_bytes(object in vec(any::<u8>(), 0..200)) {
        decode(&object, Limits::default());
    }

    #[test]
    fn both_readings_agree_about_small_limits(object in object(vec(record(), 0..12)), max_record in 0..400_usize) {
        decode(&object, Limits { max_record, ..Limits::default() });
    }

    #[test]
    fn every_record_of_a_valid_object_is_an_event(records in vec(record(), 0..8)) {
        for object in [records.join("\n"), format!("[{}]", records.join(",")), records.concat()] {
            let outcome = decode(object.as_bytes(), Limits::default());
            prop_assert_eq!(outcome.counters.bad, 0);
            let raws: Vec<_> = outcome.seen.iter().map(|seen| match seen {
                Seen::Event { raw, .. } | Seen::Bad { raw, .. } => String::from_utf8(raw.clone()).unwrap(),
            }).collect();
            prop_assert_eq!(&raws, &records);
        }
    }
}

/// Decodes 1000 records and checks that most are read by comparison.
#[track_caller]
fn check_compared(record: impl Fn(usize) -> String) {
    let object: String = (0..1000).map(|index| record(index) + "\n").collect();
    let outcome =
        decode_once(object.as_bytes(), Limits::default(), Reading::Fast, 4096, usize::MAX);
    assert_eq!(outcome.counters.events, 1000);
    assert!(outcome.counters.compared > 950, "{:?}", outcome.counters);
}

#[test]
fn records_of_a_pod_with_three_containers_are_compared_and_not_parsed() {
    check_compared(|index| {
        let (container, stream) = (index % 3, if index % 7 == 0 { "stderr" } else { "stdout" });
        format!(
            r#"{{"file":"/var/log/{container}","kubernetes":{{"name":"c{container}"}},"message":"line {index}","stream":"{stream}","timestamp":"2026-11-23T09:41:33.{index:03}Z"}}"#
        )
    });
}

#[test]
fn records_in_which_other_fields_differ_too_are_compared_and_not_parsed() {
    check_compared(|index| {
        format!(
            r#"{{"message":"line {index}","offset":{index},"k":{{"ids":["{index}"],"name":"c"}},"timestamp":17{index:08},"x":"{index}"}}"#
        )
    });
}

#[test]
fn records_with_white_space_are_compared_and_not_parsed() {
    check_compared(|index| {
        format!(
            "{{ \"k\" : [ 1, {{ \"a\": true, \"b\": null }} ],\n \"message\": \"line {index}\", \"timestamp\": \"2026-11-23\" }}"
        )
    });
}
