//! The customers' CloudWatch Logs.
//!
//! The request body is assembled here: the messages are JSON already, and the
//! SDK's own serialiser would cost as much as everything else together. The SDK
//! still resolves the endpoint and signs.

pub(crate) mod body;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::PayloadSigningOverride;
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

use self::body::{Bodies, write_request};
use crate::{
    aws::{
        fault::{Caller, fault},
        roles::{RoleSession, Roles},
        session::{Session, sdk_region},
    },
    model::events::Batch,
    ports::{Access, Enclosure, Fault, FaultClass, LogSink, LogTarget, PutReport},
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
        let body =
            batch.request(|| Bodies::lend(&self.bodies, |body| write_request(body, target, batch)));
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
            .interceptor(PreparedBody { body, digest: batch.digest().map(str::to_owned) });
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

    fn enclosure(&self, target: &LogTarget) -> Option<Enclosure> {
        Some(body::enclosure(target))
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
struct PreparedBody {
    body: Bytes,
    /// Its SHA-256, if it is known: the signature covers it.
    digest: Option<String>,
}

impl Intercept for PreparedBody {
    fn name(&self) -> &'static str {
        "PreparedBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.body.len().to_string());
        *request.body_mut() = SdkBody::from(self.body.clone());
        if let Some(digest) = &self.digest {
            config
                .interceptor_state()
                .store_put(PayloadSigningOverride::Precomputed(digest.clone()));
        }
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

fn report(output: &PutLogEventsOutput) -> PutReport {
    let index = |value: Option<i32>| value.and_then(|value| usize::try_from(value).ok());
    output.rejected_log_events_info().map_or_else(PutReport::default, |info| PutReport {
        too_old_end: index(info.too_old_log_event_end_index()),
        expired_end: index(info.expired_log_event_end_index()),
        too_new_start: index(info.too_new_log_event_start_index()),
    })
}
