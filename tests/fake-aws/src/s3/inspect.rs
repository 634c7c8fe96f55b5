//! What a test can ask and change about buckets and objects.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::delivery::{self, NotificationRoute};
use super::{Bucket, BucketPolicy, Encryption, Object, object};
use crate::fake::FakeAws;
use crate::http::Payload;
use crate::notification::{S3Event, test_event};

/// Knobs of the service. The defaults are AWS's.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The largest page of a listing, 1,000.
    pub list_page_limit: usize,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self { list_page_limit: 1_000 }
    }
}

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The content; nothing for an object of zeros or repetitions that is not held.
    pub body: Option<Bytes>,
    /// The size.
    pub size: u64,
    /// The tag without quotes.
    pub etag: String,
    /// Milliseconds since the epoch on the fake's clock.
    pub last_modified: i64,
    /// `content-type`, `content-encoding` and their like, and `x-amz-meta-*`.
    pub headers: BTreeMap<String, String>,
    /// The tags as a query string.
    pub tagging: String,
}

impl FakeAws {
    /// Changes the knobs of S3.
    pub fn configure_s3(&self, change: impl FnOnce(&mut S3Settings)) {
        change(&mut self.shared().s3().settings);
    }

    /// Creates a bucket. Does nothing when it exists.
    pub fn create_bucket(&self, account: &str, region: &str, bucket: &str) {
        let now = self.shared().clock.now();
        self.shared().s3().buckets.entry(bucket.to_owned()).or_insert_with(|| Bucket {
            name: bucket.to_owned(),
            owner: account.to_owned(),
            region: region.to_owned(),
            created_at: now,
            objects: BTreeMap::new(),
            policy: None,
            documents: BTreeMap::new(),
            routes: Vec::new(),
        });
    }

    /// Sets or takes away one of a bucket's settings, such as `lifecycle`, `notification` or
    /// `publicAccessBlock`, and returns what it was. The text is S3's own XML.
    pub fn set_bucket_document(
        &self,
        bucket: &str,
        name: &str,
        document: Option<&str>,
    ) -> Option<String> {
        let mut s3 = self.shared().s3();
        let Some(bucket) = s3.buckets.get_mut(bucket) else {
            panic!("there is no bucket `{bucket}`")
        };
        match document {
            Some(text) => bucket.documents.insert(name.to_owned(), text.to_owned()),
            None => bucket.documents.remove(name),
        }
    }

    /// Sets a bucket's policy.
    pub fn set_bucket_policy(&self, bucket: &str, document: &str) {
        match BucketPolicy::read(document) {
            Ok(policy) => self.with_bucket(bucket, |bucket| bucket.policy = Some(policy)),
            Err(reason) => panic!("the policy of `{bucket}` is not one: {reason}"),
        }
    }

    /// Announces new objects of a bucket to a queue, and sends the test event that S3 sends then.
    pub fn notify(&self, bucket: &str, route: NotificationRoute) {
        let message = test_event(bucket, self.shared().clock.now());
        crate::sqs::deliver(self.shared(), &route.queue_url, &message);
        self.notify_quietly(bucket, route);
    }

    /// Announces new objects of a bucket to a queue, without a test event.
    pub fn notify_quietly(&self, bucket: &str, route: NotificationRoute) {
        self.with_bucket(bucket, |bucket| bucket.routes.push(route));
    }

