//! What terminals of several sizes show.

use indicatif::InMemoryTerm;

use super::*;
use crate::{
    cli::DisplayArgs,
    config::environment::Environment,
    deploy::status::ResourceStatus,
    ui::{ColorChoice, OutputFormat},
};

const START: i64 = 1_700_000_000;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn row(
    path: &str,
    kind: &str,
    status: &str,
    reason: Option<&str>,
    from: i64,
    to: i64,
) -> DeployEvent {
    DeployEvent::Resource(Row {
        path: path.to_owned(),
        resource_type: kind.to_owned(),
        status: ResourceStatus::of(status),
        reason: reason.map(str::to_owned),
        began: time(from),
        reached: time(to),
        stabilising: path.ends_with("Bucket"),
    })
}

fn subject(stack: &str, region: &str) -> Subject {
    let paths = [
        "CoreInfrastructureStack/Bucket",
        "CoreInfrastructureStack/Role",
        "CoreInfrastructureStack/Table",
        "SQSStack/DeadLetters",
        "SQSStack/Queue",
        "LambdaStack/Function",
    ];
    let names = [
        ("CoreInfrastructureStack", "Storage, tenants and roles"),
        ("CoreInfrastructureStack/Bucket", "Central bucket of all log objects"),
        ("CoreInfrastructureStack/Table", "Tenant table"),
        ("SQSStack", "Queues"),
        ("SQSStack/Queue", "Queue of new log objects"),
        ("LambdaStack", "Processor function"),
    ];
    Subject {
        title: format!("regional {stack} in {region}"),
        stack: stack.to_owned(),
        region: region.to_owned(),
        names: names.map(|(path, name)| (path.to_owned(), name.to_owned())).into(),
        expected: paths.map(str::to_owned).into(),
    }
}

fn ui() -> Ui {
    let display = DisplayArgs {
        output: OutputFormat::Table,
        color: ColorChoice::Never,
        quiet: false,
        verbose: 0,
    };
    Ui::new(&display, &Environment::default())
}

/// The events of an update that fails in the middle.
fn events() -> Vec<DeployEvent> {
    let (bucket, role, queue) = ("AWS::S3::Bucket", "AWS::IAM::Role", "AWS::SQS::Queue");
    vec![
        row("CoreInfrastructureStack", NESTED_STACK_TYPE, "UPDATE_IN_PROGRESS", None, 0, 0),
        row(
            "CoreInfrastructureStack/Table",
            "AWS::DynamoDB::Table",
            "UPDATE_COMPLETE",
            None,
            1,
            19,
        ),
        row("CoreInfrastructureStack/Bucket", bucket, "UPDATE_IN_PROGRESS", None, 1, 12),
        row("SQSStack/DeadLetters", queue, "CREATE_IN_PROGRESS", None, 20, 20),
        row(
            "CoreInfrastructureStack/Role",
            role,
            "UPDATE_FAILED",
            Some("the policy is none"),
            2,
            21,
        ),
        row("SQSStack/Queue", queue, "CREATE_FAILED", Some("Resource creation cancelled"), 20, 22),
    ]
}

/// Returns what a terminal of this size shows of one operation, or of two at once.
fn screen(columns: u16, lines: u16, several: &[(&str, &str)]) -> String {
    let terminal = InMemoryTerm::new(lines, columns);
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let size = Size { columns: columns.into(), lines: lines.into() };
    let ui = ui();
    let progress = Progress::with(&ui, tree(target, Screen::Fixed(size)));
    let shown: Vec<Shown<'_>> =
        several.iter().map(|(stack, region)| progress.show(subject(stack, region))).collect();
    for event in events() {
        for shown in &shown {
            // The display's own clock must not show in a test.
            progress.event_at(shown.place, &event, time(43));
        }
    }
    progress.event_at(0, &DeployEvent::RollingBack, time(43));
    progress.tick_at(time(44));
    let contents = terminal.contents();
    drop(shown);
    contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_display_fits_every_width() {
    let frames = [200, 80, 40].map(|columns| {
        let stack = [("multi-tenant-logging-production", "us-east-2")];
        format!("{columns} columns\n{}", screen(columns, 24, &stack))
    });
    insta::assert_snapshot!(frames.join("\n"));
}

#[test]
fn what_does_not_fit_a_low_terminal_is_counted() {
    let both = [("p-production", "us-east-2"), ("p-production", "eu-west-1")];
    let frames = [24, 9].map(|lines| format!("{lines} lines\n{}", screen(80, lines, &both)));
    insta::assert_snapshot!(frames.join("\n"));
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let terminal = InMemoryTerm::new(24, 80);
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let size = Size { columns: 80, lines: 24 };
    let ui = ui();
    let progress = Progress::with(&ui, tree(target, Screen::Fixed(size)));
    let shown = progress.show(subject("p", "us-east-2"));
    for event in events() {
        progress.event_at(shown.place, &event, time(43));
    }
    progress.tick_at(time(44));
    assert!(!terminal.moves_since_last_check().is_empty());
    for _ in 0..100 {
        progress.tick_at(time(44));
    }
    assert_eq!(terminal.moves_since_last_check(), "");
}

#[test]
fn a_heartbeat_says_what_is_waited_for_and_how_long() {
    let mut operation = Operation {
        subject: subject("p", "us-east-2"),
        rows: BTreeMap::new(),
        began: Some(time(0)),
        started: time(0),
        undoing: false,
        complained: false,
        ended: false,
        beside_others: false,
    };
    assert_eq!(heartbeat(&operation, time(31)), "  0:31 still at work on p: CloudFormation");
    for event in events() {
        if let DeployEvent::Resource(row) = event {
            operation.rows.insert(row.path.clone(), row);
        }
    }
    assert_eq!(
        heartbeat(&operation, time(75)),
        "  1:15 still at work on p: Central bucket of all log objects (CoreInfrastructureStack/Bucket) 1:14, \
         SQSStack/DeadLetters 0:55"
    );
}

#[test]
fn a_time_has_minutes_and_seconds() {
    assert_eq!(clock(Duration::from_secs(7)), "0:07");
    assert_eq!(clock(Duration::from_secs(754)), "12:34");
}
