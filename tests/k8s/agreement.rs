//! The manifests against the engine, the templates and each other.

use std::collections::BTreeSet;

use mtlog::template::{catalogue::TemplateId, document::Document};
use mtlog_processor::{config::VARIABLES, metrics::Metric};
use serde_json::{Value, json};

use super::{render, resource, resources};

const OVERLAYS: [&str; 4] = ["base", "development", "staging", "production"];

fn workload(component: &str, overlay: &str) -> Value {
    let kind = if component == "collector" { "DaemonSet" } else { "Deployment" };
    resource(&resources(&render(component, overlay, &[])), kind)
}

fn pod(component: &str, overlay: &str) -> Value {
    workload(component, overlay)["spec"]["template"]["spec"].clone()
}

/// The value of a variable that stands in the manifest.
fn variable(pod: &Value, name: &str) -> Option<String> {
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

fn names(pod: &Value) -> BTreeSet<String> {
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    variables.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn service_accounts_are_those_that_the_roles_trust() {
    for (component, template) in
        [("collector", TemplateId::ClusterVector), ("processor", TemplateId::ClusterProcessor)]
    {
        let document = Document::parse(template.text()).unwrap();
        let parameters = document.section("Parameters");
        let default = |name: &str| parameters[name]["Default"].as_str().unwrap().to_owned();
        for overlay in OVERLAYS {
            let built = resources(&render(component, overlay, &[]));
            let account = resource(&built, "ServiceAccount");
            assert_eq!(account["metadata"]["name"], default("ServiceAccountName"));
            assert_eq!(account["metadata"]["namespace"], default("ServiceAccountNamespace"));
            assert_eq!(
                resource(&built, "Namespace")["metadata"]["name"],
                default("ServiceAccountNamespace")
            );
            assert_eq!(
                pod(component, overlay)["serviceAccountName"],
                default("ServiceAccountName")
            );
        }
    }
}

#[test]
fn every_resource_of_a_namespace_is_in_the_one_that_exists() {
    let cluster_wide = [
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "PriorityClass",
        "SecurityContextConstraints",
    ];
    for (component, parts) in [
        ("collector", &["podmonitor"][..]),
        ("processor", &["keda", "servicemonitor", "dashboard"]),
    ] {
        for resource in resources(&render(component, "production", parts)) {
            let expected = if cluster_wide.contains(&resource["kind"].as_str().unwrap()) {
                Value::Null
            } else {
                json!("logging")
            };
            assert_eq!(
                resource["metadata"]["namespace"], expected,
                "{} {}",
                resource["kind"], resource["metadata"]["name"]
            );
            assert_eq!(
                resource["metadata"]["labels"]["app.kubernetes.io/part-of"], "mtlog",
                "{}",
                resource["kind"]
            );
        }
    }
}

#[test]
fn the_engine_reads_every_variable_that_the_deployment_sets_and_gets_those_it_needs() {
    let known: BTreeSet<String> =
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    for overlay in OVERLAYS {
        let pod = pod("processor", overlay);
        let given = names(&pod);
        assert!(given.is_subset(&known), "{:?}", given.difference(&known));
        for needed in [
            "SQS_QUEUE_URL",
            "TENANT_CONFIG_TABLE",
            "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
            "AWS_REGION",
        ] {
            assert!(given.contains(needed), "{needed}");
        }
        assert_eq!(variable(&pod, "EXECUTION_MODE").as_deref(), Some("sqs"));
    }
}

#[test]
fn a_pod_is_never_killed_before_its_own_grace_is_over() {
    for (component, name, margin) in [
        ("processor", "SHUTDOWN_GRACE", 5),
        ("collector", "VECTOR_GRACEFUL_SHUTDOWN_LIMIT_SECS", 5),
    ] {
        for overlay in OVERLAYS {
            let pod = pod(component, overlay);
            let own: u64 = variable(&pod, name).unwrap().parse().unwrap();
            let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            assert!(own + margin <= given, "{component} {overlay}: {own} of {given} seconds");
        }
    }
}

fn mebibytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().unwrap();
    match (text.strip_suffix("Mi"), text.strip_suffix("Gi")) {
        (Some(number), _) => number.parse().unwrap(),
        (_, Some(number)) => number.parse::<u64>().unwrap() * 1024,
        _ => panic!("{text}"),
    }
}

#[test]
fn the_memory_budget_fits_into_the_limit() {
    for overlay in OVERLAYS {
        let pod = pod("processor", overlay);
        let budget: u64 = variable(&pod, "MEMORY_BUDGET_MIB").unwrap().parse().unwrap();
        let limit = mebibytes(&pod["containers"][0]["resources"]["limits"]["memory"]);
        assert!(budget * 2 <= limit, "{overlay}: {budget} of {limit} MiB");
    }
}

#[test]
fn probes_and_monitoring_reach_the_port_that_the_engine_listens_on() {
    for overlay in OVERLAYS {
        let built = resources(&render("processor", overlay, &[]));
        let pod = pod("processor", overlay);
        let container = &pod["containers"][0];
        let port = container["ports"][0]["containerPort"].as_u64().unwrap();
        assert_eq!(variable(&pod, "METRICS_ADDRESS").unwrap(), format!("0.0.0.0:{port}"));
        assert_eq!(
            container["livenessProbe"]["httpGet"],
            json!({"path": "/livez", "port": "http"})
        );
        assert_eq!(container["startupProbe"]["httpGet"], json!({"path": "/livez", "port": "http"}));
        assert_eq!(
            container["readinessProbe"]["httpGet"],
            json!({"path": "/readyz", "port": "http"})
        );
        assert_eq!(container["ports"][0]["name"], "http");
        assert_eq!(resource(&built, "Service")["spec"]["ports"][0]["port"], port);
    }
    for overlay in OVERLAYS {
        let pod = pod("collector", overlay);
        let container = &pod["containers"][0];
        let port = container["ports"][0]["containerPort"].as_u64().unwrap();
        let configuration: Value =
            serde_yaml::from_str(include_str!("../../k8s/collector/base/vector.yaml")).unwrap();
        let sink = &configuration["sinks"]["prometheus"];
        assert_eq!(sink["address"], format!("0.0.0.0:{port}"));
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            assert_eq!(container[probe]["httpGet"], json!({"path": "/metrics", "port": "metrics"}));
        }
    }
}

