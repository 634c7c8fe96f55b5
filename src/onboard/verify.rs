//! What the tests of a delivery mean: one line each, with a reason and a fix for what failed. Pure.

use std::str::FromStr;

use mtlog_processor::model::{ids::Region, tenant::TenantItem};
use serde::Serialize;
use thiserror::Error;

use super::rules;
use crate::aws::iam::OwnSide;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Passed,
    /// It could not be tried, because of something above it.
    Skipped,
    /// It works, but somebody should look at it.
    Warning,
    /// It was tried, and shows nothing either way.
    Inconclusive,
    /// It is not as it should be.
    Failed,
}

/// Which check. The names are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// The item itself.
    Item,
    /// We can act as the central role.
    CentralRole,
    /// The customer's role lets us in with the right external id.
    RightExternalId,
    /// It refuses a wrong one.
    WrongExternalId,
    /// It refuses none.
    NoExternalId,
    /// The log group can be reached in the item's region.
    LogGroup,
    /// The bucket is in the item's region.
    Bucket,
    /// An event or object was written, and read back where that is allowed.
    Probe,
    /// How long the log group keeps events.
    Retention,
    /// Whether log objects of the tenant arrive.
    Logs,
    /// The customer's stack.
    Stack,
    /// Whom the customer's role lets in.
    Trust,
}

impl CheckName {
    /// Every check.
    pub const ALL: [Self; 12] = [
        Self::Item,
        Self::CentralRole,
        Self::RightExternalId,
        Self::WrongExternalId,
        Self::NoExternalId,
        Self::LogGroup,
        Self::Bucket,
        Self::Probe,
        Self::Retention,
        Self::Logs,
        Self::Stack,
        Self::Trust,
    ];

    /// Returns the name as programs see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::CentralRole => "central-role",
            Self::RightExternalId => "right-external-id",
            Self::WrongExternalId => "wrong-external-id",
            Self::NoExternalId => "no-external-id",
            Self::LogGroup => "log-group",
            Self::Bucket => "bucket",
            Self::Probe => "probe",
            Self::Retention => "retention",
            Self::Logs => "logs",
            Self::Stack => "stack",
            Self::Trust => "trust",
        }
    }

    /// Returns what people read.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::CentralRole => "central role",
            Self::RightExternalId => "right ExternalId",
            Self::WrongExternalId => "wrong ExternalId",
            Self::NoExternalId => "no ExternalId",
            Self::LogGroup => "log group",
            Self::Bucket => "bucket",
            Self::Probe => "probe",
            Self::Retention => "retention",
            Self::Logs => "logs in S3",
            Self::Stack => "stack",
            Self::Trust => "trust",
        }
    }
}

impl FromStr for CheckName {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        let found = Self::ALL.into_iter().find(|check| check.as_str() == text);
        found.ok_or_else(|| UnknownCheck { text: text.to_owned() })
    }
}

/// A name that no check has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no check: it is one of {}", CheckName::ALL.map(CheckName::as_str).join(", "))]
pub struct UnknownCheck {
    text: String,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub check: CheckName,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen, a sentence without its full stop.
    pub found: String,
    /// What mends it, a sentence without its full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// A command that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Check {
    /// Makes the outcome of a check that needs no advice.
    pub fn new(check: CheckName, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), fix: None, next: None }
    }

    /// Adds what mends it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Adds a command that helps.
    #[must_use]
    pub fn next(self, command: impl Into<String>) -> Self {
        Self { next: Some(command.into()), ..self }
    }
}

/// Makes warnings of the failures that somebody has accepted by name.
pub fn accept(checks: Vec<Check>, accepted: &[CheckName]) -> Vec<Check> {
    let accept = |check: Check| {
        if check.verdict == Verdict::Failed && accepted.contains(&check.check) {
            let found = format!("accepted: {}", check.found);
            Check { verdict: Verdict::Warning, found, ..check }
        } else {
            check
        }
    };
    checks.into_iter().map(accept).collect()
}

/// Returns the gravest verdict.
pub fn gravest(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Passed)
}

/// What was presented to the customer's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// An external id that nobody was given.
    Wrong,
    /// No external id.
    None,
}

