//! `mtlog dlq`, run as a process against a strict stand-in for SQS.

use std::time::Duration;

use fake_aws::{FakeAws, Fault, Response};
use serde_json::{Value, json};

use crate::{
    deploy,
    support::{ACCOUNT, Mtlog, REGION},
};

const DEAD: &str = "multi-tenant-logging-development-log-delivery-dlq";

/// A deployed pipeline and the URLs of its queue and dead-letter queue.
struct World {
    fake: FakeAws,
    mtlog: Mtlog,
    queue: String,
    dead: String,
}

fn started() -> World {
    let (fake, mtlog) = deploy::deployed();
    fake.configure_sqs(|sqs| sqs.long_poll_cap = Some(Duration::from_millis(1)));
    let url = |name: &str| format!("{}/{ACCOUNT}/{name}", fake.endpoint_url());
    let queue = url("multi-tenant-logging-development-log-delivery-queue");
    let dead = url(DEAD);
    World { fake, mtlog, queue, dead }
}

fn event(tenant: &str, file: &str) -> String {
    let key = format!("c/{tenant}/app/pod/{file}.json.gz");
    json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "logs"}, "object": {"key": key, "size": 9}}}]})
    .to_string()
}

impl World {
    /// Puts a letter of the engine into the dead-letter queue; returns its id.
    fn letter(&self, tenant: &str, reason: &str, file: &str) -> String {
        let attributes = [
            ("reason", reason),
            ("stage", "assume"),
            ("offset", "0"),
            ("version", "1.2.3"),
            ("tenant", tenant),
            ("bucket", "logs"),
            ("destination", "cloudwatch"),
        ];
        self.fake.send_message_with(&self.dead, &event(tenant, file), &attributes)
    }

    /// Fails unless every message in the dead-letter queue is visible, and there are so many.
    #[track_caller]
    fn dead_and_visible(&self, count: u64) {
        let depth = self.fake.queue_depth(&self.dead);
        assert_eq!((depth.visible, depth.in_flight), (count, 0));
    }

    fn list(&self, more: &[&str]) -> Value {
        let arguments = [&["dlq", "list", "-o", "json"], more].concat();
        self.mtlog.run(&arguments).exits(0).json()
    }

    fn bodies(&self, url: &str) -> Vec<String> {
        let mut bodies: Vec<String> =
            self.fake.queue_messages(url).into_iter().map(|message| message.body).collect();
        bodies.sort();
        bodies
    }
}

#[test]
fn letters_are_listed_with_what_mends_them_and_given_back_at_once() {
    let world = started();
    for index in 0..12 {
        world.letter("acme", "role_denied", &format!("a{index}"));
    }
    world.letter("globex", "object_gone", "g");
    world.fake.send_message(&world.dead, "nonsense");
    let seen = world.mtlog.run(&["dlq", "list"]).exits(0);
    for part in [
        DEAD,
        "14 letters",
        "c/globex/app/pod/g.json.gz",
        "REASON       LETTERS  TENANTS  WHAT MENDS IT",
        "role_denied  12       acme     the customer's role must trust",
    ] {
        assert!(seen.stdout.contains(part), "{part} in\n{}", seen.stdout);
    }
    world.dead_and_visible(14);
    // No message is received twice, and none is deleted.
    let stats = world.fake.queue_stats(&world.dead);
    assert_eq!((stats.received, stats.deleted), (14, 0));
    let listed = world.list(&["--tenant", "globex"]);
    assert_eq!((&listed["read"], &listed["complete"]), (&json!(14), &json!(true)));
    assert_eq!(listed["letters"].as_array().unwrap().len(), 1);
    assert_eq!(listed["letters"][0]["receives"], 1);
    world.dead_and_visible(14);
}

