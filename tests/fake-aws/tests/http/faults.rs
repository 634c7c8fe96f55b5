//! Faults as a client sees them, and the journal of what happened.

use std::time::Duration;

use fake_aws::{FakeAws, Fault, KeepAlive, Response};
use serde_json::{Value, json};

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION, Reply};

fn fake() -> (FakeAws, Client) {
    let fake = FakeAws::start_blocking();
    fake.create_log_group(ACCOUNT, REGION, "g", &["s"]);
    fake.create_bucket(ACCOUNT, REGION, "central");
    fake.put_object("central", "k", vec![7; 1_000_000]);
    let client = Client::root(&fake, ACCOUNT);
    (fake, client)
}

fn event(fake: &FakeAws) -> Value {
    json!({"logGroupName": "g", "logStreamName": "s",
        "logEvents": [{"timestamp": fake.now().as_millisecond(), "message": "x"}]})
}

fn put(fake: &FakeAws, client: &Client) -> Reply {
    client.logs("PutLogEvents", &event(fake))
}

/// Puts and expects the connection to break.
fn put_broken(fake: &FakeAws, client: &Client) -> std::io::ErrorKind {
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "Logs_20140328.PutLogEvents"),
    ];
    client
        .try_send("logs", "POST", "/", &headers, event(fake).to_string().as_bytes())
        .unwrap_err()
        .kind()
}

#[test]
fn canned_errors_speak_each_services_language() {
    let (fake, client) = fake();
    let seen = |response: Response| {
        let rule = fake.inject(Fault::on("*").respond(response));
        let replies = [
            put(&fake, &client),
            client.sqs("ListQueues", &json!({})),
            client.dynamodb("ListTables", &json!({})),
            client.sts("GetCallerIdentity", &[]),
            client.s3("GET", "/central/k", &[], b""),
        ];
        rule.remove();
        replies.map(|reply| format!("{} {}", reply.status, reply.code()))
    };
    assert_eq!(
        seen(Response::throttling()),
        [
            "400 ThrottlingException",
            "400 RequestThrottled",
            "400 ProvisionedThroughputExceededException",
            "400 Throttling",
            "503 SlowDown"
        ]
    );
    assert_eq!(
        seen(Response::access_denied()),
        [
            "400 AccessDeniedException",
            "403 AccessDeniedException",
            "400 AccessDeniedException",
            "403 AccessDenied",
            "403 AccessDenied"
        ]
    );
    assert_eq!(
        seen(Response::service_unavailable()),
        [
            "503 ServiceUnavailableException",
            "503 ServiceUnavailable",
            "503 ServiceUnavailable",
            "503 ServiceUnavailable",
            "503 ServiceUnavailable"
        ]
    );
    assert_eq!(seen(Response::error(418, "Teapot", "x")), ["418 Teapot"; 5]);
    assert_eq!(fake.ledger_totals().events, 0);
}

#[test]
fn bodies_of_any_kind_can_be_sent() {
    let (fake, client) = fake();
    let seen = |response: Response| {
        let rule = fake.inject(Fault::on("logs:*").respond(response));
        let reply = put(&fake, &client);
        rule.remove();
        assert_eq!(reply.header("x-amzn-requestid"), None);
        (reply.status, reply.header("content-type").map(str::to_owned), reply.body.len())
    };
    assert_eq!(seen(Response::bare_429()), (429, None, 0));
    assert_eq!(seen(Response::empty_ok()), (200, None, 0));
    assert_eq!(seen(Response::garbage_ok()).0, 200);
    assert_eq!(seen(Response::html(502)).1.as_deref(), Some("text/html"));
}

#[test]
fn a_call_can_have_its_effect_without_an_answer() {
    let (fake, client) = fake();
    let before = fake.inject(Fault::on("logs:PutLogEvents").times(1).reset());
    put_broken(&fake, &client);
    assert_eq!((before.hits(), fake.ledger_totals().events), (1, 0));
    fake.inject(Fault::on("logs:PutLogEvents").times(1).reset_after_applying());
    put_broken(&fake, &client);
    assert_eq!(fake.ledger_totals().events, 1);
    fake.inject(
        Fault::on("logs:PutLogEvents")
            .times(1)
            .respond_after_applying(Response::service_unavailable()),
    );
    assert_eq!(put(&fake, &client).status, 503);
    assert_eq!(fake.ledger_totals().events, 2);
    let entries = fake.journal_of("logs:PutLogEvents");
    let seen: Vec<(u16, bool, bool)> =
        entries.iter().map(|entry| (entry.status, entry.applied, entry.faulted)).collect();
    assert_eq!(seen, [(0, false, true), (0, true, true), (503, true, true)]);
    assert_eq!(fake.call_count("logs:PutLogEvents").failed, 3);
}

#[test]
fn a_stalled_call_ends_with_its_client() {
    let (fake, client) = fake();
    fake.inject(Fault::on("logs:PutLogEvents").times(1).stall_after_applying());
    let connection = client.open("logs", "Logs_20140328.PutLogEvents", "1.1", &event(&fake));
    while fake.ledger_totals().events == 0 {
        std::thread::yield_now();
    }
    drop(connection);
    assert_eq!(put(&fake, &client).status, 200);
    assert_eq!(fake.ledger_totals().events, 2);
}

