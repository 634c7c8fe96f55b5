//! Who calls: signatures, keys, sessions, trust.

use std::time::Duration;

use fake_aws::{FakeAws, Fault, Response};
use serde_json::json;

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION, exchange};

const CENTRAL: &str = "arn:aws:iam::111122223333:role/central";
const CUSTOMER_ROLE: &str = "arn:aws:iam::444455556666:role/customer";

fn trust(principal: &str, external_id: &str) -> String {
    let mut statement =
        json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"});
    if !external_id.is_empty() {
        statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": external_id}});
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// A fake with an engine that may take the central role, and a customer that trusts that role.
fn fake() -> (FakeAws, Client) {
    let fake = FakeAws::start_blocking();
    let user = fake.add_user("arn:aws:iam::111122223333:user/engine", &[]);
    fake.add_role(CENTRAL, &trust("arn:aws:iam::111122223333:user/engine", ""), &[]);
    fake.add_role(CUSTOMER_ROLE, &trust(CENTRAL, "secret-1"), &[]);
    let client = Client::new(&fake, user);
    (fake, client)
}

#[test]
fn everybody_is_told_who_they_are() {
    let (fake, engine) = fake();
    let arn = |client: &Client| client.sts("GetCallerIdentity", &[]).element("Arn").unwrap();
    assert_eq!(arn(&engine), "arn:aws:iam::111122223333:user/engine");
    assert_eq!(arn(&Client::root(&fake, CUSTOMER)), "arn:aws:iam::444455556666:root");
    let central = engine.take(&fake, CENTRAL, &[]);
    assert_eq!(arn(&central), "arn:aws:sts::111122223333:assumed-role/central/test-session");
}

#[test]
fn roles_are_given_to_those_they_trust() {
    let (fake, engine) = fake();
    let central = engine.take(&fake, CENTRAL, &[]);
    let customer = |client: &Client, more: &[(&str, &str)]| {
        let mut members = vec![("RoleArn", CUSTOMER_ROLE), ("RoleSessionName", "test-session")];
        members.extend_from_slice(more);
        let reply = client.sts("AssumeRole", &members);
        if reply.status == 200 { String::new() } else { reply.code() }
    };
    let id = ("ExternalId", "secret-1");
    assert_eq!(customer(&central, &[id]), "");
    assert_eq!(customer(&central, &[("ExternalId", "secret-2")]), "AccessDenied");
    assert_eq!(customer(&central, &[]), "AccessDenied");
    assert_eq!(customer(&engine, &[id]), "AccessDenied");
    assert_eq!(customer(&Client::root(&fake, ACCOUNT), &[id]), "AccessDenied");
    // A chained session lasts an hour at most, a first one as long as its role allows.
    assert_eq!(customer(&central, &[id, ("DurationSeconds", "3600")]), "");
    fake.set_max_session(CUSTOMER_ROLE, Duration::from_hours(12));
    assert_eq!(customer(&central, &[id, ("DurationSeconds", "3601")]), "ValidationError");
    let long = |seconds| {
        engine.sts(
            "AssumeRole",
            &[("RoleArn", CENTRAL), ("RoleSessionName", "ab"), ("DurationSeconds", seconds)],
        )
    };
    assert_eq!(long("3601").code(), "ValidationError");
    fake.set_max_session(CENTRAL, Duration::from_hours(2));
    assert_eq!(long("7200").status, 200);
    // What the owner changes holds at once.
    fake.set_trust_policy(CUSTOMER_ROLE, &trust("arn:aws:iam::111122223333:role/other", ""));
    assert_eq!(customer(&central, &[id]), "AccessDenied");
    fake.remove_role(CUSTOMER_ROLE);
    assert_eq!(customer(&central, &[id]), "AccessDenied");
}

#[test]
fn the_callers_own_policies_count_across_accounts() {
    let (fake, engine) = fake();
    let only = |resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resource}}).to_string()
    };
    let members =
        [("RoleArn", CUSTOMER_ROLE), ("RoleSessionName", "ab"), ("ExternalId", "secret-1")];
    fake.set_identity_policies(CENTRAL, &[&only("arn:aws:iam::444455556666:role/other")]);
    let central = engine.take(&fake, CENTRAL, &[]);
    assert_eq!(central.sts("AssumeRole", &members).code(), "AccessDenied");
    fake.set_identity_policies(CENTRAL, &[&only(CUSTOMER_ROLE)]);
    assert_eq!(central.sts("AssumeRole", &members).status, 200);
}

