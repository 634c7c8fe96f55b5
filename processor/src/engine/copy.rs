//! Copies one object into a customer's bucket.
//!
//! The copy happens on the server's side; its key and metadata name tenant,
//! application and pod, and nothing of the cluster that the logs come from.

use crate::{
    engine::{Context, classify::outcome_of, deliver::Delivery, retry::Failure, stop::Stop},
    model::{
        ids::{BucketName, Region},
        key::LogObject,
        notification::ObjectRef,
        outcome::{Outcome, ParkReason, Stage},
        progress::Progress,
    },
    ports::{CopyJob, FaultClass},
};

/// One object for one bucket.
pub(crate) struct CopyWork<'a> {
    pub(crate) object: &'a ObjectRef,
    pub(crate) log: &'a LogObject,
    pub(crate) bucket: &'a BucketName,
    pub(crate) prefix: &'a str,
    pub(crate) region: &'a Region,
}

/// Copies the object. Doing so twice leaves one object.
pub(crate) async fn to_bucket(
    context: &Context,
    work: &CopyWork<'_>,
    progress: Progress,
    stop: &Stop,
) -> Delivery {
    let job = job(work);
    match context.retries(stop).call(|| context.copier.copy(&job)).await {
        Ok(report) => {
            let progress = Progress { etag: report.etag, done: true, ..progress };
            Delivery::new(Outcome::Delivered, progress)
        }
        Err(failure) => {
            let outcome = match &failure {
                Failure::Fault(fault) if fault.class == FaultClass::Missing => Outcome::Gone,
                Failure::Fault(fault) if fault.class == FaultClass::Invalid => Outcome::Parked {
                    reason: ParkReason::DestinationMissing,
                    stage: Stage::Deliver,
                },
                Failure::Fault(_) | Failure::Stopped(_) => outcome_of(&failure, Stage::Deliver),
            };
            Delivery { outcome, ..Delivery::failed(&failure, Stage::Deliver, progress) }
        }
    }
}

fn job(work: &CopyWork<'_>) -> CopyJob {
    let LogObject { tenant, application, pod, file, .. } = work.log;
    CopyJob {
        tenant: tenant.clone(),
        source: work.object.clone(),
        bucket: work.bucket.clone(),
        region: work.region.clone(),
        key: format!("{}{tenant}/{application}/{pod}/{file}", work.prefix),
        metadata: vec![
            ("tenant-id", tenant.to_string()),
            ("application", application.clone()),
            ("pod-name", pod.clone()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_does_not_name_the_cluster() {
        let key = "secret-cluster/acme/api/api-0/f.json.gz";
        let object = ObjectRef::new("central".parse().unwrap(), key.to_owned());
        let log = LogObject::parse(key, &"".parse().unwrap()).unwrap();
        let (bucket, region) = ("acme-logs".parse().unwrap(), "eu-west-1".parse().unwrap());
        let work = CopyWork {
            object: &object,
            log: &log,
            bucket: &bucket,
            prefix: "logs/",
            region: &region,
        };
        let job = job(&work);
        assert_eq!(job.key, "logs/acme/api/api-0/f.json.gz");
        assert!(
            job.metadata
                .iter()
                .all(|(name, value)| !name.contains("cluster") && !value.contains("cluster"))
        );
    }
}
