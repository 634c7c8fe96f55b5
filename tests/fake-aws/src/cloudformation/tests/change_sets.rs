//! Change sets: what they say would happen, and what becomes of them.

use super::super::plans::{During, HookMode, HookTarget, PlannedFailure, PlannedHook};
use super::bed::{Bed, members};

const TEMPLATE: &str = "
Parameters: {Name: {Type: String, Default: one}, Days: {Type: Number, Default: 7}}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub '${Name}-bucket'
      LifecycleConfiguration: {Rules: [{Status: Enabled, ExpirationInDays: !Ref Days}]}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties: {Bucket: !Ref Bucket, PolicyDocument: {Resource: !GetAtt Bucket.Arn}}
  Topic: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}
";
const MAIN: &str = "
Parameters: {Suffix: {Type: String, Default: one}}
Resources:
  Core:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/core.yaml
      Parameters: {Suffix: !Ref Suffix}
  Queues:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/queues.yaml
      Parameters: {TopicArn: !GetAtt Core.Outputs.TopicArn}
";
const CORE: &str = "
Parameters: {Suffix: {Type: String}}
Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: fixed, DisplayName: !Ref Suffix}}}
Outputs: {TopicArn: {Value: !Ref Topic}}
";
const QUEUES: &str = "
Parameters: {TopicArn: {Type: String, AllowedPattern: 'arn:.*'}}
Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: topic, Value: !Ref TopicArn}]}}}
";
const NESTED: (&str, &str) = ("IncludeNestedStacks", "true");

fn nested_bed() -> Bed {
    let bed = Bed::new();
    bed.put_object("templates", "core.yaml", CORE);
    bed.put_object("templates", "queues.yaml", QUEUES);
    bed
}

#[test]
fn a_change_set_for_a_creation_makes_a_stack_in_review() {
    let mut bed = Bed::held();
    let parameters = [
        ("StackName", "s"),
        ("ChangeSetName", "c"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", TEMPLATE),
        ("ClientToken", "t"),
    ];
    let first = bed.ok("CreateChangeSet", &parameters);
    let id = first.child_text("Id").unwrap().to_owned();
    assert_eq!(bed.verdict("s"), "REVIEW_IN_PROGRESS: User Initiated");
    assert_eq!(bed.change_set(&id), "CREATE_PENDING UNAVAILABLE");
    assert_eq!(
        bed.refused("ExecuteChangeSet", &[("ChangeSetName", &id)]),
        format!(
            "InvalidChangeSetStatus: ChangeSet [{id}] cannot be executed in its current status of [CREATE_PENDING]"
        )
    );
    bed.step();
    assert_eq!(bed.change_set(&id), "CREATE_IN_PROGRESS UNAVAILABLE");
    bed.step();
    assert_eq!(bed.change_set(&id), "CREATE_COMPLETE AVAILABLE");
    assert_eq!(bed.changes(&id, "false"), ["Add Bucket", "Add Policy", "Add Topic"]);
    // The same token brings the same change set, another one does not.
    assert_eq!(bed.ok("CreateChangeSet", &parameters).child_text("Id"), Some(id.as_str()));
    assert_eq!(
        bed.refused("CreateChangeSet", &parameters[..4]),
        "AlreadyExistsException: ChangeSet c already exists"
    );
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &id)]);
    assert_eq!(bed.change_set(&id), "CREATE_COMPLETE EXECUTE_IN_PROGRESS");
    bed.run();
    assert_eq!(bed.change_set(&id), "CREATE_COMPLETE EXECUTE_COMPLETE");
    let stack = bed.describe("s");
    assert_eq!(stack.child_text("StackStatus"), Some("CREATE_COMPLETE"));
    assert_eq!(stack.child_text("ChangeSetId"), Some(id.as_str()));
}

