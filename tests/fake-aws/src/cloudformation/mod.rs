//! CloudFormation: stacks, change sets and their events, as a state machine that tests can slow
//! down, stop and break.
//!
//! It owns templates, stacks, resources and names. It does not know how other services work: it
//! asks for what it needs through [`world::World`]. Error texts are those of the service, where
//! they could be found out; the API model is that of `cloudformation-2010-05-15`.

mod actions;
mod bucket_settings;
mod by_hand;
mod change_set;
mod control;
mod describe;
mod difference;
mod drift;
mod engine;
mod events;
mod exports;
mod form;
mod glob;
mod iam_documents;
mod ids;
mod kinds;
mod kinds_table;
mod names;
mod paging;
mod plans;
mod refusals;
mod registered;
mod seed;
mod service;
mod services;
mod settings;
mod stack_policy;
mod state;
mod status;
mod template;
mod template_url;
mod tokens;
mod world;

#[cfg(test)]
mod tests;

pub(crate) use actions::OPERATIONS;
pub use control::{CloudFormationControl, StackView};
pub(crate) use names::Owner;
pub use plans::{During, HookMode, HookTarget, PlannedFailure, PlannedHook};
pub use seed::SeedStack;
pub(crate) use service::{CloudFormation, error_reply, execute, facts};
pub use settings::{Availability, EarlyValidation, Pace, RollbackOperation};
pub use status::StackStatus;
pub use tokens::Execution;

use self::actions::Call;
use self::state::State;
use crate::error::ApiError;
use crate::xml;

/// The version in every request.
pub(crate) const VERSION: &str = "2010-05-15";

const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// Carries a call out and writes the reply's body.
fn answer(state: &mut State, call: &Call<'_>, request_id: &str) -> Result<String, ApiError> {
    state.catch_up(call.world, call.now);
    let mut outcome = Ok(());
    let action = call.action;
    let body = xml::document(&format!("{action}Response"), Some(NAMESPACE), |out| {
        out.nest(&format!("{action}Result"), |out| outcome = actions::act(state, call, out));
        out.nest("ResponseMetadata", |out| out.text("RequestId", request_id));
    });
    outcome?;
    state.follow_up(call.world, is_read(action), call.now);
    Ok(body)
}

/// Tells whether a call only looks. Drift detection looks, too: it changes nothing.
pub(crate) fn is_read(action: &str) -> bool {
    ["Describe", "Detect", "Get", "List", "Validate"]
        .iter()
        .any(|prefix| action.starts_with(prefix))
}
