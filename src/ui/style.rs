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

/// Shortens a line to so many columns. Colours take no room and are ended.
pub fn truncated(text: &str, columns: usize) -> String {
    const END: &str = "\u{1b}[0m";
    if visible(text).count() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut room = columns.saturating_sub(1);
    let mut characters = text.chars();
    let mut coloured = false;
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            short.push(character);
            coloured = true;
            for part in characters.by_ref() {
                short.push(part);
                if part == 'm' {
                    break;
                }
            }
        } else if room == 0 {
            break;
        } else {
            short.push(character);
            room -= 1;
        }
    }
    if columns > 0 {
        short.push('…');
    }
    if coloured {
        short.push_str(END);
    }
    short
}

/// The characters of a text that take room on the screen.
fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut escaped = false;
    text.chars().filter(move |character| {
        let hidden = escaped || *character == '\u{1b}';
        escaped = hidden && *character != 'm';
        !hidden
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        let red = Palette::Colour.bad("abcdef");
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("", 0, ""),
            ("ab", 0, ""),
            (red.as_str(), 6, red.as_str()),
            (red.as_str(), 3, "\u{1b}[31mab…\u{1b}[0m"),
        ] {
            assert_eq!(truncated(text, columns), expected, "{text} {columns}");
        }
    }

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
