//! The settings of a deployment.

use std::collections::BTreeMap;

use mtlog_processor::model::{
    ids::{BucketName, ExternalId, Region},
    secret::Secret,
};

use super::{
    connection::{self, Connection, ConnectionFlags},
    layers::{InvalidSettings, Layers, Problem, Setting, Source},
    vars,
};
use crate::deploy::{
    names::{Audience, CentralRole, ClusterName, EcrImage, EnvironmentName, Issuer, ProjectName},
    stack::StackName,
    target::{Clusters, Selection, Target, targets},
};

/// What becomes of an optional part of the regional stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// It stays as it is: there, or not there.
    #[default]
    Unchanged,
    /// It is wanted.
    Included,
    /// It is to be taken away.
    Removed,
}

/// The flags of a deployment, as they were typed.
#[derive(Debug, Clone, Default)]
pub struct DeployFlags {
    /// The targets.
    pub targets: Vec<String>,
    /// `--project`.
    pub project: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    /// `--stack-name`.
    pub stack_name: Option<String>,
    /// `--bucket`.
    pub bucket: Option<String>,
    /// `--central-role-arn`.
    pub central_role_arn: Option<String>,
    /// `--external-id`.
    pub external_id: Option<String>,
    /// `--global-region`.
    pub global_region: Option<String>,
    /// `--image`.
    pub image: Option<String>,
    /// `--cluster-name`.
    pub cluster_name: Option<String>,
    /// `--oidc-provider`.
    pub oidc_provider: Option<String>,
    /// `--oidc-audience`.
    pub oidc_audience: Option<String>,
    /// `--include-sqs`, `--without-sqs`.
    pub sqs: Part,
    /// `--include-lambda`, `--without-lambda`.
    pub lambda: Part,
    /// `--include-alarms`, `--without-alarms`.
    pub alarms: Part,
    /// What the file of `--param-file` holds. `--param` wins over it.
    pub file_parameters: Vec<(String, String)>,
    /// `--param`, each `NAME=VALUE`.
    pub parameters: Vec<String>,
    /// Whom we talk to.
    pub connection: ConnectionFlags,
}

/// The settings of a deployment.
#[derive(Debug, Clone)]
pub struct DeploySettings {
    /// Whom we talk to.
    pub connection: Connection,
    /// What is deployed, in the order of dependence.
    pub targets: Vec<Target>,
    /// The pipeline's name.
    pub project: Setting<ProjectName>,
    /// The environment.
    pub environment: Setting<EnvironmentName>,
    /// A name for the stack other than the usual one.
    pub stack_name: Option<StackName>,
    /// The bucket for nested templates.
    pub bucket: Option<Setting<BucketName>>,
    /// The central role.
    pub central_role: Option<Setting<CentralRole>>,
    /// The external id that a customer's role demands.
    pub external_id: Option<Secret<ExternalId>>,
    /// Where the global stack is, if not in the region of the deployment.
    pub global_region: Option<Region>,
    /// The Lambda image.
    pub image: Option<Setting<EcrImage>>,
    /// The cluster.
    pub cluster: Option<Setting<ClusterName>>,
    /// The cluster's issuer.
    pub issuer: Option<Setting<Issuer>>,
    /// The audience, if anything names one.
    pub audience: Option<Setting<Audience>>,
    /// The queues.
    pub sqs: Part,
    /// The function.
    pub lambda: Part,
    /// The alarms.
    pub alarms: Part,
    /// Parameters that were given by name.
    pub parameters: BTreeMap<String, String>,
}

