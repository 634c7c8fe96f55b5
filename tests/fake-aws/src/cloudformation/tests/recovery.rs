//! Stopping an update, and the ways out of one that has failed.

use super::super::plans::{During, PlannedFailure};
use super::bed::Bed;

const TEMPLATE: &str = "
Parameters: {Name: {Type: String, Default: one}}
Resources:
  First: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Name}}
  Second: {Type: AWS::SQS::Queue, DependsOn: First, Properties: {Tags: [{Key: a, Value: !Ref Name}]}}
";
const MAIN: &str = "
Parameters: {Name: {Type: String, Default: one}}
Resources:
  Inner:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/inner.yaml
      Parameters: {Name: !Ref Name}
";

fn update(bed: &mut Bed, stack: &str, value: &str, more: &[(&str, &str)]) {
    let mut parameters = vec![
        ("StackName", stack),
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "Name"),
        ("Parameters.member.1.ParameterValue", value),
    ];
    parameters.extend(more);
    bed.ok("UpdateStack", &parameters);
}

#[test]
fn a_cancelled_update_is_taken_back() {
    let mut bed = Bed::held();
    bed.create("s", TEMPLATE);
    assert_eq!(
        bed.refused("CancelUpdateStack", &[("StackName", "s")]),
        "ValidationError: CancelUpdateStack cannot be called from current stack status"
    );
    update(&mut bed, "s", "two", &[]);
    bed.step();
    bed.ok("CancelUpdateStack", &[("StackName", "s"), ("ClientRequestToken", "stop")]);
    bed.run();
    assert_eq!(bed.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    let events = bed.events("s");
    for line in [
        "s UPDATE_ROLLBACK_IN_PROGRESS: User Initiated",
        "First UPDATE_FAILED: Resource update cancelled",
    ] {
        assert!(events.contains(&line.to_owned()), "{line}: {events:#?}");
    }
}

#[test]
fn a_rollback_that_fails_can_be_continued() {
    let mut bed = Bed::new();
    let id = bed.create("s", TEMPLATE);
    bed.state.failures.push(PlannedFailure::new("Second", "no").during(During::Update).times(1));
    bed.state.failures.push(PlannedFailure::new("First", "gone").during(During::Rollback).times(2));
    update(&mut bed, "s", "two", &[]);
    let failed = "UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [First]. ";
    assert_eq!(bed.verdict("s"), failed);
    assert_eq!(
        bed.refused("UpdateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]),
        format!(
            "ValidationError: Stack:{id} is in UPDATE_ROLLBACK_FAILED state and can not be updated."
        )
    );
    bed.ok("ContinueUpdateRollback", &[("StackName", "s"), ("ClientRequestToken", "t1")]);
    assert_eq!(bed.verdict("s"), failed);
    bed.ok("ContinueUpdateRollback", &[("StackName", "s"), ("ClientRequestToken", "t2")]);
    assert_eq!(bed.verdict("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bed.resources("s"), ["First UPDATE_COMPLETE", "Second UPDATE_COMPLETE"]);
    // The same token again starts nothing.
    bed.ok("ContinueUpdateRollback", &[("StackName", "s"), ("ClientRequestToken", "t2")]);
    let starts =
        bed.state.executions.iter().filter(|run| run.action == "ContinueUpdateRollback").count();
    assert_eq!(starts, 2);
}

#[test]
fn resources_that_fail_to_come_back_can_be_skipped() {
    let mut bed = Bed::new();
    bed.put_object("templates", "inner.yaml", TEMPLATE);
    bed.create("main", MAIN);
    bed.state.failures.push(PlannedFailure::new("Second", "no").during(During::Update));
    bed.state.failures.push(PlannedFailure::new("First", "gone").during(During::Rollback));
    update(&mut bed, "main", "two", &[]);
    let inner = bed.physical("main", "Inner");
    let name = inner.split('/').nth(1).unwrap().to_owned();
    assert_eq!(bed.status(&inner), "UPDATE_ROLLBACK_FAILED");
    assert_eq!(
        bed.verdict("main"),
        "UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [Inner]. "
    );
    let skip = |name: &str| {
        vec![
            ("StackName".to_owned(), "main".to_owned()),
            ("ResourcesToSkip.member.1".to_owned(), name.to_owned()),
        ]
    };
    let rows = [
        ("First".to_owned(), "ValidationError: Resource [First] in ResourcesToSkip does not exist".to_owned()),
        ("Inner.First".to_owned(), "ValidationError: Resource [Inner.First] in ResourcesToSkip does not exist".to_owned()),
        ("Inner".to_owned(), "ValidationError: Resource [Inner] in ResourcesToSkip must be in the UPDATE_FAILED state because its rollback failed".to_owned()),
    ];
    for (wrong, message) in rows {
        let pairs = skip(&wrong);
        let parameters: Vec<(&str, &str)> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(bed.refused("ContinueUpdateRollback", &parameters), message);
    }
    let right = format!("{name}.First");
    bed.ok(
        "ContinueUpdateRollback",
        &[("StackName", "main"), ("ResourcesToSkip.member.1", &right)],
    );
    assert_eq!(bed.verdict("main"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bed.status(&inner), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn a_failure_that_is_kept_can_be_taken_back_or_mended() {
    for way in ["back", "mend"] {
        let mut bed = Bed::new();
        let id = bed.create("s", TEMPLATE);
        bed.state
            .failures
            .push(PlannedFailure::new("Second", "no").during(During::Update).times(1));
        update(&mut bed, "s", "two", &[("DisableRollback", "true")]);
        assert_eq!(
            bed.verdict("s"),
            "UPDATE_FAILED: The following resource(s) failed to update: [Second]. "
        );
        if way == "back" {
            bed.ok("RollbackStack", &[("StackName", "s"), ("ClientRequestToken", "back")]);
            assert_eq!(bed.verdict("s"), "UPDATE_ROLLBACK_COMPLETE");
            assert_eq!(
                bed.refused("RollbackStack", &[("StackName", "s")]),
                format!(
                    "ValidationError: Stack:{id} is in UPDATE_ROLLBACK_COMPLETE state and can not be rolled back."
                )
            );
        } else {
            update(&mut bed, "s", "two", &[]);
            assert_eq!(bed.verdict("s"), "UPDATE_COMPLETE");
        }
        assert_eq!(bed.resources("s"), ["First UPDATE_COMPLETE", "Second UPDATE_COMPLETE"]);
    }
}

#[test]
fn a_failed_creation_that_was_kept_can_be_taken_back() {
    let mut bed = Bed::new();
    bed.state.failures.push(PlannedFailure::new("Second", "no").during(During::Create));
    let parameters = [("StackName", "s"), ("TemplateBody", TEMPLATE), ("OnFailure", "DO_NOTHING")];
    bed.ok("CreateStack", &parameters);
    assert_eq!(bed.status("s"), "CREATE_FAILED");
    bed.ok("RollbackStack", &[("StackName", "s")]);
    assert_eq!(bed.verdict("s"), "ROLLBACK_COMPLETE");
    assert_eq!(bed.resources("s"), ["First DELETE_COMPLETE", "Second DELETE_COMPLETE"]);
}

#[test]
fn an_automatic_rollback_is_an_operation_of_its_own() {
    use super::super::settings::RollbackOperation;
    for (setting, expected) in [
        (RollbackOperation::Own, vec!["CREATE_STACK", "UPDATE_STACK", "ROLLBACK"]),
        (RollbackOperation::Shared, vec!["CREATE_STACK", "UPDATE_STACK"]),
    ] {
        let mut bed = Bed::new();
        bed.state.settings.rollback_operation = setting;
        let id = bed.create("s", TEMPLATE);
        bed.state.failures.push(PlannedFailure::new("Second", "no").during(During::Update));
        update(&mut bed, "s", "two", &[("ClientRequestToken", "token-1")]);
        let stack = &bed.state.stacks[&id];
        let kinds: Vec<&str> =
            stack.operations.iter().map(|operation| operation.kind.as_str()).collect();
        assert_eq!(kinds, expected);
        let last = stack.operations.last().unwrap().id.clone();
        let rolled_back =
            stack.events.iter().filter(|event| event.operation == last && event.logical == "s");
        assert!(rolled_back.clone().any(|event| event.status == "UPDATE_ROLLBACK_IN_PROGRESS"));
        assert!(rolled_back.clone().all(|event| event.token.as_deref() == Some("token-1")));
    }
}
