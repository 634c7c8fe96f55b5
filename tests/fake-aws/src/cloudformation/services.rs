//! What stacks make in the other services of the fake: their own calls, made by the account's
//! root, so that whatever they refuse a stack is refused, too.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::by_hand;
use super::iam_documents::Documents;
use super::template::scalar;
use super::world::{Item, ObjectPlace, ObjectProblem, Refusal, World};
use crate::clock::SECOND;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::identity::{Caller, CallerKind};
use crate::service::Service;
use crate::shared::{Context, Shared};
use crate::{s3, xml};

/// The other services, as stacks use them.
pub(super) struct Services<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) documents: &'a Documents,
    /// Who reads templates; the account itself while nobody calls.
    pub(super) reader: Option<&'a Caller>,
}

const QUEUE_ATTRIBUTES: &[&str] = &[
    "DelaySeconds",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

/// For so long after a deletion SQS refuses another queue of the name. A stack waits for the end
/// of that, so its deletions are told to SQS as that old.
const QUEUE_NAME_REST: i64 = 61 * SECOND;

impl World for Services<'_> {
    fn template(&self, place: &ObjectPlace, account: &str) -> Result<String, ObjectProblem> {
        let caller = root(account);
        let path = format!("/{}", place.bucket);
        let mut request = bare(Method::GET, &path);
        request.query.push(("location".to_owned(), String::new()));
        let wanted = place.region.as_deref().unwrap_or("us-east-1");
        let located = self.s3(&caller, wanted, "GetBucketLocation", &request);
        let found = located.ok().as_ref().and_then(location);
        // The endpoint without a region leads to a bucket wherever it is.
        let region = match (found, place.region.is_some()) {
            (Some(found), true) if found != wanted => return Err(ObjectProblem::WrongRegion),
            (Some(found), _) => found,
            (None, _) => wanted.to_owned(),
        };
        let key = utf8_percent_encode(&place.key, NON_ALPHANUMERIC);
        let request = bare(Method::GET, &format!("{path}/{key}"));
        let reader = self.reader.unwrap_or(&caller);
        let reply = self.s3(reader, &region, "GetObject", &request).map_err(|error| match error
            .code
            .as_str()
        {
            "NoSuchBucket" => ObjectProblem::NoBucket,
            "NoSuchKey" => ObjectProblem::NoKey,
            _ => ObjectProblem::AccessDenied,
        })?;
        let body = reply.body.to_bytes().ok_or(ObjectProblem::NoKey)?;
        String::from_utf8(body.to_vec()).map_err(|_| ObjectProblem::NoKey)
    }

    fn exists(&self, item: &Item<'_>) -> bool {
        match item.kind.name {
            "AWS::S3::Bucket" => match self.bucket(item, Method::HEAD, "HeadBucket", "") {
                Ok(_) => true,
                Err(error) => error.status != 404,
            },
            "AWS::SQS::Queue" => self.queue_exists(item),
            "AWS::DynamoDB::Table" => self
                .json(Service::DynamoDb, "DescribeTable", item, &json!({"TableName": item.name}))
                .is_ok(),
            "AWS::Logs::LogGroup" => self.log_group_exists(item),
            "AWS::IAM::Role" => self.shared.identities().role(&role_arn(item)).is_some(),
            _ => false,
        }
    }

    fn create(&self, item: &Item<'_>) -> Result<Option<String>, Refusal> {
        match item.kind.name {
            "AWS::S3::Bucket" => self.create_bucket(item).map(|()| None),
            "AWS::S3::BucketPolicy" => self.put_bucket_policy(item).map(|()| None),
            "AWS::SQS::Queue" if is_fifo(item) => Ok(None),
            "AWS::SQS::Queue" => {
                if self.queue_exists(item) {
                    return Err(Refusal::AlreadyExists);
                }
                let input = json!({"QueueName": item.name, "Attributes": queue_attributes(item)});
                let made = self.json(Service::Sqs, "CreateQueue", item, &input).map_err(refused)?;
                Ok(made.get("QueueUrl").map(scalar))
            }
            "AWS::SQS::QueuePolicy" => self.put_queue_policy(item).map(|()| None),
            "AWS::DynamoDB::Table" => {
                let made = self.json(Service::DynamoDb, "CreateTable", item, &table_input(item));
                made.map_err(refused)?;
                self.set_table_options(item).map(|()| None)
            }
            "AWS::Logs::LogGroup" => {
                let input = json!({"logGroupName": item.name});
                self.json(Service::Logs, "CreateLogGroup", item, &input).map_err(refused)?;
                self.put_retention(item).map(|()| None)
            }
            _ => {
                self.register(item);
                self.documents.apply(self.shared, item).map(|()| None)
            }
        }
    }

    fn update(&self, item: &Item<'_>) -> Result<(), Refusal> {
        match item.kind.name {
            "AWS::S3::BucketPolicy" => self.put_bucket_policy(item),
            "AWS::SQS::Queue" if is_fifo(item) => Ok(()),
            "AWS::SQS::Queue" => {
                let input =
                    json!({"QueueUrl": item.physical, "Attributes": queue_attributes(item)});
                self.json(Service::Sqs, "SetQueueAttributes", item, &input)
                    .map(drop)
                    .map_err(refused)
            }
            "AWS::SQS::QueuePolicy" => self.put_queue_policy(item),
            "AWS::DynamoDB::Table" => self.set_table_options(item),
            "AWS::Logs::LogGroup" => self.put_retention(item),
            "AWS::S3::Bucket" => {
                self.put_bucket_settings(item);
                Ok(())
            }
            _ => {
                self.register(item);
                self.documents.apply(self.shared, item)
            }
        }
    }

    fn delete(&self, item: &Item<'_>) -> Result<(), Refusal> {
        let deleted = match item.kind.name {
            "AWS::S3::Bucket" => self.bucket(item, Method::DELETE, "DeleteBucket", "").map(drop),
            "AWS::SQS::Queue" if is_fifo(item) => Ok(()),
            "AWS::SQS::Queue" => {
                let earlier = Item { now: item.now.saturating_sub(QUEUE_NAME_REST), ..*item };
                let input = json!({"QueueUrl": item.physical});
                self.json(Service::Sqs, "DeleteQueue", &earlier, &input).map(drop)
            }
            "AWS::DynamoDB::Table" => self
                .json(Service::DynamoDb, "DeleteTable", item, &json!({"TableName": item.name}))
                .map(drop),
            "AWS::Logs::LogGroup" => self
                .json(Service::Logs, "DeleteLogGroup", item, &json!({"logGroupName": item.name}))
                .map(drop),
            _ => {
                self.forget(item);
                return self.documents.remove(self.shared, item);
            }
        };
        match deleted {
            Err(error) if is_absence(&error.code) => Ok(()),
            Err(error) => Err(refused(error)),
            Ok(()) => Ok(()),
        }
    }
}

