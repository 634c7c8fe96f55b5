//! The embedded templates by name.

use sha2::{Digest as _, Sha256};

/// A template of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TemplateId {
    /// The central role.
    Global,
    /// The regional stack, which nests the next four.
    Regional,
    /// Bucket, topic, table, roles.
    Core,
    /// Queues.
    Sqs,
    /// The engine as a function.
    Lambda,
    /// Alarms and a dashboard.
    Observability,
    /// The role in a customer's account.
    Customer,
    /// The collector's roles in a cluster.
    ClusterVector,
    /// The processor's role in a cluster.
    ClusterProcessor,
}

/// A template that another one nests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The template.
    pub template: TemplateId,
    /// The parent's parameter that takes its URL.
    pub url_parameter: &'static str,
    /// The parent's resource that nests it.
    pub resource: &'static str,
}

const REGIONAL_CHILDREN: [Child; 4] = [
    Child {
        template: TemplateId::Core,
        url_parameter: "CoreTemplateUrl",
        resource: "CoreInfrastructureStack",
    },
    Child { template: TemplateId::Sqs, url_parameter: "SqsTemplateUrl", resource: "SQSStack" },
    Child {
        template: TemplateId::Lambda,
        url_parameter: "LambdaTemplateUrl",
        resource: "LambdaStack",
    },
    Child {
        template: TemplateId::Observability,
        url_parameter: "ObservabilityTemplateUrl",
        resource: "ObservabilityStack",
    },
];

impl TemplateId {
    /// Every template.
    pub const ALL: [Self; 9] = [
        Self::Global,
        Self::Regional,
        Self::Core,
        Self::Sqs,
        Self::Lambda,
        Self::Observability,
        Self::Customer,
        Self::ClusterVector,
        Self::ClusterProcessor,
    ];

    /// Returns the file's path below `templates/`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Global => "global/central-log-distribution-role.yaml",
            Self::Regional => "regional/main.yaml",
            Self::Core => "regional/core-infrastructure.yaml",
            Self::Sqs => "regional/sqs-stack.yaml",
            Self::Lambda => "regional/lambda-stack.yaml",
            Self::Observability => "regional/observability-stack.yaml",
            Self::Customer => "customer/customer-log-distribution-role.yaml",
            Self::ClusterVector => "cluster/cluster-vector-role.yaml",
            Self::ClusterProcessor => "cluster/cluster-processor-role.yaml",
        }
    }

    /// Returns the template's text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Global => {
                include_str!("../../templates/global/central-log-distribution-role.yaml")
            }
            Self::Regional => include_str!("../../templates/regional/main.yaml"),
            Self::Core => include_str!("../../templates/regional/core-infrastructure.yaml"),
            Self::Sqs => include_str!("../../templates/regional/sqs-stack.yaml"),
            Self::Lambda => include_str!("../../templates/regional/lambda-stack.yaml"),
            Self::Observability => {
                include_str!("../../templates/regional/observability-stack.yaml")
            }
            Self::Customer => {
                include_str!("../../templates/customer/customer-log-distribution-role.yaml")
            }
            Self::ClusterVector => include_str!("../../templates/cluster/cluster-vector-role.yaml"),
            Self::ClusterProcessor => {
                include_str!("../../templates/cluster/cluster-processor-role.yaml")
            }
        }
    }

    /// Returns the templates that this one nests.
    pub const fn children(self) -> &'static [Child] {
        match self {
            Self::Regional => &REGIONAL_CHILDREN,
            Self::Global
            | Self::Core
            | Self::Sqs
            | Self::Lambda
            | Self::Observability
            | Self::Customer
            | Self::ClusterVector
            | Self::ClusterProcessor => &[],
        }
    }

    /// Returns the key that the template is uploaded under: the same text always has the same key.
    pub fn object_key(self) -> String {
        format!("mtlog/{}.yaml", hex_digest(self.text()))
    }
}

/// Returns the SHA-256 of `text` in hexadecimal digits.
pub fn hex_digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::document::Document;

    /// The most bytes of a template that is sent inline (`TemplateBody`, `CreateChangeSet` in the API model).
    const LONGEST_INLINE: usize = 51_200;

    #[test]
    fn every_template_can_be_read_and_sent_inline() {
        for template in TemplateId::ALL {
            let document = Document::parse(template.text())
                .unwrap_or_else(|e| panic!("{}: {e}", template.path()));
            assert!(!document.resources().is_empty(), "{}", template.path());
            assert!(template.text().len() <= LONGEST_INLINE, "{}", template.path());
        }
    }

    #[test]
    fn a_parent_has_the_parameters_and_resources_of_its_children() {
        for template in TemplateId::ALL {
            let document = Document::parse(template.text()).unwrap();
            for child in template.children() {
                assert!(
                    document.parameters().iter().any(|p| p.name == child.url_parameter),
                    "{}",
                    child.url_parameter
                );
                assert!(document.resources().contains_key(child.resource), "{}", child.resource);
            }
        }
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert_eq!(
            hex_digest(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
