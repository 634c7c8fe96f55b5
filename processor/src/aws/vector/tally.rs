//! What Vector says that it has done, read from its own metrics.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The source with the events.
pub(super) const EVENTS: &str = "events";
/// The transform that gives them their time.
pub(super) const TIMED: &str = "timed";
/// The sink.
pub(super) const CUSTOMER: &str = "customer";

const SENT: &str = "component_sent_events_total";
const DISCARDED: &str = "component_discarded_events_total";

/// The counts of one process. Each series is counted from its beginning, so the last value of each holds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: BTreeMap<String, u64>,
    discarded: BTreeMap<String, u64>,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not all of it is accounted for.
    Open,
    /// The sink has sent every event, and nothing was dropped on the way.
    Sent,
    /// Something was dropped, or more was sent than there is.
    Failed,
}

impl Tally {
    /// Reads a line of Vector's output. What is no metric of ours counts nothing.
    pub(super) fn note(&mut self, line: &str) {
        let Ok(metric) = serde_json::from_str::<Metric>(line) else { return };
        let Some(component) = metric.tags.get("component_id") else { return };
        let value = metric.counter.value.max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of events, not negative, far below 2^53"
        )]
        let value = value as u64;
        let series = match (metric.name.as_str(), component.as_str()) {
            (SENT, CUSTOMER) => &mut self.sent,
            (DISCARDED, EVENTS | TIMED | CUSTOMER) => &mut self.discarded,
            _ => return,
        };
        let tags: Vec<String> =
            metric.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        series.insert(tags.join(","), value);
    }

    /// Judges a batch of so many events.
    pub(super) fn standing(&self, events: u64) -> Standing {
        match self.sent().cmp(&events) {
            _ if self.discarded() > 0 => Standing::Failed,
            std::cmp::Ordering::Less => Standing::Open,
            std::cmp::Ordering::Equal => Standing::Sent,
            std::cmp::Ordering::Greater => Standing::Failed,
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.values().sum()
    }

    pub(super) fn discarded(&self) -> u64 {
        self.discarded.values().sum()
    }
}

/// A counter as Vector's `json` codec writes it.
#[derive(Deserialize)]
struct Metric {
    name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    counter: Counter,
}

#[derive(Deserialize)]
struct Counter {
    value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, component: &str, tags: &str, value: f64) -> String {
        format!(
            r#"{{"name":"{name}","namespace":"vector","tags":{{"component_id":"{component}","component_kind":"sink","host":"h"{tags}}},"timestamp":"2026-11-23T09:41:33Z","kind":"absolute","counter":{{"value":{value:?}}}}}"#
        )
    }

    fn tally(lines: &[String]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.note(line));
        tally
    }

    #[test]
    fn only_the_sinks_own_word_settles_a_batch() {
        let sent = |value: f64| line(SENT, CUSTOMER, "", value);
        for (lines, expected) in [
            (vec![], Standing::Open),
            (vec![sent(0.0), sent(4.0)], Standing::Open),
            (vec![sent(2.0), sent(5.0), sent(5.0)], Standing::Sent),
            (vec![sent(6.0)], Standing::Failed),
            // What came in, what the transform passed on, and what its metrics' sink wrote prove nothing.
            (vec![line("component_received_events_total", CUSTOMER, "", 5.0)], Standing::Open),
            (vec![line(SENT, TIMED, "", 5.0), line(SENT, "account", "", 5.0)], Standing::Open),
            (
                vec![sent(4.0), line(DISCARDED, CUSTOMER, r#","intentional":"false""#, 1.0)],
                Standing::Failed,
            ),
            (vec![line(DISCARDED, TIMED, "", 1.0)], Standing::Failed),
            (vec![line(DISCARDED, EVENTS, "", 1.0)], Standing::Failed),
            // Nobody loses events by dropping metrics.
            (vec![sent(5.0), line(DISCARDED, "account", "", 1.0)], Standing::Sent),
            (vec![sent(5.0), line(DISCARDED, CUSTOMER, "", 0.0)], Standing::Sent),
            // A sink that reports by output sums up.
            (
                vec![
                    line(SENT, CUSTOMER, r#","output":"a""#, 2.0),
                    line(SENT, CUSTOMER, r#","output":"b""#, 3.0),
                ],
                Standing::Sent,
            ),
            (
                vec![
                    "5".to_owned(),
                    "{".to_owned(),
                    r#"{"name":"x","gauge":{"value":1.0}}"#.to_owned(),
                ],
                Standing::Open,
            ),
        ] {
            assert_eq!(tally(&lines).standing(5), expected, "{lines:?}");
        }
    }
}
