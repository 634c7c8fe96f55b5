//! Holds one message while the engine works on it, and carries the verdict out.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{
    config::CheckpointKind,
    engine::{
        Engine, Handled, Incoming,
        fair::{Fair, Place},
        stop::Stop,
        verdict::Verdict,
    },
    error_chain::Chain,
    metrics::{Meter, Metric},
    model::outcome::{Outcome, StopReason},
    ports::{FaultClass, Message, Queue, QueueSettings, Receipt},
};

/// SQS lets nobody hold a message for longer than twelve hours from its receive.
const LONGEST_HOLD: Duration = Duration::from_secs((11 * 60 + 30) * 60);
/// How long a message stays hidden when its letter could not be sent.
const UNBURIED_PAUSE: Duration = Duration::from_secs(60);
/// How often a message may be handed on to ourselves.
const MAX_HOPS: u32 = 12;

/// What working on messages needs.
pub(super) struct Holder {
    pub(super) engine: Arc<Engine>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) meter: Arc<Meter>,
    pub(super) settings: QueueSettings,
    /// How long a message is hidden at a time.
    pub(super) visibility: Duration,
    pub(super) checkpoint: CheckpointKind,
    /// Messages to delete.
    pub(super) done: mpsc::Sender<Receipt>,
    /// The engine's hands, shared among tenants.
    pub(super) hands: Arc<Fair>,
    /// Cancelled when no further message is to be begun.
    pub(super) closing: CancellationToken,
}

/// How work on a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finished {
    /// It is settled.
    Settled,
    /// It is in the dead-letter queue.
    Buried,
    /// It will be visible again at this time.
    Kept(Instant),
    /// It waits for somebody.
    Parked,
    /// The engine itself cannot work; the message is kept.
    Systemic,
}

impl Holder {
    /// Takes a place for `message` among those that wait to be worked on.
    pub(super) fn enlist(&self, message: &Message) -> Place {
        let (tenant, bytes) = self.engine.lane(&message.body);
        self.hands.enlist(&tenant, bytes)
    }

