//! Policy documents and their statements.

use serde_json::{Map, Value};

use super::{
    Breadth, Principal, Request, account_of, condition,
    pattern::{Pattern, Wildcards},
};

/// A policy document that was understood completely.
#[derive(Debug, Clone)]
pub struct Policy(Vec<Statement>);

/// A policy that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy is not JSON: {reason}")]
    Json { reason: String },
    #[error("the policy has no version `2012-10-17`, so its variables would be text")]
    Version,
    #[error("element `{element}` is missing, not allowed here or of the wrong type")]
    Shape { element: &'static str },
    #[error("unknown element `{name}`")]
    Element { name: String },
    #[error("unknown condition operator `{name}`")]
    Operator { name: String },
    #[error("variable in `{text}` is not closed or has several values")]
    Variable { text: String },
    #[error("condition key `{key}` has several values, but its operator takes one")]
    SeveralValues { key: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// Whether a statement covers what its list says, or everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cover {
    Listed,
    Others,
}

/// Where a policy is attached, which decides about the elements that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attachment {
    Identity,
    Resource,
    Role,
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    sid: String,
    effect: Effect,
    principals: Option<(Cover, Principals)>,
    actions: (Cover, Vec<String>),
    /// Nothing in a trust policy, whose resource is the role itself.
    resources: Option<(Cover, Vec<String>)>,
    conditions: Vec<condition::Condition>,
}

#[derive(Debug, Clone, Default)]
struct Principals {
    everybody: bool,
    aws: Vec<String>,
    services: Vec<String>,
    federated: Vec<String>,
}

impl Policy {
    /// Reads a policy that is attached to a role, user or group.
    pub fn identity(document: &Value) -> Result<Self, PolicyError> {
        Self::parse(document, Attachment::Identity)
    }

    /// Reads a policy that is attached to a bucket, queue, topic or key.
    pub fn resource(document: &Value) -> Result<Self, PolicyError> {
        Self::parse(document, Attachment::Resource)
    }

    /// Reads the trust policy of a role.
    pub fn trust(document: &Value) -> Result<Self, PolicyError> {
        Self::parse(document, Attachment::Role)
    }

    /// Reads the trust policy of a role from its JSON text.
    pub fn trust_text(text: &str) -> Result<Self, PolicyError> {
        let document = serde_json::from_str(text)
            .map_err(|error| PolicyError::Json { reason: error.to_string() })?;
        Self::trust(&document)
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.0
    }

