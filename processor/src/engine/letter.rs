//! Writes dead letters. Pure.
//!
//! A letter says enough to act on it, and its body can be sent back to the queue:
//! what was already delivered is not delivered again.

use crate::{
    model::{
        ids::TenantId,
        letter::{
            BUCKET, DESTINATION, DETAIL, KEY, OFFSET, REASON, STAGE, TENANT,
            VERSION as VERSION_NAME,
        },
        notification::ObjectRef,
        outcome::{Outcome, Stage},
        progress::{Continuation, Progress},
        tenant::DeliveryKind,
    },
    ports::DeadLetter,
};

/// The version of the engine, an attribute of its letters.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest attribute value; keys are shorter than that.
const MAX_VALUE_CHARS: usize = 1024;

/// What a letter is about.
pub(crate) struct Subject<'a> {
    pub(crate) outcome: &'a Outcome,
    pub(crate) tenant: Option<&'a TenantId>,
    pub(crate) object: Option<&'a ObjectRef>,
    pub(crate) destination: Option<DeliveryKind>,
    pub(crate) progress: Option<&'a Progress>,
    pub(crate) detail: Option<&'a str>,
}

/// Writes a letter about `subject`. `body` is the record alone, or the whole message.
pub(crate) fn letter(subject: &Subject<'_>, body: &str, continuation: &Continuation) -> DeadLetter {
    let body = if continuation.progress.is_empty() { None } else { continuation.attach(body) }
        .unwrap_or_else(|| body.to_owned());
    let stage = match subject.outcome {
        Outcome::Transient { stage, .. }
        | Outcome::Parked { stage, .. }
        | Outcome::Poison { stage, .. } => *stage,
        Outcome::Gone => Stage::Read,
        Outcome::Delivered | Outcome::Skipped(_) | Outcome::Stopped(_) | Outcome::Systemic(_) => {
            Stage::Envelope
        }
    };
    let offset = subject.progress.map_or(0, |progress| progress.next.record);
    let mut attributes = vec![
        (REASON, subject.outcome.as_str().to_owned()),
        (STAGE, stage.as_str().to_owned()),
        (OFFSET, offset.to_string()),
        (VERSION_NAME, VERSION.to_owned()),
    ];
    let mut add = |name, value: Option<String>| {
        let value = value.map(|text| legal_text(&text)).filter(|text| !text.is_empty());
        attributes.extend(value.map(|value| (name, value)));
    };
    add(TENANT, subject.tenant.map(ToString::to_string));
    add(BUCKET, subject.object.map(|object| object.bucket.to_string()));
    add(KEY, subject.object.map(|object| object.key.clone()));
    add(DESTINATION, subject.destination.map(|kind| kind.to_string()));
    add(DETAIL, subject.detail.map(str::to_owned));
    DeadLetter { body, attributes }
}

/// Keeps the characters that SQS takes (`SendMessage` in the API model) and cuts what is too long.
fn legal_text(text: &str) -> String {
    let legal = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if legal(&c) { c } else { '\u{fffd}' }).take(MAX_VALUE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::PoisonReason;

    #[test]
    fn a_letter_says_what_it_is_about() {
        let object = ObjectRef::new("logs".parse().unwrap(), "c/t/a/p\u{1}/f".to_owned());
        let tenant = "acme".parse().unwrap();
        let progress = Progress {
            next: crate::model::events::RecordPlace { record: 40, ..Default::default() },
            ..Progress::default()
        };
        let subject = Subject {
            outcome: &Outcome::Poison { reason: PoisonReason::Truncated, stage: Stage::Decode },
            tenant: Some(&tenant),
            object: Some(&object),
            destination: Some(DeliveryKind::CloudWatch),
            progress: Some(&progress),
            detail: None,
        };
        let letter = letter(&subject, "{}", &Continuation::default());
        let expected = [
            ("reason", "content_truncated"),
            ("stage", "decode"),
            ("offset", "40"),
            ("version", VERSION),
            ("tenant", "acme"),
            ("bucket", "logs"),
            ("key", "c/t/a/p\u{fffd}/f"),
            ("destination", "cloudwatch"),
        ];
        assert_eq!(letter.attributes, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(letter.body, "{}");
    }
}
