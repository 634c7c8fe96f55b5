//! The customers' CloudWatch Logs.
//!
//! The request body is assembled here: the messages are JSON already, and the
//! SDK's own serialiser would cost as much as everything else together. The SDK
//! still resolves the endpoint and signs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatchlogs::{
    Client, config::IdentityCache, error::SdkError, operation::put_log_events::PutLogEventsOutput,
    types::InputLogEvent,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
            },
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    body::SdkBody, config_bag::ConfigBag, error::metadata::ProvideErrorMetadata,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tracing::warn;

use crate::{
    aws::{
        fault::{Caller, fault},
        roles::{RoleSession, Roles},
        session::{Session, sdk_region},
    },
    model::events::Batch,
    ports::{Access, Fault, FaultClass, LogSink, LogTarget, PutReport},
};

/// CloudWatch Logs in the customers' accounts.
#[derive(Debug)]
pub struct CloudWatchSink {
    session: Session,
    roles: Arc<Roles>,
    /// A client belongs to one session of a role: it is made anew when the session is.
    clients: Mutex<HashMap<Access, (Arc<RoleSession>, Client)>>,
    bodies: Arc<Bodies>,
}

/// How many clients are kept.
const CLIENTS: usize = 1000;

impl CloudWatchSink {
    /// Goes through `roles`; endpoint and HTTP client are those of `session`.
    pub fn new(session: Session, roles: Arc<Roles>) -> Self {
        Self { session, roles, clients: Mutex::default(), bodies: Arc::default() }
    }

    async fn client(&self, access: &Access) -> Result<(Arc<RoleSession>, Client), Fault> {
        let role_session = self.roles.customer(access).await?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, client)) = clients.get(access)
            && Arc::ptr_eq(kept, &role_session)
        {
            return Ok((role_session, client.clone()));
        }
        let provider = SharedCredentialsProvider::new(role_session.credentials.clone());
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(&self.session.sdk)
            .region(sdk_region(&access.region))
            .credentials_provider(provider)
            .identity_cache(IdentityCache::no_cache())
            .build();
        let client = Client::from_conf(config);
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(access.clone(), (Arc::clone(&role_session), client.clone()));
        drop(clients);
        Ok((role_session, client))
    }

    /// Turns an SDK error into a fault, and stops using credentials that the service calls expired.
    fn refused<E>(
        &self,
        operation: &'static str,
        access: &Access,
        role_session: &Arc<RoleSession>,
        error: &SdkError<E>,
    ) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let fault = fault(operation, Caller::Role, error);
        if fault.class == FaultClass::Expired {
            self.roles.forget(access, role_session);
        }
        fault
    }

    async fn put(&self, target: &LogTarget, batch: &Batch) -> Result<PutReport, Fault> {
        const PUT: &str = "PutLogEvents";
        let (role_session, client) = self.client(&target.access).await?;
        let body = Bodies::lend(&self.bodies, |body| write_request(body, target, batch));
        // The SDK checks that required members are there; what it makes of them is replaced below.
        let stand_in = InputLogEvent::builder().timestamp(0).message("-").build();
        let stand_in =
            stand_in.map_err(|error| Fault::new(FaultClass::Invalid, PUT).with_source(error))?;
        let request = client
            .put_log_events()
            .log_group_name(target.group.as_str())
            .log_stream_name(target.stream.as_str())
            .log_events(stand_in)
            .customize()
            .interceptor(PreparedBody(body));
        match request.send().await {
            Ok(output) => {
                if let Some(info) = output.rejected_entity_info() {
                    // The events were taken all the same.
                    warn!(tenant = %target.access.tenant, log_group = %target.group, reason = info.error_type().as_str(), "entity rejected");
                }
                Ok(report(&output))
            }
            Err(error) => Err(self.refused(PUT, &target.access, &role_session, &error)),
        }
    }

    async fn create_stream(&self, target: &LogTarget) -> Result<(), Fault> {
        let (role_session, client) = self.client(&target.access).await?;
        let request = client
            .create_log_stream()
            .log_group_name(target.group.as_str())
            .log_stream_name(target.stream.as_str());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.refused("CreateLogStream", &target.access, &role_session, &error))
            }
        }
    }

    async fn create_group(&self, target: &LogTarget) -> Result<(), Fault> {
        let (role_session, client) = self.client(&target.access).await?;
        match client.create_log_group().log_group_name(target.group.as_str()).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.refused("CreateLogGroup", &target.access, &role_session, &error))
            }
        }
    }

    async fn set_retention(&self, target: &LogTarget, days: u16) -> Result<(), Fault> {
        let (role_session, client) = self.client(&target.access).await?;
        let request = client
            .put_retention_policy()
            .log_group_name(target.group.as_str())
            .retention_in_days(i32::from(days));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.refused("PutRetentionPolicy", &target.access, &role_session, &error))
            }
        }
    }
}

