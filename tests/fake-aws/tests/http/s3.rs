//! Buckets and objects.

use fake_aws::{Envelope, FakeAws, NotificationRoute, notification};
use serde_json::{Value, json};

use crate::client::{ACCOUNT, CUSTOMER, Client, REGION};

fn fake() -> (FakeAws, Client) {
    let fake = FakeAws::start_blocking();
    fake.create_bucket(ACCOUNT, REGION, "central");
    let client = Client::root(&fake, ACCOUNT);
    (fake, client)
}

#[test]
fn objects_are_read_in_parts_of_one_version() {
    let (fake, client) = fake();
    let etag = fake.put_object("central", "k", &b"0123456789"[..]);
    let get = |headers: &[(&str, &str)]| client.s3("GET", "/central/k", headers, b"");
    let part = get(&[("range", "bytes=2-4"), ("if-match", &etag)]);
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("etag"), Some(&*format!("\"{etag}\"")));
    assert_eq!(get(&[("range", "bytes=10-")]).code(), "InvalidRange");
    fake.put_object("central", "k", &b"changed"[..]);
    let changed = get(&[("range", "bytes=5-9"), ("if-match", &etag)]);
    assert_eq!((changed.status, changed.code().as_str()), (412, "PreconditionFailed"));
    let head = client.s3("HEAD", "/central/k", &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("7"), 0));
    let same = get(&[("if-none-match", head.header("etag").unwrap())]);
    assert_eq!((same.status, same.body.len()), (304, 0));
}

#[test]
fn a_missing_key_is_forbidden_to_those_who_may_not_list() {
    let (fake, client) = fake();
    assert_eq!(client.s3("GET", "/central/none", &[], b"").code(), "NoSuchKey");
    let role = "arn:aws:iam::111122223333:role/reader";
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}});
    let policy = |actions: &Value| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions,
            "Resource": ["arn:aws:s3:::central", "arn:aws:s3:::central/*"]}})
        .to_string()
    };
    fake.add_role(role, &trust.to_string(), &[&policy(&json!("s3:GetObject"))]);
    let reader = Client::new(&fake, fake.role_credentials(role, "ab"));
    let missing = reader.s3("GET", "/central/none", &[], b"");
    assert_eq!((missing.status, missing.code().as_str()), (403, "AccessDenied"));
    assert_eq!(reader.s3("HEAD", "/central/none", &[], b"").status, 403);
    fake.set_identity_policies(role, &[&policy(&json!(["s3:GetObject", "s3:ListBucket"]))]);
    assert_eq!(reader.s3("GET", "/central/none", &[], b"").code(), "NoSuchKey");
    assert_eq!(reader.s3("PUT", "/central/new", &[], b"x").code(), "AccessDenied");
    assert_eq!(reader.s3("GET", "/absent/none", &[], b"").code(), "NoSuchBucket");
}

#[test]
fn other_accounts_need_the_buckets_policy() {
    let (fake, client) = fake();
    fake.create_bucket(CUSTOMER, REGION, "theirs");
    fake.put_object("central", "k", &b"content"[..]);
    let copy = [("x-amz-copy-source", "central/k"), ("x-amz-acl", "bucket-owner-full-control")];
    assert_eq!(client.s3("PUT", "/theirs/copy", &copy, b"").code(), "AccessDenied");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
        "Action": "s3:PutObject", "Resource": "arn:aws:s3:::theirs/*"}]});
    fake.set_bucket_policy("theirs", &policy.to_string());
    let reply = client.s3("PUT", "/theirs/copy", &copy, b"");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(fake.object("theirs", "copy").unwrap().body.unwrap(), &b"content"[..]);
    let owner = |account: &'static str| {
        client.s3("PUT", "/theirs/x", &[("x-amz-expected-bucket-owner", account)], b"")
    };
    assert_eq!(owner(CUSTOMER).status, 200);
    assert_eq!(owner(ACCOUNT).code(), "AccessDenied");
    // The customer still cannot read the central bucket.
    let customer = Client::root(&fake, CUSTOMER);
    assert_eq!(customer.s3("GET", "/central/k", &[], b"").code(), "AccessDenied");
}

