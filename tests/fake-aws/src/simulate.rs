//! What a role's own policies allow, for IAM.
//!
//! Rules are those of <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>:
//! the policies of the principal are evaluated for context values that the caller makes up; policies
//! of resources and of other accounts are left out.

use crate::error::ApiError;
use crate::http::Reply;
use crate::iam::{self, Decision};
use crate::iam_api;
use crate::identity::account_of;
use crate::shared::Context;
use crate::xml;

type Form = [(String, String)];

/// Answers `SimulatePrincipalPolicy`.
pub(crate) fn execute(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let source = value(form, "PolicySourceArn")
        .ok_or_else(|| ApiError::bad("InvalidInput", "PolicySourceArn is missing"))?;
    let actions = members(form, "ActionNames.member.");
    if actions.is_empty() {
        return Err(ApiError::bad("InvalidInput", "ActionNames is missing"));
    }
    if !context.may("iam:SimulatePrincipalPolicy", source, account_of(source), None, &[])? {
        let message = format!(
            "User: {} is not authorized to perform: iam:SimulatePrincipalPolicy on resource: {source}",
            context.caller.arn
        );
        return Err(ApiError::new(403, "AccessDenied", message));
    }
    let Some(role) = context.shared.identities().role(source).cloned() else {
        return Err(ApiError::new(404, "NoSuchEntity", format!("{source} does not exist.")));
    };
    let mut resources = members(form, "ResourceArns.member.");
    if resources.is_empty() {
        resources.push("*");
    }
    let mut rows = Vec::new();
    for action in &actions {
        for resource in &resources {
            let request = iam::Request {
                principal: iam::Principal::Iam(source.to_owned()),
                action: (*action).to_owned(),
                resource: (*resource).to_owned(),
                context: given(form),
            };
            let decision = if role.policies.is_empty() {
                "allowed"
            } else {
                match iam::evaluate(&role.policies, None, &request) {
                    Ok(Decision::Allowed { .. }) => "allowed",
                    Ok(Decision::Denied { .. }) => "explicitDeny",
                    Ok(Decision::NotAllowed) => "implicitDeny",
                    Err(error) => {
                        let text = error.to_string();
                        return Err(ApiError::new(501, "FakeAwsCannotEvaluatePolicy", text));
                    }
                }
            };
            rows.push(((*action).to_owned(), (*resource).to_owned(), decision));
        }
    }
    let body = xml::document("SimulatePrincipalPolicyResponse", Some(iam_api::NAMESPACE), |out| {
        out.nest("SimulatePrincipalPolicyResult", |out| {
            out.text("IsTruncated", "false");
            out.nest("EvaluationResults", |out| {
                for (action, resource, decision) in &rows {
                    out.nest("member", |out| {
                        out.text("EvalActionName", action);
                        out.text("EvalResourceName", resource);
                        out.text("EvalDecision", decision);
                    });
                }
            });
        });
        out.nest("ResponseMetadata", |out| out.text("RequestId", context.request_id));
    });
    Ok(Reply::with_body(200, "text/xml", body))
}

/// Returns the context that the caller made up.
fn given(form: &Form) -> iam::Context {
    let mut context = iam::Context::default();
    for number in 1.. {
        let prefix = format!("ContextEntries.member.{number}.");
        let Some(key) = value(form, &format!("{prefix}ContextKeyName")) else { break };
        let values = members(form, &format!("{prefix}ContextKeyValues.member."));
        context = context.with_all(key, &values);
    }
    context
}

fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn members<'a>(form: &'a Form, prefix: &str) -> Vec<&'a str> {
    form.iter()
        .filter(|(key, _)| {
            key.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        })
        .map(|(_, value)| value.as_str())
        .collect()
}
