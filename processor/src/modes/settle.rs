//! Carries a verdict out at the queue: letters, continuations, pauses.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::{
    engine::{Engine, Handled, verdict::Verdict},
    error_chain::Chain,
    model::outcome::Outcome,
    ports::{Queue, Receipt},
};

/// How long a message stays hidden when its letter could not be sent.
const UNBURIED_PAUSE: Duration = Duration::from_secs(60);

/// Acts on one queue.
pub(super) struct Settler {
    pub(super) engine: Arc<Engine>,
    pub(super) queue: Arc<dyn Queue>,
    /// How long a message is hidden by its receive.
    pub(super) visibility: Duration,
}

/// The message that a verdict is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) id: &'a str,
    pub(super) body: &'a str,
    pub(super) receipt: &'a Receipt,
}

/// What is left to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Delete it: it is settled.
    Settled,
    /// Delete it: it is in the dead-letter queue.
    Buried,
    /// Delete it: another one carries it on, due at this time.
    HandedOn(Instant),
    /// Leave it: it will be visible again at this time.
    Kept(Instant),
    /// Leave it: it waits for somebody.
    Parked,
    /// Delete it: another one waits for somebody.
    ParkedAnew,
    /// Leave it: the engine itself cannot work.
    Systemic,
}

impl Ending {
    /// Whether the message is to be deleted.
    pub(super) const fn deletes(self) -> bool {
        match self {
            Self::Settled | Self::Buried | Self::HandedOn(_) | Self::ParkedAnew => true,
            Self::Kept(_) | Self::Parked | Self::Systemic => false,
        }
    }
}

impl Settler {
    /// Does everything that the verdict asks for but the deletion.
    pub(super) async fn carry_out(&self, subject: Subject<'_>, handled: &Handled) -> Ending {
        debug!(message_id = subject.id, verdict = handled.verdict.as_str(), "message");
        match handled.verdict {
            Verdict::Ack => Ending::Settled,
            Verdict::Bury => self.bury(subject, handled).await,
            Verdict::Retry { visible_in } => {
                let kept = self.keep(subject, handled, visible_in).await;
                if is_systemic(handled) { Ending::Systemic } else { kept }
            }
            Verdict::Park { visible_in, reason } => {
                warn!(message_id = subject.id, reason = reason.as_str(), "message parked");
                let kept = self.keep(subject, handled, visible_in).await;
                if kept.deletes() { Ending::ParkedAnew } else { Ending::Parked }
            }
            Verdict::Leave => Ending::Kept(Instant::now() + self.visibility),
        }
    }

    async fn bury(&self, subject: Subject<'_>, handled: &Handled) -> Ending {
        for letter in &handled.letters {
            if let Err(fault) = self.queue.bury(letter).await {
                // Without a dead-letter queue of ours, the queue's own redrive policy is what is left.
                error!(message_id = subject.id, error = %Chain(&fault), "dead letter not sent; message kept");
                return Ending::Kept(self.hide(subject, UNBURIED_PAUSE).await);
            }
        }
        Ending::Buried
    }

    /// Gives the message back, due in `pause`: as it is, or anew with what has been done.
    async fn keep(&self, subject: Subject<'_>, handled: &Handled, pause: Duration) -> Ending {
        if let Some(continuation) = &handled.continuation
            && let Some(body) = continuation.attach(subject.body)
        {
            let tenant = handled.results.iter().find_map(|result| result.tenant.as_ref());
            let group = tenant.map_or("unknown", |tenant| tenant.as_str());
            match self.queue.send(&body, pause, group).await {
                // Sent first, deleted second: a crash between the two repeats work and loses nothing.
                Ok(()) => return Ending::HandedOn(Instant::now() + pause),
                Err(fault) => {
                    warn!(message_id = subject.id, error = %Chain(&fault), "continuation not sent; message kept");
                }
            }
        }
        Ending::Kept(self.hide(subject, pause).await)
    }

    /// Hides the message for about `pause` and returns when it comes again.
    pub(super) async fn hide(&self, subject: Subject<'_>, pause: Duration) -> Instant {
        let pause = pause + self.engine.jitter(pause / 10);
        if let Err(fault) = self.queue.set_visibility(subject.receipt, pause).await {
            // It comes back by itself when the time of its receive is over.
            warn!(message_id = subject.id, error = %Chain(&fault), "message not given back in time");
            return Instant::now() + self.visibility;
        }
        Instant::now() + pause
    }
}

/// Whether the engine itself cannot work.
pub(super) fn is_systemic(handled: &Handled) -> bool {
    handled.results.iter().any(|result| matches!(result.outcome, Outcome::Systemic(_)))
}
