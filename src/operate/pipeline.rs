//! The parts of one environment in one region, by name.

use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, Region},
};

use crate::deploy::stack::Stack;

/// What the parts of a pipeline are called. A part that is not deployed has no name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pipeline {
    /// The central bucket.
    pub bucket: Option<String>,
    /// The tenant table.
    pub table: Option<String>,
    /// The topic that announces new objects.
    pub topic_arn: Option<String>,
    /// The queue of new objects.
    pub queue: Option<Queue>,
    /// The dead-letter queue.
    pub dead_letters: Option<Queue>,
    /// The processor function.
    pub function: Option<String>,
    /// The text before each key.
    pub key_prefix: String,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The name, as metrics know it.
    pub name: String,
    /// The URL, as calls need it.
    pub url: String,
}

impl Queue {
    fn at(url: &str) -> Self {
        let name = url.rsplit('/').next().unwrap_or_default();
        Self { name: name.to_owned(), url: url.to_owned() }
    }
}

impl Pipeline {
    /// Reads the names from what the regional stack tells.
    pub fn of_stack(stack: &Stack) -> Self {
        let output =
            |name: &str| stack.outputs.get(name).filter(|value| !value.is_empty()).cloned();
        let queue = |name: &str| output(name).map(|url| Queue::at(&url));
        Self {
            bucket: output("CentralLoggingBucketName"),
            table: output("TenantConfigTableName"),
            topic_arn: output("LogDeliveryTopicArn"),
            queue: queue("LogDeliveryQueueUrl"),
            dead_letters: queue("LogDeliveryDLQUrl"),
            function: output("LogDistributorFunctionName"),
            key_prefix: output("S3KeyPrefix").unwrap_or_default(),
        }
    }

    /// Makes the names up as the templates do, for when the stacks cannot be read. The bucket's cannot be known.
    pub fn by_convention(start: &str, account: &AccountId, region: &Region) -> Self {
        let suffix = Partition::of(region).dns_suffix();
        let queue = |part: &str| {
            Queue::at(&format!(
                "https://sqs.{region}.{suffix}/{account}/{start}-log-delivery-{part}"
            ))
        };
        Self {
            table: Some(format!("{start}-tenant-deliveries")),
            queue: Some(queue("queue")),
            dead_letters: Some(queue("dlq")),
            function: Some(format!("{start}-log-distributor")),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{catalogue::TemplateId, document::Document};

    #[test]
    fn names_follow_the_templates() {
        let made = Pipeline::by_convention(
            "demo-staging",
            &"111122223333".parse().unwrap(),
            &"us-east-2".parse().unwrap(),
        );
        let text: String =
            TemplateId::Regional.children().iter().map(|child| child.template.text()).collect();
        let stands = |name: &str| {
            let in_template = name.replace("demo-staging", "${ProjectName}-${Environment}");
            assert!(text.contains(&in_template), "{in_template}");
        };
        stands(made.table.as_deref().unwrap());
        stands(&made.queue.as_ref().unwrap().name);
        stands(&made.dead_letters.as_ref().unwrap().name);
        stands(made.function.as_deref().unwrap());
    }

    #[test]
    fn every_output_that_is_used_exists_in_the_template() {
        let document = Document::parse(TemplateId::Regional.text()).unwrap();
        for output in [
            "CentralLoggingBucketName",
            "TenantConfigTableName",
            "LogDeliveryTopicArn",
            "LogDeliveryQueueUrl",
            "LogDeliveryDLQUrl",
            "LogDistributorFunctionName",
            "S3KeyPrefix",
        ] {
            assert!(document.section("Outputs").contains_key(output), "{output}");
        }
    }
}
