//! What a new delivery must obey beyond the form of each value: the rules of those who will read it.

use mtlog_processor::model::{
    arn::Partition,
    tenant::{Destination, TenantItem},
};

/// The only role names that the central role may assume (templates/global).
pub const ROLE_NAME_PREFIX: &str = "CustomerLogDistribution-";
/// The log groups that the customer template's role covers unless its parameter says otherwise (templates/customer).
pub const LOG_GROUP_PREFIX: &str = "/ROSA/cluster-logs/";

/// The regions that AWS had when this was written
/// (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>). A new one is no mistake, but a
/// region of the right form that does not exist is.
pub const KNOWN_REGIONS: [&str; 38] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// What is wrong with an item although each value has the right form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The attribute.
    pub attribute: &'static str,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// Returns what makes the delivery impossible.
pub fn errors(item: &TenantItem) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Destination::CloudWatch { role, .. } = &item.destination {
        let attribute = "log_distribution_role_arn";
        if !role.name().starts_with(ROLE_NAME_PREFIX) {
            let text = format!(
                "role `{}` cannot be assumed: the central role may only assume roles called {ROLE_NAME_PREFIX}*",
                role.name()
            );
            findings.push(Finding { attribute, text });
        }
        let partition = Partition::of(&item.target_region);
        if role.partition() != partition {
            let text = format!(
                "the role is in partition {} but region {} is in {partition}",
                role.partition(),
                item.target_region
            );
            findings.push(Finding { attribute, text });
        }
    }
    findings
}

/// Returns what is probably a mistake, but may be meant.
pub fn warnings(item: &TenantItem) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !KNOWN_REGIONS.contains(&item.target_region.as_str()) {
        let text = format!("region `{}` is not one that mtlog knows", item.target_region);
        findings.push(Finding { attribute: "target_region", text });
    }
    if let Destination::CloudWatch { role, log_group, .. } = &item.destination {
        if !log_group.as_str().starts_with(LOG_GROUP_PREFIX) {
            let text = format!(
                "log group `{log_group}` is outside {LOG_GROUP_PREFIX}, which is all that the customer's role covers \
                 unless its stack was given another prefix"
            );
            findings.push(Finding { attribute: "log_group_name", text });
        }
        // A role made by the customer template ends in its region.
        let made_for = role.name().strip_prefix(ROLE_NAME_PREFIX).unwrap_or_default();
        if is_another_region(made_for, item.target_region.as_str()) {
            let text = format!(
                "role `{}` was made for region {made_for}; its permissions end there, and the target region is {}",
                role.name(),
                item.target_region
            );
            findings.push(Finding { attribute: "target_region", text });
        }
    }
    findings
}

fn is_another_region(name: &str, target: &str) -> bool {
    name != target && name.parse::<mtlog_processor::model::ids::Region>().is_ok()
}

#[cfg(test)]
mod tests {
    use mtlog_processor::model::tenant::DesiredLogs;

    use super::*;

    fn item(role: &str, log_group: &str, region: &str) -> TenantItem {
        TenantItem {
            tenant: "acme".parse().unwrap(),
            destination: Destination::CloudWatch {
                role: role.parse().unwrap(),
                log_group: log_group.parse().unwrap(),
                retention_days: None,
            },
            enabled: true,
            target_region: region.parse().unwrap(),
            desired_logs: DesiredLogs::default(),
            external_id: None,
            status: None,
            created_at: None,
            updated_at: None,
            ttl: None,
        }
    }

    const GOOD_ROLE: &str = "arn:aws:iam::222222222222:role/team/CustomerLogDistribution-us-east-2";
    const GOOD_GROUP: &str = "/ROSA/cluster-logs/acme";

    #[test]
    fn a_usual_item_has_no_findings() {
        let item = item(GOOD_ROLE, GOOD_GROUP, "us-east-2");
        assert_eq!((errors(&item), warnings(&item)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_role_that_cannot_be_assumed_is_an_error() {
        let wrong_name = item("arn:aws:iam::222222222222:role/LogRole", GOOD_GROUP, "us-east-2");
        assert!(errors(&wrong_name)[0].text.contains("`LogRole`"));
        let wrong_partition = item(GOOD_ROLE, GOOD_GROUP, "us-gov-west-1");
        assert!(errors(&wrong_partition)[0].text.contains("aws-us-gov"));
    }

    #[test]
    fn a_probable_mistake_is_a_warning() {
        let other_group = item(GOOD_ROLE, "/my/logs", "us-east-2");
        assert_eq!(warnings(&other_group)[0].attribute, "log_group_name");
        let other_region = item(GOOD_ROLE, GOOD_GROUP, "us-west-2");
        assert_eq!(warnings(&other_region)[0].attribute, "target_region");
        let own_name = "arn:aws:iam::222222222222:role/CustomerLogDistribution-blue";
        assert_eq!(warnings(&item(own_name, GOOD_GROUP, "us-west-2")), Vec::new());
        let no_region = warnings(&item(own_name, GOOD_GROUP, "us-east-9"));
        assert!(no_region[0].text.contains("`us-east-9`"), "{no_region:?}");
    }
}
