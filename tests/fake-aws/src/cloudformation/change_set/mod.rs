//! Change sets: what an operation would do, kept until somebody wants it done.

mod build;
mod changes;
mod describe;
mod future;
mod validation;

pub(super) use build::Proposal;
pub(super) use describe::{Values, describe, summarise};

use super::engine::OnFailure;
use super::events::Event;
use super::state::{Definition, State};
use super::status::{ChangeSetStatus, ExecutionStatus, OperationStatus, StackStatus};
use super::template::Pseudo;
use crate::clock::Millis;

use self::changes::Change;

/// A change set.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) stack: Pseudo,
    pub(super) kind: ChangeSetKind,
    pub(super) description: Option<String>,
    pub(super) created: Millis,
    pub(super) status: ChangeSetStatus,
    pub(super) reason: Option<String>,
    pub(super) execution: ExecutionStatus,
    /// How its creation will end, while that goes on.
    pending: Option<Outcome>,
    /// Nothing when a nested template could not even be read.
    pub(super) definition: Option<Definition>,
    pub(super) changes: Vec<Change>,
    pub(super) includes_nested: bool,
    pub(super) parent: Option<String>,
    pub(super) root: Option<String>,
    /// The resource of the parent that a nested change set is for.
    pub(super) logical: Option<String>,
    pub(super) on_stack_failure: Option<OnFailure>,
    pub(super) imports_existing: bool,
    pub(super) client_token: Option<String>,
    /// Events of its creation: validation errors and hooks.
    pub(super) events: Vec<Event>,
}

/// What a change set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeSetKind {
    Create,
    Update,
}

/// How the creation of a change set ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Complete,
    Failed(String),
}

impl ChangeSet {
    /// Tells whether its creation goes on.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn is_below(&self, id: &str) -> bool {
        self.id == id || self.root.as_deref() == Some(id)
    }
}

impl State {
    /// Finds a change set by its ARN, or by its name and its stack.
    pub(super) fn find_change_set(&self, stack: Option<&str>, name: &str) -> Option<&ChangeSet> {
        if name.starts_with("arn:") {
            return self
                .change_sets
                .get(name)
                .filter(|set| set.status != ChangeSetStatus::DeleteComplete);
        }
        self.change_sets
            .values()
            .filter(|set| {
                set.name == name
                    && Some(set.stack.stack_id.as_str()) == stack
                    && set.status != ChangeSetStatus::DeleteComplete
            })
            .max_by_key(|set| set.created)
    }

    /// Moves the creation of change sets forward and tells whether anything happened.
    pub(super) fn step_change_sets(&mut self, _now: Millis) -> bool {
        let mut moved = false;
        for set in self.change_sets.values_mut() {
            let Some(outcome) = set.pending.clone() else {
                continue;
            };
            moved = true;
            if set.status == ChangeSetStatus::CreatePending {
                set.status = ChangeSetStatus::CreateInProgress;
                continue;
            }
            set.pending = None;
            match outcome {
                Outcome::Complete => {
                    set.status = ChangeSetStatus::CreateComplete;
                    set.execution = ExecutionStatus::Available;
                }
                Outcome::Failed(reason) => {
                    set.status = ChangeSetStatus::Failed;
                    set.reason = Some(reason);
                }
            }
        }
        moved
    }

    /// Notes how the execution of a change set and of those below it has ended.
    pub(super) fn settle_change_set(&mut self, id: Option<&str>, outcome: OperationStatus) {
        let Some(id) = id else {
            return;
        };
        let execution = match outcome {
            OperationStatus::Succeeded => ExecutionStatus::ExecuteComplete,
            OperationStatus::Failed => ExecutionStatus::ExecuteFailed,
            OperationStatus::InProgress => ExecutionStatus::ExecuteInProgress,
        };
        for set in self.change_sets.values_mut().filter(|set| set.is_below(id)) {
            let is_open = matches!(
                set.execution,
                ExecutionStatus::Available | ExecutionStatus::ExecuteInProgress
            );
            if is_open {
                set.execution = execution;
            }
        }
    }

    /// Makes the other change sets of a stack useless, because the stack changes.
    pub(super) fn make_obsolete(&mut self, stack: &str, except: Option<&str>) {
        for set in self.change_sets.values_mut() {
            let is_other = set.stack.stack_id == stack && except.is_none_or(|id| !set.is_below(id));
            if is_other && set.execution == ExecutionStatus::Available {
                set.execution = ExecutionStatus::Obsolete;
            }
        }
    }

    /// Drops the change sets of a stack that is gone.
    pub(super) fn forget_change_sets(&mut self, stack: &str) {
        for set in self.change_sets.values_mut().filter(|set| set.stack.stack_id == stack) {
            if !matches!(
                set.execution,
                ExecutionStatus::ExecuteComplete | ExecutionStatus::ExecuteFailed
            ) {
                set.status = ChangeSetStatus::DeleteComplete;
            }
        }
    }

    /// Deletes a change set, those below it, and nested stacks that existed only for them.
    pub(super) fn delete_change_set(&mut self, id: &str) {
        let mut stacks = Vec::new();
        for set in self.change_sets.values_mut().filter(|set| set.is_below(id)) {
            set.status = ChangeSetStatus::DeleteComplete;
            set.pending = None;
            if set.id != id {
                stacks.push(set.stack.stack_id.clone());
            }
        }
        for stack in stacks {
            let is_in_review = self
                .stacks
                .get(&stack)
                .is_some_and(|stack| stack.status == StackStatus::ReviewInProgress);
            if is_in_review {
                self.stacks.remove(&stack);
            }
        }
    }

    /// Removes the nested stacks below a root that a change set has put in review and whose turn
    /// has not come before the operation was over.
    pub(super) fn drop_reviews(&mut self, root: &str) {
        self.stacks.retain(|_, stack| {
            stack.root.as_deref() != Some(root) || stack.status != StackStatus::ReviewInProgress
        });
    }

    /// Finds the nested stack that a change set has put in review for a resource.
    pub(super) fn reviewed_child(&self, root: &str, parent: &str, logical: &str) -> Option<String> {
        self.change_sets
            .values()
            .filter(|set| {
                set.root.as_deref() == Some(root) && set.logical.as_deref() == Some(logical)
            })
            .map(|set| set.stack.stack_id.clone())
            .find(|id| {
                self.stacks.get(id).is_some_and(|stack| {
                    stack.parent.as_deref() == Some(parent)
                        && stack.status == StackStatus::ReviewInProgress
                })
            })
    }
}
