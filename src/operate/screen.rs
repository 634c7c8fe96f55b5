//! One environment as a screen of text.

use super::{
    alarm::{Alarm, AlarmState},
    metric::Series,
    reading::Reading,
    spark::sparkline,
    view::{
        Arriving, Delivered, Depth, Environment, FailingTenant, FromLog, FunctionHour, Latency,
        OldestMessage, RegionView, ServedTenant, StackRow, Tenants,
    },
};
use crate::{
    deploy::target::Target,
    ui::{
        style::{Palette, printable},
        table::Table,
    },
};

/// How wide a sparkline of an hour is: two minutes a character.
const SPARK_COLUMNS: usize = 30;
/// Where sparklines start; a longer text pushes its own to the right.
const TEXT_COLUMNS: usize = 54;
/// How many names a line lists before it only counts.
const NAMES: usize = 5;

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Bad,
    Dim,
}

/// One line of a region: what, its text, and the last hour of it.
struct Line {
    label: &'static str,
    text: String,
    spark: String,
    mood: Mood,
}

/// Draws the screen.
pub fn draw(environment: &Environment, palette: Palette) -> String {
    let title = format!(
        "{} {}, account {}, {}",
        environment.project,
        environment.environment,
        environment.account,
        environment.at.strftime("%Y-%m-%d %H:%M:%S UTC")
    );
    let mut text = format!("{}\n", palette.strong(&printable(&title)));
    for region in &environment.regions {
        text.push('\n');
        text.push_str(&stacks(region, palette));
        for line in lines(region) {
            text.push_str(&drawn(&line, palette));
        }
    }
    text
}

fn drawn(line: &Line, palette: Palette) -> String {
    let shown = printable(&line.text);
    let padding = TEXT_COLUMNS.saturating_sub(shown.chars().count());
    let label = format!("{:<12}", line.label);
    if line.mood == Mood::Dim {
        return format!("  {}\n", palette.dim(&format!("{label}{shown}")));
    }
    let content = if line.mood == Mood::Bad { palette.bad(&shown) } else { shown };
    let spark = if line.spark.is_empty() {
        String::new()
    } else {
        format!("{}  {}", " ".repeat(padding), palette.hint(&line.spark))
    };
    format!("  {}{content}{spark}\n", palette.dim(&label))
}

fn stacks(region: &RegionView, palette: Palette) -> String {
    let heading = |text: &str| format!("{}\n", palette.strong(text));
    let rows = match &region.stacks {
        Reading::Known { value } => value,
        other => {
            let line = reading("stacks", other, |_| Line::well("stacks", String::new()));
            return format!("{}{}", heading(&region.region), drawn(&line, palette));
        }
    };
    let mut table =
        Table::new(["STACK", "TARGET", "STATE", "STATUS", "CHANGED", "VERSION", "PARTS"])
            .titled(&region.region)
            .or_say("  No stacks of this pipeline here.");
    for row in rows {
        table.row([
            row.stack.clone(),
            row.target.map_or("-", Target::as_str).to_owned(),
            row.state.to_owned(),
            row.status.clone(),
            row.changed.clone().unwrap_or_else(|| "-".to_owned()),
            row.version.clone().unwrap_or_else(|| "-".to_owned()),
            parts(row),
        ]);
    }
    table.render(palette)
}

fn parts(row: &StackRow) -> String {
    let mut parts: Vec<String> = row.parts.iter().map(|part| (*part).to_owned()).collect();
    if let Some(image) = &row.image {
        // A digest is known by its first letters, as everywhere.
        let name = image.rsplit('/').next().unwrap_or(image);
        let short = match name.split_once("@sha256:") {
            Some((name, digest)) => {
                format!("{name}@{}", digest.chars().take(12).collect::<String>())
            }
            None => name.to_owned(),
        };
        parts.push(short);
    }
    parts.join(", ")
}

