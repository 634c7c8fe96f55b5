//! The rules of this repository that no other tool checks. Text in, findings out; also a test.

mod layers;
mod licences;
mod links;
mod manifests;
mod places;
mod sources;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::repository::Repository;

/// A file of the repository that is text.
#[derive(Debug)]
struct TextFile {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl TextFile {
    fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// Returns the path's part after the last `/`.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns the path's part up to the last `/`, without it; empty at the root.
    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Returns the lines with their numbers, from 1.
    fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Returns the numbered lines before the first test module; none of a file that is one.
    fn lines_before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_module = self.name() == "tests.rs";
        self.numbered_lines()
            .take_while(move |(_, line)| !is_test_module && *line != "#[cfg(test)]")
    }

    fn finding(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Checks everything and prints what it finds.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let findings = findings(repository)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy has 1 finding"),
        number => bail!("tidy has {number} findings"),
    }
}

fn findings(repository: &Repository) -> Result<Vec<String>> {
    let paths = repository.files()?;
    let mut files = Vec::new();
    for path in &paths {
        let bytes =
            fs::read(repository.path(path)).with_context(|| format!("failed to read `{path}`"))?;
        // What is not UTF-8 is test data in other formats.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path: path.clone(), text });
        }
    }
    let mut findings = Vec::new();
    findings.extend(layers::check(&files));
    findings.extend(sources::check(&files));
    findings.extend(manifests::check(&files));
    findings.extend(links::check(&files, &paths));
    findings.extend(places::check(&files));
    findings.extend(licences::check(repository)?);
    Ok(findings)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let repository = Repository::find().unwrap();
        assert_eq!(findings(&repository).unwrap(), Vec::<String>::new());
    }
}
