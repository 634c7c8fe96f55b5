//! Which bytes are a record.

use super::*;

/// Decodes an object and compares its records, as [`summary`] gives them.
#[track_caller]
fn check(object: &[u8], expected: &[&str]) {
    let outcome = decode(object, Limits::default());
    assert_eq!(summary(&outcome), expected, "{}", object.escape_ascii());
    check_positions(object, &outcome);
}

/// Records follow each other in the object, and their bytes are the object's bytes.
#[track_caller]
fn check_positions(object: &[u8], outcome: &Outcome) {
    let mut end = 0;
    for (index, seen) in outcome.seen.iter().enumerate() {
        let (Seen::Event { position, raw, .. } | Seen::Bad { position, raw, .. }) = seen;
        assert_eq!(position.index, index as u64);
        assert!(position.offset >= end);
        let start = usize::try_from(position.offset).unwrap();
        assert!(object[start..].starts_with(raw));
        end = position.offset + position.len;
    }
    assert_eq!(
        outcome.end,
        ResumePoint {
            record: outcome.seen.len() as u64,
            offset: object.len() as u64,
            framing: Framing::Sequence
        }
    );
}

fn m(text: &str) -> String {
    format!(r#"{{"message":"{text}"}}"#)
}

#[test]
fn records_are_found_in_every_framing() {
    let (a, b, c) = (m("a"), m("b"), m("c"));
    let pretty = "[\n  {\n    \"message\": \"a\",\n    \"n\": [1, {\"x\": {}}]\n  },\n  {\n    \"message\": \"b\"\n  },\r\n{\"message\":\"c\"}\n]\n";
    for object in [
        format!("{a}\n{b}\n{c}\n"),
        format!("{a}\n{b}\n{c}"),
        format!("{a}\r\n{b}\r\n{c}\r\n"),
        format!("\n\n{a}\n \t\r\n\n{b}\n{c}\n\n"),
        format!("{a}{b}{c}"),
        format!("{a} {b}\t{c}"),
        format!("{a},{b},{c}"),
        format!("[{a},{b},{c}]"),
        format!(" [ {a} , {b} , {c} ] "),
        format!("[\n{a},\n{b},\n{c}\n]"),
        format!("[{a},{b}]\n[{c}]\n"),
        format!("[{a}][{b}]{c}"),
        format!("{a}\n[]\n[{b}]\n{c}"),
        format!("\u{feff}{a}\n{b}\n{c}\n"),
        format!("\u{feff}[{a},{b},{c}]"),
        pretty.to_owned(),
        pretty.replace('\n', "\r\n"),
        pretty.trim_end().to_owned(),
    ] {
        check(object.as_bytes(), &["a", "b", "c"]);
    }
}

#[test]
fn an_object_without_records_has_none() {
    for object in ["", "[]", "\n", "\r\n \t", "[\n]\n", "[][]", "\u{feff}", "\u{feff}[]", ","] {
        check(object.as_bytes(), &[]);
    }
}

#[test]
fn brackets_and_quotes_inside_strings_do_not_end_a_record() {
    for text in [r"}", r"]", r"},{", r#"\"}"#, r"\\", r#"{\"a\":[\"b\"]}"#, r"\u0022}"] {
        let expected = serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap();
        check(format!("[{},{}]", m(text), m("next")).as_bytes(), &[&expected, "next"]);
        check(format!("{}\n{}\n", m(text), m("next")).as_bytes(), &[&expected, "next"]);
    }
}

#[test]
fn values_that_are_not_objects_are_bad_records() {
    let a = m("a");
    for (value, shown) in [
        ("null", "null"),
        ("true", "true"),
        ("12", "12"),
        ("-1.5e3", "-1.5e3"),
        ("\"text\"", "\\\"text\\\""),
    ] {
        let bad = format!("not_an_object <{shown}>");
        check(format!("{value}\n{a}\n{value}").as_bytes(), &[&bad, "a", &bad]);
        check(format!("[{value},{a},{value}]").as_bytes(), &[&bad, "a", &bad]);
        check(format!("[\n{value}\n,\n{a},\n{value}\n]").as_bytes(), &[&bad, "a", &bad]);
    }
    check(
        format!("[[{a}],{a},[1,[2]]]").as_bytes(),
        &[r#"not_an_object <[{\"message\":\"a\"}]>"#, "a", "not_an_object <[1,[2]]>"],
    );
}

#[test]
fn text_that_is_not_json_is_a_bad_line() {
    let a = m("a");
    check(
        format!("plain text, {a}\n{a}\n").as_bytes(),
        &[r#"not_an_object <plain text, {\"message\":\"a\"}>"#, "a"],
    );
    check(format!("{a}\r\ntruth\r\n{a}").as_bytes(), &["a", r"not_an_object <truth\r>", "a"]);
    check(format!("]\n}}\n{a}").as_bytes(), &["not_an_object <]>", "not_an_object <}>", "a"]);
    check(format!("{a} garbage\n{a}\n").as_bytes(), &["a", "not_an_object <garbage>", "a"]);
    check(format!("[{a} garbage,{a}]").as_bytes(), &["a", "not_an_object <garbage>", "a"]);
    check(
        format!("[NaN,{a},tru,{a}]").as_bytes(),
        &["not_an_object <NaN>", "a", "not_an_object <tru>", "a"],
    );
    check(
        b"\xff\xfe\n{\"message\":\"a\"}\x00\n",
        &[r"not_an_object <\xff\xfe>", "a", r"not_an_object <\x00>"],
    );
    check(
        format!("{a}\n\u{feff}{a}\n").as_bytes(),
        &["a", r#"not_an_object <\xef\xbb\xbf{\"message\":\"a\"}>"#],
    );
}

#[test]
fn a_broken_record_costs_its_line() {
    let (a, c) = (m("a"), m("c"));
    for (broken, shown) in [
        (r#"{"message":"b"#, r#"{\"message\":\"b"#),
        (r#"{"message":"#, r#"{\"message\":"#),
        (r#"{"message":"b","#, r#"{\"message\":\"b\","#),
        ("{", "{"),
        (r#"{"n":{"#, r#"{\"n\":{"#),
        (r#"{"n":[1,{"x":"#, r#"{\"n\":[1,{\"x\":"#),
        ("{'message':'b'}", r"{\'message\':\'b\'}"),
        (r#"{"message":"b" "x":1}"#, r#"{\"message\":\"b\" \"x\":1}"#),
        (r#"{"message":"b",}"#, r#"{\"message\":\"b\",}"#),
        (r#"{"message":nul}"#, r#"{\"message\":nul}"#),
        (r#"{"message":01}"#, r#"{\"message\":01}"#),
        (r#"{"message":1.}"#, r#"{\"message\":1.}"#),
        (r#"{"message":+1}"#, r#"{\"message\":+1}"#),
        (r#"{"message":NaN}"#, r#"{\"message\":NaN}"#),
        (r#"{"message":"\x"}"#, r#"{\"message\":\"\\x\"}"#),
        (r#"{"message":"\u12"}"#, r#"{\"message\":\"\\u12\"}"#),
        ("{\"message\":\"\t\"}", r#"{\"message\":\"\t\"}"#),
        ("{\"message\":\"\u{0}\"}", r#"{\"message\":\"\x00\"}"#),
        (r#"{message:"b"}"#, r#"{message:\"b\"}"#),
    ] {
        let bad = format!("syntax <{shown}>");
        check(format!("{a}\n{broken}\n{c}\n").as_bytes(), &["a", &bad, "c"]);
        check(format!("[\n{a},\n{broken}\n,{c}\n]").as_bytes(), &["a", &bad, "c"]);
    }
}

#[test]
fn a_broken_record_in_a_one_line_array_costs_its_brackets() {
    let (a, c) = (m("a"), m("c"));
    for (broken, shown) in [
        (r#"{"message":}"#, r#"{\"message\":}"#),
        (r#"{"message":"b",}"#, r#"{\"message\":\"b\",}"#),
        (r#"{"n":[1}"#, r#"{\"n\":[1}"#),
        (r#"{"n":[{"x":1}"x"]}"#, r#"{\"n\":[{\"x\":1}\"x\"]}"#),
        (r#"{"message":"say "hi" now"}"#, r#"{\"message\":\"say \"hi\" now\"}"#),
    ] {
        let bad = format!("syntax <{shown}>");
        check(format!("[{a},{broken},{c}]").as_bytes(), &["a", &bad, "c"]);
    }
    check(
        format!(r#"[{a},{{"n":{{"x":1}}]{c}"#).as_bytes(),
        &["a", r#"syntax <{\"n\":{\"x\":1}>"#, "c"],
    );
}

#[test]
fn the_end_of_the_object_inside_a_record_is_reported_once() {
    let a = m("a");
    let cut = r#"{"message":"b"#;
    let bad = r#"truncated <{\"message\":\"b>"#;
    check(format!("{a}\n{cut}").as_bytes(), &["a", bad]);
    check(format!("[{a},{cut}").as_bytes(), &["a", bad]);
    check(
        format!("[\n  {a},\n  {{\n    \"message\": \"b\",\n    \"x\": 1").as_bytes(),
        &["a", r#"truncated <{\n    \"message\": \"b\",\n    \"x\": 1>"#],
    );
    check(format!("[{a},tru").as_bytes(), &["a", "truncated <tru>"]);
    check(format!("[{a}").as_bytes(), &["a", "unclosed_array <>"]);
    check(format!("[{a},").as_bytes(), &["a", "unclosed_array <>"]);
    check(b"[", &["unclosed_array <>"]);
    check(b"{", &["truncated <{>"]);
    check(b"[[1", &["truncated <[1>"]);
}

#[test]
fn a_line_cut_where_a_value_may_follow_does_not_swallow_the_next_ones() {
    let (a, b) = (m("a"), m("b"));
    let cut = r#"{"x":"#;
    let bad = r#"syntax <{\"x\":>"#;
    check(format!("{cut}\n{a}\n{b}\n").as_bytes(), &[bad, "a", "b"]);
    check(format!("{cut}\n{a}\n").as_bytes(), &[bad, "a"]);
    check(format!("{cut}[\n{a},\n{b}\n").as_bytes(), &[r#"syntax <{\"x\":[>"#, "a", "b"]);
}

#[test]
fn a_record_is_at_most_128_levels_deep() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let mixed =
        |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for record in [nested(128), mixed(128)] {
        check(format!("{record}\n").as_bytes(), &[&record]);
        check(format!("[{record}]").as_bytes(), &[&record]);
    }
    for deep in [nested(129), mixed(129), nested(10_000), mixed(10_000)] {
        let bad = format!("too_deep <{}>", deep.as_bytes().escape_ascii());
        check(format!("{deep}\n{}", m("a")).as_bytes(), &[&bad, "a"]);
        check(format!("[{deep},{}]", m("a")).as_bytes(), &[&bad, "a"]);
    }
    let in_strings = m(&"{[".repeat(500));
    check(in_strings.as_bytes(), &["{[".repeat(500).as_str()]);
    let never_closed = r#"{"a":"#.repeat(10_000);
    check(
        format!("{never_closed}\n{}", m("a")).as_bytes(),
        &[&format!("too_deep <{}>", never_closed.as_bytes().escape_ascii()), "a"],
    );
}

#[test]
fn an_oversized_record_is_passed_over_and_the_rest_proceeds() {
    let limits = Limits { max_record: 10_000, ..Limits::default() };
    let record = |len: usize| m(&"x".repeat(len - m("").len()));
    let (largest, large) = (record(10_000), record(10_001));
    let pretty = format!("{{\n\"message\": \"a\",\n\"pad\": \"{}\"\n}}", "x".repeat(20_000));
    let text = "not json ".repeat(3000);
    let unclosed = format!(r#"{{"message":"{}"#, "x".repeat(20_000));
    for (long, reason) in [
        (&large, BadReason::Oversized),
        (&pretty, BadReason::Oversized),
        (&unclosed, BadReason::Oversized),
    ] {
        for object in
            [format!("{largest}\n{long}\n{}\n", m("a")), format!("[{largest},{long}\n,{}]", m("a"))]
        {
            let outcome = decode(object.as_bytes(), limits);
            let [
                Seen::Event { .. },
                Seen::Bad { position, reason: found, raw },
                Seen::Event { text, .. },
            ] = &outcome.seen[..]
            else {
                panic!("{:?}", summary(&outcome));
            };
            assert_eq!((*found, position.len), (reason, long.len() as u64));
            assert_eq!(raw.as_slice(), &long.as_bytes()[..MAX_OVERSIZED_SAMPLE]);
            assert_eq!(text, "a");
            check_positions(object.as_bytes(), &outcome);
        }
    }
    let outcome = decode(format!("{text}\n{}", m("a")).as_bytes(), limits);
    assert!(matches!(
        &outcome.seen[..],
        [Seen::Bad { reason: BadReason::Oversized, .. }, Seen::Event { .. }]
    ));
    let outcome = decode(large.as_bytes(), Limits { max_record: 0, ..limits });
    assert_eq!(outcome.counters.bad, 1);
}
