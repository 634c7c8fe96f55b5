//! Colours, and how to do without them.

/// Whether text gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// ANSI colours.
    Colour,
    /// Text as it is.
    Plain,
}

impl Palette {
    /// What failed, or will be deleted.
    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// The word before a failure.
    pub fn error(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What needs somebody's eyes.
    pub fn warning(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// What changes.
    pub fn changed(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What is well, or will be made.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Names and headings.
    pub fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What may be skipped.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Commands and hints.
    pub fn hint(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Replaces control characters, so that a text from elsewhere cannot steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Palette::Plain.error("x"), "x");
        assert_eq!(Palette::Colour.error("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
    }
}
