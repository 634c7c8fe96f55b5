//! Puts stacks into any state, by way of the operations that lead there.

use super::change_set::{ChangeSetKind, Proposal};
use super::engine::{OnFailure, Origin, Request};
use super::events::Cause;
use super::plans::{During, PlannedFailure};
use super::settings::{EarlyValidation, Pace};
use super::state::{Definition, RollbackConfiguration, Stack, State};
use super::status::{OperationType, StackStatus};
use super::template::{Given, Pseudo, Template, resolve};
use super::world::World;
use crate::clock::Millis;

/// A stack that a test wants to be there.
#[derive(Debug, Clone)]
pub struct SeedStack {
    account: String,
    region: String,
    name: String,
    status: StackStatus,
    template: String,
    parameters: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    failing: Option<(String, String)>,
    token: Option<String>,
    change_set: String,
    is_protected: bool,
}

/// A template for stacks whose content does not matter.
const SMALL_TEMPLATE: &str =
    "Resources: {Topic: {Type: AWS::SNS::Topic}, Queue: {Type: AWS::SQS::Queue, DependsOn: Topic}}";

impl SeedStack {
    /// Describes a stack in that state with a small template of its own.
    pub fn new(account: &str, region: &str, name: &str, status: StackStatus) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
            status,
            template: SMALL_TEMPLATE.to_owned(),
            parameters: Vec::new(),
            tags: Vec::new(),
            failing: None,
            token: None,
            change_set: "seed".to_owned(),
            is_protected: false,
        }
    }

    /// Sets the template. Templates of nested stacks must be in the fake's S3.
    #[must_use]
    pub fn template(mut self, body: &str) -> Self {
        body.clone_into(&mut self.template);
        self
    }

    /// Sets a parameter.
    #[must_use]
    pub fn parameter(mut self, key: &str, value: &str) -> Self {
        self.parameters.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets which resource failed and why, for states that follow a failure.
    #[must_use]
    pub fn failing(mut self, logical: &str, reason: &str) -> Self {
        self.failing = Some((logical.to_owned(), reason.to_owned()));
        self
    }

    /// Sets the client token of the last operation.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Sets the name of the change set, for a stack in review.
    #[must_use]
    pub fn change_set(mut self, name: &str) -> Self {
        name.clone_into(&mut self.change_set);
        self
    }

    /// Protects the stack against deletion.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.is_protected = true;
        self
    }
}

/// Puts a stack there and returns its ARN.
pub(super) fn put(
    state: &mut State,
    world: &dyn World,
    seed: &SeedStack,
    now: Millis,
) -> Result<String, String> {
    if state.find(&seed.account, &seed.region, &seed.name).is_some() {
        return Err(format!("`{}` exists already", seed.name));
    }
    // Failures that the test has planned are not for the way to its starting point.
    let planned = std::mem::take(&mut state.failures);
    let stale_reads = std::mem::take(&mut state.settings.stale_reads);
    let result = lead(state, world, seed, now);
    state.failures = planned;
    state.settings.stale_reads = stale_reads;
    let id = result?;
    let stack = state.stacks.get_mut(&id).ok_or("the stack is gone")?;
    stack.is_protected = seed.is_protected;
    if stack.status != seed.status {
        return Err(format!(
            "it became {} instead of {}: {:?}",
            stack.status, seed.status, stack.reason
        ));
    }
    if seed.status.is_busy() && state.settings.pace == Pace::Instant {
        state.settings.pace = Pace::Held;
    }
    Ok(id)
}

