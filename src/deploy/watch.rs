//! Watches an operation on a stack until it ends. Reads only.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    event::DeployEvent,
    execute::{ExecuteError, doing},
    operation::OperationView,
    stack::{Presence, Stack},
    status::{Phase, ResourceStatus, StackStatus, Standing},
};
use crate::aws::{
    cloudformation::CloudFormation,
    fault::{Fault, FaultClass},
};

/// How patient the watching of an operation is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The first pauses between two looks.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// When to stop watching.
    pub limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(1_200),
            longest: Duration::from_secs(2),
            limit: Duration::from_secs(60 * 60),
        }
    }
}

/// How the watching of an operation ended.
#[derive(Debug)]
pub enum Watched {
    /// The operation ended.
    Ended(Box<Ended>),
    /// The time is over; the operation goes on.
    TimedOut,
    /// The credentials expired; the operation goes on.
    LostAccess(Box<Fault>),
}

/// How an operation ended.
#[derive(Debug)]
pub struct Ended {
    /// The last state.
    pub status: StackStatus,
    /// The stack, unless it is gone.
    pub stack: Option<Stack>,
    /// Everything that its events told.
    pub view: OperationView,
}

/// A point in the history of a stack.
#[derive(Debug, Clone)]
pub struct History {
    stack: String,
    /// The newest event at that point.
    last: Option<String>,
}

impl History {
    /// The beginning of a stack's history.
    pub(super) fn none(stack: &str) -> Self {
        Self { stack: stack.to_owned(), last: None }
    }
}

/// Returns the point where the history of a stack stands.
pub async fn history(client: &CloudFormation, stack: &str) -> Result<History, ExecuteError> {
    let events =
        client.events(stack, None, 1).await.map_err(doing("read the history of the stack"))?;
    Ok(History { stack: stack.to_owned(), last: events.last().map(|event| event.id.clone()) })
}

/// How much of a stack's history is read to find where a running operation began.
const LONGEST_HISTORY: usize = 2_000;

/// Returns the point just before the operation that runs began, so that a watcher sees all of it.
pub async fn running_operation(
    client: &CloudFormation,
    stack: &Stack,
) -> Result<History, ExecuteError> {
    let events = client
        .events(&stack.id, None, LONGEST_HISTORY)
        .await
        .map_err(doing("read the history of the stack"))?;
    let beginning = events.iter().rposition(|event| {
        event.is_about_the_stack()
            && matches!(
                event.status,
                ResourceStatus::CreateInProgress
                    | ResourceStatus::UpdateInProgress
                    | ResourceStatus::DeleteInProgress
                    | ResourceStatus::ImportInProgress
            )
    });
    let last = beginning.and_then(|index| index.checked_sub(1)).and_then(|index| events.get(index));
    Ok(History { stack: stack.id.clone(), last: last.map(|event| event.id.clone()) })
}

/// Waits until CloudFormation has finished with a stack whose operation is over but for the clean-up.
///
/// # Errors
/// A failed call, unless it may succeed later.
pub async fn until_idle(
    client: &CloudFormation,
    stack: &Stack,
    patience: Patience,
) -> Result<(), ExecuteError> {
    let began = Instant::now();
    while began.elapsed() < patience.limit {
        match client.presence(&stack.id).await {
            Ok(Presence::Present(found)) if found.status.is_busy() => {}
            Ok(Presence::Present(_) | Presence::Absent) => return Ok(()),
            Err(fault) if fault.is_passing() => {}
            Err(fault) => return Err(doing(format!("read stack `{}`", stack.name))(fault)),
        }
        sleep(jittered(patience.longest)).await;
    }
    Ok(())
}

/// Without any event after this time, the stack's state alone is believed.
const EVENTS_DUE: Duration = Duration::from_secs(20);
/// How often a creation that failed must look final: CloudFormation first says so and then begins to clean up.
const FINAL_LOOKS: u32 = 3;

/// Watches an operation until it ends. Throttling and network failures only slow it down.
///
/// A look is one call: the stack itself and the nested stacks at work take turns. Only the first look and the last one
/// read everything, so that a watcher who joins sees the whole history, and no failure is missed.
pub async fn watch(
    client: &CloudFormation,
    history: History,
    patience: Patience,
    on_event: &mut impl FnMut(DeployEvent),
) -> Watched {
    let root = history.stack.clone();
    let mut reader = Reader {
        client,
        view: OperationView::new(&root),
        newest: history.last.map(|last| (root.clone(), last)).into_iter().collect(),
        root,
        turn: 0,
    };
    let began = Instant::now();
    let mut undoing = false;
    let mut troubles: u32 = 0;
    let mut looks: u32 = 0;
    loop {
        let mut trouble = reader.look(on_event).await.err();
        let stack_rests = trouble.is_none()
            && reader.view.stack_status().is_some_and(|status| status.phase() != Phase::Running);
        let nothing_heard = reader.view.stack_status().is_none() && began.elapsed() > EVENTS_DUE;
        if stack_rests {
            trouble = reader.sweep(on_event).await.err();
        }
        if trouble.is_none() && (stack_rests || nothing_heard) {
            match client.presence(&reader.root).await {
                Ok(presence) => {
                    looks += 1;
                    if let Some((status, stack)) = ending(presence, looks) {
                        return Watched::Ended(Box::new(Ended {
                            status,
                            stack,
                            view: reader.view,
                        }));
                    }
                }
                Err(fault) => trouble = Some(fault),
            }
        } else {
            looks = 0;
        }
        if reader.view.is_rolling_back() && !std::mem::replace(&mut undoing, true) {
            on_event(DeployEvent::RollingBack);
        }
        on_event(DeployEvent::Looked);
        if began.elapsed() > patience.limit {
            return Watched::TimedOut;
        }
        let pause = match trouble {
            Some(fault) if fault.class() == FaultClass::Credentials => {
                return Watched::LostAccess(Box::new(fault));
            }
            Some(fault) => {
                troubles += 1;
                let pause = jittered(
                    patience.longest.min(patience.first * 2u32.saturating_pow(troubles)) * 2,
                );
                on_event(DeployEvent::Waiting { pause, reason: fault.to_string() });
                pause
            }
            None => {
                troubles = 0;
                // Slower with time: what takes minutes is not worth a look every second.
                let grown = patience.first + began.elapsed() / 20;
                jittered(grown.min(patience.longest))
            }
        };
        sleep(pause).await;
    }
}

