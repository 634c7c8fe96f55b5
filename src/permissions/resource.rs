//! What calls are about, and how policies name it.
//!
//! Which actions know which resources is said by
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>.

use mtlog_processor::model::arn::Partition;
use serde::{Deserialize, Serialize};

/// What a call is about, as far as it is known before the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// The action knows no resources, or asks about all of them.
    Anything,
    /// A stack of the environment, the global one, or a customer's.
    Stack,
    /// A change set of such a stack.
    ChangeSet,
    /// The bucket of templates, or a template.
    Templates,
    /// The bucket of log objects, or an object.
    LogObjects,
    /// The queue that the engine reads.
    Queue,
    /// The dead-letter queue.
    DeadLetters,
    /// The topic between bucket and queue.
    Topic,
    /// The tenant table.
    Tenants,
    /// The tenant table of the replaced script, with one key.
    FormerTenants,
    /// The function.
    Function,
    /// The function's own log.
    FunctionLog,
    /// Where heartbeats arrive.
    HeartbeatLog,
    /// The log groups of a customer.
    CustomerLogs,
    /// Alarms.
    Alarm,
    /// The role that customers trust.
    CentralRole,
    /// A role of the environment.
    PipelineRole,
    /// The role in a customer's account.
    CustomerRole,
    /// The identity provider of a cluster.
    IdentityProvider,
    /// The repository of an image.
    Repository,
}

/// One environment in some regions of an account. A `*` stands for what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The regions; one `*` for all.
    pub regions: Vec<String>,
    /// The partition of the regions.
    pub partition: Partition,
    /// The account.
    pub account: String,
    /// The name of the pipeline.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The repository of images.
    pub repository: String,
}

/// Actions of S3 on objects; the others are on buckets.
const ON_OBJECTS: [&str; 4] =
    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];

/// Whether the action is about an object, not about its bucket.
pub(super) fn is_on_object(action: &str) -> bool {
    ON_OBJECTS.contains(&action)
}