fn lead(
    state: &mut State,
    world: &dyn World,
    seed: &SeedStack,
    now: Millis,
) -> Result<String, String> {
    use StackStatus as S;
    let definition = definition(seed)?;
    let id = state.new_stack_id(&seed.account, &seed.region, &seed.name);
    let pseudo = Pseudo {
        account: seed.account.clone(),
        region: seed.region.clone(),
        stack_name: seed.name.clone(),
        stack_id: id.clone(),
        notification_arns: Vec::new(),
    };
    state.stacks.insert(id.clone(), Stack::new(pseudo, S::ReviewInProgress, now));
    let mut way = Way { state, world, seed, definition, id: id.clone(), now };
    match seed.status {
        S::ReviewInProgress => way.review(),
        S::CreateInProgress | S::CreateComplete => way.create(OnFailure::Rollback),
        S::CreateFailed => way.create_failing(OnFailure::DoNothing, &[During::Create]),
        S::RollbackInProgress | S::RollbackComplete => {
            way.create_failing(OnFailure::Rollback, &[During::Create])
        }
        S::RollbackFailed => {
            way.create_failing(OnFailure::Rollback, &[During::Create, During::Delete])
        }
        S::DeleteInProgress | S::DeleteComplete | S::DeleteFailed => way.delete(),
        S::UpdateInProgress | S::UpdateComplete | S::UpdateCompleteCleanupInProgress => {
            way.update(OnFailure::Rollback, &[]);
        }
        S::UpdateFailed => way.update(OnFailure::DoNothing, &[During::Update]),
        S::UpdateRollbackInProgress
        | S::UpdateRollbackComplete
        | S::UpdateRollbackCompleteCleanupInProgress => {
            way.update(OnFailure::Rollback, &[During::Update]);
        }
        S::UpdateRollbackFailed => {
            way.update(OnFailure::Rollback, &[During::Update, During::Rollback])
        }
        S::ImportInProgress
        | S::ImportComplete
        | S::ImportRollbackInProgress
        | S::ImportRollbackFailed
        | S::ImportRollbackComplete => {
            way.create(OnFailure::Rollback);
            way.pretend(seed.status);
        }
    }
    Ok(id)
}

/// The way to a state.
struct Way<'a> {
    state: &'a mut State,
    world: &'a dyn World,
    seed: &'a SeedStack,
    definition: Definition,
    id: String,
    now: Millis,
}

