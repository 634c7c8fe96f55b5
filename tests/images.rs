//! `mtlog image` against a registry and ECR, and against a container engine that writes down what it is told.

pub(crate) mod stand_in;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fake_aws::{
    FakeAws,
    cloudformation::{SeedStack, StackStatus},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::stand_in::{Ecr, TOKEN, Trouble, sha256};
use crate::support::{ACCOUNT, Mtlog, REGION, Ran};

/// Everything that a test of `mtlog image` needs.
struct Bed {
    fake: FakeAws,
    ecr: Ecr,
    mtlog: Mtlog,
    directory: TempDir,
}

impl Bed {
    fn new() -> Self {
        let fake = FakeAws::start_blocking();
        let ecr = Ecr::start(&fake);
        let mut mtlog = Mtlog::with(&fake);
        mtlog.set("AWS_ENDPOINT_URL", &ecr.endpoint());
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("engine"), executable(1)).unwrap();
        fs::write(directory.path().join("dynamic"), executable(3)).unwrap();
        Self { fake, ecr, mtlog, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn publish(&self, more: &[&str]) -> Ran {
        let binary = self.path("engine");
        let usual = ["image", "publish", "--binary", &binary, "--yes"];
        self.mtlog.run(&[&usual[..], more].concat())
    }

    /// Puts a program `name` on the PATH that writes its arguments into `calls` and ends as `script` says.
    fn engine(&mut self, name: &str, script: &str) {
        let calls = self.path("calls");
        let file = self.directory.path().join(name);
        fs::write(
            &file,
            format!("#!/bin/sh\nPATH=/bin:/usr/bin\necho \"$*\" >> {calls}\n{script}\n"),
        )
        .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        // Only there: the machine may have engines of its own.
        self.mtlog.set("PATH", &self.directory.path().display().to_string());
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap_or_default()
    }
}

/// A static (1) or dynamic (3) x86-64 program by its one program header, with a content that does not compress.
pub(crate) fn executable(segment: u32) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(62_u16.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for address in [0_u64, 64, 0] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(segment.to_le_bytes());
    bytes.extend([0; 52]);
    let mut state = 1_u64;
    for _ in 0..50_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend(state.to_be_bytes());
    }
    bytes
}

#[test]
fn a_first_publish_makes_the_repository_and_the_second_one_sends_nothing() {
    let bed = Bed::new();
    let first = bed.publish(&[]).exits(0).says(&["Made repository log-processor in us-east-2."]);
    let reference = first.stdout.trim().to_owned();
    assert!(
        reference.starts_with(&format!("{}/log-processor@sha256:", bed.ecr.host())),
        "{reference}"
    );
    let (settings, has_lifecycle) = bed.ecr.repository("log-processor").unwrap();
    assert_eq!(settings["imageTagMutability"], "IMMUTABLE");
    assert_eq!(settings["imageScanningConfiguration"], json!({"scanOnPush": true}));
    assert!(has_lifecycle);
    let uploads = bed.ecr.requests().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(uploads, 3, "a layer, a configuration, a manifest");

    let second = bed.publish(&[]).exits(0).says(&["nothing was sent"]);
    assert_eq!(second.stdout.trim(), reference);
    let requests = bed.ecr.requests();
    assert!(requests.len() <= 4, "{requests:#?}");
    assert!(requests.iter().all(|line| !line.starts_with('P')), "{requests:#?}");
}

#[test]
fn each_region_gets_the_image() {
    let bed = Bed::new();
    let ran = bed
        .publish(&["--also-region", "eu-west-1", "--also-region", REGION, "-o", "json"])
        .exits(0);
    assert_eq!(ran.json()["images"].as_array().unwrap().len(), 2);
    let requests = bed.ecr.requests();
    for region in [REGION, "eu-west-1"] {
        let login = format!("ECR GetAuthorizationToken {region}");
        assert_eq!(requests.iter().filter(|line| **line == login).count(), 1, "{requests:#?}");
    }
}

#[test]
fn a_connection_that_is_cut_in_a_blob_is_tried_again() {
    let bed = Bed::new();
    bed.ecr.trouble("PUT /v2/log-processor/blobs", 1, Trouble::Cut(100_000));
    bed.publish(&[]).exits(0).says(&["attempt 1 at sha256:", "is complete"]);
    assert_eq!(bed.ecr.tags().len(), 1);
}

#[test]
fn a_registry_that_fails_leaves_no_tag_and_says_what_to_do() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"no push"}]}"#;
    for (part, times, trouble, code, words) in [
        (
            "PUT /v2/log-processor/blobs",
            9,
            Trouble::Cut(100_000),
            75,
            "carries on where this one ended",
        ),
        ("POST", 9, Trouble::Status(503, "busy"), 75, "failed to upload blob"),
        ("HEAD", 9, Trouble::Status(429, ""), 75, "failed to look up blob"),
        ("POST", 1, Trouble::Status(403, denied), 3, "does not allow this login"),
        ("POST", 1, Trouble::Status(401, ""), 3, "did not accept the login"),
        ("POST", 1, Trouble::Status(404, ""), 6, "check the repository's name"),
        ("PUT /v2/log-processor/manifests", 1, Trouble::Status(400, denied), 1, "push manifest"),
    ] {
        let bed = Bed::new();
        bed.ecr.trouble(part, times, trouble.clone());
        let ran = bed.publish(&[]).exits(code).says(&[words]);
        assert!(
            ran.stdout.is_empty() && !ran.stderr.contains(TOKEN),
            "{trouble:?}: {}",
            ran.stderr
        );
        assert_eq!(bed.ecr.tags(), Vec::<String>::new(), "{trouble:?}");
    }
}

