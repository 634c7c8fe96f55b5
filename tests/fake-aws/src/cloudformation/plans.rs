//! Failures and hooks that a test has planned.

/// At which work on a resource a planned failure strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum During {
    /// When it is made, also as the replacement of another.
    Create,
    /// When it is changed in place.
    Update,
    /// When it is deleted, also in a cleanup or in the rollback of a creation.
    Delete,
    /// When a failed update is taken back.
    Rollback,
    /// At any of these.
    Anything,
}

/// A failure that a test has planned for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFailure {
    logical: String,
    reason: String,
    during: During,
    stack: Option<String>,
    region: Option<String>,
    times: Option<u32>,
}

impl PlannedFailure {
    /// Plans that work on the resource of this logical id fails, each time, with this reason.
    pub fn new(logical: &str, reason: &str) -> Self {
        Self {
            logical: logical.to_owned(),
            reason: reason.to_owned(),
            during: During::Anything,
            stack: None,
            region: None,
            times: None,
        }
    }

    /// Restricts it to one kind of work.
    #[must_use]
    pub fn during(mut self, during: During) -> Self {
        self.during = during;
        self
    }

    /// Restricts it to stacks whose name starts with this. Nested stacks have names that start
    /// with the name of their parent and the logical id.
    #[must_use]
    pub fn stack(mut self, prefix: &str) -> Self {
        self.stack = Some(prefix.to_owned());
        self
    }

    /// Restricts it to one region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Lets it strike only that often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn is_for(&self, logical: &str, during: During, stack: &str, region: &str) -> bool {
        self.logical == logical
            && (self.during == During::Anything || self.during == during)
            && self.stack.as_ref().is_none_or(|prefix| stack.starts_with(prefix))
            && self.region.as_ref().is_none_or(|wanted| wanted == region)
            && self.times != Some(0)
    }
}

/// Takes the reason of the first failure that is planned for this.
pub(super) fn strike(
    failures: &mut [PlannedFailure],
    logical: &str,
    during: During,
    stack: &str,
    region: &str,
) -> Option<String> {
    let failure =
        failures.iter_mut().find(|failure| failure.is_for(logical, during, stack, region))?;
    failure.times = failure.times.map(|times| times.saturating_sub(1));
    Some(failure.reason.clone())
}

/// What a hook is invoked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookTarget {
    /// A resource, by its logical id.
    Resource(String),
    /// A change set of a stack, by the stack's name.
    ChangeSet(String),
}

/// Whether a failing hook stops the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookMode {
    /// It does.
    Fail,
    /// It only warns.
    Warn,
}

/// A hook that a test has planned to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHook {
    /// The hook's type, such as `Org::Security::Encryption`.
    pub type_name: String,
    /// What it looks at.
    pub target: HookTarget,
    /// Whether it stops the operation.
    pub mode: HookMode,
    /// What it says.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_strike_what_they_are_planned_for() {
        let mut failures = vec![
            PlannedFailure::new("Role", "first").during(During::Create).stack("main-Core").times(1),
            PlannedFailure::new("Role", "second").region("eu-west-1"),
        ];
        let rows = [
            ("Role", During::Create, "main-Sqs-1", "us-east-1", None),
            ("Role", During::Create, "main-Core-1", "us-east-1", Some("first")),
            ("Role", During::Create, "main-Core-1", "us-east-1", None),
            ("Role", During::Delete, "main-Core-1", "eu-west-1", Some("second")),
            ("Other", During::Delete, "main-Core-1", "eu-west-1", None),
        ];
        for (logical, during, stack, region, expected) in rows {
            assert_eq!(
                strike(&mut failures, logical, during, stack, region).as_deref(),
                expected,
                "{stack}"
            );
        }
    }
}
