//! Who we are.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeDeserializationInterceptorContextRef, InterceptorContext},
        },
        orchestrator::OrchestratorError,
        retries::classifiers::{ClassifyRetry, RetryAction},
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
    ///
    /// A command asks for it first, so a host that cannot be reached is given up early: a wrong endpoint or a missing
    /// network should be told while somebody looks.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        const OPERATION: &str = "GetCallerIdentity";
        let patience = aws_sdk_sts::Config::builder().retry_classifier(Unreachable::default());
        let answer = self
            .0
            .get_caller_identity()
            .customize()
            .config_override(patience)
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

/// How often a call is sent to a host that cannot be reached.
const CONNECTS: u32 = 3;

/// Ends the repetitions of one call when its host could not be reached so often.
#[derive(Debug, Default)]
struct Unreachable(AtomicU32);

impl ClassifyRetry for Unreachable {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failure = context.output_or_error().and_then(|outcome| outcome.err());
        let is_unreachable = failure
            .and_then(OrchestratorError::as_connector_error)
            .is_some_and(|error| error.is_io() || error.is_timeout());
        if is_unreachable && self.0.fetch_add(1, Ordering::Relaxed) + 1 >= CONNECTS {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "Unreachable"
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

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::{interceptors::context::Input, result::ConnectorError};

    use super::*;

    fn after(error: ConnectorError) -> InterceptorContext {
        let mut context = InterceptorContext::new(Input::erase(()));
        context.set_output_or_error(Err(OrchestratorError::connector(error)));
        context
    }

    #[test]
    fn a_host_that_cannot_be_reached_is_given_up_after_three_attempts_and_another_failure_is_not() {
        let rule = Unreachable::default();
        let actions = |context: &InterceptorContext| {
            (0..3).map(|_| rule.classify_retry(context)).collect::<Vec<_>>()
        };
        let none = RetryAction::NoActionIndicated;
        let other = after(ConnectorError::other("cut".into(), None));
        assert_eq!(actions(&other), [none.clone(), none.clone(), none.clone()]);
        let refused = after(ConnectorError::io("refused".into()));
        assert_eq!(actions(&refused), [none.clone(), none, RetryAction::RetryForbidden]);
        let timeout = after(ConnectorError::timeout("late".into()));
        assert_eq!(rule.classify_retry(&timeout), RetryAction::RetryForbidden);
    }
}