impl Resource {
    /// Returns the name for a statement's id, which takes letters and digits.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Anything => "Anything",
            Self::Stack => "Stacks",
            Self::ChangeSet => "ChangeSets",
            Self::Templates => "Templates",
            Self::LogObjects => "Logs",
            Self::Queue => "Queue",
            Self::DeadLetters => "DeadLetters",
            Self::Topic => "Topic",
            Self::Tenants => "Tenants",
            Self::FormerTenants => "FormerTenants",
            Self::Function => "Function",
            Self::FunctionLog => "FunctionLog",
            Self::HeartbeatLog => "HeartbeatLog",
            Self::CustomerLogs => "CustomerLogs",
            Self::Alarm => "Alarms",
            Self::CentralRole => "CentralRole",
            Self::PipelineRole => "PipelineRoles",
            Self::CustomerRole => "CustomerRoles",
            Self::IdentityProvider => "IdentityProviders",
            Self::Repository => "Repository",
        }
    }

    /// Returns the ARNs that a policy names it by.
    pub(super) fn arns(self, action: &str, scope: &Scope) -> Vec<String> {
        let Scope { regions, partition, account, project, environment, repository } = scope;
        let start = format!("{project}-{environment}");
        let regional = |service: &str, rests: &[String]| -> Vec<String> {
            regions
                .iter()
                .flat_map(|region| {
                    rests.iter().map(move |rest| {
                        format!("arn:{partition}:{service}:{region}:{account}:{rest}")
                    })
                })
                .collect()
        };
        let iam = |kind: &str, names: Vec<String>| -> Vec<String> {
            names
                .iter()
                .map(|name| format!("arn:{partition}:iam::{account}:{kind}/{name}"))
                .collect()
        };
        let bucket = |name: String| {
            let end = if is_on_object(action) { "/*" } else { "" };
            format!("arn:{partition}:s3:::{name}{end}")
        };
        let each_region = |name: &dyn Fn(&str) -> String| -> Vec<String> {
            regions.iter().map(|region| name(region)).collect()
        };
        match self {
            Self::Anything => vec!["*".to_owned()],
            // After the name stands an id; nested stacks begin with their parent's name. The global stack may be in a
            // region of its own.
            Self::Stack => {
                let names = [
                    format!("stack/{start}/*"),
                    format!("stack/{start}-*/*"),
                    format!("stack/{project}-cluster-*/*"),
                    format!("stack/{project}-customer-*/*"),
                ];
                let mut arns = regional("cloudformation", &names);
                arns.push(format!(
                    "arn:{partition}:cloudformation:*:{account}:stack/{project}-global/*"
                ));
                arns
            }
            // A change set's name does not tell its stack.
            Self::ChangeSet => regional("cloudformation", &["changeSet/mtlog-*/*".to_owned()]),
            Self::Templates => {
                each_region(&|region| bucket(format!("mtlog-templates-{account}-{region}")))
            }
            // The name ends in a suffix of the stack.
            Self::LogObjects => vec![bucket(format!("{start}-central-*"))],
            Self::Queue => regional("sqs", &[format!("{start}-log-delivery-queue")]),
            Self::DeadLetters => regional("sqs", &[format!("{start}-log-delivery-dlq")]),
            Self::Topic => regional("sns", &[format!("{start}-*")]),
            Self::Tenants => regional("dynamodb", &[format!("table/{start}-tenant-deliveries")]),
            Self::FormerTenants => regional("dynamodb", &[format!("table/{start}-tenant-configs")]),
            Self::Function => regional("lambda", &[format!("function:{start}-log-distributor")]),
            Self::FunctionLog => {
                regional("logs", &[format!("log-group:/aws/lambda/{start}-log-distributor:*")])
            }
            // The tenant decides about the group; the stream says that it is a heartbeat's.
            Self::HeartbeatLog => {
                regional("logs", &["log-group:*:log-stream:mtlog-heartbeat-*".to_owned()])
            }
            // The prefix of a customer's log groups is a parameter of the customer's stack.
            Self::CustomerLogs => regional("logs", &["log-group:*".to_owned()]),
            // Only who may see all alarms is told of composite ones
            // (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>).
            Self::Alarm => regional("cloudwatch", &["alarm:*".to_owned()]),
            Self::CentralRole => iam("role", vec!["ROSA-CentralLogDistributionRole-*".to_owned()]),
            // Those of the regional stack by their names, those of clusters by their path.
            Self::PipelineRole => iam(
                "role",
                regions
                    .iter()
                    .flat_map(|region| {
                        [
                            format!("{start}-{region}-*"),
                            format!("{project}/{environment}/{region}/*"),
                        ]
                    })
                    .collect(),
            ),
            // A customer may want a path.
            Self::CustomerRole => iam(
                "role",
                regions
                    .iter()
                    .flat_map(|region| {
                        [
                            format!("CustomerLogDistribution-{region}"),
                            format!("*/CustomerLogDistribution-{region}"),
                        ]
                    })
                    .collect(),
            ),
            Self::IdentityProvider => iam("oidc-provider", vec!["*".to_owned()]),
            Self::Repository => regional("ecr", &[format!("repository/{repository}")]),
        }
    }
}

impl Scope {
    /// Returns the keys that parts may be encrypted with: their ids are known only to the stacks.
    pub(super) fn keys(&self) -> Vec<String> {
        let Self { partition, regions, account, .. } = self;
        regions
            .iter()
            .map(|region| format!("arn:{partition}:kms:{region}:{account}:key/*"))
            .collect()
    }

    /// Returns the names by which keys know a service that asks on somebody's behalf.
    pub(super) fn via(&self, service: &str) -> Vec<String> {
        let suffix = self.partition.dns_suffix();
        self.regions.iter().map(|region| format!("{service}.{region}.{suffix}")).collect()
    }
}