#[test]
fn the_form_of_a_listed_letter_does_not_change() {
    let world = started();
    world.letter("acme", "role_denied", "f");
    let mut listed = world.list(&[]);
    let letter = &mut listed["letters"][0];
    for (field, stand_in) in [("id", "ID"), ("sent", "SENT"), ("age_seconds", "AGE")] {
        letter[field] = json!(stand_in);
    }
    listed["queue_url"] = json!("URL");
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("dlq-list", listed);
    });
}

#[test]
fn a_limit_is_kept_and_said() {
    let world = started();
    for index in 0..25 {
        world.letter("acme", "throttled", &index.to_string());
    }
    let ran = world.mtlog.run(&["dlq", "list", "--limit", "3", "-o", "json"]).exits(0);
    assert_eq!(ran.json()["letters"].as_array().unwrap().len(), 3);
    assert_eq!(ran.json()["complete"], false);
    ran.says(&["Only the first 3 messages of about 25 were read"]);
    world.dead_and_visible(25);
}

#[test]
fn what_the_queue_itself_gave_up_is_told_apart() {
    let mut world = started();
    world.fake.send_message(&world.queue, &event("acme", "crash"));
    // Too many receives, as a crashing engine causes them: here, looks at the wrong queue.
    world.mtlog.set("DEAD_LETTER_QUEUE_URL", &world.queue);
    for _ in 0..6 {
        world.mtlog.run(&["dlq", "list"]).exits(0);
    }
    world.mtlog.set("DEAD_LETTER_QUEUE_URL", "");
    let listed = world.list(&[]);
    let letter = &listed["letters"][0];
    assert_eq!(
        (&letter["reason"], &letter["sender"], &letter["tenant"]),
        (&json!("received_too_often"), &json!("queue"), &json!("acme"))
    );
    assert_eq!(letter["receives"], 5);
}

#[test]
fn one_letter_is_shown_in_full() {
    let world = started();
    let id = world.letter("acme", "role_denied", "f");
    world.letter("acme", "throttled", "g");
    let shown = world.mtlog.run(&["dlq", "show", &id[..8], "--body"]).exits(0);
    for part in [
        id.as_str(),
        "the customer's role must trust",
        "s3://logs/c/acme/app/pod/f.json.gz",
        "the engine, version 1.2.3",
        "\"eventName\": \"ObjectCreated:Put\"",
    ] {
        assert!(shown.stdout.contains(part), "{part} in\n{}", shown.stdout);
    }
    let without = world.mtlog.run(&["dlq", "show", &id, "-o", "json"]).exits(0).json();
    assert_eq!(without.get("body"), None);
    assert_eq!((&without["tenant"], &without["sender"]), (&json!("acme"), &json!("engine")));
    world.mtlog.run(&["dlq", "show", "zzz"]).exits(6).says(&["`zzz`", "mtlog dlq list"]);
    world.mtlog.run(&["dlq", "show", ""]).exits(64).says(&["several dead letters"]);
    world.dead_and_visible(2);
}

#[test]
fn chosen_letters_go_back_and_the_others_stay() {
    let world = started();
    for index in 0..13 {
        world.letter("acme", "role_denied", &format!("a{index}"));
        world.letter("globex", "role_denied", &format!("g{index}"));
    }
    let meant = ["dlq", "redrive", "--tenant", "acme", "--rate", "500", "-o", "json"];
    world.fake.clear_journal();
    let planned = world.mtlog.run(&[&meant[..], &["-n"]].concat()).exits(0).json();
    assert_eq!((&planned["state"], &planned["letters"]), (&json!("planned"), &json!(13)));
    world.mtlog.run(&meant).exits(7).says(&["--yes"]);
    let writes = deploy::names_of_writes(&world.fake);
    assert!(writes.iter().all(|name| name == "ChangeMessageVisibilityBatch"), "{writes:?}");

    let done = world.mtlog.run(&[&meant[..], &["-y"]].concat()).exits(0).json();
    assert_eq!((&done["state"], &done["sent"]), (&json!("done"), &json!(13)));
    assert_eq!((&done["twice"], &done["failed"]), (&json!(0), &json!(0)));
    world.dead_and_visible(13);
    assert!(world.bodies(&world.dead).iter().all(|body| body.contains("/globex/")));
    let back = world.fake.queue_messages(&world.queue);
    assert_eq!(back.len(), 13);
    for message in back {
        assert!(message.body.contains("/acme/"));
        assert_eq!((message.attributes.len(), message.group_id.as_deref()), (0, Some("acme")));
    }
}

