//! Failures as text: what and why, then what may help, then what to run next.

use serde::Serialize;

use super::style::{Palette, printable};
use crate::error::CliError;

/// A failure, for programs.
#[derive(Debug, Serialize)]
pub struct Diagnosis<'a> {
    exit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// What failed, then its causes.
    messages: Vec<String>,
    hints: &'a [String],
    next: &'a [String],
}

impl<'a> Diagnosis<'a> {
    /// Returns the failure's parts.
    pub fn of(error: &'a CliError) -> Self {
        Self {
            exit: error.status() as u8,
            code: error.code(),
            messages: error.chain(),
            hints: error.hints(),
            next: error.next_commands(),
        }
    }
}

/// Returns `error` as lines of text.
pub fn render(error: &CliError, palette: Palette) -> String {
    let mut text = String::new();
    let mut chain = error.chain().into_iter();
    if let Some(first) = chain.next() {
        labelled(&mut text, &palette.error("error:"), "error:", &first);
    }
    for cause in chain {
        labelled(&mut text, &palette.dim("  cause:"), "  cause:", &cause);
    }
    for hint in error.hints() {
        labelled(&mut text, &palette.hint("hint:"), "hint:", hint);
    }
    for command in error.next_commands() {
        labelled(&mut text, &palette.hint("next:"), "next:", command);
    }
    text
}

/// Adds a label and a text, whose further lines start below its first.
fn labelled(text: &mut String, label: &str, plain_label: &str, message: &str) {
    let indent = " ".repeat(plain_label.len() + 1);
    for (number, line) in printable(message).lines().enumerate() {
        if number == 0 {
            text.push_str(label);
            text.push(' ');
            text.push_str(line);
        } else if line.starts_with("  ") {
            text.push_str(line);
        } else {
            text.push_str(&indent);
            text.push_str(line);
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ExitStatus, Message};

    #[test]
    fn the_next_step_is_the_last_line() {
        let error = CliError::new(
            ExitStatus::Conflict,
            Message("stack `x` is busy\nsince noon".to_owned()),
        )
        .hint("somebody else is updating it")
        .next("mtlog events x");
        assert_eq!(
            render(&error, Palette::Plain),
            "error: stack `x` is busy\n       since noon\nhint: somebody else is updating it\nnext: mtlog events x\n"
        );
    }
}
