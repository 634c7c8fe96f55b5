//! What expressions can see of a stack that exists.

use serde_json::Value;

use super::super::state::{Stack, State};
use super::super::template::Lookup;

/// Looks things up in a stack and in its region's exports.
pub(in crate::cloudformation) struct StackLookup<'a> {
    pub(in crate::cloudformation) state: &'a State,
    pub(in crate::cloudformation) stack: &'a Stack,
}

impl Lookup for StackLookup<'_> {
    fn reference(&self, logical: &str) -> Result<Value, String> {
        let resource = self.stack.resources.get(logical);
        resource
            .and_then(|resource| resource.physical.clone())
            .map(Value::String)
            .ok_or_else(|| unresolved(logical))
    }

    fn attribute(&self, logical: &str, attribute: &str) -> Result<Value, String> {
        let resource =
            self.stack.resources.get(logical).filter(|resource| resource.physical.is_some());
        let resource = resource.ok_or_else(|| unresolved(logical))?;
        self.state.attribute(self.stack, resource, attribute).map(Value::String).ok_or_else(|| {
            match attribute.strip_prefix("Outputs.") {
                Some(output) => format!(
                    "Output '{output}' not found in stack '{}'",
                    resource.physical.as_deref().unwrap_or_default()
                ),
                None => format!("Attribute: {attribute} was not found for resource: {logical}"),
            }
        })
    }

    fn import(&self, export: &str) -> Result<String, String> {
        self.state
            .exports(&self.stack.pseudo.account, &self.stack.pseudo.region)
            .find(|(_, output)| output.export.as_deref() == Some(export))
            .map(|(_, output)| output.value.clone())
            .ok_or_else(|| format!("No export named {export} found."))
    }
}

fn unresolved(logical: &str) -> String {
    format!(
        "Template format error: Unresolved resource dependencies [{logical}] in the Resources block of the template"
    )
}