#[test]
fn a_letter_is_never_deleted_before_it_was_sent() {
    let world = started();
    for index in 0..10 {
        world.letter("acme", "throttled", &index.to_string());
    }
    let before = world.bodies(&world.dead);
    let redrive = ["dlq", "redrive", "--tenant", "acme", "-y"];
    let denied = Fault::on("sqs:SendMessageBatch").respond(Response::access_denied());
    let fault = world.fake.inject(denied);
    world.mtlog.run(&redrive).exits(3).says(&["sqs:SendMessage", "0 letters were finished"]);
    assert_eq!(world.bodies(&world.dead), before);
    world.dead_and_visible(10);
    fault.remove();

    // Sent and not deleted: in both queues, counted, and said.
    world.fake.configure_sqs(|sqs| sqs.failing_delete_entries = 4);
    let ran = world.mtlog.run(&redrive).exits(5);
    assert!(ran.stdout.contains("in both queues"), "{}", ran.stdout);
    ran.says(&["4 letters stayed", "may be delivered twice", "mtlog dlq list"]);
    assert_eq!(world.fake.queue_depth(&world.queue).total(), 10);
    world.dead_and_visible(4);
    let mut everything = [world.bodies(&world.queue), world.bodies(&world.dead)].concat();
    everything.sort();
    everything.dedup();
    assert_eq!(everything, before);
}

#[test]
fn a_letter_that_the_queue_refuses_stays_where_it_is() {
    let fake = FakeAws::start_blocking();
    fake.configure_sqs(|sqs| sqs.long_poll_cap = Some(Duration::from_millis(1)));
    let small = [("MaximumMessageSize", "1024")];
    let (queue, dead) = fake.create_queue_with_dead_letters(ACCOUNT, REGION, "own", 5, &small);
    fake.send_message(&dead, &event("acme", "fits"));
    fake.send_message(&dead, &event("acme", &"x".repeat(1000)));
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("SQS_QUEUE_URL", &queue);
    let ran = mtlog.run(&["dlq", "redrive", "--tenant", "acme", "-y", "-o", "json"]).exits(5);
    let report = ran.json();
    assert_eq!((&report["sent"], &report["failed"]), (&json!(1), &json!(1)));
    ran.says(&["1 letter stayed", "Message must be shorter than 1024 bytes"]);
    assert_eq!(fake.queue_depth(&queue).total(), 1);
    let left = fake.queue_messages(&dead);
    assert_eq!((left.len(), left[0].in_flight), (1, false));
}

#[test]
fn ctrl_c_gives_back_what_was_read() {
    let world = started();
    world.fake.freeze_time();
    for index in 0..15 {
        world.letter("acme", "throttled", &index.to_string());
    }
    let second = Fault::on("sqs:ReceiveMessage").nth(2).virtual_delay(Duration::from_secs(1));
    let second = world.fake.inject(second);
    let mut child = world.mtlog.command(&["dlq", "list"]).spawn().expect("mtlog runs");
    while second.hits() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(world.fake.queue_depth(&world.dead).in_flight, 10);
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill runs").success());
    world.fake.advance(Duration::from_secs(1));
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    world.dead_and_visible(15);
}

