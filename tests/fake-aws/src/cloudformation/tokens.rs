//! Client tokens: what has been done in whose name, so that nothing is done twice.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::error::ApiError;

/// An operation that was really started, in the order of starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The call, such as `ExecuteChangeSet`.
    pub action: String,
    /// The client token of the call.
    pub token: Option<String>,
    /// The stack's name.
    pub stack_name: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// The operation id that the service gave it.
    pub operation_id: String,
    /// The change set's ARN, for `ExecuteChangeSet`.
    pub change_set_id: Option<String>,
    /// Milliseconds of the fake's clock.
    pub at_millis: Millis,
}

/// The tokens that calls have brought, by stack.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    used: BTreeMap<(String, String), Use>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    action: String,
    /// What was asked for, so that another request with the same token is seen.
    request: String,
    operation: String,
}

/// What a token says about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The call is new.
    New,
    /// The same call was made before, and this is the id of its operation.
    Repeated(String),
}

impl Tokens {
    /// Looks a token up. The same token with another request is an error.
    pub(super) fn look(
        &self,
        stack: &str,
        token: Option<&str>,
        action: &str,
        request: &str,
    ) -> Result<Seen, ApiError> {
        let found = token.and_then(|token| self.used.get(&(stack.to_owned(), token.to_owned())));
        match found {
            None => Ok(Seen::New),
            Some(used) if used.action == action && used.request == request => {
                Ok(Seen::Repeated(used.operation.clone()))
            }
            Some(_) => Err(ApiError::bad(
                "TokenAlreadyExistsException",
                "A client request token already exists for a different operation or request.",
            )),
        }
    }

    pub(super) fn note(
        &mut self,
        stack: &str,
        token: Option<&str>,
        action: &str,
        request: &str,
        operation: &str,
    ) {
        if let Some(token) = token {
            let used = Use {
                action: action.to_owned(),
                request: request.to_owned(),
                operation: operation.to_owned(),
            };
            self.used.insert((stack.to_owned(), token.to_owned()), used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_for_one_request() {
        let mut tokens = Tokens::default();
        tokens.note("s", Some("t"), "ExecuteChangeSet", "cs-1", "op-1");
        let look = |stack, token, action, request| {
            tokens.look(stack, token, action, request).map_err(|error| error.code)
        };
        let conflict = Err("TokenAlreadyExistsException".to_owned());
        assert_eq!(
            look("s", Some("t"), "ExecuteChangeSet", "cs-1"),
            Ok(Seen::Repeated("op-1".to_owned()))
        );
        assert_eq!(look("s", Some("t"), "ExecuteChangeSet", "cs-2"), conflict);
        assert_eq!(look("s", Some("t"), "DeleteStack", "cs-1"), conflict);
        assert_eq!(look("other", Some("t"), "DeleteStack", "cs-1"), Ok(Seen::New));
        assert_eq!(look("s", None, "DeleteStack", "cs-1"), Ok(Seen::New));
    }
}