impl Services<'_> {
    /// Makes a call of one of the services that speak JSON.
    fn json(
        &self,
        service: Service,
        operation: &str,
        item: &Item<'_>,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let caller = root(&item.pseudo.account);
        let request = bare(Method::POST, "/");
        let context =
            self.context(service, operation, &caller, &item.pseudo.region, item.now, &request);
        by_hand::answer(&context, input)
    }

    fn s3(
        &self,
        caller: &Caller,
        region: &str,
        operation: &str,
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let now = self.shared.clock.now();
        let context = self.context(Service::S3, operation, caller, region, now, request);
        s3::execute(&context, &s3::parse(request, operation)?)
    }

    fn context<'c>(
        &'c self,
        service: Service,
        operation: &'c str,
        caller: &'c Caller,
        region: &'c str,
        now: crate::clock::Millis,
        request: &'c Request,
    ) -> Context<'c> {
        Context {
            shared: self.shared,
            service,
            operation,
            caller,
            region,
            now,
            request,
            request_id: "cloudformation",
        }
    }

    fn bucket(
        &self,
        item: &Item<'_>,
        method: Method,
        operation: &str,
        body: &str,
    ) -> Result<Reply, ApiError> {
        let name = if item.kind.name == "AWS::S3::Bucket" { item.name } else { item.physical };
        let mut request = bare(method, &format!("/{name}"));
        request.body = Bytes::from(body.to_owned());
        self.s3(&root(&item.pseudo.account), &item.pseudo.region, operation, &request)
    }

    fn create_bucket(&self, item: &Item<'_>) -> Result<(), Refusal> {
        let region = &item.pseudo.region;
        // In the oldest region, creating a bucket twice succeeds.
        if self.exists(item) {
            return Err(match self.bucket(item, Method::HEAD, "HeadBucket", "") {
                Ok(_) => Refusal::AlreadyExists,
                Err(_) => Refusal::AlreadyExistsElsewhere,
            });
        }
        let body = if region == "us-east-1" {
            String::new()
        } else {
            xml::document("CreateBucketConfiguration", None, |out| {
                out.text("LocationConstraint", region)
            })
        };
        self.bucket(item, Method::PUT, "CreateBucket", &body).map_err(refused)?;
        self.put_bucket_settings(item);
        Ok(())
    }

    /// Writes the settings that a bucket's other calls give back.
    fn put_bucket_settings(&self, item: &Item<'_>) {
        let documents = super::bucket_settings::documents(item.properties);
        self.shared.s3().set_documents(item.name, documents);
    }

    fn put_bucket_policy(&self, item: &Item<'_>) -> Result<(), Refusal> {
        let document = text_of(item.properties.get("PolicyDocument"));
        self.bucket(item, Method::PUT, "PutBucketPolicy", &document).map(drop).map_err(refused)
    }

    fn queue_exists(&self, item: &Item<'_>) -> bool {
        let input = json!({"QueueName": item.name});
        let Ok(found) = self.json(Service::Sqs, "GetQueueUrl", item, &input) else {
            return false;
        };
        let input = json!({"QueueUrl": found.get("QueueUrl"), "AttributeNames": ["QueueArn"]});
        self.json(Service::Sqs, "GetQueueAttributes", item, &input).is_ok()
    }

    fn put_queue_policy(&self, item: &Item<'_>) -> Result<(), Refusal> {
        let document = text_of(item.properties.get("PolicyDocument"));
        for queue in item.properties.get("Queues").and_then(Value::as_array).into_iter().flatten() {
            let input = json!({"QueueUrl": queue, "Attributes": {"Policy": document}});
            self.json(Service::Sqs, "SetQueueAttributes", item, &input).map_err(refused)?;
        }
        Ok(())
    }

    fn set_table_options(&self, item: &Item<'_>) -> Result<(), Refusal> {
        if let Some(wanted) = item.properties.get("TimeToLiveSpecification") {
            let name = wanted.get("AttributeName").map(scalar).unwrap_or_default();
            let enabled = is_true(wanted.get("Enabled"));
            let input = json!({
                "TableName": item.name,
                "TimeToLiveSpecification": {"AttributeName": name, "Enabled": enabled},
            });
            match self.json(Service::DynamoDb, "UpdateTimeToLive", item, &input) {
                // What is so already need not be made so.
                Err(error) if error.message.contains("already") => {}
                other => drop(other.map_err(refused)?),
            }
        }
        let wanted = item.properties.get("PointInTimeRecoverySpecification");
        if let Some(wanted) = wanted.and_then(|wanted| wanted.get("PointInTimeRecoveryEnabled")) {
            let input = json!({
                "TableName": item.name,
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": is_true(Some(wanted))},
            });
            self.json(Service::DynamoDb, "UpdateContinuousBackups", item, &input)
                .map_err(refused)?;
        }
        Ok(())
    }

    fn log_group_exists(&self, item: &Item<'_>) -> bool {
        let input = json!({"logGroupNamePrefix": item.name});
        let found = self.json(Service::Logs, "DescribeLogGroups", item, &input).unwrap_or_default();
        let groups = found.get("logGroups").and_then(Value::as_array).cloned().unwrap_or_default();
        groups
            .iter()
            .any(|group| group.get("logGroupName").and_then(Value::as_str) == Some(item.name))
    }

    fn put_retention(&self, item: &Item<'_>) -> Result<(), Refusal> {
        let Some(days) = item.properties.get("RetentionInDays") else {
            return Ok(());
        };
        let days = scalar(days)
            .parse::<i64>()
            .map_err(|_| Refusal::Other("RetentionInDays is not a number".to_owned()))?;
        let input = json!({"logGroupName": item.name, "retentionInDays": days});
        self.json(Service::Logs, "PutRetentionPolicy", item, &input).map(drop).map_err(refused)
    }
}

