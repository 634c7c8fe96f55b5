//! Changes of resources: what a change set, or our own comparison of templates, says will happen.

use std::fmt;

use serde::Serialize;

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed, in place or by replacement.
    Modify,
    /// It is taken out of the stack.
    Remove,
    /// It is taken into the stack as it is.
    Import,
    /// What happens is known only when the stack is updated.
    Dynamic,
}

impl Action {
    /// Returns the one-character mark of plans.
    pub const fn mark(self) -> char {
        match self {
            Self::Add => '+',
            Self::Modify => '~',
            Self::Remove => '-',
            Self::Import => '=',
            Self::Dynamic => '?',
        }
    }
}

/// Whether a changed resource is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// It stays.
    No,
    /// It depends on values that are known only during the update.
    Maybe,
    /// A new one is made and the old one removed.
    Yes,
    /// Nobody has asked CloudFormation yet.
    Unknown,
}

/// What becomes of the real thing when a resource leaves the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is deleted.
    Deleted,
    /// It stays in the account, outside the stack.
    Retained,
    /// It is deleted after a snapshot.
    Snapshotted,
}

/// How sure it is that a property changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It does.
    Certain,
    /// It refers to something whose value is known only during the update.
    Possible,
}

/// One property, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PropertyChange {
    /// The path in the resource: `Properties.VisibilityTimeout`.
    pub path: String,
    /// The value before; none: it was not set, or is not told.
    pub before: Option<String>,
    /// The value after; none: it is no longer set, or is not told.
    pub after: Option<String>,
    /// How sure it is.
    pub certainty: Certainty,
}

/// One resource and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceChange {
    /// The nested stacks that lead to it, then its own name: `SQSStack/LogDeliveryQueue`.
    pub path: String,
    /// The type, such as `AWS::SQS::Queue`.
    pub resource_type: String,
    /// What happens.
    pub action: Action,
    /// Whether it is made anew.
    pub replacement: Replacement,
    /// What becomes of the real thing, if it leaves the stack.
    pub fate: Option<Fate>,
    /// The name in AWS, if it exists.
    pub physical_id: Option<String>,
    /// The properties that change.
    pub properties: Vec<PropertyChange>,
}

/// What is lost, or stops, with one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stake {
    /// The resource.
    pub path: String,
    /// What is in it, or hangs on it, in words.
    pub what: String,
}

impl ResourceChange {
    /// Whether the change takes away what holds data or what logs pass through, even if the thing itself stays in the
    /// account. It needs more than an ordinary consent.
    pub fn is_grave(&self) -> bool {
        let carries = is_store(&self.resource_type)
            || matches!(
                self.resource_type.as_str(),
                "AWS::SNS::Subscription" | "AWS::Lambda::EventSourceMapping"
            );
        self.endangers_data() || (self.action == Action::Remove && carries)
    }

    /// Whether data may go with the change: a store that is deleted or made anew.
    pub fn endangers_data(&self) -> bool {
        if !is_store(&self.resource_type) || self.fate == Some(Fate::Retained) {
            return false;
        }
        match self.action {
            Action::Remove => true,
            Action::Modify => matches!(self.replacement, Replacement::Yes),
            Action::Add | Action::Import | Action::Dynamic => false,
        }
    }
}

/// Whether a resource of this type holds what cannot be made again.
pub fn is_store(resource_type: &str) -> bool {
    matches!(
        resource_type,
        "AWS::S3::Bucket"
            | "AWS::DynamoDB::Table"
            | "AWS::KMS::Key"
            | "AWS::SQS::Queue"
            | "AWS::Logs::LogGroup"
            // A nested stack takes everything in it along.
            | "AWS::CloudFormation::Stack"
    )
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Modify => "modify",
            Self::Remove => "remove",
            Self::Import => "import",
            Self::Dynamic => "decided during the update",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        resource_type: &str,
        action: Action,
        replacement: Replacement,
        fate: Option<Fate>,
    ) -> ResourceChange {
        ResourceChange {
            path: "X".to_owned(),
            resource_type: resource_type.to_owned(),
            action,
            replacement,
            fate,
            physical_id: None,
            properties: Vec::new(),
        }
    }

    #[test]
    fn what_logs_pass_through_is_not_taken_away_lightly() {
        let kept = change("AWS::SQS::Queue", Action::Remove, Replacement::No, Some(Fate::Retained));
        let subscription =
            change("AWS::SNS::Subscription", Action::Remove, Replacement::No, Some(Fate::Deleted));
        let policy =
            change("AWS::SQS::QueuePolicy", Action::Remove, Replacement::No, Some(Fate::Deleted));
        assert!(kept.is_grave() && subscription.is_grave() && !policy.is_grave());
    }

    #[test]
    fn only_stores_that_go_away_endanger_data() {
        for (resource_type, action, replacement, fate, expected) in [
            ("AWS::SQS::Queue", Action::Remove, Replacement::No, Some(Fate::Deleted), true),
            ("AWS::SQS::Queue", Action::Remove, Replacement::No, Some(Fate::Retained), false),
            ("AWS::SQS::Queue", Action::Modify, Replacement::No, None, false),
            ("AWS::DynamoDB::Table", Action::Modify, Replacement::Yes, None, true),
            ("AWS::S3::Bucket", Action::Add, Replacement::No, None, false),
            ("AWS::IAM::Role", Action::Remove, Replacement::No, Some(Fate::Deleted), false),
            (
                "AWS::CloudFormation::Stack",
                Action::Remove,
                Replacement::No,
                Some(Fate::Deleted),
                true,
            ),
        ] {
            assert_eq!(
                change(resource_type, action, replacement, fate).endangers_data(),
                expected,
                "{resource_type}"
            );
        }
    }
}