/// How the customer's side answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It gave a session.
    Admitted,
    /// It refused.
    Refused,
    /// There was no answer to the question; why.
    Unclear(String),
}

/// What is known of our own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// IAM told.
    Known(OwnSide),
    /// IAM could not be asked; why.
    Unknown(String),
}

/// Judges an attempt that the customer's trust policy must refuse.
///
/// A refusal counts only if it comes from there: a policy of our own that demands the right external id refuses every
/// other one before the customer's side is asked, and hides a trust policy without the condition.
pub fn refusal(presented: Presented, right: &Answer, got: &Answer, own: &Own) -> Check {
    let (check, what) = match presented {
        Presented::Wrong => (CheckName::WrongExternalId, "a wrong ExternalId"),
        Presented::None => (CheckName::NoExternalId, "a request without ExternalId"),
    };
    match (got, right, own) {
        (Answer::Admitted, ..) => Check::new(
            check,
            Verdict::Failed,
            format!("the customer's role admits {what}: its trust policy does not ask for the right one"),
        )
        .fix("the customer updates the stack, whose trust policy has the condition; until then whoever names this role's ARN to the service can have logs written into the customer's account"),
        (Answer::Unclear(why), ..) => Check::new(check, Verdict::Inconclusive, why.clone()),
        (Answer::Refused, Answer::Refused | Answer::Unclear(_), _) => Check::new(
            check,
            Verdict::Skipped,
            "refused, but the right one is not admitted either: that shows nothing",
        ),
        (Answer::Refused, Answer::Admitted, Own::Known(OwnSide::Allows)) => {
            Check::new(check, Verdict::Passed, format!("{what} is refused by the customer's role"))
        }
        (Answer::Refused, Answer::Admitted, Own::Known(OwnSide::Refuses)) => Check::new(
            check,
            Verdict::Inconclusive,
            format!("vacuous: the central role's own policy refuses {what}, so the customer's trust policy was never asked"),
        )
        .fix("take the ExternalId condition out of the central role's policy: it protects nobody there, because the caller chooses the value")
        .next("mtlog deploy global --dry-run"),
        (Answer::Refused, Answer::Admitted, Own::Unknown(why)) => Check::new(
            check,
            Verdict::Inconclusive,
            format!("{what} is refused, but by which side is not known: {why}"),
        )
        .fix("let the identity in use call iam:SimulatePrincipalPolicy on the central role"),
    }
}

/// Judges the item itself.
pub fn item(item: &TenantItem, notes: &[String], now_seconds: i64) -> Check {
    let tenant = &item.tenant;
    let kind = item.destination.kind();
    let show = format!("mtlog tenant show {tenant}");
    let errors: Vec<String> = rules::errors(item).into_iter().map(|finding| finding.text).collect();
    if !errors.is_empty() {
        return Check::new(CheckName::Item, Verdict::Failed, errors.join("; "))
            .fix(format!("change it with mtlog tenant set {tenant} --type {kind}"))
            .next(show);
    }
    let mut warnings: Vec<String> =
        rules::warnings(item).into_iter().map(|finding| finding.text).collect();
    warnings.extend(notes.iter().cloned());
    if let Some(ttl) = item.ttl
        && i64::try_from(ttl).is_ok_and(|ttl| ttl <= now_seconds)
    {
        warnings
            .push("attribute `ttl` lies in the past: DynamoDB deletes the item soon".to_owned());
    }
    if !warnings.is_empty() {
        return Check::new(CheckName::Item, Verdict::Warning, warnings.join("; ")).next(show);
    }
    Check::new(CheckName::Item, Verdict::Passed, "the engine can use it")
}

