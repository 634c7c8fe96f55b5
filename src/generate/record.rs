//! The record that the collector makes of a message: one JSON object with sorted keys.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    population::Pod,
    random::{Random, push},
    source::Message,
};

/// Wraps the messages of one pod. Everything but message, stream and times is written out once.
#[derive(Debug)]
pub struct RecordWriter {
    before_ingest: String,
    before_message: String,
    before_stream: String,
    delays: Random,
}

impl RecordWriter {
    /// Prepares the records of `pod`, whose identifiers `seed` decides.
    pub fn new(pod: &Pod, seed: u64) -> Self {
        let mut random = Random::named(seed, &format!("record {}", pod.sequence));
        let uid = made(|out| random.uuid(out));
        let file =
            format!("/var/log/pods/{}_{}_{uid}/{}/0.log", pod.tenant, pod.name, pod.application);
        let kubernetes = kubernetes(pod, &uid, &mut random);
        Self {
            before_ingest: format!(
                r#"{{"application":{},"cluster_id":{},"file":{},"ingest_timestamp":""#,
                Value::from(pod.application.as_str()),
                Value::from(pod.cluster.as_str()),
                Value::from(file)
            ),
            before_message: format!(r#"","kubernetes":{kubernetes},"message":"#),
            before_stream: format!(
                r#","namespace":{},"pod_name":{},"source_type":"kubernetes_logs","stream":""#,
                Value::from(pod.tenant.as_str()),
                Value::from(pod.name.as_str())
            ),
            delays: Random::named(seed, &format!("delays {}", pod.sequence)),
        }
    }

    /// Appends the record of `message`, without a line end. The text is borrowed for a moment and given back.
    pub fn write(&mut self, message: &mut Message, out: &mut String) {
        out.push_str(&self.before_ingest);
        let delay =
            i64::try_from(self.delays.between(80_000_000, 2_500_000_000)).unwrap_or_default();
        let ingested =
            message.time.checked_add(SignedDuration::from_nanos(delay)).unwrap_or(message.time);
        write_time(ingested, out);
        out.push_str(&self.before_message);
        // Displaying a value runs inside serde_json, which is optimised in every build of ours.
        let text = Value::String(std::mem::take(&mut message.text));
        push(out, format_args!("{text}"));
        if let Value::String(text) = text {
            message.text = text;
        }
        out.push_str(&self.before_stream);
        out.push_str(message.stream.as_str());
        out.push_str("\",\"timestamp\":\"");
        write_time(message.time, out);
        out.push_str("\"}");
    }
}

/// Writes a time as the collector does: 0, 3, 6 or 9 digits of a second, as many as it needs.
fn write_time(time: Timestamp, out: &mut String) {
    match time.subsec_nanosecond() {
        0 => push(out, format_args!("{time:.0}")),
        nanos if nanos % 1_000_000 == 0 => push(out, format_args!("{time:.3}")),
        nanos if nanos % 1_000 == 0 => push(out, format_args!("{time:.6}")),
        _ => push(out, format_args!("{time:.9}")),
    }
}

/// What the collector learns from the API server. The keys are in order, whatever map serde_json uses.
fn kubernetes(pod: &Pod, uid: &str, random: &mut Random) -> Value {
    let (application, tenant, name) =
        (pod.application.as_str(), pod.tenant.as_str(), pod.name.as_str());
    let template = name.rsplit('-').nth(1).unwrap_or(name).to_owned();
    let digest = made(|out| (0..4).for_each(|_| random.hex(16, out)));
    let container = made(|out| (0..4).for_each(|_| random.hex(16, out)));
    let address =
        format!("10.{}.{}.{}", random.between(128, 131), random.below(256), random.between(1, 254));
    let node = format!("ip-10-0-{}-{}.ec2.internal", random.below(256), random.between(1, 254));
    json!({
        "container_id": format!("cri-o://{container}"),
        "container_image": format!("quay.io/openshift-release-dev/{application}@sha256:{digest}"),
        "container_image_id": format!("quay.io/openshift-release-dev/{application}@sha256:{digest}"),
        "container_name": application,
        "namespace_labels": {
            "hypershift.openshift.io/hosted-control-plane": "true",
            "kubernetes.io/metadata.name": tenant,
            "pod-security.kubernetes.io/enforce": "restricted",
        },
        "node_labels": {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "hypershift.openshift.io/request-serving-component": "true",
            "kubernetes.io/hostname": node,
            "node-role.kubernetes.io/worker": "",
            "node.kubernetes.io/instance-type": "m6a.2xlarge",
            "topology.kubernetes.io/region": "us-east-2",
            "topology.kubernetes.io/zone": random.pick(&["us-east-2a", "us-east-2b", "us-east-2c"]),
        },
        "pod_annotations": {
            "hypershift.openshift.io/release-image": "quay.io/openshift-release-dev/ocp-release:4.20.0-x86_64",
            "openshift.io/scc": "restricted-v2",
            "seccomp.security.alpha.kubernetes.io/pod": "runtime/default",
        },
        "pod_ip": address,
        "pod_ips": [address],
        "pod_labels": {
            "app": application,
            "hypershift.openshift.io/control-plane-component": application,
            "hypershift.openshift.io/hosted-control-plane": tenant,
            "pod-template-hash": template,
        },
        "pod_name": name,
        "pod_namespace": tenant,
        "pod_node_name": node,
        "pod_owner": format!("ReplicaSet/{application}-{template}"),
        "pod_uid": uid,
    })
}

fn made(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    write(&mut text);
    text
}
