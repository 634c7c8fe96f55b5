//! What CloudFormation does to other services, as a contract.

use serde_json::Value;

use super::kinds::Kind;
use super::template::Pseudo;
use crate::clock::Millis;

/// A resource, as the service that holds it sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) pseudo: &'a Pseudo,
    pub(crate) kind: &'static Kind,
    pub(crate) name: &'a str,
    /// What `Ref` gives.
    pub(crate) physical: &'a str,
    pub(crate) properties: &'a Value,
    pub(crate) now: Millis,
}

/// Why a service refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The name is taken in the caller's account.
    AlreadyExists,
    /// The name is taken in another account.
    AlreadyExistsElsewhere,
    /// A bucket has objects in it.
    NotEmpty,
    /// The service's own sentence.
    Other(String),
}

/// Why an object cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectProblem {
    NoBucket,
    NoKey,
    AccessDenied,
    /// The URL names another region than the bucket's.
    WrongRegion,
}

/// An object that a `TemplateURL` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPlace {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The region in the URL; the global endpoint names none.
    pub(crate) region: Option<String>,
}

/// The other services. An implementation that knows nothing of a type does nothing for it.
pub(crate) trait World {
    /// Reads a template.
    fn template(&self, place: &ObjectPlace, account: &str) -> Result<String, ObjectProblem>;

    /// Tells whether something of this name is there already, made by a stack or not.
    fn exists(&self, item: &Item<'_>) -> bool;

    /// Makes a resource. The result is another physical id, if the service gives one of its own.
    fn create(&self, item: &Item<'_>) -> Result<Option<String>, Refusal>;

    /// Changes a resource in place.
    fn update(&self, item: &Item<'_>) -> Result<(), Refusal>;

    /// Deletes a resource. Deleting what is not there succeeds.
    fn delete(&self, item: &Item<'_>) -> Result<(), Refusal>;
}
