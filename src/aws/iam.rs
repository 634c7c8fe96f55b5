//! Roles and identity providers of the account. Reads only.

use aws_config::SdkConfig;

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "iam";
/// CloudFormation puts it on everything that it makes and that takes tags.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>
const STACK_TAG: &str = "aws:cloudformation:stack-id";

/// How a role came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// CloudFormation made it.
    ByStack {
        /// The stack's name.
        stack: String,
        /// The stack's region.
        region: String,
    },
    /// Nobody says.
    Otherwise,
}

/// A client for IAM.
#[derive(Debug)]
pub struct Iam(aws_sdk_iam::Client);

impl Iam {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_iam::Client::new(config))
    }

    /// Returns who made the role; `None` if there is none of this name. Needs `iam:GetRole`.
    pub async fn role(&self, name: &str) -> Result<Option<Made>, Fault> {
        let sent = self.0.get_role().role_name(name).send().await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, "GetRole", error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let tags = answer.role.and_then(|role| role.tags).unwrap_or_default();
        let stack_id = tags.iter().find(|tag| tag.key() == STACK_TAG).map(|tag| tag.value());
        Ok(Some(stack_id.and_then(made_by).unwrap_or(Made::Otherwise)))
    }

    /// Returns the audiences that the provider serves; `None` if there is no such provider. Needs
    /// `iam:GetOpenIDConnectProvider`.
    pub async fn oidc_provider(&self, arn: &str) -> Result<Option<Vec<String>>, Fault> {
        const OPERATION: &str = "GetOpenIDConnectProvider";
        let sent = self.0.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send();
        match sent.await.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => Ok(Some(answer.client_id_list.unwrap_or_default())),
            Err(fault) if fault.class() == FaultClass::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// Reads a stack's id: `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID`.
fn made_by(stack_id: &str) -> Option<Made> {
    let mut parts = stack_id.splitn(6, ':');
    let region = parts.nth(3)?.to_owned();
    let stack = parts.nth(1)?.split('/').nth(1)?.to_owned();
    Some(Made::ByStack { stack, region })
}
