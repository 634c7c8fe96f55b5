//! What to do with a stack in the state that it is found in. The whole table is in one pure function and its test.

use super::{
    stack::{NESTED_STACK_TYPE, Presence, Stack, StackResource},
    status::{Phase, ResourceStatus, StackStatus},
};

/// Whose operation a busy stack is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Started by mtlog for exactly what is asked for now.
    Ours,
    /// Anybody else's.
    Foreign,
}

/// What the answer depends on, besides the stack itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// The stack's resources. Only looked at where a failed creation may have left some.
    pub resources: &'a [StackResource],
    /// The names of the change sets that wait at the stack.
    pub change_sets: &'a [String],
    /// Who started the operation that the stack is in.
    pub owner: Owner,
}

/// What a deployment does first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approach {
    /// There is nothing: create.
    Create,
    /// There is only our own unfinished change set, or the empty shell of a failed creation: delete it, then create.
    DeleteThenCreate,
    /// There is a stack: compare and update.
    Update,
    /// CloudFormation is about to finish an operation whose result stands: wait, then update.
    WaitThenUpdate,
    /// CloudFormation is at work on what we ask for: watch it, then compare again.
    Attach,
    /// CloudFormation removes the stack: wait, then create.
    WaitThenCreate,
    /// Somebody has to decide something first.
    Refuse(Refusal),
}

/// Why a deployment does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else's operation runs.
    Busy,
    /// Somebody else's change set waits at a stack that does not exist yet.
    ForeignReview,
    /// A failed creation left resources.
    Leftovers(Vec<String>),
    /// An update failed without being rolled back.
    UpdateFailed,
    /// The rollback of an update failed.
    RollbackFailed,
    /// A deletion failed.
    DeleteFailed,
    /// The state is one that this version does not know.
    UnknownState,
}

/// The prefix of names and tokens of our change sets.
pub const OWN_PREFIX: &str = "mtlog-";

/// Returns what a deployment does with the stack.
pub fn approach(presence: &Presence, circumstances: Circumstances<'_>) -> Approach {
    let Presence::Present(stack) = presence else { return Approach::Create };
    match stack.status {
        StackStatus::DeleteComplete => Approach::Create,
        StackStatus::ReviewInProgress => {
            let own = circumstances.change_sets.iter().all(|name| name.starts_with(OWN_PREFIX));
            if own { Approach::DeleteThenCreate } else { Approach::Refuse(Refusal::ForeignReview) }
        }
        StackStatus::CreateComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateRollbackComplete
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete => Approach::Update,
        StackStatus::UpdateCompleteCleanupInProgress
        | StackStatus::UpdateRollbackCompleteCleanupInProgress => Approach::WaitThenUpdate,
        StackStatus::RollbackComplete | StackStatus::RollbackFailed | StackStatus::CreateFailed => {
            let left = leftovers(circumstances.resources);
            if left.is_empty() && stack.status == StackStatus::RollbackComplete {
                Approach::DeleteThenCreate
            } else {
                Approach::Refuse(Refusal::Leftovers(left))
            }
        }
        StackStatus::UpdateFailed => Approach::Refuse(Refusal::UpdateFailed),
        StackStatus::UpdateRollbackFailed | StackStatus::ImportRollbackFailed => {
            Approach::Refuse(Refusal::RollbackFailed)
        }
        StackStatus::DeleteFailed => Approach::Refuse(Refusal::DeleteFailed),
        StackStatus::DeleteInProgress => match circumstances.owner {
            Owner::Ours => Approach::WaitThenCreate,
            Owner::Foreign => Approach::Refuse(Refusal::Busy),
        },
        StackStatus::CreateInProgress
        | StackStatus::RollbackInProgress
        | StackStatus::UpdateInProgress
        | StackStatus::UpdateRollbackInProgress
        | StackStatus::ImportInProgress
        | StackStatus::ImportRollbackInProgress => match circumstances.owner {
            Owner::Ours => Approach::Attach,
            Owner::Foreign => Approach::Refuse(Refusal::Busy),
        },
        StackStatus::Unknown(_) => Approach::Refuse(Refusal::UnknownState),
    }
}

/// Whether the resources of a stack in this state have to be looked at.
pub fn needs_resources(stack: &Stack) -> bool {
    matches!(
        stack.status,
        StackStatus::RollbackComplete | StackStatus::RollbackFailed | StackStatus::CreateFailed
    )
}

