//! `mtlog explain`: what a code means.

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::{
    deploy::explain::{self, Explanation},
    doctor::catalogue,
    error::{CliError, ExitStatus, Message},
    ui::{Report, style::Palette, table::Table},
};

/// Explain a code such as MT001, or list all of them
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code that a failure named
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

#[derive(Debug, Serialize)]
struct Explanations {
    explanations: Vec<&'static Explanation>,
}

impl Report for Explanations {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(["CODE", "CAUSE"]);
        for explanation in &self.explanations {
            table.row([explanation.code.to_owned(), explanation.title.to_owned()]);
        }
        vec![table]
    }

    fn text(&self, palette: Palette) -> String {
        match self.explanations.as_slice() {
            [only] => format!(
                "{}  {}\n\n{}\n\n{} {}\n",
                palette.strong(only.code),
                only.title,
                only.why,
                palette.hint("fix:"),
                only.fix
            ),
            _ => self.tables().iter().map(|table| table.render(palette)).collect(),
        }
    }
}

/// The causes of failures, and what `mtlog doctor` finds.
fn all() -> impl Iterator<Item = &'static Explanation> {
    explain::all().chain(catalogue::all().map(|check| &check.explanation))
}

/// Runs `mtlog explain`.
pub fn run(context: &Context<'_>, args: &ExplainArgs) -> Result<ExitStatus, CliError> {
    let explanations = match &args.code {
        None => all().collect(),
        Some(code) => match all().find(|known| known.code.eq_ignore_ascii_case(code)) {
            Some(explanation) => vec![explanation],
            None => {
                let text = format!("there is no code `{code}`");
                return Err(CliError::new(ExitStatus::Usage, Message(text)).next("mtlog explain"));
            }
        },
    };
    context.ui.emit(&Explanations { explanations })?;
    Ok(ExitStatus::Success)
}
