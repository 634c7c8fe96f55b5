//! The settings of one cluster: which lines `settings.env` has, and where each value comes from.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    component::Component,
    value::{NamespaceSelector, ValueKind},
};
use crate::{
    deploy::{stack::Stack, target::Target},
    image::reference::ImageReference,
};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An output of a stack.
    Output(Target, &'static str),
    /// A parameter of a stack.
    Parameter(Target, &'static str),
    /// The image that was named.
    Image,
    /// The selector that was named, or the product's own.
    Selector,
}

/// One line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The variable.
    pub name: &'static str,
    /// What its value must be.
    pub kind: ValueKind,
    /// Where its value comes from.
    pub origin: Origin,
}

const fn output(
    name: &'static str,
    kind: ValueKind,
    target: Target,
    output: &'static str,
) -> Field {
    Field { name, kind, origin: Origin::Output(target, output) }
}

const fn parameter(
    name: &'static str,
    kind: ValueKind,
    target: Target,
    parameter: &'static str,
) -> Field {
    Field { name, kind, origin: Origin::Parameter(target, parameter) }
}

const fn image(name: &'static str) -> Field {
    Field { name, kind: Image, origin: Origin::Image }
}

use Target::{ClusterProcessor, ClusterVector, Regional};
use ValueKind::{
    Audience, Bucket, Cluster, Image, KeyPrefix, Namespaces, Queue, Region, Role, Table,
};

const COLLECTOR: &[Field] = &[
    parameter("CLUSTER_ID", Cluster, ClusterVector, "ClusterName"),
    Field { name: "NAMESPACE_SELECTOR", kind: Namespaces, origin: Origin::Selector },
    output("AWS_REGION", Region, Regional, "Region"),
    output("S3_BUCKET_NAME", Bucket, Regional, "CentralLoggingBucketName"),
    parameter("S3_KEY_PREFIX", KeyPrefix, Regional, "S3KeyPrefix"),
    output("S3_WRITER_ROLE_ARN", Role, ClusterVector, "ClusterS3WriterRoleArn"),
    output("COLLECTOR_ROLE_ARN", Role, ClusterVector, "ClusterVectorRoleArn"),
    parameter("OIDC_AUDIENCE", Audience, ClusterVector, "OIDCAudience"),
    image("COLLECTOR_IMAGE"),
];

const PROCESSOR: &[Field] = &[
    output("AWS_REGION", Region, Regional, "Region"),
    output("SQS_QUEUE_URL", Queue, Regional, "LogDeliveryQueueUrl"),
    output("DEAD_LETTER_QUEUE_URL", Queue, Regional, "LogDeliveryDLQUrl"),
    output("TENANT_CONFIG_TABLE", Table, Regional, "TenantConfigTableName"),
    output("SOURCE_BUCKET", Bucket, Regional, "CentralLoggingBucketName"),
    parameter("S3_KEY_PREFIX", KeyPrefix, Regional, "S3KeyPrefix"),
    parameter(
        "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN",
        Role,
        ClusterProcessor,
        "CentralLogDistributionRoleArn",
    ),
    output("PROCESSOR_ROLE_ARN", Role, ClusterProcessor, "ClusterProcessorRoleArn"),
    parameter("OIDC_AUDIENCE", Audience, ClusterProcessor, "OIDCAudience"),
    image("PROCESSOR_IMAGE"),
];

impl Component {
    /// Returns the lines of its settings.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Collector => COLLECTOR,
            Self::Processor => PROCESSOR,
        }
    }

    /// Returns the stack of the cluster that belongs to it.
    pub const fn cluster_stack(self) -> Target {
        match self {
            Self::Collector => ClusterVector,
            Self::Processor => ClusterProcessor,
        }
    }
}

/// The stacks that values come from.
#[derive(Debug, Clone, Copy)]
pub struct Stacks<'a> {
    /// The regional stack.
    pub regional: &'a Stack,
    /// The cluster's stack.
    pub cluster: &'a Stack,
}

/// What the operator names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The image.
    pub image: Option<&'a ImageReference>,
    /// The namespaces whose logs are collected; none: those of hosted control planes.
    pub selector: Option<&'a NamespaceSelector>,
}

/// Complete settings of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<&'static str, String>);

/// Settings that are not complete, or not those of the component.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", problems.join("; "))]
pub struct IncompleteSettings {
    /// Everything that is wrong, each a fragment that names the variable.
    pub problems: Vec<String>,
}

impl Settings {
    /// Takes the values from the stacks.
    pub fn from_stacks(
        component: Component,
        stacks: Stacks<'_>,
        named: Named<'_>,
    ) -> Result<Self, IncompleteSettings> {
        let found = component.fields().iter().filter_map(|field| {
            let value = match field.origin {
                Origin::Image => named.image.map(ToString::to_string),
                Origin::Selector => Some(named.selector.map_or_else(
                    || NamespaceSelector::HOSTED_CONTROL_PLANES.to_owned(),
                    ToString::to_string,
                )),
                Origin::Output(target, name) => stacks.of(target).outputs.get(name).cloned(),
                Origin::Parameter(target, name) => stacks.of(target).parameters.get(name).cloned(),
            };
            Some((field.name, value?))
        });
        Self::complete(component, found.collect(), |field| match field.origin {
            Origin::Image => "no image is named".to_owned(),
            Origin::Selector => "no label of namespaces is named".to_owned(),
            Origin::Output(target, name) => {
                format!("stack `{}` has no output `{name}`", stacks.of(target).name)
            }
            Origin::Parameter(target, name) => {
                format!("stack `{}` has no parameter `{name}`", stacks.of(target).name)
            }
        })
    }

