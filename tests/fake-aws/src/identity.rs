//! Who calls: accounts, users, roles, their keys and sessions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::clock::{Millis, timestamp};
use crate::iam::Policy;
use crate::random::Random;
use jiff::Timestamp;

/// The longest session that a role gives when nothing else is set, in seconds.
pub(crate) const DEFAULT_MAX_SESSION_SECONDS: i64 = 3_600;

/// Keys that a client can sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key's id, which names the caller.
    pub access_key_id: String,
    /// The secret; nothing here depends on it.
    pub secret_access_key: String,
    /// The token that belongs to a session's key.
    pub session_token: Option<String>,
    /// The end of the session on the fake's clock.
    pub expiration: Option<Timestamp>,
}

impl Credentials {
    /// Returns the environment variables that make an AWS client use these keys.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.clone()),
        ];
        if let Some(token) = &self.session_token {
            variables.push(("AWS_SESSION_TOKEN", token.clone()));
        }
        variables
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &"***")
            .field("session_token", &self.session_token.as_ref().map(|_| "***"))
            .field("expiration", &self.expiration)
            .finish()
    }
}

/// The signer of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) kind: CallerKind,
}

#[derive(Debug, Clone)]
pub(crate) enum CallerKind {
    Root,
    User,
    Session { role_arn: String, session_policy: Option<Policy> },
}

impl Caller {
    /// Returns the role ARN of a session, or an empty text.
    pub(crate) fn role_arn(&self) -> &str {
        match &self.kind {
            CallerKind::Session { role_arn, .. } => role_arn,
            CallerKind::Root | CallerKind::User => "",
        }
    }
}

/// A role that can be taken.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) trust: Policy,
    /// The trust policy as it was written.
    pub(crate) trust_text: String,
    /// Empty: the role may do everything in its own account.
    pub(crate) policies: Vec<Policy>,
    pub(crate) max_session_seconds: i64,
    pub(crate) id: String,
}

#[derive(Debug, Clone)]
struct User {
    policies: Vec<Policy>,
    id: String,
}

#[derive(Debug, Clone)]
struct Key {
    caller: Caller,
    session_token: Option<String>,
    expires: Option<Millis>,
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyError {
    Unknown,
    Expired,
    /// The key is right, the token beside it is not.
    WrongToken,
}

/// All identities of one fake.
#[derive(Debug)]
pub(crate) struct Identities {
    roles: BTreeMap<String, Role>,
    users: BTreeMap<String, User>,
    keys: HashMap<String, Key>,
    /// The audiences of OpenID Connect providers, by account and issuer.
    oidc_providers: BTreeMap<(String, String), Vec<String>>,
    random: Random,
}

impl Identities {
    pub(crate) fn new() -> Self {
        Self {
            roles: BTreeMap::new(),
            users: BTreeMap::new(),
            keys: HashMap::new(),
            oidc_providers: BTreeMap::new(),
            random: Random::new(0x1DE7),
        }
    }

    pub(crate) fn add_role(
        &mut self,
        arn: &str,
        trust: Policy,
        trust_text: &str,
        policies: Vec<Policy>,
    ) {
        let (id, max_session_seconds) = match self.roles.get(arn) {
            Some(role) => (role.id.clone(), role.max_session_seconds),
            None => (format!("AROA{}", self.random.id(17)), DEFAULT_MAX_SESSION_SECONDS),
        };
        let trust_text = trust_text.to_owned();
        let role = Role { trust, trust_text, policies, max_session_seconds, id };
        self.roles.insert(arn.to_owned(), role);
    }

    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    /// Returns the ARN of the account's role of this name, whatever its path.
    pub(crate) fn role_named(&self, account: &str, name: &str) -> Option<String> {
        let is_it =
            |arn: &&String| account_of(arn) == account && arn.ends_with(&format!("/{name}"));
        self.roles.keys().find(is_it).cloned()
    }

    pub(crate) fn add_oidc_provider(&mut self, account: &str, issuer: &str, audiences: &[&str]) {
        let audiences = audiences.iter().map(|&audience| audience.to_owned()).collect();
        self.oidc_providers.insert((account.to_owned(), issuer.to_owned()), audiences);
    }

    /// Returns the provider's audiences.
    pub(crate) fn oidc_provider(&self, account: &str, issuer: &str) -> Option<Vec<String>> {
        self.oidc_providers.get(&(account.to_owned(), issuer.to_owned())).cloned()
    }

    pub(crate) fn role_mut(&mut self, arn: &str) -> Option<&mut Role> {
        self.roles.get_mut(arn)
    }

    pub(crate) fn remove_role(&mut self, arn: &str) -> bool {
        self.roles.remove(arn).is_some()
    }

    /// Registers a user and gives it long-lived keys.
    pub(crate) fn add_user(&mut self, arn: &str, policies: Vec<Policy>) -> Credentials {
        let id = format!("AIDA{}", self.random.id(17));
        self.users.insert(arn.to_owned(), User { policies, id: id.clone() });
        let caller = Caller {
            account: account_of(arn).to_owned(),
            arn: arn.to_owned(),
            user_id: id,
            kind: CallerKind::User,
        };
        let access_key_id = format!("AKIA{}", self.random.id(16));
        self.keys.insert(access_key_id.clone(), Key { caller, session_token: None, expires: None });
        Credentials {
            access_key_id,
            secret_access_key: self.random.id(40),
            session_token: None,
            expiration: None,
        }
    }

