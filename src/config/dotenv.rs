//! Reads `.env` files: `NAME=value` lines, as data. Nothing in them is executed or expanded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The values of a `.env` file.
#[derive(Debug, Clone, Default)]
pub struct DotEnv {
    path: PathBuf,
    values: BTreeMap<String, Line>,
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    value: String,
}

/// A `.env` file that cannot be used.
#[derive(Debug, Error)]
pub enum DotEnvError {
    /// The file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Lines of the file are not `NAME=value`.
    #[error("`{}` has lines that cannot be read: {}", path.display(), problems.join("; "))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Every bad line with its number.
        problems: Vec<String>,
    },
}

impl DotEnv {
    /// Reads `text`, the content of the file at `path`.
    ///
    /// A value may be in single or double quotes; without quotes it ends at ` #`.
    /// `export ` before a name is ignored. The last of two equal names counts.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DotEnvError> {
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let Some((name, value)) = line.split_once('=') else {
                problems.push(format!("line {number} has no `=`"));
                continue;
            };
            let name = name.trim();
            if !is_name(name) {
                problems.push(format!("line {number}: `{name}` is not a variable's name"));
                continue;
            }
            match unquote(value.trim()) {
                Ok(value) => {
                    values.insert(name.to_owned(), Line { number, value });
                }
                Err(problem) => problems.push(format!("line {number}: {problem}")),
            }
        }
        if problems.is_empty() {
            Ok(Self { path: path.to_path_buf(), values })
        } else {
            Err(DotEnvError::Malformed { path: path.to_path_buf(), problems })
        }
    }

    /// Returns the value of `name` and its line, unless the value is empty.
    pub fn get(&self, name: &str) -> Option<(&str, usize)> {
        let line = self.values.get(name).filter(|line| !line.value.is_empty())?;
        Some((&line.value, line.number))
    }

    /// Returns the names in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn unquote(value: &str) -> Result<String, String> {
    for quote in ['"', '\''] {
        let Some(rest) = value.strip_prefix(quote) else { continue };
        let Some((inner, after)) = rest.split_once(quote) else {
            return Err(format!("the quote {quote} is not closed"));
        };
        let after = after.trim_start();
        if !after.is_empty() && !after.starts_with('#') {
            return Err(format!("there is text after the closing {quote}"));
        }
        return Ok(inner.to_owned());
    }
    let end = value.find(" #").unwrap_or(value.len());
    let (value, _) = value.split_at(end);
    Ok(value.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        let file = DotEnv::parse(Path::new(".env"), line).ok()?;
        file.get("A").map(|(value, _)| value.to_owned())
    }

    #[test]
    fn lines_are_read_as_data() {
        for (line, expected) in [
            ("A=b", Some("b")),
            ("export A=b", Some("b")),
            ("A = b ", Some("b")),
            ("A=\"b c\" # why", Some("b c")),
            ("A='b # c'", Some("b # c")),
            ("A=b # why", Some("b")),
            ("A=b#c", Some("b#c")),
            ("A=$(touch /tmp/x)", Some("$(touch /tmp/x)")),
            ("A=${B}", Some("${B}")),
            ("A=a=b", Some("a=b")),
            ("A=", None),
            ("# A=b", None),
            ("\u{feff}A=b", Some("b")),
            ("A=1\r\n", Some("1")),
        ] {
            assert_eq!(value(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn every_bad_line_is_named() {
        let error = DotEnv::parse(Path::new("x/.env"), "A=1\nnonsense\n2B=c\nC=\"open\nD='a'b\n")
            .unwrap_err();
        let text = error.to_string();
        for part in ["x/.env", "line 2", "line 3", "line 4", "line 5"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
