//! What a replay says at its beginning and at its end.

use jiff::{SignedDuration, Timestamp};
use mtlog_processor::{engine::Handled, model::outcome::Ledger};
use serde::Serialize;

use crate::{
    replay::Estimate,
    ui::{Report, style::Palette, table::Table},
};

/// So many objects that were not delivered are named one by one; the rest is counted.
const NAMED: usize = 100;
/// So many tenants are shown in the table of an estimate.
const SHOWN: usize = 20;

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// No object is meant.
    Nothing,
    /// It would be done.
    Planned,
    /// Every object was looked at.
    Done,
    /// It was broken off.
    Interrupted,
}

/// A replay.
#[derive(Debug, Serialize)]
pub(super) struct Replay {
    pub(super) bucket: String,
    pub(super) state: State,
    pub(super) tenants: Vec<String>,
    pub(super) cluster: Option<String>,
    #[serde(serialize_with = "crate::instant::maybe_text")]
    pub(super) since: Option<Timestamp>,
    #[serde(serialize_with = "crate::instant::text")]
    pub(super) before: Timestamp,
    /// Whether it goes on from a cursor.
    pub(super) resumes: bool,
    /// Objects that an earlier run could not settle; they come first.
    pub(super) left_open: u64,
    pub(super) expire_after_days: Option<u32>,
    pub(super) estimate: Estimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) done: Option<Done>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done {
    /// Objects, for each of their destinations.
    pub(super) objects: u64,
    /// Those of them that did not end well.
    pub(super) not_delivered: u64,
    /// Objects that the next run with the same cursor tries first.
    pub(super) open: u64,
    pub(super) records: Ledger,
    /// The first that did not end well.
    pub(super) problems: Vec<Line>,
}

/// How one object ended at one destination.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    object: Option<String>,
    tenant: Option<String>,
    destination: Option<String>,
    outcome: &'static str,
    detail: Option<String>,
    delivered: u64,
    read: u64,
}

impl Done {
    /// Counts how an object ended, and returns a line for each of its destinations.
    pub(super) fn add(&mut self, handled: &Handled) -> Vec<Line> {
        let mut lines = Vec::new();
        for result in &handled.results {
            let ledger = result.ledger();
            let line = Line {
                object: result.object.as_ref().map(|object| object.key.clone()),
                tenant: result.tenant.as_ref().map(ToString::to_string),
                destination: result.destination.map(|kind| kind.to_string()),
                outcome: result.outcome.as_str(),
                detail: result.detail.clone(),
                delivered: ledger.delivered,
                read: ledger.read,
            };
            self.objects += 1;
            self.records += ledger;
            let well =
                result.outcome.is_settled() && ledger.delivered + ledger.filtered == ledger.read;
            if !well {
                self.not_delivered += 1;
                if self.problems.len() < NAMED {
                    self.problems.push(line.clone());
                }
            }
            lines.push(line);
        }
        lines
    }
}

impl Replay {
    /// Returns the estimate as people read it.
    pub(super) fn summary(&self, palette: Palette) -> String {
        let tables: Vec<String> =
            self.estimate_tables().iter().map(|table| table.render(palette)).collect();
        tables.join("\n")
    }

    fn estimate_tables(&self) -> Vec<Table> {
        let estimate = &self.estimate;
        let mut table = Table::new([]).titled(format!("replay from s3://{}", self.bucket));
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        let tenants =
            if self.tenants.is_empty() { "all".to_owned() } else { self.tenants.join(", ") };
        row("tenants", tenants);
        if let Some(cluster) = &self.cluster {
            row("cluster", cluster.clone());
        }
        let since = self.since.map(|since| format!("since {since:.0}, ")).unwrap_or_default();
        row("written", format!("{since}before {:.0}", self.before));
        if self.state == State::Nothing {
            row("objects", "none".to_owned());
            return vec![table];
        }
        row("objects", format!("{}, {} compressed", estimate.objects, bytes(estimate.bytes)));
        if self.left_open > 0 {
            row("left over", format!("{} that could not be settled before", self.left_open));
        }
        if let (Some(oldest), Some(newest)) = (estimate.oldest, estimate.newest) {
            row("oldest, newest", format!("{oldest:.0}, {newest:.0}"));
        }
        if let (Some(days), Some(oldest)) = (self.expire_after_days, estimate.oldest) {
            let first = oldest + SignedDuration::from_hours(24 * i64::from(days));
            row("deleted", format!("{days} days after writing, the oldest on {first:.0}"));
        }
        if estimate.too_old > 0 {
            row("too old", format!("{} from before 14 days", estimate.too_old));
        }
        if estimate.without_tenant > 0 {
            row(
                "without a tenant",
                format!("{}; they cannot be delivered", estimate.without_tenant),
            );
        }
        let calls = estimate.calls;
        row(
            "calls",
            format!(
                "{} GetObject, {} ListObjectsV2, about {} PutLogEvents for each CloudWatch delivery",
                calls.get_object, calls.list_objects, calls.put_log_events
            ),
        );
        let mut tables = vec![table];
        if estimate.tenants.len() > 1 {
            let mut shares: Vec<_> = estimate.tenants.iter().collect();
            shares.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
            let mut by_tenant = Table::new(["TENANT", "OBJECTS", "COMPRESSED"]);
            for (tenant, share) in shares.iter().take(SHOWN) {
                by_tenant.row([(*tenant).clone(), share.objects.to_string(), bytes(share.bytes)]);
            }
            if let Some(more) = shares.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                by_tenant.row([format!("and {more} more"), String::new(), String::new()]);
            }
            tables.push(by_tenant);
        }
        tables
    }
}

impl Report for Replay {
    fn tables(&self) -> Vec<Table> {
        let Some(done) = &self.done else { return self.estimate_tables() };
        let title = match self.state {
            State::Interrupted => "interrupted",
            State::Nothing | State::Planned | State::Done => "replayed",
        };
        let mut table = Table::new([]).titled(format!("{title} from s3://{}", self.bucket));
        let records = done.records;
        for (name, count) in [
            ("objects (for each destination)", done.objects),
            ("not delivered in full", done.not_delivered),
            ("to be tried again", done.open),
            ("records read", records.read),
            ("records delivered", records.delivered),
            ("records not wanted", records.filtered),
            ("records refused as too old", records.rejected_old + records.expired),
            ("records refused as too new", records.rejected_new),
            ("records quarantined", records.quarantined),
            ("records not readable", records.undecodable),
        ] {
            if count > 0 || name.ends_with("delivered") {
                table.row([name.to_owned(), count.to_string()]);
            }
        }
        let mut tables = vec![table];
        if !done.problems.is_empty() {
            let mut problems = Table::new(["OUTCOME", "TENANT", "TO", "DELIVERED", "OBJECT"]);
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            for line in &done.problems {
                problems.row([
                    line.outcome.to_owned(),
                    text(&line.tenant),
                    text(&line.destination),
                    format!("{} of {}", line.delivered, line.read),
                    text(&line.object),
                ]);
            }
            tables.push(problems);
        }
        tables
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut whole = count;
    let mut tenths = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 * 1024 * 1024 * 1024, "5.0 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
