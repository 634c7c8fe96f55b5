//! Holds one message while the engine works on it, and carries the verdict out.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    engine::{
        Handled, Incoming, Renewal,
        fair::{Fair, Place},
        stop::Stop,
    },
    error_chain::Chain,
    metrics::{Meter, Metric},
    model::outcome::StopReason,
    modes::settle::{Ending, Settler, Subject},
    ports::{FaultClass, Message, Queue, QueueSettings, Receipt},
};

/// SQS lets nobody hold a message for longer than twelve hours from its receive.
const LONGEST_HOLD: Duration = Duration::from_secs((11 * 60 + 30) * 60);

/// What working on messages needs.
pub(super) struct Holder {
    pub(super) settler: Settler,
    pub(super) meter: Arc<Meter>,
    pub(super) settings: QueueSettings,
    pub(super) renewal: Renewal,
    /// Messages to delete.
    pub(super) done: mpsc::Sender<Receipt>,
    /// The engine's hands, shared among tenants.
    pub(super) hands: Arc<Fair>,
    /// Cancelled when no further message is to be begun.
    pub(super) closing: CancellationToken,
}

impl Holder {
    /// Takes a place for `message` among those that wait to be worked on.
    pub(super) fn enlist(&self, message: &Message) -> Place {
        let (tenant, bytes) = self.settler.engine.lane(&message.body);
        self.hands.enlist(&tenant, bytes)
    }

    /// Works on `message` when its turn has come, and does what the verdict says.
    pub(super) async fn work(&self, message: &Message, place: Place, stop: &Stop) -> Ending {
        let incoming = Incoming {
            id: &message.id,
            body: &message.body,
            receives: message.receives,
            sent_ms: message.sent_ms,
            max_receives: self.settings.max_receives,
            renewal: self.renewal,
        };
        let work = async {
            let hand = tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                hand = place.hand() => hand,
            };
            let handled = self.settler.engine.handle(&incoming, stop).await;
            drop(hand);
            Some(handled)
        };
        let handled = tokio::select! {
            handled = work => handled,
            never = self.hold(message, stop) => match never {},
        };
        match handled {
            Some(handled) => self.carry_out(message, &handled).await,
            None => self.release(message).await,
        }
    }

    /// Gives back a message that is not to be begun any more.
    pub(super) async fn release(&self, message: &Message) -> Ending {
        self.meter.add(Metric::ShutdownReleased, "", 1);
        Ending::Kept(self.settler.hide(subject(message), Duration::ZERO).await)
    }

    /// Keeps the message hidden from others for as long as it is polled.
    async fn hold(&self, message: &Message, stop: &Stop) -> std::convert::Infallible {
        let received = Instant::now();
        let mut hidden_until = received + self.settler.visibility;
        loop {
            tokio::time::sleep(self.settler.visibility / 3).await;
            if received.elapsed() > LONGEST_HOLD {
                return self.lost(message, stop, "held for too long").await;
            }
            let asked = Instant::now();
            match self.settler.queue.set_visibility(&message.receipt, self.settler.visibility).await
            {
                Ok(()) => {
                    hidden_until = asked + self.settler.visibility;
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

    async fn carry_out(&self, message: &Message, handled: &Handled) -> Ending {
        let ending = self.settler.carry_out(subject(message), handled).await;
        if ending.deletes() && self.done.send(message.receipt.clone()).await.is_err() {
            warn!(message_id = message.id, "message not deleted; it will come again");
        }
        ending
    }
}

fn subject(message: &Message) -> Subject<'_> {
    Subject { id: &message.id, body: &message.body, receipt: &message.receipt }
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
