//! Takes a message apart, does what each record asks for, and puts the outcomes
//! together again.

use std::time::Duration;

use tracing::Instrument;

use crate::{
    engine::{
        Context,
        letter::{self, Subject},
        object::{self, WorkResult},
        route,
        stop::Stop,
        verdict::{self, Disposition, Verdict},
    },
    metrics::Metric,
    model::{
        notification::{
            Content, Entry, InvalidNotification, InvalidRecord, Notification, ObjectRef,
        },
        outcome::{History, Outcome, PoisonReason, Skip, Stage},
        progress::{Continuation, WorkId},
    },
    ports::DeadLetter,
    telemetry::TRACES,
};

/// How often a message may be handed on to ourselves. Lambda stops such a chain at about sixteen.
pub(crate) const MAX_HOPS: u32 = 12;

/// A message, whatever queue it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The id for log lines.
    pub id: &'a str,
    /// The body.
    pub body: &'a str,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent, in milliseconds since the epoch.
    pub sent_ms: i64,
    /// After how many receives the queue moves it away by itself.
    pub max_receives: Option<u32>,
    /// Whether it may be sent anew instead of being given back.
    pub renewal: Renewal,
}

/// Whether a message that is kept may be sent anew, with what has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It is given back as it is.
    Never,
    /// It is sent anew when that spares work, or before the queue would move it away.
    Allowed,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Handled {
    /// What to do with the message.
    pub verdict: Verdict,
    /// What to send to the dead-letter queue first, when the verdict is to bury.
    pub letters: Vec<DeadLetter>,
    /// How each object ended.
    pub results: Vec<WorkResult>,
    /// What to send the message anew with, when that is allowed and worth while.
    pub continuation: Option<Continuation>,
}

/// One result and the body that stands for its record alone.
struct Part {
    result: WorkResult,
    body: String,
}

/// The lane of messages that name no tenant.
const NO_TENANT: &str = "";

/// Returns the tenant of a message's first object and the bytes of all.
pub(crate) fn lane(context: &Context, body: &str) -> (String, u64) {
    let Ok(notification) = Notification::parse(body) else { return (NO_TENANT.to_owned(), 0) };
    let mut objects = notification.entries.iter().filter_map(|entry| match &entry.content {
        Content::Created(object) => Some(object),
        Content::Ignored { .. } | Content::Invalid(_) => None,
    });
    let Some(first) = objects.next() else { return (NO_TENANT.to_owned(), 0) };
    let tenant = route::admit(first, &context.settings.scope).map(|log| log.tenant.to_string());
    let bytes =
        first.size.unwrap_or_default() + objects.filter_map(|object| object.size).sum::<u64>();
    (tenant.unwrap_or_default(), bytes)
}

pub(crate) async fn handle(context: &Context, incoming: &Incoming<'_>, stop: &Stop) -> Handled {
    let span = tracing::info_span!(
        target: TRACES, "message", message_id = incoming.id, receives = incoming.receives);
    let (parts, earlier) = match Notification::parse(incoming.body) {
        Ok(notification) => {
            let earlier = notification.continuation.unwrap_or_default();
            let parts = entries(context, notification.entries, &earlier, stop).instrument(span);
            (parts.await, earlier)
        }
        Err(problem) => (vec![unreadable(incoming, &problem)], Continuation::default()),
    };
    for part in &parts {
        object::report(context, &part.result, incoming.id);
    }
    conclude(context, incoming, parts, &earlier)
}

pub(crate) async fn handle_object(context: &Context, object: &ObjectRef, stop: &Stop) -> Handled {
    let sent_ms = context.clock.now_ms();
    let renewal = Renewal::Never;
    let incoming =
        Incoming { id: "object", body: "", receives: 2, sent_ms, max_receives: None, renewal };
    let earlier = Continuation::default();
    let results = object::deliver(context, object, &earlier, stop).await;
    let parts: Vec<Part> =
        results.into_iter().map(|result| Part { result, body: String::new() }).collect();
    for part in &parts {
        object::report(context, &part.result, incoming.id);
    }
    conclude(context, &incoming, parts, &earlier)
}

