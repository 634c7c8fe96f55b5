//! Roles and policies that stacks make, registered for the fake's STS.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::services::role_arn;
use super::template::scalar;
use super::world::{Item, Refusal};
use crate::iam::Policy;
use crate::shared::Shared;

/// What stacks have said about roles and policies.
#[derive(Debug, Default)]
pub(super) struct Documents {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Managed policies by their ARN.
    managed: BTreeMap<String, Value>,
    /// Policies that are attached from outside, by role name and by the policy's id.
    attached: BTreeMap<(String, String), Value>,
    roles: BTreeMap<String, RoleDocuments>,
}

#[derive(Debug, Clone)]
struct RoleDocuments {
    name: String,
    trust: Value,
    inline: Vec<Value>,
    managed: Vec<String>,
}

impl Documents {
    /// Makes or changes a role or a policy. Other types have nothing to do here.
    pub(super) fn apply(&self, shared: &Shared, item: &Item<'_>) -> Result<(), Refusal> {
        match item.kind.name {
            "AWS::IAM::Role" => self.apply_role(shared, item),
            "AWS::IAM::ManagedPolicy" | "AWS::IAM::Policy" => self.apply_policy(shared, item),
            _ => Ok(()),
        }
    }

    /// Deletes a role or a policy.
    pub(super) fn remove(&self, shared: &Shared, item: &Item<'_>) -> Result<(), Refusal> {
        match item.kind.name {
            "AWS::IAM::Role" => {
                let arn = role_arn(item);
                shared.identities().remove_role(&arn);
                self.known().roles.remove(&arn);
                Ok(())
            }
            "AWS::IAM::ManagedPolicy" | "AWS::IAM::Policy" => {
                let mut known = self.known();
                let user = known
                    .roles
                    .values()
                    .find(|role| role.managed.iter().any(|arn| arn == item.physical));
                if let Some(role) = user {
                    return Err(Refusal::Other(format!(
                        "Cannot delete a policy attached to entities. (attached to role {})",
                        role.name
                    )));
                }
                known.managed.remove(item.physical);
                known.attached.retain(|(_, policy), _| policy != item.physical);
                refresh(&known, shared)
            }
            _ => Ok(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_role(&self, shared: &Shared, item: &Item<'_>) -> Result<(), Refusal> {
        let trust = document(item.properties.get("AssumeRolePolicyDocument"))?;
        Policy::trust(&trust).map_err(|error| Refusal::Other(error.to_string()))?;
        check_principals(shared, &trust)?;
        let arn = role_arn(item);
        let mut known = self.known();
        let policies = item.properties.get("Policies").and_then(Value::as_array);
        let inline = policies
            .into_iter()
            .flatten()
            .map(|policy| checked_policy(policy.get("PolicyDocument")))
            .collect::<Result<_, _>>()?;
        let managed = item.properties.get("ManagedPolicyArns").and_then(Value::as_array);
        let managed: Vec<String> = managed.into_iter().flatten().map(scalar).collect();
        let is_missing =
            |arn: &&String| !arn.contains(":iam::aws:policy/") && !known.managed.contains_key(*arn);
        if let Some(missing) = managed.iter().find(is_missing) {
            return Err(Refusal::Other(format!(
                "Policy {missing} does not exist or is not attachable."
            )));
        }
        let role = RoleDocuments { name: item.name.to_owned(), trust, inline, managed };
        known.roles.insert(arn, role);
        refresh(&known, shared)
    }

    fn apply_policy(&self, shared: &Shared, item: &Item<'_>) -> Result<(), Refusal> {
        let document = checked_policy(item.properties.get("PolicyDocument"))?;
        let mut known = self.known();
        if item.kind.name == "AWS::IAM::ManagedPolicy" {
            known.managed.insert(item.physical.to_owned(), document.clone());
        }
        known.attached.retain(|(_, policy), _| policy != item.physical);
        for role in item.properties.get("Roles").and_then(Value::as_array).into_iter().flatten() {
            known.attached.insert((scalar(role), item.physical.to_owned()), document.clone());
        }
        refresh(&known, shared)
    }
}

/// Registers all roles that stacks have made, with everything that is attached to them.
fn refresh(known: &Known, shared: &Shared) -> Result<(), Refusal> {
    let mut identities = shared.identities();
    for (arn, role) in &known.roles {
        let attached = known
            .attached
            .iter()
            .filter(|((name, _), _)| *name == role.name)
            .map(|(_, document)| document);
        let managed = role.managed.iter().filter_map(|arn| known.managed.get(arn));
        let mut policies = Vec::new();
        for document in role.inline.iter().chain(managed).chain(attached) {
            policies.push(
                Policy::identity(document).map_err(|error| Refusal::Other(error.to_string()))?,
            );
        }
        if policies.is_empty() {
            // A registered role without policies may do everything; one that a stack made may do
            // nothing until it is given something.
            let nothing = json!({"Version": "2012-10-17", "Statement": []});
            policies.extend(Policy::identity(&nothing).ok());
        }
        let trust =
            Policy::trust(&role.trust).map_err(|error| Refusal::Other(error.to_string()))?;
        identities.add_role(arn, trust, &role.trust.to_string(), policies);
    }
    Ok(())
}

/// Reads a document that may have been given as an object or as a text.
fn document(value: Option<&Value>) -> Result<Value, Refusal> {
    match value {
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| {
            Refusal::Other("Syntax errors in policy. (MalformedPolicyDocument)".to_owned())
        }),
        Some(other) => Ok(other.clone()),
        None => Err(Refusal::Other("a policy document is missing".to_owned())),
    }
}

fn checked_policy(value: Option<&Value>) -> Result<Value, Refusal> {
    let document = document(value)?;
    match Policy::identity(&document) {
        Ok(_) => Ok(document),
        Err(error) => Err(Refusal::Other(format!("{error} (MalformedPolicyDocument)"))),
    }
}

/// Refuses a trust policy that names a role or user which does not exist, as IAM does.
fn check_principals(shared: &Shared, trust: &Value) -> Result<(), Refusal> {
    let statements = match trust.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let known = shared.identities().unique_ids();
    for statement in statements {
        let named = match statement.get("Principal").and_then(|principal| principal.get("AWS")) {
            Some(Value::Array(several)) => several.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        for arn in named.iter().map(scalar) {
            let names_somebody = arn.contains(":role/") || arn.contains(":user/");
            if names_somebody && !known.contains_key(&arn) {
                return Err(Refusal::Other(format!(
                    "Invalid principal in policy: \"AWS\":\"{arn}\" (Service: Iam, Status Code: 400)"
                )));
            }
        }
    }
    Ok(())
}
