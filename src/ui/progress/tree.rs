//! The moving display: a tree of stacks and of what is at work in them. Pure: state in, lines out.

use jiff::Timestamp;

use super::{Operation, clock, mark, words};
use crate::{
    deploy::{operation::Row, stack::NESTED_STACK_TYPE, status::Phase},
    ui::style::{Palette, printable, truncated},
};

/// The space that a frame may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// The least lines that a frame gets, however low the terminal is.
const FEWEST_LINES: usize = 4;
/// Cells of the bar that shows how far a stack is.
const BAR: usize = 10;

/// Returns the frame: for each operation its stack, the stacks nested in it, and what is at work in each.
pub(super) fn frame(
    operations: &[&Operation],
    now: Timestamp,
    size: Size,
    palette: Palette,
) -> Vec<String> {
    if operations.is_empty() {
        return Vec::new();
    }
    let room = size.lines.max(FEWEST_LINES).saturating_sub(1);
    let groups: Vec<(&Operation, Vec<Group<'_>>)> =
        operations.iter().map(|operation| (*operation, groups(operation))).collect();
    let fixed: usize = groups.iter().map(|(_, groups)| 1 + named(groups).count()).sum();
    let mut left = room.saturating_sub(fixed);
    let mut lines = Vec::new();
    let mut unseen = 0;
    for (operation, groups) in &groups {
        lines.push(head(operation, now, size, palette));
        for group in groups {
            let indent = if group.name.is_empty() { 1 } else { 2 };
            if !group.name.is_empty() {
                lines.push(group_line(operation, group, palette));
            }
            let shown = group.running.len().min(left);
            left -= shown;
            unseen += group.running.len() - shown;
            for row in group.running.iter().take(shown) {
                lines.push(row_line(operation, row, indent, now, palette));
            }
        }
    }
    lines.truncate(room);
    let hint = "Ctrl-C detaches; AWS goes on";
    lines.push(palette.dim(&if unseen > 0 {
        format!(" {unseen} more at work · {hint}")
    } else {
        format!(" {hint}")
    }));
    lines.into_iter().map(|line| truncated(&line, size.columns)).collect()
}

/// A stack of the tree: the root's own resources, or a nested stack.
struct Group<'a> {
    /// The path of the nested stack; empty for the root.
    name: &'a str,
    running: Vec<&'a Row>,
    done: usize,
    failed: usize,
    total: usize,
}

/// Returns the groups in the order of their names, the root's own resources first.
fn groups(operation: &Operation) -> Vec<Group<'_>> {
    let mut names: Vec<&str> = operation
        .rows
        .values()
        .filter(|row| row.resource_type != NESTED_STACK_TYPE)
        .map(|row| parent(&row.path))
        .chain(operation.subject.expected.iter().map(|path| parent(path)))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let rows: Vec<&Row> = operation
                .rows
                .values()
                .filter(|row| row.resource_type != NESTED_STACK_TYPE && parent(&row.path) == name)
                .collect();
            let expected = operation.subject.expected.iter().filter(|path| parent(path) == name);
            let unheard = expected.filter(|path| !operation.rows.contains_key(*path)).count();
            let mut running: Vec<&Row> =
                rows.iter().copied().filter(|row| row.status.phase() == Phase::Running).collect();
            // What has been at it longest is what one waits for.
            running.sort_by(|a, b| a.began.cmp(&b.began).then_with(|| a.path.cmp(&b.path)));
            let failed = rows.iter().filter(|row| row.status.phase() == Phase::Failed).count();
            Group {
                name,
                done: rows.len() - running.len() - failed,
                failed,
                total: rows.len() + unheard,
                running,
            }
        })
        .collect()
}

fn named<'a, 'b>(groups: &'b [Group<'a>]) -> impl Iterator<Item = &'b Group<'a>> {
    groups.iter().filter(|group| !group.name.is_empty())
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn head(operation: &Operation, now: Timestamp, size: Size, palette: Palette) -> String {
    let groups = groups(operation);
    let done: usize = groups.iter().map(|group| group.done + group.failed).sum();
    let total: usize = groups.iter().map(|group| group.total).sum();
    let elapsed = clock(operation.elapsed(now));
    let (mark, name) = if operation.undoing {
        (palette.bad("●"), format!("rolling back {}", operation.subject.title))
    } else {
        (palette.changed("●"), operation.subject.title.clone())
    };
    let figures = if operation.subject.expected.is_empty() {
        format!("{done} done")
    } else {
        format!("{done}/{total}")
    };
    // On a narrow terminal the figures say enough.
    let bar = if operation.subject.expected.is_empty() || size.columns < 60 {
        String::new()
    } else {
        let full = done.saturating_mul(BAR).checked_div(total).unwrap_or(0).min(BAR);
        format!("  {}{}", "▓".repeat(full), "░".repeat(BAR - full))
    };
    let tail = format!("  {figures}{bar}  {elapsed}");
    let room = size.columns.saturating_sub(tail.chars().count() + 3);
    let name = truncated(&printable(&name), room);
    format!(" {mark} {}{}", palette.strong(&name), palette.dim(&tail))
}

fn group_line(operation: &Operation, group: &Group<'_>, palette: Palette) -> String {
    let finished = group.done + group.failed == group.total;
    let mark = if group.failed > 0 {
        palette.bad("✗")
    } else if !group.running.is_empty() {
        palette.changed("●")
    } else if finished {
        palette.good("✓")
    } else {
        palette.dim("○")
    };
    let name = operation.subject.names.get(group.name).map_or(group.name, String::as_str);
    let figures = format!("{}/{}", group.done + group.failed, group.total);
    format!("   {mark} {}  {}", printable(name), palette.dim(&figures))
}

fn row_line(
    operation: &Operation,
    row: &Row,
    indent: usize,
    now: Timestamp,
    palette: Palette,
) -> String {
    let name = operation
        .subject
        .names
        .get(&row.path)
        .map_or_else(|| row.path.rsplit('/').next().unwrap_or_default(), String::as_str);
    let seconds = now.as_second().saturating_sub(row.began.as_second()).max(0);
    let elapsed = clock(std::time::Duration::from_secs(seconds.unsigned_abs()));
    format!(
        " {}{} {}  {}",
        "  ".repeat(indent),
        mark(row, palette),
        printable(name),
        palette.dim(&format!("{} {elapsed}", words(row)))
    )
}
