//! Every overlay and part, as kubectl builds them, against `tests/snapshots/k8s`.
//!
//! The files there are also what `xtask/k8s_check.py` validates. After a change of the manifests, write them again with
//! `UPDATE_SNAPSHOTS=1 cargo test --test cli k8s`.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::{render, resources, root, settings, text};

/// File, component, overlay, parts.
const BUILDS: [(&str, &str, &str, &[&str]); 11] = [
    ("collector-base.yaml", "collector", "base", &[]),
    ("collector-development.yaml", "collector", "development", &[]),
    ("collector-staging.yaml", "collector", "staging", &[]),
    ("collector-production.yaml", "collector", "production", &[]),
    ("collector-production-podmonitor.yaml", "collector", "production", &["podmonitor"]),
    ("processor-base-hpa.yaml", "processor", "base", &["hpa"]),
    ("processor-base.yaml", "processor", "base", &[]),
    ("processor-development.yaml", "processor", "development", &[]),
    ("processor-staging.yaml", "processor", "staging", &[]),
    ("processor-production.yaml", "processor", "production", &[]),
    (
        "processor-production-all.yaml",
        "processor",
        "production",
        &["keda", "servicemonitor", "dashboard"],
    ),
];

#[test]
fn what_is_built_is_what_was_reviewed() {
    let directory = root().join("tests/snapshots/k8s");
    let mut count = 0;
    for (file, component, overlay, parts) in BUILDS {
        let built = render(component, overlay, parts);
        count += resources(&built).len();
        let path = directory.join(file);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &built).unwrap();
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, (is, was))) = built
            .lines()
            .zip(reviewed.lines().chain(std::iter::repeat("")))
            .enumerate()
            .find(|(_, (is, was))| is != was)
        {
            panic!(
                "{file} differs at line {}:\n  built    {is}\n  reviewed {was}\nUPDATE_SNAPSHOTS=1 accepts it",
                line + 1
            );
        }
        assert_eq!(built, reviewed, "{file}: UPDATE_SNAPSHOTS=1 accepts it");
    }
    let known: BTreeSet<String> = BUILDS.iter().map(|(file, ..)| (*file).to_owned()).collect();
    let files: BTreeSet<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(known, files);
    println!("{} kustomizations, {count} resources", BUILDS.len());
}

/// Copies a directory's files, and puts the sample in the place of the settings.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if !path.ends_with("settings.env") {
            fs::copy(&path, target).unwrap();
        }
    }
}

fn kustomize(directory: &Path) -> std::process::Output {
    Command::new("kubectl")
        .arg("kustomize")
        .arg(directory)
        .output()
        .expect("kubectl is on the PATH")
}

#[test]
fn kubectl_alone_builds_the_same_from_a_checkout_and_the_one_generated_file() {
    let scratch = tempfile::tempdir().unwrap();
    let k8s = scratch.path().join("k8s");
    copy(&root().join("k8s"), &k8s);
    for component in ["collector", "processor"] {
        let file = k8s.join(component).join("settings/settings.env");
        for (_, owner, overlay, parts) in BUILDS {
            if owner != component || !parts.is_empty() {
                continue;
            }
            let directory =
                if overlay == "base" { "base".to_owned() } else { format!("overlays/{overlay}") };
            let directory = k8s.join(component).join(directory);
            let missing = kustomize(&directory);
            assert!(
                String::from_utf8_lossy(&missing.stderr).contains("settings.env"),
                "built without settings"
            );
            fs::copy(settings(component), &file).unwrap();
            assert_eq!(
                text(kustomize(&directory)),
                render(component, overlay, parts),
                "{component} {overlay}"
            );
            fs::remove_file(&file).unwrap();
        }
    }
}

#[test]
fn a_setting_without_which_nothing_runs_is_missed_by_name_even_without_mtlog() {
    let scratch = tempfile::tempdir().unwrap();
    let k8s = scratch.path().join("k8s");
    copy(&root().join("k8s"), &k8s);
    for (component, names) in [
        ("collector", ["CLUSTER_ID", "COLLECTOR_ROLE_ARN", "COLLECTOR_IMAGE", "OIDC_AUDIENCE"]),
        ("processor", ["SQS_QUEUE_URL", "PROCESSOR_ROLE_ARN", "PROCESSOR_IMAGE", "OIDC_AUDIENCE"]),
    ] {
        let sample = fs::read_to_string(settings(component)).unwrap();
        for name in names {
            let without: Vec<&str> =
                sample.lines().filter(|line| !line.starts_with(&format!("{name}="))).collect();
            fs::write(k8s.join(component).join("settings/settings.env"), without.join("\n"))
                .unwrap();
            let output = kustomize(&k8s.join(component).join("base"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && said.contains(&format!("data.{name}")),
                "{name}: {said}"
            );
        }
    }
}
