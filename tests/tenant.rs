//! `mtlog tenant`, run as a process against a strict stand-in for DynamoDB.

use fake_aws::FakeAws;
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Mtlog, REGION};

const TABLE: &str = "tenants";
const ROLE: &str = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
const GROUP: &str = "/ROSA/cluster-logs/acme";

fn started() -> (FakeAws, Mtlog) {
    let fake = FakeAws::start_blocking();
    fake.create_table(ACCOUNT, REGION, TABLE, "tenant_id", "type");
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("TENANT_CONFIG_TABLE", TABLE);
    (fake, mtlog)
}

fn add<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let usual = [
        "tenant",
        "add",
        "acme",
        "--role-arn",
        ROLE,
        "--log-group",
        GROUP,
        "--target-region",
        REGION,
        "-y",
    ];
    [&usual[..], more].concat()
}

fn items(fake: &FakeAws) -> Vec<Value> {
    fake.items(ACCOUNT, REGION, TABLE)
}

#[test]
fn a_tenant_is_written_once_and_never_over_another() {
    let (fake, mtlog) = started();
    let added = add(&[
        "--application",
        "kube-apiserver",
        "--application",
        "API",
        "--retention-days",
        "30",
        "-o",
        "json",
    ]);
    mtlog.run(&added).exits(0);
    let written = items(&fake);
    assert_eq!(written.len(), 1);
    let item = &written[0];
    assert_eq!(item["enabled"], json!({"BOOL": true}));
    assert_eq!(item["desired_logs"], json!({"L": [{"S": "kube-apiserver"}, {"S": "API"}]}));
    assert_eq!(item["log_retention_days"], json!({"N": "30"}));
    assert!(item.get("external_id").is_none());
    mtlog.run(&add(&["--application", "other"])).exits(8).says(&["`cloudwatch` delivery already"]);
    assert_eq!(items(&fake), written);
    mtlog
        .run(&[
            "tenant",
            "add",
            "acme",
            "--type",
            "s3",
            "--bucket-name",
            "acme-logs",
            "--target-region",
            REGION,
            "-y",
        ])
        .exits(0);
    assert_eq!(items(&fake).len(), 2);
}

#[test]
fn every_field_that_is_wrong_is_named_at_once_and_nothing_is_written() {
    let (fake, mtlog) = started();
    let wrong = [
        "tenant",
        "add",
        "Acme_1",
        "--role-arn",
        "arn:aws:iam::2:role/x",
        "--log-group",
        "a b",
        "--target-region",
        "nowhere",
        "--retention-days",
        "31",
        "-y",
    ];
    mtlog.run(&wrong).exits(64).says(&[
        "`Acme_1`",
        "--role-arn: `arn:aws:iam::2:role/x`",
        "--log-group: `a b`",
        "--target-region: `nowhere`",
        "31",
    ]);
    mtlog.run(&["tenant", "add", "acme", "-y"]).exits(64).says(&[
        "--role-arn",
        "--log-group",
        "--target-region",
    ]);
    let other = "arn:aws:iam::222222222222:role/SomeRole";
    mtlog
        .run(&[
            "tenant",
            "add",
            "acme",
            "--role-arn",
            other,
            "--log-group",
            GROUP,
            "--target-region",
            REGION,
            "-y",
        ])
        .exits(64)
        .says(&["CustomerLogDistribution-"]);
    assert_eq!(fake.write_count(), 0);
}

#[test]
fn a_log_group_outside_the_customers_permissions_is_warned_of() {
    let (fake, mtlog) = started();
    mtlog
        .run(&[
            "tenant",
            "add",
            "acme",
            "--role-arn",
            ROLE,
            "--log-group",
            "/other",
            "--target-region",
            REGION,
            "-y",
        ])
        .exits(0)
        .says(&["warning:", "/ROSA/cluster-logs/"]);
    assert_eq!(items(&fake).len(), 1);
}

#[test]
fn an_external_id_of_its_own_is_shown_once_and_never_again() {
    let (fake, mtlog) = started();
    let added = mtlog.run(&add(&["--generate-external-id", "-o", "json"])).exits(0);
    let id = added.json()["external_id"].as_str().expect("an id").to_owned();
    assert!(id.len() >= 22, "at least 128 bits: {id}");
    assert_eq!(items(&fake)[0]["external_id"], json!({"S": id}));
    assert!(!added.stderr.contains(&id));
    for command in ["list", "show"] {
        let arguments: Vec<&str> =
            ["tenant", command].into_iter().chain((command == "show").then_some("acme")).collect();
        for format in ["json", "table"] {
            let shown = mtlog.run(&[&arguments[..], &["-o", format]].concat()).exits(0);
            assert!(!shown.stdout.contains(&id) && !shown.stderr.contains(&id), "{}", shown.stdout);
        }
    }
}

