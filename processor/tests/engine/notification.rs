//! Rows 1 to 10: what messages look like.

use std::time::Duration;

use fake_aws::notification;

use crate::world::{BUCKET, World, gzip, lines, messages, records};

const RECENT: Duration = Duration::from_secs(600);

#[test]
fn row_01_every_envelope_delivers_the_same() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 20, RECENT);
    let mut expected = Vec::new();
    for name in ["sns", "raw", "bridge", "continued"] {
        let key = World::key(&tenant, name);
        world.fake.put_object_quietly(BUCKET, &key, &[], gzip(&lines(&records)));
        let event = world.fake.s3_event(BUCKET, &key);
        let body = match name {
            "sns" => notification::in_sns("arn:aws:sns:us-east-2:111111111111:logs", "id", 0, &event.body()),
            "raw" => event.body(),
            "bridge" => event.eventbridge(),
            _ => event.body().replacen('{', r#"{"processing_metadata":{"offset":0,"retry_count":1},"#, 1),
        };
        world.fake.send_message(&world.queue, &body);
        expected.extend(messages(&records));
    }
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    let mut delivered = world.delivered(&tenant);
    delivered.sort();
    expected.sort();
    assert_eq!(delivered, expected);
    world.assert_queues(0);
}