#[test]
fn an_expired_session_is_named_before_anything_is_sent() {
    let bed = Bed::new();
    let expired = r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    bed.ecr.trouble("ECR GetAuthorizationToken", 1, Trouble::Status(400, expired));
    bed.publish(&[]).exits(3).says(&["failed to log in at ECR in us-east-2"]);
    assert_eq!(bed.ecr.tags(), Vec::<String>::new());
}

#[test]
fn a_tag_that_names_another_image_does_not_move() {
    let bed = Bed::new();
    bed.ecr.put_manifest("log-processor:1", "{}");
    bed.publish(&["--tag", "1"]).exits(8).says(&["names another image already", "another --tag"]);
}

#[test]
fn what_cannot_be_an_image_is_refused_before_any_call() {
    let bed = Bed::new();
    let dynamic = bed.path("dynamic");
    for (arguments, code, words) in [
        (&["--binary", &dynamic][..], 6, "dynamically linked"),
        (&["--binary", "/nowhere"], 6, "failed to read `/nowhere`"),
        (&["--binary", "/etc/hostname"], 6, "not a 64-bit ELF"),
        (&[], 6, "--binary PATH"),
    ] {
        let usual = ["image", "publish", "--yes"];
        // Next to the tested `mtlog` may be a dynamic engine, or none.
        if arguments.is_empty()
            && Path::new(env!("CARGO_BIN_EXE_mtlog")).with_file_name("log-processor").exists()
        {
            continue;
        }
        bed.mtlog.run(&[&usual[..], arguments].concat()).exits(code).says(&[words]);
    }
    bed.publish(&["--platform", "linux/arm64"]).exits(6).says(&["is for linux/amd64"]);
    bed.publish(&["--platform", "windows"]).exits(64).says(&["is not linux/amd64"]);
    bed.publish(&["--registry", "nowhere"]).exits(64).says(&["is not a repository in a registry"]);
    bed.publish(&["--registry", "h.example/x", "--tag", "?"]).exits(64).says(&["is not an image"]);
    assert_eq!(bed.ecr.requests(), Vec::<String>::new());
}

#[test]
fn a_layout_a_tarball_and_a_push_are_the_same_image() {
    let bed = Bed::new();
    let (layout, tarball) = (bed.path("layout"), bed.path("image.tar"));
    let digest = bed.publish(&["--oci-layout", &layout]).exits(0).stdout.trim().to_owned();
    assert_eq!(bed.publish(&["--tarball", &tarball]).exits(0).stdout.trim(), digest);
    let manifest =
        fs::read(Path::new(&layout).join("blobs").join(digest.replace(':', "/"))).unwrap();
    assert_eq!(sha256(&manifest), digest);
    assert!(bed.publish(&[]).exits(0).stdout.trim().ends_with(&digest));
    let nowhere = bed.path("engine/x.tar");
    bed.publish(&["--tarball", &nowhere]).exits(1).says(&["failed to write", "x.tar"]);
}

