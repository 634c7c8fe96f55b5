//! What is said about a command line, or a setting, that cannot be understood or leads nowhere.

use std::net::TcpListener;

use fake_aws::FakeAws;

use crate::support::{ACCOUNT, Mtlog};

#[test]
fn usage_errors_end_with_64_and_a_suggestion() {
    let mtlog = Mtlog::offline();
    for (line, part) in [
        (&["deply"][..], "'deploy'"),
        (&["deploy", "global", "--dry-rnu"], "'--dry-run'"),
        (&["deploy"], "<TARGET>"),
        (&["deploy", "regionl"], "it is global, regional, customer"),
        (&["deploy", "regional", "--include-sqs", "--without-sqs"], "cannot be used with"),
        (&["deploy", "global", "--include-sqs"], "has no meaning for global"),
        (&["deploy", "global", "-r", "useast1"], "it looks like us-east-2"),
        (&["deploy", "global"], "give --region or set AWS_REGION"),
        (&["process"], "give --mode"),
        (&["process", "--mode", "manual", "--until-empty"], "--until-empty"),
    ] {
        mtlog.run(line).exits(64).says(&[part]);
    }
}

#[test]
fn all_bad_settings_are_reported_at_once_with_their_sources() {
    let mut mtlog = Mtlog::offline();
    mtlog.set("AWS_REGION", "nowhere");
    mtlog.set("ECR_IMAGE_URI", "busybox");
    mtlog.write(".env", "# comment\nENVIRONMENT=prod\n");
    mtlog
        .run(&["deploy", "regional", "--central-role-arn", "arn:aws:iam::1:role/x", "--param", "x"])
        .exits(64)
        .says(&[
            "5 settings are wrong or missing",
            "environment variable AWS_REGION: `nowhere`",
            "environment variable ECR_IMAGE_URI: `busybox`",
            "ENVIRONMENT in .env, line 2: `prod`",
            "--central-role-arn: `arn:aws:iam::1:role/x`",
            "--param: `x`",
        ]);
}

#[test]
fn settings_that_nobody_typed_are_no_usage_error() {
    let mut mtlog = Mtlog::offline();
    mtlog.set("AWS_REGION", "nowhere");
    mtlog.run(&["deploy", "global"]).exits(6).says(&["environment variable AWS_REGION"]);
}

#[test]
fn a_dotenv_file_is_read_and_never_run() {
    let mtlog = Mtlog::offline();
    mtlog.write(".env", "PROJECT_NAME=$(touch ran)\n");
    mtlog.run(&["config", "show"]).exits(0);
    let shown = mtlog.run(&["config", "show"]).exits(0);
    assert!(shown.stdout.contains("$(touch ran)"), "{}", shown.stdout);
    mtlog.write(".env", "nonsense\n");
    mtlog.run(&["config", "show"]).exits(64).says(&[".env", "line 1 has no `=`"]);
    mtlog
        .run(&["config", "show", "--env-file", "absent"])
        .exits(64)
        .says(&["failed to read `absent`"]);
}

