//! Roles and identity providers of the account, and what a role's own policies allow. Reads only.

use aws_config::SdkConfig;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use mtlog_processor::model::arn::RoleArn;
use percent_encoding::percent_decode_str;
use serde_json::Value;

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

/// The condition key that a trust policy compares an external id with.
const EXTERNAL_ID_KEY: &str = "sts:ExternalId";

/// What the policies on the caller's own side say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnSide {
    /// They let the call through: what refuses it is on the other side.
    Allows,
    /// They refuse the call, so that the other side is never asked.
    Refuses,
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

    /// Returns the trust policy of a role; `None` if there is no such role.
    pub async fn trust_policy(&self, role: &RoleArn) -> Result<Option<Value>, Fault> {
        const OPERATION: &str = "GetRole";
        let sent = self.0.get_role().role_name(role.name()).send().await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => answer,
            Err(fault) if fault.code() == Some("NoSuchEntity") => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let encoded = answer.role.and_then(|role| role.assume_role_policy_document);
        let encoded = encoded.unwrap_or_default();
        // IAM answers with the document in URL encoding (RFC 3986).
        let text = percent_decode_str(&encoded).decode_utf8_lossy();
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Fault::unreadable(SERVICE, OPERATION, format!("the trust policy is no JSON: {error}"))
        })
    }

    /// Returns whether the policies of `caller` let it ask for the role `target` with this external id, or with none.
    ///
    /// Policies of the role, its boundary and those of the organisation count
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>); the trust policy of
    /// `target` does not.
    pub async fn may_ask_for(
        &self,
        caller: &RoleArn,
        target: &RoleArn,
        external_id: Option<&str>,
    ) -> Result<OwnSide, Fault> {
        const OPERATION: &str = "SimulatePrincipalPolicy";
        let entry = external_id.map(|id| {
            ContextEntry::builder()
                .context_key_name(EXTERNAL_ID_KEY)
                .context_key_type(ContextKeyTypeEnum::String)
                .context_key_values(id)
                .build()
        });
        let answer = self
            .0
            .simulate_principal_policy()
            .policy_source_arn(caller.to_string())
            .action_names("sts:AssumeRole")
            .resource_arns(target.to_string())
            .set_context_entries(entry.map(|entry| vec![entry]))
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        match answer.evaluation_results() {
            [result] if result.eval_decision == PolicyEvaluationDecisionType::Allowed => {
                Ok(OwnSide::Allows)
            }
            [_] => Ok(OwnSide::Refuses),
            results => {
                let text = format!("the answer holds {} results instead of one", results.len());
                Err(Fault::unreadable(SERVICE, OPERATION, text))
            }
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
