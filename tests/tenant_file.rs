//! `mtlog tenant set`, `export` and `import`, against a strict stand-in for DynamoDB.

use std::io::Write as _;
use std::process::Stdio;

use fake_aws::FakeAws;
use mtlog::{
    aws::session::{Keys, Session, SessionSettings},
    onboard::table::{TableError, TenantTable},
};
use mtlog_processor::model::secret::Secret;
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Mtlog, REGION};

const TABLE: &str = "tenants";
const FILE: &str = "\
- tenant_id: acme
  target_region: us-east-2
  log_distribution_role_arn: arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2
  log_group_name: /ROSA/cluster-logs/acme
  desired_logs: [kube-apiserver, audit]
  log_retention_days: 30
- tenant_id: acme
  type: s3
  enabled: false
  target_region: us-east-2
  bucket_name: acme-logs
";

fn started() -> (FakeAws, Mtlog) {
    let fake = FakeAws::start_blocking();
    fake.create_table(ACCOUNT, REGION, TABLE, "tenant_id", "type");
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("TENANT_CONFIG_TABLE", TABLE);
    (fake, mtlog)
}

/// With the deliveries of [`FILE`].
fn filled() -> (FakeAws, Mtlog) {
    let (fake, mtlog) = started();
    mtlog.write("tenants.yaml", FILE);
    mtlog.run(&["tenant", "import", "tenants.yaml", "-y"]).exits(0);
    (fake, mtlog)
}

fn items(fake: &FakeAws) -> Vec<Value> {
    fake.items(ACCOUNT, REGION, TABLE)
}

