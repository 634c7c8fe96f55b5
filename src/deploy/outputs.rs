//! What deployed stacks tell: which outputs mean which settings.

use std::collections::BTreeMap;

use mtlog_processor::model::ids::AccountId;

/// The settings of the engine and of this program that stack outputs give, by the names of their variables.
const VARIABLES: [(&str, &str); 6] = [
    ("CentralLogDistributionRoleArn", "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN"),
    ("TenantConfigTableName", "TENANT_CONFIG_TABLE"),
    ("LogDeliveryQueueUrl", "SQS_QUEUE_URL"),
    ("S3KeyPrefix", "S3_KEY_PREFIX"),
    ("CentralLoggingBucketName", "SOURCE_BUCKET"),
    ("Region", "AWS_REGION"),
];

/// Returns the environment variables that the outputs give.
pub fn variables(outputs: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    VARIABLES
        .iter()
        .filter_map(|(output, variable)| {
            Some(((*variable).to_owned(), outputs.get(*output)?.clone()))
        })
        .collect()
}

/// Returns a value as it may be shown: an external id of a tenant's own is as good as a password, while the central
/// account's id, which stands in for one, is not.
pub fn shown(name: &str, value: &str) -> String {
    let secret = name == "ExternalId" && !value.is_empty() && value.parse::<AccountId>().is_err();
    if secret { "***".to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{catalogue::TemplateId, document::Document};

    #[test]
    fn only_an_external_id_of_its_own_is_hidden() {
        for (name, value, expected) in [
            ("ExternalId", "hunter2-hunter2", "***"),
            ("ExternalId", "111111111111", "111111111111"),
            ("ExternalId", "", ""),
            ("Region", "us-east-2", "us-east-2"),
        ] {
            assert_eq!(shown(name, value), expected);
        }
    }

    #[test]
    fn every_output_that_is_used_exists_in_a_template() {
        let documents =
            [TemplateId::Global, TemplateId::Regional].map(|t| Document::parse(t.text()).unwrap());
        for (output, _) in VARIABLES {
            assert!(
                documents.iter().any(|document| document.section("Outputs").contains_key(output)),
                "{output}"
            );
        }
    }
}
