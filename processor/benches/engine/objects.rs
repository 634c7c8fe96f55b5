//! The objects that are read: records in the shape of the collector's.
//!
//! About 1.9 kB of JSON each, of which about 14 % is the message, and about 30 times smaller as gzip.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// The day of the records where nothing looks at it.
pub(crate) const ANY_DAY: &str = "2026-11-23";

/// How the records of an object stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ndjson,
    /// An array on one line: what the collector writes.
    Array,
    /// An array over many lines, with indents.
    Pretty,
    /// As `Ndjson`, with a nested field that differs in every record.
    Varying,
}

impl Format {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "NDJSON",
            Self::Array => "array on one line",
            Self::Pretty => "pretty array",
            Self::Varying => "NDJSON, a nested field differs",
        }
    }
}

/// An object, plain and compressed.
pub(crate) struct Object {
    pub(crate) format: Format,
    pub(crate) plain: Vec<u8>,
    pub(crate) compressed: Vec<u8>,
}

/// Makes an object of at least so many bytes before compression.
pub(crate) fn object(format: Format, bytes: usize, day: &str) -> Object {
    let plain = text(format, bytes, day).into_bytes();
    Object { format, compressed: gzip(&plain), plain }
}

fn text(format: Format, bytes: usize, day: &str) -> String {
    match format {
        Format::Ndjson => lines(&records(bytes, day, |record| record)),
        Format::Array => format!("[{}]", records(bytes, day, |record| record).join(",")),
        Format::Pretty => {
            let pretty = |record: String| {
                let value: serde_json::Value = serde_json::from_str(&record).unwrap();
                serde_json::to_string_pretty(&value).unwrap()
            };
            format!("[\n{}\n]\n", records(bytes, day, pretty).join(",\n"))
        }
        Format::Varying => {
            let mut count = 0;
            lines(&records(bytes, day, |record| {
                count += 1;
                record.replacen("2026.11.3", &format!("2026.11.{count}"), 1)
            }))
        }
    }
}

fn lines(records: &[String]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Generates the same numbers on every run (the constants of Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn records(bytes: usize, day: &str, mut change: impl FnMut(String) -> String) -> Vec<String> {
    let mut numbers = Numbers(1);
    let mut records = Vec::new();
    let mut total = 0;
    let mut nanoseconds = 0;
    while total < bytes {
        nanoseconds += numbers.below(40_000_000);
        let record = change(record(&mut numbers, nanoseconds, day));
        total += record.len() + 1;
        records.push(record);
    }
    records
}

/// Returns a record of a pod with a main container and a sidecar.
fn record(numbers: &mut Numbers, nanoseconds: u64, day: &str) -> String {
    let container = if numbers.below(10) == 0 { "proxy" } else { "api" };
    let stream = if numbers.below(8) == 0 { "stderr" } else { "stdout" };
    let (pod, uid) = ("orders-api-7c9d8f6b5d-x2x7k", "3f0e4b52-6a51-4a0e-9f0c-2f5f0d6f1f0b");
    let image = format!(
        "registry.example.com/shop/orders-{container}@sha256:{}",
        "9f86d081884c7d65".repeat(4)
    );
    let second = nanoseconds / 1_000_000_000;
    format!(
        concat!(
            r#"{{"application":"orders","cluster_id":"prod-eu-central-1","#,
            r#""file":"/var/log/pods/shop_{pod}_{uid}/{container}/0.log","kubernetes":{{"#,
            r#""container_id":"cri-o://{id}","container_image":"{image}","container_image_id":"{image}","#,
            r#""container_name":"{container}","namespace_labels":{{"kubernetes.io/metadata.name":"shop","#,
            r#""pod-security.kubernetes.io/enforce":"restricted","team":"checkout"}},"#,
            r#""node_labels":{{"kubernetes.io/arch":"amd64","node.kubernetes.io/instance-type":"m6i.2xlarge","#,
            r#""topology.kubernetes.io/region":"eu-central-1","topology.kubernetes.io/zone":"eu-central-1a"}},"#,
            r#""pod_annotations":{{"k8s.v1.cni.cncf.io/network-status":"[{{\"name\":\"ovn-kubernetes\",\"default\":true}}]","#,
            r#""openshift.io/scc":"restricted-v2","prometheus.io/port":"9090","prometheus.io/scrape":"true"}},"#,
            r#""pod_ip":"10.128.12.77","pod_ips":["10.128.12.77"],"pod_labels":{{"app":"orders","#,
            r#""pod-template-hash":"7c9d8f6b5d","version":"2026.11.3"}},"pod_name":"{pod}","pod_namespace":"shop","#,
            r#""pod_node_name":"ip-10-0-12-77.eu-central-1.compute.internal","pod_owner":"ReplicaSet/orders-api-7c9d8f6b5d","#,
            r#""pod_uid":"{uid}"}},"message":"{message}","namespace":"shop","pod_name":"{pod}","#,
            r#""source_type":"kubernetes_logs","stream":"{stream}","timestamp":"{day}T{h:02}:{m:02}:{s:02}.{n:09}Z"}}"#,
        ),
        day = day,
        pod = pod,
        uid = uid,
        container = container,
        image = image,
        stream = stream,
        id = "4e07408562bedb8b".repeat(4),
        message = message(numbers),
        h = second / 3600 % 24,
        m = second / 60 % 60,
        s = second % 60,
        n = nanoseconds % 1_000_000_000,
    )
}

/// Returns a log line as the inside of a JSON string; some lines are JSON themselves.
fn message(numbers: &mut Numbers) -> String {
    const PATHS: [&str; 4] =
        ["/api/v1/orders", "/api/v1/orders/items", "/api/v1/customers", "/healthz"];
    let path = PATHS.get(usize::try_from(numbers.below(4)).unwrap()).unwrap();
    let (order, took) = (numbers.below(100_000), numbers.below(2_000));
    let request: String = (0..4).map(|_| format!("{:08x}", numbers.below(1 << 31))).collect();
    if numbers.below(5) == 0 {
        return format!(
            concat!(
                r#"{{\"level\":\"info\",\"logger\":\"orders.http\",\"msg\":\"request handled\",\"method\":\"GET\","#,
                r#"\"path\":\"{path}/{order}\",\"status\":200,\"took_ms\":{took},\"request_id\":\"{request}\","#,
                r#"\"user_agent\":\"okhttp/4.12.0\",\"peer\":\"10.128.{a}.{b}\"}}"#,
            ),
            path = path,
            order = order,
            took = took,
            request = request,
            a = numbers.below(256),
            b = numbers.below(256),
        );
    }
    format!(
        "INFO  [http-nio-8080-exec-{}] com.example.orders.web.RequestLog - GET {path}/{order} answered 200 in {took} ms, \
         request {request}, customer tier standard, cache hit, upstream inventory-service.shop.svc.cluster.local:8443, \
         retries {}, cursor {:08x}, bytes sent {}",
        numbers.below(32),
        numbers.below(4),
        numbers.below(1 << 31),
        numbers.below(65_536),
    )
}
