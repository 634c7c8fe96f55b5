//! No file names a package registry's host or a path of one machine.

use super::TextFile;

/// Written in parts, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("crates", ".io"), "a package registry"),
    (concat!("pypi", ".org"), "a package registry"),
    (concat!("pythonhosted", ".org"), "a package registry"),
    (concat!("npmjs", ".org"), "a package registry"),
    (concat!("npmjs", ".com"), "a package registry"),
    (concat!("deb.debian", ".org"), "a package registry"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/wo", "rk/main"), "a path of one machine"),
    (concat!("/wo", "rk/shared"), "a path of one machine"),
    (concat!("/opt/", "wheels"), "a path of one machine"),
];

/// Cargo writes the name of its index into the lock file.
const GENERATED: &str = "Cargo.lock";

pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.name() != GENERATED) {
        for (number, line) in file.numbered_lines() {
            for (text, kind) in FORBIDDEN.iter().filter(|(text, _)| names(line, text)) {
                findings.push(file.finding(number, format!("`{text}` is {kind}")));
            }
        }
    }
    findings
}

/// Says whether a text stands in a line at the start of a word: `arn:stack/root/1` is no path.
fn names(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(index, _)| {
        let before = line.get(..index).and_then(|before| before.chars().next_back());
        !before.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_registry_or_a_path_of_one_machine_is_found() {
        let index = format!("--index-url https://{}/simple", concat!("pypi", ".org"));
        assert_eq!(check(&[file("xtask/requirements/lint.txt", &index)]).len(), 1);
        let path = format!("see {}me/notes", concat!("/ho", "me/"));
        assert_eq!(check(&[file("README.md", &path)]).len(), 1);
        let arn = format!("arn:aws:cloudformation:us-east-2:1:stack{}1", concat!("/ro", "ot/"));
        assert_eq!(check(&[file("plan.rs", &arn)]), Vec::<String>::new());
        assert_eq!(check(&[file("Cargo.lock", concat!("crates", ".io"))]), Vec::<String>::new());
        assert_eq!(
            check(&[file("README.md", "see https://docs.aws.amazon.com/")]),
            Vec::<String>::new()
        );
    }
}
