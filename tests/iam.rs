//! `mtlog iam policy`: the committed table of calls is what the commands really call, and the policies made of it are
//! enough.

use std::collections::{BTreeMap, BTreeSet};

use fake_aws::FakeAws;
use serde_json::{Value, json};

use crate::{
    deploy::{REGIONAL, deployed, started},
    status::operated,
    support::{ACCOUNT, Mtlog, REGION},
};

/// One command, with the lines that make it call everything that it may call. `{}` stands for a name that is new each
/// time.
struct Row {
    command: &'static str,
    lines: &'static [&'static [&'static str]],
    /// A name for `{}` that must be there first.
    before: Option<fn(&Mtlog, &str)>,
}

const fn row(command: &'static str, lines: &'static [&'static [&'static str]]) -> Row {
    Row { command, lines, before: None }
}

const fn after(
    command: &'static str,
    before: fn(&Mtlog, &str),
    lines: &'static [&'static [&'static str]],
) -> Row {
    Row { command, lines, before: Some(before) }
}

const ROLE: &str = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";

const ADD: &[&str] = &[
    "tenant",
    "add",
    "{}",
    "--role-arn",
    ROLE,
    "--log-group",
    "/ROSA/cluster-logs/{}",
    "--target-region",
    "us-east-2",
    "-y",
];

fn add(mtlog: &Mtlog, name: &str) {
    run(mtlog, ADD, name);
}

fn plan(mtlog: &Mtlog, name: &str) {
    let plan = ["plan", "regional", "--param", "S3DeleteAfterDays={}", "--save", "plan-{}.json"];
    run(mtlog, &plan, name);
}

/// Every command of which policies are known. `{}` is also a number of days.
const ROWS: &[Row] = &[
    row("status", &[&["status"]]),
    row("doctor", &[&["doctor"]]),
    row("outputs", &[&["outputs", "regional"]]),
    row("events", &[&["events", "regional"]]),
    row("diagnose", &[&["diagnose", "regional"]]),
    row("drift", &[&["drift", "regional"]]),
    row("attach", &[&["attach", REGIONAL]]),
    row("env dotenv", &[&["env", "dotenv"]]),
    row("env shell", &[&["env", "shell"]]),
    row("cost", &[&["cost"]]),
    row("env vector", &[&["env", "vector", "--cluster", "c1"]]),
    row("plan", &[&["plan", "regional", "--param", "S3DeleteAfterDays={}"]]),
    after("apply", plan, &[&["apply", "plan-{}.json", "--yes"]]),
    row("protect", &[&["protect", "regional"]]),
    row("unprotect", &[&["unprotect", "regional", "-y"]]),
    row("tenant add", &[ADD]),
    row("tenant list", &[&["tenant", "list"]]),
    after("tenant show", add, &[&["tenant", "show", "{}"]]),
    after(
        "tenant set",
        add,
        &[&["tenant", "set", "{}", "--log-group", "/ROSA/cluster-logs/x{}", "-y"]],
    ),
    after("tenant disable", add, &[&["tenant", "disable", "{}", "-y"]]),
    after("tenant enable", add, &[&["tenant", "enable", "{}", "-y"]]),
    after("tenant remove", add, &[&["tenant", "remove", "{}", "--confirm", "{}"]]),
    row("tenant export", &[&["tenant", "export"]]),
];

fn run(mtlog: &Mtlog, line: &[&str], name: &str) {
    let line: Vec<String> = line.iter().map(|word| word.replace("{}", name)).collect();
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let ran = mtlog.run(&line);
    assert!(matches!(ran.code, Some(0 | 2)), "{line:?}: {ran:#?}");
}

/// Makes `mtlog` run as somebody who may do only this.
fn limited(fake: &FakeAws, mtlog: &mut Mtlog, policy: &str) {
    let keys = fake.add_user(&format!("arn:aws:iam::{ACCOUNT}:user/limited"), &[policy]);
    for (name, value) in keys.environment() {
        mtlog.set(name, &value);
    }
}

fn as_root(fake: &FakeAws, mtlog: &mut Mtlog) {
    for (name, value) in fake.root_credentials(ACCOUNT).environment() {
        mtlog.set(name, &value);
    }
}

fn policy(mtlog: &Mtlog, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let line = [&["iam", "policy"], &words[..], &["-r", REGION, "--account", ACCOUNT]].concat();
    mtlog.run(&line).exits(0).stdout
}

fn deploy_cluster(fake: &FakeAws, mtlog: &Mtlog) {
    const ISSUER: &str = "oidc.example.com/1";
    fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
    let cluster = ["deploy", "cluster/vector", "--cluster-name", "c1", "--oidc-provider", ISSUER];
    mtlog.run(&[&cluster[..], &["-y"]].concat()).exits(0);
}

/// Everything that a command may look at.
fn with_a_cluster() -> (FakeAws, Mtlog) {
    let (fake, mtlog) = operated();
    deploy_cluster(&fake, &mtlog);
    (fake, mtlog)
}

fn calls(fake: &FakeAws) -> BTreeSet<String> {
    fake.call_counts().into_keys().collect()
}

fn committed() -> BTreeMap<String, BTreeSet<String>> {
    let table: Value = serde_json::from_str(include_str!("../src/permissions/calls.json")).unwrap();
    serde_json::from_value(table["commands"].clone()).unwrap()
}

fn deploy(fake: &FakeAws, mtlog: &Mtlog) {
    mtlog.run(&["deploy", "global", "regional", "--include-sqs", "-y"]).exits(0);
    mtlog.run(&["deploy", "regional", "--param", "S3DeleteAfterDays=30", "-y"]).exits(0);
    deploy_cluster(fake, mtlog);
}

fn destroy(mtlog: &Mtlog) {
    mtlog.run(&["destroy", "regional", "--confirm", REGIONAL]).exits(0);
}

#[test]
fn the_committed_calls_are_those_that_commands_make() {
    let (fake, mtlog) = with_a_cluster();
    let mut seen = BTreeMap::new();
    for row in ROWS {
        if let Some(before) = row.before {
            before(&mtlog, "40");
        }
        fake.clear_journal();
        row.lines.iter().for_each(|line| run(&mtlog, line, "40"));
        seen.insert(row.command.to_owned(), calls(&fake));
        if row.before.is_some() || row.command == "tenant add" {
            fake.clear_table(ACCOUNT, REGION, "multi-tenant-logging-development-tenant-deliveries");
        }
    }
    let (fake, mtlog) = started();
    deploy(&fake, &mtlog);
    seen.insert("deploy".to_owned(), calls(&fake));
    let (fake, mtlog) = deployed();
    destroy(&mtlog);
    seen.insert("destroy".to_owned(), calls(&fake));
    let table = json!({"schema": 1, "commands": seen});
    assert_eq!(committed(), seen, "src/permissions/calls.json must be\n{table:#}");
}

/// The stand-in holds a call that names a change set alone against every stack, which no policy here allows.
const BY_CHANGE_SET: &[&str] = &["apply", "deploy", "destroy"];

#[test]
fn each_policy_is_enough_for_its_command() {
    let (fake, mut mtlog) = with_a_cluster();
    for row in ROWS.iter().filter(|row| !BY_CHANGE_SET.contains(&row.command)) {
        let policy = policy(&mtlog, row.command);
        if let Some(before) = row.before {
            before(&mtlog, "50");
        }
        limited(&fake, &mut mtlog, &policy);
        row.lines.iter().for_each(|line| run(&mtlog, line, "50"));
        as_root(&fake, &mut mtlog);
        fake.clear_table(ACCOUNT, REGION, "multi-tenant-logging-development-tenant-deliveries");
    }
}

#[test]
fn a_policy_for_one_command_does_not_let_another_run() {
    let (fake, mut mtlog) = operated();
    let policy = policy(&mtlog, "tenant list");
    limited(&fake, &mut mtlog, &policy);
    mtlog.run(&["tenant", "list"]).exits(0);
    let add = ADD.iter().map(|word| word.replace("{}", "acme")).collect::<Vec<_>>();
    let add: Vec<&str> = add.iter().map(String::as_str).collect();
    mtlog.run(&add).exits(3).says(&["dynamodb:"]);
    // In another environment it says nothing.
    mtlog.run(&["tenant", "list", "-e", "staging"]).exits(6);
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let mtlog = Mtlog::offline();
    mtlog
        .run(&["iam", "policy", "teleport"])
        .exits(64)
        .says(&["nothing is known of", "mtlog iam policy --list"]);
    mtlog.run(&["iam", "policy"]).exits(64);
    let listed = mtlog.run(&["iam", "policy", "--list"]).exits(0).stdout;
    assert!(listed.lines().any(|line| line == "tenant add"), "{listed}");
    mtlog
        .run(&["iam", "policy", "deploy"])
        .exits(0)
        .says(&["CloudFormation makes and deletes the stacks' resources"]);
}
