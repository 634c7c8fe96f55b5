//! What a stack should be: template, parameters, tags, uploads. Pure.

use std::collections::BTreeMap;

use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, BucketName, Region},
};
use thiserror::Error;

use super::{
    names::EcrImage,
    stack::{Stack, StackName},
    target::Target,
};
use crate::{
    config::{
        deploy::{DeploySettings, Part},
        layers::{Setting, Source},
    },
    template::{catalogue::TemplateId, document::Document},
};

/// Tag keys whose values changed with every run of the replaced script: each run would touch every resource.
const VOLATILE_TAGS: [&str; 2] = ["DeployedAt", "DeployedBy"];

/// What a stack should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What is deployed.
    pub target: Target,
    /// Under which name.
    pub stack: StackName,
    /// From which template.
    pub template: TemplateId,
    /// The parameters that settings and other stacks decide. The others stay as they are, or at their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Where parameters came from that nobody typed.
    pub wired: Vec<Wired>,
    /// The templates that must be in the bucket first.
    pub uploads: Vec<Upload>,
    /// The bucket for the uploads.
    pub bucket: Option<BucketName>,
    /// The stack's tags.
    pub tags: BTreeMap<String, String>,
}

/// A parameter whose value was found, not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wired {
    /// The parameter.
    pub parameter: &'static str,
    /// Where its value came from.
    pub source: Source,
}

/// A template to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The template.
    pub template: TemplateId,
    /// The key in the bucket.
    pub key: String,
}

/// Where the deployment happens.
#[derive(Debug, Clone)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

/// The stacks that others take values from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upstream<'a> {
    /// The global stack.
    pub global: Option<&'a Stack>,
    /// The regional stack.
    pub regional: Option<&'a Stack>,
    /// What the image's tag stands for now, if anybody could tell.
    pub image: Option<&'a EcrImage>,
}

/// What stands in the way of a deployment, each with what would mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", list(problems))]
pub struct Obstacles {
    /// Every problem found.
    pub problems: Vec<String>,
}

fn list(problems: &[String]) -> String {
    match problems {
        [only] => only.clone(),
        many => {
            let lines: String = many.iter().map(|problem| format!("\n  - {problem}")).collect();
            format!("{} things stand in the way:{lines}", many.len())
        }
    }
}

/// Returns what the stack should be.
pub fn desired(
    target: Target,
    stack: StackName,
    settings: &DeploySettings,
    place: &Place,
    existing: Option<&Stack>,
    upstream: Upstream<'_>,
) -> Result<Desired, Obstacles> {
    let mut draft = Draft {
        settings,
        existing,
        parameters: BTreeMap::new(),
        wired: Vec::new(),
        problems: Vec::new(),
    };
    draft.identity(target);
    let mut bucket = None;
    match target {
        Target::Global => {}
        Target::Regional => {
            draft.central_role(upstream.global);
            let parts = draft.parts();
            draft.image(upstream.image, &place.region);
            bucket = Some(draft.templates(place, &parts));
        }
        Target::Customer => {
            draft.central_role(upstream.global);
            if let Some(id) = &settings.external_id {
                draft.set("ExternalId", id.reveal().as_str());
            }
        }
        Target::ClusterVector => {
            draft.cluster();
            draft.outputs_of(
                upstream.regional,
                &["VectorAssumeRolePolicyArn", "CentralS3WriterPolicyArn"],
                &[],
            );
        }
        Target::ClusterProcessor => {
            draft.cluster();
            let required = [
                "TenantConfigTableArn",
                "CentralLoggingBucketArn",
                "CentralLogDistributionRoleArn",
                "LogDeliveryQueueArn",
                "LogDeliveryDLQArn",
            ];
            draft.outputs_of(upstream.regional, &required, &["KMSKeyArn", "S3KeyPrefix"]);
        }
    }
    for (name, value) in &settings.parameters {
        // With several targets a parameter may be meant for another of them.
        let elsewhere =
            settings.targets.iter().any(|other| *other != target && declares(*other, name));
        if declares(target, name) || !elsewhere {
            draft.parameters.insert(name.clone(), value.clone());
        }
    }
    let Draft { parameters, wired, problems, .. } = draft;
    if !problems.is_empty() {
        return Err(Obstacles { problems });
    }
    let template = target.template();
    let uploads = template
        .children()
        .iter()
        .map(|child| Upload { template: child.template, key: child.template.object_key() })
        .collect();
    Ok(Desired {
        target,
        stack,
        template,
        parameters,
        wired,
        uploads,
        bucket,
        tags: tags(target, settings, existing),
    })
}

