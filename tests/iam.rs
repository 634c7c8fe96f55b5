//! `mtlog iam policy`: the committed table of calls is what the commands really call, the policies made of it are enough,
//! and nothing in them is too much.

mod rows;
#[path = "../processor/tests/engine/runtime_api.rs"]
mod runtime_api;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use clap::CommandFactory as _;
use serde_json::{Value, json};

use self::{
    rows::{ROWS, Removal, Row, Run, WITHOUT_CALLS},
    world::{Bed, World},
};
use crate::support::{ACCOUNT, Mtlog, REGION, Ran};

type Calls = BTreeMap<String, Vec<String>>;

fn committed() -> BTreeMap<String, Calls> {
    let table: Value = serde_json::from_str(include_str!("../src/permissions/calls.json")).unwrap();
    assert_eq!(table["schema"], 2);
    serde_json::from_value(table["commands"].clone()).unwrap()
}

/// A name that no run has had.
fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(40);
    NUMBER.fetch_add(1, Ordering::Relaxed).to_string()
}

/// Runs a row as the person whose policy is tried.
fn ran(world: &World, row: &Row, name: &str) -> Vec<Ran> {
    match row.run {
        Run::Lines(lines) => lines
            .iter()
            .map(|line| {
                let line: Vec<String> = line.iter().map(|word| word.replace("{}", name)).collect();
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                world.limited.run(&line)
            })
            .collect(),
        Run::With(run) => run(world, &world.limited, name),
    }
}

/// Runs a row after what must be there. The person may do everything until then.
fn prepared(world: &mut World, row: &Row, name: &str, policy: Option<&Value>) -> Vec<Ran> {
    world.allow(None);
    if row.bed == Bed::Operated {
        world.add_tenants();
        world.empty_queues();
    }
    (row.before)(world, name);
    world.fake.clear_journal();
    world.ecr.requests();
    world.allow(policy);
    ran(world, row, name)
}

/// Returns the runs that did not do what they are for.
fn failed(ran: Vec<Ran>) -> Vec<Ran> {
    ran.into_iter().filter(|ran| !matches!(ran.code, Some(0 | 2))).collect()
}

/// Returns the policy that is printed for a command, if one is.
fn policy(mtlog: &Mtlog, command: &str, repository: &str) -> Option<Value> {
    let words: Vec<&str> = command.split(' ').collect();
    let more = ["-r", REGION, "--account", ACCOUNT, "--repository", repository];
    let printed = mtlog.run(&[&["iam", "policy"], &words[..], &more].concat()).exits(0).stdout;
    (!printed.is_empty()).then(|| serde_json::from_str(&printed).unwrap())
}

/// A world for each bed, made when it is first wanted. Rows without stacks of their own get a new one each time.
#[derive(Default)]
struct Worlds(Option<World>);

impl Worlds {
    fn of(&mut self, row: &Row) -> World {
        match (row.bed, self.0.take()) {
            (Bed::Operated, Some(world)) => world,
            (bed, kept) => {
                self.0 = kept;
                World::new(bed)
            }
        }
    }

    fn back(&mut self, row: &Row, world: World) {
        if row.bed == Bed::Operated {
            self.0 = Some(world);
        }
    }
}

