//! Profiles whose role demands a second factor. The SDK for Rust cannot ask for one, so the role is assumed here.
//!
//! Sessions are kept where the AWS CLI keeps them, under the same names and in the same form: whoever typed a code for
//! either of the two does not have to type one for the other. Source: `JSONFileCache` and `_create_cache_key` in
//! botocore's `utils.py` and `credentials.py`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_config::profile::ProfileSet;
use aws_types::os_shim_internal::{Env, Fs};
use jiff::{SignedDuration, Timestamp};
use mtlog_processor::model::secret::Secret;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{
    fault::Fault,
    session::{EnvironmentKeys, Keys, Profile, Session, SessionSettings},
};

/// A session with less time than this left is not worth starting with.
const LEAST_LEFT: SignedDuration = SignedDuration::from_mins(5);
/// The session's name where the profile gives none.
const SESSION_NAME: &str = "mtlog";

/// A profile whose role demands a second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaProfile {
    /// The profile's name.
    pub name: String,
    /// The device: its serial number or ARN.
    pub device: String,
    /// The role.
    pub role: String,
    /// The profile whose credentials assume the role.
    pub source: String,
    external_id: Option<String>,
    session_name: Option<String>,
    duration: Option<i32>,
}

/// Returns the profile in use, if its role demands a second factor.
pub async fn profile(settings: &SessionSettings) -> Option<MfaProfile> {
    let name = name_in_use(settings)?;
    read(&load().await?, &name)
}

/// Returns the name of the SSO profile in use, if it is one.
pub async fn sso_profile(settings: &SessionSettings) -> Option<String> {
    let name = name_in_use(settings)?;
    let profiles = load().await?;
    let profile = profiles.get_profile(&name)?;
    // A role may stand on an SSO profile.
    let source = profile.get("source_profile").and_then(|source| profiles.get_profile(source));
    [Some(profile), source]
        .into_iter()
        .flatten()
        .find(|profile| {
            profile.get("sso_session").or_else(|| profile.get("sso_start_url")).is_some()
        })
        .map(|profile| profile.name().to_owned())
}

/// Returns the profile whose credentials are used; none if those of the environment or of `.env` are.
fn name_in_use(settings: &SessionSettings) -> Option<String> {
    match (&settings.profile, settings.environment, &settings.keys) {
        (Some(Profile::Demanded(name)), _, _) => Some(name.clone()),
        (_, EnvironmentKeys::Present, _) | (_, _, Some(_)) => None,
        (Some(Profile::Suggested(name)), EnvironmentKeys::Absent, None) => Some(name.clone()),
        (None, EnvironmentKeys::Absent, None) => Some("default".to_owned()),
    }
}

/// Reads the profiles. Files that cannot be read have no profiles; the SDK says later what is wrong with them.
#[expect(
    deprecated,
    reason = "the type's other name is in a crate of the SDK that is not meant to be used directly"
)]
async fn load() -> Option<ProfileSet> {
    let files = aws_config::profile::profile_file::ProfileFiles::default();
    aws_config::profile::load(&Fs::real(), &Env::real(), &files, None).await.ok()
}

fn read(profiles: &ProfileSet, name: &str) -> Option<MfaProfile> {
    let profile = profiles.get_profile(name)?;
    let text = |key: &str| profile.get(key).map(str::to_owned);
    Some(MfaProfile {
        name: name.to_owned(),
        device: text("mfa_serial")?,
        role: text("role_arn")?,
        source: text("source_profile")?,
        external_id: text("external_id"),
        session_name: text("role_session_name"),
        duration: text("duration_seconds").and_then(|seconds| seconds.parse().ok()),
    })
}

