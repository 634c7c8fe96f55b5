//! Tasks that move dead letters.

use std::time::Duration;

use fake_aws::FakeAws;
use serde_json::{Value, json};

use crate::client::{ACCOUNT, Client, REGION};

struct World {
    fake: FakeAws,
    client: Client,
    queue: String,
    dead: String,
}

fn world(letters: usize) -> World {
    let fake = FakeAws::start_blocking();
    fake.freeze_time();
    let (queue, dead) = fake.create_queue_with_dead_letters(ACCOUNT, REGION, "q", 2, &[]);
    for index in 0..letters {
        fake.send_message_with(&dead, &format!("{index}"), &[("reason", "x")]);
    }
    World { client: Client::root(&fake, ACCOUNT), fake, queue, dead }
}

impl World {
    fn start(&self, more: &Value) -> String {
        let mut body = json!({"SourceArn": self.fake.queue_arn(&self.dead)});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = self.client.sqs("StartMessageMoveTask", &body);
        if reply.status == 200 { String::new() } else { reply.code() }
    }

    fn to_queue(&self, rate: i64) -> Value {
        let arn = self.fake.queue_arn(&self.queue);
        json!({"DestinationArn": arn, "MaxNumberOfMessagesPerSecond": rate})
    }

    fn newest(&self) -> Value {
        let body = json!({"SourceArn": self.fake.queue_arn(&self.dead)});
        self.client.sqs("ListMessageMoveTasks", &body).json()["Results"][0].clone()
    }
}

#[test]
fn a_task_moves_messages_at_its_rate_and_makes_them_new() {
    let world = world(5);
    assert_eq!(world.start(&world.to_queue(2)), "");
    assert_eq!(world.newest()["Status"], "RUNNING");
    assert!(world.newest()["TaskHandle"].is_string());
    world.fake.advance(Duration::from_secs(1));
    assert_eq!(world.newest()["ApproximateNumberOfMessagesMoved"], 2);
    assert_eq!(world.start(&world.to_queue(2)), "UnsupportedOperation");
    // What arrives after the start stays.
    world.fake.send_message(&world.dead, "late");
    world.fake.advance(Duration::from_secs(2));
    let ended = world.newest();
    assert_eq!((&ended["Status"], &ended["TaskHandle"]), (&json!("COMPLETED"), &Value::Null));
    assert_eq!(ended["ApproximateNumberOfMessagesMoved"], 5);
    assert_eq!(world.fake.queue_depth(&world.dead).total(), 1);
    let moved = world.fake.queue_messages(&world.queue);
    assert_eq!(moved.len(), 5);
    assert_eq!((moved[0].receive_count, moved[0].attributes["reason"].as_str()), (0, "x"));
    assert!(moved[0].sent_at > world.fake.queue_messages(&world.dead)[0].sent_at - 1_000);
}

#[test]
fn a_task_without_destination_fails_for_what_was_sent_directly() {
    let world = world(1);
    assert_eq!(world.start(&json!({})), "");
    let ended = world.newest();
    assert_eq!(
        (&ended["Status"], &ended["FailureReason"]),
        (&json!("FAILED"), &json!("CouldNotDetermineMessageSource"))
    );
    assert_eq!(world.fake.queue_depth(&world.dead).total(), 1);
}

#[test]
fn a_running_task_is_cancelled_and_the_rest_stays() {
    let world = world(5);
    assert_eq!(world.start(&world.to_queue(1)), "");
    world.fake.advance(Duration::from_secs(2));
    let handle = json!({"TaskHandle": world.newest()["TaskHandle"]});
    let cancelled = world.client.sqs("CancelMessageMoveTask", &handle).json();
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 2);
    world.fake.advance(Duration::from_secs(5));
    assert_eq!(world.newest()["Status"], "CANCELLED");
    assert_eq!(world.fake.queue_depth(&world.dead).total(), 3);
    assert_eq!(world.client.sqs("CancelMessageMoveTask", &handle).code(), "UnsupportedOperation");
}

#[test]
fn wrong_requests_are_refused() {
    let world = world(1);
    for (more, code) in [
        (world.to_queue(0), "InvalidParameterValueException"),
        (world.to_queue(501), "InvalidParameterValueException"),
        (json!({"SourceArn": world.fake.queue_arn(&world.queue)}), "UnsupportedOperation"),
        (json!({"SourceArn": "queue"}), "InvalidAddress"),
        (
            json!({"DestinationArn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:none")}),
            "ResourceNotFoundException",
        ),
    ] {
        assert_eq!(world.start(&more), code, "{more}");
    }
    let many = json!({"SourceArn": world.fake.queue_arn(&world.dead), "MaxResults": 11});
    let reply = world.client.sqs("ListMessageMoveTasks", &many);
    assert_eq!(reply.code(), "InvalidParameterValueException");
    let unknown = json!({"TaskHandle": "x"});
    let reply = world.client.sqs("CancelMessageMoveTask", &unknown);
    assert_eq!(reply.code(), "ResourceNotFoundException");
}
