//! Tables of text: a title, headings, rows; columns as wide as their content.

use super::style::{Palette, printable};

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    title: Option<String>,
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    empty: Option<String>,
}

impl Table {
    /// Makes a table with these headings; none: only rows.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self { headings: headings.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// Gives the table a title.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Says what to print instead of a table without rows.
    #[must_use]
    pub fn or_say(mut self, text: impl Into<String>) -> Self {
        self.empty = Some(text.into());
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns the table as lines of text, each with its line end.
    pub fn render(&self, palette: Palette) -> String {
        let mut text = String::new();
        if let Some(title) = &self.title {
            text.push_str(&palette.strong(&printable(title)));
            text.push('\n');
        }
        if self.rows.is_empty() {
            if let Some(empty) = &self.empty {
                text.push_str(&printable(empty));
                text.push('\n');
            }
            return text;
        }
        let indent = if self.title.is_some() { "  " } else { "" };
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(self.headings.len());
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let heading = self.headings.get(column).map_or(0, |text| width(text));
                rows.iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0)
                    .max(heading)
            })
            .collect();
        if !self.headings.is_empty() {
            text.push_str(&palette.dim(&line(indent, &self.headings, &widths)));
            text.push('\n');
        }
        for row in &rows {
            text.push_str(&line(indent, row, &widths));
            text.push('\n');
        }
        text
    }
}

fn line(indent: &str, cells: &[String], widths: &[usize]) -> String {
    let mut line = String::from(indent);
    for (cell, wanted) in cells.iter().zip(widths) {
        line.push_str(cell);
        let padding = wanted.saturating_sub(width(cell)) + 2;
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

/// Columns on the screen; our texts have one for each character.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let mut table = Table::new(["NAME", "STATE"]).titled("Stacks");
        table.row(["a-long-name".to_owned(), "UP".to_owned()]);
        table.row(["b".to_owned(), "DOWN".to_owned()]);
        assert_eq!(
            table.render(Palette::Plain),
            "Stacks\n  NAME         STATE\n  a-long-name  UP\n  b            DOWN\n"
        );
    }

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(Table::new(["A"]).or_say("Nothing.").render(Palette::Plain), "Nothing.\n");
    }
}
