//! Stacks that a test puts there: one for every state, and what can be done with them.

use super::super::plans::{During, PlannedFailure};
use super::super::seed::{SeedStack, put};
use super::super::settings::Pace;
use super::super::status::StackStatus;
use super::bed::{ACCOUNT, Bed, REGION};

fn seed(bed: &mut Bed, stack: &SeedStack) -> Result<String, String> {
    put(&mut bed.state, &bed.world, stack, bed.now)
}

#[test]
fn a_stack_can_be_put_into_every_state() {
    for status in StackStatus::ALL {
        let mut bed = Bed::new();
        // Failures for later do not disturb the way there.
        bed.state.failures.push(PlannedFailure::new("Topic", "later").during(During::Create));
        let stack =
            SeedStack::new(ACCOUNT, REGION, "s", status).token("mtlog-1").tag("team", "logging");
        let id = seed(&mut bed, &stack).unwrap_or_else(|reason| panic!("{status}: {reason}"));
        assert_eq!(bed.status(&id), status.as_str());
        assert_eq!(bed.state.settings.pace == Pace::Held, status.is_busy(), "{status}");
        let token = bed.state.stacks[&id].events.last().and_then(|event| event.token.clone());
        assert_eq!(token.as_deref(), Some("mtlog-1"), "{status}");
        assert_eq!(bed.state.failures.len(), 1, "{status}");
        assert_eq!(bed.state.executions.len(), 0, "{status}");
    }
}

#[test]
fn states_after_a_failure_have_its_traces() {
    let rows = [
        (StackStatus::CreateFailed, vec!["Queue CREATE_FAILED", "Topic CREATE_COMPLETE"]),
        (StackStatus::RollbackComplete, vec!["Queue DELETE_COMPLETE", "Topic DELETE_COMPLETE"]),
        (StackStatus::RollbackFailed, vec!["Queue DELETE_COMPLETE", "Topic DELETE_FAILED"]),
        (StackStatus::DeleteFailed, vec!["Queue DELETE_FAILED", "Topic CREATE_COMPLETE"]),
        (StackStatus::UpdateFailed, vec!["Queue UPDATE_FAILED", "Topic UPDATE_COMPLETE"]),
        (
            StackStatus::UpdateRollbackComplete,
            vec!["Queue UPDATE_COMPLETE", "Topic UPDATE_COMPLETE"],
        ),
        (StackStatus::UpdateRollbackFailed, vec!["Queue UPDATE_FAILED", "Topic UPDATE_COMPLETE"]),
        (StackStatus::ReviewInProgress, vec![]),
    ];
    for (status, resources) in rows {
        let mut bed = Bed::new();
        let stack = SeedStack::new(ACCOUNT, REGION, "s", status).failing("Queue", "no more queues");
        let id = seed(&mut bed, &stack).unwrap();
        assert_eq!(bed.resources(&id), resources, "{status}");
        let told = bed.events(&id).iter().any(|line| line.ends_with(": no more queues"));
        assert_eq!(told, !resources.is_empty(), "{status}");
    }
}

#[test]
fn seeded_stacks_go_on_like_any_other() {
    let mut bed = Bed::new();
    let stack = SeedStack::new(ACCOUNT, REGION, "s", StackStatus::UpdateRollbackFailed);
    seed(&mut bed, &stack).unwrap();
    bed.ok("ContinueUpdateRollback", &[("StackName", "s")]);
    assert_eq!(bed.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    let stack = SeedStack::new(ACCOUNT, REGION, "busy", StackStatus::UpdateInProgress);
    seed(&mut bed, &stack).unwrap();
    bed.run();
    assert_eq!(bed.status("busy"), "UPDATE_COMPLETE");
    let stack = SeedStack::new(ACCOUNT, REGION, "review", StackStatus::ReviewInProgress)
        .change_set("theirs");
    seed(&mut bed, &stack).unwrap();
    let set = bed.ok("DescribeChangeSet", &[("StackName", "review"), ("ChangeSetName", "theirs")]);
    assert_eq!(set.child_text("ExecutionStatus"), Some("AVAILABLE"));
    assert_eq!(seed(&mut bed, &stack), Err("`review` exists already".to_owned()));
}
