//! Rows 41 to 50: roles and the tenant table.

use std::{collections::BTreeSet, time::Duration};

use fake_aws::{Fault, Response};
use serde_json::json;

use crate::world::{
    BUCKET, CENTRAL, CENTRAL_ROLE, REGION, TABLE, Tenant, World, gzip, lines, messages, records,
    trust_role,
};

const RECENT: Duration = Duration::from_secs(600);

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

fn objects(world: &World, tenant: &Tenant, count: usize) -> usize {
    let records = records(&world.fake, 5, RECENT);
    (0..count)
        .for_each(|number| world.put_lines(&World::key(tenant, &number.to_string()), &records));
    count * 5
}

#[test]
fn row_41_many_objects_of_one_tenant_assume_each_role_once() {
    let (world, tenant) = world();
    let expected = objects(&world, &tenant, 200);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
    assert_eq!(world.fake.calls("sts:AssumeRole"), 2);
    assert_eq!(world.fake.calls("dynamodb:Query"), 1);
}

#[test]
fn row_41_a_throttled_assume_role_is_waited_out() {
    let (world, tenant) = world();
    let expected = objects(&world, &tenant, 3);
    world.fake.inject(Fault::on("sts:AssumeRole").times(2).respond(Response::throttling()));
    world.drain_hurried().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
}

#[test]
fn row_42_a_role_that_refuses_us_parks_its_messages_and_is_not_asked_for_each() {
    let (world, tenant) = world();
    let expected = objects(&world, &tenant, 30);
    world.fake.set_trust_policy(&tenant.role, &trust_role(CENTRAL_ROLE, Some("another-id")));
    let run = world.drain();
    run.assert_code(75);
    assert!(run.objects().iter().all(|line| line["outcome"] == "role_denied"));
    assert_eq!(world.fake.queue_depth(&world.queue).in_flight, 30);
    assert!(world.dead().is_empty());
    assert!(world.fake.calls("sts:AssumeRole") <= 3, "{}", world.fake.calls("sts:AssumeRole"));

    world.fake.set_trust_policy(&tenant.role, &trust_role(CENTRAL_ROLE, Some(CENTRAL)));
    world.fake.expire_visibility(&world.queue);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
    world.assert_queues(0);
}

#[test]
fn row_42_a_tenants_own_external_id_is_sent_and_never_shown() {
    let (world, tenant) = world();
    let secret = "tenant-secret-0b1e";
    world.fake.set_trust_policy(&tenant.role, &trust_role(CENTRAL_ROLE, Some(secret)));
    let mut item = tenant.item();
    item["external_id"] = json!({"S": secret});
    world.put_item(&item);
    let expected = objects(&world, &tenant, 1);
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
    assert!(!run.stderr.contains(secret));
}

#[test]
fn row_43_credentials_that_expire_early_are_renewed_once() {
    let (mut world, tenant) = world();
    world.set("MAX_BATCH_SIZE", "10");
    let records = records(&world.fake, 100, RECENT);
    world.put_lines(&World::key(&tenant, "x"), &records);
    world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
    let rule = world
        .fake
        .inject(Fault::on("logs:PutLogEvents").skip(5).times(1).respond(Response::expired_token()));
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(rule.hits(), 1);
    let mut delivered = world.delivered(&tenant);
    delivered.sort();
    let mut expected = messages(&records);
    expected.sort();
    assert_eq!(delivered, expected, "no accepted batch is sent again");
    assert_eq!(world.fake.calls("sts:AssumeRole"), 3);
}

#[test]
fn row_44_an_expired_central_session_is_renewed_for_the_next_hop() {
    let (world, tenant) = world();
    let one = objects(&world, &tenant, 1);
    let process = world.start(&["--mode", "sqs"]);
    world.until("the first delivery", |world| world.delivered(&tenant).len() == one);
    world.fake.expire_sessions(CENTRAL_ROLE);
    world.fake.expire_sessions(&tenant.role);
    world.put_lines(&World::key(&tenant, "later"), &records(&world.fake, 5, RECENT));
    world.until("the second delivery", |world| world.delivered(&tenant).len() == one + 5);
    world.until("an empty queue", |world| world.fake.queue_depth(&world.queue).total() == 0);
    process.signal("TERM");
    process.wait().assert_code(0);
}