#[test]
fn bodies_break_where_they_are_told_to() {
    let (fake, client) = fake();
    let get = || client.s3("GET", "/central/k", &[], b"");
    for percent in [0, 10, 50, 100] {
        let rule = fake.inject(Fault::on("s3:GetObject").close_body_at_percent(percent));
        let reply = get();
        assert_eq!(
            (reply.complete, reply.body.len()),
            (percent == 100, usize::from(percent) * 10_000)
        );
        rule.remove();
    }
    let rule = fake.inject(Fault::on("s3:GetObject").close_body_at_byte(12_345));
    assert_eq!(get().body.len(), 12_345);
    rule.remove();
    let rule = fake.inject(Fault::on("s3:GetObject").shorten_body_to_percent(30));
    let reply = get();
    assert_eq!(
        (reply.complete, reply.body.len(), reply.header("content-length")),
        (true, 300_000, Some("300000"))
    );
    rule.remove();
    let rule = fake.inject(Fault::on("s3:GetObject").reset_body_at_percent(50));
    let reply = get();
    assert!(!reply.complete && reply.body.len() <= 500_000);
    rule.remove();
    let rule =
        fake.inject(Fault::on("s3:GetObject").stall_body_at_percent(50, Duration::from_millis(50)));
    assert_eq!((get().body.len(), rule.hits()), (1_000_000, 1));
}

#[test]
fn a_rule_can_change_the_world() {
    let (fake, client) = fake();
    let handle = fake.clone();
    let rule = fake.inject(Fault::on("s3:GetObject").nth(2).run(move |call| {
        handle.put_object(&call.resource, &call.key, "other");
    }));
    let get = || client.s3("GET", "/central/k", &[], b"").body.len();
    assert_eq!([get(), get(), get()], [1_000_000, 5, 5]);
    assert_eq!((rule.matched(), rule.hits()), (3, 1));
    fake.clear_faults();
}

#[test]
fn rules_can_be_for_one_account_or_key() {
    let (fake, client) = fake();
    fake.create_log_group(CUSTOMER, REGION, "g", &["s"]);
    fake.inject(Fault::on("logs:*").account(CUSTOMER).respond(Response::throttling()));
    assert_eq!(put(&fake, &client).status, 200);
    assert_eq!(put(&fake, &Client::root(&fake, CUSTOMER)).code(), "ThrottlingException");
    fake.inject(
        Fault::on("s3:GetObject")
            .resource("central")
            .key_prefix("k")
            .respond(Response::throttling()),
    );
    assert_eq!(client.s3("GET", "/central/k", &[], b"").code(), "SlowDown");
    assert_eq!(client.s3("GET", "/central/other", &[], b"").code(), "NoSuchKey");
}

#[test]
fn rates_are_held_per_account_on_the_fakes_clock() {
    let (fake, client) = fake();
    fake.freeze_time();
    fake.limit_rate("logs:CreateLogStream", 2);
    let create = |number: usize| {
        client
            .logs(
                "CreateLogStream",
                &json!({"logGroupName": "g", "logStreamName": format!("s{number}")}),
            )
            .code()
    };
    assert_eq!([create(1), create(2), create(3)], ["", "", "ThrottlingException"]);
    fake.advance(Duration::from_secs(1));
    assert_eq!([create(3), create(4), create(5)], ["", "", "ThrottlingException"]);
}

#[test]
fn a_delay_on_the_fakes_clock_needs_no_waiting() {
    let (fake, client) = fake();
    fake.freeze_time();
    fake.inject(Fault::on("logs:PutLogEvents").virtual_delay(Duration::from_mins(10)));
    let body = event(&fake);
    let waiting = std::thread::spawn(move || client.logs("PutLogEvents", &body).status);
    while !waiting.is_finished() {
        fake.advance(Duration::from_mins(10));
        std::thread::yield_now();
    }
    assert_eq!(waiting.join().unwrap(), 200);
}

#[test]
fn the_journal_tells_writes_from_reads() {
    let (fake, client) = fake();
    client.s3("GET", "/central/k", &[], b"");
    client.logs("DescribeLogGroups", &json!({}));
    client.sts("GetCallerIdentity", &[]);
    assert_eq!(fake.write_count(), 0);
    put(&fake, &client);
    let writes = fake.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!((writes[0].facts.resource.as_str(), writes[0].facts.key.as_str()), ("g", "s"));
    assert_eq!(writes[0].facts.account, ACCOUNT);
    assert_eq!(fake.calls("logs:Describe*"), 1);
    assert_eq!(fake.calls("*"), 4);
    fake.clear_journal();
    assert_eq!(fake.calls("*"), 0);
}

#[test]
fn connections_can_be_closed_after_each_reply() {
    let (fake, client) = fake();
    let connection = |client: &Client| {
        client.sts("GetCallerIdentity", &[]).header("connection").map(str::to_owned)
    };
    fake.set_keep_alive(KeepAlive::CloseEachTime);
    assert_eq!(connection(&client).as_deref(), Some("close"));
}

#[test]
fn it_listens_on_other_addresses_too() {
    let fake = FakeAws::listen("[::1]:0".parse().unwrap());
    assert!(fake.endpoint_url().starts_with("http://[::1]:"));
    assert_eq!(Client::root(&fake, ACCOUNT).sts("GetCallerIdentity", &[]).status, 200);
}