impl MfaProfile {
    /// Returns the name of the session's file: the digest of what the role is assumed with.
    fn cache_name(&self) -> String {
        let mut arguments = vec![
            ("RoleArn", Value::from(self.role.clone())),
            ("SerialNumber", self.device.clone().into()),
        ];
        arguments.extend(self.external_id.clone().map(|id| ("ExternalId", id.into())));
        arguments.extend(self.session_name.clone().map(|name| ("RoleSessionName", name.into())));
        arguments.extend(self.duration.map(|seconds| ("DurationSeconds", seconds.into())));
        arguments.sort_by_key(|(name, _)| *name);
        // Spaces as Python's `json.dumps` puts them.
        let members: Vec<String> =
            arguments.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        let text = format!("{{{}}}", members.join(", "));
        Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn cache_path(&self, home: &Path) -> PathBuf {
        home.join(".aws/cli/cache").join(format!("{}.json", self.cache_name()))
    }

    /// Returns the session that is kept, if there is one and it lasts a while yet.
    pub fn cached(&self, home: &Path, now: Timestamp) -> Option<Keys> {
        let text = fs::read_to_string(self.cache_path(home)).ok()?;
        let document: Value = serde_json::from_str(&text).ok()?;
        let credentials = document.get("Credentials")?;
        let text = |key: &str| credentials.get(key)?.as_str().map(str::to_owned);
        let expires = expiration(&text("Expiration")?)?;
        if expires.duration_since(now) < LEAST_LEFT {
            return None;
        }
        Some(Keys {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: Secret::new(text("SecretAccessKey")?),
            session_token: Some(Secret::new(text("SessionToken")?)),
        })
    }

    /// Assumes the role with a code of the device.
    pub async fn assume(&self, settings: &SessionSettings, code: &str) -> Result<Assumed, Fault> {
        const OPERATION: &str = "AssumeRole";
        let source = SessionSettings {
            profile: Some(Profile::Demanded(self.source.clone())),
            ..settings.clone()
        };
        let session = Session::open(&source).await;
        let sent = aws_sdk_sts::Client::new(session.sdk())
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(self.session_name.as_deref().unwrap_or(SESSION_NAME))
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.duration)
            .serial_number(&self.device)
            .token_code(code)
            .send()
            .await;
        let answer = sent.map_err(|error| Fault::new("sts", OPERATION, error))?;
        let user = answer.assumed_role_user;
        let credentials = answer.credentials.ok_or_else(|| {
            Fault::unreadable("sts", OPERATION, "the answer holds no credentials")
        })?;
        let expires = Timestamp::from_second(credentials.expiration.secs()).map_err(|_| {
            Fault::unreadable("sts", OPERATION, "the credentials end at no time that there is")
        })?;
        let document = json!({
            "Credentials": {
                "AccessKeyId": credentials.access_key_id,
                "SecretAccessKey": credentials.secret_access_key,
                "SessionToken": credentials.session_token,
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SUTC").to_string(),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": user.as_ref().map(|user| user.assumed_role_id.clone()),
                "Arn": user.as_ref().map(|user| user.arn.clone()),
            },
        });
        Ok(Assumed {
            keys: Keys {
                access_key_id: credentials.access_key_id,
                secret_access_key: Secret::new(credentials.secret_access_key),
                session_token: Some(Secret::new(credentials.session_token)),
            },
            document: Secret::new(document),
        })
    }

    /// Keeps a session, readable by its owner alone.
    pub fn keep(&self, home: &Path, session: &Assumed) -> io::Result<()> {
        let path = self.cache_path(home);
        let directory = path.parent().unwrap_or(home);
        fs::create_dir_all(directory)?;
        // The file appears whole or not at all. A temporary file is its owner's alone from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&mut file, session.document.reveal())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A session that a code has opened.
#[derive(Debug)]
pub struct Assumed {
    /// Its keys.
    pub keys: Keys,
    /// What is kept of it.
    document: Secret<Value>,
}

/// Reads a time as the AWS CLI and botocore write it.
fn expiration(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |rest| format!("{rest}Z"));
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demanding() -> MfaProfile {
        MfaProfile {
            name: "production".to_owned(),
            device: "arn:aws:iam::111122223333:mfa/somebody".to_owned(),
            role: "arn:aws:iam::444455556666:role/operator".to_owned(),
            source: "default".to_owned(),
            external_id: None,
            session_name: None,
            duration: None,
        }
    }

    #[test]
    fn sessions_have_the_names_that_the_aws_cli_gives_them() {
        // hashlib.sha1(json.dumps({...}, sort_keys=True).encode()).hexdigest()
        assert_eq!(demanding().cache_name(), "bca43f8757f1653ff89be6b39632a4b3db73d6f0");
        let full = MfaProfile {
            external_id: Some("x".to_owned()),
            session_name: Some("me".to_owned()),
            duration: Some(3600),
            ..demanding()
        };
        assert_eq!(full.cache_name(), "02e80f78a291784414e04146a96dcb6d6f943b25");
    }

    #[test]
    fn a_session_is_used_until_shortly_before_its_end() {
        let home = tempfile::tempdir().unwrap();
        let session = Assumed {
            keys: Keys {
                access_key_id: "A".to_owned(),
                secret_access_key: Secret::new("S".to_owned()),
                session_token: None,
            },
            document: Secret::new(json!({"Credentials": {
                "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T",
                "Expiration": "2026-01-01T01:00:00UTC",
            }})),
        };
        let profile = demanding();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(profile.cached(home.path(), at("2026-01-01T00:00:00Z")).is_none());
        profile.keep(home.path(), &session).unwrap();
        let keys = profile.cached(home.path(), at("2026-01-01T00:54:00Z")).expect("a session");
        assert_eq!(keys.access_key_id, "A");
        assert!(profile.cached(home.path(), at("2026-01-01T00:56:00Z")).is_none());
    }

    #[test]
    fn times_are_read_as_either_tool_writes_them() {
        let expected = "2026-01-01T01:00:00Z".parse::<Timestamp>().ok();
        for text in ["2026-01-01T01:00:00UTC", "2026-01-01T01:00:00Z", "2026-01-01T01:00:00+00:00"]
        {
            assert_eq!(expiration(text), expected, "{text}");
        }
        assert_eq!(expiration("soon"), None);
    }
}
