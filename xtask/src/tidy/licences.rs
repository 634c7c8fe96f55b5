//! Every dependency may be used under a permissive licence. `deny.toml` has the same list.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;
use crate::repository::Repository;

/// The licences that ask for no more than a notice.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that only tests use, under licences that ask for more when they are handed on.
const ONLY_IN_TESTS: &[(&str, &str)] = &[("vrl", "MPL-2.0")];

pub(super) fn check(repository: &Repository) -> Result<Vec<String>> {
    let metadata = command::output(repository.cargo().args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
    ]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("the metadata of Cargo is not JSON")?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("the metadata of Cargo lists no packages")?;
    Ok(packages.iter().filter_map(check_package).collect())
}

fn check_package(package: &Value) -> Option<String> {
    let text = |field: &str| package.get(field).and_then(Value::as_str).unwrap_or_default();
    let (name, version, licence) = (text("name"), text("version"), text("license"));
    match licence {
        "" => Some(format!("{name} {version}: names no licence")),
        licence if is_permissive(licence) || ONLY_IN_TESTS.contains(&(name, licence)) => None,
        licence => {
            Some(format!("{name} {version}: `{licence}` is not on the list of permissive licences"))
        }
    }
}

/// Evaluates an SPDX expression, in which old packages write `/` for `OR`.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let accepted = either(&mut words);
    accepted && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>) -> bool {
    let mut accepted = both(words);
    while words.next_if_eq(&"OR").is_some() {
        accepted |= both(words);
    }
    accepted
}

fn both(words: &mut Words<'_>) -> bool {
    let mut accepted = one(words);
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words);
    }
    accepted
}

fn one(words: &mut Words<'_>) -> bool {
    match words.next() {
        Some("(") => either(words) & words.next_if_eq(&")").is_some(),
        Some(name) => match words.next_if_eq(&"WITH") {
            Some(_) => words.next().is_some_and(|exception| {
                PERMISSIVE.contains(&format!("{name} WITH {exception}").as_str())
            }),
            None => PERMISSIVE.contains(&name),
        },
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: bool) {
        assert_eq!(is_permissive(expression), expected, "{expression}");
    }

    #[test]
    fn an_expression_is_permissive_if_a_permissive_choice_exists() {
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0 AND MIT", false);
        check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        check("MIT OR GPL-3.0 AND AGPL-3.0", true);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true);
        check("GPL-2.0 WITH Classpath-exception-2.0", false);
        check("(MIT", false);
        check("MIT Apache-2.0", false);
        check("", false);
    }
}
