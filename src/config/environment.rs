//! The process's environment, read once.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::dotenv::{DotEnv, DotEnvError};

/// The environment variables, as they were when the process started.
///
/// A variable that is set to nothing counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the process's environment. Variables that are not Unicode are left out: no setting can use them.
    pub fn capture() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty());
        Self(variables.collect())
    }

    /// Makes an environment of `variables`.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Returns the value of `name`, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Returns the directories in which programs are looked for.
pub fn program_directories(environment: &Environment) -> Vec<PathBuf> {
    std::env::split_paths(environment.get("PATH").unwrap_or_default()).collect()
}

/// Returns the files in which container tools keep their logins at registries, the first to ask first.
///
/// The same places as those of podman and docker; `REGISTRY_AUTH_FILE` stands for all of them.
pub fn login_files(environment: &Environment) -> Vec<PathBuf> {
    if let Some(file) = environment.get("REGISTRY_AUTH_FILE") {
        return vec![PathBuf::from(file)];
    }
    let below = |variable: &str, path: &str| {
        environment.get(variable).map(|directory| Path::new(directory).join(path))
    };
    [
        below("XDG_RUNTIME_DIR", "containers/auth.json"),
        below("XDG_CONFIG_HOME", "containers/auth.json")
            .or_else(|| below("HOME", ".config/containers/auth.json")),
        below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns where this program's own file is.
pub fn program_path() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Reads the file that `--env-file` names, or `.env` in the current directory if there is one.
pub fn read_dotenv(named: Option<&Path>) -> Result<DotEnv, DotEnvError> {
    let path = named.map_or_else(|| PathBuf::from(".env"), Path::to_path_buf);
    match std::fs::read_to_string(&path) {
        Ok(text) => DotEnv::parse(&path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            Ok(DotEnv::default())
        }
        Err(source) => Err(DotEnvError::Unreadable { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_looked_for_where_container_tools_keep_them() {
        let files = |variables: &[(&str, &str)]| {
            let files = login_files(&Environment::of(variables.iter().copied()));
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        let (home, run) = (("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"));
        assert_eq!(
            files(&[home, run]),
            [
                "/r/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
        assert_eq!(files(&[home, run, ("REGISTRY_AUTH_FILE", "/f")]), ["/f"]);
        assert_eq!(files(&[("DOCKER_CONFIG", "/d")]), ["/d/config.json"]);
    }
}
