//! `templates/README.md` agrees with the templates and with these tests.

use super::document::Template;

const README: &str = include_str!("../../templates/README.md");

/// The files with tests that the README may name, by module.
const TESTS: &[(&str, &str)] = &[
    ("access", include_str!("access.rs")),
    ("access_chain", include_str!("access_chain.rs")),
    ("access_processor", include_str!("access_processor.rs")),
    ("names", include_str!("names.rs")),
    ("parameters", include_str!("parameters.rs")),
    ("resources", include_str!("resources.rs")),
    ("structure", include_str!("structure.rs")),
];

/// Returns the names in the first column of the tables below a template's heading.
fn listed(path: &str) -> Vec<&'static str> {
    let (_, section) = README
        .split_once(&format!("### `{path}`\n"))
        .unwrap_or_else(|| panic!("no section {path}"));
    let section = section.split_once("\n### ").map_or(section, |(section, _)| section);
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect()
}

#[test]
fn the_readme_lists_every_parameter_and_output() {
    for template in Template::all() {
        let names = ["Parameters", "Outputs"].map(|section| template.section(section).keys());
        let mut expected: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        let mut found = listed(template.id.path());
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", template.id.path());
    }
}

#[test]
fn every_old_defect_names_a_test_that_exists() {
    for number in 1..=24 {
        let start = format!("| T{number} |");
        let row = README
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap_or_else(|| panic!("no row T{number}"));
        for name in row.split('`').filter(|part| part.contains("::")) {
            let (module, test) = name.split_once("::").unwrap();
            let (_, source) = TESTS
                .iter()
                .find(|(known, _)| *known == module)
                .unwrap_or_else(|| panic!("{name}"));
            assert!(
                source.contains(&format!("#[test]\nfn {test}() {{")),
                "T{number}: no test {name}"
            );
        }
        let refers = row.contains("the same") || row.contains("::");
        assert!(refers, "T{number} names no test");
    }
}
