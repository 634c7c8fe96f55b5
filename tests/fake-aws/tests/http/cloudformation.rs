//! Stacks over HTTP: what they make in the other services, and what the common faults do to them.

use fake_aws::cloudformation::{During, Pace, PlannedFailure, SeedStack, StackStatus};
use fake_aws::{FakeAws, Fault, Response};

use crate::client::{ACCOUNT, Client, REGION, Reply};

const TEMPLATE: &str = r"
Resources:
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: stack-logs}}
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Deny, Principal: '*', Action: 's3:DeleteObject', Resource: !Sub '${Bucket.Arn}/*'}]
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: stack-queue, VisibilityTimeout: 900}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: stack-table
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: tenant_id, AttributeType: S}, {AttributeName: type, AttributeType: S}]
      KeySchema: [{AttributeName: tenant_id, KeyType: HASH}, {AttributeName: type, KeyType: RANGE}]
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /stack/group, RetentionInDays: 14}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: stack-role
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub 'arn:aws:iam::${AWS::AccountId}:root'}
            Action: sts:AssumeRole
            Condition: {StringEquals: {'sts:ExternalId': secret}}
Outputs:
  QueueUrl: {Value: !Ref Queue}
  RoleArn: {Value: !GetAtt Role.Arn}
";

fn form(action: &str, members: &[(&str, &str)]) -> String {
    let mut body = format!("Action={action}&Version=2010-05-15");
    for (name, value) in members {
        let encoded: String = value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        body = format!("{body}&{name}={encoded}");
    }
    body
}

fn call(client: &Client, action: &str, members: &[(&str, &str)]) -> Reply {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    client.send("cloudformation", "POST", "/", &headers, form(action, members).as_bytes())
}

fn create(client: &Client, name: &str, template: &str) -> Reply {
    let capability = ("Capabilities.member.1", "CAPABILITY_NAMED_IAM");
    let members = [("StackName", name), ("TemplateBody", template), capability];
    call(client, "CreateStack", &members)
}

fn status(client: &Client, name: &str) -> String {
    let reply = call(client, "DescribeStacks", &[("StackName", name)]);
    reply.element("StackStatus").unwrap_or_else(|| reply.text())
}

#[test]
fn what_a_stack_makes_exists_in_the_other_services() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    let reply = create(&client, "s", TEMPLATE);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    let lines = fake.cloudformation().event_lines(ACCOUNT, REGION, "s").join("\n");
    assert_eq!(status(&client, "s"), "CREATE_COMPLETE", "{lines}");
    let stack = fake.cloudformation().stack(ACCOUNT, REGION, "s").unwrap();
    let output = |key: &str| stack.outputs.iter().find(|(name, _)| name == key).unwrap().1.clone();

    assert!(fake.bucket_exists("stack-logs"));
    assert!(client.s3("GET", "/stack-logs?policy", &[], b"").text().contains("s3:DeleteObject"));
    let attributes = client.sqs(
        "GetQueueAttributes",
        &serde_json::json!({"QueueUrl": output("QueueUrl"), "AttributeNames": ["All"]}),
    );
    assert_eq!(attributes.json()["Attributes"]["VisibilityTimeout"], "900");
    let table =
        client.dynamodb("DescribeTimeToLive", &serde_json::json!({"TableName": "stack-table"}));
    assert_eq!(table.json()["TimeToLiveDescription"]["AttributeName"], "ttl");
    let groups =
        client.logs("DescribeLogGroups", &serde_json::json!({"logGroupNamePrefix": "/stack/"}));
    assert_eq!(groups.json()["logGroups"][0]["retentionInDays"], 14);
    let user = Client::new(&fake, fake.add_user(&format!("arn:aws:iam::{ACCOUNT}:user/ops"), &[]));
    let taken = user.take(&fake, &output("RoleArn"), &[("ExternalId", "secret")]);
    // The role has no policies, so it may do nothing.
    assert_eq!(
        taken.logs("DescribeLogGroups", &serde_json::json!({})).code(),
        "AccessDeniedException"
    );
    let members = [("RoleArn", output("RoleArn")), ("RoleSessionName", "session".to_owned())];
    let members: Vec<(&str, &str)> =
        members.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(user.sts("AssumeRole", &members).code(), "AccessDenied");

    fake.put_object_quietly("stack-logs", "k", &[], &b"x"[..]);
    call(&client, "DeleteStack", &[("StackName", "s")]);
    assert_eq!(status(&client, "s"), "DELETE_FAILED");
    let lines = fake.cloudformation().event_lines(ACCOUNT, REGION, "s");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("Bucket DELETE_FAILED: ") && line.contains("not empty"))
    );
    fake.delete_object("stack-logs", "k");
    call(&client, "DeleteStack", &[("StackName", "s")]);
    assert_eq!(status(&client, &stack.id), "DELETE_COMPLETE");
    assert!(!fake.bucket_exists("stack-logs") && fake.unique_ids().len() == 1);
    // Nothing of it stands in the way of the next one.
    create(&client, "s", TEMPLATE);
    assert_eq!(status(&client, "s"), "CREATE_COMPLETE");
}