#[test]
fn identity_and_session_policies_restrict_calls() {
    let (fake, engine) = fake();
    fake.create_log_group(CUSTOMER, REGION, "theirs", &["s"]);
    let allow = |action: &str, resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": resource}}).to_string()
    };
    fake.set_identity_policies(
        CUSTOMER_ROLE,
        &[&allow("logs:PutLogEvents", "arn:aws:logs:*:*:log-group:theirs:log-stream:*")],
    );
    let central = engine.take(&fake, CENTRAL, &[]);
    let id = ("ExternalId", "secret-1");
    let customer = central.take(&fake, CUSTOMER_ROLE, &[id]);
    let now = fake.now().as_millisecond();
    let put = json!({"logGroupName": "theirs", "logStreamName": "s", "logEvents": [{"timestamp": now, "message": "x"}]});
    assert_eq!(customer.logs("PutLogEvents", &put).status, 200);
    assert_eq!(
        customer.logs("CreateLogGroup", &json!({"logGroupName": "more"})).code(),
        "AccessDeniedException"
    );
    let nothing = allow("logs:CreateLogGroup", "*");
    let narrow = central.take(&fake, CUSTOMER_ROLE, &[id, ("Policy", &nothing)]);
    assert_eq!(narrow.logs("PutLogEvents", &put).code(), "AccessDeniedException");
    // Nobody reaches into another account by its own policies alone.
    assert_eq!(fake.ledger_totals().events, 1);
}

#[test]
fn unknown_and_expired_keys_are_refused_in_each_services_words() {
    let (fake, engine) = fake();
    let session = engine.take(&fake, CENTRAL, &[("DurationSeconds", "900")]);
    let mut unknown = fake.root_credentials(ACCOUNT);
    unknown.access_key_id = "AKIANOBODY".to_owned();
    let unknown = Client::new(&fake, unknown);
    fake.advance(Duration::from_secs(900));
    let codes = |client: &Client| {
        [
            client.logs("DescribeLogGroups", &json!({})),
            client.sqs("ListQueues", &json!({})),
            client.dynamodb("ListTables", &json!({})),
            client.sts("GetCallerIdentity", &[]),
            client.s3("GET", "/", &[], b""),
        ]
        .map(|reply| (reply.status, reply.code()))
    };
    let rows = [
        (
            &session,
            [
                (400, "ExpiredTokenException"),
                (403, "ExpiredTokenException"),
                (400, "ExpiredTokenException"),
                (403, "ExpiredToken"),
                (400, "ExpiredToken"),
            ],
        ),
        (
            &unknown,
            [
                (400, "UnrecognizedClientException"),
                (403, "UnrecognizedClientException"),
                (400, "UnrecognizedClientException"),
                (403, "InvalidClientTokenId"),
                (403, "InvalidAccessKeyId"),
            ],
        ),
    ];
    for (client, expected) in rows {
        assert_eq!(codes(client), expected.map(|(status, code)| (status, code.to_owned())));
    }
}

