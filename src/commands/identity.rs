//! Who we are, and whether that is who we were told to be: the first act of every command that may write.

use std::path::PathBuf;

use jiff::Timestamp;

use super::Context;
use crate::{
    aws::{
        fault::FaultClass,
        mfa,
        session::{Session, SessionSettings},
        sts::Identity,
    },
    config::connection::Connection,
    error::{CliError, ExitStatus, Message},
};

/// Opens the session. If the profile's role demands a second factor and no session of it is kept, asks for a code.
pub async fn open(context: &Context<'_>, connection: &Connection) -> Result<Session, CliError> {
    let settings = &connection.session;
    let Some(profile) = mfa::profile(settings).await else {
        return Ok(Session::open(settings).await);
    };
    let home = context.layers.environment().get("HOME").map(PathBuf::from);
    let cached = home.as_ref().and_then(|home| profile.cached(home, Timestamp::now()));
    let keys = match cached {
        Some(keys) => keys,
        None => {
            let code = context.ui.code(&profile.device).map_err(|error| {
                error.next(format!("aws sts get-caller-identity --profile {}", profile.name))
            })?;
            let what = format!("failed to assume the role of profile `{}`", profile.name);
            let assumed = profile
                .assume(settings, code.reveal())
                .await
                .map_err(|fault| CliError::aws(what, fault))?;
            if let Some(home) = &home
                && let Err(error) = profile.keep(home, &assumed)
            {
                context.ui.warning(&format!("The session could not be kept for later: {error}."));
            }
            assumed.keys
        }
    };
    Ok(Session::open(&SessionSettings { keys: Some(keys), ..settings.clone() }).await)
}

/// Returns the caller's identity.
///
/// # Errors
/// When there are no usable credentials, or the account is not the one that the settings demand.
pub async fn checked(session: &Session, connection: &Connection) -> Result<Identity, CliError> {
    let identity = match session.sts().identity().await {
        Ok(identity) => identity,
        Err(fault) => {
            let lost = fault.class() == FaultClass::Credentials;
            let unreachable = fault.class() == FaultClass::Transient;
            let mut error = CliError::aws("failed to find out which account this is", fault);
            if let Some(endpoint) = connection.session.endpoint.as_ref().filter(|_| unreachable) {
                error = error.hint(format!(
                    "every call goes to {endpoint}, because --endpoint-url or AWS_ENDPOINT_URL says so"
                ));
            }
            return Err(match mfa::sso_profile(&connection.session).await {
                Some(profile) if lost => error.next(format!("aws sso login --profile {profile}")),
                _ => error,
            });
        }
    };
    match &connection.account {
        Some(demanded) if demanded.value != identity.account => {
            let text = format!(
                "this is account {}, but {} demands account {}",
                identity.account, demanded.source, demanded.value
            );
            Err(CliError::new(ExitStatus::Preflight, Message(text)).hint(format!(
                "the identity in use is {}; name another profile with --profile",
                identity.arn
            )))
        }
        _ => Ok(identity),
    }
}