/// Whether the target's template has a parameter of this name.
fn declares(target: Target, name: &str) -> bool {
    Document::parse(target.template().text())
        .is_ok_and(|document| document.section("Parameters").contains_key(name))
}

/// Returns the URL of an object in the form that works in every region, for buckets with dots, and on emulators.
pub fn template_url(region: &Region, bucket: &BucketName, key: &str) -> String {
    format!("https://s3.{region}.{}/{bucket}/{key}", Partition::of(region).dns_suffix())
}

fn tags(
    target: Target,
    settings: &DeploySettings,
    existing: Option<&Stack>,
) -> BTreeMap<String, String> {
    let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.retain(|key, _| !VOLATILE_TAGS.contains(&key.as_str()) && !key.starts_with("aws:"));
    tags.insert("Project".to_owned(), settings.project.value.to_string());
    if target.has_environment() {
        tags.insert("Environment".to_owned(), settings.environment.value.to_string());
    }
    tags.insert("ManagedBy".to_owned(), "mtlog".to_owned());
    tags
}

struct Draft<'a> {
    settings: &'a DeploySettings,
    existing: Option<&'a Stack>,
    parameters: BTreeMap<String, String>,
    wired: Vec<Wired>,
    problems: Vec<String>,
}

impl Draft<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.parameters.insert(name.to_owned(), value.to_owned());
    }

    /// Returns what the stack has now, unless that is empty.
    fn existing(&self, name: &str) -> Option<&str> {
        self.existing?.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets project and environment. To change them would make every resource anew.
    fn identity(&mut self, target: Target) {
        let settings = self.settings;
        self.identify(
            "ProjectName",
            settings.project.value.as_str(),
            &settings.project.source,
            "--project",
        );
        if target.has_environment() {
            let Setting { value, source } = &settings.environment;
            self.identify("Environment", value.as_str(), source, "--environment");
        }
    }

    fn identify(&mut self, name: &'static str, value: &str, source: &Source, flag: &str) {
        match (
            self.existing(name).map(str::to_owned),
            self.existing.map(|stack| stack.name.clone()),
        ) {
            (Some(existing), Some(stack)) if existing != value => {
                if *source == Source::Default {
                    return;
                }
                self.problems.push(format!(
                    "stack `{stack}` belongs to {name} `{existing}`, but {source} says `{value}`: give {flag} \
                     {existing}, or deploy to another stack"
                ));
            }
            _ => self.set(name, value),
        }
    }

    fn central_role(&mut self, global: Option<&Stack>) {
        const NAME: &str = "CentralLogDistributionRoleArn";
        if self.settings.parameters.contains_key(NAME) {
            return;
        }
        if let Some(role) = &self.settings.central_role {
            self.set(NAME, &role.value.to_string());
            return;
        }
        if let Some((stack, arn)) = global.and_then(|stack| Some((stack, stack.outputs.get(NAME)?)))
        {
            let source = Source::StackOutput { stack: stack.name.clone(), output: NAME };
            self.wired.push(Wired { parameter: NAME, source });
            self.set(NAME, arn);
        } else if self.existing(NAME).is_none() {
            self.problems.push(
                "the central role's ARN is missing: run `mtlog deploy global` first, or give --central-role-arn, or \
                 give --global-region if the global stack is in another region"
                    .to_owned(),
            );
        }
    }

    /// Decides which parts there are, and returns their templates. A part that exists never goes away because a flag
    /// was left out.
    fn parts(&mut self) -> Vec<TemplateId> {
        let settings = self.settings;
        let stays = |draft: &Self, part: Part, name: &str| match part {
            Part::Included => true,
            Part::Removed => false,
            Part::Unchanged => draft.existing(name) == Some("true"),
        };
        let lambda = stays(self, settings.lambda, "IncludeLambdaStack");
        let alarms = stays(self, settings.alarms, "IncludeObservabilityStack");
        let needed = lambda || alarms;
        if settings.sqs == Part::Removed && needed {
            let mut flags = Vec::new();
            if lambda {
                flags.push("--without-lambda");
            }
            if alarms {
                flags.push("--without-alarms");
            }
            self.problems.push(format!(
                "--without-sqs would take the queue away from what uses it: add {}, or keep the queue",
                flags.join(" and ")
            ));
        }
        let queue = settings.sqs != Part::Removed
            && (stays(self, settings.sqs, "IncludeSQSStack") || needed);
        let mut parts = vec![TemplateId::Core];
        for (name, wanted, template) in [
            ("IncludeSQSStack", queue, TemplateId::Sqs),
            ("IncludeLambdaStack", lambda, TemplateId::Lambda),
            ("IncludeObservabilityStack", alarms, TemplateId::Observability),
        ] {
            self.set(name, if wanted { "true" } else { "false" });
            if wanted {
                parts.push(template);
            }
        }
        if lambda && settings.image.is_none() && self.existing("ECRImageUri").is_none() {
            self.problems.push(
                "the function needs an image: give --image, for example \
                 111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1"
                    .to_owned(),
            );
        }
        parts
    }

    fn image(&mut self, pinned: Option<&EcrImage>, region: &Region) {
        let Some(Setting { value: image, source }) = &self.settings.image else { return };
        if image.region() != region {
            self.problems.push(format!(
                "{source}: the image `{image}` is in {}, but Lambda takes only images of its own region {region}: push \
                 it there and name that copy",
                image.region()
            ));
        }
        self.set("ECRImageUri", pinned.unwrap_or(image).as_str());
    }

    /// Points the parameters at the uploaded children and returns the bucket that they are uploaded to.
    ///
    /// The URL of a part that is not there stays as it is: a change of it would look like an update.
    fn templates(&mut self, place: &Place, parts: &[TemplateId]) -> BucketName {
        const BUCKET: &str = "TemplateBucket";
        let existing: Option<BucketName> = self.existing(BUCKET).and_then(|name| name.parse().ok());
        let given = self.settings.bucket.as_ref().map(|setting| setting.value.clone());
        let bucket = given.or(existing).unwrap_or_else(|| usual_bucket(place));
        self.set(BUCKET, bucket.as_str());
        for child in TemplateId::Regional.children() {
            if !parts.contains(&child.template) && self.existing(child.url_parameter).is_some() {
                continue;
            }
            let url = template_url(&place.region, &bucket, &child.template.object_key());
            self.set(child.url_parameter, &url);
        }
        bucket
    }

    fn cluster(&mut self) {
        let settings = self.settings;
        if let Some(cluster) = &settings.cluster {
            self.set("ClusterName", cluster.value.as_str());
        }
        match &settings.issuer {
            Some(issuer) => self.set("OIDCProviderURL", issuer.value.as_str()),
            None if self.existing("OIDCProviderURL").is_none() => self.problems.push(
                "the cluster's OIDC issuer is missing: give --oidc-provider; \
                 `oc get authentication cluster -o jsonpath='{.spec.serviceAccountIssuer}'` shows it"
                    .to_owned(),
            ),
            None => {}
        }
        if let Some(audience) = &settings.audience {
            self.set("OIDCAudience", audience.value.as_str());
        }
    }

    /// Takes parameters from the outputs of the same name of the regional stack.
    fn outputs_of(
        &mut self,
        regional: Option<&Stack>,
        required: &[&'static str],
        optional: &[&'static str],
    ) {
        let open = |name: &&&'static str| !self.settings.parameters.contains_key(**name);
        let (required, optional): (Vec<_>, Vec<_>) = (
            required.iter().filter(open).copied().collect(),
            optional.iter().filter(open).copied().collect(),
        );
        let Some(stack) = regional else {
            let missing: Vec<&str> =
                required.into_iter().filter(|name| self.existing(name).is_none()).collect();
            if !missing.is_empty() {
                self.problems.push(format!(
                    "there is no regional stack to take {} from: run `mtlog deploy regional` for this environment and \
                     region first, or give each with --param NAME=VALUE",
                    missing.join(", ")
                ));
            }
            return;
        };
        for name in required {
            if let Some(value) = stack.outputs.get(name) {
                let source = Source::StackOutput { stack: stack.name.clone(), output: name };
                self.wired.push(Wired { parameter: name, source });
                self.parameters.insert(name.to_owned(), value.clone());
            } else if self.existing(name).is_none() {
                let remedy = if name.starts_with("LogDelivery") {
                    "run `mtlog deploy regional --include-sqs`"
                } else {
                    "run `mtlog deploy regional` with this version"
                };
                self.problems.push(format!(
                    "stack `{}` has no output {name}: {remedy}, or give --param {name}=VALUE",
                    stack.name
                ));
            }
        }
        for name in optional {
            let value = stack.outputs.get(name).cloned().unwrap_or_default();
            self.parameters.insert(name.to_owned(), value);
        }
    }
}

/// Returns the bucket for templates that is used unless another one is named.
pub fn usual_bucket(place: &Place) -> BucketName {
    let name = format!("mtlog-templates-{}-{}", place.account, place.region);
    #[expect(
        clippy::expect_used,
        reason = "an account id and a region of legal shape always make a legal bucket name"
    )]
    name.parse().expect("a legal bucket name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{deploy::DeployFlags, dotenv::DotEnv, environment::Environment, layers::Layers},
        deploy::status::StackStatus,
    };

    const ROLE: &str = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";

    fn stack(name: &str, parameters: &[(&str, &str)], outputs: &[(&str, &str)]) -> Stack {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Stack {
            name: name.to_owned(),
            id: format!("arn:{name}"),
            status: StackStatus::CreateComplete,
            reason: None,
            parameters: map(parameters),
            outputs: map(outputs),
            tags: map(&[("DeployedAt", "2025"), ("team", "logs")]),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        }
    }

    fn wanted(
        target: Target,
        flags: &DeployFlags,
        existing: Option<&Stack>,
        upstream: Upstream<'_>,
    ) -> Result<Desired, Obstacles> {
        let flags = DeployFlags { targets: vec![target.as_str().to_owned()], ..flags.clone() };
        let layers = Layers::new(Environment::default(), DotEnv::default());
        let settings = crate::config::deploy::resolve(&layers, &flags).expect("good settings");
        let place = Place {
            account: "111111111111".parse().unwrap(),
            region: "us-east-2".parse().unwrap(),
        };
        desired(target, "stack".parse().unwrap(), &settings, &place, existing, upstream)
    }

    fn parameter<'a>(desired: &'a Desired, name: &str) -> Option<&'a str> {
        desired.parameters.get(name).map(String::as_str)
    }

    #[test]
    fn the_central_role_comes_from_the_global_stack() {
        let global = stack("p-global", &[], &[("CentralLogDistributionRoleArn", ROLE)]);
        let upstream = Upstream { global: Some(&global), ..Upstream::default() };
        let made = wanted(Target::Regional, &DeployFlags::default(), None, upstream).unwrap();
        assert_eq!(parameter(&made, "CentralLogDistributionRoleArn"), Some(ROLE));
        assert_eq!(made.wired.len(), 1);
        let error = wanted(Target::Regional, &DeployFlags::default(), None, Upstream::default())
            .unwrap_err();
        assert!(error.to_string().contains("--central-role-arn"), "{error}");
    }

    #[test]
    fn parts_that_exist_stay_until_they_are_removed_by_name() {
        let existing = stack(
            "p-production",
            &[
                ("IncludeSQSStack", "true"),
                ("IncludeLambdaStack", "true"),
                ("ECRImageUri", "x"),
                ("CentralLogDistributionRoleArn", ROLE),
            ],
            &[],
        );
        let parts = |flags: &DeployFlags| {
            wanted(Target::Regional, flags, Some(&existing), Upstream::default()).map(|made| {
                ["IncludeSQSStack", "IncludeLambdaStack"]
                    .map(|name| parameter(&made, name).unwrap().to_owned())
            })
        };
        assert_eq!(parts(&DeployFlags::default()).unwrap(), ["true", "true"]);
        let without = DeployFlags { lambda: Part::Removed, ..DeployFlags::default() };
        assert_eq!(parts(&without).unwrap(), ["true", "false"]);
        let queue_only = DeployFlags { sqs: Part::Removed, ..DeployFlags::default() };
        assert!(parts(&queue_only).unwrap_err().to_string().contains("--without-lambda"));
    }

    #[test]
    fn a_function_brings_its_queue_and_needs_an_image_of_its_region() {
        let role = Some(ROLE.to_owned());
        let flags = DeployFlags {
            lambda: Part::Included,
            central_role_arn: role,
            ..DeployFlags::default()
        };
        let error = wanted(Target::Regional, &flags, None, Upstream::default()).unwrap_err();
        assert!(error.to_string().contains("--image"), "{error}");
        let image =
            |region: &str| Some(format!("111111111111.dkr.ecr.{region}.amazonaws.com/x:v1"));
        let far = DeployFlags { image: image("eu-west-1"), ..flags.clone() };
        let error = wanted(Target::Regional, &far, None, Upstream::default()).unwrap_err();
        assert!(error.to_string().contains("in eu-west-1"), "{error}");
        let near = DeployFlags { image: image("us-east-2"), ..flags };
        let made = wanted(Target::Regional, &near, None, Upstream::default()).unwrap();
        assert_eq!(parameter(&made, "IncludeSQSStack"), Some("true"));
    }

    #[test]
    fn tags_lose_what_changes_with_every_run_and_keep_the_rest() {
        let existing = stack("p-global", &[], &[]);
        let made =
            wanted(Target::Global, &DeployFlags::default(), Some(&existing), Upstream::default())
                .unwrap();
        let keys: Vec<&str> = made.tags.keys().map(String::as_str).collect();
        assert_eq!(keys, ["ManagedBy", "Project", "team"]);
    }

    #[test]
    fn another_environment_is_never_put_over_a_stack() {
        let existing = stack(
            "custom",
            &[("Environment", "production"), ("ProjectName", "multi-tenant-logging")],
            &[],
        );
        let global = stack("p-global", &[], &[("CentralLogDistributionRoleArn", ROLE)]);
        let upstream = Upstream { global: Some(&global), ..Upstream::default() };
        let made =
            wanted(Target::Regional, &DeployFlags::default(), Some(&existing), upstream).unwrap();
        assert_eq!(
            parameter(&made, "Environment"),
            None,
            "a default does not override what is there"
        );
        let flags =
            DeployFlags { environment: Some("staging".to_owned()), ..DeployFlags::default() };
        let error = wanted(Target::Regional, &flags, Some(&existing), upstream).unwrap_err();
        assert!(error.to_string().contains("`production`"), "{error}");
    }

    #[test]
    fn a_cluster_takes_what_it_needs_from_the_regional_stack() {
        let regional = stack(
            "p-development",
            &[],
            &[("VectorAssumeRolePolicyArn", "arn:v"), ("CentralS3WriterPolicyArn", "arn:w")],
        );
        let flags = DeployFlags {
            cluster_name: Some("c1".to_owned()),
            oidc_provider: Some("https://oidc.example.com/1".to_owned()),
            ..DeployFlags::default()
        };
        let upstream = Upstream { regional: Some(&regional), ..Upstream::default() };
        let made = wanted(Target::ClusterVector, &flags, None, upstream).unwrap();
        assert_eq!(parameter(&made, "VectorAssumeRolePolicyArn"), Some("arn:v"));
        assert_eq!(parameter(&made, "OIDCProviderURL"), Some("oidc.example.com/1"));
        let error = wanted(Target::ClusterProcessor, &flags, None, upstream).unwrap_err();
        assert!(error.problems.iter().any(|problem| problem.contains("--include-sqs")), "{error}");
    }

    #[test]
    fn template_urls_fit_their_partition() {
        let bucket = "b-1".parse().unwrap();
        let url = |region: &str| template_url(&region.parse().unwrap(), &bucket, "k");
        assert_eq!(url("us-east-2"), "https://s3.us-east-2.amazonaws.com/b-1/k");
        assert_eq!(url("cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn/b-1/k");
    }
}
