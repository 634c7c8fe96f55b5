//! Settings from deployed stacks.

use std::collections::BTreeMap;

use fake_aws::FakeAws;

use super::{cluster::Cluster, resource, resources};
use crate::support::{ACCOUNT, Mtlog};

const ISSUER: &str = "oidc.example.com/2abc";
const IMAGE: &str = "111111111111.dkr.ecr.us-east-2.amazonaws.com/collector@sha256:\
                     00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A pipeline in production with one cluster, and its stand-in for AWS.
fn deployed(regional: &[&str]) -> (FakeAws, Mtlog) {
    let fake = FakeAws::start_blocking();
    fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("ENVIRONMENT", "production");
    mtlog.set("TEMPLATE_BUCKET", "templates-of-the-test");
    mtlog.set("PATH", &std::env::var("PATH").unwrap());
    let _deployed = mtlog.run(&["deploy", "global", "--yes"]).exits(0);
    let _deployed = mtlog.run(&[&["deploy", "regional", "--yes"], regional].concat()).exits(0);
    let cluster = ["--cluster-name", "prod-eu", "--oidc-provider", ISSUER, "--yes"];
    let targets: &[&str] =
        if regional.is_empty() { &["deploy", "cluster/vector"] } else { &["deploy", "cluster"] };
    let _deployed = mtlog.run(&[targets, &cluster].concat()).exits(0);
    (fake, mtlog)
}

fn lines(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !name.starts_with('#'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The outputs of a stack, as the command prints them.
fn outputs(mtlog: &Mtlog, arguments: &[&str]) -> BTreeMap<String, String> {
    let report =
        mtlog.run(&[&["outputs"], arguments, &["--format", "json"]].concat()).exits(0).json();
    let outputs = report["stacks"][0]["outputs"].as_object().unwrap().clone();
    outputs.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn every_setting_comes_from_the_stacks() {
    let (_fake, mtlog) = deployed(&["--include-sqs"]);
    let regional = outputs(&mtlog, &["regional"]);
    let vector = outputs(&mtlog, &["cluster/vector", "--cluster-name", "prod-eu"]);
    let processor = outputs(&mtlog, &["cluster/processor", "--cluster-name", "prod-eu"]);

    let render = ["k8s", "render", "collector", "--cluster", "prod-eu", "--image", IMAGE];
    let settings =
        lines(&mtlog.run(&[&render[..], &["--print-settings"]].concat()).exits(0).stdout);
    let expected = [
        ("AWS_REGION", "us-east-2"),
        ("CLUSTER_ID", "prod-eu"),
        ("COLLECTOR_IMAGE", IMAGE),
        ("COLLECTOR_ROLE_ARN", &vector["ClusterVectorRoleArn"]),
        ("NAMESPACE_SELECTOR", "hypershift.openshift.io/hosted-control-plane=true"),
        ("OIDC_AUDIENCE", "openshift"),
        ("S3_BUCKET_NAME", &regional["CentralLoggingBucketName"]),
        ("S3_KEY_PREFIX", ""),
        ("S3_WRITER_ROLE_ARN", &vector["ClusterS3WriterRoleArn"]),
    ];
    assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());

    let built = resources(&mtlog.run(&render).exits(0).stdout);
    let annotations = resource(&built, "ServiceAccount")["metadata"]["annotations"].clone();
    assert_eq!(annotations["eks.amazonaws.com/role-arn"], vector["ClusterVectorRoleArn"]);
    // The environment chooses the overlay.
    assert_eq!(
        resource(&built, "SecurityContextConstraints")["metadata"]["name"],
        "vector-logs-scc"
    );

    let render = [
        "k8s",
        "render",
        "processor",
        "--cluster",
        "prod-eu",
        "--image",
        IMAGE,
        "--print-settings",
    ];
    let settings = lines(&mtlog.run(&render).exits(0).stdout);
    let expected = [
        ("AWS_REGION", "us-east-2"),
        ("CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", &regional["CentralLogDistributionRoleArn"]),
        ("DEAD_LETTER_QUEUE_URL", &regional["LogDeliveryDLQUrl"]),
        ("OIDC_AUDIENCE", "openshift"),
        ("PROCESSOR_IMAGE", IMAGE),
        ("PROCESSOR_ROLE_ARN", &processor["ClusterProcessorRoleArn"]),
        ("SOURCE_BUCKET", &regional["CentralLoggingBucketName"]),
        ("SQS_QUEUE_URL", &regional["LogDeliveryQueueUrl"]),
        ("S3_KEY_PREFIX", ""),
        ("TENANT_CONFIG_TABLE", &regional["TenantConfigTableName"]),
    ];
    assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn one_key_prefix_reaches_the_collector_the_processor_and_a_laptop() {
    let (_fake, mtlog) = deployed(&["--include-sqs", "--param", "S3KeyPrefix=logs/"]);
    for component in ["collector", "processor"] {
        let render = [
            "k8s",
            "render",
            component,
            "--cluster",
            "prod-eu",
            "--image",
            IMAGE,
            "--print-settings",
        ];
        let settings = lines(&mtlog.run(&render).exits(0).stdout);
        assert_eq!(settings["S3_KEY_PREFIX"], "logs/", "{component}");
    }
    let exports = mtlog.run(&["env", "vector", "--cluster", "prod-eu"]).exits(0).stdout;
    assert!(exports.contains("export S3_KEY_PREFIX='logs/'\n"), "{exports}");
}

#[test]
fn what_the_stacks_do_not_tell_is_named_with_what_would_mend_it() {
    let (_fake, mtlog) = deployed(&[]);
    let _missing = mtlog
        .run(&["k8s", "render", "collector", "--cluster", "prod-eu"])
        .exits(6)
        .says(&["`COLLECTOR_IMAGE`", "--image REPOSITORY@sha256:DIGEST"]);
    let _missing =
        mtlog.run(&["k8s", "render", "collector", "--image", IMAGE]).exits(64).says(&["--cluster"]);
    let _missing = mtlog
        .run(&["k8s", "render", "collector", "--cluster", "prod-us", "--image", IMAGE])
        .exits(6)
        .says(&["there is no stack `multi-tenant-logging-cluster-prod-us-vector`"]);
    let tag = IMAGE.split('@').next().unwrap().to_owned() + ":v1";
    let _moving = mtlog
        .run(&["k8s", "render", "collector", "--cluster", "prod-eu", "--image", &tag])
        .exits(6)
        .says(&["is not an image by digest"]);
}

#[test]
fn vector_on_a_laptop_gets_names_and_on_request_a_roles_credentials() {
    let (fake, mut mtlog) = deployed(&["--include-sqs"]);
    // The root user cannot assume roles.
    let anything = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    for (name, value) in
        fake.add_user("arn:aws:iam::111111111111:user/tester", &[anything]).environment()
    {
        mtlog.set(name, &value);
    }
    let regional = outputs(&mtlog, &["regional"]);
    let exports = |arguments: &[&str]| -> BTreeMap<String, String> {
        let ran =
            mtlog.run(&[&["env", "vector", "--cluster", "prod-eu"], arguments].concat()).exits(0);
        let value =
            |value: &str| value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap().to_owned();
        let lines = ran
            .stdout
            .lines()
            .map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap());
        lines.map(|(name, quoted)| (name.to_owned(), value(quoted))).collect()
    };
    let names = exports(&[]);
    let expected = [
        ("AWS_REGION", "us-east-2"),
        ("CLUSTER_ID", "prod-eu"),
        ("S3_BUCKET_NAME", &regional["CentralLoggingBucketName"]),
        ("S3_KEY_PREFIX", ""),
        ("VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION", "true"),
    ];
    assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());

    let role = "arn:aws:iam::111111111111:role/log-tester";
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}]}"#;
    fake.add_role(role, trust, &[]);
    let with_role = exports(&["--role-arn", role]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        assert!(!with_role[name].is_empty(), "{name}");
    }

    let vector = outputs(&mtlog, &["cluster/vector", "--cluster-name", "prod-eu"]);
    let _refused = mtlog
        .run(&[
            "env",
            "vector",
            "--cluster",
            "prod-eu",
            "--role-arn",
            &vector["ClusterS3WriterRoleArn"],
        ])
        .exits(3)
        .says(&["failed to assume", "name a role of your own"]);
    let _unnamed = mtlog.run(&["env", "vector"]).exits(64).says(&["--cluster-name"]);
}

