//! Nested stacks: stacks of their own that live and fail with their parent.

use super::super::plans::{During, PlannedFailure};
use super::bed::{Bed, members};

const MAIN: &str = "
Parameters: {Suffix: {Type: String, Default: one}}
Resources:
  Core:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.us-east-2.amazonaws.com/templates/core.yaml
      Parameters: {Suffix: !Ref Suffix}
  Queues:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://templates.s3.us-east-2.amazonaws.com/queues.yaml
      Parameters: {TopicArn: !GetAtt Core.Outputs.TopicArn}
Outputs:
  QueueUrl: {Value: !GetAtt Queues.Outputs.QueueUrl}
";
const CORE: &str = "
Parameters: {Suffix: {Type: String, AllowedPattern: '[a-z]+'}}
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: fixed, DisplayName: !Ref Suffix}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: []}}
Outputs:
  TopicArn: {Value: !Ref Topic}
";
const QUEUES: &str = "
Parameters: {TopicArn: {Type: String}}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: topic, Value: !Ref TopicArn}]}}
Outputs:
  QueueUrl: {Value: !Ref Queue}
";

fn bed() -> Bed {
    let bed = Bed::held();
    bed.put_object("templates", "core.yaml", CORE);
    bed.put_object("templates", "queues.yaml", QUEUES);
    bed
}

fn update(bed: &mut Bed, suffix: &str) {
    let parameters = [
        ("StackName", "main"),
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "Suffix"),
        ("Parameters.member.1.ParameterValue", suffix),
    ];
    bed.ok("UpdateStack", &parameters);
    bed.run();
}

#[test]
fn children_are_stacks_with_their_own_ids_and_events() {
    let mut bed = bed();
    let id = bed.create("main", MAIN);
    assert_eq!(bed.verdict("main"), "CREATE_COMPLETE");
    let (core, queues) = (bed.physical("main", "Core"), bed.physical("main", "Queues"));
    let child = bed.describe(&queues);
    assert!(child.child_text("StackName").unwrap().starts_with("main-Queues-"));
    assert_eq!(child.child_text("ParentId"), Some(id.as_str()));
    assert_eq!(child.child_text("RootId"), Some(id.as_str()));
    let parameter = members(child.child("Parameters"));
    assert_eq!(
        parameter[0].child_text("ParameterValue"),
        Some("arn:aws:sns:us-east-2:111122223333:fixed")
    );
    let url = bed.outputs("main")["QueueUrl"].clone();
    assert!(
        url.starts_with("https://sqs.us-east-2.amazonaws.com/111122223333/main-Queues-"),
        "{url}"
    );
    assert_eq!(bed.events(&core).last().unwrap().split(' ').nth(1), Some("CREATE_COMPLETE"));
    let events = bed.events("main");
    let position = |line: &str| events.iter().position(|event| event == line).unwrap();
    assert!(position("Core CREATE_COMPLETE") < position("Queues CREATE_IN_PROGRESS"));
    bed.ok("DeleteStack", &[("StackName", "main")]);
    bed.run();
    for stack in [&id, &core, &queues] {
        assert_eq!(bed.status(stack), "DELETE_COMPLETE");
    }
    let events = bed.events(&id);
    let position = |line: &str| events.iter().position(|event| event == line).unwrap();
    assert!(position("Queues DELETE_COMPLETE") < position("Core DELETE_IN_PROGRESS"));
}

#[test]
fn an_update_leaves_children_alone_that_do_not_change() {
    let mut bed = bed();
    bed.create("main", MAIN);
    let (core, queues) = (bed.physical("main", "Core"), bed.physical("main", "Queues"));
    update(&mut bed, "two");
    assert_eq!(bed.verdict("main"), "UPDATE_COMPLETE");
    assert_eq!(
        (bed.status(&core).as_str(), bed.status(&queues).as_str()),
        ("UPDATE_COMPLETE", "CREATE_COMPLETE")
    );
    let events = bed.events(&core);
    let statuses: Vec<&str> =
        events.iter().rev().take(5).map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(
        statuses,
        [
            "UPDATE_COMPLETE",
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "UPDATE_COMPLETE",
            "UPDATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS"
        ]
    );
    // The parent lists every nested stack, as CloudFormation does.
    assert!(bed.events("main").contains(&"Queues UPDATE_COMPLETE".to_owned()));
    assert_eq!(
        bed.refused(
            "UpdateStack",
            &[
                ("StackName", "main"),
                ("UsePreviousTemplate", "true"),
                ("Parameters.member.1.ParameterKey", "Suffix"),
                ("Parameters.member.1.UsePreviousValue", "true")
            ]
        ),
        "ValidationError: No updates are to be performed."
    );
}

