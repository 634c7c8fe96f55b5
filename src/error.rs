//! The one error type that reaches the user, and what the process's exit status says.
//!
//! Modules below the commands have errors of their own, which know nothing of
//! hints and exit codes. Both are attached here and in the commands.

use std::{error::Error, fmt, process::ExitCode};

use mtlog_processor::error_chain;
use thiserror::Error as ThisError;

use crate::{
    aws::fault::{Fault, FaultClass},
    deploy::explain::Explanation,
};

/// How the command ended. The numbers are part of the interface: scripts test for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done, or there was nothing to do.
    Success = 0,
    /// Something went wrong that has no code of its own.
    Unexpected = 1,
    /// Differences were found, and finding them was the question.
    Different = 2,
    /// Credentials are missing or expired, or a permission is.
    Access = 3,
    /// The operation failed and was undone; what was there before is there again.
    RolledBack = 4,
    /// The operation failed and left something that somebody must look at.
    NeedsAttention = 5,
    /// A check before the first change failed; nothing was touched.
    Preflight = 6,
    /// A confirmation was refused, or could not be asked for.
    Declined = 7,
    /// Somebody else's operation, or a change since the plan, is in the way.
    Conflict = 8,
    /// The time to wait is over; the operation goes on.
    TimedOut = 9,
    /// What was asked for cannot be understood: a flag, a variable or a line of `.env`.
    Usage = 64,
    /// Some data could not be delivered, and is reported.
    Undelivered = 65,
    /// A passing failure: run the same again.
    TryAgain = 75,
    /// Ctrl-C; an operation that had begun goes on in AWS.
    Detached = 130,
}

impl ExitStatus {
    /// Orders the statuses of several failures: what needs somebody first comes first.
    const fn gravity(self) -> u8 {
        match self {
            Self::NeedsAttention => 0,
            Self::TimedOut => 1,
            Self::Detached => 2,
            Self::RolledBack => 3,
            Self::Access => 4,
            Self::Conflict => 5,
            Self::Preflight => 6,
            Self::Usage => 7,
            Self::Declined => 8,
            Self::Undelivered | Self::TryAgain | Self::Unexpected => 9,
            Self::Different | Self::Success => 10,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// A failure as the user sees it: what failed and why, what may help, and what to run next.
#[derive(Debug)]
pub struct CliError {
    status: ExitStatus,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    next: Vec<String>,
    code: Option<&'static str>,
    also: Vec<CliError>,
}

impl CliError {
    /// Makes a failure of `error`, which ends the process with `status`.
    pub fn new(status: ExitStatus, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            status,
            error: error.into(),
            hints: Vec::new(),
            next: Vec::new(),
            code: None,
            also: Vec::new(),
        }
    }

    /// Makes a failure of `what`, which happened because of `cause`.
    pub fn because(
        status: ExitStatus,
        what: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::new(status, Context { what: what.into(), source: cause.into() })
    }

    /// Adds advice, a sentence without its full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what is known about the cause.
    #[must_use]
    pub fn explained(mut self, explanation: &Explanation) -> Self {
        self.code = Some(explanation.code);
        self.hint(format!("{} [{}]", explanation.title, explanation.code)).hint(explanation.fix)
    }

    /// Puts failures of things that were done at the same time together. The gravest decides the exit status and comes
    /// first; `None` if there is none.
    pub fn together(mut errors: Vec<Self>) -> Option<Self> {
        errors.sort_by_key(|error| error.status.gravity());
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.also.extend(errors);
        Some(first)
    }

    /// Returns the code of the known cause.
    pub const fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// Returns what else failed at the same time.
    pub fn also(&self) -> &[Self] {
        &self.also
    }

    /// Adds a command that is worth running next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// Ends the process with another status.
    #[must_use]
    pub fn with_status(self, status: ExitStatus) -> Self {
        Self { status, ..self }
    }

    /// Returns the exit status.
    pub const fn status(&self) -> ExitStatus {
        self.status
    }

    /// Returns the advice.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Returns the commands that are worth running next.
    pub fn next_commands(&self) -> &[String] {
        &self.next
    }

    /// Returns the message and those of its causes, outermost first, without repetitions.
    pub fn chain(&self) -> Vec<String> {
        chain(self.error.as_ref())
    }
}

/// Returns the message of an error and those of its causes, outermost first, without repetitions and empty words.
pub fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    error_chain::messages(error)
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)
    }
}

/// A plain message where no module's error says it: a refusal by the command itself.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub struct Message(pub String);

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl CliError {
    /// A failed call to AWS while doing `what` ("failed to read stack `x`").
    pub fn aws(what: impl Into<String>, fault: Fault) -> Self {
        let status = match fault.class() {
            FaultClass::Denied | FaultClass::Credentials => ExitStatus::Access,
            FaultClass::Throttled
            | FaultClass::Transient
            | FaultClass::Missing
            | FaultClass::Conflict
            | FaultClass::Invalid => ExitStatus::Unexpected,
        };
        let hint = hint_for(&fault);
        let error = Self::new(status, Context { what: what.into(), source: Box::new(fault) });
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// What was being done when `source` happened.
#[derive(Debug, ThisError)]
#[error("{what}")]
struct Context {
    what: String,
    source: Box<dyn Error + Send + Sync>,
}

fn hint_for(fault: &Fault) -> Option<String> {
    match fault.class() {
        FaultClass::Credentials => Some(
            "name a profile with --profile or AWS_PROFILE; for an SSO profile run `aws sso login --profile NAME` first"
                .to_owned(),
        ),
        FaultClass::Denied => {
            Some(format!("the identity in use needs `{}`; `aws sts get-caller-identity` shows who it is", fault.permission()))
        }
        FaultClass::Transient => Some("check the network, the region and AWS_ENDPOINT_URL".to_owned()),
        FaultClass::Throttled => Some("AWS limits the rate of this call; run the same again in a minute".to_owned()),
        FaultClass::Missing | FaultClass::Conflict | FaultClass::Invalid => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, ThisError)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Link {
            text: "failed to read stack `x`",
            source: Some(Box::new(Link {
                text: "dispatch failure: refused",
                source: Some(Box::new(Link { text: "refused", source: None })),
            })),
        };
        let error = CliError::new(ExitStatus::Unexpected, error);
        assert_eq!(error.chain(), ["failed to read stack `x`", "dispatch failure: refused"]);
    }

    #[test]
    fn exit_codes_do_not_change() {
        let codes = [
            (ExitStatus::Success, 0),
            (ExitStatus::Unexpected, 1),
            (ExitStatus::Different, 2),
            (ExitStatus::Access, 3),
            (ExitStatus::RolledBack, 4),
            (ExitStatus::NeedsAttention, 5),
            (ExitStatus::Preflight, 6),
            (ExitStatus::Declined, 7),
            (ExitStatus::Conflict, 8),
            (ExitStatus::TimedOut, 9),
            (ExitStatus::Usage, 64),
            (ExitStatus::Undelivered, 65),
            (ExitStatus::TryAgain, 75),
            (ExitStatus::Detached, 130),
        ];
        for (status, code) in codes {
            assert_eq!(status as u8, code, "{status:?}");
        }
    }
}
