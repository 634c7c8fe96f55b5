//! The states that CloudFormation reports, with what they mean instead of how they end.
//! Source: `StackStatus` and `ResourceStatus` in the API model (2010-05-15).

use std::fmt;

/// Declares an enum of AWS's status words, with one unknown case that keeps the word.
macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $word] $variant,)+
            /// A word that this version does not know.
            Unknown(String),
        }

        impl $name {
            /// Every status that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Reads AWS's word.
            pub fn of(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Unknown(other.to_owned()),
                }
            }

            /// Returns AWS's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

statuses!(
    /// The state of a stack.
    StackStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackFailed = "ROLLBACK_FAILED",
        RollbackComplete = "ROLLBACK_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteComplete = "DELETE_COMPLETE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        ReviewInProgress = "REVIEW_IN_PROGRESS",
        ImportInProgress = "IMPORT_IN_PROGRESS",
        ImportComplete = "IMPORT_COMPLETE",
        ImportRollbackInProgress = "IMPORT_ROLLBACK_IN_PROGRESS",
        ImportRollbackFailed = "IMPORT_ROLLBACK_FAILED",
        ImportRollbackComplete = "IMPORT_ROLLBACK_COMPLETE",
    }
);

statuses!(
    /// The state of one resource, as its events tell it.
    ResourceStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteComplete = "DELETE_COMPLETE",
        DeleteSkipped = "DELETE_SKIPPED",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateFailed = "UPDATE_FAILED",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        ImportInProgress = "IMPORT_IN_PROGRESS",
        ImportFailed = "IMPORT_FAILED",
        ImportComplete = "IMPORT_COMPLETE",
        ImportRollbackInProgress = "IMPORT_ROLLBACK_IN_PROGRESS",
        ImportRollbackFailed = "IMPORT_ROLLBACK_FAILED",
        ImportRollbackComplete = "IMPORT_ROLLBACK_COMPLETE",
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackFailed = "ROLLBACK_FAILED",
        RollbackComplete = "ROLLBACK_COMPLETE",
    }
);

/// Where an operation on a stack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// CloudFormation is at work.
    Running,
    /// What was asked for is there.
    Done,
    /// What was asked for failed, and what was there before is there again (or nothing, after a creation).
    RolledBack,
    /// The stack is in a state that only a decision ends.
    Stuck,
    /// The stack is gone.
    Gone,
    /// A stack that only holds a change set so far.
    Reviewing,
}

impl StackStatus {
    /// Returns what the state means for the operation that led to it.
    pub const fn standing(&self) -> Standing {
        match self {
            Self::CreateInProgress
            | Self::RollbackInProgress
            | Self::DeleteInProgress
            | Self::UpdateInProgress
            | Self::UpdateRollbackInProgress
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress
            // A word from the future: waiting is the one reaction that cannot do harm.
            | Self::Unknown(_) => Standing::Running,
            // Only old resources are still being removed: the outputs are final.
            Self::UpdateCompleteCleanupInProgress
            | Self::CreateComplete
            | Self::UpdateComplete
            | Self::ImportComplete => Standing::Done,
            Self::UpdateRollbackCompleteCleanupInProgress
            | Self::RollbackComplete
            | Self::UpdateRollbackComplete
            | Self::ImportRollbackComplete => Standing::RolledBack,
            Self::CreateFailed
            | Self::RollbackFailed
            | Self::DeleteFailed
            | Self::UpdateFailed
            | Self::UpdateRollbackFailed
            | Self::ImportRollbackFailed => Standing::Stuck,
            Self::DeleteComplete => Standing::Gone,
            Self::ReviewInProgress => Standing::Reviewing,
        }
    }

    /// Whether CloudFormation takes no other operation while the stack is in this state.
    pub const fn is_busy(&self) -> bool {
        matches!(self.standing(), Standing::Running)
            || matches!(
                self,
                Self::UpdateCompleteCleanupInProgress
                    | Self::UpdateRollbackCompleteCleanupInProgress
            )
    }
}

