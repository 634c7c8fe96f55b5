//! Names that are taken, tokens that are used, stacks that are busy, calls that are refused.

use super::bed::{ACCOUNT, Bed};

const ROLE: &str = "
Resources:
  Role: {Type: AWS::IAM::Role, Properties: {RoleName: fixed, AssumeRolePolicyDocument: {}}}
";
const TOPIC: &str = "Resources: {Topic: {Type: AWS::SNS::Topic}}";

#[test]
fn iam_names_collide_across_the_regions_of_an_account() {
    let mut bed = Bed::new();
    let first = bed.create("s", ROLE);
    bed.region = "us-west-2".to_owned();
    let second = bed.create("s", ROLE);
    assert_eq!(bed.status(&second), "ROLLBACK_COMPLETE");
    let events = bed.events(&second);
    let reason = events.iter().find(|line| line.starts_with("Role CREATE_FAILED")).unwrap();
    assert!(reason.contains("Resource handler returned message: \"Role with name fixed already exists. (Service: Iam, Status Code: 409, Request ID: "), "{reason}");
    assert!(reason.ends_with("HandlerErrorCode: AlreadyExists)"), "{reason}");
    bed.region = super::bed::REGION.to_owned();
    let third = bed.create("t", ROLE);
    assert!(
        bed.events(&third)
            .contains(&format!("Role CREATE_FAILED: fixed already exists in stack {first}"))
    );
    bed.account = "444455556666".to_owned();
    let elsewhere = bed.create("s", ROLE);
    assert_eq!(bed.status(&elsewhere), "CREATE_COMPLETE");
}

#[test]
fn bucket_names_are_taken_for_everybody() {
    let mut bed = Bed::new();
    let bucket = "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: taken}}}";
    bed.create("s", bucket);
    bed.account = "444455556666".to_owned();
    let other = bed.create("s", bucket);
    let events = bed.events(&other);
    assert!(
        events
            .iter()
            .any(|line| line.contains("The bucket namespace is shared by all users of the system")),
        "{events:#?}"
    );
}

#[test]
fn requests_that_aws_refuses_are_refused() {
    let mut bed = Bed::held();
    let id = bed.create("s", TOPIC);
    let large = format!("{TOPIC}\n#{}", "x".repeat(51_200));
    let shown: String = large.chars().take(1_024).collect();
    let rows: Vec<(&str, Vec<(&str, &str)>, String)> = vec![
        ("CreateStack", vec![("StackName", "s"), ("TemplateBody", TOPIC)], "AlreadyExistsException: Stack [s] already exists".to_owned()),
        ("CreateStack", vec![("StackName", "n"), ("TemplateBody", ROLE)], "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]".to_owned()),
        ("CreateStack", vec![("StackName", "n"), ("TemplateBody", ROLE), ("Capabilities.member.1", "CAPABILITY_IAM")], "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]".to_owned()),
        ("CreateStack", vec![("StackName", "n")], "ValidationError: Either Template URL or Template Body must be specified.".to_owned()),
        ("CreateStack", vec![("StackName", "n"), ("TemplateBody", &large)], format!("ValidationError: 1 validation error detected: Value '{shown}' at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200")),
        ("CreateStack", vec![("StackName", "n"), ("TemplateURL", "https://example.com/x")], "ValidationError: TemplateURL must be a supported URL.".to_owned()),
        ("CreateStack", vec![("StackName", "n"), ("TemplateBody", TOPIC), ("Parameters.member.1.ParameterKey", "A"), ("Parameters.member.1.ParameterValue", "b")], "ValidationError: Parameter values specified for a template which does not require them.".to_owned()),
        ("CreateStack", vec![("StackName", "n"), ("TemplateBody", TOPIC), ("Tags.member.1.Key", "aws:x"), ("Tags.member.1.Value", "y")], "ValidationError: aws: prefixed tag key names are not allowed for external use.".to_owned()),
        ("UpdateStack", vec![("StackName", "none"), ("TemplateBody", TOPIC)], "ValidationError: Stack [none] does not exist".to_owned()),
        ("UpdateStack", vec![("StackName", "s"), ("TemplateBody", TOPIC)], "ValidationError: No updates are to be performed.".to_owned()),
        ("DescribeStacks", vec![("StackName", "none")], "ValidationError: Stack with id none does not exist".to_owned()),
        ("DescribeStackEvents", vec![("StackName", "none")], "ValidationError: Stack [none] does not exist".to_owned()),
        ("ListStackResources", vec![("StackName", "none")], "ValidationError: Stack with id none does not exist".to_owned()),
        ("GetTemplate", vec![("StackName", "none")], "ValidationError: Stack with id none does not exist".to_owned()),
        ("DescribeChangeSet", vec![("StackName", "none"), ("ChangeSetName", "c")], "ValidationError: Stack [none] does not exist".to_owned()),
        ("DescribeChangeSet", vec![("StackName", "s"), ("ChangeSetName", "c")], "ChangeSetNotFound: ChangeSet [c] does not exist".to_owned()),
        ("DeleteChangeSet", vec![("ChangeSetName", "c")], "ValidationError: StackName must be specified if ChangeSetName is not specified as an ARN.".to_owned()),
        ("CreateChangeSet", vec![("StackName", "s"), ("ChangeSetName", "c"), ("ChangeSetType", "CREATE"), ("TemplateBody", TOPIC)], "ValidationError: Stack [s] already exists and cannot be created again with the changeSet [c].".to_owned()),
        ("CreateChangeSet", vec![("StackName", "none"), ("ChangeSetName", "c"), ("TemplateBody", TOPIC)], "ValidationError: Stack [none] does not exist".to_owned()),
        ("ListImports", vec![("ExportName", "e")], "ValidationError: Export 'e' is not exported.".to_owned()),
        ("DescribeEvents", vec![], "ValidationError: One of ChangeSetName, OperationId or StackName must be specified".to_owned()),
        ("DescribeStacks", vec![("StackName", "s"), ("NextToken", "%")], String::new()),
    ];
    for (action, parameters, expected) in rows {
        if expected.is_empty() {
            bed.ok(action, &parameters);
        } else {
            assert_eq!(bed.refused(action, &parameters), expected);
        }
    }
    bed.ok(
        "UpdateTerminationProtection",
        &[("StackName", "s"), ("EnableTerminationProtection", "true")],
    );
    assert_eq!(
        bed.refused("DeleteStack", &[("StackName", "s")]),
        "ValidationError: Stack [s] cannot be deleted while TerminationProtection is enabled"
    );
    bed.ok(
        "UpdateTerminationProtection",
        &[("StackName", "s"), ("EnableTerminationProtection", "false")],
    );
    bed.ok("DeleteStack", &[("StackName", "never-was")]);
    let other = TOPIC.replace("Topic:", "Other:");
    bed.ok("UpdateStack", &[("StackName", "s"), ("TemplateBody", &other)]);
    assert_eq!(
        bed.refused("UpdateStack", &[("StackName", "s"), ("TemplateBody", TOPIC)]),
        format!(
            "ValidationError: Stack:{id} is in UPDATE_IN_PROGRESS state and can not be updated."
        )
    );
    assert_eq!(
        bed.refused(
            "CreateChangeSet",
            &[("StackName", "s"), ("ChangeSetName", "c"), ("TemplateBody", TOPIC)]
        ),
        format!(
            "ValidationError: Stack:{id} is in UPDATE_IN_PROGRESS state and can not be updated."
        )
    );
    assert_eq!(
        bed.refused("DeleteStack", &[("StackName", "s")]),
        "ValidationError: Stack [s] cannot be deleted while in status UPDATE_IN_PROGRESS"
    );
}

