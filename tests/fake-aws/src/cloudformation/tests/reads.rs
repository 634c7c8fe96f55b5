//! Reading: pages, two kinds of events, stale views, drift, templates without stacks.

use std::time::Duration;

use serde_json::json;

use super::super::plans::{During, PlannedFailure};
use super::super::settings::{Availability, Pace};
use super::bed::{Bed, members};

const TEMPLATE: &str = "
Description: one & <two>
Parameters:
  Name: {Type: String, Default: one, Description: a name}
  Secret: {Type: String, Default: hush, NoEcho: true}
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Name}}
  Queue: {Type: AWS::SQS::Queue, DependsOn: Topic}
";

#[test]
fn events_are_paged_newest_first() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    let all = members(bed.ok("DescribeStackEvents", &[("StackName", "s")]).child("StackEvents"));
    bed.state.settings.page_size = 4;
    for (action, list) in
        [("DescribeStackEvents", "StackEvents"), ("DescribeEvents", "OperationEvents")]
    {
        let mut token: Option<String> = None;
        let mut seen = Vec::new();
        loop {
            let mut parameters = vec![("StackName", "s")];
            parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
            let page = bed.ok(action, &parameters);
            seen.extend(
                members(page.child(list))
                    .iter()
                    .map(|event| event.child_text("EventId").unwrap().to_owned()),
            );
            token = page.child_text("NextToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let expected: Vec<String> =
            all.iter().map(|event| event.child_text("EventId").unwrap().to_owned()).collect();
        assert_eq!(seen, expected, "{action}");
    }
    assert_eq!(all[0].child_text("ResourceStatus"), Some("CREATE_COMPLETE"));
    assert_eq!(all.last().unwrap().child_text("ResourceStatusReason"), Some("User Initiated"));
}

#[test]
fn events_of_an_operation_tell_its_failures_apart() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    bed.state.failures.push(PlannedFailure::new("Topic", "no").during(During::Update));
    let parameters = [
        ("StackName", "s"),
        ("UsePreviousTemplate", "true"),
        ("ClientRequestToken", "t-1"),
        ("Parameters.member.1.ParameterKey", "Name"),
        ("Parameters.member.1.ParameterValue", "two"),
    ];
    let started = bed.ok("UpdateStack", &parameters);
    let operation = started.child_text("OperationId").unwrap().to_owned();
    let describe = |bed: &mut Bed, more: &[(&str, &str)]| {
        let result = bed.ok("DescribeEvents", more);
        members(result.child("OperationEvents"))
            .iter()
            .map(|event| {
                let text = |name| event.child_text(name).unwrap_or_default();
                assert_eq!(text("ClientRequestToken"), "t-1");
                format!(
                    "{} {} {}",
                    text("EventType"),
                    text("OperationType"),
                    text("ResourceStatus")
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        describe(&mut bed, &[("OperationId", &operation)]),
        [
            "PROVISIONING_ERROR UPDATE_STACK UPDATE_FAILED",
            "PROGRESS_EVENT UPDATE_STACK UPDATE_IN_PROGRESS",
            "STACK_EVENT UPDATE_STACK UPDATE_IN_PROGRESS"
        ]
    );
    assert_eq!(
        describe(&mut bed, &[("StackName", "s"), ("Filters.FailedEvents", "true")]),
        ["PROVISIONING_ERROR UPDATE_STACK UPDATE_FAILED"]
    );
    let stack = bed.describe("s");
    let operations = members(stack.child("LastOperations"));
    let kinds: Vec<&str> =
        operations.iter().map(|entry| entry.child_text("OperationType").unwrap()).collect();
    assert_eq!(kinds, ["ROLLBACK", "UPDATE_STACK"]);
    for (how, refused) in [
        (
            Availability::AccessDenied,
            "AccessDenied: User: arn:aws:iam::111122223333:user/test is not authorized to perform: cloudformation:DescribeEvents because no identity-based policy allows the cloudformation:DescribeEvents action",
        ),
        (
            Availability::Unknown,
            "InvalidAction: Could not find operation DescribeEvents for version 2010-05-15",
        ),
    ] {
        bed.state.settings.availability.insert("DescribeEvents".to_owned(), how);
        assert_eq!(bed.refused("DescribeEvents", &[("StackName", "s")]), refused);
    }
}

#[test]
fn reads_right_after_the_start_may_see_the_past() {
    let mut bed = Bed::held();
    bed.create("s", TEMPLATE);
    bed.state.settings.stale_reads = 2;
    let set = bed.propose("UPDATE", "s", "c", &TEMPLATE.replace("Queue:", "Other:"), &[]);
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
    assert_eq!(bed.status("s"), "CREATE_COMPLETE");
    assert_eq!(bed.events("s").last().unwrap(), "s CREATE_COMPLETE");
    assert_eq!(bed.status("s"), "UPDATE_IN_PROGRESS");
}

#[test]
fn work_goes_on_at_the_pace_that_is_set() {
    let mut bed = Bed::new();
    bed.state.settings.pace = Pace::StepsPerRead(1);
    bed.ok("CreateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]);
    let mut reads = 0;
    while bed.status("s") == "CREATE_IN_PROGRESS" {
        reads += 1;
        assert!(reads < 30);
    }
    assert!(reads > 5, "{reads}");
    let mut bed = Bed::new();
    bed.state.settings.pace = Pace::Every(Duration::from_secs(30));
    bed.ok("CreateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]);
    assert_eq!(bed.resources("s").len(), 0);
    bed.now += 60_000;
    assert_eq!(bed.resources("s"), ["Topic CREATE_IN_PROGRESS"]);
    bed.now += 3_600_000;
    assert_eq!(bed.status("s"), "CREATE_COMPLETE");
    let times: Vec<i64> =
        bed.state.stacks.values().next().unwrap().events.iter().map(|event| event.at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1] == pair[0] || pair[1] - pair[0] == 30_000),
        "{times:?}"
    );
}

#[test]
fn stacks_are_listed_and_the_deleted_ones_found_by_their_arn() {
    let mut bed = Bed::new();
    let first = bed.create("a", TEMPLATE);
    bed.create("b", TEMPLATE);
    bed.ok("DeleteStack", &[("StackName", "a")]);
    let names = |result: &crate::xml::Element, list: &str| {
        members(result.child(list))
            .iter()
            .map(|stack| stack.child_text("StackName").unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let described = bed.ok("DescribeStacks", &[]);
    assert_eq!(names(&described, "Stacks"), ["b"]);
    let deleted = bed.ok("ListStacks", &[("StackStatusFilter.member.1", "DELETE_COMPLETE")]);
    assert_eq!(names(&deleted, "StackSummaries"), ["a"]);
    let stack = bed.describe(&first);
    assert_eq!(stack.child_text("Description"), Some("one & <two>"));
    assert!(
        stack.child("DeletionTime").is_some()
            && stack.child("EnableTerminationProtection").is_none()
    );
    let secret = members(stack.child("Parameters"));
    assert_eq!(secret[1].child_text("ParameterValue"), Some("****"));
    let again = bed.create("a", TEMPLATE);
    assert_ne!(first, again);
}

#[test]
fn drift_is_found_where_a_test_made_it() {
    let mut bed = Bed::new();
    let id = bed.create("s", TEMPLATE);
    let detect = |bed: &mut Bed| {
        let started = bed.ok("DetectStackDrift", &[("StackName", "s")]);
        let detection = started.child_text("StackDriftDetectionId").unwrap().to_owned();
        let result =
            bed.ok("DescribeStackDriftDetectionStatus", &[("StackDriftDetectionId", &detection)]);
        (
            result.child_text("StackDriftStatus").unwrap().to_owned(),
            result.child_text("DriftedStackResourceCount").unwrap().to_owned(),
        )
    };
    assert_eq!(detect(&mut bed), ("IN_SYNC".to_owned(), "0".to_owned()));
    let stack = bed.state.stacks.get_mut(&id).unwrap();
    stack.resources.get_mut("Topic").unwrap().live =
        Some(json!({"DisplayName": "changed by hand"}));
    stack.resources.get_mut("Queue").unwrap().live = Some(json!(super::super::drift::GONE));
    assert_eq!(detect(&mut bed), ("DRIFTED".to_owned(), "2".to_owned()));
    let drifts = bed.ok(
        "DescribeStackResourceDrifts",
        &[("StackName", "s"), ("StackResourceDriftStatusFilters.member.1", "MODIFIED")],
    );
    let drift = members(drifts.child("StackResourceDrifts"));
    assert_eq!(drift.len(), 1);
    let difference = &members(drift[0].child("PropertyDifferences"))[0];
    assert_eq!(difference.child_text("PropertyPath"), Some("/DisplayName"));
    assert_eq!(difference.child_text("ActualValue"), Some("changed by hand"));
}

#[test]
fn templates_can_be_looked_at_without_a_stack() {
    let mut bed = Bed::new();
    let role = "Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}, B: {Type: AWS::S3::Bucket}}";
    let summary = bed.ok("GetTemplateSummary", &[("TemplateBody", role)]);
    assert_eq!(
        summary.child_text("CapabilitiesReason"),
        Some("The following resource(s) require capabilities: [AWS::IAM::Role]")
    );
    assert_eq!(summary.child("Capabilities").unwrap().child_text("member"), Some("CAPABILITY_IAM"));
    let kinds: Vec<String> =
        members(summary.child("ResourceTypes")).iter().map(|kind| kind.text.clone()).collect();
    assert_eq!(kinds, ["AWS::IAM::Role", "AWS::S3::Bucket"]);
    let valid = bed.ok("ValidateTemplate", &[("TemplateBody", TEMPLATE)]);
    let parameters = members(valid.child("Parameters"));
    assert_eq!(parameters[0].child_text("DefaultValue"), Some("one"));
    assert_eq!(parameters[1].child_text("NoEcho"), Some("true"));
    assert_eq!(
        bed.refused("ValidateTemplate", &[("TemplateBody", "Resources: {}")]),
        "ValidationError: Template format error: At least one Resources member must be defined."
    );
}
