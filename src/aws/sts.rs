//! Who we are.

use aws_config::SdkConfig;
use mtlog_processor::model::ids::AccountId;

use super::fault::Fault;

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
        let answer =
            self.0.get_caller_identity().send().await.map_err(|error| Fault::new("sts", OPERATION, error))?;
        let account = answer.account().unwrap_or_default().parse().map_err(|_| {
            Fault::unreadable("sts", OPERATION, "the answer holds no account id: is the endpoint really STS?")
        })?;
        Ok(Identity { account, arn: answer.arn().unwrap_or("unknown").to_owned() })
    }
}
