//! The flags that say what a delivery is: the same for a new one and for a change.

use clap::Args;

use crate::config::tenant::DeliveryFlags;

/// What a delivery says.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Delivery")]
pub(super) struct DeliveryArgs {
    /// Where to: cloudwatch or s3 [default: cloudwatch]
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,
    /// The customer's role, output CustomerLogDistributionRoleArn of the customer's stack
    #[arg(long, value_name = "ARN")]
    pub(super) role_arn: Option<String>,
    /// The log group in the customer's account; made when it is missing
    #[arg(long, value_name = "NAME")]
    pub(super) log_group: Option<String>,
    /// Retention of a log group that is made, in days; 0: events never expire
    #[arg(long, value_name = "DAYS")]
    pub(super) retention_days: Option<String>,
    /// The customer's bucket
    #[arg(long, value_name = "NAME")]
    pub(super) bucket_name: Option<String>,
    /// Where in the bucket
    #[arg(long, value_name = "PREFIX")]
    pub(super) bucket_prefix: Option<String>,
    /// The region of the log group or bucket
    #[arg(long, value_name = "REGION")]
    pub(super) target_region: Option<String>,
    /// Only this application's logs; may be given several times. A change replaces those named so far
    #[arg(long = "application", short = 'a', value_name = "NAME")]
    pub(super) applications: Vec<String>,
}

impl DeliveryArgs {
    /// Returns the flags for the settings' resolution.
    pub(super) fn flags(&self, tenant: &str) -> DeliveryFlags {
        DeliveryFlags {
            tenant: tenant.to_owned(),
            kind: self.kind.clone(),
            role_arn: self.role_arn.clone(),
            customer_account: None,
            log_group: self.log_group.clone(),
            retention_days: self.retention_days.clone(),
            bucket_name: self.bucket_name.clone(),
            bucket_prefix: self.bucket_prefix.clone(),
            target_region: self.target_region.clone(),
            applications: self.applications.clone(),
            enabled: true,
        }
    }
}