fn lines(region: &RegionView) -> Vec<Line> {
    vec![
        reading("queue", &region.queue, queue),
        reading("oldest", &region.oldest_message, oldest),
        reading("dead", &region.dead_letters, dead),
        reading("arriving", &region.arriving, arriving),
        reading("delivered", &region.delivered, delivered),
        reading("latency", &region.latency, latency),
        reading("function", &region.function, function),
        reading("tenants", &region.tenants, tenants),
        reading("served", &region.served, served),
        reading("failing", &region.failing, failing),
        reading("alarms", &region.alarms, |alarms| self::alarms(alarms)),
    ]
}

/// A line of what was read, or of why it was not.
fn reading<T>(label: &'static str, reading: &Reading<T>, known: impl FnOnce(&T) -> Line) -> Line {
    let dim = |text: String| Line { label, text, spark: String::new(), mood: Mood::Dim };
    match reading {
        Reading::Known { value } => Line { label, ..known(value) },
        Reading::Absent => dim("not deployed".to_owned()),
        Reading::Denied { permission } => dim(format!("not permitted: needs {permission}")),
        Reading::Failed { reason } => dim(format!("not known: {reason}")),
    }
}

impl Line {
    fn well(label: &'static str, text: String) -> Self {
        Self { label, text, spark: String::new(), mood: Mood::Well }
    }

    fn new(text: String, history: &Series, mood: Mood) -> Self {
        Self { label: "", text, spark: sparkline(history, SPARK_COLUMNS), mood }
    }
}

fn bad_if(bad: bool) -> Mood {
    if bad { Mood::Bad } else { Mood::Well }
}

fn queue(depth: &Depth) -> Line {
    let mut text =
        format!("{} waiting, {} in flight", grouped(depth.waiting), grouped(depth.in_flight));
    if depth.delayed > 0 {
        text.push_str(&format!(", {} delayed", grouped(depth.delayed)));
    }
    Line::new(text, depth.history.value().unwrap_or(&Series::default()), Mood::Well)
}

fn oldest(oldest: &OldestMessage) -> Line {
    let text = match oldest.seconds {
        Some(seconds) => format!("{} old", span(seconds)),
        None => "no message waits".to_owned(),
    };
    Line::new(text, &oldest.history, Mood::Well)
}

fn dead(depth: &Depth) -> Line {
    let count = depth.waiting + depth.in_flight + depth.delayed;
    let text = match count {
        0 => "no dead letters".to_owned(),
        1 => "1 dead letter: mtlog dlq list".to_owned(),
        _ => format!("{} dead letters: mtlog dlq list", grouped(count)),
    };
    Line::new(text, depth.history.value().unwrap_or(&Series::default()), bad_if(count > 0))
}

fn arriving(arriving: &Arriving) -> Line {
    let text = format!("{} objects, {} opened", count(arriving.objects), bytes(arriving.bytes));
    Line::new(text, &arriving.history, Mood::Well)
}

fn delivered(delivered: &Delivered) -> Line {
    let mut text =
        format!("{} records in {} objects", count(delivered.records), count(delivered.objects));
    if delivered.dead_letters > 0.0 {
        text.push_str(&format!(", {} set aside", count(delivered.dead_letters)));
    }
    if delivered.roles_refused > 0.0 {
        text.push_str(&format!(", {} roles refused", count(delivered.roles_refused)));
    }
    let bad = delivered.dead_letters > 0.0 || delivered.roles_refused > 0.0;
    Line::new(text, &delivered.history, bad_if(bad))
}

fn latency(latency: &Latency) -> Line {
    let text = match (latency.median_seconds, latency.p99_seconds) {
        (Some(median), Some(p99)) => {
            format!("half within {}, 99 % within {}", span(median), span(p99))
        }
        _ => "nothing was delivered".to_owned(),
    };
    Line::new(text, &latency.history, Mood::Well)
}

fn function(hour: &FunctionHour) -> Line {
    let mut text = format!(
        "{} runs, {} errors, {} throttled",
        count(hour.invocations),
        count(hour.errors),
        count(hour.throttles)
    );
    if let (Some(average), Some(longest)) = (hour.average_seconds, hour.longest_seconds) {
        text.push_str(&format!(", {} to {}", span(average), span(longest)));
    }
    Line::new(text, &hour.history, bad_if(hour.errors > 0.0 || hour.throttles > 0.0))
}