#[test]
fn changes_are_told_with_their_causes_and_values() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    let days =
        [("Parameters.member.1.ParameterKey", "Days"), ("Parameters.member.1.ParameterValue", "9")];
    let set = bed.propose("UPDATE", "s", "days", TEMPLATE, &days);
    // In place: the policy refers to an attribute of what changes, which only may change too.
    assert_eq!(
        bed.changes(&set, "false"),
        [
            "Modify Bucket Replacement=False [Properties.LifecycleConfiguration Static ParameterReference Days] [Properties.LifecycleConfiguration Dynamic DirectModification]",
            "Modify Policy Replacement=False [Properties.PolicyDocument Dynamic ResourceAttribute Bucket.Arn]",
        ]
    );
    assert_eq!(
        bed.changes(&set, "true"),
        [
            "Modify Bucket Replacement=False [/Properties/LifecycleConfiguration/Rules/0/ExpirationInDays Static ParameterReference Days 7->9]"
        ]
    );
    let name = [
        ("Parameters.member.1.ParameterKey", "Name"),
        ("Parameters.member.1.ParameterValue", "two"),
    ];
    let set = bed.propose("UPDATE", "s", "name", TEMPLATE, &name);
    assert_eq!(
        bed.changes(&set, "true"),
        [
            "Modify Bucket Replacement=True PolicyAction=ReplaceAndDelete [/Properties/BucketName Static ParameterReference Name one-bucket->two-bucket]"
        ]
    );
    assert_eq!(
        bed.changes(&set, "false")[1],
        "Modify Policy Replacement=Conditional [Properties.Bucket Dynamic ResourceReference Bucket] [Properties.PolicyDocument Dynamic ResourceAttribute Bucket.Arn]"
    );
    let other = TEMPLATE.replace(
        "Topic: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}",
        "Queue: {Type: AWS::SQS::Queue}",
    );
    let set = bed.propose("UPDATE", "s", "other", &other, &[]);
    assert_eq!(bed.changes(&set, "true"), ["Add Queue", "Remove Topic PolicyAction=Retain"]);
    let sets = bed.ok("ListChangeSets", &[("StackName", "s")]);
    assert_eq!(members(sets.child("Summaries")).len(), 3);
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
    let obsolete = bed.ok("DescribeChangeSet", &[("ChangeSetName", "name"), ("StackName", "s")]);
    assert_eq!(obsolete.child_text("ExecutionStatus"), Some("OBSOLETE"));
}

#[test]
fn contexts_and_pages_are_given_on_request() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    bed.state.settings.page_size = 1;
    let days =
        [("Parameters.member.1.ParameterKey", "Days"), ("Parameters.member.1.ParameterValue", "9")];
    let set = bed.propose("UPDATE", "s", "days", TEMPLATE, &days);
    let first = bed.ok("DescribeChangeSet", &[("ChangeSetName", &set)]);
    let token = first.child_text("NextToken").unwrap();
    let second = bed.ok("DescribeChangeSet", &[("ChangeSetName", &set), ("NextToken", token)]);
    assert_eq!(members(second.child("Changes")).len(), 1);
    assert_eq!(second.child_text("NextToken"), None);
    let values =
        bed.ok("DescribeChangeSet", &[("ChangeSetName", &set), ("IncludePropertyValues", "true")]);
    let change = &members(values.child("Changes"))[0];
    let context = change.child("ResourceChange").unwrap().child_text("AfterContext").unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(context).unwrap(),
        serde_json::json!({"Properties": {
            "BucketName": "one-bucket",
            "LifecycleConfiguration": {"Rules": [{"ExpirationInDays": "9", "Status": "Enabled"}]},
        }})
    );
}

#[test]
fn a_change_set_without_changes_fails_in_one_of_two_sentences() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    let rows = [
        (
            TEMPLATE.to_owned(),
            "The submitted information didn't contain changes. Submit different information to create a change set.",
        ),
        (format!("{TEMPLATE}\n# a remark\n"), "No updates are to be performed."),
    ];
    for (template, reason) in rows {
        let set = bed.propose("UPDATE", "s", "c", &template, &[]);
        assert_eq!(bed.change_set(&set), format!("FAILED UNAVAILABLE {reason}"));
        assert_eq!(
            bed.refused("ExecuteChangeSet", &[("ChangeSetName", &set)]),
            format!(
                "InvalidChangeSetStatus: ChangeSet [{set}] cannot be executed in its current status of [FAILED]"
            )
        );
        bed.ok("DeleteChangeSet", &[("ChangeSetName", &set)]);
        let refused = bed.refused("DescribeChangeSet", &[("ChangeSetName", &set)]);
        assert_eq!(refused, format!("ChangeSetNotFound: ChangeSet [{set}] does not exist"));
    }
    let outputs = format!("{TEMPLATE}\nOutputs: {{Arn: {{Value: !Ref Topic}}}}\n");
    let set = bed.propose("UPDATE", "s", "outputs", &outputs, &[]);
    assert_eq!(bed.change_set(&set), "CREATE_COMPLETE AVAILABLE");
    assert!(bed.changes(&set, "true").is_empty());
}

