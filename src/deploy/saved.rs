//! Plans in files: what `mtlog plan --save` writes and `mtlog apply` carries out, or refuses because something moved.
//!
//! A file of an older mtlog with the same schema can be read. Fields that this version does not know are an error: they
//! could mean something that must not be left out.

use std::{collections::BTreeMap, str::FromStr};

use mtlog_processor::model::ids::{AccountId, BucketName, InvalidId, Region};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    change::{Action, Replacement, ResourceChange},
    desired::{Desired, Place, Upload, Upstream, Wired},
    observe::Observed,
    parameters::Chosen,
    plan::{Operation, Plan},
    stack::{Stack, StackName},
    target::Target,
};
use crate::{
    config::layers::Source,
    template::catalogue::{TemplateId, hex_digest},
};

/// The form of the file. It changes when an old reader would misread a new file.
const SCHEMA: &str = "mtlog.plan/1";

/// A plan for one or more stacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// The stacks.
    pub stacks: Vec<SavedStack>,
}

/// A plan for one stack, with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedStack {
    /// What is deployed.
    pub target: Target,
    /// Under which name.
    pub stack: StackName,
    /// Where.
    pub region: Region,
    /// In which account.
    pub account: AccountId,
    /// The parameters that were decided.
    pub parameters: BTreeMap<String, String>,
    /// The stack's tags.
    pub tags: BTreeMap<String, String>,
    /// The bucket for nested templates.
    pub bucket: Option<BucketName>,
    /// The parameters that came from outputs of other stacks: parameter, stack, output.
    wired: Vec<(String, String, String)>,
    /// What it comes to.
    pub operation: Operation,
    /// Digest of the templates.
    templates: String,
    /// The stack as it was.
    before: Before,
    /// What changes.
    changes: Vec<SavedChange>,
}

/// A stack as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    /// None: there was no stack.
    id: Option<String>,
    status: Option<String>,
    updated: Option<String>,
    /// Digest of the template that it was made from.
    template: Option<String>,
    /// Digest of its parameters and tags.
    values: Option<String>,
}

/// One change of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedChange {
    path: String,
    action: String,
    replacement: bool,
}

/// A file that is no plan, or none that this version can carry out.
#[derive(Debug, Error)]
pub enum PlanFileError {
    /// It cannot be read as JSON of the right form.
    #[error("the file is no plan of `mtlog plan --save`")]
    Form(#[source] serde_json::Error),
    /// It has another form.
    #[error("the file has the form `{0}`, but this mtlog reads `{SCHEMA}`")]
    Schema(String),
    /// A name in it breaks its rule.
    #[error("the file holds a bad name")]
    Name(#[source] InvalidId),
    /// A target, an action or another word is unknown.
    #[error("the file holds the unknown word `{0}`")]
    Word(String),
    /// The plan cannot be kept in a file.
    #[error(
        "the plan sets the secret parameter `{parameter}` of stack `{stack}`, which does not belong in a file"
    )]
    Secret {
        /// The stack.
        stack: String,
        /// The parameter.
        parameter: String,
    },
}

/// A plan that something has overtaken.
#[derive(Debug, Error)]
#[error("the plan for stack `{stack}` no longer fits:{}", list(moved))]
pub struct Stale {
    /// The stack.
    pub stack: StackName,
    /// What has moved, a line each.
    pub moved: Vec<String>,
}

/// A change set that would do more than the plan says.
#[derive(Debug, Error)]
#[error("CloudFormation would do what the plan does not say:{}", list(unplanned))]
pub struct Unplanned {
    unplanned: Vec<String>,
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  - {line}")).collect()
}

impl SavedStack {
    /// Returns the plan as it can be kept.
    pub fn of(plan: &Plan, observed: &Observed, place: &Place, changes: &[ResourceChange]) -> Self {
        let Desired { target, stack, parameters, tags, bucket, wired, .. } = &plan.desired;
        let wired = wired
            .iter()
            .filter_map(|wired| match &wired.source {
                Source::StackOutput { stack, output } => {
                    Some((wired.parameter.to_owned(), stack.clone(), (*output).to_owned()))
                }
                _ => None,
            })
            .collect();
        Self {
            target: *target,
            stack: stack.clone(),
            region: place.region.clone(),
            account: place.account.clone(),
            parameters: decided(parameters, &plan.chosen),
            tags: tags.clone(),
            bucket: bucket.clone(),
            wired,
            operation: plan.operation,
            templates: templates_digest(*target),
            before: Before::of(observed),
            changes: changes.iter().map(SavedChange::of).collect(),
        }
    }

