//! Ten thousand small objects of 200 tenants: the common case.

use fake_aws::KeepEvents;

use crate::{
    new_world,
    objects::{Format, object},
    table::Table,
    world::{BUCKET, World},
};

const OBJECTS: usize = 10_000;
const TENANTS: usize = 200;
/// Before compression; about 20 kB as stored.
const OBJECT: usize = 520_000;

pub(crate) fn judge(table: &mut Table) {
    let world = new_world(TENANTS, KeepEvents::Counts);
    let today = world.fake.now().to_string();
    let day = today.split('T').next().unwrap();
    let object = object(Format::Array, OBJECT, day);
    for number in 0..OBJECTS {
        let key = World::key(number % TENANTS, number);
        world.fake.put_object(BUCKET, &key, object.compressed.clone());
    }
    let (time, usage) = world.drain(&[]);
    let calls = |pattern: &str| world.fake.calls(pattern) as f64;
    let of =
        format!("{OBJECTS} objects of {} kB, {TENANTS} tenants", object.compressed.len() / 1000);
    let totals = world.fake.ledger_totals();
    let (events, _) = crate::stages::count(&object);
    assert_eq!(totals.events + totals.rejected_events, events * OBJECTS as u64, "events were lost");
    table.told(
        format!("{of}: objects a second, the stand-in on the same cores"),
        format!("{:.0}", OBJECTS as f64 / time.as_secs_f64()),
    );
    let each = usage.processor.as_secs_f64() / OBJECTS as f64;
    table.told(format!("{of}: processor time of an object, ms"), format!("{:.2}", each * 1000.0));
    table.at_most(format!("{of}: AssumeRole"), calls("sts:AssumeRole"), 2.0 * TENANTS as f64 + 1.0);
    table.at_most(
        format!("{of}: other calls to STS"),
        calls("sts:*") - calls("sts:AssumeRole"),
        1.0,
    );
    // Items are kept for a minute.
    let minutes = (time.as_secs() / 60 + 1) as f64;
    table.at_most(
        format!("{of}: calls to DynamoDB"),
        calls("dynamodb:*"),
        TENANTS as f64 * minutes,
    );
    table.at_most(format!("{of}: Describe calls"), calls("logs:Describe*"), 0.0);
    table.at_most(format!("{of}: peak memory in MiB"), usage.peak_mebibytes, 64.0);
}
