//! The words of the messages. `{name}` stands for a random value: see `message::fill`.

/// What a component says at level DEBUG.
pub(crate) const DEBUG: &[&str] = &[
    "Watch cache is at resource version {number} for {resource}",
    "Skipping resync of {resource} {namespace}/{name}, generation {small} already observed",
    "Dialling {ip}:{port} for peer {peer}",
    "Cache hit for key {namespace}/{name} after {small} ms",
    "Lease {namespace}/{name} renewed, next renewal in {small} s",
    "Rate limiter allowed request {uuid} after {small} ms",
];

/// What a component says at level INFO.
pub(crate) const INFO: &[&str] = &[
    "Reconciled {resource} {namespace}/{name} in {small} ms",
    "Updated {resource} {namespace}/{name} to resource version {number}",
    "GET /api/v1/namespaces/{namespace}/{resource}/{name} 200 {small} ms",
    "Compacted etcd revision {number}, took {small} ms",
    "Serving certificate rotated, valid until serial {hex}",
    "Started worker {small} of controller {controller}",
    "Request {uuid} from {ip} finished with status 200 in {small} ms",
    "Scaled {resource} {namespace}/{name} from {digit} to {digit} replicas",
];

/// What a component says at level WARN.
pub(crate) const WARN: &[&str] = &[
    "Retrying {resource} {namespace}/{name} in {small} s: the object has been modified",
    "Slow request {uuid}: {number} µs in handler {controller}",
    "Peer {peer} at {ip}:{port} did not answer in {small} ms",
    "Readiness probe of {name} failed: HTTP probe failed with statuscode: 503",
    "etcd took too long ({number} ms) to execute range over {resource}",
];

/// What a component says at level ERROR.
pub(crate) const ERROR: &[&str] = &[
    "Failed to reconcile {resource} {namespace}/{name}: connection refused by {ip}:{port}",
    "Unable to sync \"{namespace}/{name}\": context deadline exceeded",
    "Lost leadership of lease {namespace}/{controller}, exiting",
    "Failed to load C:\\certs\\{hex}.pem: no such file",
    "Admission webhook \"{controller}.example.com\" denied the request: quota exceeded ({small} > {digit})",
];

/// Short sentences and values in many scripts, with what is hard for decoders: emoji with joiners, right-to-left
/// text, combining marks, characters outside the basic plane, quotes, backslashes, tabs and terminal colours.
pub(crate) const UNICODE: &[&str] = &[
    "Größe {small} MiB überschritten, Köln meldet Störung №{digit}",
    "ログを送信しました：{name}（{small} 件）",
    "已将 {small} 条记录写入 {namespace}，用时 {number} 微秒",
    "Задание {name} завершено за {small} мс",
    "تم تسليم {small} سجلًا إلى {namespace}",
    "משתמש {name} התחבר מ-{ip}",
    "배포 {name} 완료: 복제본 {digit}개",
    "हिन्दी संदेश {small}: काम पूरा हुआ",
    "deploy 🚀 {name} by 👩\u{200d}💻 took {small} ms ✅",
    "na\u{308}ive cafe\u{301} 𝒟𝑒𝓁𝓉𝒶 𐍈 {hex}",
    "user said: \"{name} \\ {namespace}\" \t(tab) “quoted” ‘text’",
    "\u{1b}[33mWARN\u{1b}[0m cache \u{1b}[1m{name}\u{1b}[0m is {digit}1% full",
    "prix : 12,50 € — remise {small} % \u{a0}!",
];

/// First lines of stack traces, and what follows them. Each entry is one message of several lines.
pub(crate) const TRACES: &[&str] = &[
    "panic: runtime error: invalid memory address or nil pointer dereference\n\
     [signal SIGSEGV: segmentation violation code=0x1 addr=0x{digit} pc=0x{hex}]\n\n\
     goroutine {small} [running]:\n\
     main.(*{controller}).sync(0xc000{hex}, 0x{hex})\n\
     \t/workspace/pkg/{controller}/sync.go:{small} +0x1b4\n\
     created by main.(*{controller}).Run in goroutine {digit}\n\
     \t/workspace/pkg/{controller}/run.go:{small} +0x3f1",
    "java.lang.IllegalStateException: Failed to deliver {name}\n\
     \tat com.example.{controller}.Delivery.send(Delivery.java:{small})\n\
     \tat com.example.{controller}.Worker.run(Worker.java:{small})\n\
     \tat java.base/java.lang.Thread.run(Thread.java:1583)\n\
     Caused by: java.net.ConnectException: Connection refused: {ip}:{port}\n\
     \tat java.base/sun.nio.ch.Net.connect0(Native Method)\n\
     \t... {digit} more",
    "Traceback (most recent call last):\n\
     \x20 File \"/app/{controller}.py\", line {small}, in handle\n\
     \x20   self.store.write(\"{namespace}/{name}\", revision={number})\n\
     \x20 File \"/app/store.py\", line {small}, in write\n\
     \x20   raise StoreError(f\"conflict at {number}\")\n\
     store.StoreError: conflict at {number}",
    "thread '{controller}' panicked at src/{controller}.rs:{small}:{digit}:\n\
     called `Option::unwrap()` on a `None` value\n\
     stack backtrace:\n\
     \x20  0: rust_begin_unwind\n\
     \x20  1: core::panicking::panic_fmt\n\
     \x20  2: {controller}::reconcile\n\
     \x20            at ./src/{controller}.rs:{small}:{digit}",
];

/// Kinds of things in a cluster.
pub(crate) const RESOURCES: &[&str] = &[
    "pods",
    "secrets",
    "configmaps",
    "deployments",
    "nodepools",
    "hostedclusters",
    "leases",
    "endpointslices",
    "routes",
    "certificatesigningrequests",
];

/// Names of controllers; usable as a file name, a module and a class.
pub(crate) const CONTROLLERS: &[&str] = &[
    "nodepool",
    "scheduler",
    "garbagecollector",
    "ingress",
    "quota",
    "certificates",
    "machineapprover",
    "resourcesync",
];

/// Words that names are made of.
pub(crate) const WORDS: &[&str] = &[
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "inlet", "juniper",
    "kelp", "lagoon", "mesa", "north", "onyx", "prairie", "quartz", "ridge", "summit", "tundra",
];

/// Verbs of API requests, as the audit log writes them.
pub(crate) const VERBS: &[&str] = &["get", "list", "watch", "update", "patch", "create"];

/// Who asks the API.
pub(crate) const USER_AGENTS: &[&str] = &[
    "kube-controller-manager/v1.33.4 (linux/amd64) kubernetes/5f6a2b1/shared-informers",
    "kubelet/v1.33.4 (linux/arm64) kubernetes/5f6a2b1",
    "oc/4.20.0 (linux/amd64) kubernetes/8ce4d1a",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
];