#[test]
fn unsigned_and_misdirected_requests_are_refused() {
    let (fake, engine) = fake();
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Logs_20140328.DescribeLogGroups"),
    ];
    let owned = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let unsigned = exchange(&fake.endpoint_url(), "POST", "/", &owned, b"{}").unwrap();
    assert_eq!(unsigned.code(), "MissingAuthenticationTokenException");
    // Signed for another service than the one that is called.
    let misdirected = engine.send("sqs", "POST", "/", &headers, b"{}");
    assert_eq!(misdirected.code(), "InvalidSignatureException");
    let wrong_type = [("content-type", "application/json"), headers[1]];
    assert_eq!(
        engine.send("logs", "POST", "/", &wrong_type, b"{}").code(),
        "SerializationException"
    );
    assert_eq!(engine.send("logs", "POST", "/", &headers, b"{").code(), "SerializationException");
    assert_eq!(engine.send("logs", "POST", "/", &headers, b"[]").code(), "SerializationException");
    let anonymous = exchange(&fake.endpoint_url(), "GET", "/bucket/key", &[], b"").unwrap();
    assert_eq!((anonymous.status, anonymous.code().as_str()), (403, "AccessDenied"));
}

#[test]
fn regions_can_be_inactive() {
    let (fake, engine) = fake();
    let central = engine.take(&fake, CENTRAL, &[]);
    fake.disable_region(ACCOUNT, "me-south-1");
    let there = central.in_region("me-south-1");
    let reply = there.sts(
        "AssumeRole",
        &[("RoleArn", CUSTOMER_ROLE), ("RoleSessionName", "ab"), ("ExternalId", "secret-1")],
    );
    assert_eq!((reply.status, reply.code().as_str()), (403, "RegionDisabledException"));
    assert_eq!(there.logs("DescribeLogGroups", &json!({})).code(), "UnrecognizedClientException");
    fake.enable_region(ACCOUNT, "me-south-1");
    assert_eq!(there.sts("GetCallerIdentity", &[]).status, 200);
}

#[test]
fn pods_get_their_session_for_a_token() {
    let fake = FakeAws::start_blocking();
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id"},
        "Condition": {"StringEquals": {"oidc.example.com/id:sub": "system:serviceaccount:logging:engine"}},
    }]});
    fake.add_role(CENTRAL, &trust.to_string(), &[]);
    let check = |subject: &str, expected: u16| {
        use base64::Engine as _;
        let claims = json!({"iss": "https://oidc.example.com/id", "sub": subject, "aud": ["sts.amazonaws.com"]});
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
        let body = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={CENTRAL}&RoleSessionName=pod&WebIdentityToken=e30.{claims}.sig"
        );
        let headers = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let reply = exchange(&fake.endpoint_url(), "POST", "/", &headers, body.as_bytes()).unwrap();
        assert_eq!(reply.status, expected, "{}", reply.text());
    };
    check("system:serviceaccount:logging:engine", 200);
    check("system:serviceaccount:other:engine", 403);
}

#[test]
fn clock_skew_is_refused_when_asked_for() {
    let (fake, engine) = fake();
    fake.advance(Duration::from_mins(20));
    assert_eq!(engine.sts("GetCallerIdentity", &[]).status, 200);
    fake.refuse_clock_skew_above(Duration::from_mins(5));
    assert_eq!(engine.s3("GET", "/", &[], b"").code(), "RequestTimeTooSkewed");
    let reply = engine.logs("DescribeLogGroups", &json!({}));
    assert_eq!(reply.code(), "InvalidSignatureException");
    let expected = fake.now().strftime("%a, %d %b %Y %H:").to_string();
    assert!(reply.header("date").unwrap().starts_with(&expected));
}

#[test]
fn rules_can_be_for_one_role() {
    let (fake, engine) = fake();
    let rule = fake
        .inject(Fault::on("sts:AssumeRole").role(CUSTOMER_ROLE).respond(Response::throttling()));
    let central = engine.take(&fake, CENTRAL, &[]);
    let reply = central.sts(
        "AssumeRole",
        &[("RoleArn", CUSTOMER_ROLE), ("RoleSessionName", "ab"), ("ExternalId", "secret-1")],
    );
    assert_eq!((reply.status, reply.code().as_str()), (400, "Throttling"));
    assert_eq!(rule.hits(), 1);
    assert_eq!(fake.calls("sts:AssumeRole"), 2);
}