fn tenants(tenants: &Tenants) -> Line {
    let mut text =
        format!("{} enabled, {} disabled", grouped(tenants.enabled), grouped(tenants.disabled));
    if !tenants.unusable.is_empty() {
        let names = listed(tenants.unusable.iter().map(String::as_str));
        text.push_str(&format!(", {} unusable: {names}", tenants.unusable.len()));
    }
    Line { mood: bad_if(!tenants.unusable.is_empty()), ..Line::well("", text) }
}

fn served(log: &FromLog<ServedTenant>) -> Line {
    let names: Vec<String> = log
        .tenants
        .iter()
        .map(|one| format!("{} ({} records)", one.tenant, grouped(one.records)))
        .collect();
    Line::well("", told(log, &names))
}

fn failing(log: &FromLog<FailingTenant>) -> Line {
    let names: Vec<String> = log
        .tenants
        .iter()
        .map(|one| {
            let tenant = if one.tenant.is_empty() { "no tenant" } else { &one.tenant };
            format!("{tenant} ({}, {})", one.reason, grouped(one.objects))
        })
        .collect();
    Line { mood: bad_if(!names.is_empty()), ..Line::well("", told(log, &names)) }
}

/// Names tenants, and says from when on they are known if not for the whole hour.
fn told<T>(log: &FromLog<T>, names: &[String]) -> String {
    let time = if log.complete {
        "in the last hour".to_owned()
    } else {
        format!("since {} UTC, the log before is too long", log.since.strftime("%H:%M"))
    };
    if names.is_empty() {
        return format!("no tenant {time}");
    }
    let text = format!("{}: {}", names.len(), listed(names.iter().map(String::as_str)));
    if log.complete { text } else { format!("{text}; {time}") }
}

fn alarms(alarms: &[Alarm]) -> Line {
    let in_state = |state| alarms.iter().filter(move |alarm| alarm.state == state);
    let raised: Vec<&str> = in_state(AlarmState::Alarm).map(|alarm| alarm.name.as_str()).collect();
    let unknown = in_state(AlarmState::InsufficientData).count();
    let mut text = match (alarms.len(), raised.len()) {
        (0, _) => "none deployed: mtlog deploy regional --include-alarms".to_owned(),
        (all, 0) => format!("{} quiet", all - unknown),
        (_, count) => format!("{count} raised: {}", listed(raised.iter().copied())),
    };
    if unknown > 0 {
        text.push_str(&format!(", {unknown} without data"));
    }
    Line { mood: bad_if(!raised.is_empty()), ..Line::well("", text) }
}

/// Lists the first names, and how many more there are.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let mut text = names.take(NAMES).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// A count that CloudWatch gives as a number with a fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and positive"
)]
fn count(value: f64) -> String {
    grouped(value.round() as u64)
}

fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes are whole and positive"
)]
fn bytes(value: f64) -> String {
    indicatif::BinaryBytes(value.round() as u64).to_string()
}

/// A time as people say it: `0.3 s`, `42 s`, `12 min`, `3.5 h`, `2 d`.
pub fn span(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, expected) in [
            (0.25, "0.2 s"),
            (42.0, "42 s"),
            (720.0, "12 min"),
            (12_600.0, "3.5 h"),
            (172_800.0, "2 d"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(listed(names.into_iter()), "a, b, c, d, e and 2 more");
        assert_eq!(listed(["a"].into_iter()), "a");
    }

    #[test]
    fn a_refused_cell_is_dim_and_names_the_permission() {
        let denied = Reading::<Depth>::Denied { permission: "sqs:GetQueueAttributes".to_owned() };
        let line = reading("queue", &denied, queue);
        assert_eq!(
            drawn(&line, Palette::Colour),
            "  \u{1b}[2mqueue       not permitted: needs sqs:GetQueueAttributes\u{1b}[0m\n"
        );
    }
}
