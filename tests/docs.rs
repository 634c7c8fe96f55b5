//! Every `mtlog` line in the documents is understood, and those that only look are run.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use fake_aws::FakeAws;

use crate::support::{Mtlog, REGION};

/// Commands that only look, as the lines of the documents start.
const ONLY_LOOKING: &[&str] = &[
    "status",
    "doctor",
    "explain",
    "outputs",
    "events",
    "diagnose",
    "drift",
    "plan",
    "tenant list",
    "tenant show",
    "tenant export",
    "config",
    "iam",
    "cost",
    "env dotenv",
    "env shell",
    "template",
];

/// A line of a document.
struct Line {
    place: String,
    words: Vec<String>,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found =
        std::fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> =
        found.filter(|path| path.extension().is_some_and(|ext| ext == "md")).collect();
    documents.push(root.join("README.md"));
    documents.sort();
    documents
}

/// Returns the lines of a document's shell blocks that call `mtlog`.
fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).expect("a document").replace("\\\n", " ");
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut is_shell = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            is_shell = line == "```sh";
            continue;
        }
        let command = line.split("  #").next().unwrap_or_default();
        let command = command.split(" > ").next().unwrap_or_default();
        let command = command.split(" < ").next().unwrap_or_default().trim();
        if is_shell && command.starts_with("mtlog ") {
            let words = words(command);
            found.push(Line { place: format!("{name}: {line}"), words });
        }
    }
    found
}

/// Splits as a shell does, as far as the documents need it.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, ' ') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, other) => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What another command would print, and what a reader has to fill in, is no word that can be read.
fn filled_in(word: &str) -> String {
    match word {
        "ARN" => "arn:aws:iam::111122223333:role/CustomerLogDistribution-us-east-2".to_owned(),
        image if image.starts_with("$(") => {
            format!("111122223333.dkr.ecr.us-east-2.amazonaws.com/x@sha256:{}", "0".repeat(64))
        }
        other => other.to_owned(),
    }
}

#[test]
fn every_line_is_understood() {
    let mut count = 0;
    for path in documents() {
        for line in lines(&path) {
            let line_words: Vec<String> = line.words.iter().map(|word| filled_in(word)).collect();
            if let Err(error) = mtlog::cli::Cli::try_parse_from(&line_words) {
                panic!("{}\n{error}", line.place);
            }
            count += 1;
        }
    }
    assert!(count > 50, "{count} lines");
}

#[test]
fn lines_that_only_look_do_what_they_say() {
    let fake = FakeAws::start_blocking();
    let mtlog = Mtlog::with(&fake);
    mtlog.run(&["deploy", "global", "-r", "us-east-1", "-y"]).exits(0);
    for (environment, region) in
        [("production", REGION), ("production", "eu-west-1"), ("development", REGION)]
    {
        let deploy = ["deploy", "regional", "-e", environment, "-r", region, "--include-sqs", "-y"];
        mtlog.run(&[&deploy[..], &["--global-region", "us-east-1"]].concat()).exits(0);
    }
    let add = ["tenant", "add", "acme", "-e", "production", "-r", REGION, "-y"];
    let role = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
    let to =
        ["--role-arn", role, "--log-group", "/ROSA/cluster-logs/acme", "--target-region", REGION];
    mtlog.run(&[&add[..], &to].concat()).exits(0);
    let mut count = 0;
    for path in documents() {
        for line in lines(&path) {
            let arguments: Vec<&str> = line.words.iter().skip(1).map(String::as_str).collect();
            let text = arguments.join(" ");
            let looks = ONLY_LOOKING.iter().any(|start| text.starts_with(start));
            // Endless, written to a file, or of what this world has not.
            let is_left_out =
                ["--watch", "--save", "customer", "cluster"].iter().any(|part| text.contains(part));
            if !looks || is_left_out {
                continue;
            }
            let ran = mtlog.run(&arguments);
            assert!(matches!(ran.code, Some(0 | 2)), "{}\n{ran:#?}", line.place);
            count += 1;
        }
    }
    assert!(count > 25, "{count} lines");
}

#[test]
fn the_page_about_security_names_tests_that_exist() {
    let text = include_str!("../docs/security.md");
    let sources: String = ["access.rs", "access_chain.rs", "access_processor.rs"]
        .iter()
        .map(|name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(name);
            std::fs::read_to_string(path).expect("a test")
        })
        .collect();
    let mut count = 0;
    for name in text.split('`').skip(1).step_by(2) {
        let is_test = name.len() > 30 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_test {
            assert!(sources.contains(&format!("fn {name}()")), "{name}");
            count += 1;
        }
    }
    assert!(count >= 15, "{count} tests");
}
