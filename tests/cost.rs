//! `mtlog cost`, run as a process: what was counted times what it costs.

use jiff::{SignedDuration, Timestamp};

use crate::{
    status::{FUNCTION, collect_paths, operated},
    support::{ACCOUNT, Mtlog, REGION},
};

#[test]
fn the_last_days_are_added_up() {
    let (fake, mtlog) = operated();
    let put = |namespace: &str, name: &str, of: (&str, &str), value: f64| {
        // Ten values, one a day; the eleventh is too old.
        let now = Timestamp::now();
        let mut values: Vec<(Timestamp, f64)> =
            (0..10).map(|day| (now - SignedDuration::from_hours(24 * day), value)).collect();
        values.push((now - SignedDuration::from_hours(24 * 40), 1e12));
        fake.put_metric(ACCOUNT, REGION, namespace, name, &[of], &values);
    };
    let queue = ("QueueName", "multi-tenant-logging-development-log-delivery-queue");
    put("AWS/SQS", "NumberOfMessagesSent", queue, 1_000_000.0);
    put("AWS/SQS", "NumberOfMessagesDeleted", queue, 1_000_000.0);
    put("AWS/Lambda", "Invocations", ("FunctionName", FUNCTION), 1_000_000.0);
    put("mtlog", "bytes_sent", ("FunctionName", FUNCTION), 1_073_741_824.0);
    let report = mtlog.run(&["cost", "-o", "json"]).exits(0).json();
    assert_eq!(report["usage"]["objects"], 10_000_000.0);
    let line = |what: &str| {
        let lines = report["bill"]["lines"].as_array().unwrap();
        let line = lines.iter().find(|line| line["what"] == what);
        line.unwrap_or_else(|| panic!("no {what}"))["cost"].as_f64().unwrap()
    };
    assert!((line("queue") - 8.0).abs() < 1e-9);
    assert!((line("topic") - 5.0).abs() < 1e-9);
    assert!((line("function, runs") - 2.0).abs() < 1e-9);
    assert!((report["bill"]["customers"].as_f64().unwrap() - 5.0).abs() < 1e-9);
    let text = mtlog.run(&["cost"]).exits(0).says(&["The prices are those of us-east-1"]).stdout;
    for part in [
        "30 days of development in us-east-2",
        "queue ",
        "8.00",
        "What would save",
        "Customers pay about 5.00",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(fake.writes(), []);
    let mut paths = Vec::new();
    collect_paths("", &report, &mut paths);
    insta::assert_snapshot!("cost_json", paths.join("\n"));
}

#[test]
fn prices_are_read_from_a_file_and_checked() {
    let (_fake, mtlog) = operated();
    let prices = mtlog.run(&["cost", "--print-prices"]).exits(0).stdout;
    mtlog.write("prices.json", &prices.replace("us-east-1", REGION));
    let ran = mtlog.run(&["cost", "--prices", "prices.json"]).exits(0);
    assert!(!ran.stderr.contains("The prices are those"), "{}", ran.stderr);
    mtlog.write("bad.json", &prices.replace("\"currency\"", "\"currencies\""));
    mtlog.run(&["cost", "--prices", "bad.json"]).exits(64).says(&[
        "failed to understand `bad.json`",
        "currencies",
        "--print-prices",
    ]);
    mtlog.run(&["cost", "--prices", "gone.json"]).exits(64).says(&["failed to read `gone.json`"]);
    mtlog.write("old.json", &prices.replace("\"schema\": 1", "\"schema\": 9"));
    mtlog.run(&["cost", "--prices", "old.json"]).exits(64).says(&["schema 9"]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mtlog = Mtlog::offline();
    mtlog.run(&["cost", "--days", "0"]).exits(64);
    mtlog.run(&["cost", "--print-prices", "--prices", "x"]).exits(64);
    let (_fake, mtlog) = crate::deploy::started();
    mtlog.run(&["cost"]).exits(6).says(&["there is no stack"]);
}
