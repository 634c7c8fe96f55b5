//! The service within the fake: its state, and the way of a call from the dispatcher to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::actions::Call;
use super::form::Form;
use super::iam_documents::Documents;
use super::names::Owner;
use super::services::Services;
use super::state::State;
use super::template::partition;
use super::{NAMESPACE, answer};
use crate::error::ApiError;
use crate::http::Reply;
use crate::shared::{Context, Shared};

/// The state of the service.
#[derive(Debug)]
pub(crate) struct CloudFormation {
    state: Mutex<State>,
    documents: Documents,
}

impl CloudFormation {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::new()), documents: Documents::default() }
    }

    /// Tells who has the name of an IAM role in an account.
    pub(crate) fn role_owner(&self, account: &str, name: &str) -> Option<Owner> {
        self.state().names.owner_in_account("AWS::IAM::Role", account, name).cloned()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the other services, as stacks use them.
    pub(super) fn services<'a>(&'a self, shared: &'a Arc<Shared>) -> Services<'a> {
        Services { shared, documents: &self.documents, reader: None }
    }

    /// Returns what a call is held against: the stack, that of a change set too, or the change set itself.
    fn resource(&self, context: &Context<'_>, form: &Form<'_>) -> String {
        let (account, region) = (&context.caller.account, context.region);
        let stack = match (form.get("StackName"), form.get("ChangeSetName")) {
            // The only call that knows change sets as resources.
            (None, Some(set)) if context.operation == "DescribeEvents" => return set.to_owned(),
            (None, Some(set)) => {
                let state = self.state();
                let set = state.find_change_set(None, set);
                set.map_or_else(|| "*".to_owned(), |set| set.stack.stack_id.clone())
            }
            (Some(stack), _) => stack.to_owned(),
            (None, None) => "*".to_owned(),
        };
        if stack.starts_with("arn:") {
            return stack;
        }
        format!("arn:{}:cloudformation:{region}:{account}:stack/{stack}/*", partition(region))
    }
}

/// Returns what a call is about: the stack and the change set.
pub(crate) fn facts(form: &[(String, String)]) -> (String, String) {
    let form = Form::new(form);
    let text = |name| form.get(name).unwrap_or_default().to_owned();
    (text("StackName"), text("ChangeSetName"))
}

pub(crate) fn execute(context: &Context<'_>, form: &[(String, String)]) -> Result<Reply, ApiError> {
    let form = Form::new(form);
    let (account, region) = (&context.caller.account, context.region);
    let service = &context.shared.cloudformation;
    let resource = service.resource(context, &form);
    context.authorize(&format!("cloudformation:{}", context.operation), &resource)?;
    // Templates in S3 are read as the one who calls.
    let services = Services { reader: Some(context.caller), ..service.services(context.shared) };
    let call = Call {
        action: context.operation,
        form,
        account,
        region,
        principal: &context.caller.arn,
        now: context.now,
        world: &services,
    };
    let body = answer(&mut service.state(), &call, context.request_id)?;
    Ok(Reply::with_body(200, "text/xml", body))
}

/// Writes an error as the service does.
pub(crate) fn error_reply(error: &ApiError, request_id: &str) -> Reply {
    crate::error::query_reply(NAMESPACE, error, request_id)
}