#[test]
fn the_committed_calls_are_those_that_commands_make() {
    let mut worlds = Worlds::default();
    let mut seen: BTreeMap<String, Calls> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut world = worlds.of(row);
        let ran = prepared(&mut world, row, &new_name(), None);
        wrong.extend(failed(ran).into_iter().map(|ran| (row.command, ran)));
        let mut calls = world.calls();
        for (call, about) in row.stated {
            let all = calls.entry((*call).to_owned()).or_default();
            all.push((*about).to_owned());
            all.sort_unstable();
            all.dedup();
        }
        seen.insert(row.command.to_owned(), calls);
        worlds.back(row, world);
    }
    for (command, line) in WITHOUT_CALLS {
        let world = worlds.0.as_ref().unwrap();
        world.fake.clear_journal();
        world.ecr.requests();
        let ran = world.limited.run(line);
        // Without an engine there is nothing to build with, which is found before any call as well.
        assert!(matches!(ran.code, Some(0 | 6)), "{command}: {ran:#?}");
        assert_eq!(world.fake.calls("*"), 0, "{command}");
        assert_eq!(world.ecr.requests(), Vec::<String>::new(), "{command}");
        seen.insert((*command).to_owned(), Calls::new());
    }
    let table = json!({"schema": 2, "commands": seen});
    assert_eq!(committed(), seen, "{wrong:#?}\nsrc/permissions/calls.json must be\n{table:#}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_command_is_known() {
    fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for below in command.get_subcommands() {
            leaves(below, format!("{path} {}", below.get_name()).trim_start(), found);
        }
        if !command.has_subcommands() {
            found.insert(path.to_owned());
        }
    }
    let mut expected = BTreeSet::new();
    leaves(&mtlog::cli::Cli::command(), "", &mut expected);
    assert!(expected.remove("process"));
    expected.extend(["lambda", "manual", "scan", "sqs"].map(|mode| format!("process {mode}")));
    let known: BTreeSet<String> = committed().into_keys().collect();
    assert_eq!(known, expected);
}

