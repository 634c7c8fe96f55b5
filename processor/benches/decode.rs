//! How fast objects are decoded, as ratios to inflating them.
//!
//! `cargo bench -p mtlog-processor --bench decode [-- MEGABYTES]`
//!
//! The records are made up in the shape of the collector's: about 1.9 kB of JSON each, of which
//! about 14 % is the message, and about 30 times smaller as gzip. All stages run in one process,
//! one after the other in each round; the best round counts, because other work on the machine
//! only ever adds time. Seconds say something about the machine, ratios about the code.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints rounded figures and stops at the first fault"
)]

use std::{
    fmt::Write as _,
    hint::black_box,
    io::{Read, Write as _},
    time::{Duration, Instant},
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use memchr::{memchr_iter, memmem};
use mtlog_processor::decode::{
    Counters, Decoded, Decoder, Limits, LogEvent, Options, Reading, gzip::Inflater,
};

const ROUNDS: usize = 15;
const DEFAULT_MEGABYTES: usize = 100;

/// An object, plain and compressed.
struct Object {
    name: &'static str,
    plain: Vec<u8>,
    compressed: Vec<u8>,
    /// What stands between two records and nowhere else.
    between: &'static [u8],
}

/// Something that is done to an object; it returns what it counted.
type Run = fn(&Object) -> u64;

const STAGES: [(&str, Run); 7] = [
    ("inflate with flate2 alone", inflate_with_flate2),
    ("inflate", inflate),
    ("inflate and search the ends of records", search),
    ("decode with serde_json", |object| decode(&object.compressed, Reading::Plain, |_| {}).events),
    ("decode", |object| decode(&object.compressed, Reading::Fast, |_| {}).events),
    ("decode and copy the escaped messages", decode_and_copy),
    ("decode, not compressed", |object| decode(&object.plain, Reading::Fast, |_| {}).events),
];

/// A stage and its shortest time.
struct Stage {
    name: &'static str,
    run: Run,
    best: Duration,
}

fn main() {
    let megabytes: Option<usize> =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    for object in objects(megabytes.unwrap_or(DEFAULT_MEGABYTES) << 20) {
        let mut stages = STAGES.map(|(name, run)| Stage { name, run, best: Duration::MAX });
        for _ in 0..ROUNDS {
            for stage in &mut stages {
                let start = Instant::now();
                black_box((stage.run)(black_box(&object)));
                stage.best = stage.best.min(start.elapsed());
            }
        }
        println!("{}", report(&object, &stages));
    }
}

fn report(object: &Object, stages: &[Stage]) -> String {
    let mut message_bytes = 0;
    let counters = decode(&object.compressed, Reading::Fast, |event| {
        message_bytes += event.message.text_len();
    });
    let percent = |part: f64, whole: usize| 100.0 * part / whole as f64;
    let mut table = String::new();
    let size = object.plain.len();
    write!(
        table,
        "\n{}: {} MB, {:.1}:1 compressed, {} bytes a record, {:.1} % message, {:.2} % compared\n\n",
        object.name,
        size >> 20,
        size as f64 / object.compressed.len() as f64,
        size as u64 / counters.records,
        percent(message_bytes as f64, size),
        100.0 * counters.compared as f64 / counters.records as f64,
    )
    .unwrap();
    let inflate = stages.iter().map(|stage| stage.best.as_secs_f64()).next().unwrap();
    table.push_str("| Stage | MB/s | of inflate |\n|---|---|---|\n");
    for stage in stages {
        let seconds = stage.best.as_secs_f64();
        writeln!(
            table,
            "| {} | {:.0} | {:.2} |",
            stage.name,
            size as f64 / 1e6 / seconds,
            inflate / seconds
        )
        .unwrap();
    }
    table
}

fn inflate_with_flate2(object: &Object) -> u64 {
    read_all(MultiGzDecoder::new(&object.compressed[..]), |_| {})
}

fn inflate(object: &Object) -> u64 {
    read_all(Inflater::new(&object.compressed[..], Limits::default()), |_| {})
}

/// The least that cutting into records can cost; separators across two chunks are missed.
fn search(object: &Object) -> u64 {
    let between = memmem::Finder::new(object.between);
    let mut found = 0;
    read_all(Inflater::new(&object.compressed[..], Limits::default()), |chunk| {
        found += match object.between {
            [byte] => memchr_iter(*byte, chunk).count(),
            _ => between.find_iter(chunk).count(),
        };
    });
    found as u64
}

/// Copies the messages as a request body needs them, a batch at a time.
fn decode_and_copy(object: &Object) -> u64 {
    let mut body = Vec::with_capacity(2 << 20);
    let counters = decode(&object.compressed, Reading::Fast, |event| {
        if body.len() > 1 << 20 {
            black_box(&body);
            body.clear();
        }
        event.message.push_json(&mut body);
    });
    counters.events
}

fn read_all(mut source: impl Read, mut visit: impl FnMut(&[u8])) -> u64 {
    let mut chunk = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let read = source.read(&mut chunk).unwrap();
        if read == 0 {
            return total;
        }
        total += read as u64;
        visit(black_box(chunk.get(..read).unwrap()));
    }
}

fn decode(object: &[u8], reading: Reading, mut visit: impl FnMut(&LogEvent<'_>)) -> Counters {
    let options = Options { reading, ..Options::default() };
    let mut decoder = Decoder::new(object, options);
    while let Some(decoded) = decoder.next().unwrap() {
        if let Decoded::Event(event) = black_box(decoded) {
            visit(&event);
        }
    }
    decoder.counters()
}

/// Makes the objects to decode.
fn objects(bytes: usize) -> Vec<Object> {
    let gzip = |content: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let object = |name, plain: String, between| Object {
        name,
        compressed: gzip(plain.as_bytes()),
        plain: plain.into_bytes(),
        between,
    };
    let alike = records(bytes, |record| record);
    let mut count = 0;
    let different = records(bytes, |record| {
        count += 1;
        record.replacen("2026.11.3", &format!("2026.11.{count}"), 1)
    });
    vec![
        object("NDJSON", alike.join("\n"), b"\n"),
        object("Array on one line", format!("[{}]", alike.join(",")), b",{\"application\":"),
        object("NDJSON, a nested field differs in every record", different.join("\n"), b"\n"),
    ]
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

fn records(bytes: usize, mut change: impl FnMut(String) -> String) -> Vec<String> {
    let mut numbers = Numbers(1);
    let mut records = Vec::new();
    let mut total = 0;
    let mut nanoseconds = 0;
    while total < bytes {
        nanoseconds += numbers.below(40_000_000);
        let record = change(record(&mut numbers, nanoseconds));
        total += record.len() + 1;
        records.push(record);
    }
    records
}

/// Returns a record of a pod with a main container and a sidecar.
fn record(numbers: &mut Numbers, nanoseconds: u64) -> String {
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
            r#""source_type":"kubernetes_logs","stream":"{stream}","timestamp":"2026-11-23T{h:02}:{m:02}:{s:02}.{n:09}Z"}}"#,
        ),
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
    let request = format!("{:08x}{:08x}", numbers.below(1 << 31), numbers.below(1 << 31));
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
