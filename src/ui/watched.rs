//! A result that is shown again and again, on a screen of its own: what was on the terminal before comes back at the end.

use dialoguer::console::{Term, truncate_str};

use super::{OutputFormat, Report, Ui};
use crate::error::CliError;

// <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>
const OTHER_SCREEN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const FIRST_SCREEN: &str = "\u{1b}[?25h\u{1b}[?1049l";
const FROM_THE_TOP: &str = "\u{1b}[H";
const TO_THE_END_OF_THE_LINE: &str = "\u{1b}[K";
const TO_THE_END: &str = "\u{1b}[J";

/// A result that is shown again and again: over the last one on a terminal, below it elsewhere.
#[derive(Debug)]
pub struct Watched<'u> {
    ui: &'u Ui,
    /// What is on the other screen of the terminal, once something is.
    shown: Option<String>,
}

impl Ui {
    /// Starts to show a result again and again, until what is returned is dropped.
    pub const fn watch(&self) -> Watched<'_> {
        Watched { ui: self, shown: None }
    }
}

impl Watched<'_> {
    /// Shows the newest result.
    pub fn show(&mut self, report: &impl Report) -> Result<(), CliError> {
        if self.ui.output != OutputFormat::Table || !self.ui.replaces {
            return self.ui.emit(report);
        }
        if self.shown.is_none() {
            self.ui.data(OTHER_SCREEN);
        }
        self.shown = Some(report.text(self.ui.data_palette));
        self.redraw();
        Ok(())
    }

    /// Shows the same result again, in the size that the terminal has now.
    pub fn redraw(&self) {
        if let Some(text) = &self.shown {
            let (rows, columns) = Term::stdout().size();
            self.ui.data(&frame(text, usize::from(columns), usize::from(rows)));
        }
    }
}

impl Drop for Watched<'_> {
    /// Leaves the newest result behind, in full, where one can scroll and copy.
    fn drop(&mut self) {
        if let Some(text) = &self.shown {
            self.ui.data(&format!("{FIRST_SCREEN}{text}"));
        }
    }
}

/// Fits a text into a window. A line that is too long for it, or one too many, would move everything up.
fn frame(text: &str, columns: usize, rows: usize) -> String {
    let count = text.lines().count();
    let fitting = if count > rows { rows.saturating_sub(1) } else { count };
    let mut lines: Vec<String> = text
        .lines()
        .take(fitting)
        .map(|line| truncate_str(line, columns, "…").into_owned())
        .collect();
    if fitting < count {
        let more = format!("… {} more lines: the window is too small", count - fitting);
        lines.push(truncate_str(&more, columns, "…").into_owned());
    }
    let lines = lines.join(&format!("{TO_THE_END_OF_THE_LINE}\n"));
    format!("{FROM_THE_TOP}{lines}{TO_THE_END_OF_THE_LINE}{TO_THE_END}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_never_leaves_the_window() {
        for (text, columns, rows, expected) in [
            ("ab\ncd\n", 10, 5, "\u{1b}[Hab\u{1b}[K\ncd\u{1b}[K\u{1b}[J"),
            ("abcdef\ncd\n", 4, 5, "\u{1b}[Habc…\u{1b}[K\ncd\u{1b}[K\u{1b}[J"),
            // As many lines as there are rows: no line end after the last, which would scroll.
            ("a\nb\n", 4, 2, "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\u{1b}[J"),
            (
                "a\nb\nc\n",
                60,
                2,
                "\u{1b}[Ha\u{1b}[K\n… 2 more lines: the window is too small\u{1b}[K\u{1b}[J",
            ),
            // Colours take no place, and end where they are cut.
            (
                "\u{1b}[31mabcdef\u{1b}[0m\n",
                4,
                5,
                "\u{1b}[H\u{1b}[31mabc…\u{1b}[0m\u{1b}[K\u{1b}[J",
            ),
        ] {
            assert_eq!(frame(text, columns, rows), expected, "{text:?} in {columns}x{rows}");
        }
    }
}
