//! Stacks as CloudFormation describes them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use mtlog_processor::model::ids::InvalidId;

use super::status::{ResourceStatus, StackStatus};

/// The resource type of a nested stack.
pub const NESTED_STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A stack's name: 1 to 128 letters, digits and hyphens, starting with a letter (`CreateStack` in the API model).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackName(String);

impl StackName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StackName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let legal = (1..=128).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if legal {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidId {
            value: text.to_owned(),
            what: "a stack name",
            rule: "it has 1 to 128 letters, digits and '-', and starts with a letter",
        })
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StackName({})", self.0)
    }
}

/// What is known about a stack that was asked for by name or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// CloudFormation knows no such stack.
    Absent,
    /// It exists, in whatever state.
    Present(Box<Stack>),
}

impl Presence {
    /// Returns the stack, if there is one.
    pub fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Absent => None,
            Self::Present(stack) => Some(stack),
        }
    }
}

/// A stack as `DescribeStacks` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The name.
    pub name: String,
    /// The ARN, which stays unique when a stack of the same name is made again.
    pub id: String,
    /// The state.
    pub status: StackStatus,
    /// CloudFormation's reason for the state.
    pub reason: Option<String>,
    /// Parameters by name; values of `NoEcho` parameters are asterisks.
    pub parameters: BTreeMap<String, String>,
    /// Outputs by name.
    pub outputs: BTreeMap<String, String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// When the stack was created.
    pub created: Option<Timestamp>,
    /// When the stack was last updated.
    pub updated: Option<Timestamp>,
    /// Whether deleting it is forbidden.
    pub protected: bool,
    /// The id of the stack that this one is nested in.
    pub parent: Option<String>,
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// The name in the template.
    pub logical_id: String,
    /// The name in AWS; empty before it exists.
    pub physical_id: String,
    /// The type, such as `AWS::SQS::Queue`.
    pub resource_type: String,
    /// The state.
    pub status: ResourceStatus,
}

/// One line of a stack's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEvent {
    /// The event's id, unique in the stack.
    pub id: String,
    /// The stack that the event belongs to.
    pub stack_id: String,
    /// The resource's name in the template; the stack's own name for the stack itself.
    pub logical_id: String,
    /// The resource's name in AWS.
    pub physical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// The state that the resource went into.
    pub status: ResourceStatus,
    /// CloudFormation's reason.
    pub reason: Option<String>,
    /// CloudFormation's clock.
    pub time: Timestamp,
    /// The token that the operation was started with.
    pub token: Option<String>,
    /// Whether the configuration is applied and only the stabilisation is waited for.
    pub stabilising: bool,
    /// What a hook of the organisation said when it refused the resource.
    pub hook_failure: Option<String>,
}

impl StackEvent {
    /// Whether the event is about the stack as a whole.
    pub fn is_about_the_stack(&self) -> bool {
        self.resource_type == NESTED_STACK_TYPE && self.physical_id == self.stack_id
    }

    /// Returns the id of the nested stack that the event is about.
    pub fn nested_stack(&self) -> Option<&str> {
        (self.resource_type == NESTED_STACK_TYPE
            && self.physical_id != self.stack_id
            && self.physical_id.starts_with("arn:"))
        .then_some(self.physical_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_names_follow_the_rules_of_cloudformation() {
        for text in ["a", "multi-tenant-logging-global"] {
            assert_eq!(text.parse::<StackName>().unwrap().as_str(), text);
        }
        let long = format!("a{}", "b".repeat(128));
        for text in ["", "1a", "-a", "a_b", "a.b", "a b", long.as_str()] {
            assert!(text.parse::<StackName>().is_err(), "{text}");
        }
    }
}
