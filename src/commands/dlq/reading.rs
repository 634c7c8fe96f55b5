//! Goes through the dead-letter queue. SQS shows a message only by hiding it from others, so whatever is held is
//! given back at the end, also after a failure and after Ctrl-C. A killed process gives back nothing: its messages
//! show up again by themselves after the time given here.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::{counted, queues::Queues};
use crate::{
    aws::fault::Fault,
    commands::{Context, stopping::StopRequest},
    error::{CliError, ExitStatus, Message as Text},
    letters::{Letter, message::Message},
};

/// How long messages that are only looked at are hidden at least, if nobody gives them back.
const LOOK_SECONDS: u64 = 120;
/// So many messages are read in a second at the slowest.
const READ_A_SECOND: u64 = 100;
/// After so many receives with nothing but known messages, everything has been seen.
const REPETITIONS: u32 = 3;

/// A way through the queue.
#[derive(Debug)]
pub(in crate::commands) struct Reading<'a> {
    queues: &'a Queues,
    hidden: Duration,
    seen: HashSet<String>,
    /// Receipts of the messages that are held, by id.
    held: BTreeMap<String, String>,
    stop: StopRequest,
}

/// What comes next.
#[derive(Debug)]
pub(in crate::commands) enum Next {
    /// Messages that were not seen before.
    Messages(Vec<Message>),
    /// Every message was seen that nobody else holds.
    End,
    /// Ctrl-C or SIGTERM came.
    Stopped,
}

/// How a look at the whole queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Extent {
    /// Every message was seen that nobody else holds.
    Whole,
    /// The limit was reached.
    Limited,
}

impl<'a> Reading<'a> {
    /// Begins. Each message is hidden for `hidden`, unless it is given back before.
    pub(in crate::commands) fn begin(queues: &'a Queues, hidden: Duration) -> Self {
        let stop = StopRequest::listen();
        Self { queues, hidden, seen: HashSet::new(), held: BTreeMap::new(), stop }
    }

    /// Receives the next messages and holds them.
    pub(in crate::commands) async fn next(&mut self) -> Result<Next, CliError> {
        let mut repetitions = 0;
        loop {
            if self.stop.came() {
                return Ok(Next::Stopped);
            }
            let url = &self.queues.dead.url;
            let messages = self
                .queues
                .sqs
                .receive(url, self.hidden)
                .await
                .map_err(|fault| CliError::aws("failed to read the dead letters", fault))?;
            if messages.is_empty() {
                return Ok(Next::End);
            }
            let mut fresh = Vec::new();
            for message in messages {
                self.held.insert(message.id.clone(), message.receipt.clone());
                if self.seen.insert(message.id.clone()) {
                    fresh.push(message);
                }
            }
            if !fresh.is_empty() {
                return Ok(Next::Messages(fresh));
            }
            repetitions += 1;
            if repetitions == REPETITIONS {
                return Ok(Next::End);
            }
        }
    }

    /// Whether Ctrl-C or SIGTERM came.
    pub(in crate::commands) fn is_stopped(&mut self) -> bool {
        self.stop.came()
    }

    /// Waits until Ctrl-C or SIGTERM comes.
    pub(in crate::commands) async fn stopped(&mut self) {
        self.stop.wait().await;
    }

    /// Holds a message no longer: it was deleted.
    pub(in crate::commands) fn forget(&mut self, id: &str) {
        self.held.remove(id);
    }

    /// Gives back whatever is held. What cannot be given back is said.
    pub(in crate::commands) async fn give_back(self, context: &Context<'_>) {
        let receipts: Vec<String> = self.held.into_values().collect();
        if receipts.is_empty() {
            return;
        }
        let count = receipts.len();
        let hidden = self.hidden.as_secs();
        let given = self.queues.sqs.give_back(&self.queues.dead.url, &receipts).await;
        match given {
            Ok(0) => {}
            Ok(failed) => context.ui.warning(&format!(
                "{} could not be given back and stay hidden for up to {hidden} seconds.",
                counted(failed as u64, "message")
            )),
            Err(fault) => context.ui.warning(&refusal(&fault, count, hidden)),
        }
    }
}

fn refusal(fault: &Fault, count: usize, hidden: u64) -> String {
    format!(
        "{} stay hidden for up to {hidden} seconds, because giving them back failed (it needs `{}`): {fault}.",
        counted(count as u64, "message"),
        fault.permission()
    )
}

/// Shows every message to `visit`, at most `limit` of them, and gives all back.
pub(in crate::commands) async fn look(
    context: &Context<'_>,
    queues: &Queues,
    limit: usize,
    mut visit: impl FnMut(&Message, Letter),
) -> Result<Extent, CliError> {
    // A message must not show up again before all were seen.
    let hidden = Duration::from_secs(LOOK_SECONDS + queues.dead.total() / READ_A_SECOND);
    let mut reading = Reading::begin(queues, hidden);
    let looked = look_at(&mut reading, queues, limit, &mut visit).await;
    reading.give_back(context).await;
    looked
}

async fn look_at(
    reading: &mut Reading<'_>,
    queues: &Queues,
    limit: usize,
    visit: &mut impl FnMut(&Message, Letter),
) -> Result<Extent, CliError> {
    let mut count = 0;
    loop {
        match reading.next().await? {
            Next::Messages(messages) => {
                for message in &messages {
                    if count == limit {
                        return Ok(Extent::Limited);
                    }
                    visit(message, Letter::read(message, &queues.prefix));
                    count += 1;
                }
            }
            Next::End => return Ok(Extent::Whole),
            Next::Stopped => return Err(interrupted()),
        }
    }
}

/// The failure that somebody stopped the command while it only looked.
pub(in crate::commands) fn interrupted() -> CliError {
    let text = "interrupted; every message is in the dead-letter queue and visible".to_owned();
    CliError::new(ExitStatus::Detached, Text(text))
}