#[test]
fn a_token_starts_an_operation_once() {
    let mut bed = Bed::new();
    bed.create("s", TOPIC);
    let set = bed.propose("UPDATE", "s", "c", &TOPIC.replace("Topic:", "Other:"), &[]);
    for _ in 0..3 {
        bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set), ("ClientRequestToken", "mtlog-1")]);
    }
    let runs: Vec<_> =
        bed.state.executions.iter().filter(|run| run.token.as_deref() == Some("mtlog-1")).collect();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].change_set_id.as_deref(), Some(set.as_str()));
    assert_eq!(
        bed.refused(
            "ExecuteChangeSet",
            &[("ChangeSetName", &set), ("ClientRequestToken", "mtlog-2")]
        ),
        format!(
            "InvalidChangeSetStatus: ChangeSet [{set}] cannot be executed in its current execution status of [EXECUTE_COMPLETE]"
        )
    );
    let again = bed.propose("UPDATE", "s", "d", TOPIC, &[]);
    let refused = bed.refused(
        "ExecuteChangeSet",
        &[("ChangeSetName", &again), ("ClientRequestToken", "mtlog-1")],
    );
    assert!(refused.starts_with("TokenAlreadyExistsException"), "{refused}");
}

#[test]
fn exports_bind_stacks_together() {
    let mut bed = Bed::new();
    let exporter = "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: a}}}\nOutputs: {Arn: {Value: !Ref T, Export: {Name: !Sub '${AWS::StackName}-arn'}}}";
    let importer = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: t, Value: !ImportValue base-arn}]}}}";
    let early = bed.create("early", importer);
    assert_eq!(bed.status(&early), "ROLLBACK_COMPLETE");
    assert!(
        bed.events(&early).contains(&"Q CREATE_FAILED: No export named base-arn found.".to_owned())
    );
    bed.create("base", exporter);
    bed.create("user", importer);
    assert_eq!(bed.status("user"), "CREATE_COMPLETE");
    let result = bed.ok("ListImports", &[("ExportName", "base-arn")]);
    assert_eq!(result.child("Imports").unwrap().child_text("member"), Some("user"));
    bed.deploy("UpdateStack", "base", &exporter.replace("TopicName: a", "TopicName: b"));
    assert_eq!(bed.status("base"), "UPDATE_ROLLBACK_COMPLETE");
    assert!(
        bed.events("base")
            .iter()
            .any(|line| line.contains("Export base-arn cannot be updated as it is in use by user"))
    );
    bed.ok("DeleteStack", &[("StackName", "base")]);
    assert_eq!(
        bed.verdict("base"),
        "DELETE_FAILED: Export base-arn cannot be deleted as it is in use by user"
    );
    let twice = exporter.replace("${AWS::StackName}", "base");
    let other = bed.create("other", &twice.replace("TopicName: a", "TopicName: c"));
    assert!(bed.events(&other).iter().any(|line| line.contains(
        "Export with name base-arn is already exported by stack base. Rollback requested by user."
    )));
    let exports = bed.ok("ListExports", &[]);
    let export = exports.child("Exports").unwrap().child("member").unwrap();
    assert_eq!(
        export.child_text("Value"),
        Some(format!("arn:aws:sns:us-east-2:{ACCOUNT}:a").as_str())
    );
}