/// Judges how long a log group keeps events.
pub fn retention(item: &TenantItem, wanted: Option<u16>, has: Option<u16>) -> Check {
    let check = CheckName::Retention;
    match (wanted, has) {
        (None, None) => {
            Check::new(check, Verdict::Passed, "events never expire; nothing else is asked for")
        }
        (None, Some(days)) => {
            Check::new(check, Verdict::Passed, format!("{days} days, as the customer set it"))
        }
        (Some(wanted), Some(days)) if wanted == days => {
            Check::new(check, Verdict::Passed, format!("{days} days"))
        }
        (Some(wanted), has) => {
            let has = has.map_or_else(
                || "never expire".to_owned(),
                |days| format!("expire after {days} days"),
            );
            Check::new(
                check,
                Verdict::Warning,
                format!("events {has}, the item says {wanted} days: the engine sets it only for a log group that it makes"),
            )
            .fix("the customer changes the log group, or the item is changed")
            .next(format!("mtlog tenant set {} --retention-days DAYS", item.tenant))
        }
    }
}

/// Judges where a bucket is.
pub fn bucket_region(item: &TenantItem, found: Option<&str>) -> Check {
    let check = CheckName::Bucket;
    match found {
        Some(region) if region == item.target_region.as_str() => {
            Check::new(check, Verdict::Passed, format!("it is in {region}"))
        }
        Some(region) => Check::new(
            check,
            Verdict::Failed,
            format!("it is in {region}, the item says {}", item.target_region),
        )
        .fix("change the item's region")
        .next(match region.parse::<Region>() {
            Ok(region) => {
                format!("mtlog tenant set {} --type s3 --target-region {region}", item.tenant)
            }
            Err(_) => format!("mtlog tenant show {}", item.tenant),
        }),
        None => Check::new(check, Verdict::Inconclusive, "it exists; its region was not told"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_only_if_it_comes_from_the_customers_side() {
        use Answer::{Admitted, Refused};
        let unclear = || Answer::Unclear("throttled".to_owned());
        let allows = Own::Known(OwnSide::Allows);
        let refuses = Own::Known(OwnSide::Refuses);
        let unknown = Own::Unknown("denied".to_owned());
        for (right, got, own, expected) in [
            (Admitted, Refused, &allows, Verdict::Passed),
            (Admitted, Refused, &refuses, Verdict::Inconclusive),
            (Admitted, Refused, &unknown, Verdict::Inconclusive),
            (Admitted, Admitted, &allows, Verdict::Failed),
            (Admitted, Admitted, &unknown, Verdict::Failed),
            (Refused, Admitted, &allows, Verdict::Failed),
            (Refused, Refused, &allows, Verdict::Skipped),
            (unclear(), Refused, &allows, Verdict::Skipped),
            (Admitted, unclear(), &allows, Verdict::Inconclusive),
        ] {
            for presented in [Presented::Wrong, Presented::None] {
                let check = refusal(presented, &right, &got, own);
                assert_eq!(check.verdict, expected, "{right:?} {got:?} {own:?}: {check:?}");
            }
        }
        let vacuous = refusal(Presented::Wrong, &Admitted, &Refused, &refuses);
        assert!(vacuous.found.contains("vacuous"), "{}", vacuous.found);
    }

    #[test]
    fn names_are_those_of_the_report_and_accepted_failures_are_warnings() {
        for check in CheckName::ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.as_str());
            assert_eq!(check.as_str().parse(), Ok(check));
        }
        let failed = |check| Check::new(check, Verdict::Failed, "x");
        let checks = vec![failed(CheckName::WrongExternalId), failed(CheckName::Probe)];
        let accepted = accept(checks, &[CheckName::WrongExternalId]);
        assert_eq!(accepted[0].verdict, Verdict::Warning);
        assert_eq!(accepted[0].found, "accepted: x");
        assert_eq!(accepted[1].verdict, Verdict::Failed);
        assert!("x".parse::<CheckName>().unwrap_err().to_string().contains("log-group"));
    }

    #[test]
    fn the_gravest_verdict_counts() {
        let of = |verdicts: &[Verdict]| {
            let checks: Vec<Check> =
                verdicts.iter().map(|verdict| Check::new(CheckName::Item, *verdict, "x")).collect();
            gravest(&checks)
        };
        assert_eq!(of(&[]), Verdict::Passed);
        assert_eq!(of(&[Verdict::Passed, Verdict::Warning, Verdict::Skipped]), Verdict::Warning);
        assert_eq!(of(&[Verdict::Failed, Verdict::Inconclusive]), Verdict::Failed);
    }
}
