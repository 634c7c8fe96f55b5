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
