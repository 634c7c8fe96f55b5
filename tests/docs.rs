//! Every `mtlog` line in the documents is understood, and run, but for those that are listed with a reason.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use fake_aws::FakeAws;

use crate::support::{ACCOUNT, Mtlog, REGION};

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

/// Lines that are not run here, as they start, and where what they do is tested.
const ELSEWHERE: &[(&str, &str)] = &[
    ("deploy regional -e production --waves", "bakes for ten minutes: tests/deploy_fleet.rs"),
    ("deploy regional --include-lambda --image", "takes an image from ECR: tests/deploy_fleet.rs"),
    (
        "deploy customer -r us-east-2 --central-role-arn ARN",
        "has a hole: the line of README.md is run",
    ),
    ("deploy global --param OperatorRoleArns", "names people: tests/onboard.rs"),
    ("rollback", "needs a failed update: tests/deploy.rs"),
    (
        "process --mode manual",
        "reads objects that are not here: tests/generate.rs, processor/tests",
    ),
    ("probe", "needs the engine beside it: tests/probe.rs"),
    ("dlq show", "names a letter: tests/dlq.rs"),
    ("tenant wait", "needs a customer: tests/onboard.rs"),
    ("tenant verify", "needs a customer: tests/onboard.rs"),
    ("tenant add acme --account", "needs a customer: tests/onboard.rs"),
    ("customer check", "is for another account: tests/onboard.rs, tests/iam.rs"),
    ("image", "needs a registry: tests/images.rs"),
    ("status", "watches without an end: tests/status.rs"),
];

/// What a person would be asked, or would have to end, as the lines start. The first that fits counts.
const ANSWERS: &[(&str, &[&str])] = &[
    ("deploy regional -e production -r us-east-2 --yes", &[]),
    ("deploy", &["-y"]),
    ("apply", &["-y"]),
    ("cancel", &["-y"]),
    ("attach", &[]),
    ("plan", &[]),
    ("process --mode sqs", &["--until-empty"]),
    ("dlq list", &[]),
    ("dlq redrive", &["-y"]),
    ("dlq purge", &["--confirm", "multi-tenant-logging-production-log-delivery-dlq"]),
    ("replay --cluster-name", &[]),
    ("replay", &["-y"]),
    ("tenant", &["-y"]),
];

#[test]
fn lines_that_change_something_do_what_they_say_in_their_order() {
    const FORMER: &str = "multi-tenant-logging-production-tenant-configs";
    let fake = FakeAws::start_blocking();
    fake.add_oidc_provider(ACCOUNT, "oidc.op1.openshiftapps.com/abc123", &["openshift"]);
    let anybody = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}"#;
    let central = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-1a2b3c4d";
    fake.add_role(central, anybody, &[]);
    fake.create_table(ACCOUNT, REGION, FORMER, "tenant_id", "");
    let customer = fake.root_credentials("222222222222").environment();
    let key = |wanted: &str| customer.iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
    let profile = format!(
        "[customer]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key("AWS_ACCESS_KEY_ID"),
        key("AWS_SECRET_ACCESS_KEY")
    );
    let mut count = 0;
    let mut used = std::collections::BTreeSet::new();
    for path in documents() {
        let mut mtlog = Mtlog::with(&fake);
        mtlog.write("credentials", &profile);
        mtlog.set("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        mtlog.set("ENVIRONMENT", "production");
        mtlog.write("tenants.yaml", "[]\n");
        for line in lines(&path) {
            let words: Vec<String> = line.words.iter().map(|word| filled_in(word)).collect();
            let typed = line.words.get(1..).unwrap_or_default().join(" ");
            let looks = ONLY_LOOKING.iter().any(|start| typed.starts_with(start));
            let saves = typed.contains("--save");
            if let Some((start, _)) = ELSEWHERE.iter().find(|(start, _)| typed.starts_with(start)) {
                used.insert(*start);
                continue;
            }
            if looks && !saves {
                continue;
            }
            let answers = ANSWERS.iter().find(|(start, _)| typed.starts_with(start));
            let (_, more) = answers.unwrap_or_else(|| panic!("{}: not known here", line.place));
            let words: Vec<&str> =
                words.iter().skip(1).map(String::as_str).chain(more.iter().copied()).collect();
            let ran = mtlog.run(&words);
            assert!(matches!(ran.code, Some(0 | 2)), "{}\n{ran:#?}", line.place);
            count += 1;
        }
    }
    assert!(count > 25, "{count} lines");
    let unused: Vec<_> = ELSEWHERE.iter().filter(|(start, _)| !used.contains(start)).collect();
    assert!(unused.is_empty(), "{unused:?} stand in no document");
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