/// Returns the resources that exist although the creation failed.
fn leftovers(resources: &[StackResource]) -> Vec<String> {
    resources
        .iter()
        .filter(|resource| {
            let gone = resource.status == ResourceStatus::DeleteComplete;
            // Creation failed before there was anything.
            let never_was =
                resource.status.phase() == Phase::Failed && resource.physical_id.is_empty();
            !gone && !never_was
        })
        .map(|resource| {
            let kind = if resource.resource_type == NESTED_STACK_TYPE {
                "nested stack"
            } else {
                &resource.resource_type
            };
            format!("{} ({kind}, {})", resource.logical_id, resource.status)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn stack(status: StackStatus) -> Presence {
        Presence::Present(Box::new(Stack {
            name: "x".to_owned(),
            id: "arn:x".to_owned(),
            status,
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        }))
    }

    fn resource(status: ResourceStatus) -> StackResource {
        StackResource {
            logical_id: "Bucket".to_owned(),
            physical_id: "b".to_owned(),
            resource_type: "AWS::S3::Bucket".to_owned(),
            status,
        }
    }

    /// The table: every state, with what mtlog does when nothing of the circumstances speaks against it.
    fn expected(status: &StackStatus) -> Approach {
        match status {
            StackStatus::DeleteComplete => Approach::Create,
            StackStatus::ReviewInProgress | StackStatus::RollbackComplete => {
                Approach::DeleteThenCreate
            }
            StackStatus::CreateComplete
            | StackStatus::UpdateComplete
            | StackStatus::UpdateRollbackComplete
            | StackStatus::ImportComplete
            | StackStatus::ImportRollbackComplete => Approach::Update,
            StackStatus::UpdateCompleteCleanupInProgress
            | StackStatus::UpdateRollbackCompleteCleanupInProgress => Approach::WaitThenUpdate,
            StackStatus::CreateInProgress
            | StackStatus::RollbackInProgress
            | StackStatus::DeleteInProgress
            | StackStatus::UpdateInProgress
            | StackStatus::UpdateRollbackInProgress
            | StackStatus::ImportInProgress
            | StackStatus::ImportRollbackInProgress => Approach::Refuse(Refusal::Busy),
            StackStatus::RollbackFailed | StackStatus::CreateFailed => {
                Approach::Refuse(Refusal::Leftovers(Vec::new()))
            }
            StackStatus::UpdateFailed => Approach::Refuse(Refusal::UpdateFailed),
            StackStatus::UpdateRollbackFailed | StackStatus::ImportRollbackFailed => {
                Approach::Refuse(Refusal::RollbackFailed)
            }
            StackStatus::DeleteFailed => Approach::Refuse(Refusal::DeleteFailed),
            StackStatus::Unknown(_) => Approach::Refuse(Refusal::UnknownState),
        }
    }

    const PLAIN: Circumstances<'_> =
        Circumstances { resources: &[], change_sets: &[], owner: Owner::Foreign };

    #[test]
    fn every_state_has_its_approach() {
        assert_eq!(approach(&Presence::Absent, PLAIN), Approach::Create);
        for status in
            StackStatus::ALL.iter().cloned().chain([StackStatus::Unknown("NEW".to_owned())])
        {
            assert_eq!(approach(&stack(status.clone()), PLAIN), expected(&status), "{status}");
        }
    }

    #[test]
    fn our_own_operation_is_joined_not_repeated() {
        let ours = Circumstances { owner: Owner::Ours, ..PLAIN };
        for status in [
            StackStatus::CreateInProgress,
            StackStatus::UpdateInProgress,
            StackStatus::RollbackInProgress,
        ] {
            assert_eq!(approach(&stack(status), ours), Approach::Attach);
        }
        assert_eq!(approach(&stack(StackStatus::DeleteInProgress), ours), Approach::WaitThenCreate);
    }

    #[test]
    fn a_foreign_change_set_is_never_thrown_away() {
        let foreign = ["somebodys-change".to_owned()];
        let circumstances = Circumstances { change_sets: &foreign, ..PLAIN };
        let found = approach(&stack(StackStatus::ReviewInProgress), circumstances);
        assert_eq!(found, Approach::Refuse(Refusal::ForeignReview));
    }

    #[test]
    fn what_a_failed_creation_left_is_never_deleted_unasked() {
        for (status, resource_status, refused) in [
            (StackStatus::RollbackComplete, ResourceStatus::DeleteComplete, false),
            (StackStatus::RollbackComplete, ResourceStatus::DeleteSkipped, true),
            (StackStatus::RollbackComplete, ResourceStatus::DeleteFailed, true),
            (StackStatus::RollbackComplete, ResourceStatus::CreateComplete, true),
            (StackStatus::CreateFailed, ResourceStatus::CreateComplete, true),
        ] {
            let resources = [resource(resource_status.clone())];
            let found =
                approach(&stack(status.clone()), Circumstances { resources: &resources, ..PLAIN });
            assert_eq!(matches!(found, Approach::Refuse(_)), refused, "{status} {resource_status}");
        }
    }
}