#[test]
fn a_letter_that_comes_back_meanwhile_is_not_sent_again() {
    let world = started();
    world.letter("acme", "throttled", "old");
    world.fake.advance(Duration::from_hours(1));
    world.letter("acme", "throttled", "from the future");
    let ran = world.mtlog.run(&["dlq", "redrive", "--tenant", "acme", "-y", "-o", "json"]).exits(0);
    assert_eq!(ran.json()["sent"], 1);
    world.dead_and_visible(1);
}

#[test]
fn the_whole_queue_is_moved_by_sqs_at_a_rate() {
    let world = started();
    for index in 0..7 {
        world.letter("acme", "throttled", &index.to_string());
    }
    let planned = world.mtlog.run(&["dlq", "redrive", "-n", "-o", "json"]).exits(0).json();
    assert_eq!((&planned["way"], &planned["letters"]), (&json!("whole_queue"), &json!(7)));
    assert_eq!(world.fake.calls("sqs:StartMessageMoveTask"), 0);
    world.mtlog.run(&["dlq", "redrive"]).exits(7).says(&["--yes"]);
    let done = world.mtlog.run(&["dlq", "redrive", "-y", "--rate", "500", "-o", "json"]).exits(0);
    assert_eq!((&done.json()["state"], &done.json()["sent"]), (&json!("done"), &json!(7)));
    assert_eq!(world.fake.queue_depth(&world.queue).total(), 7);
    let again = world.mtlog.run(&["dlq", "redrive", "-y", "-o", "json"]).exits(0).json();
    assert_eq!(again["state"], "nothing");
}

#[test]
fn a_move_that_is_under_way_is_followed_and_can_be_cancelled() {
    let world = started();
    world.fake.freeze_time();
    for index in 0..7 {
        world.letter("acme", "throttled", &index.to_string());
    }
    // The clock stands still, so the move cannot end. Somebody stops watching.
    let mut command = world.mtlog.command(&["dlq", "redrive", "-y", "--rate", "1"]);
    let mut child = command.spawn().expect("mtlog runs");
    while world.fake.calls("sqs:ListMessageMoveTasks") < 3 {
        std::thread::yield_now();
    }
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    world.fake.advance(Duration::from_secs(2));
    let under_way = world.mtlog.run(&["dlq", "redrive", "-n"]).exits(0);
    under_way.says(&["is under way"]);
    assert_eq!(world.fake.calls("sqs:StartMessageMoveTask"), 1);
    let cancelled = world.mtlog.run(&["dlq", "redrive", "--cancel", "-y", "-o", "json"]).exits(0);
    let cancelled = cancelled.json();
    assert_eq!((&cancelled["state"], &cancelled["sent"]), (&json!("cancelled"), &json!(2)));
    world.dead_and_visible(5);
    world.mtlog.run(&["dlq", "redrive", "--cancel"]).exits(0).says(&["Nothing to do"]);
}

#[test]
fn a_purge_needs_the_name_of_the_queue() {
    let world = started();
    for index in 0..3 {
        world.letter("acme", "object_gone", &index.to_string());
        world.letter("acme", "throttled", &format!("t{index}"));
    }
    let purge = ["dlq", "purge", "--reason", "object_gone", "-o", "json"];
    let planned = world.mtlog.run(&[&purge[..], &["-n"]].concat()).exits(0).json();
    assert_eq!((&planned["letters"], &planned["done"]), (&json!(3), &json!(false)));
    world.mtlog.run(&[&purge[..], &["-y"]].concat()).exits(7).says(&["--confirm", DEAD]);
    world.mtlog.run(&[&purge[..], &["--confirm", "other"]].concat()).exits(7).says(&["`other`"]);
    world.dead_and_visible(6);
    let done = world.mtlog.run(&[&purge[..], &["--confirm", DEAD]].concat()).exits(0).json();
    assert_eq!((&done["deleted"], &done["failed"]), (&json!(3), &json!(0)));
    world.dead_and_visible(3);

    world.mtlog.run(&["dlq", "purge", "-y"]).exits(7).says(&["deleted for good"]);
    world.dead_and_visible(3);
    world.mtlog.run(&["dlq", "purge", "--confirm", DEAD]).exits(0);
    world.dead_and_visible(0);
    world.letter("acme", "throttled", "late");
    world.mtlog.run(&["dlq", "purge", "--confirm", DEAD]).exits(8).says(&["once a minute"]);
    world.dead_and_visible(1);
}

