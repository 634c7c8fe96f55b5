//! The shape of Rust files: documented, short, named for a thing, and part of the build.

use std::collections::BTreeSet;

use super::TextFile;

/// The most lines of a file before its tests.
const MOST_LINES: usize = 500;

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];

pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        if !file.text.starts_with("//!") {
            findings.push(
                file.finding(
                    1,
                    "the first line is not a `//!` comment that says what the file owns",
                ),
            );
        }
        let lines = file.lines_before_tests().count();
        if lines > MOST_LINES && !is_test(&file.path) {
            findings.push(file.finding(
                lines,
                format!("{lines} lines before the tests, and {MOST_LINES} are the limit"),
            ));
        }
        let segments = file.path.split('/').map(|segment| segment.trim_end_matches(".rs"));
        for name in segments.filter(|segment| EMPTY_NAMES.contains(segment)) {
            findings.push(file.finding(1, format!("`{name}` does not say what the module holds")));
        }
    }
    findings.extend(unlisted_tests(files));
    findings
}

/// Says whether a file holds only tests. What stands in for AWS in them is a crate like others.
fn is_test(path: &str) -> bool {
    path.split('/').any(|segment| segment == "tests") && !path.contains("/src/")
}

/// Finds files beside a `tests/main.rs` that it does not include: they would never run.
fn unlisted_tests(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    let is_main = |file: &&TextFile| {
        file.name() == "main.rs" && file.directory().rsplit('/').next() == Some("tests")
    };
    for main in files.iter().filter(is_main) {
        let listed: BTreeSet<&str> = main.text.lines().filter_map(module_name).collect();
        for file in files.iter().filter(|file| file.has_extension("rs") && file.name() != "main.rs")
        {
            let inside = match file.path.strip_prefix(main.directory()) {
                Some(rest) => rest.trim_start_matches('/'),
                None => continue,
            };
            let module = match inside.split_once('/') {
                None => inside.trim_end_matches(".rs"),
                Some((directory, "mod.rs")) => directory,
                Some(_) => continue,
            };
            if !listed.contains(module) {
                findings.push(file.finding(
                    1,
                    format!("`{}` has no `mod {module};`, so nothing here runs", main.path),
                ));
            }
        }
    }
    findings
}

fn module_name(line: &str) -> Option<&str> {
    let (_, declaration) = line.split_once("mod ")?;
    declaration.strip_suffix(';')
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_file_says_first_what_it_owns() {
        assert_eq!(check(&[file("src/plan.rs", "//! Plans.\nfn plan() {}")]), Vec::<String>::new());
        assert_eq!(check(&[file("src/plan.rs", "fn plan() {}")]).len(), 1);
    }

    #[test]
    fn a_long_file_is_found_and_tests_do_not_count() {
        let short = format!("//! Doc.\n{}#[cfg(test)]\n{}", "x\n".repeat(499), "x\n".repeat(100));
        assert_eq!(check(&[file("a.rs", &short)]), Vec::<String>::new());
        let long = format!("//! Doc.\n{}", "x\n".repeat(500));
        assert_eq!(check(&[file("a.rs", &long)]).len(), 1);
        assert_eq!(check(&[file("tests/fake-aws/src/a.rs", &long)]).len(), 1);
        assert_eq!(check(&[file("tests/a.rs", &long)]), Vec::<String>::new());
        assert_eq!(check(&[file("a/tests.rs", &long)]), Vec::<String>::new());
    }

    #[test]
    fn an_empty_name_is_found() {
        assert_eq!(check(&[file("src/util/text.rs", "//! Doc.")]).len(), 1);
        assert_eq!(check(&[file("src/helpers.rs", "//! Doc.")]).len(), 1);
        assert_eq!(check(&[file("src/utility_bill.rs", "//! Doc.")]), Vec::<String>::new());
    }

    #[test]
    fn a_test_file_that_is_not_built_is_found() {
        let main = file("tests/main.rs", "//! Doc.\nmod deploy;\nmod support;\n");
        let listed =
            [file("tests/deploy.rs", "//! Doc."), file("tests/support/mod.rs", "//! Doc.")];
        let [deploy, support] = listed;
        assert_eq!(check(&[main, deploy, support]), Vec::<String>::new());
        let main = file("tests/main.rs", "//! Doc.\nmod deploy;\n");
        assert_eq!(check(&[main, file("tests/tenant.rs", "//! Doc.")]).len(), 1);
    }
}
