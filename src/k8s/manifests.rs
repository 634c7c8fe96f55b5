//! The files of `k8s/`, so that the program needs no checkout.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    component::{Component, Overlay},
    settings::Settings,
};

macro_rules! files {
    ($($path:literal,)+) => {
        /// Every file that kustomize reads, by its path below `k8s/`.
        pub const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../k8s/", $path)))),+];
    };
}

files! {
    "namespace/kustomization.yaml",
    "namespace/namespace.yaml",
    "collector/base/cluster-role.yaml",
    "collector/base/daemonset.yaml",
    "collector/base/kustomization.yaml",
    "collector/base/network-policy.yaml",
    "collector/base/priority-class.yaml",
    "collector/base/record.vrl",
    "collector/base/service-account.yaml",
    "collector/base/vector.yaml",
    "collector/components/podmonitor/kustomization.yaml",
    "collector/components/podmonitor/pod-monitor.yaml",
    "collector/openshift-base/kustomization.yaml",
    "collector/openshift-base/scc-user.yaml",
    "collector/openshift-base/scc.yaml",
    "collector/overlays/development/kustomization.yaml",
    "collector/overlays/production/kustomization.yaml",
    "collector/overlays/staging/kustomization.yaml",
    "collector/settings/kustomization.yaml",
    "processor/base/deployment.yaml",
    "processor/base/disruption-budget.yaml",
    "processor/base/kustomization.yaml",
    "processor/base/network-policy.yaml",
    "processor/base/service-account.yaml",
    "processor/base/service.yaml",
    "processor/components/dashboard/kustomization.yaml",
    "processor/components/dashboard/mtlog.json",
    "processor/components/hpa/autoscaler.yaml",
    "processor/components/hpa/kustomization.yaml",
    "processor/components/keda/kustomization.yaml",
    "processor/components/keda/scaled-object.yaml",
    "processor/components/servicemonitor/kustomization.yaml",
    "processor/components/servicemonitor/service-monitor.yaml",
    "processor/openshift-base/kustomization.yaml",
    "processor/overlays/development/kustomization.yaml",
    "processor/overlays/production/kustomization.yaml",
    "processor/overlays/staging/kustomization.yaml",
    "processor/settings/kustomization.yaml",
}

/// Writes the files, the settings, and a kustomization that takes `overlay` with its optional `parts` to `root`,
/// which should be empty. Returns the directory to build.
pub fn write(
    root: &Path,
    component: Component,
    overlay: Overlay,
    parts: &[&str],
    settings: &Settings,
) -> io::Result<PathBuf> {
    for (path, text) in FILES {
        put(&root.join(path), text)?;
    }
    put(&root.join(component.as_str()).join("settings").join("settings.env"), &settings.to_text())?;
    let chosen = root.join("chosen");
    put(&chosen.join("kustomization.yaml"), &kustomization(component, overlay, parts))?;
    Ok(chosen)
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)
}

fn kustomization(component: Component, overlay: Overlay, parts: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - ../{component}/{}\n",
        overlay.directory()
    );
    if !parts.is_empty() {
        text.push_str("components:\n");
    }
    for part in parts {
        text.push_str(&format!("  - ../{component}/components/{part}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The files on disk below `directory` that kustomize reads.
    fn on_disk(directory: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                on_disk(&path, root, found);
            } else if !name.ends_with(".md")
                && !name.ends_with(".env")
                && !name.ends_with(".env.sample")
            {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_repository_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s");
        let mut found = BTreeSet::new();
        on_disk(&root, &root, &mut found);
        // Vector reads this one, on a laptop.
        assert!(found.remove("collector/vector-local-test.yaml"));
        let known: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(known, found);
        assert_eq!(known.len(), FILES.len());
    }

    #[test]
    fn the_chosen_parts_are_named() {
        let text = kustomization(Component::Processor, Overlay::Staging, &["keda", "dashboard"]);
        assert!(text.ends_with(
            "resources:\n  - ../processor/overlays/staging\ncomponents:\n  - ../processor/components/keda\n  \
             - ../processor/components/dashboard\n"
        ));
        assert!(!kustomization(Component::Collector, Overlay::Base, &[]).contains("components"));
    }
}