#[test]
fn the_five_commands_of_the_readme_lead_to_a_running_collector() {
    let fake = FakeAws::start_blocking();
    fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
    let mut mtlog = Mtlog::with(&fake);
    mtlog.set("TEMPLATE_BUCKET", "templates-of-the-test");
    mtlog.set("ENVIRONMENT", "production");
    let _deployed = mtlog.run(&["deploy", "global", "--yes"]).exits(0);
    let _deployed = mtlog.run(&["deploy", "regional", "--yes"]).exits(0);
    // In the place of a cluster where the collector has come up.
    let cluster = Cluster::settled(&serde_json::json!({
        "metadata": {"generation": 1},
        "spec": {"template": {"spec": {"containers": [{"name": "vector", "image": IMAGE}]}}},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2},
    }));
    mtlog.set("PATH", &cluster.search_path());

    let readme = include_str!("../../k8s/README.md");
    let (_, block) = readme.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let commands: Vec<&str> = block.lines().collect();
    assert_eq!(commands.len(), 5, "{block}");
    let mut run = 0;
    for command in commands.iter().filter_map(|command| command.strip_prefix("mtlog ")) {
        let command = command.replace("ISSUER", ISSUER).replace("VECTOR@sha256:DIGEST", IMAGE);
        let mut words: Vec<&str> = command.split_whitespace().collect();
        if words[0] == "deploy" {
            // A person would be asked.
            words.push("--yes");
        }
        let _ran = mtlog.run(&words).exits(0);
        run += 1;
    }
    assert_eq!(run, 3);
}
