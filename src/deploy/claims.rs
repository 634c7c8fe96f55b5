//! What a plan takes for granted in IAM: names that are free, and identity providers that exist. Pure.

use serde_json::Value;

use super::difference::Resources;

/// What must hold in IAM for a plan to work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Roles that are to be made under a name that the template fixes.
    pub roles: Vec<RoleClaim>,
    /// Identity providers that new trust policies name.
    pub providers: Vec<ProviderClaim>,
}

/// A role that is to be made. Names of roles are the same in all regions of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleClaim {
    /// The nested stacks that lead to it, then its own name in the template.
    pub path: String,
    /// The name in IAM.
    pub name: String,
}

/// An OpenID Connect provider that a role trusts. IAM makes the role without it, and refuses every token later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderClaim {
    /// The ARN.
    pub arn: String,
    /// The audience that the role demands of a token.
    pub audience: Option<String>,
}

impl Claims {
    /// Adds what the resources below `parent` claim that are new or trust somebody else than before.
    pub(super) fn add(&mut self, parent: &str, before: &Resources, after: &Resources) {
        for (logical_id, resource) in after {
            if resource.get("Type").and_then(Value::as_str) != Some("AWS::IAM::Role") {
                continue;
            }
            let property =
                |resource: &Value, name: &str| resource.get("Properties")?.get(name).cloned();
            let existing = before.get(logical_id);
            let name = property(resource, "RoleName");
            if existing.is_none()
                && let Some(name) = name.as_ref().and_then(Value::as_str)
            {
                let path = match parent {
                    "" => logical_id.clone(),
                    parent => format!("{parent}/{logical_id}"),
                };
                self.roles.push(RoleClaim { path, name: name.to_owned() });
            }
            let trust = property(resource, "AssumeRolePolicyDocument");
            if trust != existing.and_then(|existing| property(existing, "AssumeRolePolicyDocument"))
            {
                for provider in trust.iter().flat_map(providers) {
                    if !self.providers.contains(&provider) {
                        self.providers.push(provider);
                    }
                }
            }
        }
    }
}

/// Returns the providers that a trust policy names, which the templates write as a document or as its JSON text.
fn providers(trust: &Value) -> Vec<ProviderClaim> {
    let parsed = trust.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let document = parsed.as_ref().unwrap_or(trust);
    let statements = document.get("Statement").and_then(Value::as_array);
    statements.into_iter().flatten().filter_map(provider).collect()
}

fn provider(statement: &Value) -> Option<ProviderClaim> {
    let arn = statement.get("Principal")?.get("Federated")?.as_str()?;
    let (_, issuer) = arn.split_once(":oidc-provider/")?;
    let audience = statement
        .get("Condition")
        .and_then(|condition| condition.get("StringEquals"))
        .and_then(|equals| equals.get(format!("{issuer}:aud")))
        .and_then(Value::as_str);
    Some(ProviderClaim { arn: arn.to_owned(), audience: audience.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(name: &Value, trust: &Value) -> Value {
        json!({"Type": "AWS::IAM::Role",
            "Properties": {"RoleName": name, "AssumeRolePolicyDocument": trust}})
    }

    fn trust(issuer: &str) -> Value {
        json!({"Statement": [
            {"Principal": {"AWS": "*"}},
            {"Principal": {"Federated": format!("arn:aws:iam::1:oidc-provider/{issuer}")},
             "Condition": {"StringEquals": {format!("{issuer}:aud"): "openshift"}}},
        ]})
    }

    fn provider(issuer: &str) -> ProviderClaim {
        ProviderClaim {
            arn: format!("arn:aws:iam::1:oidc-provider/{issuer}"),
            audience: Some("openshift".to_owned()),
        }
    }

    #[test]
    fn new_roles_claim_their_names_and_changed_trust_its_providers() {
        let before = Resources::from([
            ("Kept".to_owned(), role(&json!("kept"), &trust("one"))),
            ("Changed".to_owned(), role(&json!("changed"), &trust("one"))),
        ]);
        let after = Resources::from([
            ("Kept".to_owned(), role(&json!("kept"), &trust("one"))),
            ("Changed".to_owned(), role(&json!("changed"), &trust("two/a"))),
            ("Added".to_owned(), role(&json!("added"), &json!(trust("three").to_string()))),
            // What only AWS can tell is not claimed.
            ("Suffixed".to_owned(), role(&json!({"Fn::Sub": "x-${AWS::StackId}"}), &json!({}))),
            ("Queue".to_owned(), json!({"Type": "AWS::SQS::Queue"})),
        ]);
        let mut claims = Claims::default();
        claims.add("Core", &before, &after);
        assert_eq!(
            claims,
            Claims {
                roles: vec![RoleClaim { path: "Core/Added".to_owned(), name: "added".to_owned() }],
                providers: vec![provider("three"), provider("two/a")],
            }
        );
    }
}