/// Returns the ARN of the role that an item is.
pub(super) fn role_arn(item: &Item<'_>) -> String {
    let path = item.properties.get("Path").map_or_else(|| "/".to_owned(), scalar);
    format!("arn:{}:iam::{}:role{path}{}", item.pseudo.partition(), item.pseudo.account, item.name)
}

pub(super) fn root(account: &str) -> Caller {
    Caller {
        account: account.to_owned(),
        arn: format!("arn:aws:iam::{account}:root"),
        user_id: account.to_owned(),
        kind: CallerKind::Root,
    }
}

pub(super) fn bare(method: Method, path: &str) -> Request {
    Request {
        method,
        path: path.to_owned(),
        query: Vec::new(),
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("x-amz-content-sha256"),
            HeaderValue::from_static("UNSIGNED-PAYLOAD"),
        )]),
        body: Bytes::new(),
        discarded_body: 0,
    }
}

/// Takes the result of a call that does not wait for anything.
pub(super) fn at_once(
    call: impl Future<Output = Result<Reply, ApiError>>,
) -> Result<Reply, ApiError> {
    match pin!(call).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(ApiError::new(500, "InternalFailure", "the call does not end at once"))
        }
    }
}

fn location(reply: &Reply) -> Option<String> {
    let body = reply.body.to_bytes()?;
    let root = xml::parse(std::str::from_utf8(&body).ok()?)?;
    Some(if root.text.is_empty() { "us-east-1".to_owned() } else { root.text })
}

