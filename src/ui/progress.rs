//! The progress of a deployment: a moving display on a terminal, one line a change elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Ui, Verbosity,
    style::{Palette, printable},
};
use crate::deploy::{
    event::DeployEvent,
    operation::{Row, is_consequence},
    stack::NESTED_STACK_TYPE,
    status::Phase,
};

/// How often the display moves.
const TICK: Duration = Duration::from_millis(100);
/// The first line: how long, how far.
const HEAD: &str = "{spinner} {elapsed:>4} {wide_msg}";
/// A line of the display for a resource at work.
const ROW: &str = "  {spinner} {elapsed:>4} {wide_msg}";
/// Redraws a second; more only cost time.
const REDRAWS: u8 = 10;
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
    done: BTreeSet<String>,
    undoing: bool,
    title: String,
    began: Instant,
    spoke: Instant,
    complained: bool,
}

#[derive(Debug)]
enum Display {
    Moving {
        area: MultiProgress,
        head: ProgressBar,
        rows: BTreeMap<String, ProgressBar>,
        motion: Motion,
    },
    Lines,
    Nothing,
}

/// Whether the display moves between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Motion {
    /// It does, so that one sees that the program is alive.
    Steady,
    /// It does not, so that a test sees what it expects.
    #[cfg(test)]
    None,
}

impl<'a> Progress<'a> {
    /// Starts the display. `names` are what people call the resources, by path.
    pub fn start(ui: &'a Ui, title: &str, names: BTreeMap<String, String>) -> Self {
        let display = if ui.verbosity() == Verbosity::Quiet {
            Display::Nothing
        } else if ui.is_animated() {
            moving(title, ProgressDrawTarget::stderr_with_hz(REDRAWS), Motion::Steady)
        } else {
            ui.status(title);
            Display::Lines
        };
        Self::with(ui, title, display, names)
    }

