//! The progress of a deployment: a moving display on a terminal, one line a change elsewhere.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    Ui, Verbosity,
    style::{Palette, printable},
};
use crate::deploy::{event::DeployEvent, operation::Row, stack::NESTED_STACK_TYPE, status::Phase};

/// How often the display moves.
const TICK: Duration = Duration::from_millis(100);
/// The most rows of resources at work; a terminal has an end.
const MOST_ROWS: usize = 12;
/// Off a terminal: after this silence a line says what is at work.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Shows the progress of one operation.
#[derive(Debug)]
pub struct Progress<'a> {
    ui: &'a Ui,
    display: Display,
    names: BTreeMap<String, String>,
    running: BTreeMap<String, Row>,
    began: Instant,
    spoke: Instant,
    complained: bool,
}

#[derive(Debug)]
enum Display {
    Moving { area: MultiProgress, head: ProgressBar, rows: BTreeMap<String, ProgressBar> },
    Lines,
    Nothing,
}

impl<'a> Progress<'a> {
    /// Starts the display. `names` are what people call the resources, by path.
    pub fn start(ui: &'a Ui, title: &str, names: BTreeMap<String, String>) -> Self {
        let display = if ui.verbosity() == Verbosity::Quiet {
            Display::Nothing
        } else if ui.is_animated() {
            let area = MultiProgress::new();
            let head = area.add(ProgressBar::new_spinner());
            head.set_style(style("{spinner} {wide_msg} {elapsed}"));
            head.set_message(title.to_owned());
            head.enable_steady_tick(TICK);
            Display::Moving { area, head, rows: BTreeMap::new() }
        } else {
            Display::Lines
        };
        if matches!(display, Display::Lines) {
            ui.status(title);
        }
        let now = Instant::now();
        Self {
            ui,
            display,
            names,
            running: BTreeMap::new(),
            began: now,
            spoke: now,
            complained: false,
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &DeployEvent) {
        match event {
            DeployEvent::Uploaded { key } => self.say(&format!("  uploaded {key}")),
            DeployEvent::Waiting { reason, .. } => {
                // Once is enough: the SDK has tried several times already.
                if !std::mem::replace(&mut self.complained, true) {
                    self.say(&format!("  waiting: {} (the operation goes on)", printable(reason)));
                }
            }
            DeployEvent::Resource(row) => self.row(row),
            DeployEvent::Looked => self.beat(),
        }
    }

    /// Says that something is still at work, if nothing was said for long.
    fn beat(&mut self) {
        if !matches!(self.display, Display::Lines) || self.spoke.elapsed() < HEARTBEAT {
            return;
        }
        let names: Vec<String> = self.running.values().map(|row| self.name(row)).collect();
        let what = if names.is_empty() { "CloudFormation".to_owned() } else { names.join(", ") };
        let elapsed = clock(self.began.elapsed());
        self.say(&format!("  {elapsed} still at work: {what}"));
    }

    /// Takes the display away.
    pub fn finish(self) {
        if let Display::Moving { area, head, rows } = self.display {
            for bar in rows.into_values() {
                bar.finish_and_clear();
            }
            head.finish_and_clear();
            // The area is empty now; nothing is left if clearing fails.
            drop(area.clear());
        }
    }

    fn row(&mut self, row: &Row) {
        let phase = row.status.phase();
        if phase == Phase::Running {
            self.running.insert(row.path.clone(), row.clone());
        } else {
            self.running.remove(&row.path);
        }
        let palette = self.ui.palette();
        if phase == Phase::Failed {
            let reason = row.reason.as_deref().unwrap_or("no reason was given");
            let text =
                format!("  {} {}: {}", mark(row, palette), self.name(row), row.status.words());
            self.say(&text);
            self.say(&format!("      {}", printable(reason)));
        } else if matches!(self.display, Display::Lines) && row.resource_type != NESTED_STACK_TYPE {
            // A beginning is worth a line only where somebody reads a log, and only once.
            let repeated = phase == Phase::Running && row.began != row.reached && !row.stabilising;
            if !repeated {
                let words =
                    if row.stabilising { "configured, stabilising" } else { row.status.words() };
                let time = clock(self.began.elapsed());
                self.say(&format!(
                    "  {time} {} {} {}",
                    mark(row, palette),
                    self.name(row),
                    palette.dim(words)
                ));
            }
        } else if phase != Phase::Running && row.resource_type != NESTED_STACK_TYPE {
            let seconds = row.reached.as_second().saturating_sub(row.began.as_second());
            let time = palette.dim(&format!("{} {seconds}s", row.status.words()));
            self.say(&format!("  {} {}  {time}", mark(row, palette), self.name(row)));
        }
        self.redraw();
    }

    /// Brings the moving rows in line with what is at work.
    fn redraw(&mut self) {
        let labels: BTreeMap<String, String> = self
            .running
            .values()
            .filter(|row| row.resource_type != NESTED_STACK_TYPE)
            .take(MOST_ROWS)
            .map(|row| {
                let words =
                    if row.stabilising { "configured, stabilising" } else { row.status.words() };
                (row.path.clone(), format!("{}  {words}", self.name(row)))
            })
            .collect();
        let Display::Moving { area, rows, .. } = &mut self.display else { return };
        rows.retain(|path, bar| {
            let stays = labels.contains_key(path);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for (path, label) in labels {
            let bar = rows.entry(path).or_insert_with(|| {
                let bar = area.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {wide_msg} {elapsed}"));
                bar.enable_steady_tick(TICK);
                bar
            });
            bar.set_message(label);
        }
    }

    fn say(&mut self, text: &str) {
        self.spoke = Instant::now();
        match &self.display {
            // A terminal that cannot be written to is not worth failing a deployment for.
            Display::Moving { area, .. } => drop(area.println(text)),
            Display::Lines => self.ui.status(text),
            Display::Nothing => {}
        }
    }

    fn name(&self, row: &Row) -> String {
        match self.names.get(&row.path) {
            Some(name) => format!("{name} ({})", printable(&row.path)),
            None => printable(&row.path),
        }
    }
}

fn mark(row: &Row, palette: Palette) -> String {
    match row.status.phase() {
        Phase::Running => palette.dim("·"),
        Phase::Done => palette.good("✓"),
        Phase::Skipped => palette.dim("-"),
        Phase::Failed => palette.bad("✗"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// A time as `0:07` or `12:34`.
pub fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_of_a_bar_is_understood() {
        for template in ["{spinner} {wide_msg} {elapsed}", "  {spinner} {wide_msg} {elapsed}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_time_has_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(7)), "0:07");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
    }
}
