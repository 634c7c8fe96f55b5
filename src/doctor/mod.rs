//! Checks of a pipeline that is deployed, each with a code, a reason and what mends it. Pure: what is looked at is read
//! elsewhere.

mod bucket;
pub mod catalogue;
pub mod facts;
mod function;
mod policy;
mod queue;
mod stacks;
mod tenants;
mod topic;

use serde::Serialize;

use self::facts::Facts;
use crate::{deploy::explain::Explanation, operate::reading::Reading};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Logs are lost, late or unprotected, or will be.
    Problem,
    /// It works, but somebody should know.
    Warning,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// On what: a stack, a queue, a tenant.
    pub subject: String,
    /// What is wrong with it, a fragment without full stop.
    pub reason: String,
}

/// What a check comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Well,
    /// There is nothing to look at.
    Skipped {
        /// What is not there.
        reason: String,
    },
    /// It could not be looked at.
    Unknown {
        /// Which permission is missing, or what failed.
        reason: String,
    },
    /// Something is wrong.
    Found {
        /// What, at least one thing.
        findings: Vec<Finding>,
    },
}

/// What a check looks at. Only that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// The time at AWS.
    Clock,
    /// The central role.
    CentralRole,
    /// The bucket and its settings.
    Bucket,
    /// Keys in the bucket.
    Keys,
    /// The topic and who is subscribed to it.
    Topic,
    /// The queue and its dead-letter queue.
    Queues,
    /// The tenant table's settings.
    Table,
    /// The tenant table's items.
    Items,
    /// The function.
    Function,
    /// What feeds the function.
    Mappings,
    /// The clusters' identity providers.
    Providers,
    /// The alarms.
    Alarms,
    /// The metrics of the last hour.
    Hour,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    /// The code, the cause, why it matters and what mends it.
    pub explanation: Explanation,
    /// What stands there when nothing is wrong.
    pub well: &'static str,
    /// How bad it is when something is.
    pub severity: Severity,
    /// What it looks at, beside the stacks.
    pub looks: &'static [Look],
    /// Judges what was seen.
    pub judge: fn(&Facts) -> Verdict,
}

/// The texts of a check.
struct Texts {
    code: &'static str,
    well: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
}

const fn check(
    severity: Severity,
    looks: &'static [Look],
    judge: fn(&Facts) -> Verdict,
    texts: Texts,
) -> Check {
    let Texts { code, well, title, why, fix } = texts;
    Check { explanation: Explanation { code, title, why, fix }, well, severity, looks, judge }
}

impl Finding {
    fn new(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { subject: subject.into(), reason: reason.into() }
    }
}

impl Verdict {
    /// Well, unless there are findings.
    fn of(findings: Vec<Finding>) -> Self {
        if findings.is_empty() { Self::Well } else { Self::Found { findings } }
    }

    fn found(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Found { findings: vec![Finding::new(subject, reason)] }
    }

    fn well_if(well: bool, finding: impl FnOnce() -> Finding) -> Self {
        if well { Self::Well } else { Self::Found { findings: vec![finding()] } }
    }
}

/// Judges what was read, or says why it was not.
fn seen<T>(reading: &Reading<T>, what: &str, judge: impl FnOnce(&T) -> Verdict) -> Verdict {
    match reading {
        Reading::Known { value } => judge(value),
        Reading::Absent => Verdict::Skipped { reason: format!("{what} is not deployed") },
        Reading::Denied { permission } => {
            Verdict::Unknown { reason: format!("needs {permission}") }
        }
        Reading::Failed { reason } => Verdict::Unknown { reason: reason.clone() },
    }
}