    /// Opens a session of a role, asking nobody.
    pub(crate) fn open_session(
        &mut self,
        role_arn: &str,
        session_name: &str,
        session_policy: Option<Policy>,
        expires: Millis,
    ) -> (Credentials, Caller) {
        let id = self
            .roles
            .get(role_arn)
            .map_or_else(|| format!("AROA{}", self.random.id(17)), |role| role.id.clone());
        let account = account_of(role_arn);
        let partition = role_arn.split(':').nth(1).unwrap_or("aws");
        let role_name = role_arn.rsplit('/').next().unwrap_or_default();
        let caller = Caller {
            account: account.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{session_name}"),
            user_id: format!("{id}:{session_name}"),
            kind: CallerKind::Session { role_arn: role_arn.to_owned(), session_policy },
        };
        let access_key_id = format!("ASIA{}", self.random.id(16));
        let session_token = format!("IQoJb3JpZ2lu{}", self.random.id(200));
        self.keys.insert(
            access_key_id.clone(),
            Key {
                caller: caller.clone(),
                session_token: Some(session_token.clone()),
                expires: Some(expires),
            },
        );
        let credentials = Credentials {
            access_key_id,
            secret_access_key: self.random.id(40),
            session_token: Some(session_token),
            expiration: Some(timestamp(expires)),
        };
        (credentials, caller)
    }

    /// Finds whose key this is. Twelve digits are the root of that account.
    pub(crate) fn caller(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Millis,
    ) -> Result<Caller, KeyError> {
        if is_account_id(access_key_id) {
            return Ok(Caller {
                account: access_key_id.to_owned(),
                arn: format!("arn:aws:iam::{access_key_id}:root"),
                user_id: access_key_id.to_owned(),
                kind: CallerKind::Root,
            });
        }
        let key = self.keys.get(access_key_id).ok_or(KeyError::Unknown)?;
        if key.session_token.as_deref() != session_token {
            return Err(KeyError::WrongToken);
        }
        if key.expires.is_some_and(|expires| now >= expires) {
            return Err(KeyError::Expired);
        }
        Ok(key.caller.clone())
    }

    /// Ends every session of a role, as a revocation does.
    pub(crate) fn expire_sessions(&mut self, role_arn: &str, now: Millis) {
        for key in self.keys.values_mut() {
            if key.caller.role_arn() == role_arn {
                key.expires = Some(now);
            }
        }
    }

    /// Returns the identity policies of a caller, or nothing when none restrict it.
    pub(crate) fn policies(&self, caller: &Caller) -> IdentityPolicies {
        match &caller.kind {
            CallerKind::Root => IdentityPolicies::Unrestricted,
            CallerKind::User => {
                IdentityPolicies::of(self.users.get(&caller.arn).map(|user| &user.policies))
            }
            CallerKind::Session { role_arn, .. } => {
                IdentityPolicies::of(self.roles.get(role_arn).map(|role| &role.policies))
            }
        }
    }

    /// Returns the unique ids of users and roles, by ARN.
    pub(crate) fn unique_ids(&self) -> BTreeMap<String, String> {
        let users = self.users.iter().map(|(arn, user)| (arn.clone(), user.id.clone()));
        let roles = self.roles.iter().map(|(arn, role)| (arn.clone(), role.id.clone()));
        users.chain(roles).collect()
    }
}

/// What a caller's own policies say about its reach.
#[derive(Debug, Clone)]
pub(crate) enum IdentityPolicies {
    /// None are registered: everything is allowed, as far as the other side allows it too.
    Unrestricted,
    Listed(Vec<Policy>),
    /// The role or user is gone: its open sessions may do nothing.
    Gone,
}

impl IdentityPolicies {
    fn of(policies: Option<&Vec<Policy>>) -> Self {
        match policies {
            None => Self::Gone,
            Some(policies) if policies.is_empty() => Self::Unrestricted,
            Some(policies) => Self::Listed(policies.clone()),
        }
    }
}

/// Tells whether a text is an account id.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the account in an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/path/engine";

    #[test]
    fn keys_name_their_callers() {
        let mut identities = Identities::new();
        let trust = serde_json::json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}});
        identities.add_role(ROLE, Policy::trust(&trust).unwrap(), "", Vec::new());
        let (keys, _) = identities.open_session(ROLE, "run-1", None, 1_000);
        let token = keys.session_token.as_deref();
        let caller = identities.caller(&keys.access_key_id, token, 999).unwrap();
        assert_eq!(caller.arn, "arn:aws:sts::111122223333:assumed-role/engine/run-1");
        assert_eq!(caller.role_arn(), ROLE);
        let error = |id: &str, token, now| identities.caller(id, token, now).unwrap_err();
        assert_eq!(error(&keys.access_key_id, token, 1_000), KeyError::Expired);
        assert_eq!(error(&keys.access_key_id, None, 1), KeyError::WrongToken);
        assert_eq!(error("ASIAUNKNOWN", None, 1), KeyError::Unknown);
        let root = identities.caller("444455556666", None, 1).unwrap();
        assert_eq!(root.arn, "arn:aws:iam::444455556666:root");
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut identities = Identities::new();
        let keys = identities.add_user("arn:aws:iam::111122223333:user/ops", Vec::new());
        assert!(!format!("{keys:?}").contains(&keys.secret_access_key));
    }
}