/// Resolves the settings, or says everything that is wrong with them.
#[expect(
    clippy::too_many_lines,
    reason = "one statement for each setting, and all problems together"
)]
pub fn resolve(layers: &Layers, flags: &DeployFlags) -> Result<DeploySettings, InvalidSettings> {
    let mut resolver = layers.resolver();
    let connection = connection::resolve_with(&mut resolver, layers, &flags.connection);
    let selections: Vec<Selection> = flags
        .targets
        .iter()
        .filter_map(|text| resolver.argument::<Selection>("TARGET", text))
        .collect();
    let cluster =
        resolver.optional::<ClusterName>(&vars::CLUSTER_NAME, flags.cluster_name.as_deref());
    let clusters = if cluster.is_some() { Clusters::Named } else { Clusters::None };
    let targets = targets(&selections, clusters);
    let wants = |target: Target| targets.contains(&target);
    let wants_cluster = targets.iter().any(|target| target.is_cluster());

    let project = resolver.or_default::<ProjectName>(&vars::PROJECT, flags.project.as_deref());
    let environment =
        resolver.or_default::<EnvironmentName>(&vars::ENVIRONMENT, flags.environment.as_deref());
    let stack_name =
        flags.stack_name.as_deref().and_then(|text| resolver.flag::<StackName>("stack-name", text));
    let bucket = resolver.optional::<BucketName>(&vars::TEMPLATE_BUCKET, flags.bucket.as_deref());
    let central_role = resolver
        .optional::<CentralRole>(&vars::CENTRAL_ROLE_ARN, flags.central_role_arn.as_deref());
    let external_id = flags
        .external_id
        .as_deref()
        .and_then(|text| resolver.flag::<ExternalId>("external-id", text));
    let global_region = flags
        .global_region
        .as_deref()
        .and_then(|text| resolver.flag::<Region>("global-region", text));
    let image = resolver.optional::<EcrImage>(&vars::IMAGE_URI, flags.image.as_deref());
    let issuer = resolver.optional::<Issuer>(&vars::OIDC_PROVIDER, flags.oidc_provider.as_deref());
    let audience =
        resolver.optional::<Audience>(&vars::OIDC_AUDIENCE, flags.oidc_audience.as_deref());

    let mut parameters: BTreeMap<String, String> = flags.file_parameters.iter().cloned().collect();
    for text in &flags.parameters {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                parameters.insert(name.to_owned(), value.to_owned());
            }
            _ => resolver.problem(Problem::Invalid {
                source: Source::Flag("param"),
                rule: format!("`{text}` is not a parameter: it looks like S3DeleteAfterDays=14"),
            }),
        }
    }

    let mut contradiction = |holds: bool, text: String| {
        if holds {
            resolver.problem(Problem::Contradiction(text));
        }
    };
    contradiction(
        stack_name.is_some() && targets.len() > 1,
        "--stack-name names one stack, but several targets were given".to_owned(),
    );
    contradiction(
        flags.lambda == Part::Included && flags.sqs == Part::Removed,
        "--include-lambda needs the queue that --without-sqs removes".to_owned(),
    );
    contradiction(
        flags.alarms == Part::Included && flags.sqs == Part::Removed,
        "--include-alarms needs the queue that --without-sqs removes".to_owned(),
    );
    contradiction(
        wants_cluster && cluster.is_none(),
        format!("the cluster's name is missing: {}", super::layers::remedy(&vars::CLUSTER_NAME)),
    );
    // A flag that changes nothing was meant for something else.
    for (given, flag, used) in [
        (flags.sqs != Part::Unchanged, "include-sqs or --without-sqs", wants(Target::Regional)),
        (
            flags.lambda != Part::Unchanged,
            "include-lambda or --without-lambda",
            wants(Target::Regional),
        ),
        (
            flags.alarms != Part::Unchanged,
            "include-alarms or --without-alarms",
            wants(Target::Regional),
        ),
        (flags.image.is_some(), "image", wants(Target::Regional)),
        (flags.bucket.is_some(), "bucket", wants(Target::Regional)),
        (flags.external_id.is_some(), "external-id", wants(Target::Customer)),
        (flags.cluster_name.is_some(), "cluster-name", wants_cluster),
        (flags.oidc_provider.is_some(), "oidc-provider", wants_cluster),
        (flags.oidc_audience.is_some(), "oidc-audience", wants_cluster),
        (
            flags.central_role_arn.is_some(),
            "central-role-arn",
            wants(Target::Regional) || wants(Target::Customer) || wants(Target::ClusterProcessor),
        ),
    ] {
        let list = || targets.iter().map(|target| target.as_str()).collect::<Vec<_>>().join(", ");
        contradiction(
            given && !used && !targets.is_empty(),
            format!("--{flag} has no meaning for {}", list()),
        );
    }
    resolver.finish()?;
    match (project, environment) {
        (Some(project), Some(environment)) => Ok(DeploySettings {
            connection,
            targets,
            project,
            environment,
            stack_name,
            bucket,
            central_role,
            external_id: external_id.map(Secret::new),
            global_region,
            image,
            cluster,
            issuer,
            audience,
            sqs: flags.sqs,
            lambda: flags.lambda,
            alarms: flags.alarms,
            parameters,
        }),
        // Both have defaults, so that only a bad value leaves them out, and that is a problem above.
        _ => Err(InvalidSettings { problems: Vec::new() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{dotenv::DotEnv, environment::Environment};

    fn resolved(flags: &DeployFlags) -> Result<DeploySettings, InvalidSettings> {
        resolve(&Layers::new(Environment::default(), DotEnv::default()), flags)
    }

    fn flags(targets: &[&str]) -> DeployFlags {
        DeployFlags {
            targets: targets.iter().map(|text| (*text).to_owned()).collect(),
            ..DeployFlags::default()
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let settings = resolved(&flags(&["all"])).unwrap();
        assert_eq!(settings.targets, [Target::Global, Target::Regional]);
        assert_eq!(settings.project.value.as_str(), "multi-tenant-logging");
        assert_eq!(settings.environment.source, Source::Default);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong = DeployFlags {
            project: Some("X".to_owned()),
            environment: Some("prod".to_owned()),
            central_role_arn: Some("arn:aws:iam::1:role/x".to_owned()),
            image: Some("busybox".to_owned()),
            parameters: vec!["novalue".to_owned()],
            lambda: Part::Included,
            sqs: Part::Removed,
            ..flags(&["regionl", "global"])
        };
        let text = resolved(&wrong).unwrap_err().to_string();
        for part in [
            "TARGET: `regionl`",
            "--project",
            "--environment",
            "--central-role-arn",
            "--image",
            "--param",
            "--without-sqs",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_flag_without_meaning_for_the_target_is_refused() {
        let wrong = DeployFlags { sqs: Part::Included, ..flags(&["global"]) };
        assert!(resolved(&wrong).unwrap_err().to_string().contains("has no meaning for global"));
        let cluster = resolved(&flags(&["cluster"])).unwrap_err().to_string();
        assert!(cluster.contains("--cluster-name"), "{cluster}");
    }
}