#[test]
fn nested_change_sets_show_what_only_may_change() {
    let mut bed = nested_bed();
    let create = bed.propose("CREATE", "main", "c", MAIN, &[NESTED]);
    assert_eq!(bed.change_set(&create), "CREATE_COMPLETE AVAILABLE");
    let description = bed.ok("DescribeChangeSet", &[("ChangeSetName", &create)]);
    let children: Vec<String> = members(description.child("Changes"))
        .iter()
        .map(|change| {
            change.child("ResourceChange").unwrap().child_text("ChangeSetId").unwrap().to_owned()
        })
        .collect();
    let core = bed.ok("DescribeChangeSet", &[("ChangeSetName", &children[0])]);
    assert_eq!(core.child_text("RootChangeSetId"), Some(create.as_str()));
    assert_eq!(core.child_text("ParentChangeSetId"), Some(create.as_str()));
    let review = core.child_text("StackId").unwrap().to_owned();
    assert_eq!(bed.status(&review), "REVIEW_IN_PROGRESS");
    assert!(
        bed.refused("ExecuteChangeSet", &[("ChangeSetName", &children[0])])
            .contains("Execute its root change set")
    );
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &create), ("ClientRequestToken", "t")]);
    assert_eq!(bed.status("main"), "CREATE_COMPLETE");
    // The stack in review has become the nested stack.
    assert_eq!(bed.physical("main", "Core"), review);
    assert_eq!(bed.change_set(&children[0]), "CREATE_COMPLETE EXECUTE_COMPLETE");
    let same = bed.propose("UPDATE", "main", "same", MAIN, &[NESTED]);
    assert!(
        bed.change_set(&same).starts_with("FAILED UNAVAILABLE The submitted information"),
        "{}",
        bed.change_set(&same)
    );
    // Only the first child changes; the second one is listed because of an output that stays.
    let two = [
        NESTED,
        ("Parameters.member.1.ParameterKey", "Suffix"),
        ("Parameters.member.1.ParameterValue", "two"),
    ];
    let update = bed.propose("UPDATE", "main", "two", MAIN, &two);
    assert_eq!(
        bed.changes(&update, "false"),
        [
            "Modify Core Replacement=False [Properties.Parameters Static ParameterReference Suffix] [Properties.Parameters Dynamic DirectModification] [Properties. Dynamic Automatic]",
            "Modify Queues Replacement=False [Properties.Parameters Dynamic ResourceAttribute Core.Outputs.TopicArn] [Properties. Dynamic Automatic]",
        ]
    );
    let description = bed.ok("DescribeChangeSet", &[("ChangeSetName", &update)]);
    let queues = members(description.child("Changes"))[1]
        .child("ResourceChange")
        .unwrap()
        .child_text("ChangeSetId")
        .unwrap()
        .to_owned();
    assert_eq!(
        bed.changes(&queues, "false"),
        ["Modify Queue Replacement=False [Properties.Tags Dynamic ParameterReference TopicArn]"]
    );
    let stack = bed.physical("main", "Queues");
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &update)]);
    assert_eq!(bed.status("main"), "UPDATE_COMPLETE");
    assert_eq!(bed.status(&stack), "CREATE_COMPLETE");
}