    /// Returns what the stack should be.
    pub fn desired(&self) -> Desired {
        let template = self.target.template();
        Desired {
            target: self.target,
            stack: self.stack.clone(),
            template,
            parameters: self.parameters.clone(),
            wired: Vec::<Wired>::new(),
            uploads: template
                .children()
                .iter()
                .map(|child| Upload { template: child.template, key: child.template.object_key() })
                .collect(),
            bucket: self.bucket.clone(),
            tags: self.tags.clone(),
        }
    }

    /// Returns what has moved since the plan was made, a line each.
    pub fn moved(&self, observed: &Observed, upstream: &Upstream<'_>) -> Vec<String> {
        let mut moved = self.before.moved(&Before::of(observed));
        if self.templates != templates_digest(self.target) {
            moved.push(
                "this mtlog holds other templates than the one that made the plan".to_owned(),
            );
        }
        for (parameter, stack, output) in &self.wired {
            let planned = self.parameters.get(parameter);
            let source = [upstream.global, upstream.regional]
                .into_iter()
                .flatten()
                .find(|upstream| upstream.name == *stack);
            let now = source.and_then(|source: &Stack| source.outputs.get(output));
            if source.is_some() && now != planned {
                moved.push(format!("output {output} of stack {stack} has another value"));
            } else if source.is_none() {
                moved.push(format!("stack {stack}, whose output {output} is used, is gone"));
            }
        }
        moved
    }

    /// Makes sure that what CloudFormation would do is what the plan says, and nothing else.
    pub fn covers(&self, changes: &[ResourceChange]) -> Result<(), Unplanned> {
        let unplanned: Vec<String> = changes
            .iter()
            .filter(|change| !self.changes.iter().any(|planned| planned.covers(change)))
            .map(|change| {
                let again =
                    if change.replacement == Replacement::Yes { " by making it anew" } else { "" };
                format!("{} {} ({}){again}", change.action, change.path, change.resource_type)
            })
            .collect();
        if unplanned.is_empty() { Ok(()) } else { Err(Unplanned { unplanned }) }
    }
}

/// What is in the file of parameters: those that were decided, without secrets that the stack has already.
fn decided(parameters: &BTreeMap<String, String>, chosen: &Chosen) -> BTreeMap<String, String> {
    let changes = |name: &String| chosen.changes.iter().any(|change| change.name == *name);
    parameters
        .iter()
        .filter(|(name, _)| !is_secret(name) || changes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_secret(parameter: &str) -> bool {
    parameter == "ExternalId"
}

impl Before {
    fn of(observed: &Observed) -> Self {
        let Some(stack) = observed.presence.stack() else {
            return Self { id: None, status: None, updated: None, template: None, values: None };
        };
        let mut values = String::new();
        for (name, value) in stack.parameters.iter().chain(&stack.tags) {
            values.push_str(&format!("{}:{name}={}:{value}\n", name.len(), value.len()));
        }
        Self {
            id: Some(stack.id.clone()),
            status: Some(stack.status.to_string()),
            updated: stack.updated.map(|time| time.to_string()),
            template: observed.template.as_deref().map(hex_digest),
            values: Some(hex_digest(&values)),
        }
    }

    fn moved(&self, now: &Self) -> Vec<String> {
        match (&self.id, &now.id) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => return vec!["the stack exists now".to_owned()],
            (Some(_), None) => return vec!["the stack is gone".to_owned()],
            (Some(before), Some(after)) if before != after => {
                return vec!["the stack was deleted and made anew".to_owned()];
            }
            (Some(_), Some(_)) => {}
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "never".to_owned());
        let mut moved = Vec::new();
        if self.status != now.status {
            moved.push(format!(
                "the stack is in {} now, and was in {}",
                text(&now.status),
                text(&self.status)
            ));
        }
        if self.updated != now.updated {
            moved.push(format!(
                "the stack was updated at {}, after the plan was made",
                text(&now.updated)
            ));
        }
        if self.template != now.template {
            moved.push("the stack has another template now".to_owned());
        }
        if self.values != now.values {
            moved.push("the stack has other parameters or tags now".to_owned());
        }
        moved
    }
}

impl SavedChange {
    fn of(change: &ResourceChange) -> Self {
        Self {
            path: change.path.clone(),
            action: word(change.action).to_owned(),
            replacement: change.replacement == Replacement::Yes,
        }
    }

    fn covers(&self, change: &ResourceChange) -> bool {
        let replaced = change.replacement == Replacement::Yes;
        let same = self.action == word(change.action);
        let settled_later = change.action == Action::Dynamic && self.action == word(Action::Modify);
        self.path == change.path && (same || settled_later) && (self.replacement || !replaced)
    }
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Modify => "modify",
        Action::Remove => "remove",
        Action::Import => "import",
        Action::Dynamic => "dynamic",
    }
}

