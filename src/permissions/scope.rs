//! What a policy is about: the ARNs of one environment's parts.

/// One environment in one region and account. A `*` stands for what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The partition.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The name of the pipeline.
    pub project: String,
    /// The environment.
    pub environment: String,
}

/// Actions that know no resources, or not the ones of a single stack.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>
const WITHOUT_RESOURCE: [&str; 8] = [
    "cloudformation:DescribeEvents",
    // Listing all stacks asks for all stacks.
    "cloudformation:DescribeStacks",
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:ValidateTemplate",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "lambda:ListEventSourceMappings",
    "ecr:GetAuthorizationToken",
];

/// Actions of S3 on objects; the others are on buckets.
const ON_OBJECTS: [&str; 4] =
    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];

impl Scope {
    /// Returns the resources that an action is about.
    pub(super) fn resources(&self, action: &str) -> Vec<String> {
        if WITHOUT_RESOURCE.contains(&action) {
            return vec!["*".to_owned()];
        }
        let Self { partition, region, account, project, environment } = self;
        let regional = |service: &str, rest: &str| {
            format!("arn:{partition}:{service}:{region}:{account}:{rest}")
        };
        let start = format!("{project}-{environment}");
        match action.split(':').next().unwrap_or_default() {
            "cloudformation" => vec![regional("cloudformation", &format!("stack/{project}-*/*"))],
            "s3" => {
                let end = if ON_OBJECTS.contains(&action) { "/*" } else { "" };
                vec![
                    format!("arn:{partition}:s3:::{start}-central-*{end}"),
                    format!("arn:{partition}:s3:::mtlog-templates-{account}-{region}{end}"),
                ]
            }
            "sqs" => vec![regional("sqs", &format!("{start}-log-delivery-*"))],
            "dynamodb" => vec![regional("dynamodb", &format!("table/{start}-*"))],
            "logs" => vec![regional("logs", &format!("log-group:/aws/lambda/{start}-*"))],
            "lambda" => vec![regional("lambda", &format!("function:{start}-*"))],
            "iam" if action == "iam:GetOpenIDConnectProvider" => {
                vec![format!("arn:{partition}:iam::{account}:oidc-provider/*")]
            }
            "iam" => ["ROSA-CentralLogDistributionRole-*", "CustomerLogDistribution-*"]
                .into_iter()
                .map(str::to_owned)
                .chain([format!("{project}-*"), format!("{project}/*")])
                .map(|role| format!("arn:{partition}:iam::{account}:role/{role}"))
                .collect(),
            _ => vec!["*".to_owned()],
        }
    }

    /// Returns the keys that parts may be encrypted with: their ids are known only to the stacks.
    pub(super) fn keys(&self) -> Vec<String> {
        let Self { partition, region, account, .. } = self;
        vec![format!("arn:{partition}:kms:{region}:{account}:key/*")]
    }

    /// Returns the name by which a key knows a service that asks on somebody's behalf.
    pub(super) fn via(&self, service: &str) -> String {
        let suffix = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{service}.{}.{suffix}", self.region)
    }
}