/// Runs every command of a bed with its policy and nothing else.
fn each_is_enough(bed: Bed) {
    let mut worlds = Worlds::default();
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|row| row.bed == bed) {
        let mut world = worlds.of(row);
        let name = new_name();
        let policy = policy(&world.root, row.command, &name);
        let ran = prepared(&mut world, row, &name, policy.as_ref());
        wrong.extend(failed(ran).into_iter().map(|ran| (row.command, ran)));
        worlds.back(row, world);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_policy_is_enough_for_its_command() {
    each_is_enough(Bed::Operated);
}

#[test]
fn each_policy_is_enough_to_change_stacks() {
    each_is_enough(Bed::Empty);
    each_is_enough(Bed::Deployed);
}

/// Returns the policy without each part of it, with the permissions that are gone. The use of a key stays: the stand-in
/// has no keys.
fn lessened(policy: &Value, removal: Removal) -> Vec<(Vec<String>, Value)> {
    let statements = policy["Statement"].as_array().unwrap();
    let mut found = Vec::new();
    for (number, statement) in statements.iter().enumerate() {
        let actions: Vec<String> = serde_json::from_value(statement["Action"].clone()).unwrap();
        if actions.iter().any(|action| action.starts_with("kms:")) {
            continue;
        }
        let parts: Vec<Vec<String>> = match removal {
            Removal::Action => actions.iter().map(|action| vec![action.clone()]).collect(),
            Removal::Statement => vec![actions.clone()],
        };
        for part in parts {
            let kept: Vec<&String> = actions.iter().filter(|one| !part.contains(one)).collect();
            let mut less = policy.clone();
            if kept.is_empty() {
                less["Statement"].as_array_mut().unwrap().remove(number);
            } else {
                less["Statement"][number]["Action"] = json!(kept);
            }
            found.push((part, less));
        }
    }
    found
}

/// Takes each part of a policy away in turn. The command must say what it lacks.
fn nothing_is_too_much(wanted: impl Fn(&Row) -> bool) {
    let mut worlds = Worlds::default();
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|row| wanted(row)) {
        let mut world = worlds.of(row);
        let parts = |name: &str, world: &World| {
            let policy = policy(&world.root, row.command, name);
            policy.map(|policy| lessened(&policy, row.removal)).unwrap_or_default()
        };
        for number in 0..parts("any", &world).len() {
            let name = new_name();
            let (gone, less) = parts(&name, &world).remove(number);
            if gone.iter().any(|gone| row.waits.contains(&gone.as_str())) {
                continue;
            }
            let ran = prepared(&mut world, row, &name, Some(&less));
            let said = gone.iter().any(|gone| {
                // The engine names the operation.
                let operation = match gone.as_str() {
                    "s3:ListBucket" => "ListObjectsV2",
                    other => other.split(':').nth(1).unwrap(),
                };
                let failed = format!("{operation} failed");
                let names = |text: &str| text.contains(gone) || text.contains(&failed);
                ran.iter().any(|ran| names(&ran.stderr) || names(&ran.stdout))
            });
            let silent = gone.iter().all(|gone| row.silent.contains(&gone.as_str()));
            if said == silent {
                wrong.push(format!("{} without {gone:?}: {ran:#?}", row.command));
            }
            if row.bed != Bed::Operated {
                world = worlds.of(row);
            }
        }
        worlds.back(row, world);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_one_permission_a_command_says_which() {
    nothing_is_too_much(|row| row.bed == Bed::Operated && row.command < "g");
}

#[test]
fn without_one_permission_a_command_about_tenants_or_data_says_which() {
    nothing_is_too_much(|row| row.bed == Bed::Operated && row.command >= "g");
}

#[test]
fn without_one_permission_a_change_of_stacks_says_which() {
    nothing_is_too_much(|row| row.bed != Bed::Operated);
}

#[test]
fn a_policy_for_one_command_does_not_let_another_run() {
    let mut world = World::new(Bed::Operated);
    let policy = policy(&world.root, "tenant list", "x");
    world.allow(policy.as_ref());
    world.limited.run(&["tenant", "list"]).exits(0);
    let add = ["tenant", "add", "other", "--role-arn", world::ROLE, "--log-group", "/x"];
    let add = [&add[..], &["--target-region", REGION, "-y"]].concat();
    world.limited.run(&add).exits(3).says(&["`dynamodb:PutItem`"]);
    // In another environment it says nothing.
    world
        .limited
        .run(&["tenant", "list", "-e", "staging"])
        .exits(3)
        .says(&["`cloudformation:DescribeStacks`"]);
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let mtlog = Mtlog::offline();
    let refused = |words: &[&str]| mtlog.run(&[&["iam", "policy"], words].concat()).exits(64);
    refused(&["teleport"])
        .says(&["no command that permissions are known of", "mtlog iam policy --list"]);
    refused(&["statsu"]).says(&["did you mean `status`?"]);
    refused(&["dlq", "lst"]).says(&["`dlq list`?"]);
    refused(&["dlq"]).says(&["several commands", "dlq list, dlq purge"]);
    refused(&["process"]).says(&["process lambda, process manual"]);
    refused(&[]);
    let listed = mtlog.run(&["iam", "policy", "--list"]).exits(0).stdout;
    assert!(listed.lines().any(|line| line == "tenant add"), "{listed}");
    mtlog
        .run(&["iam", "policy", "deploy"])
        .exits(0)
        .says(&["CloudFormation makes and deletes the stacks' resources"]);
    let nothing = mtlog.run(&["iam", "policy", "explain"]).exits(0).says(&["calls nothing of AWS"]);
    assert_eq!(nothing.stdout, "");
    // As on the command line, `ls` is `list`.
    let of = |name: &str| mtlog.run(&["iam", "policy", "tenant", name]).exits(0).stdout;
    assert_eq!(of("ls"), of("list"));
}

#[test]
fn several_regions_and_a_repository_are_named_one_by_one() {
    let mtlog = Mtlog::offline();
    let line =
        ["iam", "policy", "image", "list", "-r", "us-east-2,eu-west-1", "--account", ACCOUNT];
    let printed = mtlog.run(&[&line[..], &["--repository", "engine"]].concat()).exits(0);
    let policy: Value = serde_json::from_str(&printed.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let found = statements.iter().find(|statement| statement["Sid"] == "EcrRepository").unwrap();
    let arn = |region: &str| format!("arn:aws:ecr:{region}:{ACCOUNT}:repository/engine");
    assert_eq!(found["Resource"], json!([arn("us-east-2"), arn("eu-west-1")]));
}

#[test]
fn shells_offer_the_words_of_commands() {
    let script = Mtlog::offline().run(&["completions", "bash"]).exits(0).stdout;
    let after = script.split("mtlog__subcmd__iam__subcmd__policy)").nth(1).unwrap_or_default();
    let options = after.split("esac").next().unwrap_or_default();
    for word in ["redrive", "tenant", "status"] {
        assert!(options.contains(word), "{word} in {options}");
    }
}
