//! One operation on a tree of stacks, put together from its events. Pure: events in, a view out.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{
    stack::{NESTED_STACK_TYPE, StackEvent},
    status::{Phase, ResourceStatus},
};

/// A resource in an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The nested stacks that lead to it, then its own name.
    pub path: String,
    /// Its type.
    pub resource_type: String,
    /// Its state.
    pub status: ResourceStatus,
    /// CloudFormation's reason for the state.
    pub reason: Option<String>,
    /// When the work on it began, on CloudFormation's clock.
    pub began: Timestamp,
    /// When the state was reached.
    pub reached: Timestamp,
    /// Whether only the stabilisation is waited for.
    pub stabilising: bool,
}

/// A resource that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The nested stacks that lead to it, then its own name.
    pub path: String,
    /// Its type.
    pub resource_type: String,
    /// The state that it failed in.
    pub status: ResourceStatus,
    /// Why.
    pub reason: String,
    /// When.
    pub time: Timestamp,
    /// Whether it failed only because something else did.
    pub consequence: bool,
}

/// An operation as far as its events tell.
#[derive(Debug, Clone)]
pub struct OperationView {
    root: String,
    prefixes: BTreeMap<String, String>,
    rows: BTreeMap<String, Row>,
    failures: Vec<Failure>,
    seen: HashSet<String>,
    live: BTreeMap<String, Liveness>,
    began: Option<Timestamp>,
    stack_status: Option<ResourceStatus>,
    /// Why the whole stack turned back, if its own events say more than which resources failed.
    turned_back: Option<Failure>,
    /// What hooks of the organisation said, by the path of the resource.
    hooks: BTreeMap<String, String>,
    token: Option<String>,
}

/// Whether a nested stack still has events that were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    /// It is at work: there will be more.
    Running,
    /// It has ended, but its last events were not read yet.
    Unread,
    /// Everything of it was read.
    Read,
}

impl OperationView {
    /// Starts the view of an operation on the stack with the id `root`.
    pub fn new(root: impl Into<String>) -> Self {
        let root = root.into();
        Self {
            prefixes: BTreeMap::from([(root.clone(), String::new())]),
            root,
            rows: BTreeMap::new(),
            failures: Vec::new(),
            seen: HashSet::new(),
            live: BTreeMap::new(),
            began: None,
            stack_status: None,
            turned_back: None,
            hooks: BTreeMap::new(),
            token: None,
        }
    }

    /// Returns the view of the last operation in a stack's history, which holds the events of the nested stacks too, in
    /// the order of time.
    pub fn of_last_operation(root: &str, events: &[StackEvent]) -> Self {
        let beginning = events.iter().rposition(|event| {
            event.stack_id == root
                && event.is_about_the_stack()
                && event.status.phase() == Phase::Running
                && !event.status.is_rollback()
                // The clean-up after an update belongs to it.
                && event.status != ResourceStatus::UpdateCompleteCleanupInProgress
        });
        let mut view = Self::new(root);
        // The paths of nested stacks are known from earlier operations too.
        let mut pending: Vec<&StackEvent> =
            events.iter().filter(|event| event.nested_stack().is_some()).collect();
        let mut known = usize::MAX;
        while pending.len() < known {
            known = pending.len();
            pending.retain(|event| !view.learn_path(event));
        }
        for event in events.iter().skip(beginning.unwrap_or(0)) {
            view.apply(event);
        }
        view
    }

    /// Learns where a nested stack is in the tree. Returns whether the stack that holds it is known.
    fn learn_path(&mut self, event: &StackEvent) -> bool {
        let (Some(nested), Some(prefix)) =
            (event.nested_stack(), self.prefixes.get(&event.stack_id))
        else {
            return false;
        };
        let path = joined(prefix, &event.logical_id);
        self.prefixes.insert(nested.to_owned(), path);
        true
    }

    /// Takes an event in. Returns the row that it changed, if it is about a resource.
    pub fn apply(&mut self, event: &StackEvent) -> Option<&Row> {
        if !self.seen.insert(event.id.clone()) {
            return None;
        }
        if event.is_about_the_stack() {
            self.stack_event(event);
            return None;
        }
        let path = joined(self.prefixes.get(&event.stack_id)?, &event.logical_id);
        if let Some(hook) = &event.hook_failure {
            self.hooks.insert(path.clone(), hook.clone());
        }
        if let Some(nested) = event.nested_stack() {
            self.prefixes.insert(nested.to_owned(), path.clone());
            let liveness = if event.status.phase() == Phase::Running {
                Liveness::Running
            } else {
                Liveness::Unread
            };
            self.live.insert(nested.to_owned(), liveness);
        }
        if event.status.phase() == Phase::Failed {
            let mut reason =
                event.reason.clone().unwrap_or_else(|| "no reason was given".to_owned());
            // The failure itself only names the hook; why it failed was said before.
            if let Some(hook) = self.hooks.get(&path) {
                reason = format!("{}: {hook}", reason.trim_end_matches('.'));
            }
            self.failures.push(Failure {
                path: path.clone(),
                resource_type: event.resource_type.clone(),
                status: event.status.clone(),
                consequence: is_consequence(&event.resource_type, &reason),
                reason,
                time: event.time,
            });
        }
        let began = match self.rows.get(&path) {
            Some(row) if row.status.phase() == Phase::Running => row.began,
            _ => event.time,
        };
        let row = Row {
            path: path.clone(),
            resource_type: event.resource_type.clone(),
            status: event.status.clone(),
            reason: event.reason.clone(),
            began,
            reached: event.time,
            stabilising: event.stabilising,
        };
        self.rows.insert(path.clone(), row);
        self.rows.get(&path)
    }