#[test]
fn settings_are_shown_with_their_sources_and_without_secrets() {
    let mut mtlog = Mtlog::offline();
    mtlog.set("AWS_REGION", "eu-west-1");
    mtlog.set("AWS_SECRET_ACCESS_KEY", "hunter2");
    mtlog.write(".env", "AWS_REGION=us-east-1\nPROJECT_NAME=demo\nPROJEKT=x\n");
    let shown = mtlog.run(&["config", "show", "--output", "json"]).exits(0).says(&["PROJEKT"]);
    assert!(!shown.stdout.contains("hunter2"));
    let settings = shown.json();
    let row = |name: &str| {
        let rows = settings["settings"].as_array().expect("rows");
        let row =
            rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        (
            row["value"].as_str().map(str::to_owned),
            row["source"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(
        row("AWS_REGION"),
        (Some("eu-west-1".to_owned()), "environment variable AWS_REGION".to_owned())
    );
    assert_eq!(
        row("PROJECT_NAME"),
        (Some("demo".to_owned()), "PROJECT_NAME in .env, line 2".to_owned())
    );
    assert_eq!(row("AWS_SECRET_ACCESS_KEY").0.as_deref(), Some("***"));
    assert_eq!(row("ENVIRONMENT"), (Some("development".to_owned()), "default".to_owned()));
    assert_eq!(row("AWS_PROFILE"), (None, "not set".to_owned()));
}

#[test]
fn the_committed_sample_of_settings_is_current() {
    let sample = Mtlog::offline().run(&["config", "sample"]).exits(0).stdout;
    let committed = include_str!("../.env.sample");
    assert_eq!(sample, committed, "run `mtlog config sample > .env.sample`");
}

#[test]
fn another_account_than_the_one_demanded_is_left_alone() {
    let fake = FakeAws::start_blocking();
    let mut mtlog = Mtlog::with(&fake);
    mtlog.write(".env", "AWS_ACCOUNT_ID=999999999999\n");
    for arguments in [
        &["deploy", "global", "-y"][..],
        &["destroy", "global", "--confirm", "multi-tenant-logging-global"],
        &["plan", "global"],
    ] {
        mtlog.run(arguments).exits(6).says(&[
            "this is account 111111111111",
            "AWS_ACCOUNT_ID in .env, line 1 demands account 999999999999",
        ]);
    }
    assert_eq!(fake.calls("*"), fake.calls("sts:GetCallerIdentity"), "{:?}", fake.journal());
    mtlog.set("AWS_ACCOUNT_ID", ACCOUNT);
    mtlog.run(&["deploy", "global", "--account", "12"]).exits(64).says(&["--account: `12`"]);
}

#[test]
fn missing_credentials_end_with_3_and_a_way_out() {
    let fake = FakeAws::start_blocking();
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("AWS_ACCESS_KEY_ID", "");
    mtlog.set("AWS_SECRET_ACCESS_KEY", "");
    mtlog
        .run(&["deploy", "global", "-y"])
        .exits(3)
        .says(&["no usable AWS credentials", "aws sso login"]);
}

#[test]
fn nothing_that_says_nothing_stands_before_the_cause() {
    const SSO: &str = "[profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = Admin\n\
                       [sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-2\n";
    // Its name is the hash of the session's name.
    const TOKEN: &str = ".aws/sso/cache/a0f1490a20d0211c997b44bc357e1972deab8ae3.json";
    let mut mtlog = Mtlog::offline();
    mtlog.set("AWS_REGION", "us-east-2");
    mtlog.write_in(".aws/config", SSO);
    let expired = r#"{"startUrl": "https://example.awsapps.com/start", "region": "us-east-2",
                      "accessToken": "x", "expiresAt": "2020-01-01T00:00:00Z"}"#;
    mtlog.write_in(TOKEN, expired);
    for line in [&["status"][..], &["deploy", "regional", "-y"], &["process", "--mode", "sqs"]] {
        for (profile, parts) in [
            (
                None,
                &["no usable AWS credentials", "  Environment: environment variable not set"][..],
            ),
            (Some("nope"), &["profile `nope` was not defined"]),
            (Some("sso"), &["the SSO token has expired", "next: aws sso login --profile sso"]),
        ] {
            let chosen: Vec<&str> = profile.iter().flat_map(|name| ["--profile", name]).collect();
            let ran = mtlog.run(&[line, &chosen].concat()).exits(3).says(parts);
            for noise in ["dispatch failure", "cause: other", "was not enabled", "while loading"] {
                assert!(!ran.stderr.contains(noise), "{noise} in\n{}", ran.stderr);
            }
        }
    }
    // The engine says it on one line.
    for (name, value) in [
        ("SQS_QUEUE_URL", "https://sqs.us-east-2.amazonaws.com/111111111111/q"),
        ("TENANT_CONFIG_TABLE", "t"),
        ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", "arn:aws:iam::111111111111:role/x"),
    ] {
        mtlog.set(name, value);
    }
    let ran = mtlog.run(&["process", "--mode", "sqs", "--until-empty"]).exits(3);
    ran.says(&[
        "GetQueueAttributes failed: no credentials found in chain. Attempted: Environment: ",
    ]);
}

#[test]
fn a_demanded_profile_beats_the_keys_in_the_environment() {
    let fake = FakeAws::start_blocking();
    let mut mtlog = Mtlog::with(&fake);
    let keys = fake.root_credentials("222222222222").environment();
    let key = |wanted: &str| {
        keys.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone()).unwrap()
    };
    mtlog.write(
        "credentials",
        &format!(
            "[other]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            key("AWS_ACCESS_KEY_ID"),
            key("AWS_SECRET_ACCESS_KEY")
        ),
    );
    mtlog.set("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let guard = ["plan", "global", "--account", "999999999999"];
    mtlog.run(&guard).exits(6).says(&["this is account 111111111111"]);
    mtlog
        .run(&[&guard[..], &["--profile", "other"]].concat())
        .exits(6)
        .says(&["this is account 222222222222"]);
}

#[test]
fn an_endpoint_where_nobody_listens_is_told() {
    let mut mtlog = Mtlog::with(&FakeAws::start_blocking());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    mtlog.set("AWS_ENDPOINT_URL", &format!("http://{closed}"));
    mtlog.run(&["tenant", "list"]).exits(1).says(&[
        "the call `sts:GetCallerIdentity` failed",
        "Connection refused",
        "check the network",
        &format!("every call goes to http://{closed}"),
    ]);
}

#[test]
fn help_and_version_are_data() {
    let mtlog = Mtlog::offline();
    for arguments in
        [&["--version"][..], &["--help"], &["deploy", "--help"], &["process", "--help"]]
    {
        let ran = mtlog.run(arguments).exits(0);
        assert!(ran.stdout.contains("mtlog"), "{}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
}
