//! What expressions can see of a stack that is still to be changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::engine::StackLookup;
use super::super::state::{Stack, State};
use super::super::template::{KNOWN_AFTER_APPLY, Lookup};

/// What a change does to a resource, as far as others that refer to it are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Same,
    /// Its attributes may change.
    Modified,
    /// Its id changes, too.
    Replaced,
}

/// Looks things up as they will be. What is not known yet is a placeholder.
pub(super) struct Future<'a> {
    pub(super) state: &'a State,
    pub(super) stack: &'a Stack,
    pub(super) wanted: &'a BTreeSet<String>,
    pub(super) effects: &'a BTreeMap<String, Effect>,
}

impl Future<'_> {
    fn present(&self) -> StackLookup<'_> {
        StackLookup { state: self.state, stack: self.stack }
    }

    fn is_known(&self, logical: &str) -> Result<bool, String> {
        if !self.wanted.contains(logical) {
            return Err(format!(
                "Template format error: Unresolved resource dependencies [{logical}] in the Resources block of the template"
            ));
        }
        let exists = self
            .stack
            .living()
            .any(|resource| resource.logical == logical && resource.physical.is_some());
        Ok(exists && self.effects.get(logical) != Some(&Effect::Replaced))
    }
}

impl Lookup for Future<'_> {
    fn reference(&self, logical: &str) -> Result<Value, String> {
        if self.is_known(logical)? { self.present().reference(logical) } else { Ok(unknown()) }
    }

    fn attribute(&self, logical: &str, attribute: &str) -> Result<Value, String> {
        if !self.is_known(logical)? {
            return Ok(unknown());
        }
        // An output that is only now being added is known later.
        Ok(self.present().attribute(logical, attribute).unwrap_or_else(|_| unknown()))
    }

    fn import(&self, export: &str) -> Result<String, String> {
        self.present().import(export)
    }
}

fn unknown() -> Value {
    Value::String(KNOWN_AFTER_APPLY.to_owned())
}
