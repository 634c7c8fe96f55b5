//! Who we are.

use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use mtlog_processor::model::{arn::RoleArn, ids::AccountId, secret::Secret};

use super::{fault::Fault, session::Keys};

/// The identity behind the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account that calls are made in.
    pub account: AccountId,
    /// The user's or the assumed role's ARN.
    pub arn: String,
}

/// A client for the security token service.
#[derive(Debug)]
pub struct Sts(aws_sdk_sts::Client);

impl Sts {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_sts::Client::new(config))
    }

    /// Returns the caller's identity. It needs no permission.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        const OPERATION: &str = "GetCallerIdentity";
        let answer = self
            .0
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| Fault::new("sts", OPERATION, error))?;
        let account = answer.account().unwrap_or_default().parse().map_err(|_| {
            Fault::unreadable(
                "sts",
                OPERATION,
                "the answer holds no account id: is the endpoint really STS?",
            )
        })?;
        Ok(Identity { account, arn: answer.arn().unwrap_or("unknown").to_owned() })
    }

    /// Returns how far the clock here is ahead of that at AWS, to about a second.
    pub async fn ahead(&self) -> Result<SignedDuration, Fault> {
        const OPERATION: &str = "GetCallerIdentity";
        let reader = DateReader::default();
        let call = self.0.get_caller_identity().customize().interceptor(reader.clone());
        call.send().await.map_err(|error| Fault::new("sts", OPERATION, error))?;
        let here = Timestamp::now();
        let date = reader.0.lock().ok().and_then(|date| date.clone());
        let there = date.as_deref().and_then(|date| rfc2822::parse(date).ok());
        let there = there.ok_or_else(|| {
            Fault::unreadable("sts", OPERATION, "the answer does not say what time it is")
        })?;
        Ok(here.duration_since(there.timestamp()))
    }

    /// Assumes a role, for as long as AWS gives by default (one hour).
    pub async fn assume_role(&self, role: &RoleArn, session_name: &str) -> Result<Keys, Fault> {
        self.assume_role_with(role, session_name, None).await
    }

    /// The same, and presents an external id, or none.
    pub async fn assume_role_with(
        &self,
        role: &RoleArn,
        session_name: &str,
        external_id: Option<&str>,
    ) -> Result<Keys, Fault> {
        const OPERATION: &str = "AssumeRole";
        let sent = self
            .0
            .assume_role()
            .role_arn(role.to_string())
            .role_session_name(session_name)
            .set_external_id(external_id.map(str::to_owned))
            .send()
            .await;
        let answer = sent.map_err(|error| Fault::new("sts", OPERATION, error))?;
        let keys = answer.credentials.ok_or_else(|| {
            Fault::unreadable("sts", OPERATION, "the answer holds no credentials")
        })?;
        Ok(Keys {
            access_key_id: keys.access_key_id,
            secret_access_key: Secret::new(keys.secret_access_key),
            session_token: Some(Secret::new(keys.session_token)),
        })
    }
}

/// Keeps the `Date` header of an answer.
#[derive(Debug, Clone, Default)]
struct DateReader(Arc<Mutex<Option<String>>>);

impl Intercept for DateReader {
    fn name(&self) -> &'static str {
        "DateReader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(mut date) = self.0.lock() {
            *date = context.response().headers().get("date").map(str::to_owned);
        }
        Ok(())
    }
}
