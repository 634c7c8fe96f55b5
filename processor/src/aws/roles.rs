//! The way into a customer's account: the central role first, then the customer's.
//!
//! Both hops are chained, so their sessions last an hour at most
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
//! Sessions are kept here, because the SDK's own cache holds 64 of them.

use std::{sync::Arc, time::UNIX_EPOCH};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_sts::{Client, config::IdentityCache};

use crate::{
    aws::{
        fault::{Caller, fault},
        session::Session,
    },
    cache::{Answer, Cache, Fresh},
    metrics::{Meter, Metric},
    model::{arn::RoleArn, outcome::SystemicReason},
    ports::{Access, Clock, Fault, FaultClass},
};

const ASSUME: &str = "AssumeRole";
/// A session is not used when it has less than this left, in milliseconds.
const FLOOR_MS: i64 = 5 * 60 * 1000;
/// The part of its life after which a session is renewed, in percent.
const RENEW_PERCENT: i64 = 80;
/// The longest session name (`AssumeRole` in the API model).
const MAX_SESSION_NAME: usize = 64;

/// A session of a role.
#[derive(Debug)]
pub(super) struct RoleSession {
    /// The credentials.
    pub(super) credentials: Credentials,
}

/// Assumes roles and keeps their sessions.
pub struct Roles {
    session: Session,
    central_role: RoleArn,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    central: Cache<(), Arc<RoleSession>>,
    customers: Cache<Access, Arc<RoleSession>>,
}

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roles").field("central_role", &self.central_role).finish_non_exhaustive()
    }
}

impl Roles {
    /// Goes through `central_role`, starting with the credentials of `session`.
    pub fn new(
        session: Session,
        central_role: RoleArn,
        clock: Arc<dyn Clock>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            session,
            central_role,
            clock,
            meter,
            central: Cache::default(),
            customers: Cache::default(),
        }
    }

    /// Returns a session of the central role.
    pub(super) async fn central(&self) -> Result<Arc<RoleSession>, Fault> {
        let (session, answer) =
            self.central.get(&(), || self.clock.now_ms(), || self.assume_central()).await?;
        self.count(answer);
        Ok(session)
    }

    /// Returns a session of the customer's role.
    pub(super) async fn customer(&self, access: &Access) -> Result<Arc<RoleSession>, Fault> {
        let load = || self.assume_customer(access);
        let (session, answer) = self.customers.get(access, || self.clock.now_ms(), load).await?;
        self.count(answer);
        Ok(session)
    }

    /// Stops using `session`: the service says that it has expired, whatever its date.
    pub(super) fn forget(&self, access: &Access, session: &Arc<RoleSession>) {
        self.customers.forget(access, |kept| Arc::ptr_eq(kept, session));
    }

    /// Stops using `session` of the central role.
    pub(super) fn forget_central(&self, session: &Arc<RoleSession>) {
        self.central.forget(&(), |kept| Arc::ptr_eq(kept, session));
    }

    fn count(&self, answer: Answer) {
        let word = if answer == Answer::Hit { "hit" } else { "miss" };
        self.meter.add(Metric::CredentialCache, word, 1);
    }

    async fn assume_central(&self) -> Result<Fresh<Arc<RoleSession>>, Fault> {
        let client = Client::new(&self.session.sdk);
        let name = session_name("mtlog-engine");
        let request =
            client.assume_role().role_arn(self.central_role.to_string()).role_session_name(name);
        let result = request.send().await.map_err(|error| fault(ASSUME, Caller::Own, &error));
        self.note(result.as_ref().err());
        match result {
            Ok(output) => self.fresh(output.credentials()),
            Err(mut fault) => {
                if matches!(
                    fault.class,
                    FaultClass::Denied | FaultClass::Invalid | FaultClass::Missing
                ) {
                    fault.class = FaultClass::Systemic(SystemicReason::CentralRoleDenied);
                }
                Err(fault)
            }
        }
    }

    async fn assume_customer(&self, access: &Access) -> Result<Fresh<Arc<RoleSession>>, Fault> {
        let central = self.central().await?;
        let provider = SharedCredentialsProvider::new(central.credentials.clone());
        let config = aws_sdk_sts::config::Builder::from(&self.session.sdk)
            .credentials_provider(provider)
            .identity_cache(IdentityCache::no_cache())
            .build();
        let external_id = match &access.external_id {
            Some(id) => id.reveal().to_string(),
            None => self.central_role.account().to_string(),
        };
        let request = Client::from_conf(config)
            .assume_role()
            .role_arn(access.role.to_string())
            .role_session_name(session_name(&format!("mtlog-{}", access.tenant)))
            .external_id(external_id);
        let result = request.send().await.map_err(|error| fault(ASSUME, Caller::Role, &error));
        self.note(result.as_ref().err());
        match result {
            Ok(output) => self.fresh(output.credentials()),
            Err(mut fault) => {
                match fault.class {
                    FaultClass::Denied | FaultClass::Invalid | FaultClass::Missing => {
                        fault.class = FaultClass::RoleDenied;
                    }
                    // The session of the central role is what expired; the caller tries once more.
                    FaultClass::Expired => self.forget_central(&central),
                    _ => {}
                }
                Err(fault)
            }
        }
    }

    fn note(&self, fault: Option<&Fault>) {
        let word = match fault.map(|fault| fault.class) {
            None => "ok",
            Some(FaultClass::Denied | FaultClass::Invalid | FaultClass::Missing) => "denied",
            Some(FaultClass::Throttled) => "throttled",
            Some(_) => "failed",
        };
        self.meter.add(Metric::AssumeRole, word, 1);
    }

    fn fresh(
        &self,
        issued: Option<&aws_sdk_sts::types::Credentials>,
    ) -> Result<Fresh<Arc<RoleSession>>, Fault> {
        let issued = issued.ok_or_else(|| Fault::new(FaultClass::Ambiguous, ASSUME))?;
        let expires_ms = issued.expiration().to_millis().unwrap_or_default();
        let now_ms = self.clock.now_ms();
        let expiry = u64::try_from(expires_ms)
            .ok()
            .map(|ms| UNIX_EPOCH + std::time::Duration::from_millis(ms));
        let credentials = Credentials::new(
            issued.access_key_id(),
            issued.secret_access_key(),
            Some(issued.session_token().to_owned()),
            expiry,
            "mtlog-role",
        );
        let (renew_ms, expires_ms) = usable_until(now_ms, expires_ms);
        Ok(Fresh { value: Arc::new(RoleSession { credentials }), renew_ms, expires_ms })
    }
}

