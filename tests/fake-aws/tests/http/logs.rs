//! CloudWatch Logs: every limit, and the ledger.

use std::time::Duration;

use fake_aws::{FakeAws, KeepEvents, message_hash};
use serde_json::{Value, json};

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION, Reply};

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

/// A fake whose clock stands still, with one group and stream.
fn fake() -> (FakeAws, Client, i64) {
    let fake = FakeAws::start_blocking();
    fake.freeze_time();
    fake.create_log_group(ACCOUNT, REGION, "g", &["s"]);
    let client = Client::root(&fake, ACCOUNT);
    let now = fake.now().as_millisecond();
    (fake, client, now)
}

fn put(client: &Client, events: &[(i64, &str)]) -> Reply {
    let events: Vec<Value> = events
        .iter()
        .map(|(timestamp, message)| json!({"timestamp": timestamp, "message": message}))
        .collect();
    client.logs(
        "PutLogEvents",
        &json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events}),
    )
}

#[test]
fn batches_are_held_to_every_limit() {
    let (fake, client, now) = fake();
    let many = |count: usize| vec![(now, "x"); count];
    let (exact, over) = ("x".repeat(1_048_550), "x".repeat(1_048_551));
    let (half, more) = ("x".repeat(524_262), "x".repeat(524_263));
    // A message of two-byte characters counts by bytes.
    let wide = "é".repeat(524_276);
    let rows: Vec<(&str, Vec<(i64, &str)>, bool)> = vec![
        ("one event", vec![(now, "x")], true),
        ("no event", vec![], false),
        ("10,000 events", many(10_000), true),
        ("10,001 events", many(10_001), false),
        ("an empty message", vec![(now, "x"), (now, "")], false),
        ("1,048,550 bytes", vec![(now, &exact)], true),
        ("1,048,551 bytes", vec![(now, &over)], false),
        ("1,048,576 bytes in two", vec![(now, &half), (now, &half)], true),
        ("1,048,577 bytes in two", vec![(now, &half), (now, &more)], false),
        ("1,048,552 bytes in half as many characters", vec![(now, &wide)], false),
        ("unsorted", vec![(now, "x"), (now - 1, "x")], false),
        ("24 hours", vec![(now - DAY, "x"), (now, "x")], true),
        ("24 hours and 1 ms", vec![(now - DAY - 1, "x"), (now, "x")], false),
        (
            "24 hours of valid events among others",
            vec![(now - 15 * DAY, "x"), (now, "x"), (now + 3 * HOUR, "x")],
            true,
        ),
        ("a negative time", vec![(-1, "x")], false),
    ];
    let mut accepted = 0;
    for (name, events, expected) in rows {
        let reply = put(&client, &events);
        if expected {
            accepted += 1;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        } else {
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (400, "InvalidParameterException"),
                "{name}"
            );
        }
        assert_eq!(fake.ledger_totals().batches, accepted, "{name}");
    }
}

