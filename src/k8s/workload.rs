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
}
