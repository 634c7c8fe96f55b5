//! The progress of operations on stacks: a tree on a terminal, one line a change elsewhere, records for programs.

mod tree;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use dialoguer::console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use self::tree::Size;
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

/// Redraws a second; more only cost time.
const REDRAWS: u8 = 10;
/// Off a terminal: after this silence a line says what is at work.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The most names in one line of a heartbeat.
const MOST_NAMES: usize = 6;

/// What an operation is about.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// What people call it: target, stack, region.
    pub title: String,
    /// The stack's name.
    pub stack: String,
    /// The stack's region.
    pub region: String,
    /// What people call the resources, by path.
    pub names: BTreeMap<String, String>,
    /// The paths of the resources that are expected to change; none if nobody knows.
    pub expected: BTreeSet<String>,
}

/// Shows the progress of all operations that run at the same time.
#[derive(Debug)]
pub struct Progress<'a> {
    ui: &'a Ui,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    display: Display,
    operations: Vec<Operation>,
    spoke: Instant,
}

#[derive(Debug)]
enum Display {
    Tree { screen: Screen, area: ProgressBar, drawn: String },
    Lines,
    Records,
    Nothing,
}

/// How large the terminal is.
#[derive(Debug, Clone, Copy)]
enum Screen {
    /// As large as it is found at each frame.
    Real,
    /// For tests.
    #[cfg(test)]
    Fixed(Size),
}

impl Screen {
    fn size(self) -> Size {
        match self {
            Self::Real => {
                let (lines, columns) = Term::stderr().size();
                Size { columns: columns.into(), lines: lines.into() }
            }
            #[cfg(test)]
            Self::Fixed(size) => size,
        }
    }
}

/// One operation, as far as it is known.
#[derive(Debug)]
struct Operation {
    subject: Subject,
    rows: BTreeMap<String, Row>,
    began: Option<Timestamp>,
    started: Timestamp,
    undoing: bool,
    complained: bool,
    ended: bool,
    /// Whether others ran at the same time: each line then says whose it is.
    beside_others: bool,
}

impl Operation {
    fn elapsed(&self, now: Timestamp) -> Duration {
        let seconds =
            now.as_second().saturating_sub(self.began.unwrap_or(self.started).as_second());
        Duration::from_secs(seconds.max(0).unsigned_abs())
    }

    fn name(&self, row: &Row) -> String {
        match self.subject.names.get(&row.path) {
            Some(name) => format!("{name} ({})", printable(&row.path)),
            None => printable(&row.path),
        }
    }
}

/// The display of one operation. When it is dropped, the operation is no longer shown.
#[derive(Debug)]
pub struct Shown<'a> {
    progress: &'a Progress<'a>,
    place: usize,
}

/// One change of a resource, for programs.
#[derive(Debug, Serialize)]
struct ResourceRecord<'a> {
    stack: &'a str,
    region: &'a str,
    path: &'a str,
    resource_type: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consequence: Option<bool>,
    time: String,
    t_ms: i64,
}

