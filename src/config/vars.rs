//! Every environment variable that mtlog reads: its flag, its meaning, its default.
//!
//! One table for the command, the engine's documentation and `.env.sample`. A test walks the command line's grammar
//! and fails when a flag and this table disagree.

/// Who reads a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The command that operators run.
    Operator,
    /// The engine, in `mtlog process` and in `log-processor`.
    Engine,
    /// Both.
    Both,
}

/// Where a variable stands in `.env.sample`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Whom we talk to.
    Connection,
    /// What is deployed.
    Deployment,
    /// Clusters.
    Cluster,
    /// The engine.
    Engine,
    /// Screens.
    Display,
}

impl Section {
    const ALL: [Self; 5] =
        [Self::Connection, Self::Deployment, Self::Cluster, Self::Display, Self::Engine];

    const fn title(self) -> &'static str {
        match self {
            Self::Connection => "AWS: which account, region and endpoint",
            Self::Deployment => "What is deployed",
            Self::Cluster => "The cluster (mtlog deploy cluster)",
            Self::Engine => "The engine (mtlog process, log-processor)",
            Self::Display => "What the terminal shows",
        }
    }
}

/// One environment variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name that documentation uses.
    pub name: &'static str,
    /// Other names that are read too, after the first.
    pub aliases: &'static [&'static str],
    /// The long flag that says the same, without dashes.
    pub flag: Option<&'static str>,
    /// What it means, a sentence without full stop.
    pub meaning: &'static str,
    /// A value as it could be.
    pub example: &'static str,
    /// What holds when nothing says it; none: there is no default.
    pub default: Option<&'static str>,
    /// Whether the value must not be shown.
    pub secret: bool,
    /// Who reads it.
    pub reader: Reader,
    /// Where it stands in `.env.sample`.
    pub section: Section,
}

