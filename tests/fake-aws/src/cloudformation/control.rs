//! What a test can ask and change about stacks.

use std::sync::Arc;

use serde_json::Value;

use super::drift::GONE;
use super::kinds;
use super::plans::{PlannedFailure, PlannedHook};
use super::seed::{self, SeedStack};
use super::service::CloudFormation;
use super::settings::{Availability, EarlyValidation, Pace, RollbackOperation};
use super::state::Stack;
use super::status::StackStatus;
use super::template::Pseudo;
use super::tokens::Execution;
use crate::fake::FakeAws;
use crate::shared::Shared;

/// The controls of CloudFormation.
#[derive(Debug, Clone, Copy)]
pub struct CloudFormationControl<'a> {
    shared: &'a Arc<Shared>,
}

/// A stack as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackView {
    /// The ARN.
    pub id: String,
    /// The name.
    pub name: String,
    /// The status.
    pub status: StackStatus,
    /// Why it has that status.
    pub reason: Option<String>,
    /// Names and values of the parameters, also of secret ones.
    pub parameters: Vec<(String, String)>,
    /// Names and values of the outputs.
    pub outputs: Vec<(String, String)>,
    /// Keys and values of the tags.
    pub tags: Vec<(String, String)>,
    /// The template as it was sent.
    pub template: Option<String>,
    /// Logical id, physical id and status of the resources.
    pub resources: Vec<(String, String, String)>,
    /// Whether it is protected against deletion.
    pub is_protected: bool,
    /// The ARN of the stack that it is nested in.
    pub parent: Option<String>,
}

impl FakeAws {
    /// Returns the controls of CloudFormation.
    pub fn cloudformation(&self) -> CloudFormationControl<'_> {
        CloudFormationControl { shared: self.shared() }
    }
}

/// Pace and behaviour.
impl CloudFormationControl<'_> {
    /// Sets when work on stacks goes on. At first it is over before its call returns.
    pub fn set_pace(&self, pace: Pace) {
        let mut state = self.service().state();
        state.settings.pace = pace;
        state.last_step = Some(self.shared.clock.now());
    }

    /// Lets that many steps happen; returns whether anything was still going on.
    pub fn step(&self, steps: u32) -> bool {
        let service = self.service();
        let (services, now) = (service.services(self.shared), self.shared.clock.now());
        let mut state = service.state();
        (0..steps).fold(false, |_, _| state.step(&services, now))
    }

    /// Lets everything run to its end.
    pub fn run(&self) {
        let service = self.service();
        let services = service.services(self.shared);
        service.state().run(&services, self.shared.clock.now());
    }

    /// Tells whether any stack or change set is being worked on.
    pub fn is_busy(&self) -> bool {
        self.service().state().is_busy()
    }

    /// Sets how a call is answered, such as `DescribeEvents` in a region that does not have it.
    pub fn set_availability(&self, action: &str, availability: Availability) {
        self.service().state().settings.availability.insert(action.to_owned(), availability);
    }

    /// Sets whether change sets are checked before anything is touched. At first they are.
    pub fn set_early_validation(&self, early_validation: EarlyValidation) {
        self.service().state().settings.early_validation = early_validation;
    }

    /// Sets which operation id automatic rollbacks have. At first they have their own.
    pub fn set_rollback_operation(&self, rollback_operation: RollbackOperation) {
        self.service().state().settings.rollback_operation = rollback_operation;
    }

    /// Lets that many reads after the start of each later operation see the stack as it was.
    pub fn set_stale_reads(&self, reads: u32) {
        self.service().state().settings.stale_reads = reads;
    }

    /// Sets how many entries a page of any list has, 100 at first.
    pub fn set_page_size(&self, entries: usize) {
        self.service().state().settings.page_size = entries;
    }

    /// Puts an alarm, named by its ARN, into alarm: updates that have it as a rollback trigger fail.
    pub fn raise_alarm(&self, arn: &str) {
        self.service().state().settings.alarms.insert(arn.to_owned());
    }

    /// Ends all alarms.
    pub fn clear_alarms(&self) {
        self.service().state().settings.alarms.clear();
    }

    /// Plans a failure. The first one that fits strikes.
    pub fn fail(&self, failure: PlannedFailure) {
        self.service().state().failures.push(failure);
    }

    /// Forgets all planned failures.
    pub fn clear_failures(&self) {
        self.service().state().failures.clear();
    }

    /// Plans a hook that fails or warns.
    pub fn hook(&self, hook: PlannedHook) {
        self.service().state().hooks.push(hook);
    }

    /// Forgets all hooks.
    pub fn clear_hooks(&self) {
        self.service().state().hooks.clear();
    }

    fn service(&self) -> &CloudFormation {
        &self.shared.cloudformation
    }
}

