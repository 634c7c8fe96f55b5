//! One heartbeat, from the bucket to the log group.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::place::Place;
use crate::{
    aws::messages::QueueFacts,
    commands::{Context, dlq::reading, stopping::StopRequest},
    error::CliError,
    letters::advice,
    probe::{self, Heartbeat, Outcome, Stages},
};

/// How often the log group is looked at. `GetLogEvents` may be called 25 times a second.
const LOOKS: Duration = Duration::from_millis(500);
/// A longer dead-letter queue is not searched to its end.
const SEARCHED: usize = 10_000;

/// What became of a heartbeat.
#[derive(Debug, Clone)]
pub(super) struct Beat {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) stream: String,
    pub(super) outcome: Outcome,
    pub(super) stages: Stages,
    /// The queue, as it was when the heartbeat was given up.
    pub(super) queue: Option<Waiting>,
    /// The dead letter that the heartbeat became.
    pub(super) letter: Option<Letter>,
}

/// What waits in the queue.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Waiting {
    pub(super) visible: u64,
    pub(super) in_flight: u64,
}

/// Why the engine gave a heartbeat up.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Letter {
    pub(super) reason: String,
    pub(super) stage: Option<String>,
    pub(super) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<&'static str>,
}

impl Beat {
    fn new(beat: &Heartbeat) -> Self {
        Self {
            id: beat.id.clone(),
            key: beat.key.clone(),
            stream: beat.stream.to_string(),
            outcome: Outcome::Late,
            stages: Stages::default(),
            queue: None,
            letter: None,
        }
    }

    /// A heartbeat that could not be sent, or not be looked for.
    pub(super) fn failed(number: u64) -> Self {
        Self {
            id: number.to_string(),
            key: String::new(),
            stream: String::new(),
            outcome: Outcome::Failed,
            stages: Stages::default(),
            queue: None,
            letter: None,
        }
    }

    /// Says where a late heartbeat probably is.
    pub(super) fn advice(&self) -> String {
        match self.queue {
            Some(Waiting { visible, in_flight }) if visible + in_flight > 0 => format!(
                "{visible} messages wait in the queue and {in_flight} are in work: the engine is behind, stopped, or \
                 waits for something to be mended; look at its logs"
            ),
            Some(_) => "the queue is empty: either the bucket's notification does not reach it, or the engine has \
                        delivered to another place"
                .to_owned(),
            None => "the queue could not be looked at".to_owned(),
        }
    }
}

/// Sends a heartbeat and waits for it. None: somebody asked to stop.
pub(super) async fn send(
    context: &Context<'_>,
    place: &mut Place,
    number: u64,
    limit: Duration,
    stop: &mut StopRequest,
) -> Result<Option<Beat>, CliError> {
    let began = Instant::now();
    let heartbeat =
        Heartbeat::new(&place.tenant, &place.queues.prefix, &place.run, number, Timestamp::now());
    let mut beat = Beat::new(&heartbeat);
    let content = heartbeat.content.clone();
    place.s3.put_log_object(&place.bucket, &heartbeat.key, content).await.map_err(|fault| {
        CliError::aws(format!("failed to write a heartbeat to bucket `{}`", place.bucket), fault)
    })?;
    let put = Timestamp::now();
    beat.stages.put_ms = Some(milliseconds(began.elapsed()));
    place.pending.insert(heartbeat.key.clone());
    if !place.streams.contains(&heartbeat.stream) {
        place.streams.push(heartbeat.stream.clone());
    }
    context.ui.detail(&format!("s3://{}/{} is written", place.bucket, heartbeat.key));
    while began.elapsed() < limit {
        let found = place
            .arrivals
            .find(&place.group, &heartbeat.stream, &heartbeat.message)
            .await
            .map_err(|fault| {
                CliError::aws(format!("failed to read the log group `{}`", place.group), fault)
            })?;
        if let Some(taken) = found {
            beat.outcome = Outcome::Arrived;
            beat.stages.delivered_ms = Some(probe::between(put, taken));
            beat.stages.visible_ms = Some(probe::between(taken, Timestamp::now()));
            beat.stages.total_ms = Some(milliseconds(began.elapsed()));
            forget(context, place, &heartbeat.key).await;
            return Ok(Some(beat));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOKS.min(limit)) => {}
            () = stop.wait() => return Ok(None),
        }
    }
    lost(context, place, &mut beat).await;
    Ok(Some(beat))
}

/// Deletes the object of a heartbeat that has arrived.
async fn forget(context: &Context<'_>, place: &mut Place, key: &str) {
    match place.s3.delete_object(&place.bucket, key).await {
        Ok(()) => {}
        Err(fault) => context.ui.warning(&format!(
            "The object s3://{}/{key} stays until the bucket deletes it (deleting it needs `{}`).",
            place.bucket,
            fault.permission()
        )),
    }
    place.pending.remove(key);
}

/// Finds out where a late heartbeat is, as far as that is permitted.
async fn lost(context: &Context<'_>, place: &mut Place, beat: &mut Beat) {
    let queues = &place.queues;
    if let Some(queue) = &queues.queue
        && let Ok(Some(QueueFacts { visible, in_flight, .. })) = queues.sqs.facts(&queue.url).await
    {
        beat.queue = Some(Waiting { visible, in_flight });
    }
    let object = format!("s3://{}/{}", place.bucket, beat.key);
    let mut letter = None;
    let looked = reading::look(context, queues, SEARCHED, |_, found| {
        if found.objects.contains(&object) {
            letter = Some(Letter {
                remedy: advice::find(&found.reason).map(|advice| advice.remedy),
                reason: found.reason,
                stage: found.stage,
                detail: found.detail,
            });
        }
    })
    .await;
    if let Err(error) = looked {
        context.ui.detail(&format!("The dead letters could not be looked at: {error}."));
    }
    if letter.is_some() {
        beat.outcome = Outcome::DeadLetter;
        beat.letter = letter;
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A heartbeat of a canary, in one line.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    at: String,
    tenant: String,
    id: String,
    outcome: Outcome,
    #[serde(flatten)]
    stages: Stages,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<Letter>,
}

impl Line {
    pub(super) fn new(place: &Place, beat: &Beat) -> Self {
        Self {
            at: format!("{:.0}", Timestamp::now()),
            tenant: place.tenant.to_string(),
            id: beat.id.clone(),
            outcome: beat.outcome,
            stages: beat.stages,
            queue: beat.queue,
            letter: beat.letter.clone(),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:<11}", self.at, self.outcome.as_str())?;
        for (stage, value) in self.stages.known() {
            write!(f, "  {stage} {} s", probe::seconds(value))?;
        }
        if let Some(Letter { reason, .. }) = &self.letter {
            write!(f, "  {reason}")?;
        }
        if let Some(Waiting { visible, in_flight }) = self.queue {
            write!(f, "  queue {visible} waiting, {in_flight} in work")?;
        }
        Ok(())
    }
}
