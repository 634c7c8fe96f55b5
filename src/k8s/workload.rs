//! How a workload is doing, as the cluster tells it.

use serde::Serialize;
use serde_json::Value;

/// The pods of a DaemonSet or Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// How many pods there should be.
    pub wanted: u64,
    /// How many of them run the present manifest.
    pub updated: u64,
    /// How many are ready.
    pub ready: u64,
    /// The images of the containers.
    pub images: Vec<String>,
    /// Whether the cluster has looked at the present manifest yet.
    pub observed: bool,
}

impl Workload {
    #[expect(
        clippy::indexing_slicing,
        reason = "a JSON value that is absent indexes as null, without a panic"
    )]
    /// Reads what `kubectl get --output json` shows. A number that is absent is 0, as the API server leaves zeros out.
    pub fn read(resource: &Value) -> Self {
        let status = &resource["status"];
        let number =
            |names: [&str; 2]| names.iter().find_map(|name| status[*name].as_u64()).unwrap_or(0);
        let containers = resource["spec"]["template"]["spec"]["containers"].as_array();
        Self {
            // Where an autoscaler holds the number, the spec has it too.
            wanted: resource["spec"]["replicas"]
                .as_u64()
                .unwrap_or_else(|| number(["desiredNumberScheduled", "replicas"])),
            updated: number(["updatedNumberScheduled", "updatedReplicas"]),
            ready: number(["numberReady", "readyReplicas"]),
            images: containers
                .into_iter()
                .flatten()
                .filter_map(|container| container["image"].as_str().map(str::to_owned))
                .collect(),
            observed: status["observedGeneration"].as_u64()
                >= resource["metadata"]["generation"].as_u64(),
        }
    }

    /// Whether every pod runs the present manifest and is ready.
    pub fn is_settled(&self) -> bool {
        self.observed && self.updated == self.wanted && self.ready == self.wanted
    }
}

/// Why a pod is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodProblem {
    /// The pod.
    pub pod: String,
    /// The node, if it has one.
    pub node: Option<String>,
    /// What the cluster says: a reason, and its explanation if there is one.
    pub problem: String,
}

/// Reads what `kubectl get pods --output json` shows of pods that are not ready.
#[expect(
    clippy::indexing_slicing,
    reason = "a JSON value that is absent indexes as null, without a panic"
)]
pub fn problems(pods: &Value) -> Vec<PodProblem> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let items = pods["items"].as_array();
    let unready = items.into_iter().flatten().filter(|pod| !is_ready(pod));
    unready
        .map(|pod| PodProblem {
            pod: text(&pod["metadata"]["name"]).unwrap_or_default(),
            node: text(&pod["spec"]["nodeName"]),
            problem: problem(pod),
        })
        .collect()
}

#[expect(
    clippy::indexing_slicing,
    reason = "a JSON value that is absent indexes as null, without a panic"
)]
fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The most telling of what a pod says: why a container waits or ended last, why no node takes the pod, or its phase.
#[expect(
    clippy::indexing_slicing,
    reason = "a JSON value that is absent indexes as null, without a panic"
)]
fn problem(pod: &Value) -> String {
    let status = &pod["status"];
    let containers: Vec<&Value> =
        status["containerStatuses"].as_array().into_iter().flatten().collect();
    let waiting = containers.iter().map(|container| &container["state"]["waiting"]);
    let last = containers.iter().map(|container| &container["lastState"]["terminated"]);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let refused = conditions.filter(|condition| condition["status"] == "False");
    let said = |of: &Value| {
        let reason = of["reason"].as_str()?;
        Some(match (of["message"].as_str(), of["exitCode"].as_i64()) {
            (Some(message), _) => format!("{reason}: {message}"),
            (None, Some(code)) => format!("{reason} with status {code}"),
            (None, None) => reason.to_owned(),
        })
    };
    let mut reasons: Vec<String> = waiting.filter_map(said).collect();
    reasons.extend(last.filter_map(said).map(|reason| format!("ended before: {reason}")));
    if reasons.is_empty() {
        reasons.extend(refused.filter_map(said).take(1));
    }
    if reasons.is_empty() {
        reasons.push(status["phase"].as_str().unwrap_or("not ready").to_owned());
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_daemon_set_and_a_deployment_are_read_alike() {
        let template = json!({"spec": {"containers": [{"name": "c", "image": "registry.example/a@sha256:1"}]}});
        let daemon_set = json!({
            "metadata": {"generation": 3},
            "spec": {"template": template},
            "status": {"observedGeneration": 3, "desiredNumberScheduled": 4, "updatedNumberScheduled": 4, "numberReady": 3},
        });
        let deployment = json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": 2, "template": template},
            "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 2},
        });
        let images = vec!["registry.example/a@sha256:1".to_owned()];
        let read = Workload::read(&daemon_set);
        assert_eq!(
            read,
            Workload { wanted: 4, updated: 4, ready: 3, images: images.clone(), observed: true }
        );
        assert!(!read.is_settled());
        let read = Workload::read(&deployment);
        assert_eq!(read, Workload { wanted: 2, updated: 2, ready: 2, images, observed: true });
        assert!(read.is_settled());
    }

    #[test]
    fn a_manifest_that_was_not_looked_at_yet_is_not_settled() {
        let fresh = json!({"metadata": {"generation": 2}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}});
        assert!(!Workload::read(&fresh).is_settled());
        assert!(
            !Workload::read(&json!({"metadata": {"generation": 1}, "spec": {"replicas": 1}}))
                .is_settled()
        );
    }

    #[test]
    fn a_pod_that_is_not_ready_says_why() {
        let pod = |status: Value| json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": status});
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let pulling = json!({
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}],
        });
        let crashing = json!({"containerStatuses": [{
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }]});
        let homeless = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
        ]});
        let items = [ready, pulling, crashing, homeless, json!({"phase": "Pending"})].map(pod);
        let found: Vec<String> =
            problems(&json!({"items": items})).into_iter().map(|problem| problem.problem).collect();
        assert_eq!(
            found,
            [
                "ImagePullBackOff: not found",
                "CrashLoopBackOff; ended before: OOMKilled with status 137",
                "Unschedulable: 0/3 nodes are available",
                "Pending",
            ]
        );
    }
}
