//! Creating, updating and deleting a stack, with and without failures.

use super::super::plans::{During, PlannedFailure};
use super::bed::Bed;

/// A role that a function needs, and a topic beside them.
const TEMPLATE: &str = "
Parameters: {Name: {Type: String, Default: one}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {RoleName: !Sub '${Name}-role', AssumeRolePolicyDocument: {Statement: []}}
  Function:
    Type: AWS::Lambda::Function
    Properties: {Role: !GetAtt Role.Arn, Code: {ImageUri: x}}
  Topic: {Type: AWS::SNS::Topic}
Outputs:
  RoleArn: {Value: !GetAtt Role.Arn, Description: the role}
";

fn update(bed: &mut Bed, template: &str, more: &[(&str, &str)]) {
    let mut parameters = vec![
        ("StackName", "s"),
        ("TemplateBody", template),
        ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
    ];
    parameters.extend(more);
    bed.ok("UpdateStack", &parameters);
    bed.run();
}

#[test]
fn a_creation_goes_through_its_states_in_the_order_of_dependencies() {
    let mut bed = Bed::held();
    let parameters = [
        ("StackName", "s"),
        ("TemplateBody", TEMPLATE),
        ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
    ];
    bed.ok("CreateStack", &parameters);
    assert_eq!(bed.verdict("s"), "CREATE_IN_PROGRESS: User Initiated");
    let mut states = Vec::new();
    while bed.step() {
        states.push(bed.resources("s").join(", "));
    }
    states.dedup();
    assert_eq!(
        states,
        [
            "Role CREATE_IN_PROGRESS, Topic CREATE_IN_PROGRESS",
            "Role CREATE_IN_PROGRESS, Topic CREATE_COMPLETE",
            "Role CREATE_COMPLETE, Topic CREATE_COMPLETE",
            "Function CREATE_IN_PROGRESS, Role CREATE_COMPLETE, Topic CREATE_COMPLETE",
            "Function CREATE_COMPLETE, Role CREATE_COMPLETE, Topic CREATE_COMPLETE",
        ]
    );
    assert_eq!(bed.verdict("s"), "CREATE_COMPLETE");
    assert_eq!(
        bed.events("s"),
        [
            "s CREATE_IN_PROGRESS: User Initiated",
            "Role CREATE_IN_PROGRESS",
            "Topic CREATE_IN_PROGRESS",
            "Role CREATE_IN_PROGRESS: Resource creation Initiated",
            "Topic CREATE_IN_PROGRESS: Resource creation Initiated",
            "Role CREATE_IN_PROGRESS/CONFIGURATION_COMPLETE: Eventual consistency check initiated",
            "Topic CREATE_COMPLETE",
            "Role CREATE_COMPLETE",
            "Function CREATE_IN_PROGRESS",
            "Function CREATE_IN_PROGRESS: Resource creation Initiated",
            "Function CREATE_IN_PROGRESS/CONFIGURATION_COMPLETE: Eventual consistency check initiated",
            "Function CREATE_COMPLETE",
            "s CREATE_COMPLETE",
        ]
    );
    assert_eq!(bed.outputs("s")["RoleArn"], "arn:aws:iam::111122223333:role/one-role");
}

#[test]
fn a_failed_creation_ends_as_its_caller_wants() {
    let failed = "The following resource(s) failed to create: [Role, Topic]. ";
    let rows = [
        (
            ("OnFailure", "ROLLBACK"),
            "ROLLBACK_COMPLETE".to_owned(),
            "Role DELETE_COMPLETE, Topic DELETE_COMPLETE",
        ),
        (
            ("OnFailure", "DO_NOTHING"),
            format!("CREATE_FAILED: {failed}"),
            "Role CREATE_FAILED, Topic CREATE_FAILED",
        ),
        (
            ("DisableRollback", "true"),
            format!("CREATE_FAILED: {failed}"),
            "Role CREATE_FAILED, Topic CREATE_FAILED",
        ),
        (
            ("OnFailure", "DELETE"),
            "DELETE_COMPLETE".to_owned(),
            "Role DELETE_COMPLETE, Topic DELETE_COMPLETE",
        ),
    ];
    for (wish, verdict, resources) in rows {
        let mut bed = Bed::new();
        bed.state.failures.push(PlannedFailure::new("Role", "no such luck").during(During::Create));
        let capability = ("Capabilities.member.1", "CAPABILITY_NAMED_IAM");
        let result = bed
            .ok("CreateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE), capability, wish]);
        let id = result.child_text("StackId").unwrap().to_owned();
        assert_eq!(bed.verdict(&id), verdict, "{wish:?}");
        assert_eq!(bed.resources(&id).join(", "), resources);
        let events = bed.events(&id);
        assert!(events.contains(&"Role CREATE_FAILED: no such luck".to_owned()), "{events:?}");
        assert!(
            events.contains(&"Topic CREATE_FAILED: Resource creation cancelled".to_owned()),
            "{events:?}"
        );
        let announced = match wish.1 {
            "ROLLBACK" => {
                Some(format!("s ROLLBACK_IN_PROGRESS: {failed}Rollback requested by user."))
            }
            "DELETE" => Some(format!("s DELETE_IN_PROGRESS: {failed}Delete requested by user.")),
            _ => None,
        };
        assert!(announced.as_ref().is_none_or(|line| events.contains(line)), "{events:?}");
        // Only what is taken back leaves nothing behind.
        let left_behind = bed.world.things.borrow().made.len();
        assert_eq!(left_behind == 0, announced.is_some(), "{wish:?}");
    }
}

#[test]
fn a_rollback_that_fails_keeps_what_it_could_not_delete() {
    let mut bed = Bed::new();
    bed.state.failures.push(PlannedFailure::new("Function", "broken").during(During::Create));
    bed.state.failures.push(PlannedFailure::new("Role", "in use").during(During::Delete));
    let id = bed.create("s", TEMPLATE);
    assert_eq!(
        bed.verdict(&id),
        "ROLLBACK_FAILED: The following resource(s) failed to delete: [Role]. "
    );
    assert_eq!(
        bed.resources("s"),
        ["Function DELETE_COMPLETE", "Role DELETE_FAILED", "Topic DELETE_COMPLETE"]
    );
    assert_eq!(
        bed.refused("UpdateStack", &[("StackName", "s"), ("TemplateBody", TEMPLATE)]),
        format!("ValidationError: Stack:{id} is in ROLLBACK_FAILED state and can not be updated.")
    );
    bed.ok("DeleteStack", &[("StackName", "s")]);
    assert_eq!(bed.status(&id), "DELETE_FAILED");
    bed.ok("DeleteStack", &[("StackName", "s"), ("RetainResources.member.1", "Role")]);
    assert_eq!(bed.status(&id), "DELETE_COMPLETE");
}

#[test]
fn an_update_changes_replaces_adds_and_removes() {
    let mut bed = Bed::new();
    let id = bed.create("s", TEMPLATE);
    let role = bed.physical("s", "Role");
    let other = TEMPLATE
        .replace("Default: one", "Default: two")
        .replace("Topic: {", "Queue: {")
        .replace("SNS::Topic", "SQS::Queue");
    update(&mut bed, &other, &[]);
    assert_eq!(bed.verdict("s"), "UPDATE_COMPLETE");
    assert_eq!(
        bed.resources("s"),
        ["Function UPDATE_COMPLETE", "Queue CREATE_COMPLETE", "Role UPDATE_COMPLETE"]
    );
    assert_eq!((role.as_str(), bed.physical("s", "Role").as_str()), ("one-role", "two-role"));
    let events: Vec<String> =
        bed.events(&id).into_iter().skip_while(|line| !line.starts_with("s UPDATE")).collect();
    let position = |wanted: &str| {
        events
            .iter()
            .position(|line| line == wanted)
            .unwrap_or_else(|| panic!("{wanted}: {events:#?}"))
    };
    let order = [
        "s UPDATE_IN_PROGRESS: User Initiated",
        "Role UPDATE_IN_PROGRESS: Requested update requires the creation of a new physical resource; hence creating one.",
        "Role UPDATE_COMPLETE",
        "Function UPDATE_IN_PROGRESS",
        "Function UPDATE_COMPLETE",
        "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Topic DELETE_COMPLETE",
        "s UPDATE_COMPLETE",
    ];
    assert!(order.windows(2).all(|pair| position(pair[0]) < position(pair[1])), "{events:#?}");
    assert_eq!(events.iter().filter(|line| *line == "Role DELETE_COMPLETE").count(), 1);
    let same = [
        ("StackName", "s"),
        ("TemplateBody", other.as_str()),
        ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
    ];
    assert_eq!(
        bed.refused("UpdateStack", &same),
        "ValidationError: No updates are to be performed."
    );
}

#[test]
fn a_failed_update_is_taken_back() {
    let mut bed = Bed::new();
    let id = bed.create("s", TEMPLATE);
    bed.state.failures.push(PlannedFailure::new("Function", "no memory").during(During::Update));
    let other = TEMPLATE
        .replace("Default: one", "Default: two")
        .replace("Topic: {", "Queue: {")
        .replace("SNS::Topic", "SQS::Queue");
    update(&mut bed, &other, &[]);
    assert_eq!(bed.verdict("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bed.physical("s", "Role"), "one-role");
    assert_eq!(
        bed.resources("s"),
        ["Function UPDATE_COMPLETE", "Role UPDATE_COMPLETE", "Topic CREATE_COMPLETE"]
    );
    assert_eq!(bed.outputs("s")["RoleArn"], "arn:aws:iam::111122223333:role/one-role");
    let events = bed.events(&id);
    for line in [
        "Function UPDATE_FAILED: no memory",
        "s UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to update: [Function]. ",
        "s UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "Queue DELETE_COMPLETE",
    ] {
        assert!(events.contains(&line.to_owned()), "{line}: {events:#?}");
    }
    let template = bed.ok("GetTemplate", &[("StackName", "s")]);
    assert_eq!(template.child_text("TemplateBody"), Some(TEMPLATE));
    let made = bed.world.things.borrow().made.len();
    assert_eq!(made, 3);
}

#[test]
fn a_custom_name_stands_in_the_way_of_a_replacement() {
    let mut bed = Bed::new();
    let template = "Resources: {T: {Type: AWS::DynamoDB::Table, Properties: {TableName: t, KeySchema: [{AttributeName: a}]}}}";
    bed.create("s", template);
    update(&mut bed, &template.replace("AttributeName: a", "AttributeName: b"), &[]);
    assert_eq!(bed.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    let reason = "T UPDATE_FAILED: CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename t and update the stack again.";
    assert!(bed.events("s").contains(&reason.to_owned()));
}

#[test]
fn policies_and_full_buckets_decide_about_deletions() {
    let mut bed = Bed::new();
    let template = "
Resources:
  Kept: {Type: AWS::SNS::Topic, DeletionPolicy: Retain, Properties: {TopicName: kept}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: full}}
";
    let id = bed.create("s", template);
    bed.world.things.borrow_mut().full_buckets.insert("full".to_owned());
    bed.ok("DeleteStack", &[("StackName", "s")]);
    assert_eq!(
        bed.verdict("s"),
        "DELETE_FAILED: The following resource(s) failed to delete: [Bucket]. "
    );
    assert_eq!(bed.resources("s"), ["Bucket DELETE_FAILED", "Kept DELETE_SKIPPED"]);
    let reason =
        bed.events("s").into_iter().find(|line| line.starts_with("Bucket DELETE_FAILED")).unwrap();
    assert!(
        reason.contains(
            "\"The bucket you tried to delete is not empty (Service: S3, Status Code: 409,"
        ),
        "{reason}"
    );
    assert_eq!(
        bed.refused("DeleteStack", &[("StackName", "s"), ("RetainResources.member.1", "Kept")]),
        "ValidationError: Resources [Kept] in RetainResources are not in the DELETE_FAILED state"
    );
    bed.ok("DeleteStack", &[("StackName", "s"), ("DeletionMode", "FORCE_DELETE_STACK")]);
    assert_eq!(bed.status(&id), "DELETE_COMPLETE");
    assert_eq!(
        bed.refused("DescribeStacks", &[("StackName", "s")]),
        "ValidationError: Stack with id s does not exist"
    );
    // What was left behind keeps its name.
    let again = bed.create("again", template);
    let events = bed.events(&again);
    assert!(
        events
            .iter()
            .any(|line| line.starts_with("Kept CREATE_FAILED") && line.contains("already exists")),
        "{events:#?}"
    );
}

#[test]
fn retained_resources_of_a_failed_creation_go_when_asked() {
    let template = "
Resources:
  Table: {Type: AWS::DynamoDB::Table, DeletionPolicy: POLICY, Properties: {KeySchema: []}}
  Topic: {Type: AWS::SNS::Topic, DependsOn: Table}
";
    for (policy, wish, expected) in [
        ("Retain", "false", "DELETE_SKIPPED"),
        ("Retain", "true", "DELETE_COMPLETE"),
        ("RetainExceptOnCreate", "false", "DELETE_COMPLETE"),
    ] {
        let mut bed = Bed::new();
        bed.state.failures.push(PlannedFailure::new("Topic", "no").during(During::Create));
        let body = template.replace("POLICY", policy);
        let parameters =
            [("StackName", "s"), ("TemplateBody", body.as_str()), ("RetainExceptOnCreate", wish)];
        bed.ok("CreateStack", &parameters);
        assert_eq!(bed.status("s"), "ROLLBACK_COMPLETE");
        assert_eq!(bed.resources("s")[0], format!("Table {expected}"), "{policy} {wish}");
    }
}

#[test]
fn a_stack_policy_stops_what_it_denies() {
    let mut bed = Bed::new();
    bed.create("s", TEMPLATE);
    let policy = r#"{"Statement":[{"Effect":"Deny","Action":"Update:Delete","Principal":"*","Resource":"LogicalResourceId/Topic"},{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
    bed.ok("SetStackPolicy", &[("StackName", "s"), ("StackPolicyBody", policy)]);
    let result = bed.ok("GetStackPolicy", &[("StackName", "s")]);
    assert_eq!(result.child_text("StackPolicyBody"), Some(policy));
    update(&mut bed, &TEMPLATE.replace("  Topic: {Type: AWS::SNS::Topic}\n", ""), &[]);
    assert_eq!(bed.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert!(bed.resources("s").iter().any(|line| line.starts_with("Topic")));
    let denied = "Action denied by stack policy: Statement [#1] does not allow [Update:Delete] for resource [LogicalResourceId/Topic]";
    assert!(bed.events("s").iter().any(|line| line.contains(denied)));
}