#[test]
fn a_failed_creation_leaves_no_stack_in_review_behind() {
    for (wish, root) in [("ROLLBACK", "ROLLBACK_COMPLETE"), ("DELETE", "DELETE_COMPLETE")] {
        let mut bed = nested_bed();
        bed.state.failures.push(PlannedFailure::new("Topic", "no").during(During::Create));
        let more = [NESTED, ("OnStackFailure", wish)];
        let set = bed.propose("CREATE", "main", "c", MAIN, &more);
        bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
        let states: Vec<String> = bed
            .state
            .stacks
            .values()
            .map(|stack| format!("{} {}", stack.parent.is_some(), stack.status))
            .collect();
        assert_eq!(states.len(), 2, "{states:?}");
        for state in [format!("false {root}"), "true DELETE_COMPLETE".to_owned()] {
            assert!(states.contains(&state), "{states:?}");
        }
        assert_eq!(bed.change_set(&set), "CREATE_COMPLETE EXECUTE_FAILED");
    }
}

#[test]
fn without_nested_change_sets_every_child_is_listed() {
    let mut bed = nested_bed();
    bed.create("main", MAIN);
    let set = bed.propose("UPDATE", "main", "c", MAIN, &[]);
    assert_eq!(
        bed.changes(&set, "false"),
        [
            "Modify Core Replacement=False [Properties. Dynamic Automatic]",
            "Modify Queues Replacement=False [Properties.Parameters Dynamic ResourceAttribute Core.Outputs.TopicArn] [Properties. Dynamic Automatic]",
        ]
    );
}

#[test]
fn deleting_a_root_change_set_deletes_what_stands_below_it() {
    let mut bed = nested_bed();
    let set = bed.propose("CREATE", "main", "c", MAIN, &[NESTED]);
    let before = bed.state.stacks.len();
    bed.ok("DeleteChangeSet", &[("ChangeSetName", &set)]);
    assert_eq!((before, bed.state.stacks.len()), (3, 1));
    assert_eq!(bed.status("main"), "REVIEW_IN_PROGRESS");
    bed.ok("DeleteStack", &[("StackName", "main")]);
    assert!(bed.refused("DescribeStacks", &[("StackName", "main")]).contains("does not exist"));
}

#[test]
fn a_nested_change_set_that_fails_fails_the_root() {
    let mut bed = nested_bed();
    bed.put_object("templates", "queues.yaml", "Resources: {}");
    let set = bed.propose("CREATE", "main", "c", MAIN, &[NESTED]);
    let line = bed.change_set(&set);
    let child =
        line.split("Nested change set ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(
        line,
        format!(
            "FAILED UNAVAILABLE Nested change set {child} was not successfully created: Currently in FAILED."
        )
    );
    assert_eq!(
        bed.change_set(&child),
        "FAILED UNAVAILABLE Template format error: At least one Resources member must be defined."
    );
}