    fn parse(document: &Value, attachment: Attachment) -> Result<Self, PolicyError> {
        let Value::Object(elements) = document else {
            return Err(PolicyError::Shape { element: "policy" });
        };
        for name in elements.keys() {
            if !matches!(name.as_str(), "Version" | "Id" | "Statement") {
                return Err(PolicyError::Element { name: name.clone() });
            }
        }
        if elements.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
            return Err(PolicyError::Version);
        }
        let statements = match elements.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(PolicyError::Shape { element: "Statement" }),
        };
        statements
            .into_iter()
            .map(|statement| Statement::parse(statement, attachment))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Statement {
    pub(super) fn sid(&self) -> &str {
        &self.sid
    }

    pub(super) fn effect(&self) -> Effect {
        self.effect
    }

    /// Tells whether action, resource and conditions fit. The principal is not looked at.
    pub(super) fn applies_to(&self, request: &Request) -> Result<bool, PolicyError> {
        Ok(self.covers_action(request)?
            && self.covers_resource(request)?
            && self.conditions_hold(request)?)
    }

    /// Tells how the statement names the principal, or nothing if it does not.
    pub(super) fn names(&self, principal: &Principal) -> Option<Breadth> {
        let (cover, principals) = self.principals.as_ref()?;
        let named = principals.names(principal);
        match cover {
            Cover::Listed => named,
            Cover::Others if named.is_none() => Some(Breadth::Itself),
            Cover::Others => None,
        }
    }

    fn parse(statement: &Value, attachment: Attachment) -> Result<Self, PolicyError> {
        let Value::Object(elements) = statement else {
            return Err(PolicyError::Shape { element: "Statement" });
        };
        for name in elements.keys() {
            if !ELEMENTS.contains(&name.as_str()) {
                return Err(PolicyError::Element { name: name.clone() });
            }
        }
        let effect = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(PolicyError::Shape { element: "Effect" }),
        };
        let principals = one_of(elements, "Principal", "NotPrincipal")?
            .map(|(cover, value)| Ok((cover, Principals::parse(value)?)))
            .transpose()?;
        if principals.is_some() == (attachment == Attachment::Identity) {
            return Err(PolicyError::Shape { element: "Principal" });
        }
        let resources = one_of(elements, "Resource", "NotResource")?
            .map(|(cover, value)| Ok((cover, strings(value, "Resource")?)))
            .transpose()?;
        if resources.is_some() == (attachment == Attachment::Role) {
            return Err(PolicyError::Shape { element: "Resource" });
        }
        let (cover, actions) = one_of(elements, "Action", "NotAction")?
            .ok_or(PolicyError::Shape { element: "Action" })?;
        Ok(Self {
            sid: elements.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            effect,
            principals,
            actions: (cover, strings(actions, "Action")?),
            resources,
            conditions: elements
                .get("Condition")
                .map_or_else(|| Ok(Vec::new()), condition::parse_block)?,
        })
    }

    fn covers_action(&self, request: &Request) -> Result<bool, PolicyError> {
        let (cover, actions) = &self.actions;
        let action = request.action.to_lowercase();
        let mut listed = false;
        for wanted in actions {
            let pattern =
                Pattern::parse(&wanted.to_lowercase(), Wildcards::Active, &request.context)?;
            listed |= pattern.is_some_and(|pattern| pattern.matches(&action));
        }
        Ok(listed == (*cover == Cover::Listed))
    }

    fn covers_resource(&self, request: &Request) -> Result<bool, PolicyError> {
        let Some((cover, resources)) = &self.resources else { return Ok(true) };
        let mut listed = false;
        for wanted in resources {
            let pattern = Pattern::parse(wanted, Wildcards::Active, &request.context)?;
            listed |= pattern.is_some_and(|pattern| pattern.matches_arn(&request.resource));
        }
        Ok(listed == (*cover == Cover::Listed))
    }

    fn conditions_hold(&self, request: &Request) -> Result<bool, PolicyError> {
        for condition in &self.conditions {
            if !condition.holds(&request.context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Principals {
    fn parse(value: &Value) -> Result<Self, PolicyError> {
        let mut principals = Self::default();
        match value {
            Value::String(text) if text == "*" => principals.everybody = true,
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    let names = strings(names, "Principal")?;
                    match kind.as_str() {
                        "AWS" if names.iter().any(|name| name == "*") => {
                            principals.everybody = true;
                        }
                        "AWS" => principals.aws = names,
                        "Service" => principals.services = names,
                        "Federated" => principals.federated = names,
                        _ => return Err(PolicyError::Element { name: kind.clone() }),
                    }
                }
            }
            _ => return Err(PolicyError::Shape { element: "Principal" }),
        }
        Ok(principals)
    }

    fn names(&self, principal: &Principal) -> Option<Breadth> {
        let itself = match principal {
            _ if self.everybody => true,
            Principal::Iam(arn) => self.aws.contains(arn),
            Principal::Service(name) => self.services.contains(name),
            Principal::Federated(arn) => self.federated.contains(arn),
            Principal::Anonymous => false,
        };
        if itself {
            return Some(Breadth::Itself);
        }
        let Principal::Iam(arn) = principal else { return None };
        let account = account_of(arn)?;
        let names_account = |name: &String| {
            name == account || (name.ends_with(":root") && account_of(name) == Some(account))
        };
        self.aws.iter().any(names_account).then_some(Breadth::Account)
    }
}

/// Reads one string or a list of strings.
pub(super) fn strings(value: &Value, element: &'static str) -> Result<Vec<String>, PolicyError> {
    let shape = PolicyError::Shape { element };
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(values) if !values.is_empty() => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or(shape.clone()))
            .collect(),
        _ => Err(shape),
    }
}

const ELEMENTS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// Returns the one of two opposite elements that is there; both are one too many.
fn one_of<'a>(
    elements: &'a Map<String, Value>,
    listed: &'static str,
    others: &'static str,
) -> Result<Option<(Cover, &'a Value)>, PolicyError> {
    match (elements.get(listed), elements.get(others)) {
        (Some(_), Some(_)) => Err(PolicyError::Shape { element: others }),
        (Some(value), None) => Ok(Some((Cover::Listed, value))),
        (None, Some(value)) => Ok(Some((Cover::Others, value))),
        (None, None) => Ok(None),
    }
}
