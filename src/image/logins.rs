//! The logins that `podman login`, `docker login` and `skopeo login` keep in files.
//!
//! Form: <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mtlog_processor::model::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use super::{reference::Repository, registry::Login};

/// A file with logins that cannot be used.
#[derive(Debug, Error)]
pub enum LoginsError {
    /// Not JSON of the known form.
    #[error("it is not a file of logins")]
    Unreadable(#[source] serde_json::Error),
    /// The login is no `user:password` in Base64.
    #[error("its login for `{registry}` cannot be read")]
    Entry {
        /// The key in the file.
        registry: String,
    },
    /// Another program keeps the login.
    #[error("it leaves the login for `{registry}` to the program `docker-credential-{helper}`")]
    Helper {
        /// The registry's host.
        registry: String,
        /// The end of the program's name.
        helper: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
}

/// Returns the login for `repository` in a file's text: the one for the longest part of its name.
///
/// # Errors
/// When the file is not one of logins, or has the login in a form that cannot be read here.
pub fn find(text: &str, repository: &Repository) -> Result<Option<Login>, LoginsError> {
    let file: File = serde_json::from_str(text).map_err(LoginsError::Unreadable)?;
    let host = &repository.registry;
    let mut name = format!("{host}/{}", repository.path);
    let entry = loop {
        if let Some((key, entry)) = file.auths.iter().find(|(key, _)| plain(key) == name) {
            break Some((key, entry));
        }
        let Some((shorter, _)) = name.rsplit_once('/') else { break None };
        name = shorter.to_owned();
    };
    let helper = file.cred_helpers.get(host).or_else(|| {
        // docker leaves an empty entry behind for a login that its store keeps.
        file.creds_store.as_ref().filter(|_| entry.is_some())
    });
    match entry {
        Some((key, Entry { auth: Some(auth) })) if !auth.is_empty() => {
            login(auth).map(Some).ok_or_else(|| LoginsError::Entry { registry: key.clone() })
        }
        _ => match helper {
            Some(helper) => {
                Err(LoginsError::Helper { registry: host.clone(), helper: helper.clone() })
            }
            None => Ok(None),
        },
    }
}

/// Returns the text of a file that holds one login.
pub fn file_of(registry: &str, user: &str, password: &Secret<String>) -> Secret<String> {
    let auth = STANDARD.encode(format!("{user}:{}", password.reveal()));
    Secret::new(json!({"auths": {registry: {"auth": auth}}}).to_string())
}

/// docker writes some keys as URLs.
fn plain(key: &str) -> &str {
    let host = key.trim_start_matches("https://").trim_start_matches("http://");
    host.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2")
}

fn login(auth: &str) -> Option<Login> {
    let bytes = STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login::Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, repository: &str) -> Result<Option<(String, String)>, String> {
        match find(text, &repository.parse().unwrap()) {
            Ok(Some(Login::Basic { user, password })) => {
                Ok(Some((user, password.reveal().clone())))
            }
            Ok(Some(Login::Anonymous)) => panic!("a file does not say so"),
            Ok(None) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_login_for_the_longest_part_of_the_name_is_used() {
        let entry =
            |user: &str| format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:p:w")));
        let text = format!(
            r#"{{"auths":{{"h.example":{},"h.example/team":{},"https://old.example/v1/":{}}}}}"#,
            entry("all"),
            entry("team"),
            entry("old")
        );
        let some = |user: &str| Ok(Some((user.to_owned(), "p:w".to_owned())));
        assert_eq!(found(&text, "h.example/x"), some("all"));
        assert_eq!(found(&text, "h.example/team/x"), some("team"));
        assert_eq!(found(&text, "h.example/teams/x"), some("all"));
        assert_eq!(found(&text, "old.example/x"), some("old"));
        assert_eq!(found(&text, "other.example/x"), Ok(None));
        assert_eq!(found("{}", "other.example/x"), Ok(None));
    }

    #[test]
    fn a_login_that_cannot_be_read_is_not_passed_over() {
        for (text, part) in [
            ("not JSON", "not a file of logins"),
            (r#"{"auths":{"h.example":{"auth":"!"}}}"#, "`h.example` cannot be read"),
            (r#"{"credHelpers":{"h.example":"pass"}}"#, "docker-credential-pass"),
            (r#"{"auths":{"h.example":{}},"credsStore":"desktop"}"#, "docker-credential-desktop"),
        ] {
            let error = found(text, "h.example/x").unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_written_login_is_found_again() {
        let text = file_of("h.example:5000", "AWS", &Secret::new("token".to_owned()));
        assert_eq!(
            found(text.reveal(), "h.example:5000/x"),
            Ok(Some(("AWS".to_owned(), "token".to_owned())))
        );
    }
}
