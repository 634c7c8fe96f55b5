//! Queues over time.

use std::time::Duration;

use fake_aws::FakeAws;
use serde_json::{Value, json};

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION};

fn fake() -> (FakeAws, Client, String) {
    let fake = FakeAws::start_blocking();
    fake.freeze_time();
    let url = fake.create_queue(ACCOUNT, REGION, "q", &[]);
    let client = Client::root(&fake, ACCOUNT);
    (fake, client, url)
}

fn receive(client: &Client, url: &str, more: &Value) -> Vec<Value> {
    let mut body =
        json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let reply = client.sqs("ReceiveMessage", &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["Messages"].as_array().cloned().unwrap_or_default()
}

fn handle(message: &Value) -> &str {
    message["ReceiptHandle"].as_str().unwrap()
}

#[test]
fn a_received_message_is_hidden_for_a_while() {
    let (fake, client, url) = fake();
    fake.send_message(&url, "body");
    let first = receive(&client, &url, &json!({}));
    assert_eq!(first[0]["Body"], "body");
    assert_eq!(first[0]["Attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(receive(&client, &url, &json!({})), Vec::<Value>::new());
    assert_eq!(fake.queue_depth(&url).in_flight, 1);
    fake.advance(Duration::from_secs(30));
    let second = receive(&client, &url, &json!({"VisibilityTimeout": 5}));
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    // A changed timeout is not remembered for the next receipt.
    fake.advance(Duration::from_secs(5));
    receive(&client, &url, &json!({}));
    fake.advance(Duration::from_secs(29));
    assert_eq!(fake.queue_depth(&url).in_flight, 1);
    // The handle of an earlier receipt deletes nothing, and says nothing.
    let stale =
        client.sqs("DeleteMessage", &json!({"QueueUrl": url, "ReceiptHandle": handle(&second[0])}));
    assert_eq!(stale.status, 200);
    assert_eq!(fake.queue_depth(&url).total(), 1);
    assert_eq!(fake.queue_stats(&url).stale_deletes, 1);
}

#[test]
fn visibility_is_changed_only_in_flight() {
    let (fake, client, url) = fake();
    fake.send_message(&url, "body");
    let message = receive(&client, &url, &json!({})).remove(0);
    let change = |handle: &str, seconds: i64| {
        let body = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": seconds});
        let reply = client.sqs("ChangeMessageVisibility", &body);
        if reply.status == 200 {
            String::new()
        } else {
            reply.header("x-amzn-query-error").unwrap().to_owned()
        }
    };
    assert_eq!(change(handle(&message), 60), "");
    assert_eq!(change(handle(&message), 43_200), "");
    assert_eq!(change(handle(&message), 43_201), "InvalidParameterValue;Sender");
    assert_eq!(change("nonsense", 60), "ReceiptHandleIsInvalid;Sender");
    fake.advance(Duration::from_hours(1));
    // Twelve hours from the receipt on are the end.
    assert_eq!(change(handle(&message), 43_200), "InvalidParameterValue;Sender");
    assert_eq!(change(handle(&message), 39_600), "");
    assert_eq!(change(handle(&message), 0), "");
    assert_eq!(change(handle(&message), 60), "AWS.SimpleQueueService.MessageNotInflight;Sender");
    let again = receive(&client, &url, &json!({})).remove(0);
    assert_eq!(change(handle(&message), 60), "InvalidParameterValue;Sender");
    client.sqs("DeleteMessage", &json!({"QueueUrl": url, "ReceiptHandle": handle(&again)}));
    assert_eq!(change(handle(&again), 60), "InvalidParameterValue;Sender");
}

#[test]
fn messages_received_too_often_go_to_the_dead_letter_queue() {
    let fake = FakeAws::start_blocking();
    fake.freeze_time();
    let (url, dead_letters) = fake.create_queue_with_dead_letters(ACCOUNT, REGION, "q", 2, &[]);
    let client = Client::root(&fake, ACCOUNT);
    let id = fake.send_message(&url, "poison");
    let sent_at = fake.queue_messages(&url)[0].sent_at;
    for _ in 0..2 {
        assert_eq!(receive(&client, &url, &json!({})).len(), 1);
        fake.advance(Duration::from_secs(30));
    }
    assert_eq!(receive(&client, &url, &json!({})).len(), 0);
    assert_eq!(fake.queue_depth(&url).total(), 0);
    let dead = fake.queue_messages(&dead_letters);
    assert_eq!((dead[0].id.as_str(), dead[0].sent_at), (id.as_str(), sent_at));
    assert_eq!(dead[0].dead_letter_source.as_deref(), Some("arn:aws:sqs:us-east-1:111122223333:q"));
}

#[test]
fn messages_do_not_live_for_ever() {
    let (fake, client, url) = fake();
    fake.send_message(&url, "old");
    fake.advance(Duration::from_hours(4 * 24));
    assert_eq!(receive(&client, &url, &json!({})).len(), 0);
    assert_eq!(fake.queue_stats(&url).expired, 1);
}

#[test]
fn a_long_poll_ends_when_a_message_comes() {
    let (fake, client, url) = fake();
    fake.run_time();
    let sender = fake.clone();
    let target = url.clone();
    let waiting =
        std::thread::spawn(move || receive(&client, &target, &json!({"WaitTimeSeconds": 20})));
    while fake.peak_concurrency("sqs:ReceiveMessage") == 0 {
        std::thread::yield_now();
    }
    sender.send_message(&url, "at last");
    assert_eq!(waiting.join().unwrap().len(), 1);
}

#[test]
fn a_long_poll_ends_on_the_fakes_clock() {
    let (fake, client, url) = fake();
    let target = url.clone();
    let waiting =
        std::thread::spawn(move || receive(&client, &target, &json!({"WaitTimeSeconds": 20})));
    while fake.peak_concurrency("sqs:ReceiveMessage") == 0 {
        std::thread::yield_now();
    }
    // The poll may not have looked at the clock yet; moving it until it ends needs no sleep.
    while !waiting.is_finished() {
        fake.advance(Duration::from_secs(20));
        std::thread::yield_now();
    }
    assert_eq!(waiting.join().unwrap().len(), 0);
}

#[test]
fn requests_are_held_to_the_model() {
    let (fake, client, url) = fake();
    let large = "x".repeat(1_048_577);
    let exact = "x".repeat(1_048_576);
    let third = "x".repeat(400_000);
    let entries = |count: usize| {
        (0..count).map(|id| json!({"Id": id.to_string(), "ReceiptHandle": "x"})).collect::<Vec<_>>()
    };
    let send = |bodies: &[&str]| {
        let entries: Vec<Value> = bodies
            .iter()
            .enumerate()
            .map(|(id, body)| json!({"Id": id.to_string(), "MessageBody": body}))
            .collect();
        json!({"QueueUrl": url, "Entries": entries})
    };
    let rows = [
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": exact}), ""),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": large}), "InvalidParameterValue"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": ""}), "MissingParameter"),
        ("SendMessage", json!({"QueueUrl": url, "MessageBody": "\u{1}"}), "InvalidMessageContents"),
        ("SendMessage", json!({"MessageBody": "x"}), "MissingParameter"),
        ("SendMessage", json!({"QueueUrl": "nonsense", "MessageBody": "x"}), "InvalidAddress"),
        (
            "SendMessage",
            json!({"QueueUrl": format!("{url}-none"), "MessageBody": "x"}),
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        ("SendMessageBatch", send(&[&third, &third]), ""),
        (
            "SendMessageBatch",
            send(&[&third, &third, &third]),
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "MaxNumberOfMessages": 11}),
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "MaxNumberOfMessages": 0}),
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "WaitTimeSeconds": 21}),
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "VisibilityTimeout": 43_201}),
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url, "AttributeNames": ["Nonsense"]}),
            "InvalidAttributeName",
        ),
        ("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": entries(10)}), ""),
        (
            "DeleteMessageBatch",
            json!({"QueueUrl": url, "Entries": entries(11)}),
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            "DeleteMessageBatch",
            json!({"QueueUrl": url, "Entries": []}),
            "AWS.SimpleQueueService.EmptyBatchRequest",
        ),
        ("CreateQueue", json!({"QueueName": "a b"}), "InvalidParameterValue"),
        (
            "CreateQueue",
            json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "31"}}),
            "QueueAlreadyExists",
        ),
        ("CreateQueue", json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "30"}}), ""),
        ("GetQueueUrl", json!({"QueueName": "none"}), "AWS.SimpleQueueService.NonExistentQueue"),
        ("PurgeQueue", json!({"QueueUrl": url}), ""),
        ("PurgeQueue", json!({"QueueUrl": url}), "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ];
    for (operation, body, expected) in rows {
        let reply = client.sqs(operation, &body);
        let seen = reply
            .header("x-amzn-query-error")
            .and_then(|error| error.split(';').next())
            .unwrap_or_default();
        assert_eq!(seen, expected, "{operation} {:.200}", body.to_string());
    }
    assert_eq!(fake.queue_depth(&url).total(), 0);
}

