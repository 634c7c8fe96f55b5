//! Drift: what in the account is no longer as its stack made it.

use std::time::Duration;

use aws_sdk_cloudformation::types::{
    StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus,
};
use tokio::time::{Instant, sleep};

use super::{cloudformation::CloudFormation, fault::Fault};
use crate::deploy::drift::{Drifted, DriftedProperty};

const SERVICE: &str = "cloudformation";
/// How long CloudFormation may compare one stack; it looks at every resource.
const LIMIT: Duration = Duration::from_secs(10 * 60);

impl CloudFormation {
    /// Compares what a stack made with what is there, without the stacks nested in it. Changes nothing.
    ///
    /// # Errors
    /// A failed call, and a comparison that fails or does not end.
    pub async fn drift(&self, stack: &str) -> Result<Vec<Drifted>, Fault> {
        const DETECT: &str = "DetectStackDrift";
        let sent = self.sdk().detect_stack_drift().stack_name(stack).send().await;
        let answer = sent.map_err(|error| Fault::new(SERVICE, DETECT, error))?;
        let id = answer
            .stack_drift_detection_id
            .ok_or_else(|| Fault::unreadable(SERVICE, DETECT, "the answer holds no id"))?;
        self.detected(&id).await?;
        const DESCRIBE: &str = "DescribeStackResourceDrifts";
        let mut drifted = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .sdk()
                .describe_stack_resource_drifts()
                .stack_name(stack)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, DESCRIBE, error))?;
            drifted.extend(answer.stack_resource_drifts.unwrap_or_default().into_iter().map(read));
            match answer.next_token {
                Some(next) if !next.is_empty() => token = Some(next),
                _ => return Ok(drifted),
            }
        }
    }

    /// Waits for the end of a comparison.
    async fn detected(&self, id: &str) -> Result<(), Fault> {
        const OPERATION: &str = "DescribeStackDriftDetectionStatus";
        let began = Instant::now();
        let mut pause = Duration::from_millis(500);
        while began.elapsed() < LIMIT {
            let sent = self
                .sdk()
                .describe_stack_drift_detection_status()
                .stack_drift_detection_id(id)
                .send()
                .await;
            match sent.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
                Ok(answer) => match answer.detection_status {
                    Some(StackDriftDetectionStatus::DetectionComplete) => return Ok(()),
                    Some(StackDriftDetectionStatus::DetectionFailed) => {
                        let reason = answer.detection_status_reason.unwrap_or_default();
                        return Err(Fault::unreadable(SERVICE, OPERATION, reason));
                    }
                    _ => {}
                },
                Err(fault) if fault.is_passing() => {}
                Err(fault) => return Err(fault),
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(5));
        }
        Err(Fault::unreadable(SERVICE, OPERATION, "the comparison did not end in 10 minutes"))
    }
}

fn read(drift: StackResourceDrift) -> Drifted {
    let deleted = drift.stack_resource_drift_status == Some(StackResourceDriftStatus::Deleted);
    let properties = drift
        .property_differences
        .unwrap_or_default()
        .into_iter()
        .map(|difference| DriftedProperty {
            path: difference
                .property_path
                .unwrap_or_default()
                .trim_start_matches('/')
                .replace('/', "."),
            expected: difference.expected_value.filter(|value| value != "null"),
            actual: difference.actual_value.filter(|value| value != "null"),
        })
        .collect();
    Drifted {
        path: drift.logical_resource_id.unwrap_or_default(),
        resource_type: drift.resource_type.unwrap_or_default(),
        physical_id: drift.physical_resource_id.unwrap_or_default(),
        deleted,
        properties,
    }
}
