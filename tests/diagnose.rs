//! `mtlog diagnose` on a corpus of failures in the words of CloudFormation, each with the cause that must come first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::Mtlog;

const CORPUS: &str = include_str!("corpus/failures.txt");

/// One failure and what must be said of it.
#[derive(Debug, Default)]
struct Case {
    name: String,
    cause: String,
    code: String,
    also: Vec<String>,
    folded: u64,
    events: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "case" {
            cases.push(Case { name: rest.to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a case first");
        match word {
            "cause" => {
                let (path, code) = rest.split_once(' ').unwrap_or((rest, "-"));
                (case.cause, case.code) = (path.to_owned(), code.to_owned());
            }
            "also" => case.also.push(rest.to_owned()),
            "folded" => case.folded = rest.parse().expect("a number"),
            _ => case.events.push(line.to_owned()),
        }
    }
    cases
}

fn arn(stack: &str) -> String {
    let name =
        if stack == "." { "root".to_owned() } else { format!("root-{}", stack.replace('/', "-")) };
    format!(
        "arn:aws:cloudformation:us-east-2:111111111111:stack/{name}/0a1b2c3d-0000-0000-0000-{name}"
    )
}

/// Turns a line of the corpus into an event as the AWS CLI prints it.
fn event(number: usize, line: &str) -> (String, Value) {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (second, subject, status, reason) = (word(), word(), word(), word());
    let (stack, resource) = subject.split_once(':').unwrap_or((subject, ""));
    let (logical, kind) = resource.split_once('(').unwrap_or((resource, ""));
    let kind = kind.trim_end_matches(')');
    let own = arn(stack);
    let inner = if stack == "." { logical.to_owned() } else { format!("{stack}/{logical}") };
    let (logical, physical, kind) = match (resource.is_empty(), kind) {
        (true, _) => ("root", own.clone(), "CloudFormation::Stack"),
        (false, "CloudFormation::Stack") => (logical, arn(&inner), kind),
        (false, _) => (logical, logical.to_lowercase(), kind),
    };
    let mut reason = reason.to_owned();
    for part in line.split('{').skip(1).filter_map(|rest| rest.split_once('}')) {
        if part.0.chars().all(|c| c.is_ascii_alphabetic() || c == '/') {
            reason = reason.replace(&format!("{{{}}}", part.0), &arn(part.0));
        }
    }
    let time = 1_700_000_000 + second.parse::<i64>().expect("a second");
    let mut event = json!({
        "StackId": own,
        "EventId": format!("{logical}-{status}-{number}"),
        "StackName": "root",
        "LogicalResourceId": logical,
        "PhysicalResourceId": physical,
        "ResourceType": format!("AWS::{kind}"),
        "Timestamp": jiff(time),
        "ResourceStatus": status,
    });
    if let Some(hook) = reason.strip_prefix('!') {
        event["HookStatus"] = "HOOK_COMPLETE_FAILED".into();
        event["HookStatusReason"] = hook.into();
    } else if !reason.is_empty() {
        event["ResourceStatusReason"] = reason.into();
    }
    (own, event)
}

/// Seconds as a time in the AWS CLI's form.
fn jiff(second: i64) -> String {
    let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!("2023-11-14T{hours:02}:{minutes:02}:{seconds:02}.123000+00:00")
}

/// Returns the documents that the AWS CLI prints for a case, one for each stack, the newest event first.
fn documents(case: &Case, nested_first: bool) -> String {
    let mut stacks: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (number, line) in case.events.iter().enumerate() {
        let (stack, event) = event(number, line);
        stacks.entry(stack).or_default().insert(0, event);
    }
    let documents = stacks.into_values().map(|events| json!({"StackEvents": events}).to_string());
    if nested_first {
        documents.rev().collect::<Vec<_>>().join("\n")
    } else {
        documents.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn the_first_cause_of_every_known_failure_comes_first() {
    let mtlog = Mtlog::offline();
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "every case has a name of its own");
    for case in &cases {
        for nested_first in [true, false] {
            mtlog.write("events.json", &documents(case, nested_first));
            let found =
                mtlog.run(&["diagnose", "--events", "events.json", "-o", "json"]).exits(0).json();
            let cause = &found["cause"];
            if case.cause == "nothing" {
                assert!(cause.is_null(), "{}: {cause}", case.name);
                continue;
            }
            assert_eq!(cause["path"], case.cause, "{}: {found:#}", case.name);
            let code = cause["explanation"]["code"].as_str().unwrap_or("-");
            assert_eq!(code, case.code, "{}: {cause:#}", case.name);
            let also: Vec<&str> = found["also"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|other| other["path"].as_str().expect("a path"))
                .collect();
            assert_eq!(also, case.also, "{}", case.name);
            assert_eq!(found["consequences"], case.folded, "{}: {found:#}", case.name);
        }
    }
}

#[test]
fn a_diagnosis_is_read_in_the_order_of_what_matters() {
    let mtlog = Mtlog::offline();
    let case = &cases()[0];
    mtlog.write("events.json", &documents(case, false));
    let text = mtlog.run(&["diagnose", "--events", "events.json"]).exits(0).stdout;
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{text}"));
    assert!(at("cause") < at("why") && at("why") < at("fix") && at("fix") < at("3 more resources"));
    assert!(at("already exists") < at("[MT001]"), "{text}");
}

#[test]
fn what_is_no_history_is_refused() {
    let mtlog = Mtlog::offline();
    mtlog.write("events.json", "[]");
    mtlog.run(&["diagnose", "--events", "events.json"]).exits(64).says(&["describe-stack-events"]);
    mtlog.run(&["diagnose", "--events", "gone.json"]).exits(64).says(&["`gone.json`"]);
    mtlog.run(&["diagnose"]).exits(64);
}
