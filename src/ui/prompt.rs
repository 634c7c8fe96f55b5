//! Questions, and the answers that flags give in advance.

use dialoguer::{Confirm, Input, Select, theme::ColorfulTheme};
use mtlog_processor::model::secret::Secret;

use super::{Ui, style::Palette};
use crate::error::{CliError, ExitStatus, Message};

/// The answers that the command line gives in advance.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `--yes`: ordinary questions are answered with yes.
    pub yes: bool,
    /// `--no-input`: nothing is asked.
    pub no_input: bool,
    /// `--confirm NAME`: the typed names for what cannot be undone.
    pub confirm: Vec<String>,
}

/// Proof that somebody agreed. Only this module makes it, and what changes an account takes it by value.
#[derive(Debug)]
pub struct Consent(());

impl Ui {
    /// Refuses what would need a question later when no question can be asked: before anything is changed.
    /// `name` is what must be typed and why, where a plain yes does not do.
    pub fn could_agree(
        &self,
        name: Option<(&str, &str)>,
        answers: &Answers,
    ) -> Result<(), CliError> {
        let can_ask = self.can_ask() && !answers.no_input;
        match name {
            Some((name, warning)) if answers.confirm.is_empty() && !can_ask => {
                Err(cannot_ask(&format!("--confirm {name}")).hint(warning.to_owned()))
            }
            None if !answers.yes && !can_ask => Err(cannot_ask("--yes")),
            Some(_) | None => Ok(()),
        }
    }

    /// Asks whether to go on, unless `--yes` says so.
    pub fn agree(&self, question: &str, answers: &Answers) -> Result<Consent, CliError> {
        if answers.yes {
            return Ok(Consent(()));
        }
        if answers.no_input || !self.can_ask() {
            return Err(cannot_ask("--yes"));
        }
        let agreed = Confirm::with_theme(&self.theme())
            .with_prompt(question)
            .default(false)
            .interact()
            .map_err(|error| CliError::new(ExitStatus::Declined, error))?;
        if agreed { Ok(Consent(())) } else { Err(declined()) }
    }

    /// Asks for `name` to be typed, whatever `--yes` says, unless `--confirm` holds it.
    pub fn agree_by_name(
        &self,
        warning: &str,
        name: &str,
        answers: &Answers,
    ) -> Result<Consent, CliError> {
        if answers.confirm.iter().any(|given| given == name) {
            return Ok(Consent(()));
        }
        if let Some(given) = answers.confirm.first() {
            let text = format!("--confirm says `{given}`, but what is at stake is `{name}`");
            return Err(CliError::new(ExitStatus::Declined, Message(text)).hint(warning.to_owned()));
        }
        if answers.no_input || !self.can_ask() {
            return Err(cannot_ask(&format!("--confirm {name}")).hint(warning.to_owned()));
        }
        self.warning(warning);
        let typed: String = Input::with_theme(&self.theme())
            .with_prompt(format!("Type {name} to go on"))
            .allow_empty(true)
            .interact_text()
            .map_err(|error| CliError::new(ExitStatus::Declined, error))?;
        if typed.trim() == name { Ok(Consent(())) } else { Err(declined()) }
    }

    /// Asks for a text, which must pass `check`. An empty answer is the suggestion, if there is one.
    pub fn ask(
        &self,
        question: &str,
        suggestion: Option<&str>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, CliError> {
        let theme = self.theme();
        let mut input = Input::<String>::with_theme(&theme)
            .with_prompt(question)
            .validate_with(|text: &String| check(text.trim()));
        if let Some(suggestion) = suggestion {
            let silent = suggestion.is_empty();
            input = input.default(suggestion.to_owned()).show_default(!silent).allow_empty(silent);
        }
        let typed = input.interact_text();
        let typed = typed.map_err(|error| CliError::new(ExitStatus::Declined, error))?;
        Ok(typed.trim().to_owned())
    }

    /// Asks for one of several; the first one is suggested.
    pub fn choose<'a>(&self, question: &str, choices: &[&'a str]) -> Result<&'a str, CliError> {
        let chosen = Select::with_theme(&self.theme())
            .with_prompt(question)
            .items(choices)
            .default(0)
            .interact()
            .map_err(|error| CliError::new(ExitStatus::Declined, error))?;
        choices.get(chosen).copied().ok_or_else(declined)
    }

    /// Asks for the code that a device for the second factor shows.
    pub fn code(&self, device: &str) -> Result<Secret<String>, CliError> {
        if !self.can_ask() {
            let text = format!(
                "the role demands a code of the device `{device}`, and nobody can be asked here"
            );
            return Err(CliError::new(ExitStatus::Access, Message(text)).hint(
                "run any command with this profile in a terminal first: its session is kept for an hour, also by the AWS CLI",
            ));
        }
        let typed: String = Input::with_theme(&self.theme())
            .with_prompt(format!("Code of the device {device}"))
            .validate_with(|text: &String| {
                let code = text.trim();
                let legal = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
                if legal { Ok(()) } else { Err("it has six digits") }
            })
            .interact_text()
            .map_err(|error| CliError::new(ExitStatus::Declined, error))?;
        Ok(Secret::new(typed.trim().to_owned()))
    }

    fn theme(&self) -> ColorfulTheme {
        let mut theme = ColorfulTheme::default();
        if self.palette() == Palette::Plain {
            theme.prompt_prefix = dialoguer::console::style("?".to_owned());
            theme.success_prefix = dialoguer::console::style(">".to_owned());
        }
        theme
    }
}

fn cannot_ask(flag: &str) -> CliError {
    CliError::new(
        ExitStatus::Declined,
        Message("this needs a confirmation, and nobody can be asked here".to_owned()),
    )
    .hint(format!("add {flag} to go on without a question"))
}

fn declined() -> CliError {
    CliError::new(ExitStatus::Declined, Message("declined: nothing was changed".to_owned()))
}