#[test]
fn requests_are_held_to_the_model() {
    let (fake, client) = fake();
    fake.put_object("central", "there", &b"x"[..]);
    let long = format!("/central/{}", "k".repeat(1_025));
    let declared = "a".repeat(64);
    let rows: Vec<(&str, &str, Vec<(&str, &str)>, &[u8], u16, &str)> = vec![
        ("PUT", "/central/there", vec![("if-none-match", "*")], b"", 412, "PreconditionFailed"),
        ("PUT", "/central/new", vec![("if-none-match", "*")], b"", 200, ""),
        (
            "PUT",
            "/central/k",
            vec![("x-amz-content-sha256", &declared)],
            b"x",
            400,
            "XAmzContentSHA256Mismatch",
        ),
        (
            "PUT",
            "/central/k",
            vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")],
            b"x",
            400,
            "BadDigest",
        ),
        ("PUT", "/central/k", vec![("x-amz-checksum-crc32", "AAAAAA==")], b"x", 400, "BadDigest"),
        (
            "PUT",
            "/central/k",
            vec![("x-amz-acl", "public-read")],
            b"x",
            400,
            "AccessControlListNotSupported",
        ),
        ("PUT", &long, vec![], b"x", 400, "KeyTooLongError"),
        ("PUT", "/central/k", vec![("x-amz-copy-source", "nonsense")], b"", 400, "InvalidArgument"),
        ("PUT", "/central/k", vec![("x-amz-copy-source", "central/none")], b"", 404, "NoSuchKey"),
        (
            "PUT",
            "/central/there",
            vec![("x-amz-copy-source", "central/there")],
            b"",
            400,
            "InvalidRequest",
        ),
        ("PUT", "/central/k?partNumber=10001&uploadId=x", vec![], b"", 400, "InvalidArgument"),
        ("PUT", "/central/k?partNumber=1&uploadId=x", vec![], b"", 404, "NoSuchUpload"),
        (
            "POST",
            "/central?delete",
            vec![],
            b"<Delete><Object><Key>x</Key></Object></Delete>",
            400,
            "InvalidRequest",
        ),
        ("GET", "/central", vec![], b"", 501, "NotImplemented"),
        ("PATCH", "/central/k", vec![], b"", 405, "MethodNotAllowed"),
        ("PUT", "/UPPER", vec![], b"", 400, "InvalidBucketName"),
        (
            "PUT",
            "/central?versioning",
            vec![],
            b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
            400,
            "MalformedXML",
        ),
        (
            "PUT",
            "/central?notification",
            vec![],
            b"<NotificationConfiguration/>",
            501,
            "NotImplemented",
        ),
        ("DELETE", "/central", vec![], b"", 409, "BucketNotEmpty"),
    ];
    for (method, target, headers, body, status, code) in rows {
        let reply = client.s3(method, target, &headers, body);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{method} {target:.40} {headers:?}"
        );
    }
    let undeclared = client.send("s3", "GET", "/central/there", &[], b"");
    assert_eq!(undeclared.code(), "InvalidRequest");
    let elsewhere = client.in_region("eu-west-1").s3("GET", "/central/there", &[], b"");
    assert_eq!((elsewhere.status, elsewhere.header("x-amz-bucket-region")), (301, Some(REGION)));
}