#[test]
fn items_that_cannot_be_used_are_listed_and_explained() {
    let (fake, mtlog) = started();
    mtlog.run(&add(&[])).exits(0);
    for item in [
        json!({"tenant_id": {"S": "broken"}, "type": {"S": "cloudwatch"}, "enabled": {"S": "yes"}}),
        json!({"tenant_id": {"S": "Bad Id"}, "type": {"S": "carrier-pigeon"}}),
        json!({"tenant_id": {"S": "odd"}, "type": {"S": "s3"}, "bucket_name": {"M": {}}}),
    ] {
        fake.put_item(ACCOUNT, REGION, TABLE, &item);
    }
    let listed =
        mtlog.run(&["tenant", "list", "-o", "json"]).exits(0).says(&["broken", "cannot be used"]);
    let report = listed.json();
    let rows = report["deliveries"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    let row = |tenant: &str| {
        rows.iter().find(|row| row["tenant_id"] == tenant).unwrap_or_else(|| panic!("no {tenant}"))
    };
    assert_eq!(row("acme")["problems"], json!([]));
    for tenant in ["broken", "Bad Id", "odd"] {
        assert!(!row(tenant)["problems"].as_array().expect("problems").is_empty(), "{tenant}");
    }
    mtlog.run(&["tenant", "show", "broken"]).exits(0);
    mtlog
        .run(&["tenant", "show", "nobody"])
        .exits(6)
        .says(&["tenant `nobody`", "mtlog tenant list"]);
}

#[test]
fn a_tenant_is_removed_only_by_its_typed_name() {
    let (fake, mtlog) = started();
    mtlog.run(&add(&[])).exits(0);
    mtlog.run(&["tenant", "remove", "acme", "-y"]).exits(7).says(&["--confirm acme"]);
    mtlog.run(&["tenant", "remove", "acme", "--confirm", "other"]).exits(7);
    assert_eq!(items(&fake).len(), 1);
    mtlog.run(&["tenant", "remove", "acme", "--confirm", "acme"]).exits(0);
    assert_eq!(items(&fake).len(), 0);
    mtlog.run(&["tenant", "remove", "acme", "--confirm", "acme"]).exits(6);
}

#[test]
fn a_delivery_is_switched_off_and_on() {
    let (fake, mtlog) = started();
    mtlog.run(&add(&[])).exits(0);
    let before = items(&fake);
    mtlog.run(&["tenant", "disable", "acme", "-y"]).exits(0);
    assert_eq!(items(&fake)[0]["enabled"], json!({"BOOL": false}));
    mtlog.run(&["tenant", "enable", "acme", "-y"]).exits(0);
    let after = items(&fake);
    assert_eq!(after[0]["enabled"], json!({"BOOL": true}));
    for name in ["log_group_name", "log_distribution_role_arn", "created_at", "target_region"] {
        assert_eq!(after[0][name], before[0][name], "{name} is untouched");
    }
}

#[test]
fn the_wrong_table_is_recognised_and_left_alone() {
    let (fake, mut mtlog) = started();
    fake.create_table(ACCOUNT, REGION, "of-the-predecessor", "tenant_id", "");
    fake.create_table(ACCOUNT, REGION, "of-somebody", "id", "time");
    for (table, part) in [
        ("of-the-predecessor", "system that mtlog replaces"),
        ("of-somebody", "a tenant table has tenant_id and type"),
        ("absent", "there is no table `absent`"),
    ] {
        mtlog.set("TENANT_CONFIG_TABLE", table);
        mtlog.run(&["tenant", "list"]).exits(6).says(&[part]);
        mtlog.run(&add(&[])).exits(6).says(&[part]);
    }
    mtlog.set("TENANT_CONFIG_TABLE", "");
    mtlog.run(&["tenant", "list"]).exits(6).says(&["multi-tenant-logging-development", "--table"]);
    assert_eq!(fake.write_count(), 0);
}