/// Returns what identifies the templates of a target, nested ones included.
fn templates_digest(target: Target) -> String {
    let template = target.template();
    let children = template.children().iter().map(|child| child.template);
    let texts: String = std::iter::once(template)
        .chain(children)
        .map(TemplateId::text)
        .collect::<Vec<_>>()
        .join("\n");
    hex_digest(&texts)
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    schema: String,
    cli: String,
    stacks: Vec<StackRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StackRecord {
    target: String,
    stack: String,
    region: String,
    account: String,
    operation: String,
    parameters: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    bucket: Option<String>,
    wired: Vec<(String, String, String)>,
    templates: String,
    before: Before,
    changes: Vec<SavedChange>,
}

const OPERATIONS: [(Operation, &str); 3] =
    [(Operation::Create, "create"), (Operation::Update, "update"), (Operation::Nothing, "nothing")];

impl SavedPlan {
    /// Returns the text of the file.
    ///
    /// # Errors
    /// When a secret would be in it.
    pub fn to_text(&self) -> Result<String, PlanFileError> {
        let mut stacks = Vec::new();
        for stack in &self.stacks {
            if let Some(parameter) = stack.parameters.keys().find(|name| is_secret(name)) {
                return Err(PlanFileError::Secret {
                    stack: stack.stack.to_string(),
                    parameter: parameter.clone(),
                });
            }
            let operation = OPERATIONS.iter().find(|(operation, _)| *operation == stack.operation);
            let (_, operation) =
                operation.ok_or_else(|| PlanFileError::Word("blocked".to_owned()))?;
            stacks.push(StackRecord {
                target: stack.target.to_string(),
                stack: stack.stack.to_string(),
                region: stack.region.to_string(),
                account: stack.account.to_string(),
                operation: (*operation).to_owned(),
                parameters: stack.parameters.clone(),
                tags: stack.tags.clone(),
                bucket: stack.bucket.as_ref().map(ToString::to_string),
                wired: stack.wired.clone(),
                templates: stack.templates.clone(),
                before: stack.before.clone(),
                changes: stack.changes.clone(),
            });
        }
        let file = PlanFile {
            schema: SCHEMA.to_owned(),
            cli: env!("CARGO_PKG_VERSION").to_owned(),
            stacks,
        };
        serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(PlanFileError::Form)
    }

    /// Reads the text of a file.
    pub fn of_text(text: &str) -> Result<Self, PlanFileError> {
        // The schema is looked at first: another one may have other fields.
        let value: serde_json::Value = serde_json::from_str(text).map_err(PlanFileError::Form)?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) | None => {}
            Some(other) => return Err(PlanFileError::Schema(other.to_owned())),
        }
        let file: PlanFile = serde_json::from_value(value).map_err(PlanFileError::Form)?;
        let stacks = file.stacks.into_iter().map(SavedStack::try_from).collect::<Result<_, _>>()?;
        Ok(Self { stacks })
    }
}

impl TryFrom<StackRecord> for SavedStack {
    type Error = PlanFileError;