impl LogSink for CloudWatchSink {
    fn put<'a>(
        &'a self,
        target: &'a LogTarget,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        self.put(target, batch).boxed()
    }

    fn create_stream<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        self.create_stream(target).boxed()
    }

    fn create_group<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        self.create_group(target).boxed()
    }

    fn set_retention<'a>(
        &'a self,
        target: &'a LogTarget,
        days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.set_retention(target, days).boxed()
    }
}

/// Puts the request's body in place of the SDK's, and refuses an answer without one: the service answers with a
/// document, so an empty success comes from something in between, and nothing says that the events were taken.
#[derive(Debug)]
struct PreparedBody(Bytes);

impl Intercept for PreparedBody {
    fn name(&self) -> &'static str {
        "PreparedBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.clone());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let declared = response.headers().get("content-length");
        if response.status().is_success()
            && (declared == Some("0") || response.body().content_length() == Some(0))
        {
            return Err("the answer is empty".into());
        }
        Ok(())
    }
}

/// Memory of requests that are through. A new request of a megabyte would otherwise touch new pages each time.
#[derive(Debug, Default)]
struct Bodies(Mutex<Vec<Vec<u8>>>);

/// How many buffers are kept.
const BODIES_KEPT: usize = 16;

impl Bodies {
    /// Returns what `write` puts into an empty buffer. The buffer comes back when nobody holds the bytes any more.
    fn lend(bodies: &Arc<Self>, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let kept = bodies.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = kept.unwrap_or_default();
        write(&mut bytes);
        Bytes::from_owner(Lent { bytes, home: Arc::clone(bodies) })
    }

    fn take_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BODIES_KEPT {
            kept.push(bytes);
        }
    }
}

/// A buffer that is out.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Bodies>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.bytes));
    }
}

/// Writes the body of `PutLogEvents` in awsJson1.1.
fn write_request(body: &mut Vec<u8>, target: &LogTarget, batch: &Batch) {
    const PER_EVENT: usize = r#"{"timestamp":1234567890123,"message":""},"#.len();
    let size: usize = batch.events().map(|event| event.json.len() + PER_EVENT).sum();
    body.reserve(size + 256 + target.stream.as_str().len());
    let text = |body: &mut Vec<u8>, text: &str| {
        // Both names consist of characters that JSON takes as they are, but that is for their types to know.
        body.extend(serde_json::to_string(text).unwrap_or_default().bytes());
    };
    body.extend_from_slice(br#"{"logGroupName":"#);
    text(body, target.group.as_str());
    body.extend_from_slice(br#","logStreamName":"#);
    text(body, target.stream.as_str());
    body.extend_from_slice(br#","logEvents":["#);
    for (index, event) in batch.events().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(br#"{"timestamp":"#);
        body.extend_from_slice(event.timestamp_ms.to_string().as_bytes());
        body.extend_from_slice(br#","message":""#);
        body.extend_from_slice(event.json);
        body.extend_from_slice(br#""}"#);
    }
    body.extend_from_slice(b"]}");
}

fn report(output: &PutLogEventsOutput) -> PutReport {
    let index = |value: Option<i32>| value.and_then(|value| usize::try_from(value).ok());
    output.rejected_log_events_info().map_or_else(PutReport::default, |info| PutReport {
        too_old_end: index(info.too_old_log_event_end_index()),
        expired_end: index(info.expired_log_event_end_index()),
        too_new_start: index(info.too_new_log_event_start_index()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::message::Message,
        engine::segment::{MAX_MESSAGE_BYTES, SegmentBuilder},
        model::{events::RecordPlace, ids::LogStreamName},
    };

    #[test]
    fn the_body_is_what_the_service_expects() {
        let mut builder = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0);
        builder.push_event(0, 17, &Message::from_text("say \"é\"\n").unwrap());
        builder.push_event(1, 18, &Message::from_text("b").unwrap());
        let batch = Batch::new(Arc::new(builder.take(RecordPlace::default()).unwrap()), vec![0, 1]);
        let access = Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/x".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        };
        let stream = LogStreamName::sanitised("a \"quoted\" stream");
        let target = LogTarget { access, group: "/g".parse().unwrap(), stream };
        let bodies = Arc::<Bodies>::default();
        let written = Bodies::lend(&bodies, |body| write_request(body, &target, &batch));
        let body: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let expected = serde_json::json!({
            "logGroupName": "/g",
            "logStreamName": "a \"quoted\" stream",
            "logEvents": [{"timestamp": 17, "message": "say \"é\"\n"}, {"timestamp": 18, "message": "b"}],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_body_is_written_where_the_last_one_was_once_nobody_holds_it() {
        let bodies = Arc::<Bodies>::default();
        let write = |text: &[u8]| Bodies::lend(&bodies, |body| body.extend_from_slice(text));
        let first = write(b"a longer text");
        let (place, held) = (first.as_ptr(), first.clone());
        drop(first);
        assert_ne!(write(b"x").as_ptr(), place);
        drop(held);
        let last = write(b"y");
        assert_eq!((last.as_ptr(), last.as_ref()), (place, b"y".as_slice()));
    }
}