impl Way<'_> {
    fn status(&self) -> Option<StackStatus> {
        self.state.stacks.get(&self.id).map(|stack| stack.status)
    }

    /// Goes on until the wanted state, or until nothing happens any more.
    fn go(&mut self) {
        while self.status() != Some(self.seed.status) || !self.seed.status.is_busy() {
            self.now += 1_000;
            if !self.state.step(self.world, self.now) {
                return;
            }
        }
    }

    /// Goes on until nothing happens any more.
    fn go_to_the_end(&mut self) {
        loop {
            self.now += 1_000;
            if !self.state.step(self.world, self.now) {
                return;
            }
        }
    }

    fn request(&self, is_create: bool, on_failure: OnFailure) -> Request {
        Request {
            definition: Some(self.definition.clone()),
            token: self.seed.token.clone(),
            on_failure,
            retain_except_on_create: false,
            origin: Origin { is_create, is_nested: false },
            change_set: None,
            imports_existing: false,
        }
    }

    fn cause(&mut self) -> Cause {
        Cause { operation: self.state.random.uuid(), token: self.seed.token.clone() }
    }

    fn review(&mut self) {
        let cause = self.cause();
        if let Some(mut stack) = self.state.stacks.remove(&self.id) {
            let status = StackStatus::ReviewInProgress;
            self.state.report_stack(&mut stack, &cause, status, Some("User Initiated"), self.now);
            self.state.stacks.insert(self.id.clone(), stack);
        }
        let proposal = Proposal {
            name: self.seed.change_set.clone(),
            kind: ChangeSetKind::Create,
            description: None,
            definition: self.definition.clone(),
            includes_nested: false,
            on_stack_failure: None,
            imports_existing: false,
            client_token: self.seed.token.clone(),
            early_validation: EarlyValidation::Off,
        };
        let id = self.id.clone();
        self.state.create_change_set(self.world, &id, proposal, self.now);
        self.go_to_the_end();
    }

    fn create(&mut self, on_failure: OnFailure) {
        let (id, request) = (self.id.clone(), self.request(true, on_failure));
        self.state.start_create(self.world, &id, request, self.now);
        self.go();
    }

    fn create_failing(&mut self, on_failure: OnFailure, during: &[During]) {
        self.plan(during);
        self.create(on_failure);
    }

    fn delete(&mut self) {
        let (id, wanted) = (self.id.clone(), self.seed.status);
        let request = self.request(true, OnFailure::Rollback);
        self.state.start_create(self.world, &id, request, self.now);
        self.go_to_the_end();
        if wanted == StackStatus::DeleteFailed {
            self.plan(&[During::Delete]);
        }
        let request = Request { definition: None, ..self.request(false, OnFailure::DoNothing) };
        self.state.start_delete(
            self.world,
            &id,
            request,
            std::collections::BTreeSet::new(),
            false,
            self.now,
        );
        self.go();
    }

    /// Creates the stack with another tag, and then updates it to the wanted ones.
    fn update(&mut self, on_failure: OnFailure, during: &[During]) {
        let (id, mut request) = (self.id.clone(), self.request(true, OnFailure::Rollback));
        if let Some(definition) = request.definition.as_mut() {
            definition.tags.push(("seed".to_owned(), "before".to_owned()));
        }
        self.state.start_create(self.world, &id, request, self.now);
        self.go_to_the_end();
        self.plan(during);
        let request = self.request(false, on_failure);
        self.state.start_update(self.world, &id, request, self.now);
        self.go();
    }

    /// Gives the stack a state that the fake has no way to.
    fn pretend(&mut self, status: StackStatus) {
        let cause = self.cause();
        if let Some(mut stack) = self.state.stacks.remove(&self.id) {
            stack.begin(cause.operation.clone(), OperationType::UpdateStack, self.now);
            self.state.report_stack(&mut stack, &cause, status, None, self.now);
            self.state.stacks.insert(self.id.clone(), stack);
        }
    }

    /// Plans the failures that lead to the wanted state. The deletion that fails is that of
    /// another resource than the one that failed to be made, if there is another.
    fn plan(&mut self, during: &[During]) {
        let declared: Vec<String> = self
            .definition
            .template
            .resources()
            .map(|resource| resource.logical.to_owned())
            .collect();
        let default = self
            .definition
            .template
            .resources()
            .find(|resource| {
                resource.kind.is_taggable
                    && !resource.dependencies(&self.definition.template).is_empty()
            })
            .or_else(|| {
                self.definition.template.resources().find(|resource| resource.kind.is_taggable)
            })
            .map(|resource| resource.logical.to_owned());
        let (failing, reason) = self.seed.failing.clone().unwrap_or_else(|| {
            let logical = default.or_else(|| declared.first().cloned()).unwrap_or_default();
            (logical, "Resource handler returned message: \"Access denied\" (RequestToken: 00000000-0000-4000-8000-000000000000, HandlerErrorCode: AccessDenied)".to_owned())
        });
        for during in during {
            let is_after_creation =
                *during == During::Delete && self.status() == Some(StackStatus::ReviewInProgress);
            let target = if is_after_creation {
                let needs = self.definition.template.resource(&failing);
                let needs = needs
                    .map(|resource| resource.dependencies(&self.definition.template))
                    .unwrap_or_default();
                let other = needs.into_iter().next();
                other
                    .or_else(|| declared.iter().find(|id| **id != failing).cloned())
                    .unwrap_or_else(|| failing.clone())
            } else {
                failing.clone()
            };
            self.state
                .failures
                .push(PlannedFailure::new(&target, &reason).during(*during).stack(&self.seed.name));
        }
    }
}

fn definition(seed: &SeedStack) -> Result<Definition, String> {
    let template = Template::parse(&seed.template).map_err(|error| error.message)?;
    let given: Vec<Given> = seed
        .parameters
        .iter()
        .map(|(key, value)| Given {
            key: key.clone(),
            value: Some(value.clone()),
            use_previous: false,
        })
        .collect();
    let parameters = resolve(&template, &given, None).map_err(|error| error.message)?;
    let capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"].map(str::to_owned).to_vec();
    let mut tags = seed.tags.clone();
    tags.sort();
    Ok(Definition {
        template,
        parameters,
        tags,
        capabilities,
        notification_arns: Vec::new(),
        role_arn: None,
        rollback: RollbackConfiguration::default(),
    })
}
