//! Alarms.

use serde::Serialize;

/// The state of an alarm (`StateValue` in CloudWatch's API model).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// The threshold is crossed.
    Alarm,
    /// There are too few values to tell.
    InsufficientData,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The name.
    pub name: String,
    /// The state.
    pub state: AlarmState,
    /// Why it is in that state, as CloudWatch says it.
    pub reason: String,
    /// Since when.
    pub since: Option<String>,
}
