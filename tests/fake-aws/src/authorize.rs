//! Whether a caller may do something: identity policies, session policies, resource policies.

use std::sync::LazyLock;

use serde_json::json;

use crate::error::ApiError;
use crate::iam::{self, Policy};
use crate::identity::{Caller, CallerKind, Identities, IdentityPolicies};

/// A question about one action on one resource.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) caller: &'a Caller,
    /// As in IAM: `logs:PutLogEvents`.
    pub(crate) action: &'a str,
    /// The resource's ARN.
    pub(crate) resource: &'a str,
    /// The account that owns the resource.
    pub(crate) owner: &'a str,
    pub(crate) resource_policy: Option<&'a Policy>,
    /// Condition keys and their values.
    pub(crate) context: &'a [(&'a str, String)],
}

/// What callers without registered policies may do: everything, as far as the other side agrees.
static EVERYTHING: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let document = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    Policy::identity(&document).into_iter().collect()
});

/// Decides. A policy that cannot be evaluated is an error that no AWS service sends, so that a test
/// does not take it for a denial.
pub(crate) fn allowed(identities: &Identities, ask: &Ask<'_>) -> Result<bool, ApiError> {
    let mut context = iam::Context::default()
        .with("aws:ResourceAccount", ask.owner)
        .with("aws:SecureTransport", "true");
    for (key, value) in ask.context {
        context = context.with(key, value);
    }
    let request = iam::Request {
        principal: principal(ask.caller),
        action: ask.action.to_owned(),
        resource: ask.resource.to_owned(),
        context,
    };
    let listed;
    let policies: &[Policy] = match identities.policies(ask.caller) {
        IdentityPolicies::Unrestricted => &EVERYTHING,
        IdentityPolicies::Gone => return Ok(false),
        IdentityPolicies::Listed(policies) => {
            listed = policies;
            &listed
        }
    };
    if let CallerKind::Session { session_policy: Some(policy), .. } = &ask.caller.kind
        && !decide(std::slice::from_ref(policy), None, &request)?
    {
        return Ok(false);
    }
    // Without a policy of its own, a resource of another account is out of reach.
    if ask.resource_policy.is_none() && ask.caller.account != ask.owner {
        return Ok(false);
    }
    decide(policies, ask.resource_policy, &request)
}

/// Evaluates policies for a request.
pub(crate) fn decide(
    policies: &[Policy],
    resource_policy: Option<&Policy>,
    request: &iam::Request,
) -> Result<bool, ApiError> {
    iam::evaluate(policies, resource_policy, request)
        .map(|decision| decision.is_allowed())
        .map_err(|error| ApiError::new(501, "FakeAwsCannotEvaluatePolicy", error.to_string()))
}

fn principal(caller: &Caller) -> iam::Principal {
    match &caller.kind {
        CallerKind::Root | CallerKind::User => iam::Principal::Iam(caller.arn.clone()),
        CallerKind::Session { role_arn, .. } => iam::Principal::Iam(role_arn.clone()),
    }
}

/// Writes the sentence that most services answer a denied caller with.
pub(crate) fn denial(caller: &Caller, action: &str, resource: &str) -> String {
    format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
        caller.arn
    )
}
