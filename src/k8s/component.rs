//! The two things that run in a cluster, their overlays and optional parts.

use std::{fmt, str::FromStr};

use mtlog_processor::model::ids::InvalidId;

use super::manifests;

/// What runs in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Vector on every node.
    Collector,
    /// The engine in sqs mode.
    Processor,
}

impl Component {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Collector, Self::Processor];

    /// Returns its directory below `k8s/`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Processor => "processor",
        }
    }

    /// Returns the kind and name of the workload.
    pub const fn workload(self) -> (&'static str, &'static str) {
        match self {
            Self::Collector => ("daemonset", "vector-logs"),
            Self::Processor => ("deployment", "log-processor"),
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is built: the base for plain Kubernetes, or an environment's overlay for OpenShift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// Plain Kubernetes.
    Base,
    /// OpenShift, development.
    Development,
    /// OpenShift, staging.
    Staging,
    /// OpenShift, production.
    Production,
}

impl Overlay {
    /// Every overlay.
    pub const ALL: [Self; 4] = [Self::Base, Self::Development, Self::Staging, Self::Production];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// Returns its directory below the component's.
    pub(super) const fn directory(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Development => "overlays/development",
            Self::Staging => "overlays/staging",
            Self::Production => "overlays/production",
        }
    }
}

impl FromStr for Overlay {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|overlay| overlay.as_str() == text).ok_or_else(|| InvalidId {
            value: text.to_owned(),
            what: "an overlay",
            rule: "it is development, staging or production for OpenShift, or base for plain Kubernetes",
        })
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the names of the optional parts of `component`.
pub fn optional_parts(component: Component) -> Vec<&'static str> {
    let directory = format!("{component}/components/");
    manifests::FILES
        .iter()
        .filter_map(|(path, _)| {
            path.strip_prefix(directory.as_str())?.strip_suffix("/kustomization.yaml")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_and_parts_are_those_of_the_manifests() {
        for component in Component::ALL {
            for overlay in Overlay::ALL {
                let path = format!("{component}/{}/kustomization.yaml", overlay.directory());
                assert!(manifests::FILES.iter().any(|(known, _)| *known == path), "{path}");
                assert_eq!(overlay.as_str().parse::<Overlay>(), Ok(overlay));
            }
        }
        assert_eq!(optional_parts(Component::Collector), ["podmonitor"]);
        assert_eq!(
            optional_parts(Component::Processor),
            ["dashboard", "hpa", "keda", "servicemonitor"]
        );
        assert!("prod".parse::<Overlay>().is_err());
    }
}