    fn stack_event(&mut self, event: &StackEvent) {
        if event.stack_id == self.root {
            self.began.get_or_insert(event.time);
            self.token = self.token.take().or_else(|| event.token.clone());
            self.stack_status = Some(event.status.clone());
            let failing = event.status.phase() == Phase::Failed || event.status.is_rollback();
            if failing
                && self.turned_back.is_none()
                && let Some(reason) = event.reason.as_ref().filter(|reason| tells_more(reason))
            {
                self.turned_back = Some(Failure {
                    path: event.logical_id.clone(),
                    resource_type: event.resource_type.clone(),
                    status: event.status.clone(),
                    reason: reason.clone(),
                    time: event.time,
                    consequence: false,
                });
            }
        } else if event.status.phase() == Phase::Running {
            self.live.insert(event.stack_id.clone(), Liveness::Running);
        }
    }

    /// Returns the ids of the nested stacks whose events have to be read: those at work, and those
    /// that ended since.
    pub fn nested_to_read(&self) -> Vec<String> {
        let unread = self.live.iter().filter(|(_, liveness)| **liveness != Liveness::Read);
        unread.map(|(id, _)| id.clone()).collect()
    }

    /// Notes that the events of a stack were read, up to its last if it has ended.
    pub fn was_read(&mut self, stack: &str) {
        if let Some(liveness) = self.live.get_mut(stack)
            && *liveness == Liveness::Unread
        {
            *liveness = Liveness::Read;
        }
    }

    /// Returns the stack's own state, as its last event told it.
    pub const fn stack_status(&self) -> Option<&ResourceStatus> {
        self.stack_status.as_ref()
    }

    /// Returns when the operation began, on CloudFormation's clock.
    pub const fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Returns the resources in the order of their paths.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Returns the resources at work, those that have been at it longest first.
    pub fn running(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self
            .rows
            .values()
            .filter(|row| {
                row.status.phase() == Phase::Running && row.resource_type != NESTED_STACK_TYPE
            })
            .collect();
        rows.sort_by(|a, b| a.began.cmp(&b.began).then_with(|| a.path.cmp(&b.path)));
        rows
    }

    /// Returns how many resources are done, nested stacks themselves not counted.
    pub fn finished(&self) -> usize {
        self.rows
            .values()
            .filter(|row| {
                row.status.phase() != Phase::Running && row.resource_type != NESTED_STACK_TYPE
            })
            .count()
    }

    /// Whether what was done is being undone.
    pub fn is_rolling_back(&self) -> bool {
        self.stack_status.as_ref().is_some_and(|status| {
            status.is_rollback()
                || *status == ResourceStatus::CreateFailed
                || *status == ResourceStatus::UpdateFailed
        })
    }

    /// Returns the failures in the order in which they happened.
    pub fn failures(&self) -> Vec<&Failure> {
        let mut failures: Vec<&Failure> = self.failures.iter().collect();
        // Of the same moment: in the order in which the stack's history has them.
        failures.sort_by_key(|failure| failure.time);
        failures
    }

    /// Returns the token of the operation, if whoever started it gave one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns the failure that led to the others: the first resource that failed by itself, else what made the whole
    /// stack turn back, else the first of the consequences, whose cause is not known.
    pub fn root_cause(&self) -> Option<&Failure> {
        let failures = self.failures();
        failures
            .iter()
            .find(|failure| !failure.consequence)
            .copied()
            .or(self.turned_back.as_ref())
            .or_else(|| failures.first().copied())
    }
}

/// Whether a stack's reason for turning back is a cause of its own, and not the list of resources that failed.
fn tells_more(reason: &str) -> bool {
    !reason.contains("The following resource(s) failed") && !reason.contains("mbedded stack")
}

fn joined(prefix: &str, logical_id: &str) -> String {
    if prefix.is_empty() { logical_id.to_owned() } else { format!("{prefix}/{logical_id}") }
}

