//! Security Token Service: who am I, and taking roles.
//!
//! Rules are those of the API model (`sts-2011-06-15`) and of
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::authorize;
use crate::canned;
use crate::clock::{SECOND, iso_seconds};
use crate::error::ApiError;
use crate::http::Reply;
use crate::iam::{self, Policy};
use crate::identity::{CallerKind, Credentials, account_of};
use crate::shared::Context;
use crate::xml;

pub(crate) const OPERATIONS: &[&str] =
    &["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"];

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The longest session that a role session can open, in seconds.
const MAX_CHAINED_SECONDS: i64 = 3_600;

type Form = [(String, String)];

/// Tells whether an operation comes without a signature.
pub(crate) fn is_unsigned(operation: &str) -> bool {
    operation == "AssumeRoleWithWebIdentity"
}

/// Returns what a call is about: the role and the session name.
pub(crate) fn facts(form: &Form) -> (String, String) {
    let member = |name| value(form, name).unwrap_or_default().to_owned();
    (member("RoleArn"), member("RoleSessionName"))
}

pub(crate) fn execute(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    match context.operation {
        "GetCallerIdentity" => Ok(caller_identity(context)),
        "AssumeRole" => assume_role(context, form),
        "AssumeRoleWithWebIdentity" => assume_role_with_web_identity(context, form),
        other => Err(ApiError::bad("InvalidAction", format!("Could not find operation {other}"))),
    }
}

fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn caller_identity(context: &Context<'_>) -> Reply {
    reply(context, |out| {
        out.text("Arn", &context.caller.arn);
        out.text("UserId", &context.caller.user_id);
        out.text("Account", &context.caller.account);
    })
}

fn reply(context: &Context<'_>, content: impl FnOnce(&mut xml::Writer)) -> Reply {
    context.query_reply(NAMESPACE, content)
}

/// What both ways of taking a role have in common.
#[derive(Debug)]
struct Wish<'a> {
    role_arn: &'a str,
    session_name: &'a str,
    seconds: i64,
    session_policy: Option<Policy>,
}

impl<'a> Wish<'a> {
    fn read(form: &'a Form) -> Result<Self, ApiError> {
        let mut broken = Vec::new();
        let role_arn = value(form, "RoleArn").unwrap_or_default();
        check_length(&mut broken, "roleArn", role_arn, 20, 2_048);
        let session_name = value(form, "RoleSessionName").unwrap_or_default();
        check_text(&mut broken, "roleSessionName", session_name, 2, 64, "+=,.@-", r"[\w+=,.@-]*");
        if let Some(external_id) = value(form, "ExternalId") {
            check_text(
                &mut broken,
                "externalId",
                external_id,
                2,
                1_224,
                "+=,.@:/-",
                r"[\w+=,.@:\/-]*",
            );
        }
        if let Some(source) = value(form, "SourceIdentity") {
            check_text(&mut broken, "sourceIdentity", source, 2, 64, "+=,.@-", r"[\w+=,.@-]*");
        }
        let seconds = match value(form, "DurationSeconds") {
            None => 3_600,
            Some(text) => text
                .parse()
                .map_err(|_| ApiError::bad("MalformedInput", "DurationSeconds is not a number"))?,
        };
        if seconds < 900 {
            broken.push(constraint(
                "durationSeconds",
                &seconds.to_string(),
                "Member must have value greater than or equal to 900",
            ));
        }
        if seconds > 43_200 {
            broken.push(constraint(
                "durationSeconds",
                &seconds.to_string(),
                "Member must have value less than or equal to 43200",
            ));
        }
        let policy_text = value(form, "Policy");
        if let Some(policy) = policy_text {
            check_length(&mut broken, "policy", policy, 1, 2_048);
        }
        if !broken.is_empty() {
            let plural = if broken.len() == 1 { "" } else { "s" };
            let message = format!(
                "{} validation error{plural} detected: {}",
                broken.len(),
                broken.join("; ")
            );
            return Err(ApiError::bad("ValidationError", message));
        }
        if !is_role_arn(role_arn) {
            return Err(ApiError::bad("ValidationError", format!("{role_arn} is invalid")));
        }
        let session_policy = policy_text
            .map(|text| {
                let document = serde_json::from_str(text).ok()?;
                Policy::identity(&document).ok()
            })
            .map(|policy| {
                policy.ok_or_else(|| {
                    ApiError::bad("MalformedPolicyDocument", "Syntax errors in policy.")
                })
            })
            .transpose()?;
        Ok(Self { role_arn, session_name, seconds, session_policy })
    }
}