fn is_absence(code: &str) -> bool {
    matches!(
        code,
        "NoSuchBucket"
            | "NotFound"
            | "QueueDoesNotExist"
            | "ResourceNotFoundException"
            | "NoSuchEntity"
    )
}

fn refused(error: ApiError) -> Refusal {
    match error.code.as_str() {
        "BucketNotEmpty" => Refusal::NotEmpty,
        "BucketAlreadyExists" => Refusal::AlreadyExistsElsewhere,
        "BucketAlreadyOwnedByYou"
        | "QueueNameExists"
        | "ResourceAlreadyExistsException"
        | "ResourceInUseException" => Refusal::AlreadyExists,
        _ => Refusal::Other(error.message),
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| scalar(value) == "true")
}

fn is_fifo(item: &Item<'_>) -> bool {
    is_true(item.properties.get("FifoQueue"))
}

/// Writes a document that may have been given as an object or as a text.
pub(super) fn text_of(document: Option<&Value>) -> String {
    match document {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn queue_attributes(item: &Item<'_>) -> Map<String, Value> {
    QUEUE_ATTRIBUTES
        .iter()
        .filter_map(|name| item.properties.get(*name).map(|value| ((*name).to_owned(), value)))
        .map(|(name, value)| {
            let text = if value.is_object() { value.to_string() } else { scalar(value) };
            (name, Value::String(text))
        })
        .collect()
}

/// Writes a table's properties as `CreateTable` wants them. Indexes and streams stay out: the
/// table service of this fake has none.
fn table_input(item: &Item<'_>) -> Value {
    let properties = item.properties;
    let keys = properties.get("KeySchema").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_key = |definition: &Value| {
        let name = definition.get("AttributeName");
        keys.iter().any(|key| key.get("AttributeName") == name)
    };
    let definitions = properties
        .get("AttributeDefinitions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let definitions: Vec<Value> = definitions.into_iter().filter(is_key).collect();
    let mut input = Map::new();
    input.insert("TableName".to_owned(), json!(item.name));
    input.insert("KeySchema".to_owned(), Value::Array(keys));
    input.insert("AttributeDefinitions".to_owned(), Value::Array(definitions));
    for name in ["BillingMode", "ProvisionedThroughput"] {
        if let Some(value) = properties.get(name) {
            input.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(value) = properties.get("DeletionProtectionEnabled") {
        input.insert("DeletionProtectionEnabled".to_owned(), Value::Bool(is_true(Some(value))));
    }
    Value::Object(input)
}
