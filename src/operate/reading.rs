//! Answers that may be missing. One refused call must not take the rest of a screen away.

use serde::Serialize;

use crate::{
    aws::fault::{Fault, FaultClass},
    error,
};

/// What a call brought, or why it brought nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Reading<T> {
    /// It was read.
    Known {
        /// What was read.
        value: T,
    },
    /// Nothing of the kind is deployed here.
    Absent,
    /// The identity may not read it.
    Denied {
        /// The permission that is missing, as a policy spells it.
        permission: String,
    },
    /// The call failed in another way.
    Failed {
        /// Why.
        reason: String,
    },
}

impl<T> Reading<T> {
    /// Wraps what was read.
    pub const fn known(value: T) -> Self {
        Self::Known { value }
    }

    /// Says why a call brought nothing.
    pub fn missing(fault: &Fault) -> Self {
        if fault.class() == FaultClass::Denied {
            return Self::Denied { permission: fault.permission() };
        }
        Self::Failed { reason: error::chain(fault).join(": ") }
    }

    /// Reads the result of a call.
    pub fn of(result: Result<T, Fault>) -> Self {
        match result {
            Ok(value) => Self::known(value),
            Err(fault) => Self::missing(&fault),
        }
    }

    /// Reads the result of a call that may find nothing.
    pub fn of_option(result: Result<Option<T>, Fault>) -> Self {
        match result {
            Ok(Some(value)) => Self::known(value),
            Ok(None) => Self::Absent,
            Err(fault) => Self::missing(&fault),
        }
    }

    /// Changes what was read.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known { value } => Reading::known(change(value)),
            Self::Absent => Reading::Absent,
            Self::Denied { permission } => Reading::Denied { permission },
            Self::Failed { reason } => Reading::Failed { reason },
        }
    }

    /// Returns what was read, if it was.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Known { value } => Some(value),
            Self::Absent | Self::Denied { .. } | Self::Failed { .. } => None,
        }
    }

    /// Borrows what was read.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Known { value } => Reading::known(value),
            Self::Absent => Reading::Absent,
            Self::Denied { permission } => Reading::Denied { permission: permission.clone() },
            Self::Failed { reason } => Reading::Failed { reason: reason.clone() },
        }
    }
}
