//! What a replay would deliver.

use jiff::Timestamp;
use mtlog_processor::model::ids::BucketName;

use crate::{
    aws::{fault::Fault, s3::S3},
    commands::target::Opened,
    deploy::{stack::Presence, target::Target},
    error::CliError,
    replay::{self, Choice, Estimate},
};

/// The parameter of the regional stack that says when objects are deleted.
const LIFECYCLE: &str = "S3DeleteAfterDays";

/// What is listed, and what is in it.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) prefixes: Vec<String>,
    pub(super) estimate: Estimate,
}

/// Counts the objects behind `after`.
pub(super) async fn survey(
    s3: &S3,
    bucket: &BucketName,
    choice: &Choice,
    cluster: Option<&str>,
    after: Option<&str>,
    now: Timestamp,
) -> Result<Survey, CliError> {
    let failed =
        |fault: Fault| CliError::aws(format!("failed to list the bucket `{bucket}`"), fault);
    let clusters = match cluster {
        Some(cluster) => vec![cluster.to_owned()],
        None => s3.names_below(bucket, choice.prefix.as_str()).await.map_err(failed)?,
    };
    let prefixes = replay::prefixes(&choice.prefix, &clusters, &choice.tenants);
    let mut estimate = Estimate::default();
    for prefix in &prefixes {
        let mut add = |listed: crate::aws::objects::Listed| {
            if after.is_some_and(|after| listed.key.as_str() <= after) {
                return;
            }
            if let Some(owner) = choice.admits(&listed.key, listed.written) {
                estimate.add(&owner, listed.bytes, listed.written, now);
            }
        };
        let calls = s3.each_object(bucket, prefix, &mut add).await.map_err(failed)?;
        // Once for the estimate and once for the work.
        estimate.calls.list_objects += 2 * calls;
    }
    Ok(Survey { prefixes, estimate })
}

/// Returns after how many days the bucket deletes objects, if a stack says so.
pub(super) async fn expire_after_days(opened: &Opened) -> Result<Option<u32>, CliError> {
    let client = opened.session.cloudformation();
    Ok(match opened.stack(&client, Target::Regional).await?.1 {
        Presence::Present(stack) => {
            stack.parameters.get(LIFECYCLE).and_then(|days| days.parse().ok())
        }
        Presence::Absent => None,
    })
}