    fn try_from(record: StackRecord) -> Result<Self, PlanFileError> {
        fn name<T: FromStr<Err = InvalidId>>(text: &str) -> Result<T, PlanFileError> {
            text.parse().map_err(PlanFileError::Name)
        }
        let target = Target::ALL
            .into_iter()
            .find(|target| target.as_str() == record.target)
            .ok_or(PlanFileError::Word(record.target))?;
        let operation = OPERATIONS.iter().find(|(_, word)| *word == record.operation);
        let (operation, _) = operation.ok_or(PlanFileError::Word(record.operation))?;
        Ok(Self {
            target,
            stack: name(&record.stack)?,
            region: name(&record.region)?,
            account: name(&record.account)?,
            parameters: record.parameters,
            tags: record.tags,
            bucket: record.bucket.as_deref().map(name).transpose()?,
            wired: record.wired,
            operation: *operation,
            templates: record.templates,
            before: record.before,
            changes: record.changes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> SavedStack {
        SavedStack {
            target: Target::Regional,
            stack: "p-development".parse().unwrap(),
            region: "us-east-2".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            parameters: BTreeMap::from([("S3DeleteAfterDays".to_owned(), "14".to_owned())]),
            tags: BTreeMap::from([("Project".to_owned(), "p".to_owned())]),
            bucket: Some("b-1".parse().unwrap()),
            wired: vec![("Role".to_owned(), "p-global".to_owned(), "Role".to_owned())],
            operation: Operation::Update,
            templates: templates_digest(Target::Regional),
            before: Before {
                id: Some("arn:1".to_owned()),
                status: Some("CREATE_COMPLETE".to_owned()),
                updated: None,
                template: Some("0".to_owned()),
                values: Some("1".to_owned()),
            },
            changes: vec![SavedChange {
                path: "A/Queue".to_owned(),
                action: "modify".to_owned(),
                replacement: false,
            }],
        }
    }

    #[test]
    fn a_plan_survives_its_file() {
        let plan = SavedPlan { stacks: vec![saved()] };
        let text = plan.to_text().unwrap();
        assert!(text.contains("\"schema\": \"mtlog.plan/1\""), "{text}");
        assert_eq!(SavedPlan::of_text(&text).unwrap(), plan);
    }

    #[test]
    fn files_that_are_no_plans_are_refused() {
        let good = SavedPlan { stacks: vec![saved()] }.to_text().unwrap();
        for (text, part) in [
            ("{".to_owned(), "is no plan"),
            ("{}".to_owned(), "is no plan"),
            (good.replace("mtlog.plan/1", "mtlog.plan/2"), "mtlog.plan/2"),
            (good.replace("\"regional\"", "\"lunar\""), "unknown word `lunar`"),
            (good.replace("us-east-2", "nowhere"), "bad name"),
            (good.replace("\"bucket\"", "\"pail\""), "is no plan"),
        ] {
            let error = SavedPlan::of_text(&text).unwrap_err();
            assert!(error.to_string().contains(part), "{error}: {part}");
        }
    }

    #[test]
    fn a_secret_does_not_get_into_a_file() {
        let mut stack = saved();
        stack.parameters.insert("ExternalId".to_owned(), "hunter2".to_owned());
        let error = SavedPlan { stacks: vec![stack] }.to_text().unwrap_err().to_string();
        assert!(error.contains("`ExternalId`") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn everything_that_moved_is_named() {
        let before = saved().before;
        let moved = |change: &dyn Fn(&mut Before)| {
            let mut now = before.clone();
            change(&mut now);
            before.moved(&now).join("; ")
        };
        assert_eq!(moved(&|_| {}), "");
        assert_eq!(moved(&|now| now.id = None), "the stack is gone");
        assert_eq!(
            moved(&|now| now.id = Some("arn:2".to_owned())),
            "the stack was deleted and made anew"
        );
        assert!(moved(&|now| now.updated = Some("t".to_owned())).contains("updated at t"));
        assert!(moved(&|now| now.status = None).contains("was in CREATE_COMPLETE"));
        assert!(moved(&|now| now.template = None).contains("another template"));
        assert!(moved(&|now| now.values = None).contains("other parameters"));
    }

    #[test]
    fn a_change_set_may_do_less_than_the_plan_but_never_more() {
        let change = |path: &str, action, replacement| ResourceChange {
            path: path.to_owned(),
            resource_type: "AWS::SQS::Queue".to_owned(),
            action,
            replacement,
            fate: None,
            physical_id: None,
            properties: Vec::new(),
        };
        let (no, yes) = (Replacement::No, Replacement::Yes);
        for (changes, covered) in [
            (vec![], true),
            (vec![change("A/Queue", Action::Modify, no)], true),
            (vec![change("A/Queue", Action::Dynamic, Replacement::Maybe)], true),
            (vec![change("A/Queue", Action::Modify, yes)], false),
            (vec![change("A/Queue", Action::Remove, no)], false),
            (vec![change("A/Other", Action::Modify, no)], false),
        ] {
            assert_eq!(saved().covers(&changes).is_ok(), covered, "{changes:?}");
        }
    }
}