/// The level `restricted` of the pod security standards.
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
#[test]
fn the_processor_meets_the_restricted_standard_and_more() {
    for overlay in OVERLAYS {
        let pod = pod("processor", overlay);
        for field in ["hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"] {
            assert!(pod[field].is_null(), "{overlay}: {field}");
        }
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["privileged"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
        let user = &context["runAsUser"];
        assert!(
            if overlay == "base" { user.as_u64() >= Some(10_000) } else { user.is_null() },
            "{overlay}: {user}"
        );
    }
}

#[test]
fn the_collector_asks_for_no_privilege_and_two_directories() {
    for overlay in OVERLAYS {
        let pod = pod("collector", overlay);
        for field in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert!(pod[field].is_null(), "{overlay}: {field}");
        }
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["privileged"], false);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
        let paths: BTreeSet<&str> = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|volume| volume["hostPath"]["path"].as_str())
            .collect();
        assert_eq!(paths, ["/var/lib/vector", "/var/log/pods"].into());
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        let writable: Vec<&Value> =
            mounts.iter().filter(|mount| mount["readOnly"] != true).collect();
        assert_eq!(writable, [&json!({"mountPath": "/var/lib/vector", "name": "data"})]);
        assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    }
}

#[test]
fn the_constraints_allow_what_the_daemon_set_asks_for_and_nothing_else() {
    let built = resources(&render("collector", "production", &[]));
    let constraints = resource(&built, "SecurityContextConstraints");
    let pod = pod("collector", "production");
    let asked: BTreeSet<&str> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|volume| volume.as_object().unwrap().keys())
        .map(String::as_str)
        .filter(|key| *key != "name")
        // The token of the service account.
        .chain(["projected"])
        .collect();
    let allowed: BTreeSet<&str> = constraints["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| volume.as_str().unwrap())
        .collect();
    assert_eq!(asked, allowed);
    assert_eq!(constraints["runAsUser"]["uid"], pod["securityContext"]["runAsUser"]);
    assert_eq!(
        constraints["seLinuxContext"]["seLinuxOptions"],
        pod["securityContext"]["seLinuxOptions"]
    );
    assert_eq!(
        constraints["requiredDropCapabilities"],
        pod["containers"][0]["securityContext"]["capabilities"]["drop"]
    );
    for (field, value) in constraints.as_object().unwrap() {
        if field.starts_with("allow") && value.is_boolean() {
            assert_eq!(value, &json!(field == "allowHostDirVolumePlugin"), "{field}");
        }
    }
    let role = resource(&built, "Role");
    assert_eq!(role["rules"][0]["resourceNames"], json!([constraints["metadata"]["name"]]));
    let template = workload("collector", "production")["spec"]["template"].clone();
    assert_eq!(
        template["metadata"]["annotations"]["openshift.io/required-scc"],
        constraints["metadata"]["name"]
    );
    // On plain Kubernetes there is no such kind.
    assert!(!render("collector", "base", &[]).contains("openshift.io/v1"));
}