    /// Stores an object and announces it as the bucket is set to do; returns its tag.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> String {
        let etag = self.put_object_quietly(bucket, key, &[], body);
        self.announce(bucket, key, "ObjectCreated:Put");
        etag
    }

    /// Stores an object with headers such as `content-encoding`, and announces nothing.
    pub fn put_object_quietly(
        &self,
        bucket: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> String {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.store(bucket, key, headers, Payload::from(body.into()))
    }

    /// Stores an object of that many zeros without holding them, and announces nothing.
    pub fn put_sparse_object(&self, bucket: &str, key: &str, size: u64) -> String {
        self.store(bucket, key, BTreeMap::new(), Payload::zeros(size))
    }

    /// Stores an object of `unit` so many times over, holding it once, and announces nothing.
    pub fn put_repeated_object(
        &self,
        bucket: &str,
        key: &str,
        unit: impl Into<Bytes>,
        times: u64,
    ) -> String {
        self.store(bucket, key, BTreeMap::new(), Payload::repeated(unit.into(), times))
    }

    /// Announces an object that is there, once more or for the first time.
    pub fn announce(&self, bucket: &str, key: &str, event_name: &str) {
        let now = self.shared().clock.now();
        let deliveries =
            self.with_bucket(bucket, |bucket| delivery::deliveries(bucket, key, event_name, now));
        delivery::send(self.shared(), deliveries);
    }

    /// Returns the event of an object's creation, to be wrapped and sent by the test.
    pub fn s3_event(&self, bucket: &str, key: &str) -> S3Event {
        let now = self.shared().clock.now();
        let event = self
            .with_bucket(bucket, |bucket| delivery::event(bucket, key, "ObjectCreated:Put", now));
        match event {
            Some(event) => event,
            None => panic!("there is no object `{key}` in bucket `{bucket}`"),
        }
    }

    /// Returns an object, if it is there.
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        self.with_bucket(bucket, |bucket| {
            bucket.objects.get(key).map(|object| StoredObject {
                body: object.body.to_bytes(),
                size: object.body.len(),
                etag: object.etag.clone(),
                last_modified: object.modified_at,
                headers: object.headers.clone(),
                tagging: object.tagging.clone(),
            })
        })
    }

    /// Returns the keys of a bucket in order.
    pub fn object_keys(&self, bucket: &str) -> Vec<String> {
        self.with_bucket(bucket, |bucket| bucket.objects.keys().cloned().collect())
    }

    /// Deletes an object and announces nothing; returns whether it was there.
    pub fn delete_object(&self, bucket: &str, key: &str) -> bool {
        self.with_bucket(bucket, |bucket| bucket.objects.remove(key).is_some())
    }

    /// Tells whether a bucket exists.
    pub fn bucket_exists(&self, bucket: &str) -> bool {
        self.shared().s3().buckets.contains_key(bucket)
    }

    /// Returns a bucket's settings as they were put, by subresource: `versioning`, `encryption`,
    /// `publicAccessBlock`, `lifecycle`, `tagging`, and `policy`.
    pub fn bucket_documents(&self, bucket: &str) -> BTreeMap<String, String> {
        self.with_bucket(bucket, |bucket| {
            let mut documents = bucket.documents.clone();
            if let Some(policy) = &bucket.policy {
                documents.insert("policy".to_owned(), policy.text.clone());
            }
            documents
        })
    }

    /// Returns the number of multipart uploads that are neither complete nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.shared().s3().uploads.len()
    }

    fn store(
        &self,
        bucket: &str,
        key: &str,
        headers: BTreeMap<String, String>,
        body: Payload,
    ) -> String {
        let now = self.shared().clock.now();
        let sequencer = self.shared().s3().next_sequencer();
        let etag = object::etag(&body, &Encryption::Aes256);
        let object = Object {
            body,
            etag: etag.clone(),
            modified_at: now,
            sequencer,
            headers,
            checksum: None,
            encryption: Encryption::Aes256,
            tagging: String::new(),
            written_by: "AROATEST:writer".to_owned(),
        };
        self.with_bucket(bucket, |bucket| bucket.objects.insert(key.to_owned(), object));
        etag
    }

    fn with_bucket<T>(&self, bucket: &str, act: impl FnOnce(&mut Bucket) -> T) -> T {
        match self.shared().s3().buckets.get_mut(bucket) {
            Some(bucket) => act(bucket),
            None => panic!("there is no bucket `{bucket}`"),
        }
    }
}