/// Stacks.
impl CloudFormationControl<'_> {
    /// Puts a stack into the account, by way of the operations that lead to its state, and returns
    /// its ARN. A stack in progress stays so: a pace of [`Pace::Instant`] becomes [`Pace::Held`].
    pub fn put_stack(&self, stack: &SeedStack) -> String {
        let service = self.service();
        let services = service.services(self.shared);
        let now = self.shared.clock.now();
        let put = seed::put(&mut service.state(), &services, stack, now);
        match put {
            Ok(id) => id,
            Err(reason) => panic!("the stack cannot be put there: {reason}"),
        }
    }

    /// Returns a stack by its name or ARN; deleted ones only by their ARN.
    pub fn stack(&self, account: &str, region: &str, name: &str) -> Option<StackView> {
        self.service().state().find(account, region, name).map(view)
    }

    /// Returns all stacks of an account and region that are not deleted, nested ones too.
    pub fn stacks(&self, account: &str, region: &str) -> Vec<StackView> {
        let state = self.service().state();
        let is_wanted = |stack: &&Stack| {
            stack.pseudo.account == account
                && stack.pseudo.region == region
                && stack.status != StackStatus::DeleteComplete
        };
        state.stacks.values().filter(is_wanted).map(view).collect()
    }

    /// Returns the events of a stack, oldest first, as `LOGICAL STATUS` or `LOGICAL STATUS: REASON`.
    pub fn event_lines(&self, account: &str, region: &str, name: &str) -> Vec<String> {
        let state = self.service().state();
        let stack = state.find(account, region, name);
        let events = stack.map(|stack| stack.events.as_slice()).unwrap_or_default();
        let line = |event: &super::events::Event| match &event.reason {
            Some(reason) => format!("{} {}: {reason}", event.logical, event.status),
            None => format!("{} {}", event.logical, event.status),
        };
        events.iter().map(line).collect()
    }

    /// Returns every operation that was really started, in order. A call that repeats an earlier
    /// one by its token starts nothing.
    pub fn executions(&self) -> Vec<Execution> {
        self.service().state().executions.clone()
    }

    /// Returns how many operations a token has started.
    pub fn executions_of(&self, token: &str) -> usize {
        let state = self.service().state();
        state.executions.iter().filter(|run| run.token.as_deref() == Some(token)).count()
    }

    /// Makes a resource look different from what its stack made of it. The next drift detection
    /// finds that.
    pub fn drift(&self, stack_id: &str, logical_id: &str, live_properties: &Value) {
        self.set_live(stack_id, logical_id, live_properties.clone());
    }

    /// Makes a resource look deleted. The next drift detection finds that.
    pub fn drift_away(&self, stack_id: &str, logical_id: &str) {
        self.set_live(stack_id, logical_id, Value::String(GONE.to_owned()));
    }

    /// Takes a name for something that no stack has made, such as a role made by hand. The type is
    /// one like `AWS::IAM::Role`.
    pub fn occupy_name(&self, account: &str, region: &str, type_name: &str, name: &str) {
        let Some(kind) = kinds::find(type_name) else {
            panic!("there is no type `{type_name}`");
        };
        let pseudo = Pseudo {
            account: account.to_owned(),
            region: region.to_owned(),
            stack_name: String::new(),
            stack_id: String::new(),
            notification_arns: Vec::new(),
        };
        self.service().state().names.occupy(kind, name, &pseudo);
    }

    fn set_live(&self, stack_id: &str, logical_id: &str, live: Value) {
        let mut state = self.service().state();
        let resource =
            state.stacks.get_mut(stack_id).and_then(|stack| stack.resources.get_mut(logical_id));
        match resource {
            Some(resource) => resource.live = Some(live),
            None => panic!("there is no resource `{logical_id}` in stack `{stack_id}`"),
        }
    }
}

fn view(stack: &Stack) -> StackView {
    let definition = stack.definition.as_ref();
    let parameters = definition.map(|definition| {
        definition.parameters.iter().map(|(key, value)| (key.clone(), value.text.clone())).collect()
    });
    StackView {
        id: stack.id().to_owned(),
        name: stack.name().to_owned(),
        status: stack.status,
        reason: stack.reason.clone(),
        parameters: parameters.unwrap_or_default(),
        outputs: stack
            .outputs
            .iter()
            .map(|output| (output.key.clone(), output.value.clone()))
            .collect(),
        tags: definition.map(|definition| definition.tags.clone()).unwrap_or_default(),
        template: definition.map(|definition| definition.template.text().to_owned()),
        resources: stack
            .resources
            .values()
            .map(|resource| {
                let physical = resource.physical.clone().unwrap_or_default();
                (resource.logical.clone(), physical, resource.status.as_str().to_owned())
            })
            .collect(),
        is_protected: stack.is_protected,
        parent: stack.parent.clone(),
    }
}
