//! The list of software inside an image, in SPDX 2.3 JSON
//! (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! It is read from the lock file of the build. A dependency that a feature leaves out may still be
//! listed: the list is never too short.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The lock file that this program was built with.
const LOCK_FILE: &str = include_str!("../../Cargo.lock");

/// One package of a lock file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    dependencies: Vec<String>,
}

/// Returns the SPDX document for everything that `root` may be built from.
pub fn spdx(root: &str, program_digest: &str) -> String {
    document(&parse(LOCK_FILE), root, program_digest).to_string()
}

fn document(packages: &[Package], root: &str, program_digest: &str) -> Value {
    let reached = reached(packages, root);
    let listed: Vec<Value> = reached.iter().map(|package| describe(package)).collect();
    let relations: Vec<Value> = reached
        .iter()
        .map(|package| {
            let (from, kind) =
                if package.name == root { ("SPDXRef-DOCUMENT".to_owned(), "DESCRIBES") } else { (id_of(&reached, root), "DEPENDS_ON") };
            json!({"relatedSpdxElement": id(package), "relationshipType": kind, "spdxElementId": from})
        })
        .collect();
    json!({
        "SPDXID": "SPDXRef-DOCUMENT",
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: mtlog"]},
        "dataLicense": "CC0-1.0",
        "documentNamespace": format!("urn:mtlog:sbom:{program_digest}"),
        "name": root,
        "packages": listed,
        "relationships": relations,
        "spdxVersion": "SPDX-2.3",
    })
}

fn describe(package: &Package) -> Value {
    let mut value = json!({
        "SPDXID": id(package),
        "downloadLocation": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceLocator": format!("pkg:cargo/{}@{}", package.name, package.version),
            "referenceType": "purl",
        }],
        "filesAnalyzed": false,
        "name": package.name,
        "versionInfo": package.version,
    });
    if let (Some(checksum), Some(object)) = (&package.checksum, value.as_object_mut()) {
        object.insert(
            "checksums".to_owned(),
            json!([{"algorithm": "SHA256", "checksumValue": checksum}]),
        );
    }
    value
}

fn id(package: &Package) -> String {
    let text = format!("{}-{}", package.name, package.version);
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("SPDXRef-Package-{clean}")
}

fn id_of(packages: &[&Package], name: &str) -> String {
    packages
        .iter()
        .find(|package| package.name == name)
        .map(|package| id(package))
        .unwrap_or_default()
}

/// The packages that `root` depends on, itself included, in name order.
fn reached<'a>(packages: &'a [Package], root: &str) -> Vec<&'a Package> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dependency) = waiting.pop() {
        let (name, version) = dependency
            .split_once(' ')
            .map_or((dependency.as_str(), None), |(name, version)| (name, Some(version)));
        for package in by_name.get(name).into_iter().flatten() {
            let wanted = version.is_none_or(|version| package.version == version);
            if wanted && seen.insert((&package.name, &package.version)) {
                waiting.extend(package.dependencies.iter().cloned());
                found.push(*package);
            }
        }
    }
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    found
}

/// Reads the subset of TOML that Cargo writes into a lock file.
fn parse(lock_file: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    let mut in_dependencies = false;
    for line in lock_file.lines().map(str::trim) {
        if line == "[[package]]" {
            packages.push(Package::default());
            in_dependencies = false;
            continue;
        }
        let Some(package) = packages.last_mut() else { continue };
        if in_dependencies {
            match quoted(line) {
                Some(dependency) => package.dependencies.push(dependency.to_owned()),
                None => in_dependencies = false,
            }
        } else if line == "dependencies = [" {
            in_dependencies = true;
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = quoted(value).unwrap_or_default().to_owned();
            match key {
                "name" => package.name = value,
                "version" => package.version = value,
                "checksum" => package.checksum = Some(value),
                _ => {}
            }
        }
    }
    packages
}

fn quoted(text: &str) -> Option<&str> {
    text.trim_end_matches(',').strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
version = 4

[[package]]
name = "root"
version = "0.1.0"
dependencies = [
 "leaf 2.0.0",
]

[[package]]
name = "leaf"
version = "1.0.0"
checksum = "aa"

[[package]]
name = "leaf"
version = "2.0.0"
checksum = "bb"

[[package]]
name = "stranger"
version = "3.0.0"
"#;

    #[test]
    fn only_what_the_root_needs_is_listed() {
        let packages = parse(SAMPLE);
        let names: Vec<String> = reached(&packages, "root").into_iter().map(id).collect();
        assert_eq!(names, ["SPDXRef-Package-leaf-2.0.0", "SPDXRef-Package-root-0.1.0"]);
    }

    #[test]
    fn the_document_names_each_package_once_with_its_checksum() {
        let document = document(&parse(SAMPLE), "root", "sha256:00");
        assert_eq!(document["packages"][0]["checksums"][0]["checksumValue"], "bb");
        assert_eq!(document["packages"].as_array().unwrap().len(), 2);
        assert_eq!(document["relationships"][1]["relationshipType"], "DESCRIBES");
    }

    #[test]
    fn the_engine_s_own_list_holds_its_tls_library() {
        let text = spdx("mtlog-processor", "sha256:00");
        assert!(text.contains("pkg:cargo/rustls@"));
        assert!(!text.contains("pkg:cargo/dialoguer@"), "the command line is not in the image");
    }
}
