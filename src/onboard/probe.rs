//! Tries a delivery as the engine would: the double hop, the destination, one event of our own.

use std::time::Duration;

use mtlog_processor::model::{
    arn::RoleArn,
    ids::{BucketName, LogGroupName, Region},
    tenant::{Destination, TenantItem},
};

use super::verify::{
    self, Answer, Check, CheckName, Own, Presented, Verdict, bucket_region, refusal,
};
use crate::{
    aws::{
        fault::{Fault, FaultClass},
        logs::{LogGroup, Logs, Made, Sent},
        s3_sharing::BucketSight,
        session::{Keys, Session},
    },
    deploy::names::CentralRole,
};

/// The stream that test events go to. The customer template lets us read this one, and no other.
pub const PROBE_STREAM: &str = "mtlog-probe";
/// How the sessions of tests are called in the customer's trail.
const SESSION_NAME: &str = "mtlog-verify";
/// How often an event that was taken is looked for. AWS shows it within seconds.
const LOOKS: u32 = 6;
/// The first pause between two looks; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Whether the tests may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// One event or object of our own.
    Probe,
    /// Nothing.
    Nothing,
}

/// Who we are on the way to customers.
#[derive(Debug)]
pub struct Way {
    own: Session,
    central_role: CentralRole,
    central: Result<Session, Fault>,
}

/// What one run of tests is marked with.
#[derive(Debug, Clone)]
pub struct Mark {
    /// An external id that nobody was given.
    pub wrong_external_id: String,
    /// Tells this run's event from all others.
    pub token: String,
    /// The time of the event, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The flags that a further command needs.
    pub flags: String,
}

impl Way {
    /// Takes the first hop: from our own identity to the central role.
    pub async fn open(own: &Session, central_role: &CentralRole, region: &Region) -> Self {
        let keys = own.sts().assume_role(central_role.arn(), SESSION_NAME).await;
        let central = keys.map(|keys| own.acting_as(&keys, region));
        Self { own: own.clone(), central_role: central_role.clone(), central }
    }

    /// Returns why the first hop failed, if it did.
    pub fn into_refused(self) -> Option<Fault> {
        self.central.err()
    }

    /// Takes the second hop with the item's external id. A way that ends before it is a failure, too.
    pub async fn customer(&self, item: &TenantItem, role: &RoleArn) -> Result<Keys, Option<Fault>> {
        let Ok(central) = &self.central else { return Err(None) };
        let id = self.external_id(item);
        central.sts().assume_role_with(role, SESSION_NAME, Some(&id)).await.map_err(Some)
    }

    fn external_id(&self, item: &TenantItem) -> String {
        item.external_id.as_ref().map_or_else(
            || self.central_role.arn().account().to_string(),
            |id| id.reveal().to_string(),
        )
    }

    /// Tries everything about one delivery but the item itself.
    pub async fn try_out(&self, item: &TenantItem, mark: &Mark, writes: Writes) -> Vec<Check> {
        let central = match &self.central {
            Ok(central) => central,
            Err(fault) => return vec![self.no_central_role(fault)],
        };
        let mut checks = vec![Check::new(
            CheckName::CentralRole,
            Verdict::Passed,
            format!("acting as {}", self.central_role),
        )];
        match &item.destination {
            Destination::CloudWatch { role, log_group, retention_days } => {
                let group = Group { name: log_group, retention_days: *retention_days };
                self.log_group(central, item, role, group, mark, writes, &mut checks).await;
            }
            Destination::S3 { bucket, prefix } => {
                let central = central.in_region(&item.target_region);
                self.bucket(&central, item, (bucket, prefix), mark, writes, &mut checks).await;
            }
        }
        checks
    }