#[test]
fn the_collector_may_only_look() {
    let role = resource(&resources(&render("collector", "production", &[])), "ClusterRole");
    assert_eq!(
        role["rules"],
        json!([{"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": ["get", "list", "watch"]}])
    );
}

/// What the pods listen on and talk to passes their network policies, and nothing else does.
#[test]
fn the_network_policies_let_through_what_the_pods_need_and_no_more() {
    let tcp = |port: Value| json!({"protocol": "TCP", "port": port});
    let udp = |port: Value| json!({"protocol": "UDP", "port": port});
    let names = [udp(json!(53)), tcp(json!(53)), udp(json!(5353)), tcp(json!(5353))];
    for (component, own, out) in
        [("collector", "metrics", vec![443, 6443]), ("processor", "http", vec![443])]
    {
        for overlay in OVERLAYS {
            let built = resources(&render(component, overlay, &[]));
            let policy = resource(&built, "NetworkPolicy")["spec"].clone();
            let template = workload(component, overlay)["spec"]["template"].clone();
            let labels = template["metadata"]["labels"].as_object().unwrap().clone();
            for (name, value) in policy["podSelector"]["matchLabels"].as_object().unwrap() {
                assert_eq!(labels.get(name), Some(value), "{component}: {name}");
            }
            assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
            assert_eq!(policy["ingress"].as_array().unwrap().len(), 1);
            assert_eq!(policy["ingress"][0]["ports"], json!([tcp(json!(own))]));
            assert_eq!(template["spec"]["containers"][0]["ports"][0]["name"], own);
            let allowed = policy["egress"][0]["ports"].as_array().unwrap();
            let expected: Vec<Value> =
                names.iter().cloned().chain(out.iter().map(|port| tcp(json!(port)))).collect();
            assert_eq!(*allowed, expected, "{component}");
        }
    }
}

#[test]
fn images_are_named_by_digest() {
    for component in ["collector", "processor"] {
        for overlay in OVERLAYS {
            let pod = pod(component, overlay);
            let image = pod["containers"][0]["image"].as_str().unwrap();
            assert!(image.contains("@sha256:"), "{image}");
        }
    }
}

#[test]
fn an_autoscaler_owns_the_number_of_processors() {
    for (parts, kind) in [(["keda"], "ScaledObject"), (["hpa"], "HorizontalPodAutoscaler")] {
        let built = resources(&render("processor", "production", &parts));
        assert!(resource(&built, "Deployment")["spec"]["replicas"].is_null());
        assert_eq!(resource(&built, kind)["spec"]["scaleTargetRef"]["name"], "log-processor");
    }
    let scaled =
        resource(&resources(&render("processor", "production", &["keda"])), "ScaledObject");
    let trigger = &scaled["spec"]["triggers"][0]["metadata"];
    assert!(
        trigger["queueURL"].as_str().unwrap().starts_with("https://sqs.us-east-2.amazonaws.com/")
    );
    assert_eq!(trigger["awsRegion"], "us-east-2");
}

#[test]
fn the_dashboard_shows_metrics_that_the_engine_has() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../k8s/processor/components/dashboard/mtlog.json"))
            .unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let (_, rest) = expression.split_once("mtlog_").unwrap();
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
            let metric = metric.unwrap_or_else(|| panic!("the engine has no metric `{name}`"));
            if let Some((label, _)) =
                expression.split_once("sum by (").and_then(|(_, rest)| rest.split_once(')'))
            {
                assert_eq!(label, metric.label(), "{name}");
            }
            shown.insert(name);
        }
    }
    // The ones that say whether logs arrive.
    for needed in ["records_total", "dead_letters_total", "messages_total", "objects_total"] {
        assert!(shown.contains(needed), "{needed}");
    }
}
