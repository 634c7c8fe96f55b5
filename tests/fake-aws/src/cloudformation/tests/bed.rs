//! A state machine with a caller and a small world.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::actions::Call;
use super::super::form::Form;
use super::super::settings::Pace;
use super::super::state::State;
use super::super::world::{Item, ObjectPlace, ObjectProblem, Refusal, World};
use super::super::{answer, is_read};
use crate::clock::Millis;
use crate::error::ApiError;
use crate::xml::{self, Element};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "us-east-2";

/// Objects in buckets, buckets that are not empty, and what was made.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) objects: BTreeMap<(String, String), String>,
    pub(super) full_buckets: BTreeSet<String>,
    pub(super) made: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct SmallWorld {
    pub(super) things: RefCell<Things>,
}

impl World for SmallWorld {
    fn template(&self, place: &ObjectPlace, _account: &str) -> Result<String, ObjectProblem> {
        let things = self.things.borrow();
        things
            .objects
            .get(&(place.bucket.clone(), place.key.clone()))
            .cloned()
            .ok_or(ObjectProblem::NoKey)
    }

    fn exists(&self, _item: &Item<'_>) -> bool {
        false
    }

    fn create(&self, item: &Item<'_>) -> Result<Option<String>, Refusal> {
        self.things.borrow_mut().made.insert(format!("{} {}", item.kind.name, item.name));
        Ok(None)
    }

    fn update(&self, _item: &Item<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn delete(&self, item: &Item<'_>) -> Result<(), Refusal> {
        if self.things.borrow().full_buckets.contains(item.name) {
            return Err(Refusal::NotEmpty);
        }
        self.things.borrow_mut().made.remove(&format!("{} {}", item.kind.name, item.name));
        Ok(())
    }
}

/// The machine under test.
#[derive(Debug)]
pub(super) struct Bed {
    pub(super) state: State,
    pub(super) world: SmallWorld,
    pub(super) now: Millis,
    pub(super) region: String,
    pub(super) account: String,
}

impl Bed {
    pub(super) fn new() -> Self {
        Self {
            state: State::new(),
            world: SmallWorld::default(),
            now: 1_795_429_230_000,
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
        }
    }

    /// A machine that moves only when told.
    pub(super) fn held() -> Self {
        let mut bed = Self::new();
        bed.state.settings.pace = Pace::Held;
        bed
    }

    pub(super) fn put_object(&self, bucket: &str, key: &str, body: &str) {
        self.world
            .things
            .borrow_mut()
            .objects
            .insert((bucket.to_owned(), key.to_owned()), body.to_owned());
    }