/// Reads the events of a tree of stacks.
struct Reader<'a> {
    client: &'a CloudFormation,
    root: String,
    view: OperationView,
    /// The newest event that was read of each stack.
    newest: BTreeMap<String, String>,
    turn: usize,
}

impl Reader<'_> {
    /// Reads the stack whose turn it is; the first time, all of them.
    async fn look(&mut self, on_event: &mut impl FnMut(DeployEvent)) -> Result<(), Fault> {
        let turn = self.turn;
        self.turn += 1;
        let nested = self.view.nested_to_read();
        let next = nested.get((turn / 2).checked_rem(nested.len()).unwrap_or(0));
        match next {
            Some(stack) if turn % 2 == 1 => self.read(&stack.clone(), on_event).await,
            _ => self.read(&self.root.clone(), on_event).await,
        }?;
        if turn == 0 { self.sweep(on_event).await } else { Ok(()) }
    }

    /// Reads every nested stack that is at work or has ended since; their events may name more.
    async fn sweep(&mut self, on_event: &mut impl FnMut(DeployEvent)) -> Result<(), Fault> {
        let mut visited: Vec<String> = Vec::new();
        while let Some(stack) =
            self.view.nested_to_read().into_iter().find(|stack| !visited.contains(stack))
        {
            self.read(&stack, on_event).await?;
            visited.push(stack);
        }
        Ok(())
    }

    async fn read(
        &mut self,
        stack: &str,
        on_event: &mut impl FnMut(DeployEvent),
    ) -> Result<(), Fault> {
        let after = self.newest.get(stack).map(String::as_str);
        let events = match self.client.events(stack, after, LONGEST_HISTORY).await {
            Ok(events) => events,
            // A stack that is gone for good has no history left to read.
            Err(fault) if fault.class() == FaultClass::Missing => Vec::new(),
            Err(fault) => return Err(fault),
        };
        for event in &events {
            // A nested stack's earlier operations are not ours.
            let old =
                stack != self.root && self.view.began().is_some_and(|began| event.time < began);
            if !old && let Some(row) = self.view.apply(event) {
                on_event(DeployEvent::Resource(row.clone()));
            }
        }
        self.view.was_read(stack);
        if let Some(last) = events.last() {
            self.newest.insert(stack.to_owned(), last.id.clone());
        }
        Ok(())
    }
}

/// Returns the stack's final state, if it is in one.
fn ending(presence: Presence, looks: u32) -> Option<(StackStatus, Option<Stack>)> {
    let Presence::Present(stack) = presence else {
        return Some((StackStatus::DeleteComplete, None));
    };
    match (stack.status.standing(), &stack.status) {
        (Standing::Running | Standing::Reviewing, _) => None,
        (Standing::Stuck, StackStatus::CreateFailed | StackStatus::UpdateFailed)
            if looks < FINAL_LOOKS =>
        {
            None
        }
        (Standing::Gone, _) => Some((StackStatus::DeleteComplete, None)),
        (Standing::Done | Standing::RolledBack | Standing::Stuck, status) => {
            Some((status.clone(), Some(*stack)))
        }
    }
}

/// Spreads the looks of several watchers. Not a matter of security: the clock's nanoseconds are random enough.
fn jittered(pause: Duration) -> Duration {
    let noise = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1000;
    pause * 9 / 10 + pause * noise / 5000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_varies_by_a_tenth() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(10));
            assert!(
                (Duration::from_secs(9)..=Duration::from_secs(11)).contains(&pause),
                "{pause:?}"
            );
        }
    }

    fn stack(status: StackStatus) -> Presence {
        Presence::Present(Box::new(Stack {
            name: "x".to_owned(),
            id: "arn:x".to_owned(),
            status,
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        }))
    }

    #[test]
    fn a_failed_creation_is_final_only_when_it_stays_so() {
        assert_eq!(ending(stack(StackStatus::CreateFailed), 1), None);
        assert!(ending(stack(StackStatus::CreateFailed), FINAL_LOOKS).is_some());
        assert_eq!(ending(stack(StackStatus::UpdateInProgress), 9), None);
        assert_eq!(ending(Presence::Absent, 1), Some((StackStatus::DeleteComplete, None)));
    }
}