    /// Reads the text of a `settings.env` as kustomize does: `NAME=value` lines, comments, nothing quoted.
    pub fn from_text(component: Component, text: &str) -> Result<Self, IncompleteSettings> {
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                problems.push(format!("line {} is not NAME=value", index + 1));
                continue;
            };
            match component.fields().iter().find(|field| field.name == name) {
                None => problems.push(format!("`{name}` is no setting of the {component}")),
                Some(field) if values.contains_key(field.name) => {
                    problems.push(format!("`{name}` is given twice"))
                }
                Some(field) => {
                    values.insert(field.name, value.to_owned());
                }
            }
        }
        let complete = Self::complete(component, values, |_| "it is missing".to_owned());
        match complete {
            Ok(settings) if problems.is_empty() => Ok(settings),
            Ok(_) => Err(IncompleteSettings { problems }),
            Err(error) => {
                problems.extend(error.problems);
                Err(IncompleteSettings { problems })
            }
        }
    }

    fn complete(
        component: Component,
        mut values: BTreeMap<&'static str, String>,
        missing: impl Fn(&Field) -> String,
    ) -> Result<Self, IncompleteSettings> {
        let mut problems = Vec::new();
        for field in component.fields() {
            let problem = match values.get(field.name) {
                None if field.kind.may_be_empty() => {
                    values.insert(field.name, String::new());
                    continue;
                }
                None => missing(field),
                Some(value) if value.is_empty() && !field.kind.may_be_empty() => {
                    "its value is empty".to_owned()
                }
                Some(value) => match field.kind.parse(value) {
                    Ok(value) => {
                        values.insert(field.name, value);
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
            };
            problems.push(format!("`{}`: {problem}", field.name));
        }
        if problems.is_empty() { Ok(Self(values)) } else { Err(IncompleteSettings { problems }) }
    }

    /// Returns the text of `settings.env`.
    pub fn to_text(&self) -> String {
        let lines: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        format!(
            "# Written by `mtlog k8s render`; settings.env.sample explains the lines.\n{}",
            lines.concat()
        )
    }

    /// Returns a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<'a> Stacks<'a> {
    fn of(self, target: Target) -> &'a Stack {
        match target {
            Target::Global | Target::Regional | Target::Customer => self.regional,
            Target::ClusterVector | Target::ClusterProcessor => self.cluster,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{catalogue::TemplateId, document::Document};

    fn sample(component: Component) -> &'static str {
        match component {
            Component::Collector => {
                include_str!("../../k8s/collector/settings/settings.env.sample")
            }
            Component::Processor => {
                include_str!("../../k8s/processor/settings/settings.env.sample")
            }
        }
    }

    #[test]
    fn the_samples_are_complete_and_can_be_written_back() {
        for component in Component::ALL {
            let settings = Settings::from_text(component, sample(component)).unwrap();
            assert_eq!(Settings::from_text(component, &settings.to_text()), Ok(settings));
        }
    }

    #[test]
    fn every_missing_empty_or_unknown_line_is_named_at_once() {
        let check = |component: Component, change: &dyn Fn(String) -> String, expected: &[&str]| {
            let error =
                Settings::from_text(component, &change(sample(component).to_owned())).unwrap_err();
            assert_eq!(error.problems, expected);
        };
        check(
            Component::Collector,
            &|text| {
                text.replace("CLUSTER_ID=production-cluster", "CLUSTER_ID=")
                    .replace("S3_BUCKET_NAME=", "BUCKET=")
            },
            &[
                "`BUCKET` is no setting of the collector",
                "`CLUSTER_ID`: its value is empty",
                "`S3_BUCKET_NAME`: it is missing",
            ],
        );
        check(
            Component::Processor,
            &|text| text + "x\nAWS_REGION=a",
            &["line 21 is not NAME=value", "`AWS_REGION` is given twice"],
        );
        let moving = "registry.example/log-processor:v1";
        check(
            Component::Processor,
            &|text| {
                text.split("PROCESSOR_IMAGE=").next().unwrap().to_owned()
                    + "PROCESSOR_IMAGE="
                    + moving
            },
            &[
                "`PROCESSOR_IMAGE`: `registry.example/log-processor:v1` is not an image by digest: it is \
                 REPOSITORY@sha256:DIGEST; a tag may name another image tomorrow",
            ],
        );
    }

    #[test]
    fn every_origin_exists_in_its_template() {
        for component in Component::ALL {
            for field in component.fields() {
                let (target, section, name) = match field.origin {
                    Origin::Image | Origin::Selector => continue,
                    Origin::Output(target, name) => (target, "Outputs", name),
                    Origin::Parameter(target, name) => (target, "Parameters", name),
                };
                assert!(
                    target == Regional || target == component.cluster_stack(),
                    "{}",
                    field.name
                );
                let document = Document::parse(TemplateId::text(target.template())).unwrap();
                assert!(
                    document.section(section).contains_key(name),
                    "{section} {name} of {target}"
                );
            }
        }
    }
}
