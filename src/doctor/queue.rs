//! Checks of the queue and its dead-letter queue.

use super::{
    Check, Finding, Look, Severity::Problem, Texts, Verdict, check, facts::Facts, policy, seen,
};
use crate::{
    aws::sqs::QueueSettings,
    operate::{pipeline::Queue, reading::Reading, screen::span},
};

/// Lambda wants a queue to hide a message for six times the function's timeout.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
const VISIBILITY_FACTOR: u32 = 6;
/// From this age on, a message that nobody works on means that nobody works.
const IDLE_SECONDS: f64 = 900.0;
const DAY_SECONDS: f64 = 86_400.0;

const QUEUE: &str = "the queue";

/// Codes MT120 to MT129.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Queues],
        present,
        Texts {
            code: "MT120",
            well: "the queues are there",
            title: "a queue is missing",
            why: "The stack has it, and somebody deleted it by hand. Announcements of new objects are lost meanwhile.",
            fix: "`mtlog drift regional` shows it; deploy the stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Problem,
        &[Look::Queues],
        redrive,
        Texts {
            code: "MT121",
            well: "what fails for ever is kept",
            title: "what fails for ever is not kept",
            why: "Without its dead-letter queue, a message that cannot be processed is deleted after some days, and with it \
              every trace of the lost logs.",
            fix: "Deploy the regional stack again.",
        },
    ),
    check(
        Problem,
        &[Look::Queues, Look::Function],
        visibility,
        Texts {
            code: "MT122",
            well: "messages are hidden long enough",
            title: "messages are not hidden long enough",
            why: "A message comes back while the function still works on it, and its logs are delivered twice.",
            fix: "Deploy the regional stack again: it sets both times from LambdaTimeoutSeconds.",
        },
    ),
    check(
        Problem,
        &[Look::Queues],
        lets_in,
        Texts {
            code: "MT123",
            well: "the topic may send to the queue",
            title: "the topic may not send to the queue",
            why: "SNS drops at once what a queue refuses. New objects are never processed.",
            fix: "Deploy the regional stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Problem,
        &[Look::Queues],
        dead_letters,
        Texts {
            code: "MT124",
            well: "there are no dead letters",
            title: "there are dead letters",
            why: "Each is a message whose logs were not delivered. Their objects expire.",
            fix: "`mtlog dlq list` tells the reasons; mend them, then `mtlog dlq redrive`.",
        },
    ),
    check(
        Problem,
        &[Look::Queues, Look::Hour],
        idle,
        Texts {
            code: "MT125",
            well: "messages are worked on",
            title: "nobody works on the messages",
            why: "Messages wait and none is in flight: no processor runs, or it cannot receive.",
            fix: "Look at the function with `mtlog doctor --only MT140,MT142`, or at the processor's pods.",
        },
    ),
    check(
        Problem,
        &[Look::Hour],
        outlived,
        Texts {
            code: "MT126",
            well: "messages are younger than their objects' end",
            title: "objects will be deleted before their delivery",
            why: "The oldest message is older than half the time that objects are kept. When an object is gone, its logs \
              are lost.",
            fix: "Raise S3DeleteAfterDays now (`mtlog deploy regional --param S3DeleteAfterDays=14`), then find out why \
              delivery lags.",
        },
    ),
];

fn name(queue: Option<&Queue>) -> String {
    queue.map_or_else(|| QUEUE.to_owned(), |queue| queue.name.clone())
}

/// Judges a queue that is there.
fn existing(
    reading: &Reading<Option<QueueSettings>>,
    judge: impl FnOnce(&QueueSettings) -> Verdict,
) -> Verdict {
    seen(reading, QUEUE, |queue| match queue {
        Some(queue) => judge(queue),
        None => Verdict::Skipped { reason: "the queue does not exist".to_owned() },
    })
}

pub(super) fn present(facts: &Facts) -> Verdict {
    let mut findings = Vec::new();
    for (reading, queue) in
        [(&facts.queue, &facts.pipeline.queue), (&facts.dead_letters, &facts.pipeline.dead_letters)]
    {
        match seen(reading, QUEUE, |found| {
            Verdict::well_if(found.is_some(), || {
                Finding::new(name(queue.as_ref()), "does not exist, although the stack has it")
            })
        }) {
            Verdict::Well => {}
            Verdict::Found { findings: more } => findings.extend(more),
            other @ (Verdict::Skipped { .. } | Verdict::Unknown { .. }) => return other,
        }
    }
    Verdict::of(findings)
}

pub(super) fn redrive(facts: &Facts) -> Verdict {
    existing(&facts.queue, |queue| {
        let wanted = facts.dead_letters.value().and_then(Option::as_ref).map(|dead| &dead.arn);
        match (&queue.dead_letter_target, wanted) {
            (None, _) => Verdict::found(
                name(facts.pipeline.queue.as_ref()),
                "has no dead-letter queue: what fails for ever is deleted in the end",
            ),
            (Some(target), Some(wanted)) if target != wanted => Verdict::found(
                name(facts.pipeline.queue.as_ref()),
                format!("sends dead letters to `{target}` instead of `{wanted}`"),
            ),
            (Some(_), _) => Verdict::Well,
        }
    })
}