#[test]
fn batches_report_each_entry() {
    let (fake, client, url) = fake();
    for body in ["a", "b"] {
        fake.send_message(&url, body);
    }
    let messages = receive(&client, &url, &json!({}));
    let delete = json!({"QueueUrl": url, "Entries": [
        {"Id": "good", "ReceiptHandle": handle(&messages[0])},
        {"Id": "bad", "ReceiptHandle": "nonsense"},
    ]});
    let reply = client.sqs("DeleteMessageBatch", &delete).json();
    assert_eq!(reply["Successful"], json!([{"Id": "good"}]));
    assert_eq!(reply["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    assert_eq!(reply["Failed"][0]["SenderFault"], true);
    fake.configure_sqs(|settings| settings.failing_delete_entries = 1);
    let delete =
        json!({"QueueUrl": url, "Entries": [{"Id": "x", "ReceiptHandle": handle(&messages[1])}]});
    let failed = client.sqs("DeleteMessageBatch", &delete).json();
    assert_eq!(
        (&failed["Failed"][0]["Code"], &failed["Failed"][0]["SenderFault"]),
        (&json!("InternalError"), &json!(false))
    );
    assert_eq!(client.sqs("DeleteMessageBatch", &delete).json().get("Failed"), None);
    assert_eq!(fake.queue_depth(&url).total(), 0);
}

#[test]
fn short_polls_are_refused_when_too_much_is_in_flight() {
    let (fake, client, url) = fake();
    fake.configure_sqs(|settings| settings.in_flight_limit = 1);
    fake.send_message(&url, "a");
    assert_eq!(receive(&client, &url, &json!({})).len(), 1);
    let reply = client.sqs("ReceiveMessage", &json!({"QueueUrl": url}));
    assert_eq!((reply.status, reply.code().as_str()), (403, "OverLimit"));
}

#[test]
fn queues_belong_to_an_account_and_a_region() {
    let (fake, client, url) = fake();
    let stranger = Client::root(&fake, CUSTOMER);
    assert_eq!(
        stranger.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "x"})).code(),
        "AccessDeniedException"
    );
    let elsewhere = client.in_region("eu-west-1");
    assert_eq!(
        elsewhere.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "x"})).code(),
        "QueueDoesNotExist"
    );
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sqs:SendMessage",
        "Resource": "arn:aws:sqs:us-east-1:111122223333:q"}]});
    let set = json!({"QueueUrl": url, "Attributes": {"Policy": policy.to_string()}});
    assert_eq!(client.sqs("SetQueueAttributes", &set).status, 200);
    assert_eq!(
        stranger.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "x"})).status,
        200
    );
    assert_eq!(
        stranger.sqs("ReceiveMessage", &json!({"QueueUrl": url})).code(),
        "AccessDeniedException"
    );
}

