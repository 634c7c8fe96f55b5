//! A template: what it declares, and the facts about it that need no parameter values.

mod evaluate;
mod parameters;
mod read;
mod references;
mod validate;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use evaluate::{Lookup, Pseudo, Scope, partition, scalar, url_suffix};
#[cfg(test)]
pub(crate) use parameters::ParameterValue;
pub(crate) use parameters::{Given, Parameters, resolve};
pub(crate) use references::{Reference, references};

use super::kinds::{self, Kind};
use crate::error::ApiError;

/// Stands for a value that is known only when the change is made.
pub(crate) const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

static NO_MEMBERS: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// A template that has passed the checks that every call makes.
#[derive(Debug, PartialEq)]
pub(crate) struct Template {
    text: String,
    root: Value,
}

/// A resource as the template declares it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared<'a> {
    pub(crate) logical: &'a str,
    pub(crate) kind: &'static Kind,
    body: &'a Map<String, Value>,
}

impl Template {
    /// Reads and checks a body.
    pub(crate) fn parse(text: &str) -> Result<Arc<Self>, ApiError> {
        let root = read::read(text)?;
        validate::shape(&root)?;
        let template = Self { text: text.to_owned(), root };
        validate::references(&template)?;
        Ok(Arc::new(template))
    }

    /// Returns the body as it was sent.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn description(&self) -> Option<&str> {
        self.root.get("Description").and_then(Value::as_str)
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.root.get("AWSTemplateFormatVersion").and_then(Value::as_str)
    }

    pub(crate) fn metadata(&self) -> Option<&Value> {
        self.root.get("Metadata")
    }

    pub(crate) fn transforms(&self) -> Vec<&str> {
        match self.root.get("Transform") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn section(&self, name: &str) -> &Map<String, Value> {
        self.root.get(name).and_then(Value::as_object).unwrap_or(&NO_MEMBERS)
    }

    /// Returns the resources in the order of their logical ids.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Declared<'_>> {
        self.section("Resources").keys().filter_map(|logical| self.resource(logical))
    }

    pub(crate) fn resource(&self, logical: &str) -> Option<Declared<'_>> {
        let (logical, body) = self.section("Resources").get_key_value(logical)?;
        let body = body.as_object()?;
        let kind = kinds::find(body.get("Type")?.as_str()?)?;
        Some(Declared { logical, kind, body })
    }

    /// Returns the capabilities that the template needs, and the types that need them.
    pub(crate) fn needed_capability(&self) -> Option<(&'static str, Vec<&'static str>)> {
        let mut kinds = BTreeSet::new();
        let mut named = false;
        for resource in self.resources().filter(|resource| resource.kind.is_iam) {
            kinds.insert(resource.kind.name);
            named |= resource.kind.name_property.is_some_and(|property| {
                resource.properties().is_some_and(|all| all.contains_key(property))
            });
        }
        if kinds.is_empty() {
            return None;
        }
        let capability = if named { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
        Some((capability, kinds.into_iter().collect()))
    }
}

impl<'a> Declared<'a> {
    pub(crate) fn properties(&self) -> Option<&'a Map<String, Value>> {
        self.body.get("Properties").and_then(Value::as_object)
    }

    pub(crate) fn condition(&self) -> Option<&'a str> {
        self.body.get("Condition").and_then(Value::as_str)
    }

    pub(crate) fn metadata(&self) -> Option<&'a Value> {
        self.body.get("Metadata")
    }

    /// Returns `DeletionPolicy`, which is `Delete` when nothing is written.
    pub(crate) fn deletion_policy(&self) -> &'a str {
        self.policy("DeletionPolicy")
    }

    /// Returns `UpdateReplacePolicy`, which is `Delete` when nothing is written.
    pub(crate) fn update_replace_policy(&self) -> &'a str {
        self.policy("UpdateReplacePolicy")
    }

    fn policy(&self, name: &str) -> &'a str {
        self.body.get(name).and_then(Value::as_str).unwrap_or("Delete")
    }

    /// Returns the resources that must exist before this one: those in `DependsOn` and those that
    /// its properties and metadata refer to.
    pub(crate) fn dependencies(&self, template: &Template) -> BTreeSet<String> {
        let written = match self.body.get("DependsOn") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut found: BTreeSet<String> = written.into_iter().map(str::to_owned).collect();
        for part in ["Properties", "Metadata"].iter().filter_map(|part| self.body.get(*part)) {
            for reference in references(part) {
                let logical = reference.name();
                if template.section("Resources").contains_key(logical) {
                    found.insert(logical.to_owned());
                }
            }
        }
        found.remove(self.logical);
        found
    }
}