#[test]
fn buckets_are_made_in_the_region_of_the_request() {
    let (fake, client) = fake();
    let elsewhere = client.in_region("eu-west-1");
    let place = |region: &str| {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let rows = [
        (&client, "/made-here", String::new(), ""),
        (&client, "/made-here", String::new(), ""),
        (&client, "/not-here", place("eu-west-1"), "IllegalLocationConstraintException"),
        (&elsewhere, "/made-there", place("eu-west-1"), ""),
        (&elsewhere, "/made-there", place("eu-west-1"), "BucketAlreadyOwnedByYou"),
        (&elsewhere, "/not-there", String::new(), "IllegalLocationConstraintException"),
    ];
    for (client, target, body, expected) in rows {
        let reply = client.s3("PUT", target, &[], body.as_bytes());
        assert_eq!(reply.code(), expected, "{target} {body}");
    }
    let stranger = Client::root(&fake, CUSTOMER);
    assert_eq!(stranger.s3("PUT", "/made-here", &[], b"").code(), "BucketAlreadyExists");
}

#[test]
fn large_objects_are_copied_in_parts() {
    const GIB: u64 = 1 << 30;
    let (fake, client) = fake();
    fake.create_bucket(ACCOUNT, REGION, "target");
    fake.put_sparse_object("central", "large", 6 * GIB);
    let whole = client.s3("PUT", "/target/large", &[("x-amz-copy-source", "central/large")], b"");
    assert_eq!(whole.code(), "InvalidRequest");
    let upload = client.s3("POST", "/target/large?uploads", &[], b"").element("UploadId").unwrap();
    let mut parts = String::new();
    for (number, range) in
        [(1, format!("bytes=0-{}", 5 * GIB - 1)), (2, format!("bytes={}-{}", 5 * GIB, 6 * GIB - 1))]
    {
        let target = format!("/target/large?partNumber={number}&uploadId={upload}");
        let reply = client.s3(
            "PUT",
            &target,
            &[("x-amz-copy-source", "central/large"), ("x-amz-copy-source-range", &range)],
            b"",
        );
        assert_eq!(reply.status, 200, "{}", reply.text());
        let etag = reply.element("ETag").unwrap().replace("&quot;", "\"");
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let beyond = format!("bytes=0-{}", 6 * GIB);
    let target = format!("/target/large?partNumber=3&uploadId={upload}");
    let reply = client.s3(
        "PUT",
        &target,
        &[("x-amz-copy-source", "central/large"), ("x-amz-copy-source-range", &beyond)],
        b"",
    );
    assert_eq!(reply.code(), "InvalidArgument");
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let reply =
        client.s3("POST", &format!("/target/large?uploadId={upload}"), &[], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(fake.object("target", "large").unwrap().size, 6 * GIB);
    assert_eq!(fake.open_uploads(), 0);
}

#[test]
fn small_parts_are_refused_but_as_the_last() {
    let (_fake, client) = fake();
    let upload = client.s3("POST", "/central/k?uploads", &[], b"").element("UploadId").unwrap();
    let etags: Vec<String> = (1..=2)
        .map(|number| {
            let reply = client.s3(
                "PUT",
                &format!("/central/k?partNumber={number}&uploadId={upload}"),
                &[],
                b"small",
            );
            reply.header("etag").unwrap().to_owned()
        })
        .collect();
    let complete = |parts: &[(u32, &str)]| {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        client.s3("POST", &format!("/central/k?uploadId={upload}"), &[], body.as_bytes()).code()
    };
    assert_eq!(complete(&[]), "MalformedXML");
    assert_eq!(complete(&[(2, &etags[1]), (1, &etags[0])]), "InvalidPartOrder");
    assert_eq!(complete(&[(1, "wrong")]), "InvalidPart");
    assert_eq!(complete(&[(1, &etags[0]), (2, &etags[1])]), "EntityTooSmall");
    assert_eq!(complete(&[(1, &etags[0])]), "");
    assert_eq!(complete(&[(1, &etags[0])]), "NoSuchUpload");
}

#[test]
fn new_objects_are_announced_in_every_envelope() {
    let (fake, client) = fake();
    let topic_arn = "arn:aws:sns:us-east-1:111122223333:logs".to_owned();
    let envelopes = [Envelope::Raw, Envelope::Sns { topic_arn }, Envelope::EventBridge];
    let urls: Vec<String> = envelopes
        .into_iter()
        .zip(["raw", "sns", "bridge"])
        .map(|(envelope, name)| {
            let url = fake.create_queue(ACCOUNT, REGION, name, &[]);
            fake.notify("central", NotificationRoute::new(&url, envelope));
            url
        })
        .collect();
    assert_eq!(client.s3("PUT", "/central/c/n%20s/app/pod/1.json.gz", &[], b"content").status, 200);
    assert_eq!(client.s3("PUT", "/central/other.txt", &[], b"not announced").status, 200);
    let body = |url: &String| -> Value {
        let messages = fake.queue_messages(url);
        assert_eq!(messages.len(), 2);
        assert!(messages[0].body.contains("s3:TestEvent"));
        serde_json::from_str(&messages[1].body).unwrap()
    };
    let record = &body(&urls[0])["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["bucket"]["name"], "central");
    assert_eq!(record["s3"]["object"]["key"], "c/n+s/app/pod/1.json.gz");
    assert_eq!(record["s3"]["object"]["size"], 7);
    let wrapped = body(&urls[1]);
    let inner: Value = serde_json::from_str(wrapped["Message"].as_str().unwrap()).unwrap();
    assert_eq!(inner["Records"][0]["s3"], record["s3"]);
    assert_eq!(body(&urls[2])["detail"]["object"]["key"], "c/n s/app/pod/1.json.gz");
    // The same object once more: the same sequencer.
    let again = fake.s3_event("central", "c/n s/app/pod/1.json.gz");
    assert_eq!(record["s3"]["object"]["sequencer"], again.sequencer);
    let first = notification::S3Event::created("b", "k").sequencer;
    assert_eq!(first.len(), 16);
}

#[test]
fn listings_come_in_pages() {
    let (fake, client) = fake();
    for number in 0..7 {
        fake.put_object_quietly("central", &format!("p/{number}/x y"), &[], "");
    }
    fake.configure_s3(|settings| settings.list_page_limit = 3);
    let mut keys = Vec::new();
    let mut token = String::new();
    loop {
        let reply = client.s3(
            "GET",
            &format!("/central?list-type=2&prefix=p/&encoding-type=url{token}"),
            &[],
            b"",
        );
        let text = reply.text();
        keys.extend(
            text.split("<Key>").skip(1).map(|part| part.split('<').next().unwrap().to_owned()),
        );
        match reply.element("NextContinuationToken") {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    assert_eq!(keys, (0..7).map(|number| format!("p/{number}/x+y")).collect::<Vec<_>>());
}
