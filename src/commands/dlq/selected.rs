//! Chosen letters, one batch after the other: sent to the queue and then deleted, or only deleted.
//!
//! Nothing is deleted that was not sent. What was sent and could not be deleted is in both queues: it is counted.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    counted,
    queues::Queues,
    reading::{Next, Reading},
};
use crate::{
    aws::messages::{QueueFacts, Refusal},
    commands::Context,
    error::{CliError, ExitStatus, Message as Text},
    letters::{self, Letter, filter::Filter, message::Message},
    ui::{counter::Counter, prompt::Consent},
};

/// The longest that SQS hides a message, from its receive on.
const LONGEST: Duration = Duration::from_secs(43_200);
/// How long the way through the queue may take, beside the sending.
const MARGIN: Duration = Duration::from_secs(120);
/// How often progress is said where nothing moves.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) filter: &'a Filter,
    /// Only letters from before this time: one that comes back meanwhile is not sent a second time.
    pub(super) before: Timestamp,
    /// The most letters a second.
    pub(super) rate: u32,
    /// About how many letters there are.
    pub(super) letters: u64,
}

impl Order<'_> {
    /// How long messages may have to be hidden until all is done.
    fn hidden(&self) -> Duration {
        let sending = Duration::from_secs(self.letters.div_ceil(u64::from(self.rate)));
        (sending + MARGIN).min(LONGEST)
    }
}

/// What became of the letters.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    /// Sent to the queue, those in both queues included.
    pub(super) sent: u64,
    pub(super) deleted: u64,
    /// Sent, but not deleted.
    pub(super) twice: u64,
    /// Neither sent nor deleted.
    pub(super) failed: u64,
    /// The first refusal.
    pub(super) refusal: Option<Refusal>,
}

impl Done {
    /// Returns how the command ends.
    pub(super) fn verdict(&self, flags: &str) -> Result<ExitStatus, CliError> {
        if self.failed + self.twice == 0 {
            return Ok(ExitStatus::Success);
        }
        let text = format!(
            "{} stayed in the dead-letter queue; {} of them were sent as well and may be delivered twice",
            counted(self.failed + self.twice, "letter"),
            self.twice
        );
        let error = match &self.refusal {
            Some(Refusal { code, message }) => CliError::because(
                ExitStatus::NeedsAttention,
                text,
                Text(format!("{message} ({code})")),
            ),
            None => CliError::new(ExitStatus::NeedsAttention, Text(text)),
        };
        Err(error.next(format!("mtlog dlq list{flags}")))
    }

    fn note(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }
}

/// Sends the letters that are meant back to the queue.
pub(super) async fn send_back(
    context: &Context<'_>,
    queues: &Queues,
    to: &QueueFacts,
    order: Order<'_>,
    consent: Consent,
) -> Result<Done, CliError> {
    work(context, queues, Some(to), order, consent).await
}

/// Deletes the letters that are meant.
pub(super) async fn delete(
    context: &Context<'_>,
    queues: &Queues,
    order: Order<'_>,
    consent: Consent,
) -> Result<Done, CliError> {
    work(context, queues, None, order, consent).await
}

