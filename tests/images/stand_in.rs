//! A registry with ECR's API beside it, in the test's own process. What is for another service goes on to the
//! stand-in for AWS.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fake_aws::{
    FakeAws,
    iam::{self, Policy, Principal},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What ECR hands out.
pub(crate) const TOKEN: &str = "ecr-token";

/// What goes wrong, for requests whose line contains a text.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// This status, with a body as registries have it.
    Status(u16, &'static str),
    /// The connection ends when so many bytes of the body have come.
    Cut(usize),
}

#[derive(Debug, Default)]
struct State {
    /// Each request so far, as `METHOD PATH` or `ECR Operation region`.
    log: Vec<String>,
    troubles: Vec<(&'static str, usize, Trouble)>,
    repositories: BTreeMap<String, Value>,
    lifecycles: BTreeSet<String>,
    images: Vec<Value>,
    deleted: Vec<String>,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    /// What callers may do; everything while there is none.
    policy: Option<Policy>,
}

/// The running stand-in.
pub(crate) struct Ecr {
    address: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

impl Ecr {
    /// Starts on a free port. The thread ends with the test's process.
    pub(crate) fn start(fake: &FakeAws) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let behind = fake.endpoint_url().trim_start_matches("http://").to_owned();
        let (served, host) = (Arc::clone(&state), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, host, behind) = (Arc::clone(&served), host.clone(), behind.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &state, &host, &behind));
            }
        });
        Self { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn host(&self) -> &str {
        &self.address
    }

    /// The next `times` requests whose line contains `part` meet with trouble.
    pub(crate) fn trouble(&self, part: &'static str, times: usize, trouble: Trouble) {
        self.state().troubles.push((part, times, trouble));
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    /// Holds every call against this policy, or against none.
    pub(crate) fn limit(&self, policy: Option<&Value>) {
        self.state().policy = policy.map(|policy| Policy::identity(policy).unwrap());
    }

    /// Returns the permissions that the requests since the last call of this or of [`Ecr::requests`] needed.
    pub(crate) fn permissions(&self) -> BTreeSet<String> {
        let requests = self.requests();
        requests.iter().filter_map(|line| permission(line)).map(str::to_owned).collect()
    }

    /// Returns what `CreateRepository` was told, and whether there is a lifecycle policy.
    pub(crate) fn repository(&self, name: &str) -> Option<(Value, bool)> {
        let state = self.state();
        Some((state.repositories.get(name)?.clone(), state.lifecycles.contains(name)))
    }

    /// Makes a repository with images that nobody pushed.
    pub(crate) fn holds(&self, name: &str, images: &[Value]) {
        let mut state = self.state();
        state.repositories.insert(name.to_owned(), json!({}));
        state.images = images.to_vec();
    }

    /// Returns the digests that `BatchDeleteImage` was given.
    pub(crate) fn deleted(&self) -> Vec<String> {
        self.state().deleted.clone()
    }

    /// Puts a manifest there, under a name such as `log-processor:1`.
    pub(crate) fn put_manifest(&self, name: &str, manifest: &str) {
        self.state().manifests.insert(name.to_owned(), manifest.as_bytes().to_vec());
    }

    /// Returns the names of all manifests.
    pub(crate) fn tags(&self) -> Vec<String> {
        let state = self.state();
        state.manifests.keys().filter(|name| !name.contains("sha256:")).cloned().collect()
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>, host: &str, behind: &str) {
    let Some((mut request, mut reader, length)) = head(stream) else { return };
    let target = header(&request.head, "x-amz-target").unwrap_or_default();
    let ecr = target.strip_prefix("AmazonEC2ContainerRegistry_V20150921.").map(str::to_owned);
    let line = match &ecr {
        Some(operation) => format!("ECR {operation} {}", region(&request.head)),
        None if request.path.starts_with("/v2/") => format!("{} {}", request.method, request.path),
        None => format!("AWS {}", region(&request.head)),
    };
    let trouble = {
        let mut state = state.lock().unwrap();
        state.log.push(line.clone());
        state.troubles.iter_mut().find(|(part, times, _)| *times > 0 && line.contains(part)).map(
            |trouble| {
                trouble.1 -= 1;
                trouble.2.clone()
            },
        )
    };
    if let Some(Trouble::Cut(bytes)) = trouble {
        let mut some = vec![0; bytes.min(length)];
        reader.read_exact(&mut some).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        return;
    }
    request.body = vec![0; length];
    if reader.read_exact(&mut request.body).is_err() {
        return;
    }
    if let Some(Trouble::Status(status, body)) = trouble {
        return answer(stream, status, "", body.as_bytes());
    }
    let input: Value = match &ecr {
        Some(_) => serde_json::from_slice(&request.body).unwrap(),
        None => Value::Null,
    };
    if let Some(action) = permission(&line) {
        let repository = repository(&request.path, &input);
        if let Some(sentence) = refusal(&state.lock().unwrap(), action, &repository) {
            let (status, body) = match ecr {
                Some(_) => (400, json!({"__type": "AccessDeniedException", "message": sentence})),
                None => (403, json!({"errors": [{"code": "DENIED", "message": sentence}]})),
            };
            return answer(stream, status, "", body.to_string().as_bytes());
        }
    }
    match ecr {
        Some(operation) => {
            let (status, output) = api(&mut state.lock().unwrap(), host, &operation, &input);
            answer(stream, status, "", output.to_string().as_bytes());
        }
        None if request.path.starts_with("/v2/") => {
            registry(stream, &mut state.lock().unwrap(), &request);
        }
        None => forward(stream, behind, &request),
    }
}

/// Returns the permission that a request needs, given as a line of the log.
/// Source: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>.
fn permission(line: &str) -> Option<&'static str> {
    let (method, rest) = line.split_once(' ')?;
    let is_upload = rest.contains("/blobs/uploads");
    Some(match (method, rest) {
        ("ECR", operation) => match operation.split(' ').next()? {
            "GetAuthorizationToken" => "ecr:GetAuthorizationToken",
            "DescribeRepositories" => "ecr:DescribeRepositories",
            "CreateRepository" => "ecr:CreateRepository",
            "PutLifecyclePolicy" => "ecr:PutLifecyclePolicy",
            "DescribeImages" => "ecr:DescribeImages",
            "BatchDeleteImage" => "ecr:BatchDeleteImage",
            "BatchGetImage" => "ecr:BatchGetImage",
            other => panic!("ECR's {other} has no permission here"),
        },
        ("GET" | "HEAD", path) if path.contains("/manifests/") => "ecr:BatchGetImage",
        ("PUT", path) if path.contains("/manifests/") => "ecr:PutImage",
        ("HEAD", path) if path.contains("/blobs/") => "ecr:BatchCheckLayerAvailability",
        ("GET", path) if path.contains("/blobs/") => "ecr:GetDownloadUrlForLayer",
        ("POST", _) if is_upload => "ecr:InitiateLayerUpload",
        ("PATCH", _) if is_upload => "ecr:UploadLayerPart",
        // The whole layer comes with the request that completes it.
        ("PUT", _) if is_upload => "ecr:CompleteLayerUpload",
        _ => return None,
    })
}

/// Returns the repository that a request is about, or nothing for a request about none.
fn repository(path: &str, input: &Value) -> String {
    let of_path = path.strip_prefix("/v2/").and_then(|path| path.split('/').next());
    let of_input =
        input["repositoryName"].as_str().or_else(|| input["repositoryNames"][0].as_str());
    of_input.or(of_path).unwrap_or_default().to_owned()
}

/// Returns the sentence of a refusal, if the policy does not allow the action.
fn refusal(state: &State, action: &str, repository: &str) -> Option<String> {
    const CALLER: &str = "arn:aws:iam::111111111111:user/limited";
    let policy = state.policy.clone()?;
    let resource = match action {
        "ecr:GetAuthorizationToken" => "*".to_owned(),
        _ => format!("arn:aws:ecr:us-east-2:111111111111:repository/{repository}"),
    };
    let request = iam::Request {
        principal: Principal::Iam(CALLER.to_owned()),
        action: action.to_owned(),
        resource: resource.clone(),
        context: iam::Context::default(),
    };
    let decision = iam::evaluate(&[policy], None, &request).unwrap();
    (!decision.is_allowed()).then(|| {
        format!(
            "User: {CALLER} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
        )
    })
}

fn head(stream: &TcpStream) -> Option<(Request, BufReader<&TcpStream>, usize)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
    let mut words = head.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    Some((Request { method, path, head, body: Vec::new() }, reader, length))
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The region in the signature.
fn region(head: &str) -> String {
    let authorization = header(head, "authorization").unwrap_or_default();
    authorization.split('/').nth(2).unwrap_or_default().to_owned()
}

fn answer(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that is gone needs no answer.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
}

fn forward(mut stream: &TcpStream, behind: &str, request: &Request) {
    let mut upstream = TcpStream::connect(behind).unwrap();
    let head = request.head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    upstream.write_all(head.as_bytes()).unwrap();
    upstream.write_all(&request.body).unwrap();
    let mut reply = Vec::new();
    upstream.read_to_end(&mut reply).unwrap();
    stream.write_all(&reply).unwrap();
}

/// ECR's own API, as far as `mtlog image` uses it.
fn api(state: &mut State, host: &str, operation: &str, input: &Value) -> (u16, Value) {
    let missing = || {
        (
            400,
            json!({"__type": "RepositoryNotFoundException", "message": "The repository does not exist"}),
        )
    };
    let name = input["repositoryName"].as_str().unwrap_or_default().to_owned();
    match operation {
        "GetAuthorizationToken" => {
            let token = STANDARD.encode(format!("AWS:{TOKEN}"));
            let data =
                json!({"authorizationToken": token, "proxyEndpoint": format!("http://{host}")});
            (200, json!({"authorizationData": [data]}))
        }
        "DescribeRepositories" => {
            let name = input["repositoryNames"][0].as_str().unwrap();
            match state.repositories.get(name) {
                Some(_) => (200, json!({"repositories": [{"repositoryName": name}]})),
                None => missing(),
            }
        }
        "CreateRepository" => {
            state.repositories.insert(name, input.clone());
            (200, json!({"repository": {}}))
        }
        "PutLifecyclePolicy" => {
            state.lifecycles.insert(name);
            (200, json!({}))
        }
        "DescribeImages" if state.repositories.contains_key(&name) => {
            (200, json!({"imageDetails": state.images}))
        }
        "BatchGetImage" => {
            let id = &input["imageIds"][0];
            let key = match (id["imageTag"].as_str(), id["imageDigest"].as_str()) {
                (Some(tag), _) => format!("{name}:{tag}"),
                (None, digest) => format!("{name}@{}", digest.unwrap_or_default()),
            };
            let found = state.manifests.get(&key).map(|text| {
                json!({"imageId": id, "imageManifest": String::from_utf8(text.clone()).unwrap()})
            });
            (200, json!({"images": Vec::from_iter(found), "failures": []}))
        }
        "BatchDeleteImage" => {
            let digests = input["imageIds"].as_array().unwrap().iter();
            let digests = digests.map(|id| id["imageDigest"].as_str().unwrap().to_owned());
            state.deleted.extend(digests);
            (200, json!({"failures": []}))
        }
        _ => missing(),
    }
}

/// The registry's API (<https://github.com/opencontainers/distribution-spec>), with tags that do not move.
fn registry(stream: &TcpStream, state: &mut State, request: &Request) {
    let login = format!("Basic {}", STANDARD.encode(format!("AWS:{TOKEN}")));
    if header(&request.head, "authorization") != Some(login) {
        return answer(stream, 401, "www-authenticate: Basic realm=\"r\"\r\n", b"");
    }
    let path = request.path.trim_start_matches("/v2/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let refusal = |status: u16, code: &str| {
        let body = json!({"errors": [{"code": code, "message": "refused"}]}).to_string();
        answer(stream, status, "", body.as_bytes());
    };
    if let Some((name, digest)) = path.split_once("/blobs/") {
        match (request.method.as_str(), state.blobs.get(digest)) {
            ("HEAD", Some(_)) => answer(stream, 200, "", b""),
            ("GET", Some(blob)) => answer(stream, 200, "", blob),
            ("POST", _) if !state.repositories.contains_key(name) && name != "plain" => {
                refusal(404, "NAME_UNKNOWN");
            }
            ("POST", _) => {
                let location = format!("location: /v2/{name}/blobs/uploads/1\r\n");
                answer(stream, 202, &location, b"");
            }
            ("PUT", _) => {
                let digest = query.trim_start_matches("digest=").replace("%3A", ":");
                if sha256(&request.body) == digest {
                    state.blobs.insert(digest, request.body.clone());
                    answer(stream, 201, "location: /v2/plain/blobs/x\r\n", b"");
                } else {
                    refusal(400, "DIGEST_INVALID");
                }
            }
            _ => refusal(404, "BLOB_UNKNOWN"),
        }
    } else if let Some((name, version)) = path.split_once("/manifests/") {
        let separator = if version.contains(':') { '@' } else { ':' };
        let key = format!("{name}{separator}{version}");
        match (request.method.as_str(), state.manifests.get(&key)) {
            ("GET", Some(manifest)) => answer(stream, 200, "", manifest),
            ("PUT", Some(_)) => refusal(400, "TAG_INVALID"),
            ("PUT", None) => {
                let by_digest = format!("{name}@{}", sha256(&request.body));
                state.manifests.insert(by_digest, request.body.clone());
                state.manifests.insert(key, request.body.clone());
                // ECR does not say where it is.
                answer(stream, 201, "", b"");
            }
            _ => refusal(404, "MANIFEST_UNKNOWN"),
        }
    } else {
        answer(stream, 200, "", b"{}");
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