#[test]
fn early_validation_and_hooks_fail_a_change_set_and_say_why_in_events() {
    let mut bed = Bed::new();
    bed.create("first", "Resources: {R: {Type: AWS::IAM::Role, Properties: {RoleName: fixed, AssumeRolePolicyDocument: {}}}}");
    bed.region = "eu-west-1".to_owned();
    let template = "
Resources:
  R: {Type: AWS::IAM::Role, Properties: {RoleName: fixed, AssumeRolePolicyDocument: {}, Polcy: x}}
";
    let set = bed.propose("CREATE", "s", "c", template, &[]);
    assert_eq!(
        bed.change_set(&set),
        "FAILED UNAVAILABLE The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation, AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
    );
    let events =
        bed.ok("DescribeEvents", &[("ChangeSetName", &set), ("Filters.FailedEvents", "true")]);
    let mut lines: Vec<String> = members(events.child("OperationEvents"))
        .iter()
        .map(|event| {
            let text = |name| event.child_text(name).unwrap_or_default();
            format!(
                "{} {} {} {} {}",
                text("EventType"),
                text("LogicalResourceId"),
                text("ValidationName"),
                text("ValidationStatusReason"),
                text("ValidationPath")
            )
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "VALIDATION_ERROR R NAME_CONFLICT_VALIDATION Resource of type 'AWS::IAM::Role' with identifier 'fixed' already exists. /Resources/R/Properties/RoleName",
            "VALIDATION_ERROR R PROPERTY_VALIDATION Unsupported property [Polcy] /Resources/R/Properties/Polcy",
        ]
    );
    let good = template.replace(", Polcy: x", "").replace("fixed", "free");
    bed.state.hooks.push(PlannedHook {
        type_name: "Org::Rules::Names".to_owned(),
        target: HookTarget::ChangeSet("s".to_owned()),
        mode: HookMode::Fail,
        reason: "names start with org".to_owned(),
    });
    let set = bed.propose("CREATE", "s", "d", &good, &[]);
    assert!(bed.change_set(&set).starts_with(
        "FAILED UNAVAILABLE The following hook(s)/validation failed: [Org::Rules::Names]."
    ));
    bed.state.hooks.clear();
    bed.state.hooks.push(PlannedHook {
        type_name: "Org::Rules::Roles".to_owned(),
        target: HookTarget::Resource("R".to_owned()),
        mode: HookMode::Fail,
        reason: "no roles today".to_owned(),
    });
    let set = bed.propose("CREATE", "s", "e", &good, &[("OnStackFailure", "DELETE")]);
    let hooks = bed.ok("DescribeChangeSetHooks", &[("ChangeSetName", &set)]);
    assert_eq!(members(hooks.child("Hooks")).len(), 1);
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
    let id = bed
        .ok("DescribeChangeSet", &[("ChangeSetName", &set)])
        .child_text("StackId")
        .unwrap()
        .to_owned();
    assert_eq!(bed.status(&id), "DELETE_COMPLETE");
    let events = bed.ok("DescribeEvents", &[("StackName", &id), ("Filters.FailedEvents", "true")]);
    let kinds: Vec<String> = members(events.child("OperationEvents"))
        .iter()
        .map(|event| event.child_text("EventType").unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["PROVISIONING_ERROR", "HOOK_INVOCATION_ERROR"]);
    assert!(bed.events(&id).contains(
        &"R CREATE_FAILED: The following hook(s) failed: [Org::Rules::Roles]".to_owned()
    ));
}

#[test]
fn what_exists_already_can_be_taken_in() {
    let mut bed = Bed::new();
    let template = "Resources: {T: {Type: AWS::DynamoDB::Table, DeletionPolicy: Retain, Properties: {TableName: kept, KeySchema: []}}}";
    bed.create("old", template);
    bed.ok("DeleteStack", &[("StackName", "old")]);
    let set = bed.propose("CREATE", "new", "c", template, &[]);
    assert!(bed.change_set(&set).contains("ResourceExistenceCheck"));
    let set = bed.propose("CREATE", "new", "d", template, &[("ImportExistingResources", "true")]);
    assert_eq!(bed.changes(&set, "true"), ["Import T"]);
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
    assert_eq!(bed.verdict("new"), "CREATE_COMPLETE");
    assert_eq!(bed.resources("new"), ["T IMPORT_COMPLETE"]);
}

#[test]
fn tags_alone_are_a_change() {
    let mut bed = Bed::new();
    let template = "Resources: {Topic: {Type: AWS::SNS::Topic}}";
    bed.ok(
        "CreateStack",
        &[
            ("StackName", "s"),
            ("TemplateBody", template),
            ("Tags.member.1.Key", "DeployedAt"),
            ("Tags.member.1.Value", "yesterday"),
        ],
    );
    let tags = [("Tags.member.1.Key", "Project"), ("Tags.member.1.Value", "mtlog")];
    let set = bed.propose("UPDATE", "s", "tags", template, &tags);
    assert_eq!(
        bed.changes(&set, "true"),
        [
            "Modify Topic Replacement=False [/Tags/0/Key Static DirectModification DeployedAt->Project] [/Tags/0/Value Static DirectModification yesterday->mtlog]"
        ]
    );
    bed.ok("ExecuteChangeSet", &[("ChangeSetName", &set)]);
    let tags = members(bed.describe("s").child("Tags"));
    assert_eq!(tags.len(), 1);
    assert_eq!(tags[0].child_text("Key"), Some("Project"));
}
