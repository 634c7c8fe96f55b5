//! What the last operation on a stack came to, and why it failed. Pure.

use serde::Serialize;

use super::{
    explain::{Explanation, explain},
    operation::{Failure, OperationView},
    stack::StackEvent,
    state::OWN_PREFIX,
};

/// What the last operation came to.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The state that the stack's last event told.
    pub status: String,
    /// When the operation began.
    pub began: Option<String>,
    /// Whether mtlog started it, as far as its token tells.
    pub by_mtlog: bool,
    /// The first cause, if something failed.
    pub cause: Option<Cause>,
    /// What else failed by itself, in the order of time: during the rollback, for example.
    pub also: Vec<Cause>,
    /// How many resources failed only because of others.
    pub consequences: usize,
}

/// One failure.
#[derive(Debug, Serialize)]
pub struct Cause {
    /// The nested stacks that lead to the resource, then its own name.
    pub path: String,
    /// Its type.
    pub resource_type: String,
    /// The state that it failed in.
    pub status: String,
    /// What that means, in words.
    pub words: String,
    /// CloudFormation's reason.
    pub reason: String,
    /// When.
    pub time: String,
    /// What is known about it.
    pub explanation: Option<&'static Explanation>,
}

impl Cause {
    fn of(failure: &Failure) -> Self {
        Self {
            path: failure.path.clone(),
            resource_type: failure.resource_type.clone(),
            status: failure.status.to_string(),
            words: failure.status.words().to_owned(),
            reason: failure.reason.clone(),
            time: failure.time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            explanation: explain(&failure.reason),
        }
    }
}

/// Returns what the last operation on the stack `root` came to. The events of nested stacks are among `events`, which
/// are in the order of time.
pub fn diagnose(root: &str, events: &[StackEvent]) -> Diagnosis {
    let view = OperationView::of_last_operation(root, events);
    let cause = view.root_cause();
    let failures = view.failures();
    Diagnosis {
        status: view.stack_status().map_or_else(|| "unknown".to_owned(), ToString::to_string),
        began: view.began().map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        by_mtlog: view.token().is_some_and(|token| token.starts_with(OWN_PREFIX)),
        cause: cause.map(Cause::of),
        also: failures
            .iter()
            .filter(|failure| !failure.consequence && cause != Some(**failure))
            .map(|failure| Cause::of(failure))
            .collect(),
        consequences: failures
            .iter()
            .filter(|failure| failure.consequence && cause != Some(**failure))
            .count(),
    }
}