#[test]
fn a_poll_that_nobody_waits_for_takes_no_message() {
    let (fake, client, url) = fake();
    let body = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let connection = client.open("sqs", "AmazonSQS.ReceiveMessage", "1.0", &body);
    while fake.calls_under_way("sqs:ReceiveMessage") == 0 {
        std::thread::yield_now();
    }
    drop(connection);
    while fake.calls_under_way("sqs:ReceiveMessage") > 0 {
        std::thread::yield_now();
    }
    fake.send_message(&url, "for somebody else");
    assert_eq!(fake.queue_depth(&url).visible, 1);
}

#[test]
fn messages_come_more_than_once_when_asked_to() {
    let (fake, client, url) = fake();
    fake.send_message(&url, "body");
    fake.configure_sqs(|settings| {
        settings.unhidden_receives = 1;
        settings.lost_deletes = 1;
    });
    assert_eq!(receive(&client, &url, &json!({})).len(), 1);
    let second = receive(&client, &url, &json!({})).remove(0);
    let delete = json!({"QueueUrl": url, "ReceiptHandle": handle(&second)});
    assert_eq!(client.sqs("DeleteMessage", &delete).status, 200);
    assert_eq!(fake.queue_depth(&url).in_flight, 1);
    assert_eq!(client.sqs("DeleteMessage", &delete).status, 200);
    assert_eq!(fake.queue_depth(&url).total(), 0);
}
