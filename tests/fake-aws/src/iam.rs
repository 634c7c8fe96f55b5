//! Evaluates IAM policies: may this principal do this to that?
//!
//! Pure functions over policy documents; no network, no state. It covers what the policies of this
//! project use, and refuses to evaluate anything else: an unknown operator or element is an error,
//! never a silent pass.
//! Rules: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.
//!
//! Not covered: permissions boundaries, service control policies, session policies.

mod condition;
mod document;
mod pattern;

use std::collections::BTreeMap;

use document::{Effect, Statement};
pub use document::{Policy, PolicyError};

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An IAM role, user or account root, by the ARN that `aws:PrincipalArn` has: for a role
    /// session, the role's ARN with its path.
    Iam(String),
    /// An AWS service, such as `sns.amazonaws.com`.
    Service(String),
    /// A holder of a token of an identity provider, by the provider's ARN.
    Federated(String),
    /// Somebody without credentials.
    Anonymous,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub principal: Principal,
    /// Service and operation, such as `sts:AssumeRole`.
    pub action: String,
    /// The ARN of the resource, or `*` for an operation without one.
    pub resource: String,
    pub context: Context,
}

/// Condition keys with their values. Keys are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

/// The outcome, with the statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A statement with this `Sid` allows it.
    Allowed { by: String },
    /// A statement with this `Sid` denies it.
    Denied { by: String },
    /// No statement allows it.
    NotAllowed,
}

/// Decides about a request.
///
/// `identity_policies` are those attached to the principal. `resource_policy` is the one attached to
/// the resource: a role's trust policy, a key policy, the policy of a bucket, queue or topic.
///
/// A denial anywhere wins. Within one account, a resource policy that names the principal itself is
/// enough, and otherwise the identity policies decide; for roles and keys the resource policy must
/// at least name the account. Between accounts, both sides must allow.
pub fn evaluate(
    identity_policies: &[Policy],
    resource_policy: Option<&Policy>,
    request: &Request,
) -> Result<Decision, PolicyError> {
    let request = request.with_principal_keys();
    let mut identity_grant = None;
    for policy in identity_policies {
        for statement in policy.statements() {
            if !statement.applies_to(&request)? {
                continue;
            }
            match statement.effect() {
                Effect::Deny => return Ok(Decision::Denied { by: statement.sid().to_owned() }),
                Effect::Allow => identity_grant = identity_grant.or(Some(statement)),
            }
        }
    }
    let Some(resource_policy) = resource_policy else {
        return Ok(identity_grant.map_or(Decision::NotAllowed, allowed_by));
    };

    let mut direct_grant = None;
    let mut account_grant = None;
    for statement in resource_policy.statements() {
        let Some(breadth) = statement.names(&request.principal) else { continue };
        if !statement.applies_to(&request)? {
            continue;
        }
        match (statement.effect(), breadth) {
            (Effect::Deny, _) => return Ok(Decision::Denied { by: statement.sid().to_owned() }),
            (Effect::Allow, Breadth::Itself) => direct_grant = direct_grant.or(Some(statement)),
            (Effect::Allow, Breadth::Account) => account_grant = account_grant.or(Some(statement)),
        }
    }
    let grant = match request.relation() {
        Relation::Outside => direct_grant,
        Relation::OtherAccount => identity_grant.and(direct_grant.or(account_grant)),
        Relation::SameAccount if request.needs_resource_policy() => {
            direct_grant.or(identity_grant.and(account_grant))
        }
        Relation::SameAccount => direct_grant.or(identity_grant),
    };
    Ok(grant.map_or(Decision::NotAllowed, allowed_by))
}

impl Decision {
    /// Tells whether the request goes through.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

impl Context {
    /// Adds a key with one value.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        self.with_all(key, &[value])
    }

    /// Adds a key with several values.
    #[must_use]
    pub fn with_all(mut self, key: &str, values: &[&str]) -> Self {
        self.0.insert(
            key.to_ascii_lowercase(),
            values.iter().map(|value| (*value).to_owned()).collect(),
        );
        self
    }

    /// Adds the keys of another context; where both have a key, the other's value counts.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().map(|(key, values)| (key.clone(), values.clone())));
        self
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

/// How a resource policy names a principal: itself, or only the account that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breadth {
    Itself,
    Account,
}

/// Where a principal stands relative to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    SameAccount,
    OtherAccount,
    /// A service, an identity provider's user or nobody: there are no identity policies.
    Outside,
}

impl Request {
    /// Adds the keys that follow from the principal, as AWS does.
    fn with_principal_keys(&self) -> Self {
        let mut request = self.clone();
        if let Principal::Iam(arn) = &self.principal {
            request.context = request.context.with("aws:PrincipalArn", arn);
            if let Some(account) = account_of(arn) {
                request.context = request.context.with("aws:PrincipalAccount", account);
            }
        }
        request
    }

    /// Tells whether identity policies alone never suffice: a role's trust policy and a key's policy
    /// must let the account in.
    fn needs_resource_policy(&self) -> bool {
        let action = self.action.to_ascii_lowercase();
        action.starts_with("sts:assumerole") || action.starts_with("kms:")
    }

    fn relation(&self) -> Relation {
        let Principal::Iam(arn) = &self.principal else { return Relation::Outside };
        // The ARNs of buckets carry no account; there the context may tell.
        let owner = account_of(&self.resource).or_else(|| {
            self.context.get("aws:ResourceAccount").and_then(<[String]>::first).map(String::as_str)
        });
        match owner {
            Some(owner) if Some(owner) != account_of(arn) => Relation::OtherAccount,
            _ => Relation::SameAccount,
        }
    }
}

fn allowed_by(statement: &Statement) -> Decision {
    Decision::Allowed { by: statement.sid().to_owned() }
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests;