    fn with(ui: &'a Ui, title: &str, display: Display, names: BTreeMap<String, String>) -> Self {
        let now = Instant::now();
        Self {
            ui,
            display,
            names,
            running: BTreeMap::new(),
            done: BTreeSet::new(),
            undoing: false,
            title: title.to_owned(),
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
            DeployEvent::RollingBack => {
                self.undoing = true;
                self.say("  rolling back");
                self.redraw();
            }
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
        if let Display::Moving { area, head, rows, .. } = self.display {
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
        if phase != Phase::Running && row.resource_type != NESTED_STACK_TYPE {
            self.done.insert(row.path.clone());
        }
        let palette = self.ui.palette();
        if phase == Phase::Failed {
            let reason = row.reason.as_deref().unwrap_or("no reason was given");
            let text =
                format!("  {} {}: {}", mark(row, palette), self.name(row), row.status.words());
            if is_consequence(&row.resource_type, reason) {
                self.say(&palette.dim(&format!("{text} because of another failure")));
            } else {
                self.say(&text);
                self.say(&format!("      {}", printable(reason)));
            }
        } else if matches!(self.display, Display::Lines) && row.resource_type != NESTED_STACK_TYPE {
            // A beginning is worth a line only where somebody reads a log, and only once.
            let repeated = phase == Phase::Running && row.began != row.reached && !row.stabilising;
            if !repeated {
                let words = words(row);
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
            let took = palette.dim(&format!("{:>4}", format!("{seconds}s")));
            let words = palette.dim(row.status.words());
            self.say(&format!("  {} {took} {}  {words}", mark(row, palette), self.name(row)));
        }
        self.redraw();
    }

    /// Brings the moving rows in line with what is at work.
    fn redraw(&mut self) {
        let at_work: Vec<&Row> =
            self.running.values().filter(|row| row.resource_type != NESTED_STACK_TYPE).collect();
        let labels: BTreeMap<String, String> = at_work
            .iter()
            .take(MOST_ROWS)
            .map(|row| (row.path.clone(), format!("{}  {}", self.name(row), words(row))))
            .collect();
        let undoing = if self.undoing { ", rolling back" } else { "" };
        let summary = format!(
            "{} done, {} at work{undoing} · {}",
            self.done.len(),
            at_work.len(),
            self.title
        );
        let Display::Moving { area, head, rows, motion } = &mut self.display else { return };
        head.set_message(summary);
        rows.retain(|path, bar| {
            let stays = labels.contains_key(path);
            if !stays {
                bar.finish_and_clear();
                area.remove(bar);
            }
            stays
        });
        for (path, label) in labels {
            let bar = rows.entry(path).or_insert_with(|| {
                let bar = area.add(ProgressBar::new_spinner());
                bar.set_style(style(ROW));
                animate(&bar, *motion);
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

/// The state in words.
fn words(row: &Row) -> &str {
    if row.stabilising && row.status.phase() == Phase::Running {
        "configured, stabilising"
    } else {
        row.status.words()
    }
}

fn moving(title: &str, target: ProgressDrawTarget, motion: Motion) -> Display {
    let area = MultiProgress::with_draw_target(target);
    let head = area.add(ProgressBar::new_spinner());
    head.set_style(style(HEAD));
    head.set_message(title.to_owned());
    animate(&head, motion);
    Display::Moving { area, head, rows: BTreeMap::new(), motion }
}

fn animate(bar: &ProgressBar, motion: Motion) {
    match motion {
        Motion::Steady => bar.enable_steady_tick(TICK),
        #[cfg(test)]
        Motion::None => bar.tick(),
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
    use indicatif::InMemoryTerm;
    use jiff::Timestamp;

    use super::*;
    use crate::{
        cli::DisplayArgs,
        config::environment::Environment,
        deploy::status::ResourceStatus,
        ui::{ColorChoice, OutputFormat},
    };

    #[test]
    fn every_template_of_a_bar_is_understood() {
        for template in [HEAD, ROW] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    fn row(path: &str, status: &str, reason: Option<&str>, second: i64) -> DeployEvent {
        let time = |second| Timestamp::from_second(1_700_000_000 + second).unwrap();
        DeployEvent::Resource(Row {
            path: path.to_owned(),
            resource_type: "AWS::SQS::Queue".to_owned(),
            status: ResourceStatus::of(status),
            reason: reason.map(str::to_owned),
            began: time(0),
            reached: time(second),
            stabilising: false,
        })
    }

    /// Returns what a terminal of this width shows after some events.
    fn frame(width: u16) -> String {
        let terminal = InMemoryTerm::new(10, width);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let display = DisplayArgs {
            output: OutputFormat::Table,
            color: ColorChoice::Never,
            quiet: false,
            verbose: 0,
        };
        let ui = Ui::new(&display, &Environment::default());
        let names =
            BTreeMap::from([("SQSStack/Queue".to_owned(), "Queue of new log objects".to_owned())]);
        let title = "regional multi-tenant-logging-production in us-east-2";
        let display = moving(title, target, Motion::None);
        let mut progress = Progress::with(&ui, title, display, names);
        for event in [
            row("SQSStack/Queue", "CREATE_IN_PROGRESS", None, 0),
            row("SQSStack/DeadLetters", "CREATE_IN_PROGRESS", None, 0),
            row("SQSStack/DeadLetters", "CREATE_COMPLETE", None, 64),
            row("SQSStack/Policy", "CREATE_FAILED", Some("the policy is not a policy"), 65),
            DeployEvent::RollingBack,
        ] {
            progress.show(&event);
        }
        terminal.contents()
    }

    #[test]
    fn the_display_fits_every_width() {
        let frames = [200, 80, 40].map(|width| format!("{width} columns\n{}", frame(width)));
        // Lines are padded to the terminal's width.
        let frames: Vec<String> =
            frames.join("\n").lines().map(|line| line.trim_end().to_owned()).collect();
        insta::assert_snapshot!(frames.join("\n"), @r"
        200 columns
          ✓  64s SQSStack/DeadLetters  created
          ✗ SQSStack/Policy: could not be created
              the policy is not a policy
          rolling back
        ⠙   0s 2 done, 1 at work, rolling back · regional multi-tenant-logging-production in us-east-2
          ⠙   0s Queue of new log objects (SQSStack/Queue)  creating
        80 columns
          ✓  64s SQSStack/DeadLetters  created
          ✗ SQSStack/Policy: could not be created
              the policy is not a policy
          rolling back
        ⠙   0s 2 done, 1 at work, rolling back · regional multi-tenant-logging-productio
          ⠙   0s Queue of new log objects (SQSStack/Queue)  creating
        40 columns
          ✓  64s SQSStack/DeadLetters  created
          ✗ SQSStack/Policy: could not be create
        d
              the policy is not a policy
          rolling back
        ⠙   0s 2 done, 1 at work, rolling back ·
          ⠙   0s Queue of new log objects (SQSSt
        ");
    }

    #[test]
    fn a_time_has_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs(7)), "0:07");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
    }
}