#[test]
fn row_45_a_region_that_is_not_active_parks_the_message() {
    let (world, tenant) = world();
    objects(&world, &tenant, 1);
    let disabled = Response::error(403, "RegionDisabledException", "not activated");
    world.fake.inject(Fault::on("sts:AssumeRole").role(&tenant.role).respond(disabled));
    let run = world.drain();
    run.assert_code(75);
    assert_eq!(run.objects()[0]["outcome"], "region_disabled");
}

#[test]
fn row_45_a_region_that_is_none_is_the_items_fault() {
    for region in [Some("us east"), None] {
        let (world, tenant) = world();
        let mut item = tenant.item();
        match region {
            Some(region) => item["target_region"] = json!({"S": region}),
            None => drop(item.as_object_mut().unwrap().remove("target_region")),
        }
        world.put_item(&item);
        objects(&world, &tenant, 1);
        let run = world.drain();
        run.assert_code(75);
        assert_eq!(run.objects()[0]["outcome"], "invalid_tenant_item");
        assert!(run.objects()[0]["detail"].as_str().unwrap().contains("target_region"));
    }
}

#[test]
fn row_46_session_names_are_legal_and_name_the_tenant() {
    let world = World::new();
    let long = "a".repeat(63);
    let tenant = world.tenant(&long, "222222222222");
    let expected = objects(&world, &tenant, 1);
    world.drain().assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), expected);
    let names: Vec<String> =
        world.fake.journal_of("sts:AssumeRole").into_iter().map(|call| call.facts.key).collect();
    assert!(names.iter().all(|name| name.len() <= 64 && name.starts_with("mtlog-")), "{names:?}");
    assert!(names.iter().any(|name| name.contains(&long[..40])), "{names:?}");
}

#[test]
fn row_47_roles_are_assumed_per_tenant_and_not_per_object() {
    const TENANTS: usize = 200;
    let world = World::new();
    let tenants: Vec<Tenant> = (0..TENANTS)
        .map(|number| world.tenant(&format!("tenant-{number}"), &format!("3{number:011}")))
        .collect();
    let records = records(&world.fake, 2, RECENT);
    for round in 0..3 {
        for tenant in &tenants {
            world.put_lines(&World::key(tenant, &round.to_string()), &records);
        }
    }
    world.drain().assert_code(0).assert_balanced();
    assert!(tenants.iter().all(|tenant| world.delivered(tenant).len() == 6));
    assert_eq!(world.fake.calls("sts:AssumeRole"), TENANTS as u64 + 1);
}

#[test]
fn row_48_an_unknown_tenant_is_parked_and_delivered_once_onboarded() {
    let world = World::new();
    let records = records(&world.fake, 5, RECENT);
    let key = "cluster-1/late/api/api-0/x.json.gz";
    world.put_lines(key, &records);
    let run = world.drain();
    run.assert_code(75);
    assert_eq!(run.objects()[0]["outcome"], "unknown_tenant");
    assert!(world.dead().is_empty());

    let tenant = world.tenant("late", "222222222222");
    world.fake.expire_visibility(&world.queue);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    world.assert_queues(0);
}

#[test]
fn row_48_a_parked_message_becomes_a_dead_letter_before_the_queue_drops_it() {
    let world = World::new();
    world.put_lines("cluster-1/never/api/api-0/x.json.gz", &records(&world.fake, 5, RECENT));
    for _ in 0..4 {
        world.drain();
        world.fake.expire_visibility(&world.queue);
    }
    let letter = world.only_letter();
    assert_eq!((letter["reason"].as_str(), letter["tenant"].as_str()), ("unknown_tenant", "never"));
    // Sent back after the tenant was onboarded, the letter is a message like any other.
    let tenant = world.tenant("never", "222222222222");
    world.fake.send_message(&world.queue, &world.dead()[0].body);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), 5);
}

#[test]
fn row_49_a_throttled_table_is_waited_out() {
    let (world, tenant) = world();
    let expected = objects(&world, &tenant, 1);
    let throttled = Response::error(400, "ProvisionedThroughputExceededException", "slow");
    world.fake.inject(Fault::on("dynamodb:Query").times(2).respond(throttled));
    world.drain_hurried().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
}

