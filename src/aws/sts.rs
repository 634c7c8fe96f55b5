//! Who we are.

use aws_config::SdkConfig;
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
