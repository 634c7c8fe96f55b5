//! Whom we talk to: profile, region, endpoint, account.

use mtlog_processor::model::{
    ids::{AccountId, Region},
    secret::Secret,
};

use super::{
    layers::{InvalidSettings, Layers, Problem, Resolver, Setting, Source},
    vars,
};
use crate::aws::session::{Addressing, EnvironmentKeys, Keys, Profile, SessionSettings};

/// The flags of every command that talks to AWS.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFlags {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--region`.
    pub region: Option<String>,
    /// Further `--region`s, for commands that take several.
    pub more_regions: Vec<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--endpoint-url`.
    pub endpoint_url: Option<String>,
}

/// Whom we talk to, and which account it must be.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What the session is opened with.
    pub session: SessionSettings,
    /// The region, unless only the profile knows it.
    pub region: Option<Setting<Region>>,
    /// Further regions, for commands that take several.
    pub more_regions: Vec<Region>,
    /// The account that we must be in.
    pub account: Option<Setting<AccountId>>,
}

/// Resolves the connection on its own.
pub fn resolve(layers: &Layers, flags: &ConnectionFlags) -> Result<Connection, InvalidSettings> {
    let mut resolver = layers.resolver();
    let connection = resolve_with(&mut resolver, layers, flags);
    resolver.finish()?;
    Ok(connection)
}

/// Resolves the connection as a part of more settings.
pub fn resolve_with(
    resolver: &mut Resolver<'_>,
    layers: &Layers,
    flags: &ConnectionFlags,
) -> Connection {
    let profile = resolver.optional::<String>(&vars::PROFILE, flags.profile.as_deref());
    let region = resolver.optional::<Region>(&vars::REGION, flags.region.as_deref());
    let more_regions: Vec<Region> = flags
        .more_regions
        .iter()
        .filter_map(|text| resolver.flag::<Region>("region", text))
        .collect();
    let account = resolver.optional::<AccountId>(&vars::ACCOUNT, flags.account.as_deref());
    let endpoint = resolver.optional::<String>(&vars::ENDPOINT, flags.endpoint_url.as_deref());
    if let Some(Setting { value, source }) = &endpoint
        && !value.starts_with("http://")
        && !value.starts_with("https://")
    {
        let rule = format!("`{value}` is not an endpoint: it starts with http:// or https://");
        resolver.problem(Problem::Invalid { source: source.clone(), rule });
    }
    let addressing = match resolver.optional::<String>(&vars::PATH_STYLE, None) {
        Some(Setting { value, source }) => match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Addressing::Path,
            "false" | "0" => Addressing::VirtualHost,
            _ => {
                let rule = format!("`{value}` is not a switch: it is true or false");
                resolver.problem(Problem::Invalid { source, rule });
                Addressing::VirtualHost
            }
        },
        None => Addressing::VirtualHost,
    };
    let profile = profile.map(|Setting { value: name, source }| match source {
        Source::Flag(_) => Profile::Demanded(name),
        _ => Profile::Suggested(name),
    });
    let keys = if flags.profile.is_some() { None } else { keys_in_file(layers) };
    let session = SessionSettings {
        profile,
        region: region.as_ref().map(|setting| setting.value.clone()),
        endpoint: endpoint.map(|setting| setting.value),
        addressing,
        keys,
        environment: match layers.environment().get(vars::ACCESS_KEY_ID.name) {
            Some(_) => EnvironmentKeys::Present,
            None => EnvironmentKeys::Absent,
        },
    };
    Connection { session, region, more_regions, account }
}

/// Returns the static credentials of `.env`. Those of the environment are left to the SDK, which reads them itself.
///
/// Keys in the file count only as a pair, and only if the environment holds none: a mixture of two identities
/// would be neither of them.
fn keys_in_file(layers: &Layers) -> Option<Keys> {
    let in_file = |variable: &vars::Variable| {
        let setting = layers.lookup(variable, None)?;
        matches!(setting.source, Source::DotEnv { .. }).then_some(setting.value)
    };
    if layers.environment().get(vars::PROFILE.name).is_some() {
        return None;
    }
    Some(Keys {
        access_key_id: in_file(&vars::ACCESS_KEY_ID)?,
        secret_access_key: Secret::new(in_file(&vars::SECRET_ACCESS_KEY)?),
        session_token: in_file(&vars::SESSION_TOKEN).map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{dotenv::DotEnv, environment::Environment};

    fn resolved(environment: &[(&str, &str)], dotenv: &str) -> Result<Connection, InvalidSettings> {
        let dotenv = DotEnv::parse(Path::new(".env"), dotenv).expect("a readable .env");
        let layers = Layers::new(Environment::of(environment.iter().copied()), dotenv);
        resolve(&layers, &ConnectionFlags::default())
    }

    #[test]
    fn keys_of_the_file_count_only_as_a_pair_and_below_the_environment() {
        let pair = "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=B\n";
        for (environment, dotenv, expected) in [
            (&[][..], pair, Some("A")),
            (&[][..], "AWS_ACCESS_KEY_ID=A\n", None),
            (&[("AWS_ACCESS_KEY_ID", "E")][..], pair, None),
            (&[("AWS_PROFILE", "p")][..], pair, None),
        ] {
            let keys = resolved(environment, dotenv).unwrap().session.keys;
            assert_eq!(keys.map(|keys| keys.access_key_id).as_deref(), expected, "{environment:?}");
        }
    }

    #[test]
    fn bad_values_are_named_with_their_source() {
        let text = resolved(
            &[("AWS_ENDPOINT_URL", "localhost"), ("AWS_S3_USE_PATH_STYLE", "maybe")],
            "AWS_REGION=x",
        )
        .unwrap_err()
        .to_string();
        for part in [
            "AWS_ENDPOINT_URL: `localhost`",
            "AWS_S3_USE_PATH_STYLE: `maybe`",
            "AWS_REGION in .env, line 1",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