#[test]
fn row_49_every_page_is_read_and_a_bad_item_disables_no_other() {
    let (world, tenant) = world();
    world.fake.configure_dynamodb(|table| table.page_items = Some(1));
    world.put_item(
        &json!({"tenant_id": {"S": "acme"}, "type": {"S": "s3"}, "enabled": {"BOOL": false}}),
    );
    world.put_item(
        &json!({"tenant_id": {"S": "acme"}, "type": {"S": "a-first"}, "enabled": {"BOOL": false}}),
    );
    let expected = objects(&world, &tenant, 1);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
    assert!(world.fake.calls("dynamodb:Query") >= 3);

    // Switched on and broken: the other destination still gets everything, and the message waits for the repair.
    world.put_item(
        &json!({"tenant_id": {"S": "acme"}, "type": {"S": "s3"}, "enabled": {"BOOL": true}}),
    );
    world.put_lines(&World::key(&tenant, "second"), &records(&world.fake, 5, RECENT));
    world.drain().assert_code(75);
    assert_eq!(world.delivered(&tenant).len(), expected + 5);
}

#[test]
fn row_49_desired_logs_are_names_without_case() {
    for (desired, wanted) in [
        (json!({"L": [{"S": "API"}]}), true),
        (json!({"SS": ["api", "other"]}), true),
        (json!({"L": []}), true),
        (json!({"L": [{"S": "ap"}]}), false),
    ] {
        let (world, tenant) = world();
        let mut item = tenant.item();
        item["desired_logs"] = desired;
        world.put_item(&item);
        let count = objects(&world, &tenant, 1);
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(world.delivered(&tenant).len(), if wanted { count } else { 0 });
        assert_eq!(
            world.fake.calls("s3:GetObject"),
            u64::from(wanted),
            "what is not wanted is not read"
        );
        world.assert_queues(0);
    }
}

#[test]
fn row_49_a_delivery_that_is_off_is_acknowledged() {
    let (world, tenant) = world();
    let mut item = tenant.item();
    item["enabled"] = json!({"BOOL": false});
    world.put_item(&item);
    objects(&world, &tenant, 1);
    let run = world.drain();
    run.assert_code(0);
    assert_eq!(run.objects()[0]["outcome"], "delivery_disabled");
    world.assert_queues(0);
}

#[test]
fn row_50_a_role_that_was_replaced_is_found_after_a_refusal() {
    let (world, tenant) = world();
    let process = world.start(&["--mode", "sqs"]);
    let first = objects(&world, &tenant, 1);
    world.until("the first delivery", |world| world.delivered(&tenant).len() == first);
    // The old role is gone, its sessions too; the item names another.
    let role = format!("arn:aws:iam::{}:role/Another", tenant.account);
    world.fake.add_role(&role, &trust_role(CENTRAL_ROLE, Some(CENTRAL)), &[]);
    let mut item = tenant.item();
    item["log_distribution_role_arn"] = json!({"S": role});
    world.put_item(&item);
    world.fake.remove_role(&tenant.role);
    world.fake.expire_sessions(&tenant.role);
    world.put_lines(&World::key(&tenant, "later"), &records(&world.fake, 5, RECENT));
    world.until("the refusal", |world| {
        let messages = world.fake.queue_messages(&world.queue);
        let now = world.fake.now().as_millisecond();
        messages.iter().any(|message| message.in_flight && message.visible_at - now > 500_000)
            || world.delivered(&tenant).len() > first
    });
    world.fake.expire_visibility(&world.queue);
    world.until("the second delivery", |world| world.delivered(&tenant).len() == first + 5);
    process.signal("TERM");
    process.wait().assert_code(0);
}

#[test]
fn systemic_faults_do_not_use_up_receives() {
    let (world, tenant) = world();
    objects(&world, &tenant, 30);
    world.fake.remove_role(CENTRAL_ROLE);
    let run = world.drain();
    run.assert_code(3);
    let most =
        world.fake.queue_messages(&world.queue).iter().map(|message| message.receive_count).max();
    assert_eq!(most, Some(1));
    assert!(world.dead().is_empty());
    assert_eq!(world.fake.items(CENTRAL, REGION, TABLE).len(), 1);
}

