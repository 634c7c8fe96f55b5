//! Who we are, and whether that is who we were told to be: the first act of every command that may write.

use crate::{
    aws::{session::Session, sts::Identity},
    config::connection::Connection,
    error::{CliError, ExitStatus, Message},
};

/// Returns the caller's identity.
///
/// # Errors
/// When there are no usable credentials, or the account is not the one that the settings demand.
pub async fn checked(session: &Session, connection: &Connection) -> Result<Identity, CliError> {
    let identity = session
        .sts()
        .identity()
        .await
        .map_err(|fault| CliError::aws("failed to find out which account this is", fault))?;
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