async fn entries(
    context: &Context,
    entries: Vec<Entry>,
    earlier: &Continuation,
    stop: &Stop,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for Entry { body, content } in entries {
        let results = match content {
            Content::Ignored { event } => {
                vec![WorkResult {
                    detail: Some(event),
                    ..WorkResult::new(Outcome::Skipped(Skip::Ignored))
                }]
            }
            Content::Invalid(problem) => vec![invalid(&problem)],
            Content::Created(object) if earlier.hops > MAX_HOPS => {
                let outcome =
                    Outcome::Poison { reason: PoisonReason::TooManyHops, stage: Stage::Envelope };
                vec![WorkResult { object: Some(object), ..WorkResult::new(outcome) }]
            }
            Content::Created(object) => match stop.reason() {
                Some(reason) => {
                    vec![WorkResult {
                        object: Some(object),
                        ..WorkResult::new(Outcome::Stopped(reason))
                    }]
                }
                None => object::deliver(context, &object, earlier, stop).await,
            },
        };
        parts.extend(results.into_iter().map(|result| Part { result, body: body.clone() }));
    }
    parts
}

fn unreadable(incoming: &Incoming<'_>, problem: &InvalidNotification) -> Part {
    let reason = match problem {
        InvalidNotification::NotJson | InvalidNotification::MessageNotJson => PoisonReason::NotJson,
        InvalidNotification::UnknownEnvelope => PoisonReason::UnknownEnvelope,
    };
    let outcome = Outcome::Poison { reason, stage: Stage::Envelope };
    let result = WorkResult { detail: Some(problem.to_string()), ..WorkResult::new(outcome) };
    Part { result, body: incoming.body.to_owned() }
}

fn invalid(problem: &InvalidRecord) -> WorkResult {
    let outcome = Outcome::Poison { reason: PoisonReason::InvalidRecord, stage: Stage::Envelope };
    WorkResult { detail: Some(problem.to_string()), ..WorkResult::new(outcome) }
}

fn conclude(
    context: &Context,
    incoming: &Incoming<'_>,
    parts: Vec<Part>,
    earlier: &Continuation,
) -> Handled {
    let first_sent_ms =
        if earlier.first_sent_ms > 0 { earlier.first_sent_ms } else { incoming.sent_ms };
    let age_ms = u64::try_from(context.clock.now_ms() - first_sent_ms).unwrap_or_default();
    let renewable = incoming.renewal == Renewal::Allowed && earlier.hops < MAX_HOPS;
    let history = History {
        receives: incoming.receives,
        // What is sent anew in time is not moved away.
        max_receives: incoming.max_receives.filter(|_| !renewable),
        age: Duration::from_millis(age_ms),
    };
    let park_max = context.settings.park_max;
    let verdict =
        verdict::verdict(parts.iter().map(|part| &part.result.outcome), &history, park_max);
    let continuation = continuation(&parts, earlier, incoming, first_sent_ms);
    // Whoever sends a letter back wants it to be tried like a new message, from where it stopped.
    let resumable =
        Continuation { progress: continuation.progress.clone(), ..Continuation::default() };
    let mut letters = Vec::new();
    if verdict == Verdict::Bury {
        for Part { result, body } in &parts {
            if verdict::disposition(&result.outcome, &history, park_max) == Disposition::Letter {
                context.meter.add(Metric::DeadLetters, result.outcome.as_str(), 1);
                letters.push(letter::letter(&subject(result), body, &resumable));
            }
        }
    }
    context.meter.add(Metric::Messages, verdict.as_str(), 1);
    let advanced = continuation.progress != earlier.progress;
    let last_chance = incoming.max_receives.is_some_and(|most| incoming.receives + 1 >= most);
    Handled {
        verdict,
        letters,
        continuation: (renewable && (advanced || last_chance)).then_some(continuation),
        results: parts.into_iter().map(|part| part.result).collect(),
    }
}

fn subject(result: &WorkResult) -> Subject<'_> {
    Subject {
        outcome: &result.outcome,
        tenant: result.tenant.as_ref(),
        object: result.object.as_ref(),
        destination: result.destination,
        progress: result.progress.as_ref(),
        detail: result.detail.as_deref(),
    }
}

/// What the next attempt should know.
fn continuation(
    parts: &[Part],
    earlier: &Continuation,
    incoming: &Incoming<'_>,
    first_sent_ms: i64,
) -> Continuation {
    let mut progress = earlier.progress.clone();
    for Part { result, .. } in parts {
        if let (Some(object), Some(kind), Some(at)) =
            (&result.object, result.destination, &result.progress)
            && (at.done || at.next.record > 0)
        {
            progress.insert(WorkId::new(object, kind), at.clone());
        }
    }
    Continuation {
        hops: earlier.hops + 1,
        receives: earlier.receives + incoming.receives,
        first_sent_ms,
        progress,
    }
}
