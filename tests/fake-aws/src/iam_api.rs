//! Identity and Access Management: reading roles and identity providers.
//!
//! Rules are those of the API model (`iam-2010-05-08`).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cloudformation::Owner;
use crate::error::ApiError;
use crate::http::Reply;
use crate::identity::account_of;
use crate::shared::Context;
use crate::simulate;
use crate::xml;

pub(crate) const VERSION: &str = "2010-05-08";
pub(crate) const OPERATIONS: &[&str] =
    &["GetOpenIDConnectProvider", "GetRole", "SimulatePrincipalPolicy"];
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The longest role name.
const LONGEST_NAME: usize = 64;

type Form = [(String, String)];

/// Returns what a call is about: the role or the provider.
pub(crate) fn facts(form: &Form) -> (String, String) {
    let member = |name| value(form, name).unwrap_or_default().to_owned();
    let subjects = ["RoleName", "OpenIDConnectProviderArn", "PolicySourceArn"];
    (subjects.map(member).concat(), String::new())
}

pub(crate) fn execute(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    match context.operation {
        "GetRole" => get_role(context, form),
        "GetOpenIDConnectProvider" => get_provider(context, form),
        "SimulatePrincipalPolicy" => simulate::execute(context, form),
        other => Err(ApiError::bad("InvalidAction", format!("Could not find operation {other}"))),
    }
}

fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn get_role(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let name = value(form, "RoleName").unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_word) {
        return Err(ApiError::bad(
            "ValidationError",
            format!(
                "1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint"
            ),
        ));
    }
    let account = &context.caller.account;
    let known = context.shared.identities().role_named(account, name);
    let without_path = format!("arn:aws:iam::{account}:role/{name}");
    context.authorize("iam:GetRole", known.as_ref().unwrap_or(&without_path))?;
    let made = context.shared.cloudformation.role_owner(account, name);
    let Some(arn) = known.or_else(|| made.as_ref().map(|_| without_path)) else {
        return Err(missing(format!("The role with name {name} cannot be found.")));
    };
    let path = arn.split_once(":role").and_then(|(_, rest)| rest.strip_suffix(name));
    let trust = context.shared.identities().role(&arn).map(|role| role.trust_text.clone());
    let trust = trust.unwrap_or_else(|| "{}".to_owned());
    Ok(reply(context, |out| {
        out.nest("Role", |out| {
            out.text("Path", path.unwrap_or("/"));
            out.text("RoleName", name);
            out.text("RoleId", "AROAEXAMPLEEXAMPLE123");
            out.text("Arn", &arn);
            out.text("CreateDate", "2026-01-01T00:00:00Z");
            let trust = utf8_percent_encode(&trust, NON_ALPHANUMERIC).to_string();
            out.text("AssumeRolePolicyDocument", &trust);
            if let Some(Owner::Stack { stack: stack_id, .. }) = &made {
                out.nest("Tags", |out| {
                    out.nest("member", |out| {
                        out.text("Key", "aws:cloudformation:stack-id");
                        out.text("Value", stack_id);
                    });
                });
            }
        });
    }))
}

fn get_provider(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let arn = value(form, "OpenIDConnectProviderArn").unwrap_or_default();
    let account = &context.caller.account;
    let Some((_, issuer)) = arn.split_once(":oidc-provider/") else {
        return Err(ApiError::bad("InvalidInput", format!("Invalid ARN: {arn}")));
    };
    context.authorize("iam:GetOpenIDConnectProvider", arn)?;
    let audiences = (account_of(arn) == account)
        .then(|| context.shared.identities().oidc_provider(account, issuer))
        .flatten();
    let Some(audiences) = audiences else {
        return Err(missing(format!("OpenIDConnect Provider not found for arn {arn}")));
    };
    Ok(reply(context, |out| {
        out.text("Url", issuer);
        out.nest("ClientIDList", |out| {
            for audience in &audiences {
                out.text("member", audience);
            }
        });
        out.text("CreateDate", "2026-01-01T00:00:00Z");
    }))
}

fn missing(message: String) -> ApiError {
    ApiError::new(404, "NoSuchEntity", message)
}

fn reply(context: &Context<'_>, content: impl FnOnce(&mut xml::Writer)) -> Reply {
    context.query_reply(NAMESPACE, content)
}