#[test]
fn the_second_destination_is_a_copy_that_does_not_name_the_cluster() {
    let (world, tenant) = world();
    world.fake.create_bucket("222222222222", "eu-west-1", "acme-archive");
    world.fake.set_bucket_policy(
        "acme-archive",
        &json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": CENTRAL_ROLE},
            "Action": ["s3:PutObject", "s3:PutObjectAcl"], "Resource": "arn:aws:s3:::acme-archive/*"}]})
        .to_string(),
    );
    world.put_item(&json!({
        "tenant_id": {"S": "acme"}, "type": {"S": "s3"}, "enabled": {"BOOL": true},
        "target_region": {"S": "eu-west-1"}, "bucket_name": {"S": "acme-archive"}, "bucket_prefix": {"S": "in"},
    }));
    let records = records(&world.fake, 5, RECENT);
    let body = gzip(&lines(&records));
    world.fake.put_object(BUCKET, "cluster-1/acme/api/api-0/x y.json.gz", body.clone());
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    assert_eq!(world.fake.object_keys("acme-archive"), ["in/acme/api/api-0/x y.json.gz"]);
    let copy = world.fake.object("acme-archive", "in/acme/api/api-0/x y.json.gz").unwrap();
    assert_eq!(copy.body.unwrap(), body);
    let said: BTreeSet<String> =
        copy.headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    assert!(said.iter().all(|text| !text.contains("cluster-1")), "{said:?}");
    world.assert_queues(0);
}

#[test]
fn one_destination_that_fails_does_not_hold_up_the_other() {
    let (mut world, tenant) = world();
    world.set("CHECKPOINT", "continuation");
    world.put_item(&json!({
        "tenant_id": {"S": "acme"}, "type": {"S": "s3"}, "enabled": {"BOOL": true},
        "target_region": {"S": "eu-west-1"}, "bucket_name": {"S": "no-such-bucket"},
    }));
    let expected = objects(&world, &tenant, 1);
    let run = world.drain();
    run.assert_code(75);
    assert_eq!(world.delivered(&tenant).len(), expected);
    let outcomes: BTreeSet<String> =
        run.objects().iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        outcomes,
        BTreeSet::from(["delivered".to_owned(), "destination_missing".to_owned()])
    );
    // The bucket appears, the message comes again to another process: only the copy is made.
    world.fake.create_bucket(CENTRAL, "eu-west-1", "no-such-bucket");
    world.fake.advance(Duration::from_secs(1000));
    let again = world.drain();
    again.assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), expected);
    assert_eq!(world.fake.object_keys("no-such-bucket").len(), 1);
}

#[test]
fn an_object_beyond_five_gibibytes_is_copied_in_parts() {
    let (world, _tenant) = world();
    world.fake.create_bucket(CENTRAL, REGION, "large-archive");
    world.put_item(&json!({
        "tenant_id": {"S": "large"}, "type": {"S": "s3"}, "enabled": {"BOOL": true},
        "target_region": {"S": REGION}, "bucket_name": {"S": "large-archive"}, "bucket_prefix": {"S": "in/"},
    }));
    const SIZE: u64 = 5 * 1024 * 1024 * 1024 + 7;
    let key = "cluster-1/large/api/api-0/x.json.gz";
    world.fake.put_sparse_object(BUCKET, key, SIZE);
    world.fake.announce(BUCKET, key, "ObjectCreated:Put");
    world.drain().assert_code(0);
    let copy = world.fake.object("large-archive", "in/large/api/api-0/x.json.gz").unwrap();
    assert_eq!(copy.size, SIZE);
    assert_eq!((world.fake.calls("s3:UploadPartCopy"), world.fake.open_uploads()), (6, 0));
    // By hand the size is not known beforehand.
    let object = format!("s3://{BUCKET}/{key}");
    world.run(&["--mode", "manual", "--object", &object], None).assert_code(0);
    assert_eq!(world.fake.calls("s3:UploadPartCopy"), 12);
}