#[test]
fn a_denied_call_names_the_permission_and_hides_nothing() {
    let world = started();
    world.letter("acme", "throttled", "f");
    let redrive = ["dlq", "redrive", "-y"];
    let purge = ["dlq", "purge", "--confirm", DEAD];
    for (operation, action, arguments) in [
        ("ReceiveMessage", "sqs:ReceiveMessage", &["dlq", "list"][..]),
        ("GetQueueAttributes", "sqs:GetQueueAttributes", &["dlq", "list"]),
        ("ListMessageMoveTasks", "sqs:ListMessageMoveTasks", &redrive),
        ("StartMessageMoveTask", "sqs:StartMessageMoveTask", &redrive),
        ("PurgeQueue", "sqs:PurgeQueue", &purge),
    ] {
        let denied = Fault::on(&format!("sqs:{operation}")).respond(Response::access_denied());
        let fault = world.fake.inject(denied);
        world.mtlog.run(arguments).exits(3).says(&[action]);
        fault.remove();
        world.dead_and_visible(1);
    }
    // What cannot be given back is said, with the time after which it is back.
    let denied = Fault::on("sqs:ChangeMessageVisibilityBatch").respond(Response::access_denied());
    let fault = world.fake.inject(denied);
    world
        .mtlog
        .run(&["dlq", "list"])
        .exits(0)
        .says(&["hidden for up to 120 seconds", "`sqs:ChangeMessageVisibility`"]);
    fault.remove();
    world.fake.advance(Duration::from_secs(120));
    world.dead_and_visible(1);
}

#[test]
fn a_pipeline_without_queues_and_wrong_input_are_explained() {
    let (_fake, mtlog) = deploy::started();
    mtlog.run(&["dlq", "list"]).exits(6).says(&["there is no stack"]);
    mtlog.run(&["deploy", "global", "regional", "-y"]).exits(0);
    mtlog.run(&["dlq", "list"]).exits(6).says(&["has no queue", "--include-sqs"]);
    for (arguments, part) in [
        (&["dlq", "list", "--reason", "denied"][..], "`denied` is no reason of a letter"),
        (&["dlq", "list", "--tenant", "A_B"], "A_B"),
        (&["dlq", "list", "--older-than", "soon"], "it looks like 90s, 15m, 2h or 3d"),
        (&["dlq", "list", "--limit", "0"], "--limit"),
        (&["dlq", "redrive", "--rate", "501"], "501"),
        (&["dlq", "redrive", "--cancel", "--tenant", "a"], "cannot be used with"),
        (&["dlq", "show"], "<ID>"),
    ] {
        mtlog.run(arguments).exits(64).says(&[part]);
    }
}

#[test]
fn variables_name_the_queues_unless_a_stack_is_named() {
    let fake = FakeAws::start_blocking();
    fake.configure_sqs(|sqs| sqs.long_poll_cap = Some(Duration::from_millis(1)));
    let (queue, dead) = fake.create_queue_with_dead_letters(ACCOUNT, REGION, "own", 5, &[]);
    fake.send_message(&dead, &event("acme", "f"));
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("SQS_QUEUE_URL", &queue);
    let listed = mtlog.run(&["dlq", "list", "-o", "json"]).exits(0).json();
    assert_eq!(
        (&listed["queue"], &listed["letters"][0]["tenant"]),
        (&json!("own-dlq"), &json!("acme"))
    );
    mtlog.run(&["dlq", "list", "-e", "production"]).exits(6).says(&["there is no stack"]);
}