fn actions(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = report["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["action"]), text(&step["tenant_id"]))).collect()
}

#[test]
fn a_file_is_written_once_and_comes_out_as_it_went_in() {
    let (fake, mtlog) = filled();
    let written = items(&fake);
    assert_eq!(written.len(), 2);
    let acme = written.iter().find(|item| item["type"]["S"] == "cloudwatch").unwrap();
    assert_eq!(acme["enabled"], json!({"BOOL": true}));
    assert_eq!(acme["desired_logs"], json!({"L": [{"S": "kube-apiserver"}, {"S": "audit"}]}));
    assert_eq!(acme["log_retention_days"], json!({"N": "30"}));

    fake.clear_journal();
    let again = mtlog.run(&["tenant", "import", "tenants.yaml", "-y", "-o", "json"]).exits(0);
    assert_eq!(actions(&again.json()), []);
    assert_eq!((fake.write_count(), items(&fake)), (0, written.clone()));

    for (format, name) in [("yaml", "out.yaml"), ("jsonl", "out.jsonl")] {
        let exported = mtlog.run(&["tenant", "export", "--format", format]).exits(0);
        mtlog.write(name, &exported.stdout);
        let other = mtlog.run(&["tenant", "import", name, "--prune", "-n", "-o", "json"]).exits(0);
        assert_eq!(actions(&other.json()), [], "{}", exported.stdout);
    }
}

#[test]
fn a_dry_run_shows_every_change_and_writes_nothing() {
    let (fake, mtlog) = filled();
    mtlog.write(
        "changed.yaml",
        &FILE
            .replace("log_retention_days: 30", "log_retention_days: 90")
            .replace("acme\n  type", "zeta\n  type"),
    );
    fake.clear_journal();
    let planned = mtlog
        .run(&["tenant", "import", "changed.yaml", "--prune", "--dry-run", "-o", "json"])
        .exits(0);
    let pair = |action: &str, tenant: &str| (action.to_owned(), tenant.to_owned());
    assert_eq!(
        actions(&planned.json()),
        [pair("change", "acme"), pair("remove", "acme"), pair("add", "zeta")]
    );
    assert_eq!(
        planned.json()["steps"][0]["changes"],
        json!([{"name": "log_retention_days", "before": "30", "after": "90"}])
    );
    let shown = mtlog.run(&["tenant", "import", "changed.yaml", "--prune", "--dry-run"]).exits(0);
    for line in [
        "change acme cloudwatch",
        "    log_retention_days  30 -> 90",
        "remove acme s3",
        "add zeta s3",
        "    bucket_name    acme-logs",
    ] {
        assert!(shown.stdout.lines().any(|found| found == line), "{line} in\n{}", shown.stdout);
    }
    assert_eq!(fake.write_count(), 0);
}

#[test]
fn a_delivery_that_the_file_does_not_name_goes_only_when_that_is_said_twice() {
    let (fake, mtlog) = filled();
    mtlog.write("one.yaml", FILE.split("- tenant_id: acme\n  type").next().unwrap());
    mtlog.run(&["tenant", "import", "one.yaml", "-y"]).exits(0);
    assert_eq!(items(&fake).len(), 2);
    mtlog
        .run(&["tenant", "import", "one.yaml", "--prune", "-y"])
        .exits(7)
        .says(&["1 deliveries are deleted", "--confirm tenants"]);
    assert_eq!(items(&fake).len(), 2);
    mtlog.run(&["tenant", "import", "one.yaml", "--prune", "--confirm", TABLE]).exits(0);
    assert_eq!(items(&fake).len(), 1);
}

#[test]
fn a_bad_file_is_refused_whole_with_all_that_is_wrong() {
    let (fake, mtlog) = started();
    mtlog.write(
        "bad.yaml",
        &FILE
            .replace("  target_region: us-east-2\n  bucket", "  colour: blue\n  bucket")
            .replace("role/CustomerLogDistribution", "role/Other"),
    );
    fake.clear_journal();
    mtlog.run(&["tenant", "import", "bad.yaml", "-y"]).exits(64).says(&[
        "entry 1 (tenant acme)",
        "Other-us-east-2",
        "entry 2 (tenant acme)",
        "unknown field `colour`",
        "nothing was written",
    ]);
    assert_eq!(fake.write_count(), 0);
    mtlog.run(&["tenant", "import", "absent.yaml", "-y"]).exits(64).says(&["absent.yaml"]);
    mtlog.run(&["tenant", "import"]).exits(64).says(&["FILE"]);
}

#[test]
fn a_file_may_come_from_a_pipe() {
    let (fake, mtlog) = started();
    let mut child =
        mtlog.command(&["tenant", "import", "-", "-y"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(FILE.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(items(&fake).len(), 2);
}

#[test]
fn an_item_that_cannot_be_read_is_left_out_of_a_file_and_mended_by_one() {
    let (fake, mtlog) = filled();
    let broken = json!({
        "tenant_id": {"S": "acme"}, "type": {"S": "cloudwatch"}, "enabled": {"S": "yes"},
        "external_id": {"S": "0123456789abcdef"}, "groups": {"L": []},
    });
    fake.put_item(ACCOUNT, REGION, TABLE, &broken);
    let exported = mtlog.run(&["tenant", "export"]).exits(5).says(&["acme", "left out"]);
    assert!(!exported.stdout.contains("cloudwatch"), "{}", exported.stdout);
    mtlog.run(&["tenant", "import", "tenants.yaml", "-y"]).exits(0);
    let items = items(&fake);
    let mended = items.iter().find(|item| item["type"]["S"] == "cloudwatch").unwrap();
    assert_eq!(mended["enabled"], json!({"BOOL": true}));
    assert_eq!(mended["external_id"], json!({"S": "0123456789abcdef"}), "nobody spoke of it");
    assert_eq!(mended["groups"], json!({"L": []}), "what others wrote stays");
}

#[test]
fn the_tenants_of_the_old_table_are_taken_over() {
    let (fake, mtlog) = started();
    fake.create_table(ACCOUNT, REGION, "old", "tenant_id", "");
    let role = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
    for item in [
        json!({
            "tenant_id": {"S": "acme"}, "log_distribution_role_arn": {"S": role},
            "log_group_name": {"S": "/ROSA/cluster-logs/acme"}, "target_region": {"S": "us-east-2"},
            "desired_logs": {"SS": ["kube-apiserver"]},
        }),
        json!({"tenant_id": {"S": "broken"}, "log_distribution_role_arn": {"S": "arn"}}),
    ] {
        fake.put_item(ACCOUNT, REGION, "old", &item);
    }
    mtlog
        .run(&["tenant", "import", "--from-table", "old", "-y"])
        .exits(0)
        .says(&["Tenant broken is not taken over"]);
    let items = items(&fake);
    assert_eq!(items.len(), 1);
    assert_eq!(
        (&items[0]["type"], &items[0]["enabled"]),
        (&json!({"S": "cloudwatch"}), &json!({"BOOL": true}))
    );
    mtlog
        .run(&["tenant", "import", "--from-table", TABLE, "-y"])
        .exits(6)
        .says(&["tenant_id alone"]);
}

#[test]
fn what_is_set_is_shown_old_and_new_and_the_rest_is_untouched() {
    let (fake, mtlog) = filled();
    let before = items(&fake);
    let set = mtlog
        .run(&["tenant", "set", "acme", "--retention-days", "0", "-a", "audit", "-y", "-o", "json"])
        .exits(0);
    assert_eq!(
        set.json()["changes"],
        json!([
            {"name": "log_retention_days", "before": "30", "after": null},
            {"name": "desired_logs", "before": "[kube-apiserver, audit]", "after": "[audit]"},
        ])
    );
    let after = items(&fake);
    let cloudwatch = |items: &[Value]| {
        items.iter().find(|item| item["type"]["S"] == "cloudwatch").unwrap().clone()
    };
    let (before, after) = (cloudwatch(&before), cloudwatch(&after));
    assert!(after.get("log_retention_days").is_none());
    for name in ["log_group_name", "created_at", "enabled", "target_region"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    fake.clear_journal();
    mtlog.run(&["tenant", "set", "acme", "-a", "audit", "-y"]).exits(0);
    mtlog.run(&["tenant", "set", "acme", "-a", "other", "-n"]).exits(0).says(&["dry run"]);
    assert_eq!(fake.write_count(), 0);
}

#[test]
fn what_cannot_be_set_is_refused_before_any_write() {
    let (fake, mtlog) = filled();
    fake.clear_journal();
    for (arguments, code, part) in [
        (vec!["acme"], 64, "nothing is to be changed"),
        (vec!["acme", "--log-group", "no spaces"], 64, "log_group_name"),
        (vec!["acme", "--retention-days", "8"], 64, "retention"),
        (vec!["acme", "--bucket-name", "acme-logs"], 64, "--bucket-name has no meaning"),
        (
            vec!["acme", "--type", "s3", "--retention-days", "7"],
            64,
            "--retention-days has no meaning",
        ),
        (vec!["nobody", "--all-applications"], 6, "tenant `nobody` has no"),
        (vec!["acme", "--role-arn", "arn:aws:iam::222222222222:role/Other"], 64, "`Other`"),
    ] {
        let arguments = [vec!["tenant", "set"], arguments, vec!["-y"]].concat();
        mtlog.run(&arguments).exits(code).says(&[part]);
    }
    assert_eq!(fake.write_count(), 0);
}

#[test]
fn a_new_external_id_is_shown_once_and_can_be_given_up() {
    let (fake, mtlog) = filled();
    let set = ["tenant", "set", "acme", "--generate-external-id", "-y", "-o", "json"];
    let report = mtlog.run(&set).exits(0).json();
    let id = report["external_id"].as_str().unwrap().to_owned();
    assert_eq!(report["changes"], json!([{"name": "external_id", "before": null, "after": "***"}]));
    let hidden = mtlog.run(&["tenant", "export"]).exits(0);
    assert!(!hidden.stdout.contains(&id));
    assert!(mtlog.run(&["tenant", "export", "--with-external-ids"]).exits(0).stdout.contains(&id));
    mtlog.run(&["tenant", "set", "acme", "--account-external-id", "-y"]).exits(0);
    assert!(items(&fake).iter().all(|item| item.get("external_id").is_none()));
}

#[test]
fn what_somebody_else_changed_meanwhile_is_not_written_over() {
    let (fake, _mtlog) = filled();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let keys = fake.root_credentials(ACCOUNT);
        let settings = SessionSettings {
            region: Some(REGION.parse().unwrap()),
            endpoint: Some(fake.endpoint_url()),
            keys: Some(Keys {
                access_key_id: keys.access_key_id.clone(),
                secret_access_key: Secret::new(keys.secret_access_key.clone()),
                session_token: None,
            }),
            ..SessionSettings::default()
        };
        let client = Session::open(&settings).await.dynamodb();
        let table = TenantTable::open(client, TABLE).await.unwrap();
        let seen = table.entries_of("acme").await.unwrap();
        let set = mtlog_processor::model::tenant::Attributes::from([(
            "log_group_name".to_owned(),
            mtlog_processor::model::tenant::Attribute::String("/ROSA/cluster-logs/b".to_owned()),
        )]);
        let cloudwatch = seen.iter().find(|entry| entry.kind == "cloudwatch").unwrap();
        table.change(cloudwatch, &set, &[]).await.unwrap();
        let written = items(&fake);
        // The same entry as it was read is no longer what the table has.
        assert!(matches!(table.change(cloudwatch, &set, &[]).await, Err(TableError::Moved { .. })));
        assert!(matches!(table.remove_unchanged(cloudwatch).await, Err(TableError::Moved { .. })));
        assert_eq!(items(&fake), written);
        let s3 = seen.iter().find(|entry| entry.kind == "s3").unwrap();
        table.remove_unchanged(s3).await.unwrap();
        assert_eq!(items(&fake).len(), 1);
    });
}