fn constraint(member: &str, value: &str, rule: &str) -> String {
    format!("Value '{value}' at '{member}' failed to satisfy constraint: {rule}")
}

fn check_length(broken: &mut Vec<String>, member: &str, value: &str, least: usize, most: usize) {
    let length = value.chars().count();
    if length < least {
        broken.push(constraint(
            member,
            value,
            &format!("Member must have length greater than or equal to {least}"),
        ));
    }
    if length > most {
        broken.push(constraint(
            member,
            value,
            &format!("Member must have length less than or equal to {most}"),
        ));
    }
}

fn check_text(
    broken: &mut Vec<String>,
    member: &str,
    value: &str,
    least: usize,
    most: usize,
    signs: &str,
    pattern: &str,
) {
    check_length(broken, member, value, least, most);
    let legal = |character: char| {
        character.is_ascii_alphanumeric() || character == '_' || signs.contains(character)
    };
    if !value.chars().all(legal) {
        broken.push(constraint(
            member,
            value,
            &format!("Member must satisfy regular expression pattern: {pattern}"),
        ));
    }
}

fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", account, name]
        if crate::identity::is_account_id(account) && name.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

fn assume_role(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let wish = Wish::read(form)?;
    let caller = context.caller;
    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            caller.arn, wish.role_arn
        );
        canned::access_denied(context.service, &message)
    };
    let chained = match caller.kind {
        CallerKind::Root => {
            return Err(canned::access_denied(
                context.service,
                "Roles may not be assumed by root accounts.",
            ));
        }
        CallerKind::User => false,
        CallerKind::Session { .. } => true,
    };
    let Some(role) = context.shared.identities().role(wish.role_arn).cloned() else {
        return Err(denied());
    };
    let mut conditions = vec![("sts:RoleSessionName", wish.session_name.to_owned())];
    if let Some(external_id) = value(form, "ExternalId") {
        conditions.push(("sts:ExternalId", external_id.to_owned()));
    }
    let owner = account_of(wish.role_arn);
    if !context.may("sts:AssumeRole", wish.role_arn, owner, Some(&role.trust), &conditions)? {
        return Err(denied());
    }
    if chained && wish.seconds > MAX_CHAINED_SECONDS {
        return Err(ApiError::bad(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    open(context, wish, role.max_session_seconds, |_| {})
}

fn open(
    context: &Context<'_>,
    wish: Wish<'_>,
    max_seconds: i64,
    more: impl FnOnce(&mut xml::Writer),
) -> Result<Reply, ApiError> {
    if wish.seconds > max_seconds {
        return Err(ApiError::bad(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let expires = context.now + wish.seconds * SECOND;
    let (credentials, session) = context.shared.identities().open_session(
        wish.role_arn,
        wish.session_name,
        wish.session_policy,
        expires,
    );
    Ok(reply(context, |out| {
        write_credentials(out, &credentials, &iso_seconds(expires));
        out.nest("AssumedRoleUser", |out| {
            out.text("AssumedRoleId", &session.user_id);
            out.text("Arn", &session.arn);
        });
        more(out);
    }))
}

fn write_credentials(out: &mut xml::Writer, credentials: &Credentials, expiration: &str) {
    out.nest("Credentials", |out| {
        out.text("AccessKeyId", &credentials.access_key_id);
        out.text("SecretAccessKey", &credentials.secret_access_key);
        out.text("SessionToken", credentials.session_token.as_deref().unwrap_or_default());
        out.text("Expiration", expiration);
    });
}

/// Opens a session for a token of an identity provider, as pods do. The token's signature is not
/// verified; the role must trust its issuer, with conditions on subject and audience.
fn assume_role_with_web_identity(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let wish = Wish::read(form)?;
    let token =
        WebToken::read(value(form, "WebIdentityToken").unwrap_or_default()).ok_or_else(|| {
            ApiError::bad(
                "InvalidIdentityToken",
                "The web identity token that was passed could not be validated.",
            )
        })?;
    let denied = || {
        canned::access_denied(
            context.service,
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        )
    };
    let role = context.shared.identities().role(wish.role_arn).cloned().ok_or_else(denied)?;
    let provider =
        format!("arn:aws:iam::{}:oidc-provider/{}", account_of(wish.role_arn), token.issuer);
    let request = iam::Request {
        principal: iam::Principal::Federated(provider.clone()),
        action: "sts:AssumeRoleWithWebIdentity".to_owned(),
        resource: wish.role_arn.to_owned(),
        context: iam::Context::default()
            .with(&format!("{}:sub", token.issuer), &token.subject)
            .with(&format!("{}:aud", token.issuer), &token.audience),
    };
    if !authorize::decide(&[], Some(&role.trust), &request)? {
        return Err(denied());
    }
    open(context, wish, role.max_session_seconds, |out| {
        out.text("SubjectFromWebIdentityToken", &token.subject);
        out.text("Audience", &token.audience);
        out.text("Provider", &provider);
    })
}

/// What a token of an identity provider claims.
#[derive(Debug, PartialEq, Eq)]
struct WebToken {
    /// Without the scheme, as IAM names providers.
    issuer: String,
    subject: String,
    audience: String,
}

impl WebToken {
    fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let audience = claim("aud")
            .or_else(|| claims.get("aud")?.get(0)?.as_str().map(str::to_owned))
            .unwrap_or_default();
        Some(Self {
            issuer: claim("iss")?.trim_start_matches("https://").to_owned(),
            subject: claim("sub")?,
            audience,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/customer";

    fn check(members: &[(&str, &str)], expected: Result<(), &str>) {
        let mut form = vec![
            ("RoleArn".to_owned(), ROLE.to_owned()),
            ("RoleSessionName".to_owned(), "session".to_owned()),
        ];
        for (name, text) in members {
            form.retain(|(key, _)| key != name);
            form.push(((*name).to_owned(), (*text).to_owned()));
        }
        let seen = Wish::read(&form).map(|_| ()).map_err(|error| error.code);
        assert_eq!(seen, expected.map_err(str::to_owned), "{members:?}");
    }

    #[test]
    fn the_model_is_checked() {
        let (name, long_name) = ("n".repeat(64), "n".repeat(65));
        let (id, long_id) = ("i".repeat(1_224), "i".repeat(1_225));
        check(&[], Ok(()));
        check(&[("RoleSessionName", &name)], Ok(()));
        check(&[("RoleSessionName", &long_name)], Err("ValidationError"));
        check(&[("RoleSessionName", "a")], Err("ValidationError"));
        check(&[("RoleSessionName", "a b")], Err("ValidationError"));
        check(&[("RoleSessionName", "a:b")], Err("ValidationError"));
        check(&[("ExternalId", &id)], Ok(()));
        check(&[("ExternalId", "a:b/c=d,e.f@g-h")], Ok(()));
        check(&[("ExternalId", &long_id)], Err("ValidationError"));
        check(&[("ExternalId", "x")], Err("ValidationError"));
        check(&[("ExternalId", "a b")], Err("ValidationError"));
        check(&[("DurationSeconds", "900")], Ok(()));
        check(&[("DurationSeconds", "899")], Err("ValidationError"));
        check(&[("DurationSeconds", "43201")], Err("ValidationError"));
        check(&[("RoleArn", "arn:aws:iam::1:role/x-and-more")], Err("ValidationError"));
        check(&[("RoleArn", "arn:aws:iam::111122223333:user/someone")], Err("ValidationError"));
        check(&[("Policy", "{")], Err("MalformedPolicyDocument"));
    }
}
