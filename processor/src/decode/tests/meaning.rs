//! What a record says.

use super::*;

/// Decodes one record and compares its message and where it comes from.
#[track_caller]
fn check_message(record: &str, text: &str, source: MessageSource) {
    for object in [record.to_owned(), format!("[{record},{record}]")] {
        let outcome = decode(object.as_bytes(), Limits::default());
        for seen in &outcome.seen {
            let Seen::Event { text: found, source: found_source, .. } = seen else {
                panic!("{record}: {seen:?}");
            };
            assert_eq!((found.as_str(), *found_source), (text, source), "{record}");
        }
    }
}

#[test]
fn a_string_is_delivered_as_its_text() {
    for (json, text) in [
        ("plain", "plain"),
        ("é世\u{1f600}", "é世\u{1f600}"),
        (" ", " "),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u4e16\ud83d\ude00", "Aé世\u{1f600}"),
        (r"\u0000", "\0"),
        ("\u{7f}\u{2028}", "\u{7f}\u{2028}"),
        (r"\ud800", "\u{fffd}"),
        (r"a\udc00b", "a\u{fffd}b"),
        (r"\ud800\ud800\udc00", "\u{fffd}\u{10000}"),
        (r"\ud800\u0041", "\u{fffd}A"),
        (r"\uDBFF\uDFFF", "\u{10ffff}"),
        (r"\ud800\n", "\u{fffd}\n"),
    ] {
        check_message(&format!(r#"{{"message":"{json}"}}"#), text, MessageSource::Message);
        let with_timestamp =
            format!(r#"{{"message":"{json}","timestamp":"2026-11-23T09:41:33Z"}}"#);
        check_message(&with_timestamp, text, MessageSource::Message);
    }
}

#[test]
fn a_structured_message_is_delivered_as_its_json_text() {
    for json in [
        "0",
        "false",
        "true",
        "-0.10e+5",
        "12345678901234567890123",
        "1e999",
        "{}",
        "[ ]",
        r#"{"z": 1,  "a":"<\u003c\/>", "z":2}"#,
        "[\n1,\t{\"a\" : null}]",
        r#"["\ud800"]"#,
    ] {
        check_message(&format!("{{\"message\": {json} ,\"x\":1}}"), json, MessageSource::Message);
    }
}

#[test]
fn an_empty_or_missing_message_comes_from_another_field_or_the_record() {
    let other = MessageSource::OtherField;
    let record = MessageSource::Record;
    for (json, text, source) in [
        (r#"{"log":"l"}"#, "l", other),
        (r#"{".":"d"}"#, "d", other),
        (r#"{"log":"l",".":"d"}"#, "d", other),
        (r#"{"message":"","log":"l"}"#, "l", other),
        (r#"{"message":null,".":{"a":1}}"#, r#"{"a":1}"#, other),
        (r#"{"message":"",".":"","log":null}"#, r#"{"message":"",".":"","log":null}"#, record),
        ("{}", "{}", record),
        (r#"{"timestamp":1,"kubernetes":{"a":[1]}}"#, "{}", record),
        (r#"{"message":"","stream":"stdout"}"#, r#"{"message":"","stream":"stdout"}"#, record),
        (
            r#"{ "cluster_id":1, "file" : "/a", "namespace":2,"application":3, "n" : [ 1 ],"pod_name":4,"ingest_timestamp":5, "x":"\ud800é" }"#,
            r#"{"file":"/a","n":[ 1 ],"x":"\ud800é"}"#,
            record,
        ),
        (r#"{"t\u0069mestamp":1,"\u0061":2}"#, r#"{"\u0061":2}"#, record),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#, record),
    ] {
        check_message(json, text, source);
    }
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    check_message(r#"{"message":"a","message":"b"}"#, "b", MessageSource::Message);
    check_message(r#"{"message":"a","\u006dessage":"b"}"#, "b", MessageSource::Message);
    check_message(
        r#"{"message":"a","message":""}"#,
        r#"{"message":"a","message":""}"#,
        MessageSource::Record,
    );
    let escaped = r#"{"message":"a","timestamp":1,"\u006dessage":"b"}"#;
    check_message(escaped, "b", MessageSource::Message);
    let twice = r#"{"message":"a","timestamp":1,"message":"b"}"#;
    check_message(twice, "b", MessageSource::Message);
    check_message(r#"{"message":"a","\ud800":1}"#, "a", MessageSource::Message);
}

#[test]
fn bytes_that_are_not_utf_8_are_replaced_and_counted() {
    for (object, text) in [
        (&b"{\"message\":\"a\xff\xfeb\"}"[..], "a\u{fffd}\u{fffd}b"),
        (b"{\"message\":\"\xe4\xb8\"}", "\u{fffd}"),
        (b"{\"message\":\"\xed\xa0\x80\"}", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"{\"message\":\"a\",\"stream\":\"\xff\"}", "a"),
        (b"{\"message\":\"a\",\"\xff\":1}", "a"),
        (b"{\"\xff\":1}", "{\"\u{fffd}\":1}"),
    ] {
        let many = [object, b"\n", object, b"\n{\"message\":\"a\",\"stream\":\"x\"}"].concat();
        let outcome = decode(&many, Limits::default());
        assert_eq!(summary(&outcome), [text, text, "a"]);
        assert_eq!(outcome.counters.lossy, 2);
    }
    // Also where nothing is read from: in a field that differs in every record.
    let record =
        |x: &str| format!("{{\"message\":\"a\",\"timestamp\":1,\"x\":\"{x}\"}}\n").into_bytes();
    let mut many: Vec<u8> = (0..30).flat_map(|index| record(&index.to_string())).collect();
    let last = many.len() - 4;
    many[last] = 0xff;
    assert_eq!(decode(&many, Limits::default()).counters.lossy, 1);
    let outcome = decode(br#"{"message":"\ud800"} {"message":"\ud83d\ude00"}"#, Limits::default());
    assert_eq!(outcome.counters.lossy, 1);
}

#[test]
fn the_first_timestamp_field_that_says_an_instant_counts() {
    use TimestampSource::{FallbackMissing, FallbackUnusable, Record};
    for (fields, milliseconds, source) in [
        (r#""timestamp":"2026-11-23T09:41:33.123456789Z""#, 1_795_426_893_123, Record),
        (r#""timestamp":1795426893"#, 1_795_426_893_000, Record),
        (r#""timestamp":1795426893.5"#, 1_795_426_893_500, Record),
        (r#""timestamp":"1795426893123""#, 1_795_426_893_123, Record),
        (r#""timestamp":"2026\u002d11-23T09:41:33Z""#, 1_795_426_893_000, Record),
        (r#"".timestamp":1795426893"#, 1_795_426_893_000, Record),
        (r#""time":1795426893"#, 1_795_426_893_000, Record),
        (r#""time":2,".timestamp":1"#, 1000, Record),
        (r#""time":2,"timestamp":3,".timestamp":1"#, 3000, Record),
        (r#""timestamp":"yesterday","time":2"#, 2000, Record),
        (r#""timestamp":null,"time":2"#, 2000, Record),
        (r#""timestamp":1,"timestamp":2"#, 2000, Record),
        (r#""x":1"#, FALLBACK, FallbackMissing),
        (r#""timestamp":null"#, FALLBACK, FallbackMissing),
        (r#""timestamp":"yesterday""#, FALLBACK, FallbackUnusable),
        (r#""timestamp":"""#, FALLBACK, FallbackUnusable),
        (r#""timestamp":0"#, FALLBACK, FallbackUnusable),
        (r#""timestamp":-1"#, FALLBACK, FallbackUnusable),
        (r#""timestamp":true"#, FALLBACK, FallbackUnusable),
        (r#""timestamp":[1]"#, FALLBACK, FallbackUnusable),
        (r#""timestamp":{"a":1},"time":null"#, FALLBACK, FallbackUnusable),
    ] {
        let record = format!(r#"{{"message":"a",{fields}}}"#);
        let outcome = decode(format!("{record}\n{record}").as_bytes(), Limits::default());
        for seen in &outcome.seen {
            let Seen::Event { timestamp_ms, timestamp_source, .. } = seen else {
                panic!("{record}: {seen:?}");
            };
            assert_eq!((*timestamp_ms, *timestamp_source), (milliseconds, source), "{record}");
        }
        assert_eq!(
            outcome.counters.timestamps_missing,
            if source == FallbackMissing { 2 } else { 0 }
        );
        assert_eq!(
            outcome.counters.timestamps_unusable,
            if source == FallbackUnusable { 2 } else { 0 }
        );
    }
}

#[test]
fn debug_output_does_not_show_content() {
    let mut decoder = Decoder::new(&b"{\"message\":\"secret\"}\nsecret"[..], Options::default());
    while let Some(decoded) = decoder.next().unwrap() {
        assert!(!format!("{decoded:?}").contains("secret"));
    }
}

#[test]
fn messages_are_equal_when_their_texts_are() {
    let mut decoder = Decoder::new(&br#"{"message":"a\u0062"}"#[..], Options::default());
    let Some(Decoded::Event(event)) = decoder.next().unwrap() else {
        panic!("no event");
    };
    assert_eq!(Some(event.message), Message::from_text("ab"));
    assert_ne!(Some(event.message), Message::from_text("ac"));
    assert_eq!(Message::from_text(""), None);
}