    /// Works on `message` when its turn has come, and does what the verdict says.
    pub(super) async fn work(&self, message: &Message, place: Place, stop: &Stop) -> Finished {
        let incoming = Incoming {
            id: &message.id,
            body: &message.body,
            receives: message.receives,
            sent_ms: message.sent_ms,
            max_receives: self.settings.max_receives,
        };
        let work = async {
            let hand = tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                hand = place.hand() => hand,
            };
            let handled = self.engine.handle(&incoming, stop).await;
            drop(hand);
            Some(handled)
        };
        let handled = tokio::select! {
            handled = work => handled,
            never = self.hold(message, stop) => match never {},
        };
        match handled {
            Some(handled) => self.carry_out(message, handled).await,
            None => {
                self.meter.add(Metric::ShutdownReleased, "", 1);
                Finished::Kept(self.hide(message, Duration::ZERO).await)
            }
        }
    }

    /// Keeps the message hidden from others for as long as it is polled.
    async fn hold(&self, message: &Message, stop: &Stop) -> std::convert::Infallible {
        let received = Instant::now();
        let mut hidden_until = received + self.visibility;
        loop {
            tokio::time::sleep(self.visibility / 3).await;
            if received.elapsed() > LONGEST_HOLD {
                return self.lost(message, stop, "held for too long").await;
            }
            let asked = Instant::now();
            match self.queue.set_visibility(&message.receipt, self.visibility).await {
                Ok(()) => {
                    hidden_until = asked + self.visibility;
                    self.meter.add(Metric::Lease, "extended", 1);
                }
                Err(fault) if fault.class == FaultClass::Missing => {
                    return self.lost(message, stop, "the queue has given it away").await;
                }
                Err(fault) => {
                    warn!(message_id = message.id, error = %Chain(&fault), "hold not extended")
                }
            }
            if Instant::now() >= hidden_until {
                return self.lost(message, stop, "not extended in time").await;
            }
        }
    }

    async fn lost(
        &self,
        message: &Message,
        stop: &Stop,
        why: &'static str,
    ) -> std::convert::Infallible {
        warn!(message_id = message.id, why, "message lost to another receiver");
        self.meter.add(Metric::Lease, "lost", 1);
        stop.stop(StopReason::LeaseLost);
        std::future::pending().await
    }

    async fn carry_out(&self, message: &Message, handled: Handled) -> Finished {
        let systemic =
            handled.results.iter().any(|result| matches!(result.outcome, Outcome::Systemic(_)));
        debug!(message_id = message.id, verdict = handled.verdict.as_str(), "message");
        match handled.verdict {
            Verdict::Ack => {
                self.delete(message).await;
                Finished::Settled
            }
            Verdict::Bury => self.bury(message, &handled).await,
            Verdict::Retry { visible_in } => {
                let until = self.keep(message, &handled, visible_in).await;
                if systemic { Finished::Systemic } else { Finished::Kept(until) }
            }
            Verdict::Park { visible_in, reason } => {
                warn!(message_id = message.id, reason = reason.as_str(), "message parked");
                self.keep(message, &handled, visible_in).await;
                Finished::Parked
            }
            Verdict::Leave => Finished::Kept(Instant::now() + self.visibility),
        }
    }

    async fn delete(&self, message: &Message) {
        if self.done.send(message.receipt.clone()).await.is_err() {
            warn!(message_id = message.id, "message not deleted; it will come again");
        }
    }

    async fn bury(&self, message: &Message, handled: &Handled) -> Finished {
        for letter in &handled.letters {
            if let Err(fault) = self.queue.bury(letter).await {
                // Without a dead-letter queue of ours, the queue's own redrive policy is what is left.
                error!(message_id = message.id, error = %Chain(&fault), "dead letter not sent; message kept");
                let until = self.hide(message, UNBURIED_PAUSE).await;
                return Finished::Kept(until);
            }
        }
        self.delete(message).await;
        Finished::Buried
    }

    /// Gives the message back, due in `pause`: as it is, or anew with what has been done.
    async fn keep(&self, message: &Message, handled: &Handled, pause: Duration) -> Instant {
        if self.checkpoint == CheckpointKind::Continuation
            && let Some(continuation) = &handled.continuation
            && continuation.hops <= MAX_HOPS
            && let Some(body) = continuation.attach(&message.body)
        {
            let tenant = handled.results.iter().find_map(|result| result.tenant.as_ref());
            let group = tenant.map_or("unknown", |tenant| tenant.as_str());
            match self.queue.send(&body, pause, group).await {
                Ok(()) => {
                    // Sent first, deleted second: a crash between the two repeats work and loses nothing.
                    self.delete(message).await;
                    return Instant::now() + pause;
                }
                Err(fault) => {
                    warn!(message_id = message.id, error = %Chain(&fault), "continuation not sent; message kept");
                }
            }
        }
        self.hide(message, pause).await
    }

    async fn hide(&self, message: &Message, pause: Duration) -> Instant {
        let pause = pause + self.engine.jitter(pause / 10);
        if let Err(fault) = self.queue.set_visibility(&message.receipt, pause).await {
            // It comes back by itself when the time of its receive is over.
            warn!(message_id = message.id, error = %Chain(&fault), "message not given back in time");
            return Instant::now() + self.visibility;
        }
        Instant::now() + pause
    }
}

/// Deletes messages ten at a time, or whatever has come within a fifth of a second.
/// Ends when nobody can send any more.
pub(super) async fn delete_settled(queue: Arc<dyn Queue>, mut done: mpsc::Receiver<Receipt>) {
    const BATCH: usize = 10;
    const LINGER: Duration = Duration::from_millis(200);
    let mut open = true;
    while open {
        let Some(first) = done.recv().await else { return };
        let mut batch = vec![first];
        let deadline = Instant::now() + LINGER;
        while batch.len() < BATCH && open {
            match tokio::time::timeout_at(deadline, done.recv()).await {
                Ok(Some(receipt)) => batch.push(receipt),
                Ok(None) => open = false,
                Err(_) => break,
            }
        }
        delete_batch(queue.as_ref(), batch).await;
    }
}

async fn delete_batch(queue: &dyn Queue, mut batch: Vec<Receipt>) {
    const ATTEMPTS: u32 = 4;
    for attempt in 0..ATTEMPTS {
        match queue.delete(&batch).await {
            Ok(results) => {
                let mut left = Vec::new();
                for (receipt, result) in batch.into_iter().zip(results) {
                    match result {
                        Ok(()) => {}
                        // The handle is out of date: whoever has the message now decides.
                        Err(fault) if fault.class == FaultClass::Missing => {
                            warn!(error = %Chain(&fault), "message not deleted; it may come again");
                        }
                        Err(_) => left.push(receipt),
                    }
                }
                batch = left;
            }
            Err(fault) => {
                warn!(error = %Chain(&fault), messages = batch.len(), "messages not deleted yet")
            }
        }
        if batch.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200) * (1 << attempt)).await;
    }
    // At least once: what comes again is recognised, or delivered twice.
    error!(messages = batch.len(), "messages not deleted; they will come again");
}