#[test]
fn a_full_disk_leaves_no_file_under_the_final_name() {
    let bed = Bed::new();
    for (argument, name) in [("--tarball", "image.tar"), ("--oci-layout", "layout")] {
        let path = bed.path(name);
        // What is written before it has its name goes to a device that is always full.
        let unfinished = match argument {
            "--tarball" => format!("{path}.partial"),
            _ => {
                fs::create_dir(&path).unwrap();
                format!("{path}/index.json.partial")
            }
        };
        std::os::unix::fs::symlink("/dev/full", &unfinished).unwrap();
        bed.publish(&[argument, &path]).exits(1).says(&[
            "failed to write",
            "No space left",
            "the disk is full",
        ]);
        let whole = unfinished.trim_end_matches(".partial");
        assert!(!Path::new(whole).exists(), "{whole}");
        assert!(fs::symlink_metadata(&unfinished).is_err(), "{unfinished} is cleaned away");
    }
}

#[test]
fn verify_refuses_what_lambda_refuses() {
    let mut bed = Bed::new();
    bed.publish(&["--tag", "1"]).exits(0);
    // As `podman login` leaves it: this host is not known as ECR.
    let login =
        json!({"auths": {bed.ecr.host(): {"auth": STANDARD.encode(format!("AWS:{TOKEN}"))}}});
    bed.mtlog.write("auth.json", &login.to_string());
    bed.mtlog.set("REGISTRY_AUTH_FILE", "auth.json");
    let index = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{}]}"#;
    bed.ecr.put_manifest("log-processor:index", index);
    let name = |tag: &str| format!("{}/log-processor:{tag}", bed.ecr.host());
    let verify = |image: &str| bed.mtlog.run(&["image", "verify", image, "-o", "json"]);
    let good = verify(&name("1")).exits(0).says(&["is not a private ECR registry"]);
    assert_eq!(good.json()["lambda_architecture"], "x86_64");
    assert_eq!(good.json()["used_by"], Value::Null);
    verify(&name("index")).exits(6).says(&["an index of 2 images", "--provenance=false"]);
    verify(&name("2")).exits(6).says(&["registry has no"]);
    verify("log-processor").exits(64).says(&["is not an image"]);
    let elsewhere = format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/log-processor:1");
    verify(&elsewhere).exits(6).says(&["Lambda in us-east-2", "the image is in eu-west-1"]);
}

#[test]
fn list_and_prune_know_what_a_stack_runs() {
    let bed = Bed::new();
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let image = |letter: &str, day: u32| {
        json!({"imageDigest": digest(letter), "imageTags": [letter], "imageSizeInBytes": 5,
               "imagePushedAt": f64::from(day) * 86_400.0})
    };
    bed.ecr.holds("log-processor", &[image("a", 1), image("b", 2), image("c", 3)]);
    let used = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/log-processor@{}", digest("a"));
    let template =
        "Parameters: {ECRImageUri: {Type: String}}\nResources: {Topic: {Type: AWS::SNS::Topic}}";
    bed.fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, REGION, "pipeline", StackStatus::CreateComplete)
            .template(template)
            .parameter("ECRImageUri", &used),
    );
    let listed = bed.mtlog.run(&["image", "list", "-o", "json"]).exits(0).json();
    let row = |index: usize| {
        (listed["images"][index]["digest"].clone(), listed["images"][index]["used_by"].clone())
    };
    assert_eq!(row(0), (json!(digest("c")), json!([])));
    assert_eq!(row(2), (json!(digest("a")), json!(["pipeline"])));

    bed.mtlog.run(&["image", "prune", "--keep", "1"]).exits(7);
    assert_eq!(bed.ecr.deleted(), Vec::<String>::new());
    bed.mtlog
        .run(&["image", "prune", "--keep", "1", "--confirm", "log-processor"])
        .exits(0)
        .says(&["Deleted 1 image."]);
    assert_eq!(bed.ecr.deleted(), [digest("b")]);
    bed.mtlog
        .run(&["image", "list", "--repository", "other"])
        .exits(6)
        .says(&["there is no repository `other`"]);
}