#[test]
fn what_another_service_refuses_fails_its_resource() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    fake.create_bucket("444455556666", REGION, "theirs");
    fake.create_queue(ACCOUNT, REGION, "mine", &[]);
    let role = "{Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {AWS: 'arn:aws:iam::111122223333:role/none'}, Action: 'sts:AssumeRole'}]}}}";
    let rows = [
        (
            "{Type: AWS::S3::Bucket, Properties: {BucketName: theirs}}",
            "The requested bucket name is not available.",
        ),
        (
            "{Type: AWS::S3::Bucket, Properties: {BucketName: Not_A_Name}}",
            "The specified bucket is not valid.",
        ),
        (
            "{Type: AWS::SQS::Queue, Properties: {QueueName: mine}}",
            "Resource of type 'AWS::SQS::Queue' with identifier 'mine' already exists.",
        ),
        (
            "{Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 50000}}",
            "Invalid value for the parameter VisibilityTimeout.",
        ),
        ("{Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 4}}", "retentionInDays"),
        (role, "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:role/none\""),
    ];
    for (resource, reason) in rows {
        create(&client, "s", &format!("Resources: {{R: {resource}}}"));
        let lines = fake.cloudformation().event_lines(ACCOUNT, REGION, "s");
        assert_eq!(status(&client, "s"), "ROLLBACK_COMPLETE", "{lines:#?}");
        let failed = lines.iter().find(|line| line.starts_with("R CREATE_FAILED: ")).unwrap();
        assert!(failed.contains(reason), "{failed}");
        call(&client, "DeleteStack", &[("StackName", "s")]);
    }
}

#[test]
fn templates_come_from_the_fakes_own_buckets() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    fake.create_bucket(ACCOUNT, "us-east-2", "templates");
    fake.create_bucket("444455556666", REGION, "foreign");
    fake.put_object_quietly(
        "templates",
        "a b/topic.yaml",
        &[],
        &b"Resources: {T: {Type: AWS::SNS::Topic}}"[..],
    );
    fake.put_object_quietly("foreign", "topic.yaml", &[], &b"Resources: {}"[..]);
    let rows = [
        ("https://s3.us-east-2.amazonaws.com/templates/a%20b/topic.yaml", ""),
        ("https://templates.s3.us-east-2.amazonaws.com/a%20b/topic.yaml", ""),
        ("https://s3.amazonaws.com/templates/a%20b/topic.yaml", ""),
        (
            "https://templates.s3.eu-west-1.amazonaws.com/a%20b/topic.yaml",
            "must be addressed using the specified endpoint",
        ),
        (
            "https://templates.s3.us-east-2.amazonaws.com/none.yaml",
            "S3 error: The specified key does not exist.",
        ),
        (
            "https://none.s3.us-east-2.amazonaws.com/none.yaml",
            "S3 error: The specified bucket does not exist",
        ),
        ("https://foreign.s3.amazonaws.com/topic.yaml", "S3 error: Access Denied"),
    ];
    for (url, refusal) in rows {
        let reply = call(&client, "ValidateTemplate", &[("TemplateURL", url)]);
        assert_eq!(reply.status == 200, refusal.is_empty(), "{url}: {}", reply.text());
        assert!(reply.text().contains(refusal), "{url}: {}", reply.text());
    }
}

#[test]
fn common_faults_rights_and_the_journal_hold_for_stacks_too() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    fake.cloudformation().put_stack(&SeedStack::new(
        ACCOUNT,
        REGION,
        "s",
        StackStatus::CreateComplete,
    ));
    fake.inject(
        Fault::on("cloudformation:DescribeStacks").times(1).respond(Response::throttling()),
    );
    let refused = call(&client, "DescribeStacks", &[("StackName", "s")]);
    assert_eq!((refused.status, refused.code().as_str()), (400, "Throttling"));
    assert_eq!(refused.element("Type").as_deref(), Some("Sender"));
    assert_eq!(status(&client, "s"), "CREATE_COMPLETE");
    let reader = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "cloudformation:Describe*", "Resource": "*"}}"#;
    let user = fake.add_user(&format!("arn:aws:iam::{ACCOUNT}:user/reader"), &[reader]);
    let user = Client::new(&fake, user);
    assert_eq!(status(&user, "s"), "CREATE_COMPLETE");
    let denied = call(&user, "DeleteStack", &[("StackName", "s")]);
    assert_eq!((denied.status, denied.code().as_str()), (403, "AccessDenied"));
    assert_eq!(fake.write_count(), 1);
    let unknown = call(&client, "DescribeStackSet", &[("StackSetName", "s")]);
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "InvalidAction"));
    let missing = call(&client, "DescribeStacks", &[("StackName", "none")]);
    assert_eq!(missing.element("Message").as_deref(), Some("Stack with id none does not exist"));
    let entry = fake.journal_of("cloudformation:DeleteStack").remove(0);
    assert_eq!((entry.facts.resource.as_str(), entry.is_write), ("s", true));
}

#[test]
fn operations_can_be_stepped_and_broken_through_the_controls() {
    let fake = FakeAws::start_blocking();
    let client = Client::root(&fake, ACCOUNT);
    let stacks = fake.cloudformation();
    stacks.set_pace(Pace::Held);
    stacks.fail(PlannedFailure::new("T", "no topics").during(During::Create));
    create(&client, "s", "Resources: {T: {Type: AWS::SNS::Topic}}");
    assert!(stacks.is_busy());
    assert_eq!(status(&client, "s"), "CREATE_IN_PROGRESS");
    stacks.step(2);
    assert_eq!(status(&client, "s"), "ROLLBACK_IN_PROGRESS");
    stacks.run();
    assert_eq!(status(&client, "s"), "ROLLBACK_COMPLETE");
    assert_eq!(stacks.executions().len(), 1);
    assert_eq!(stacks.executions()[0].action, "CreateStack");
    stacks.clear_failures();
    stacks.occupy_name(ACCOUNT, REGION, "AWS::SNS::Topic", "taken");
    create(&client, "t", "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: taken}}}");
    stacks.run();
    assert_eq!(stacks.stack(ACCOUNT, REGION, "t").unwrap().status, StackStatus::RollbackComplete);
    assert_eq!(stacks.stacks(ACCOUNT, REGION).len(), 2);
}
