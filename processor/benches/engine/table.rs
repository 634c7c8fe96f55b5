//! The table: what was measured, what it should be, and whether it is.

/// A line of the table.
struct Row {
    what: String,
    measured: String,
    /// None for what is only told.
    target: Option<(String, bool)>,
}

/// Lines in the order in which they are printed.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds a figure that must be at least `least`.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, ratio: f64, least: f64) {
        let target = Some((format!(">= {least}"), ratio >= least));
        self.0.push(Row { what: what.into(), measured: format!("{ratio:.2}"), target });
    }

    /// Adds a figure that must be at most `most`.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, figure: f64, most: f64) {
        let target = Some((format!("<= {most}"), figure <= most));
        self.0.push(Row { what: what.into(), measured: format!("{figure:.2}"), target });
    }

    /// Adds a figure that nothing is asked of.
    pub(crate) fn told(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.0.push(Row { what: what.into(), measured: measured.into(), target: None });
    }

    /// Whether every target is held.
    pub(crate) fn is_held(&self) -> bool {
        self.0.iter().all(|row| row.target.as_ref().is_none_or(|(_, held)| *held))
    }

    pub(crate) fn print(&self) {
        println!("\n| What | Target | Measured | |\n|---|---|---|---|");
        for Row { what, measured, target } in &self.0 {
            let (target, verdict) = match target {
                Some((target, true)) => (target.as_str(), "held"),
                Some((target, false)) => (target.as_str(), "**missed**"),
                None => ("", ""),
            };
            println!("| {what} | {target} | {measured} | {verdict} |");
        }
    }
}
