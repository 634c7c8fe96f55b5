//! What can be deployed, in which order, under which stack name.

use std::{fmt, str::FromStr};

use mtlog_processor::model::ids::{InvalidId, Region};
use serde::Serialize;

use super::stack::StackName;
use crate::template::catalogue::TemplateId;

/// One stack that this program deploys. The order is that of dependence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The central role.
    Global,
    /// One environment in one region.
    Regional,
    /// The role in a customer's account.
    Customer,
    /// The collector's roles in one cluster.
    #[serde(rename = "cluster/vector")]
    ClusterVector,
    /// The processor's role in one cluster.
    #[serde(rename = "cluster/processor")]
    ClusterProcessor,
}

impl Target {
    /// Every target, in the order of dependence.
    pub const ALL: [Self; 5] =
        [Self::Global, Self::Regional, Self::Customer, Self::ClusterVector, Self::ClusterProcessor];

    /// Returns the word for it on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Regional => "regional",
            Self::Customer => "customer",
            Self::ClusterVector => "cluster/vector",
            Self::ClusterProcessor => "cluster/processor",
        }
    }

    /// Returns the template of the stack.
    pub const fn template(self) -> TemplateId {
        match self {
            Self::Global => TemplateId::Global,
            Self::Regional => TemplateId::Regional,
            Self::Customer => TemplateId::Customer,
            Self::ClusterVector => TemplateId::ClusterVector,
            Self::ClusterProcessor => TemplateId::ClusterProcessor,
        }
    }

    /// Whether the stack belongs to a cluster.
    pub const fn is_cluster(self) -> bool {
        matches!(self, Self::ClusterVector | Self::ClusterProcessor)
    }

    /// Whether the stack belongs to an environment.
    pub const fn has_environment(self) -> bool {
        !matches!(self, Self::Global | Self::Customer)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was asked for: one target, or several under one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// One stack.
    One(Target),
    /// Both stacks of a cluster.
    Cluster,
    /// Everything in the central account.
    All,
}

impl FromStr for Selection {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "cluster" => Ok(Self::Cluster),
            "all" => Ok(Self::All),
            _ => Target::ALL.into_iter().find(|target| target.as_str() == text).map(Self::One).ok_or_else(|| {
                InvalidId {
                    value: text.to_owned(),
                    what: "a target",
                    rule: "it is global, regional, customer, cluster, cluster/vector, cluster/processor or all",
                }
            }),
        }
    }
}

/// Whether a cluster has been named, which decides whether `all` includes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// One is named.
    Named,
    /// None is.
    None,
}

/// Returns the targets of `selections` in the order of dependence, each once.
pub fn targets(selections: &[Selection], clusters: Clusters) -> Vec<Target> {
    let mut targets: Vec<Target> = selections
        .iter()
        .flat_map(|selection| match selection {
            Selection::One(target) => vec![*target],
            Selection::Cluster => vec![Target::ClusterVector, Target::ClusterProcessor],
            Selection::All if clusters == Clusters::Named => {
                vec![
                    Target::Global,
                    Target::Regional,
                    Target::ClusterVector,
                    Target::ClusterProcessor,
                ]
            }
            Selection::All => vec![Target::Global, Target::Regional],
        })
        .collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// What stack names are made of.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// The project.
    pub project: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The region.
    pub region: &'a Region,
    /// The cluster, if one is named.
    pub cluster: Option<&'a str>,
}

/// Returns the stack's name. Those of the first three are what the shell script that mtlog replaces used.
pub fn stack_name(target: Target, naming: Naming<'_>) -> Result<StackName, InvalidId> {
    let Naming { project, environment, region, cluster } = naming;
    let cluster = cluster.unwrap_or_default();
    match target {
        Target::Global => format!("{project}-global"),
        Target::Regional => format!("{project}-{environment}"),
        Target::Customer => format!("{project}-customer-{region}"),
        Target::ClusterVector => format!("{project}-cluster-{cluster}-vector"),
        Target::ClusterProcessor => format!("{project}-cluster-{cluster}-processor"),
    }
    .parse()
}

/// Returns the name that the replaced script gave the same stack, where it was another.
pub fn former_stack_name(target: Target, naming: Naming<'_>) -> Option<StackName> {
    match target {
        Target::ClusterVector => {
            format!("{}-cluster-{}", naming.project, naming.cluster?).parse().ok()
        }
        Target::Global | Target::Regional | Target::Customer | Target::ClusterProcessor => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_in_the_order_of_dependence_and_once() {
        let selections: Vec<Selection> = ["cluster", "regional", "global", "regional"]
            .map(|word| word.parse().unwrap())
            .to_vec();
        let expected =
            [Target::Global, Target::Regional, Target::ClusterVector, Target::ClusterProcessor];
        assert_eq!(targets(&selections, Clusters::Named), expected);
        assert_eq!(targets(&[Selection::All], Clusters::None), [Target::Global, Target::Regional]);
        assert!("regionl".parse::<Selection>().is_err());
    }

    #[test]
    fn stack_names_are_those_of_the_replaced_script() {
        let region = "us-east-2".parse().unwrap();
        let naming = Naming {
            project: "p",
            environment: "production",
            region: &region,
            cluster: Some("c1"),
        };
        let names = Target::ALL.map(|target| stack_name(target, naming).unwrap().to_string());
        let expected = [
            "p-global",
            "p-production",
            "p-customer-us-east-2",
            "p-cluster-c1-vector",
            "p-cluster-c1-processor",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            former_stack_name(Target::ClusterVector, naming).unwrap().as_str(),
            "p-cluster-c1"
        );
    }
}