/// What a resource's status says about the work on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// At work.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Left as it was, on purpose (a retained resource).
    Skipped,
}

impl ResourceStatus {
    /// Returns what the status says about the work on the resource.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::CreateInProgress
            | Self::DeleteInProgress
            | Self::UpdateInProgress
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress
            | Self::UpdateRollbackInProgress
            | Self::RollbackInProgress
            | Self::Unknown(_) => Phase::Running,
            Self::CreateComplete
            | Self::DeleteComplete
            | Self::UpdateComplete
            | Self::UpdateCompleteCleanupInProgress
            | Self::UpdateRollbackCompleteCleanupInProgress
            | Self::ImportComplete
            | Self::ImportRollbackComplete
            | Self::UpdateRollbackComplete
            | Self::RollbackComplete => Phase::Done,
            Self::CreateFailed
            | Self::DeleteFailed
            | Self::UpdateFailed
            | Self::ImportFailed
            | Self::ImportRollbackFailed
            | Self::UpdateRollbackFailed
            | Self::RollbackFailed => Phase::Failed,
            Self::DeleteSkipped => Phase::Skipped,
        }
    }

    /// Returns the status in words: `being created`, `updated`, `could not be deleted`.
    pub fn words(&self) -> &str {
        match self {
            Self::CreateInProgress => "creating",
            Self::CreateFailed => "could not be created",
            Self::CreateComplete => "created",
            Self::DeleteInProgress => "deleting",
            Self::DeleteFailed => "could not be deleted",
            Self::DeleteComplete => "deleted",
            Self::DeleteSkipped => "kept",
            Self::UpdateInProgress => "updating",
            Self::UpdateFailed => "could not be updated",
            Self::UpdateComplete => "updated",
            Self::UpdateCompleteCleanupInProgress => "updated, removing what is no longer needed",
            Self::ImportInProgress => "importing",
            Self::ImportFailed => "could not be imported",
            Self::ImportComplete => "imported",
            Self::ImportRollbackInProgress
            | Self::UpdateRollbackInProgress
            | Self::RollbackInProgress => "rolling back",
            Self::ImportRollbackFailed | Self::UpdateRollbackFailed | Self::RollbackFailed => {
                "could not be rolled back"
            }
            Self::ImportRollbackComplete
            | Self::UpdateRollbackComplete
            | Self::RollbackComplete => "rolled back",
            Self::UpdateRollbackCompleteCleanupInProgress => {
                "rolled back, removing what is no longer needed"
            }
            Self::Unknown(word) => word,
        }
    }

    /// Whether the status belongs to undoing an operation.
    pub const fn is_rollback(&self) -> bool {
        matches!(
            self,
            Self::ImportRollbackInProgress
                | Self::ImportRollbackFailed
                | Self::ImportRollbackComplete
                | Self::UpdateRollbackInProgress
                | Self::UpdateRollbackFailed
                | Self::UpdateRollbackComplete
                | Self::UpdateRollbackCompleteCleanupInProgress
                | Self::RollbackInProgress
                | Self::RollbackFailed
                | Self::RollbackComplete
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_round_trip() {
        for status in StackStatus::ALL {
            assert_eq!(&StackStatus::of(status.as_str()), status);
        }
        for status in ResourceStatus::ALL {
            assert_eq!(&ResourceStatus::of(status.as_str()), status);
        }
        assert_eq!(StackStatus::of("FUTURE"), StackStatus::Unknown("FUTURE".to_owned()));
    }

    #[test]
    fn a_rolled_back_stack_is_not_done() {
        for word in ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"] {
            assert_eq!(StackStatus::of(word).standing(), Standing::RolledBack, "{word}");
        }
    }

    #[test]
    fn a_stack_that_cleans_up_is_done_but_busy() {
        let status = StackStatus::UpdateCompleteCleanupInProgress;
        assert_eq!(status.standing(), Standing::Done);
        assert!(status.is_busy());
    }
}