pub(super) fn visibility(facts: &Facts) -> Verdict {
    existing(&facts.queue, |queue| {
        seen(&facts.function, "the function", |function| {
            let Some(function) = function else {
                return Verdict::Skipped { reason: "the function does not exist".to_owned() };
            };
            let needed = function.timeout_seconds * VISIBILITY_FACTOR;
            Verdict::well_if(queue.visibility_seconds >= needed, || {
                let text = format!(
                    "hides a message for {} s, and a function with a timeout of {} s needs {needed} s: messages are \
                     delivered twice",
                    queue.visibility_seconds, function.timeout_seconds
                );
                Finding::new(name(facts.pipeline.queue.as_ref()), text)
            })
        })
    })
}

pub(super) fn lets_in(facts: &Facts) -> Verdict {
    existing(&facts.queue, |queue| {
        let topic = facts.pipeline.topic_arn.as_deref().unwrap_or_default();
        let lets_in = queue.policy.as_deref().is_some_and(|policy| lets_topic_send(policy, topic));
        Verdict::well_if(lets_in, || {
            let text = format!("does not let topic `{topic}` send: new objects are not announced");
            Finding::new(name(facts.pipeline.queue.as_ref()), text)
        })
    })
}

/// Whether the policy lets SNS send for this topic.
fn lets_topic_send(policy: &str, topic: &str) -> bool {
    policy::statements(policy).iter().any(|statement| {
        let from_topic = ["ArnEquals", "ArnLike", "StringEquals"].iter().any(|operator| {
            let path = format!("/Condition/{operator}/aws:SourceArn");
            policy::says(statement, &path, &[topic])
        });
        from_topic
            && policy::says(statement, "/Effect", &["Allow"])
            && policy::says(statement, "/Principal/Service", &["sns.amazonaws.com"])
            && policy::says(statement, "/Action", &["sqs:SendMessage", "SQS:SendMessage", "sqs:*"])
    })
}

pub(super) fn dead_letters(facts: &Facts) -> Verdict {
    existing(&facts.dead_letters, |queue| {
        Verdict::well_if(queue.messages == 0, || {
            let letters = if queue.messages == 1 { "dead letter" } else { "dead letters" };
            Finding::new(
                name(facts.pipeline.dead_letters.as_ref()),
                format!("holds {} {letters}: these logs are not delivered", queue.messages),
            )
        })
    })
}

pub(super) fn idle(facts: &Facts) -> Verdict {
    existing(&facts.queue, |queue| {
        seen(&facts.hour.as_ref().map(|hour| hour.oldest_message()), "a metric", |oldest| {
            let seconds = oldest.value().and_then(|oldest| oldest.seconds);
            let waits = queue.messages > 0 && queue.in_flight == 0;
            match seconds.filter(|seconds| waits && *seconds > IDLE_SECONDS) {
                None => Verdict::Well,
                Some(seconds) => {
                    let messages = if queue.messages == 1 { "message" } else { "messages" };
                    let text = format!(
                        "holds {} {messages}, the oldest for {}, and nobody works on any",
                        queue.messages,
                        span(seconds)
                    );
                    Verdict::found(name(facts.pipeline.queue.as_ref()), text)
                }
            }
        })
    })
}

pub(super) fn outlived(facts: &Facts) -> Verdict {
    let Some(days) = facts.parameter("S3DeleteAfterDays").and_then(|days| days.parse::<f64>().ok())
    else {
        return super::stacks::not_deployed("the regional stack");
    };
    seen(&facts.hour.as_ref().map(|hour| hour.oldest_message()), "a metric", |oldest| {
        let seconds = oldest.value().and_then(|oldest| oldest.seconds);
        let limit = days * DAY_SECONDS / 2.0;
        match seconds.filter(|seconds| *seconds > limit) {
            None => Verdict::Well,
            Some(seconds) => Verdict::found(
                name(facts.pipeline.queue.as_ref()),
                format!(
                    "has a message that is {} old, and objects are deleted after {days:.0} days",
                    span(seconds)
                ),
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_statement_for_the_topic_lets_it_send() {
        let policy = |source: &str| {
            format!(
                r#"{{"Statement": [{{"Effect": "Allow", "Principal": {{"Service": "sns.amazonaws.com"}}, "Action": "sqs:SendMessage", "Condition": {{"ArnEquals": {{"aws:SourceArn": "{source}"}}}}}}]}}"#
            )
        };
        let topic = "arn:aws:sns:us-east-2:111122223333:t";
        assert!(lets_topic_send(&policy(topic), topic));
        assert!(!lets_topic_send(&policy("arn:aws:sns:us-east-2:111122223333:u"), topic));
        assert!(!lets_topic_send("{}", topic));
    }
}