    fn no_central_role(&self, fault: &Fault) -> Check {
        let check = Check::new(
            CheckName::CentralRole,
            Verdict::Failed,
            format!("the identity in use cannot act as {}: {fault}", self.central_role),
        );
        if fault.class() == FaultClass::Denied {
            check
                .fix("put the IAM role or user that you work as into parameter OperatorRoleArns of the global stack, and let it call sts:AssumeRole on the central role")
                .next("mtlog deploy global --param OperatorRoleArns=ARN")
        } else {
            check
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one private step of `try_out`")]
    async fn log_group(
        &self,
        central: &Session,
        item: &TenantItem,
        role: &RoleArn,
        group: Group<'_>,
        mark: &Mark,
        writes: Writes,
        checks: &mut Vec<Check>,
    ) {
        let right = self.customer(item, role).await;
        let own_id = item.external_id.is_some();
        let (wrong, none) = (mark.wrong_external_id.as_str(), None);
        let sts = central.sts();
        let attempts = [(Presented::Wrong, Some(wrong)), (Presented::None, none)];
        let right_answer = match &right {
            Ok(_) => Answer::Admitted,
            Err(Some(fault)) => answer(fault),
            Err(None) => Answer::Unclear("there is no session of the central role".to_owned()),
        };
        let mut refusals = Vec::new();
        for (presented, id) in attempts {
            let got = match sts.assume_role_with(role, SESSION_NAME, id).await {
                Ok(_) => Answer::Admitted,
                Err(fault) => answer(&fault),
            };
            let own = if (&right_answer, &got) == (&Answer::Admitted, &Answer::Refused) {
                self.own_side(role, id).await
            } else {
                // It would not be looked at.
                Own::Unknown(String::new())
            };
            refusals.push(refusal(presented, &right_answer, &got, &own));
        }
        let keys = match right {
            Ok(keys) => {
                let whose = if own_id { "the tenant's own" } else { "the central account's id" };
                checks.push(Check::new(
                    CheckName::RightExternalId,
                    Verdict::Passed,
                    format!("{role} admits {whose}"),
                ));
                keys
            }
            Err(fault) => {
                let default_works = own_id
                    && sts
                        .assume_role_with(
                            role,
                            SESSION_NAME,
                            Some(self.central_role.arn().account().as_str()),
                        )
                        .await
                        .is_ok();
                checks.push(not_admitted(item, role, fault.as_ref(), default_works, mark));
                checks.extend(refusals);
                return;
            }
        };
        checks.extend(refusals);
        let logs = central.acting_as(&keys, &item.target_region).logs();
        try_group(&logs, item, group, mark, writes, checks).await;
    }

    async fn own_side(&self, role: &RoleArn, external_id: Option<&str>) -> Own {
        match self.own.iam().may_ask_for(self.central_role.arn(), role, external_id).await {
            Ok(side) => Own::Known(side),
            Err(fault) => Own::Unknown(fault.to_string()),
        }
    }

    async fn bucket(
        &self,
        central: &Session,
        item: &TenantItem,
        (bucket, prefix): (&BucketName, &str),
        mark: &Mark,
        writes: Writes,
        checks: &mut Vec<Check>,
    ) {
        let s3 = central.s3();
        match s3.sight(bucket).await {
            Ok(BucketSight::Exists { region }) => {
                checks.push(bucket_region(item, region.as_deref()))
            }
            Ok(BucketSight::Absent) => {
                checks.push(
                    Check::new(
                        CheckName::Bucket,
                        Verdict::Failed,
                        format!("there is no bucket `{bucket}`"),
                    )
                    .fix("the customer makes it, or the item names another one")
                    .next(format!("mtlog tenant set {} --type s3 --bucket-name NAME", item.tenant)),
                );
                return;
            }
            Err(fault) => {
                checks.push(Check::new(
                    CheckName::Bucket,
                    Verdict::Inconclusive,
                    fault.to_string(),
                ));
            }
        }
        if writes == Writes::Nothing {
            checks.push(Check::new(
                CheckName::Probe,
                Verdict::Skipped,
                "nothing was to be written",
            ));
            return;
        }
        let key = format!("{prefix}{PROBE_STREAM}/{}.json", item.tenant);
        let content = message(item, mark);
        checks.push(match s3.put_probe(bucket, &key, content).await {
            // The central role may read nothing of a customer's, and needs not.
            Ok(()) => Check::new(CheckName::Probe, Verdict::Passed, format!("s3://{bucket}/{key} was written")),
            Err(fault) => {
                let check = Check::new(
                    CheckName::Probe,
                    verdict_of(&fault),
                    format!("s3://{bucket}/{key} cannot be written: {fault}"),
                );
                if fault.class() == FaultClass::Denied {
                    check.fix(format!(
                        "the customer's bucket policy lets {} call s3:PutObject on {bucket}/{prefix}*, and the global stack has EnableS3Delivery=true",
                        self.central_role
                    ))
                } else {
                    check
                }
            }
        });
    }
}

/// The log group that an item names, with the retention that it asks for.
#[derive(Debug, Clone, Copy)]
struct Group<'a> {
    name: &'a LogGroupName,
    retention_days: Option<u16>,
}

/// What a failed attempt to take a role means.
fn answer(fault: &Fault) -> Answer {
    if fault.class() == FaultClass::Denied {
        Answer::Refused
    } else {
        Answer::Unclear(fault.to_string())
    }
}

fn verdict_of(fault: &Fault) -> Verdict {
    if fault.is_passing() { Verdict::Inconclusive } else { Verdict::Failed }
}

fn not_admitted(
    item: &TenantItem,
    role: &RoleArn,
    fault: Option<&Fault>,
    default_works: bool,
    mark: &Mark,
) -> Check {
    let why = fault
        .map_or_else(|| "there is no session of the central role".to_owned(), ToString::to_string);
    let verdict = fault.map_or(Verdict::Skipped, verdict_of);
    let check = Check::new(
        CheckName::RightExternalId,
        verdict,
        format!("{role} does not let us in: {why}"),
    );
    if default_works {
        return check
            .fix("the role was made without the tenant's own ExternalId: it demands the central account's id. The customer updates the stack with the ExternalId, or the item goes back to the account's id")
            .next(format!("mtlog tenant set {} --account-external-id{}", item.tenant, mark.flags));
    }
    check
        .fix("the customer deploys the stack in that account and region, with the central role and the ExternalId of this pipeline")
        .next(format!("mtlog tenant link {}{}", item.tenant, mark.flags))
}

/// Looks at the log group, writes an event of our own, and reads it back.
async fn try_group(
    logs: &Logs,
    item: &TenantItem,
    group: Group<'_>,
    mark: &Mark,
    writes: Writes,
    checks: &mut Vec<Check>,
) {
    let name = group.name;
    let region = &item.target_region;
    let found = match logs.group(name).await {
        Ok(found) => found,
        Err(fault) => {
            let check = Check::new(
                CheckName::LogGroup,
                verdict_of(&fault),
                format!("log groups in {region} cannot be listed: {fault}"),
            );
            checks.push(if fault.class() == FaultClass::Denied {
                check.fix(format!("the customer deploys the stack in {region}: the permissions of a role end at its region"))
            } else {
                check
            });
            None
        }
    };
    if checks.last().is_none_or(|check| check.check != CheckName::LogGroup) {
        let text = match &found {
            Some(_) => format!("{name} exists in {region}"),
            None => {
                format!("{name} does not exist in {region} yet: it is made with the first event")
            }
        };
        checks.push(Check::new(CheckName::LogGroup, Verdict::Passed, text));
    }
    if writes == Writes::Nothing {
        checks.push(Check::new(CheckName::Probe, Verdict::Skipped, "nothing was to be written"));
    } else {
        checks.push(probe(logs, item, group, found.as_ref(), mark).await);
    }
    let now = match (&found, writes) {
        (None, Writes::Probe) => logs.group(name).await.ok().flatten(),
        (known, _) => known.clone(),
    };
    checks.push(match now {
        Some(now) => verify::retention(item, group.retention_days, now.retention_days),
        None => Check::new(CheckName::Retention, Verdict::Skipped, "there is no log group yet"),
    });
}

async fn probe(
    logs: &Logs,
    item: &TenantItem,
    group: Group<'_>,
    found: Option<&LogGroup>,
    mark: &Mark,
) -> Check {
    let name = group.name;
    let check = |verdict, found: String| Check::new(CheckName::Probe, verdict, found);
    let failed = |what: &str, fault: &Fault| {
        let made = check(verdict_of(fault), format!("{what}: {fault}"));
        if fault.class() == FaultClass::Denied {
            made.fix(format!(
                "the customer's stack covers {name} with its parameter LogGroupPrefix, or the item names a log group below it"
            ))
            .next(format!("mtlog tenant link {}{}", item.tenant, mark.flags))
        } else {
            made
        }
    };
    // In the order in which the engine makes them.
    if found.is_none() {
        match logs.create_group(name).await {
            Ok(Made::Before) => {}
            Ok(Made::Now) => {
                if let Some(days) = group.retention_days
                    && let Err(fault) = logs.set_retention(name, days).await
                {
                    return failed("the retention of the new log group cannot be set", &fault);
                }
            }
            Err(fault) => return failed(&format!("log group {name} cannot be made"), &fault),
        }
    }
    if let Err(fault) = logs.create_stream(name, PROBE_STREAM).await {
        return failed(&format!("stream {PROBE_STREAM} cannot be made"), &fault);
    }
    let message = message(item, mark);
    match logs.put(name, PROBE_STREAM, mark.now_ms, &message).await {
        Ok(Sent::Taken) => {}
        Ok(Sent::Rejected(why)) => {
            return check(Verdict::Failed, format!("the event was thrown away: {why}"))
                .fix("set this machine's clock");
        }
        Err(fault) => return failed("an event cannot be written", &fault),
    }
    let mut pause = FIRST_PAUSE;
    for look in 1..=LOOKS {
        match logs.holds(name, PROBE_STREAM, mark.now_ms, &message).await {
            Ok(true) => {
                return check(
                    Verdict::Passed,
                    format!(
                        "one event was written to {name}, stream {PROBE_STREAM}, and read back"
                    ),
                );
            }
            Ok(false) if look < LOOKS => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Ok(false) => {}
            Err(fault) if fault.class() == FaultClass::Denied => {
                return check(
                    Verdict::Warning,
                    format!("one event was taken by {name}, stream {PROBE_STREAM}, but may not be read back"),
                )
                .fix("the customer updates the stack: its template now lets us read the one stream of test events");
            }
            Err(fault) => {
                return check(
                    Verdict::Inconclusive,
                    format!("one event was taken, but cannot be read back: {fault}"),
                );
            }
        }
    }
    check(Verdict::Failed, "one event was taken, but did not come up".to_owned())
        .fix("look whether something deletes events or streams of this log group, and run the same again")
}

fn message(item: &TenantItem, mark: &Mark) -> String {
    serde_json::json!({
        "mtlog": "probe",
        "tenant_id": item.tenant.as_str(),
        "token": mark.token,
        "meaning": "a test of the log delivery; it can be ignored",
    })
    .to_string()
}
