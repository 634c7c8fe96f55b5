//! The machine that carries out operations, one step at a time.
//!
//! A step moves every stack that is being worked on forward by one event per resource: resources
//! that wait for nothing begin, those that have begun take effect, those that took effect are
//! complete. So tests see every state between the ends, in the order that CloudFormation shows.

mod bench;
mod forward;
mod lookup;
mod make;
mod nested;
mod removal;
mod rollback;
mod start;

use std::collections::BTreeSet;

use serde_json::Value;

pub(super) use forward::scope;
pub(super) use lookup::StackLookup;
pub(super) use nested::child_definition;
pub(super) use start::{Request, check_capabilities, check_capability_names};

use self::bench::Bench;
use super::settings::Pace;
use super::state::{Definition, Point, Resource, State};
use super::world::World;
use crate::clock::{Millis, millis};

/// More steps than any operation takes; reaching it means that an operation hangs.
const MOST_STEPS: u32 = 10_000;

/// An operation on a stack, while it goes on or stands still.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(super) operation: String,
    pub(super) token: Option<String>,
    pub(super) phase: Phase,
    pub(super) origin: Origin,
    /// What the stack is to become; nothing for a deletion.
    target: Option<Definition>,
    /// What the stack was before.
    pub(super) before: Point,
    pub(super) on_failure: OnFailure,
    retain_except_on_create: bool,
    tasks: Vec<Task>,
    /// Resources whose place has been taken, or which are no longer wanted.
    garbage: Vec<Resource>,
    /// Resources that this operation has begun to change.
    touched: BTreeSet<String>,
    /// Resources that a rollback leaves as they are, those of nested stacks as `Stack.Logical`.
    skip: BTreeSet<String>,
    /// Nested stacks that this rollback has had brought back.
    taken_back: BTreeSet<String>,
    /// Resources that a deletion leaves alone.
    retain: BTreeSet<String>,
    /// A deletion leaves alone whatever it cannot delete.
    is_forced: bool,
    /// A nested stack is ready and waits for its parent.
    is_held: bool,
    /// Whatever is not finished is to stop.
    is_cancelled: bool,
    /// The change set that is being executed.
    pub(super) change_set: Option<String>,
    imports_existing: bool,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Forward,
    Cleanup,
    Rollback,
    RollbackCleanup,
    Delete,
}

/// Who asked for an operation, and for which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) is_create: bool,
    pub(super) is_nested: bool,
}

/// What is done when an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    Rollback,
    Delete,
    DoNothing,
}

#[derive(Debug, Clone)]
struct Task {
    logical: String,
    job: Job,
    state: TaskState,
    /// Tasks that must be settled first.
    after: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Job {
    /// Make or change a resource; which of both shows when its turn comes.
    Apply,
    Make(Box<Desired>),
    Change(Box<Desired>),
    Replace(Box<Desired>),
    /// Bring a resource back to what it was.
    Revert,
    /// Delete a resource, or this older one of the same logical id.
    Remove(Box<Resource>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskState {
    Waiting,
    Begun,
    InEffect,
    Configured,
    Settled,
    Failed,
}

/// What a resource is to look like.
#[derive(Debug, Clone)]
struct Desired {
    properties: Value,
    metadata: Option<Value>,
    deletion_policy: String,
    replace_policy: String,
    tags: Vec<(String, String)>,
    needs: BTreeSet<String>,
}

impl Task {
    fn new(logical: &str, job: Job, after: BTreeSet<String>) -> Self {
        Self { logical: logical.to_owned(), job, state: TaskState::Waiting, after }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, TaskState::Begun | TaskState::InEffect | TaskState::Configured)
    }
}

impl State {
    /// Moves all stacks forward by one step and tells whether anything happened.
    pub(super) fn step(&mut self, world: &dyn World, now: Millis) -> bool {
        let mut busy: Vec<(usize, String)> = self
            .stacks
            .values()
            .filter(|stack| stack.work.as_ref().is_some_and(|work| !work.is_held))
            .map(|stack| (self.depth(stack.id()), stack.id().to_owned()))
            .collect();
        // Children first, so that their parents see at once what has become of them.
        busy.sort_by(|left, right| right.cmp(left));
        let mut moved = self.step_change_sets(now);
        for (_, id) in busy {
            if let Some(mut bench) = Bench::take(self, world, &id, now) {
                bench.advance();
                bench.put_back();
                moved = true;
            }
        }
        moved
    }

    /// Lets everything run to its end.
    pub(super) fn run(&mut self, world: &dyn World, now: Millis) {
        for _ in 0..MOST_STEPS {
            if !self.step(world, now) {
                return;
            }
        }
    }

    /// Does what the pace says is due when a call arrives.
    pub(super) fn catch_up(&mut self, world: &dyn World, now: Millis) {
        let Pace::Every(pause) = self.settings.pace else {
            return;
        };
        let pause = millis(pause).max(1);
        let mut due = self.last_step.unwrap_or(now).saturating_add(pause);
        while due <= now {
            let moved = self.step(world, due);
            self.last_step = Some(due);
            if !moved {
                break;
            }
            due = due.saturating_add(pause);
        }
        if !self.is_busy() {
            self.last_step = Some(now);
        }
    }

    /// Does what the pace says happens after a call.
    pub(super) fn follow_up(&mut self, world: &dyn World, is_read: bool, now: Millis) {
        match self.settings.pace {
            Pace::Instant => self.run(world, now),
            Pace::StepsPerRead(steps) if is_read => {
                for _ in 0..steps {
                    self.step(world, now);
                }
            }
            Pace::Every(_) => self.last_step = self.last_step.or(Some(now)),
            Pace::StepsPerRead(_) | Pace::Held => {}
        }
    }

    /// Tells whether anything is going on.
    pub(super) fn is_busy(&self) -> bool {
        self.stacks.values().any(|stack| stack.work.is_some())
            || self.change_sets.values().any(super::change_set::ChangeSet::is_pending)
    }

    fn depth(&self, id: &str) -> usize {
        let mut depth = 0;
        let mut parent = self.stacks.get(id).and_then(|stack| stack.parent.as_deref());
        while let Some(id) = parent {
            depth += 1;
            parent = self.stacks.get(id).and_then(|stack| stack.parent.as_deref());
        }
        depth
    }
}