/// A note about a whole operation, for programs.
#[derive(Debug, Serialize)]
struct NoteRecord<'a> {
    stack: &'a str,
    region: &'a str,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Progress<'a> {
    /// Decides how progress is shown. Nothing is drawn before there is an operation.
    pub fn start(ui: &'a Ui) -> Self {
        let display = if ui.is_streaming() {
            Display::Records
        } else if ui.verbosity() == Verbosity::Quiet {
            Display::Nothing
        } else if ui.is_animated() {
            tree(ProgressDrawTarget::stderr_with_hz(REDRAWS), Screen::Real)
        } else {
            Display::Lines
        };
        Self::with(ui, display)
    }

    fn with(ui: &'a Ui, display: Display) -> Self {
        let state = State { display, operations: Vec::new(), spoke: Instant::now() };
        Self { ui, state: RefCell::new(state) }
    }

    /// Starts to show an operation.
    pub fn show(&'a self, subject: Subject) -> Shown<'a> {
        let mut state = self.state.borrow_mut();
        match &state.display {
            Display::Lines => self.ui.status(&subject.title),
            Display::Records => self.ui.record("operation", &note(&subject, "started", None)),
            Display::Tree { area, .. } => self.ui.keep_clear_of(Some(area)),
            Display::Nothing => {}
        }
        let place = state.operations.len();
        let beside_others = operations_open(&state.operations) > 0;
        if beside_others {
            for other in state.operations.iter_mut().filter(|other| !other.ended) {
                other.beside_others = true;
            }
        }
        state.operations.push(Operation {
            subject,
            rows: BTreeMap::new(),
            began: None,
            started: Timestamp::now(),
            undoing: false,
            complained: false,
            ended: false,
            beside_others,
        });
        drop(state);
        self.tick();
        Shown { progress: self, place }
    }

    /// Returns the subjects of the operations that are being watched.
    pub fn under_way(&self) -> Vec<Subject> {
        let state = self.state.borrow();
        let open = state.operations.iter().filter(|operation| !operation.ended);
        open.map(|operation| operation.subject.clone()).collect()
    }

    /// Lets time pass: clocks of the tree move, and after a long silence a line says what is at work.
    pub fn tick(&self) {
        self.tick_at(Timestamp::now());
    }

    fn tick_at(&self, now: Timestamp) {
        let mut state = self.state.borrow_mut();
        let palette = self.ui.palette();
        let State { display, operations, spoke } = &mut *state;
        match display {
            Display::Tree { screen, area, drawn } => {
                let open: Vec<&Operation> =
                    operations.iter().filter(|operation| !operation.ended).collect();
                let frame = tree::frame(&open, now, screen.size(), palette).join("\n");
                // Nothing is written when nothing changed.
                if frame != *drawn {
                    area.set_message(frame.clone());
                    *drawn = frame;
                }
            }
            Display::Lines if spoke.elapsed() >= HEARTBEAT => {
                for operation in operations.iter().filter(|operation| !operation.ended) {
                    self.ui.status(&heartbeat(operation, now));
                }
                *spoke = Instant::now();
            }
            Display::Lines | Display::Records | Display::Nothing => {}
        }
    }

    fn event(&self, place: usize, event: &DeployEvent) {
        self.event_at(place, event, Timestamp::now());
    }

    fn event_at(&self, place: usize, event: &DeployEvent, now: Timestamp) {
        let mut state = self.state.borrow_mut();
        let State { display, operations, spoke } = &mut *state;
        let regions: BTreeSet<&str> =
            operations.iter().map(|other| other.subject.region.as_str()).collect();
        let several_regions = regions.len() > 1;
        let Some(operation) = operations.get_mut(place) else { return };
        let palette = self.ui.palette();
        let mut lines = Vec::new();
        match event {
            DeployEvent::Uploaded { .. } | DeployEvent::Looked => {}
            DeployEvent::Waiting { reason, .. } => {
                // Once is enough: the SDK has tried several times already.
                if !std::mem::replace(&mut operation.complained, true) {
                    lines.push(format!("  waiting: {} (the operation goes on)", printable(reason)));
                    if matches!(display, Display::Records) {
                        let note = note(&operation.subject, "waiting", Some(reason));
                        self.ui.record("operation", &note);
                    }
                }
            }
            DeployEvent::RollingBack => {
                operation.undoing = true;
                lines.push(palette.warning("  rolling back"));
                if matches!(display, Display::Records) {
                    let note = note(&operation.subject, "rolling-back", None);
                    self.ui.record("operation", &note);
                }
            }
            DeployEvent::Resource(row) => {
                operation.began.get_or_insert(row.began);
                operation.rows.insert(row.path.clone(), row.clone());
                match display {
                    Display::Records => self.ui.record("resource", &resource(operation, row)),
                    Display::Tree { .. } => lines.extend(failed(operation, row, palette)),
                    Display::Lines => lines.extend(changed(operation, row, palette)),
                    Display::Nothing => {}
                }
            }
        }
        // Of several at once, each line says whose it is.
        let Subject { stack, region, .. } = &operation.subject;
        let whose = match (operation.beside_others, several_regions) {
            (false, _) => String::new(),
            (true, true) => palette.dim(&format!("  [{stack} {region}]")),
            (true, false) => palette.dim(&format!("  [{stack}]")),
        };
        if !lines.is_empty() && matches!(display, Display::Tree { .. } | Display::Lines) {
            *spoke = Instant::now();
            drop(state);
            for line in lines {
                self.ui.status(&format!("{line}{whose}"));
            }
        } else {
            drop(state);
        }
        self.tick_at(now);
    }

    fn end(&self, place: usize) {
        if let Some(operation) = self.state.borrow_mut().operations.get_mut(place) {
            operation.ended = true;
        }
        self.tick();
        let mut state = self.state.borrow_mut();
        if operations_open(&state.operations) == 0
            && let Display::Tree { screen: screen @ Screen::Real, area, .. } = &state.display
        {
            area.finish_and_clear();
            let screen = *screen;
            self.ui.keep_clear_of(None);
            // A bar that is finished draws nothing any more.
            state.display = tree(ProgressDrawTarget::stderr_with_hz(REDRAWS), screen);
        }
    }
}

impl Shown<'_> {
    /// Shows an event.
    pub fn event(&self, event: &DeployEvent) {
        self.progress.event(self.place, event);
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.progress.end(self.place);
    }
}