#[test]
fn a_childs_failure_is_the_parents_failure() {
    let mut bed = bed();
    bed.state.failures.push(PlannedFailure::new("Queue", "too many queues").during(During::Create));
    let id = bed.create("main", MAIN);
    assert_eq!(bed.verdict("main"), "ROLLBACK_COMPLETE");
    let queues = bed.physical(&id, "Queues");
    assert_eq!(bed.status(&queues), "DELETE_COMPLETE");
    let child = bed.events(&queues);
    let name = queues.split('/').nth(1).unwrap();
    for line in [
        "Queue CREATE_FAILED: too many queues".to_owned(),
        format!("{name} CREATE_FAILED: The following resource(s) failed to create: [Queue]. "),
    ] {
        assert!(child.contains(&line), "{child:#?}");
    }
    let events = bed.events("main");
    for line in [
        format!("Queues CREATE_FAILED: Embedded stack {queues} was not successfully created: The following resource(s) failed to create: [Queue]."),
        "main ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [Queues]. Rollback requested by user.".to_owned(),
        "Core DELETE_COMPLETE".to_owned(),
    ] {
        assert!(events.contains(&line), "{events:#?}");
    }
}

#[test]
fn a_failed_update_brings_all_children_back() {
    let mut bed = bed();
    bed.create("main", MAIN);
    let (core, queues) = (bed.physical("main", "Core"), bed.physical("main", "Queues"));
    // The first child succeeds and waits for its parent; the second one fails.
    bed.put_object("templates", "queues.yaml", &QUEUES.replace("Key: topic", "Key: theme"));
    bed.state.failures.push(PlannedFailure::new("Queue", "throttled").during(During::Update));
    update(&mut bed, "two");
    assert_eq!(bed.verdict("main"), "UPDATE_ROLLBACK_COMPLETE");
    for child in [&core, &queues] {
        assert_eq!(bed.status(child), "UPDATE_ROLLBACK_COMPLETE");
    }
    let events = bed.events("main");
    let line = format!(
        "Queues UPDATE_FAILED: Embedded stack {queues} was not successfully updated. Currently in UPDATE_ROLLBACK_IN_PROGRESS with reason: The following resource(s) failed to update: [Queue]."
    );
    assert!(events.contains(&line), "{events:#?}");
    let parameters = members(bed.describe(&core).child("Parameters"));
    assert_eq!(parameters[0].child_text("ParameterValue"), Some("one"));
    let child = bed.events(&core);
    let held =
        child.iter().position(|line| line.contains("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")).unwrap();
    assert!(child[held + 1].contains("UPDATE_ROLLBACK_IN_PROGRESS"), "{child:#?}");
}

#[test]
fn templates_of_children_are_refused_when_their_turn_comes() {
    let url = "https://s3.us-east-2.amazonaws.com/templates/core.yaml";
    let rows = [
        (
            MAIN.replace(url, "https://example.com/core.yaml"),
            "TemplateURL must be a supported URL.",
        ),
        (
            MAIN.replace("core.yaml", "none.yaml"),
            "S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        ),
        (
            MAIN.replace("Suffix: !Ref Suffix}", "Suffix: '1'}"),
            "Parameter 'Suffix' must match pattern [a-z]+",
        ),
        (MAIN.replace("{Suffix: !Ref Suffix}", "{}"), "Parameters: [Suffix] must have values"),
        (
            MAIN.replace("{Suffix: !Ref Suffix}", "{Suffix: a, More: b}"),
            "Parameters: [More] do not exist in the template",
        ),
    ];
    for (template, reason) in rows {
        let mut bed = bed();
        let id = bed.create("main", &template);
        assert_eq!(bed.status(&id), "ROLLBACK_COMPLETE", "{reason}");
        let events = bed.events(&id);
        assert!(events.contains(&format!("Core CREATE_FAILED: {reason}")), "{events:#?}");
    }
}

#[test]
fn a_child_without_its_capability_fails() {
    let mut bed = bed();
    let role = "Resources: {Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}}\nOutputs: {TopicArn: {Value: x}}\nParameters: {Suffix: {Type: String}}";
    bed.put_object("templates", "core.yaml", role);
    bed.ok("CreateStack", &[("StackName", "main"), ("TemplateBody", MAIN)]);
    bed.run();
    let events = bed.events("main");
    assert!(
        events.contains(&"Core CREATE_FAILED: Requires capabilities : [CAPABILITY_IAM]".to_owned()),
        "{events:#?}"
    );
}

#[test]
fn removing_a_child_deletes_its_stack_in_the_cleanup() {
    let mut bed = bed();
    bed.create("main", MAIN);
    let queues = bed.physical("main", "Queues");
    let template = MAIN.split("  Queues:").next().unwrap();
    bed.deploy("UpdateStack", "main", template);
    assert_eq!(bed.verdict("main"), "UPDATE_COMPLETE");
    assert_eq!(bed.status(&queues), "DELETE_COMPLETE");
    let events = bed.events("main");
    let position = |line: &str| events.iter().position(|event| event == line).unwrap();
    assert!(
        position("main UPDATE_COMPLETE_CLEANUP_IN_PROGRESS") < position("Queues DELETE_COMPLETE")
    );
    assert_eq!(bed.resources("main"), ["Core UPDATE_COMPLETE"]);
}