impl Variable {
    /// Returns every name that is read, the preferred one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

const fn variable(
    section: Section,
    reader: Reader,
    name: &'static str,
    flag: Option<&'static str>,
    meaning: &'static str,
    example: &'static str,
) -> Variable {
    Variable {
        name,
        aliases: &[],
        flag,
        meaning,
        example,
        default: None,
        secret: false,
        reader,
        section,
    }
}

impl Variable {
    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

macro_rules! table {
    ($($(#[$doc:meta])* $constant:ident = $value:expr;)+) => {
        $($(#[$doc])* pub const $constant: Variable = $value;)+
        /// Every variable, in the order of `.env.sample`.
        pub const ALL: &[Variable] = &[$($constant),+];
    };
}

use Reader::{Both, Engine, Operator};
use Section::{Cluster, Connection, Deployment, Display, Engine as Processing};

table! {
    /// The profile.
    PROFILE = variable(Connection, Both, "AWS_PROFILE", Some("profile"),
        "named profile of ~/.aws/config", "logging-production");
    /// The region.
    REGION = variable(Connection, Both, "AWS_REGION", Some("region"),
        "region of the stacks", "us-east-2").or(&["AWS_DEFAULT_REGION"]);
    /// The guard against the wrong account.
    ACCOUNT = variable(Connection, Operator, "AWS_ACCOUNT_ID", Some("account"),
        "refuse to touch any other account", "111122223333");
    /// An endpoint for every service.
    ENDPOINT = variable(Connection, Both, "AWS_ENDPOINT_URL", Some("endpoint-url"),
        "send every call here instead of to AWS, for emulators", "http://127.0.0.1:4566");
    /// How buckets are addressed.
    PATH_STYLE = variable(Connection, Both, "AWS_S3_USE_PATH_STYLE", None,
        "address buckets as host/bucket/key (true or 1), for emulators", "true").default("false");
    /// Static credentials.
    ACCESS_KEY_ID = variable(Connection, Both, "AWS_ACCESS_KEY_ID", None,
        "access key id; a profile is better than keys in a file", "AKIA...").secret();
    /// Static credentials.
    SECRET_ACCESS_KEY = variable(Connection, Both, "AWS_SECRET_ACCESS_KEY", None,
        "secret access key", "...").secret();
    /// Static credentials.
    SESSION_TOKEN = variable(Connection, Both, "AWS_SESSION_TOKEN", None,
        "session token of temporary credentials", "...").secret();

    /// The environment.
    ENVIRONMENT = variable(Deployment, Operator, "ENVIRONMENT", Some("environment"),
        "development, staging or production", "production").or(&["MTLOG_ENV"]).default("development");
    /// The project.
    PROJECT = variable(Deployment, Operator, "PROJECT_NAME", Some("project"),
        "name of the pipeline, first part of every name in it", "multi-tenant-logging")
        .or(&["MTLOG_PROJECT"]).default("multi-tenant-logging");
    /// The template bucket.
    TEMPLATE_BUCKET = variable(Deployment, Operator, "TEMPLATE_BUCKET", Some("bucket"),
        "bucket that nested templates are uploaded to; made when it is missing",
        "mtlog-templates-111122223333-us-east-2");
    /// The central role.
    CENTRAL_ROLE_ARN = variable(Deployment, Both, "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN", Some("central-role-arn"),
        "the role that customers trust; taken from the global stack when absent",
        "arn:aws:iam::111122223333:role/ROSA-CentralLogDistributionRole-0123abcd");
    /// The Lambda image.
    IMAGE_URI = variable(Deployment, Operator, "ECR_IMAGE_URI", Some("image"),
        "image of the engine for Lambda, in the region of the stack",
        "111122223333.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1");

    /// The cluster.
    CLUSTER_NAME = variable(Cluster, Operator, "CLUSTER_NAME", Some("cluster-name"),
        "name of the cluster, first part of its object keys", "production-cluster");
    /// The issuer.
    OIDC_PROVIDER = variable(Cluster, Operator, "OIDC_PROVIDER", Some("oidc-provider"),
        "the cluster's OIDC issuer, with or without https://", "oidc.op1.openshiftapps.com/2abc3def");
    /// The audience.
    OIDC_AUDIENCE = variable(Cluster, Operator, "OIDC_AUDIENCE", Some("oidc-audience"),
        "audience of service account tokens: openshift, or sts.amazonaws.com on EKS", "openshift")
        .default("openshift");

    /// The tenant table.
    TENANT_TABLE = variable(Processing, Both, "TENANT_CONFIG_TABLE", Some("table"),
        "the tenant table; taken from the regional stack when absent", "multi-tenant-logging-production-tenant-configs");
    /// The queue.
    QUEUE_URL = variable(Processing, Both, "SQS_QUEUE_URL", None,
        "the queue of log objects", "https://sqs.us-east-2.amazonaws.com/111122223333/name");
    /// The dead-letter queue.
    DEAD_LETTER_QUEUE_URL = variable(Processing, Both, "DEAD_LETTER_QUEUE_URL", None,
        "the queue of dead letters; by default the one in the queue's redrive policy",
        "https://sqs.us-east-2.amazonaws.com/111122223333/name-dlq");
    /// The bucket.
    SOURCE_BUCKET = variable(Processing, Engine, "SOURCE_BUCKET", None,
        "the bucket of log objects; taken from the regional stack when absent",
        "multi-tenant-logging-production-central-0123abcd");
    /// The mode.
    EXECUTION_MODE = variable(Processing, Engine, "EXECUTION_MODE", None,
        "sqs, manual, scan or lambda", "sqs");
    /// The key prefix.
    KEY_PREFIX = variable(Processing, Both, "S3_KEY_PREFIX", None,
        "text before CLUSTER/NAMESPACE/... in object keys", "logs/");
    /// The verbosity.
    LOG_LEVEL = variable(Processing, Engine, "LOG_LEVEL", None,
        "error, warn, info or debug", "info").default("info");

    /// Colours.
    NO_COLOR = variable(Display, Operator, "NO_COLOR", None,
        "switch colours off when set to anything", "1");
}

/// Writes `.env.sample`.
pub fn env_sample() -> String {
    let mut text = String::from(
        "# Settings of mtlog. Copy this file to .env and fill in what you need; every line is optional.\n\
         # The file is read as data: nothing in it is executed or expanded.\n\
         # A flag beats the environment, the environment beats this file, this file beats what stacks say.\n\
         # `mtlog config show` tells where each value comes from. Written by `mtlog config sample`.\n",
    );
    for section in Section::ALL {
        text.push_str(&format!("\n# {}\n", section.title()));
        for variable in ALL.iter().filter(|variable| variable.section == section) {
            text.push_str(&format!("\n# {}", capitalised(variable.meaning)));
            if let Some(flag) = variable.flag {
                text.push_str(&format!(" (--{flag})"));
            }
            text.push_str(".\n");
            if let Some(default) = variable.default {
                text.push_str(&format!("# Default: {default}\n"));
            }
            text.push_str(&format!("#{}={}\n", variable.name, variable.example));
        }
    }
    // The rest is the engine's own; it knows the meanings.
    for variable in engine_variables() {
        text.push_str(&format!("\n# {}.\n", capitalised(variable.meaning)));
        if !variable.default.is_empty() {
            text.push_str(&format!("# Default: {}\n", variable.default));
        }
        text.push_str(&format!("#{}={}\n", variable.name, variable.default));
    }
    text
}

/// Returns the engine's variables that are not in [`ALL`].
pub fn engine_variables() -> impl Iterator<Item = &'static mtlog_processor::config::Variable> {
    mtlog_processor::config::VARIABLES
        .iter()
        .filter(|theirs| !ALL.iter().any(|ours| ours.names().any(|name| name == theirs.name)))
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::dotenv::DotEnv;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().flat_map(Variable::names).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn examples_obey_the_rules_that_values_do() {
        use crate::deploy::names::{
            Audience, CentralRole, ClusterName, EcrImage, EnvironmentName, Issuer, ProjectName,
        };
        assert!(CENTRAL_ROLE_ARN.example.parse::<CentralRole>().is_ok());
        assert!(IMAGE_URI.example.parse::<EcrImage>().is_ok());
        assert!(PROJECT.example.parse::<ProjectName>().is_ok());
        assert!(ENVIRONMENT.example.parse::<EnvironmentName>().is_ok());
        assert!(CLUSTER_NAME.example.parse::<ClusterName>().is_ok());
        assert!(OIDC_PROVIDER.example.parse::<Issuer>().is_ok());
        assert!(OIDC_AUDIENCE.example.parse::<Audience>().is_ok());
    }

    #[test]
    fn the_sample_can_be_read_back_once_uncommented() {
        let lines: Vec<String> = env_sample()
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), ALL.len() + engine_variables().count());
        let file =
            DotEnv::parse(Path::new(".env"), &lines.join("\n")).expect("a sample that can be read");
        for variable in ALL {
            assert_eq!(
                file.get(variable.name).map(|(value, _)| value),
                Some(variable.example),
                "{}",
                variable.name
            );
        }
    }
}
