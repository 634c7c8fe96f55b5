//! How a process of the engine ends.

/// The exit code of a run. The codes are those of the whole command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything was delivered, or the engine was asked to stop and did.
    Ok,
    /// Something that should not happen.
    Unexpected,
    /// A role or credentials were refused.
    Refused,
    /// The settings are wrong; nothing was touched.
    Config,
    /// The options are wrong; nothing was touched.
    Usage,
    /// Some data could not be delivered; the report says which.
    Data,
    /// It did not work now: run it again.
    Transient,
    /// A second signal ended it at once.
    Interrupted,
}

impl ExitStatus {
    /// Returns the number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unexpected => 1,
            Self::Refused => 3,
            Self::Config => 6,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Transient => 75,
            Self::Interrupted => 130,
        }
    }

    /// Returns the one of two that tells more.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Transient => 1,
            Self::Data => 2,
            Self::Refused => 3,
            Self::Unexpected => 4,
            Self::Config => 5,
            Self::Usage => 6,
            Self::Interrupted => 7,
        }
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
