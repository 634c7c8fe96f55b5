//! Cargo manifests: one set of lints, one place for versions.

use super::TextFile;

pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    files.iter().filter(|file| file.name() == "Cargo.toml").flat_map(check_manifest).collect()
}

fn check_manifest(file: &TextFile) -> Vec<String> {
    let mut findings = Vec::new();
    let mut section = "";
    let (mut is_package, mut takes_lints) = (false, false);
    for (number, line) in file.numbered_lines() {
        if let Some(name) =
            line.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']'))
        {
            section = name;
            is_package |= section == "package";
            if is_dependencies(section.rsplit_once('.').map_or("", |(table, _)| table)) {
                findings.push(file.finding(
                    number,
                    "write a dependency on one line, `name = { workspace = true }`",
                ));
            }
            continue;
        }
        let entry = line.trim();
        takes_lints |= section == "lints" && entry == "workspace = true";
        let is_entry = !entry.is_empty() && !entry.starts_with('#');
        if is_dependencies(section) && is_entry && !entry.contains("workspace = true") {
            findings
                .push(file.finding(number, "the version belongs into [workspace.dependencies]"));
        }
    }
    if is_package && !takes_lints {
        findings.push(file.finding(1, "the package has no `[lints] workspace = true`"));
    }
    findings
}

/// Says whether a table lists dependencies of a package: `dependencies`, `dev-dependencies`,
/// `target.'cfg(unix)'.dependencies` and so on, but not the workspace's own table.
fn is_dependencies(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    section != "workspace.dependencies"
        && matches!(last, "dependencies" | "dev-dependencies" | "build-dependencies")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn findings(text: &str) -> usize {
        check(&[file("member/Cargo.toml", text)]).len()
    }

    #[test]
    fn a_member_takes_lints_and_versions_from_the_workspace() {
        let good = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n[dependencies]\nserde = { workspace = true }\n# why\n";
        assert_eq!(findings(good), 0);
        assert_eq!(findings("[package]\nname = \"a\"\n"), 1);
        assert_eq!(findings(&good.replace("{ workspace = true }", "\"1\"")), 1);
        assert_eq!(
            findings(
                &good
                    .replace("[dependencies]", "[target.'cfg(unix)'.dev-dependencies]")
                    .replace("{ w", "{ version = \"1\", x")
            ),
            1
        );
        assert_eq!(findings(&format!("{good}[dependencies.tokio]\nworkspace = true\n")), 1);
    }

    #[test]
    fn the_workspace_table_holds_versions() {
        assert_eq!(
            findings("[workspace]\nmembers = []\n[workspace.dependencies]\nserde = \"1\"\n"),
            0
        );
    }
}