/// Whether a resource failed only because something else did.
pub fn is_consequence(resource_type: &str, reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    let cancelled = reason.contains("cancelled") || reason.contains("canceled");
    let embedded = resource_type == NESTED_STACK_TYPE && reason.contains("embedded stack");
    cancelled || embedded
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "arn:aws:cloudformation:us-east-2:1:stack/root/1";
    const CORE: &str = "arn:aws:cloudformation:us-east-2:1:stack/root-Core/2";

    fn event(
        second: i64,
        stack: &str,
        logical: &str,
        physical: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> StackEvent {
        StackEvent {
            id: format!("{stack}-{logical}-{status}-{second}"),
            stack_id: stack.to_owned(),
            logical_id: logical.to_owned(),
            physical_id: physical.to_owned(),
            resource_type: kind.to_owned(),
            status: ResourceStatus::of(status),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            time: Timestamp::from_second(1_700_000_000 + second).unwrap(),
            token: None,
            stabilising: false,
            hook_failure: None,
        }
    }

    fn failed_creation() -> OperationView {
        let nested = NESTED_STACK_TYPE;
        let mut view = OperationView::new(ROOT);
        let events = [
            event(0, ROOT, "root", ROOT, nested, "CREATE_IN_PROGRESS", "User Initiated"),
            event(1, ROOT, "Core", "", nested, "CREATE_IN_PROGRESS", ""),
            event(
                2,
                ROOT,
                "Core",
                CORE,
                nested,
                "CREATE_IN_PROGRESS",
                "Resource creation Initiated",
            ),
            // The parent's failure is read before the child's events that explain it.
            event(
                9,
                ROOT,
                "Core",
                CORE,
                nested,
                "CREATE_FAILED",
                "Embedded stack x was not successfully created",
            ),
            event(10, ROOT, "root", ROOT, nested, "ROLLBACK_IN_PROGRESS", ""),
            event(3, CORE, "root-Core", CORE, nested, "CREATE_IN_PROGRESS", ""),
            event(4, CORE, "Bucket", "b", "AWS::S3::Bucket", "CREATE_IN_PROGRESS", ""),
            event(6, CORE, "Role", "", "AWS::IAM::Role", "CREATE_FAILED", "Role x already exists"),
            event(
                7,
                CORE,
                "Bucket",
                "b",
                "AWS::S3::Bucket",
                "CREATE_FAILED",
                "Resource creation cancelled",
            ),
        ];
        for event in &events {
            view.apply(event);
        }
        view
    }

    #[test]
    fn the_cause_is_found_below_its_consequences() {
        let view = failed_creation();
        let cause = view.root_cause().expect("a cause");
        assert_eq!(
            (cause.path.as_str(), cause.reason.as_str()),
            ("Core/Role", "Role x already exists")
        );
        assert_eq!(view.failures().iter().filter(|failure| failure.consequence).count(), 2);
        assert!(view.is_rolling_back());
    }

    #[test]
    fn a_nested_stack_is_read_until_its_last_event_was() {
        let mut view = OperationView::new(ROOT);
        view.apply(&event(1, ROOT, "Core", CORE, NESTED_STACK_TYPE, "UPDATE_IN_PROGRESS", ""));
        view.was_read(CORE);
        assert_eq!(view.nested_to_read(), [CORE]);
        view.apply(&event(2, ROOT, "Core", CORE, NESTED_STACK_TYPE, "UPDATE_COMPLETE", ""));
        assert_eq!(view.nested_to_read(), [CORE], "what happened since was not read");
        view.was_read(CORE);
        assert!(view.nested_to_read().is_empty());
    }

    #[test]
    fn an_event_counts_once() {
        let mut view = OperationView::new(ROOT);
        let failure = event(1, ROOT, "Role", "", "AWS::IAM::Role", "CREATE_FAILED", "no");
        assert!(view.apply(&failure).is_some());
        assert!(view.apply(&failure).is_none());
        assert_eq!(view.failures().len(), 1);
    }

    #[test]
    fn a_row_remembers_when_its_work_began() {
        let mut view = OperationView::new(ROOT);
        view.apply(&event(1, ROOT, "Q", "", "AWS::SQS::Queue", "CREATE_IN_PROGRESS", ""));
        view.apply(&event(
            2,
            ROOT,
            "Q",
            "q",
            "AWS::SQS::Queue",
            "CREATE_IN_PROGRESS",
            "Resource creation Initiated",
        ));
        view.apply(&event(9, ROOT, "Q", "q", "AWS::SQS::Queue", "CREATE_COMPLETE", ""));
        let row = view.rows().next().expect("a row");
        assert_eq!(row.reached.as_second() - row.began.as_second(), 8);
        assert_eq!((view.finished(), view.running().len()), (1, 0));
    }
}