fn operations_open(operations: &[Operation]) -> usize {
    operations.iter().filter(|operation| !operation.ended).count()
}

fn tree(target: ProgressDrawTarget, screen: Screen) -> Display {
    let area = ProgressBar::with_draw_target(None, target);
    // A template that indicatif cannot read would only lose the display.
    area.set_style(
        ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    Display::Tree { screen, area, drawn: String::new() }
}

fn note<'a>(subject: &'a Subject, what: &'a str, reason: Option<&'a str>) -> NoteRecord<'a> {
    NoteRecord { stack: &subject.stack, region: &subject.region, what, reason }
}

fn resource<'a>(operation: &'a Operation, row: &'a Row) -> ResourceRecord<'a> {
    let failed = row.status.phase() == Phase::Failed;
    let reason = row.reason.as_deref();
    ResourceRecord {
        stack: &operation.subject.stack,
        region: &operation.subject.region,
        path: &row.path,
        resource_type: &row.resource_type,
        status: row.status.as_str(),
        name: operation.subject.names.get(&row.path).map(String::as_str),
        reason,
        consequence: failed.then(|| is_consequence(&row.resource_type, reason.unwrap_or_default())),
        time: row.reached.to_string(),
        t_ms: row
            .reached
            .as_millisecond()
            .saturating_sub(operation.began.unwrap_or(row.began).as_millisecond()),
    }
}

/// The lines for a resource that failed: the tree keeps them above itself.
fn failed(operation: &Operation, row: &Row, palette: Palette) -> Vec<String> {
    if row.status.phase() != Phase::Failed {
        return Vec::new();
    }
    let reason = row.reason.as_deref().unwrap_or("no reason was given");
    let text = format!("  {} {}: {}", mark(row, palette), operation.name(row), row.status.words());
    if is_consequence(&row.resource_type, reason) {
        // The tree shows what counts; what failed only because of it is counted at the end.
        return Vec::new();
    }
    vec![text, format!("      {}", printable(reason))]
}

/// The lines for any change of a resource, where somebody reads a log.
fn changed(operation: &Operation, row: &Row, palette: Palette) -> Vec<String> {
    let phase = row.status.phase();
    if phase == Phase::Failed {
        let reason = row.reason.as_deref().unwrap_or("no reason was given");
        if is_consequence(&row.resource_type, reason) {
            let words = format!(
                "  {} {}: {} because of another failure",
                mark(row, Palette::Plain),
                operation.name(row),
                row.status.words()
            );
            return vec![palette.dim(&words)];
        }
        return failed(operation, row, palette);
    }
    // A beginning is worth a line only once.
    let repeated = phase == Phase::Running && row.began != row.reached && !row.stabilising;
    if row.resource_type == NESTED_STACK_TYPE || repeated {
        return Vec::new();
    }
    let since = operation.began.unwrap_or(row.began);
    let seconds = row.reached.as_second().saturating_sub(since.as_second()).max(0).unsigned_abs();
    let time = clock(Duration::from_secs(seconds));
    let words = palette.dim(words(row));
    vec![format!("  {time} {} {} {words}", mark(row, palette), operation.name(row))]
}

fn heartbeat(operation: &Operation, now: Timestamp) -> String {
    let running: Vec<String> = operation
        .rows
        .values()
        .filter(|row| {
            row.status.phase() == Phase::Running && row.resource_type != NESTED_STACK_TYPE
        })
        .map(|row| {
            let seconds = now.as_second().saturating_sub(row.began.as_second()).max(0);
            let since = clock(Duration::from_secs(seconds.unsigned_abs()));
            format!("{} {since}", operation.name(row))
        })
        .collect();
    let mut what = if running.is_empty() {
        "CloudFormation".to_owned()
    } else {
        running.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ")
    };
    if running.len() > MOST_NAMES {
        what.push_str(&format!(" and {} more", running.len() - MOST_NAMES));
    }
    format!(
        "  {} still at work on {}: {what}",
        clock(operation.elapsed(now)),
        operation.subject.stack
    )
}

/// The state in words.
fn words(row: &Row) -> &str {
    if row.stabilising && row.status.phase() == Phase::Running {
        "configured, stabilising"
    } else {
        row.status.words()
    }
}

fn mark(row: &Row, palette: Palette) -> String {
    match row.status.phase() {
        Phase::Running => palette.changed("●"),
        Phase::Done => palette.good("✓"),
        Phase::Skipped => palette.dim("-"),
        Phase::Failed => palette.bad("✗"),
    }
}

/// A time as `0:07` or `12:34`.
pub fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests;