/// Returns when to renew a session that expires at `expires_ms`, and when to stop using it.
fn usable_until(now_ms: i64, expires_ms: i64) -> (i64, i64) {
    let life_ms = (expires_ms - now_ms).max(0);
    // A session that is short by itself is used up to a tenth of its life.
    let floor_ms = FLOOR_MS.min(life_ms / 10);
    (now_ms + life_ms / 100 * RENEW_PERCENT, expires_ms - floor_ms)
}

/// Makes a legal session name that a customer can search for. What is too long ends in a hash of the whole.
fn session_name(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    let clean: String = text.chars().map(|c| if legal(c) { c } else { '-' }).collect();
    if clean.len() <= MAX_SESSION_NAME {
        return clean;
    }
    let hash = text
        .bytes()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let head: String = clean.chars().take(MAX_SESSION_NAME - 9).collect();
    format!("{head}-{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_legal_and_distinct() {
        assert_eq!(session_name("mtlog-acme"), "mtlog-acme");
        assert_eq!(session_name("mtlog-a b/ö"), "mtlog-a-b--");
        let (one, two) = ("a".repeat(63) + "1", "a".repeat(63) + "2");
        let (one, two) =
            (session_name(&format!("mtlog-{one}")), session_name(&format!("mtlog-{two}")));
        assert_eq!((one.len(), two.len()), (MAX_SESSION_NAME, MAX_SESSION_NAME));
        assert_ne!(one, two);
    }

    #[test]
    fn sessions_are_renewed_ahead_of_their_end() {
        const MINUTE: i64 = 60_000;
        assert_eq!(usable_until(0, 60 * MINUTE), (48 * MINUTE, 55 * MINUTE));
        assert_eq!(usable_until(0, 10 * MINUTE), (8 * MINUTE, 9 * MINUTE));
        assert_eq!(usable_until(MINUTE, 0), (MINUTE, 0));
    }
}