async fn work(
    context: &Context<'_>,
    queues: &Queues,
    to: Option<&QueueFacts>,
    order: Order<'_>,
    _consent: Consent,
) -> Result<Done, CliError> {
    let mut reading = Reading::begin(queues, order.hidden());
    let mut done = Done::default();
    let worked = batches(context, queues, to, order, &mut reading, &mut done).await;
    reading.give_back(context).await;
    let flags = queues.opened.typed_flags();
    match worked {
        Ok(Ending::Complete) => Ok(done),
        Ok(Ending::Stopped) => {
            let text = format!(
                "interrupted after {}; the rest is in the dead-letter queue",
                counted(done.deleted, "letter")
            );
            Err(CliError::new(ExitStatus::Detached, Text(text))
                .hint("the same command again goes on")
                .next(format!("mtlog dlq list{flags}")))
        }
        Err(error) => Err(error
            .hint(format!(
                "{} were finished before; {} are in both queues and may be delivered twice",
                counted(done.deleted, "letter"),
                done.sent.saturating_sub(done.deleted)
            ))
            .next(format!("mtlog dlq list{flags}"))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Complete,
    Stopped,
}

async fn batches(
    context: &Context<'_>,
    queues: &Queues,
    to: Option<&QueueFacts>,
    order: Order<'_>,
    reading: &mut Reading<'_>,
    done: &mut Done,
) -> Result<Ending, CliError> {
    let counter = Counter::messages(context.ui, order.letters);
    let mut said = Instant::now();
    let mut free_at = Instant::now();
    loop {
        let messages = match reading.next().await? {
            Next::Messages(messages) => messages,
            Next::End => return Ok(Ending::Complete),
            Next::Stopped => return Ok(Ending::Stopped),
        };
        let meant: Vec<(Message, Letter)> = messages
            .into_iter()
            .map(|message| {
                let letter = Letter::read(&message, &queues.prefix);
                (message, letter)
            })
            .filter(|(_, letter)| {
                letter.sent <= order.before && order.filter.admits(letter, order.before)
            })
            .collect();
        let at_once = usize::try_from(order.rate).unwrap_or(usize::MAX);
        for part in meant.chunks(at_once) {
            if to.is_some() {
                tokio::select! {
                    () = tokio::time::sleep_until(free_at) => {}
                    () = reading.stopped() => {}
                }
            }
            if reading.is_stopped() {
                return Ok(Ending::Stopped);
            }
            let time = Duration::from_secs(1) * u32::try_from(part.len()).unwrap_or(1) / order.rate;
            free_at = Instant::now() + time;
            one_batch(queues, to, part, reading, done).await?;
            counter.set(done.deleted);
            if said.elapsed() >= SAY_EVERY && !context.ui.is_animated() {
                context.ui.status(&format!("{} of {} letters.", done.deleted, order.letters));
                said = Instant::now();
            }
        }
    }
}

async fn one_batch(
    queues: &Queues,
    to: Option<&QueueFacts>,
    letters: &[(Message, Letter)],
    reading: &mut Reading<'_>,
    done: &mut Done,
) -> Result<(), CliError> {
    let mut ready: Vec<&Message> = letters.iter().map(|(message, _)| message).collect();
    if let Some(to) = to {
        let outgoing: Vec<_> = letters
            .iter()
            .map(|(message, letter)| letters::outgoing(message, letter.tenant.as_deref()))
            .collect();
        let outcomes = queues.sqs.send(&to.url, &outgoing).await.map_err(|fault| {
            CliError::aws(format!("failed to send letters to `{}`", to.name()), fault)
        })?;
        let mut sent = Vec::new();
        for (message, outcome) in ready.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => sent.push(message),
                Err(refusal) => {
                    done.failed += 1;
                    done.note(refusal);
                }
            }
        }
        done.sent += sent.len() as u64;
        ready = sent;
    }
    let receipts: Vec<String> = ready.iter().map(|message| message.receipt.clone()).collect();
    let outcomes = queues.sqs.delete(&queues.dead.url, &receipts).await.map_err(|fault| {
        CliError::aws(format!("failed to delete letters from `{}`", queues.dead.name()), fault)
    })?;
    for (message, outcome) in ready.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => {
                done.deleted += 1;
                reading.forget(&message.id);
            }
            Err(refusal) => {
                if to.is_some() {
                    done.twice += 1;
                } else {
                    done.failed += 1;
                }
                done.note(refusal);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_hidden_as_long_as_the_work_may_take_and_no_longer_than_sqs_allows() {
        let filter = Filter::default();
        for (letters, rate, seconds) in
            [(0, 50, 120), (51, 50, 122), (100, 1, 220), (1_000_000, 1, 43_200)]
        {
            let order = Order { filter: &filter, before: Timestamp::UNIX_EPOCH, rate, letters };
            assert_eq!(order.hidden().as_secs(), seconds);
        }
    }
}