#[test]
fn the_engine_that_is_there_builds() {
    let mut bed = Bed::new();
    let keep = format!(
        "while [ $# -gt 1 ]; do [ \"$1\" = --iidfile ] && echo sha256:1 > \"$2\"; shift; done; cp -r \"$1\" {}",
        bed.path("context")
    );
    bed.engine("docker", &keep);
    let binary = bed.path("engine");
    let ran =
        bed.mtlog.run(&["image", "build", "processor", "--binary", &binary, "-o", "json"]).exits(0);
    assert_eq!(ran.json()["engine"], "docker");
    assert_eq!(ran.json()["id"], "sha256:1");
    let calls = bed.calls();
    for part in ["build --file", "--tag localhost/log-processor:", "--build-arg PROGRAM=given"] {
        assert!(calls.contains(part), "{part} in {calls}");
    }
    let context = Path::new(&bed.path("context")).to_owned();
    assert_eq!(fs::read(context.join("log-processor")).unwrap(), executable(1));
    assert!(
        fs::read_to_string(context.join("ca-certificates.crt")).unwrap().starts_with("-----BEGIN")
    );

    // podman comes first, unless another one is asked for.
    bed.engine("podman", &keep);
    let arguments =
        ["image", "build", "collector", "--build-arg", "VECTOR_VERSION=9", "--tag", "c:1"];
    let ran = bed.mtlog.run(&[&arguments[..], &["--platform", "linux/arm64"]].concat()).exits(0);
    assert_eq!(ran.stdout, "c:1\n");
    let calls = bed.calls();
    let last = calls.lines().last().unwrap();
    for part in
        ["--timestamp 0", "--build-arg VECTOR_VERSION=9", "--platform linux/arm64", "--tag c:1"]
    {
        assert!(last.contains(part), "{part} in {last}");
    }
}

#[test]
fn an_engine_that_fails_or_is_missing_says_why() {
    let mut bed = Bed::new();
    let build = ["image", "build", "collector"];
    bed.mtlog.set("PATH", "/nowhere");
    bed.mtlog.run(&build).exits(6).says(&["there is no container engine", "mtlog image publish"]);
    bed.engine("buildah", "echo STEP 1; echo no space left on device >&2; exit 125");
    bed.mtlog.run(&build).exits(1).says(&[
        "  STEP 1",
        "exit status: 125",
        "no space left on device",
    ]);
    bed.mtlog
        .run(&[&build[..], &["--engine", "docker"]].concat())
        .exits(6)
        .says(&["there is no `docker` on the PATH"]);
    bed.mtlog.run(&[&build[..], &["--binary", "x"]].concat()).exits(64).says(&["processor only"]);
    let processor = ["image", "build", "processor", "--source", "/etc"];
    bed.mtlog.run(&processor).exits(6).says(&["`/etc` does not hold the sources"]);
}

#[test]
fn push_hands_the_engine_a_login_and_reads_the_image_back() {
    let mut bed = Bed::new();
    // What the engine would push is there already; it only writes down what it was given.
    bed.publish(&["--tag", "7"]).exits(0);
    let digest = bed.publish(&["--tag", "7", "-o", "json"]).exits(0).json()["digest"].clone();
    let given = bed.path("given");
    bed.engine(
        "podman",
        &format!(
            "while [ $# -gt 0 ]; do [ \"$1\" = --authfile ] && cp \"$2\" {given}; shift; done"
        ),
    );
    let push = ["image", "push", "localhost/log-processor:7", "--yes"];
    let ran = bed.mtlog.run(&push).exits(0);
    let repository = format!("{}/log-processor", bed.ecr.host());
    assert_eq!(ran.stdout.trim(), format!("{repository}@{}", digest.as_str().unwrap()));
    assert!(bed.calls().contains(&format!("localhost/log-processor:7 docker://{repository}:7")));
    assert!(!bed.calls().contains(TOKEN));
    let given = fs::read_to_string(given).unwrap();
    assert!(given.contains(bed.ecr.host()) && !given.contains(TOKEN), "in Base64: {given}");

    bed.mtlog.run(&["image", "push", "untagged", "--yes"]).exits(64).says(&["has no tag"]);
    bed.engine("podman", "echo connection refused >&2; exit 1");
    bed.mtlog.run(&push).exits(1).says(&["`podman push` ended with", "connection refused"]);
}