#[test]
fn rejected_events_are_reported_by_index() {
    let (fake, client, now) = fake();
    fake.set_log_retention(ACCOUNT, REGION, "g", Some(3));
    let reply = put(
        &client,
        &[
            (now - 20 * DAY, "old"),
            (now - 5 * DAY, "expired"),
            (now, "good"),
            (now + 2 * HOUR, "edge"),
            (now + 2 * HOUR + 1, "new"),
        ],
    );
    assert_eq!(
        reply.json()["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4})
    );
    assert_eq!(fake.log_messages(ACCOUNT, REGION, "g", "s"), ["good", "edge"]);
    assert_eq!(fake.ledger_totals().rejected_events, 3);
    let all_old = put(&client, &[(now - 20 * DAY, "old")]);
    assert_eq!(
        all_old.json()["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 1})
    );
    // The window moves with the clock.
    fake.set_log_retention(ACCOUNT, REGION, "g", None);
    let time = now - 13 * DAY;
    assert_eq!(put(&client, &[(time, "aging")]).json().get("rejectedLogEventsInfo"), None);
    fake.advance(Duration::from_hours(24));
    fake.advance(Duration::from_millis(1));
    assert_eq!(
        put(&client, &[(time, "aged")]).json()["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1})
    );
}

#[test]
fn the_ledger_shows_order_duplicates_and_accounts() {
    let (fake, client, now) = fake();
    put(&client, &[(now, "a"), (now, "b")]);
    put(&client, &[(now, "a")]);
    assert_eq!(fake.log_messages(ACCOUNT, REGION, "g", "s"), ["a", "b", "a"]);
    let batches: Vec<u64> =
        fake.log_events(ACCOUNT, REGION, "g", "s").iter().map(|event| event.batch).collect();
    assert_eq!(batches, [1, 1, 2]);
    assert_eq!(fake.log_messages(CUSTOMER, REGION, "g", "s"), Vec::<String>::new());
    let elsewhere = client.in_region("eu-west-1");
    assert_eq!(put(&elsewhere, &[(now, "x")]).code(), "ResourceNotFoundException");
    // The ledger outlives the group; readers see only the new one.
    assert_eq!(client.logs("DeleteLogGroup", &json!({"logGroupName": "g"})).status, 200);
    fake.create_log_group(ACCOUNT, REGION, "g", &["s"]);
    put(&client, &[(now, "c")]);
    assert_eq!(fake.log_messages(ACCOUNT, REGION, "g", "s"), ["a", "b", "a", "c"]);
    let read = client.logs(
        "GetLogEvents",
        &json!({"logGroupName": "g", "logStreamName": "s", "startFromHead": true}),
    );
    assert_eq!(read.json()["events"].as_array().unwrap().len(), 1);
}

#[test]
fn less_can_be_kept() {
    let (fake, client, now) = fake();
    fake.configure_logs(|settings| settings.keep = KeepEvents::Hashes);
    put(&client, &[(now, "hashed")]);
    let events = fake.log_events(ACCOUNT, REGION, "g", "s");
    assert_eq!(
        (&*events[0].message, events[0].hash, events[0].bytes),
        ("", message_hash("hashed"), 6)
    );
    fake.configure_logs(|settings| settings.keep = KeepEvents::Counts);
    put(&client, &[(now, "counted")]);
    assert_eq!(fake.log_events(ACCOUNT, REGION, "g", "s").len(), 1);
    let totals = fake.stream_totals(ACCOUNT, REGION, "g", "s");
    assert_eq!((totals.batches, totals.events, totals.message_bytes), (2, 2, 13));
    fake.configure_logs(|settings| settings.keep = KeepEvents::OnlyCountBytes);
    let reply = client.logs("PutLogEvents", &json!({"not": "even read"}));
    assert_eq!(reply.status, 200);
    assert_eq!(fake.ledger_totals().discarded_body_bytes, 19);
}

#[test]
fn groups_and_streams_are_made_once() {
    let (fake, client, _) = fake();
    let rows = [
        ("CreateLogGroup", json!({"logGroupName": "g"}), "ResourceAlreadyExistsException"),
        ("CreateLogGroup", json!({"logGroupName": "/new/group"}), ""),
        ("CreateLogGroup", json!({"logGroupName": "aws/reserved"}), "InvalidParameterException"),
        ("CreateLogGroup", json!({"logGroupName": "a b"}), "InvalidParameterException"),
        ("CreateLogGroup", json!({}), "InvalidParameterException"),
        ("CreateLogGroup", json!({"logGroupName": 5}), "SerializationException"),
        (
            "CreateLogStream",
            json!({"logGroupName": "g", "logStreamName": "s"}),
            "ResourceAlreadyExistsException",
        ),
        (
            "CreateLogStream",
            json!({"logGroupName": "g", "logStreamName": "a:b"}),
            "InvalidParameterException",
        ),
        (
            "CreateLogStream",
            json!({"logGroupName": "none", "logStreamName": "s"}),
            "ResourceNotFoundException",
        ),
        ("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 30}), ""),
        (
            "PutRetentionPolicy",
            json!({"logGroupName": "g", "retentionInDays": 31}),
            "InvalidParameterException",
        ),
        (
            "PutRetentionPolicy",
            json!({"logGroupName": "none", "retentionInDays": 30}),
            "ResourceNotFoundException",
        ),
        ("NoSuchOperation", json!({}), "UnknownOperationException"),
    ];
    for (operation, body, expected) in rows {
        let reply = client.logs(operation, &body);
        let code = if reply.status == 200 { String::new() } else { reply.code() };
        assert_eq!(code, expected, "{operation} {body}");
    }
    assert_eq!(fake.log_groups(ACCOUNT, REGION), ["/new/group", "g"]);
    assert_eq!(fake.log_retention(ACCOUNT, REGION, "g"), Some(30));
}

#[test]
fn a_new_stream_can_lag_behind_its_creation() {
    let (fake, client, now) = fake();
    fake.configure_logs(|settings| settings.creation_lag = Duration::from_secs(5));
    let created =
        client.logs("CreateLogStream", &json!({"logGroupName": "g", "logStreamName": "late"}));
    assert_eq!(created.status, 200);
    let body = json!({"logGroupName": "g", "logStreamName": "late", "logEvents": [{"timestamp": now, "message": "x"}]});
    assert_eq!(client.logs("PutLogEvents", &body).code(), "ResourceNotFoundException");
    fake.advance(Duration::from_secs(5));
    assert_eq!(client.logs("PutLogEvents", &body).status, 200);
}

#[test]
fn one_text_can_spoil_a_batch() {
    let (fake, client, now) = fake();
    fake.configure_logs(|settings| settings.refused_text = Some("poison".to_owned()));
    assert_eq!(
        put(&client, &[(now, "good"), (now, "a poisoned one")]).code(),
        "InvalidParameterException"
    );
    assert_eq!(put(&client, &[(now, "good")]).status, 200);
}

#[test]
fn an_entity_is_rejected_without_its_events() {
    let (fake, client, now) = fake();
    let reply = client.logs(
        "PutLogEvents",
        &json!({"logGroupName": "g", "logStreamName": "s", "logEvents": [{"timestamp": now, "message": "x"}],
            "entity": {"keyAttributes": {"Name": "only"}}}),
    );
    assert_eq!(reply.json()["rejectedEntityInfo"]["errorType"], "MissingRequiredFields");
    assert_eq!(fake.ledger_totals().events, 1);
}

#[test]
fn descriptions_come_in_pages() {
    let (fake, client, _) = fake();
    for number in 0..55 {
        fake.create_log_group(ACCOUNT, REGION, &format!("page-{number:02}"), &[]);
    }
    let first = client.logs("DescribeLogGroups", &json!({"logGroupNamePrefix": "page-"})).json();
    assert_eq!(first["logGroups"].as_array().unwrap().len(), 50);
    let next = json!({"logGroupNamePrefix": "page-", "nextToken": first["nextToken"]});
    let second = client.logs("DescribeLogGroups", &next).json();
    assert_eq!(second["logGroups"].as_array().unwrap().len(), 5);
    assert_eq!(second.get("nextToken"), None);
    assert_eq!(
        client.logs("DescribeLogGroups", &json!({"limit": 51})).code(),
        "InvalidParameterException"
    );
}