    /// Makes a call and returns what is inside its result element.
    pub(super) fn call(
        &mut self,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, ApiError> {
        // Time passes between two calls.
        self.now += 1_000;
        let pairs: Vec<(String, String)> = parameters
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let call = Call {
            action,
            form: Form::new(&pairs),
            account: &self.account,
            region: &self.region,
            principal: "arn:aws:iam::111122223333:user/test",
            now: self.now,
            world: &self.world,
        };
        let body = answer(&mut self.state, &call, "request-1")?;
        let root = xml::parse(&body).unwrap();
        assert_eq!(root.name, format!("{action}Response"));
        assert!(is_read(action) || !action.starts_with("Describe"));
        Ok(root.child(&format!("{action}Result")).cloned().unwrap())
    }

    pub(super) fn ok(&mut self, action: &str, parameters: &[(&str, &str)]) -> Element {
        match self.call(action, parameters) {
            Ok(result) => result,
            Err(error) => panic!("{action} {parameters:?}: {error:?}"),
        }
    }

    /// Makes a call that fails and returns `CODE: MESSAGE`.
    pub(super) fn refused(&mut self, action: &str, parameters: &[(&str, &str)]) -> String {
        match self.call(action, parameters) {
            Ok(result) => panic!("{action} {parameters:?} succeeded: {result:?}"),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    pub(super) fn step(&mut self) -> bool {
        self.now += 1_000;
        self.state.step(&self.world, self.now)
    }

    pub(super) fn run(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(
                steps < 500,
                "nothing comes to an end: {:#?}",
                self.state
                    .stacks
                    .values()
                    .map(|stack| (stack.name(), stack.status, stack.work.is_some()))
                    .collect::<Vec<_>>()
            );
        }
    }

    /// Creates or updates a stack and returns its id.
    pub(super) fn deploy(&mut self, action: &str, name: &str, template: &str) -> String {
        let capability = ("Capabilities.member.1", "CAPABILITY_NAMED_IAM");
        let result =
            self.ok(action, &[("StackName", name), ("TemplateBody", template), capability]);
        self.run();
        result.child_text("StackId").unwrap().to_owned()
    }

    pub(super) fn create(&mut self, name: &str, template: &str) -> String {
        self.deploy("CreateStack", name, template)
    }

    /// Makes a change set and returns its ARN.
    pub(super) fn propose(
        &mut self,
        kind: &str,
        stack: &str,
        name: &str,
        template: &str,
        more: &[(&str, &str)],
    ) -> String {
        let mut parameters = vec![
            ("StackName", stack),
            ("ChangeSetName", name),
            ("ChangeSetType", kind),
            ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
        ];
        if !template.is_empty() {
            parameters.push(("TemplateBody", template));
        }
        parameters.extend(more);
        let result = self.ok("CreateChangeSet", &parameters);
        self.run();
        result.child_text("Id").unwrap().to_owned()
    }

    /// Returns the only stack that a description has.
    pub(super) fn describe(&mut self, name: &str) -> Element {
        let result = self.ok("DescribeStacks", &[("StackName", name)]);
        result.child("Stacks").unwrap().child("member").cloned().unwrap()
    }

    pub(super) fn status(&mut self, name: &str) -> String {
        self.describe(name).child_text("StackStatus").unwrap().to_owned()
    }

    /// Returns `STATUS` or `STATUS: REASON`.
    pub(super) fn verdict(&mut self, name: &str) -> String {
        let stack = self.describe(name);
        let status = stack.child_text("StackStatus").unwrap();
        match stack.child_text("StackStatusReason") {
            Some(reason) => format!("{status}: {reason}"),
            None => status.to_owned(),
        }
    }

    pub(super) fn outputs(&mut self, name: &str) -> BTreeMap<String, String> {
        let stack = self.describe(name);
        members(stack.child("Outputs"))
            .iter()
            .map(|output| {
                let text = |name| output.child_text(name).unwrap().to_owned();
                (text("OutputKey"), text("OutputValue"))
            })
            .collect()
    }

    /// Returns the events of a stack, oldest first, as `LOGICAL STATUS` or `LOGICAL STATUS: REASON`.
    pub(super) fn events(&mut self, name: &str) -> Vec<String> {
        let result = self.ok("DescribeStackEvents", &[("StackName", name)]);
        let mut lines: Vec<String> =
            members(result.child("StackEvents")).iter().map(event_line).collect();
        lines.reverse();
        lines
    }

    /// Returns the resources of a stack as `LOGICAL STATUS`.
    pub(super) fn resources(&mut self, name: &str) -> Vec<String> {
        let result = self.ok("ListStackResources", &[("StackName", name)]);
        members(result.child("StackResourceSummaries"))
            .iter()
            .map(|resource| {
                let text = |name| resource.child_text(name).unwrap_or_default();
                format!("{} {}", text("LogicalResourceId"), text("ResourceStatus"))
            })
            .collect()
    }

    pub(super) fn physical(&mut self, stack: &str, logical: &str) -> String {
        let parameters = [("StackName", stack), ("LogicalResourceId", logical)];
        let result = self.ok("DescribeStackResource", &parameters);
        let detail = result.child("StackResourceDetail").unwrap();
        detail.child_text("PhysicalResourceId").unwrap().to_owned()
    }

    /// Returns the changes of a change set, one line each.
    pub(super) fn changes(&mut self, change_set: &str, values: &str) -> Vec<String> {
        let parameters = [("ChangeSetName", change_set), ("IncludePropertyValues", values)];
        let result = self.ok("DescribeChangeSet", &parameters);
        members(result.child("Changes")).iter().map(change_line).collect()
    }

    /// Returns `STATUS EXECUTION` of a change set, with its reason.
    pub(super) fn change_set(&mut self, id: &str) -> String {
        let result = self.ok("DescribeChangeSet", &[("ChangeSetName", id)]);
        let text = |name| result.child_text(name).unwrap_or_default();
        let line =
            format!("{} {} {}", text("Status"), text("ExecutionStatus"), text("StatusReason"));
        line.trim_end().to_owned()
    }
}

pub(super) fn members(list: Option<&Element>) -> Vec<Element> {
    list.map(|list| list.all("member").cloned().collect()).unwrap_or_default()
}

fn event_line(event: &Element) -> String {
    let text = |name| event.child_text(name).unwrap_or_default();
    let mut line = format!("{} {}", text("LogicalResourceId"), text("ResourceStatus"));
    if let Some(detailed) = event.child_text("DetailedStatus") {
        line = format!("{line}/{detailed}");
    }
    match event.child_text("ResourceStatusReason") {
        Some(reason) => format!("{line}: {reason}"),
        None => line,
    }
}

fn change_line(change: &Element) -> String {
    let change = change.child("ResourceChange").unwrap();
    let text = |name| change.child_text(name).unwrap_or_default();
    let mut line = format!("{} {}", text("Action"), text("LogicalResourceId"));
    for name in ["Replacement", "PolicyAction"] {
        if let Some(value) = change.child_text(name) {
            line = format!("{line} {name}={value}");
        }
    }
    for detail in members(change.child("Details")) {
        let target = detail.child("Target").unwrap();
        let part = |name| target.child_text(name).unwrap_or_default();
        let place = if part("Path").is_empty() {
            format!("{}.{}", part("Attribute"), part("Name"))
        } else {
            part("Path").to_owned()
        };
        line = format!("{line} [{place} {}", detail.child_text("Evaluation").unwrap());
        line = format!("{line} {}", detail.child_text("ChangeSource").unwrap());
        if let Some(cause) = detail.child_text("CausingEntity") {
            line = format!("{line} {cause}");
        }
        if target.child("BeforeValue").is_some() || target.child("AfterValue").is_some() {
            line = format!("{line} {}->{}", part("BeforeValue"), part("AfterValue"));
        }
        line.push(']');
    }
    line
}
