//! What a deployment would do to one stack. Pure: nothing here calls AWS.

use std::collections::BTreeMap;

use mtlog_processor::model::arn::Partition;
use serde::Serialize;
use serde_json::Value;

use super::{
    change::ResourceChange,
    claims::Claims,
    desired::{Desired, Obstacles, Place},
    difference::{Resources, difference},
    observe::{Observed, ObservedChild},
    parameters::{Chosen, ParameterChange, choose},
    stack::{NESTED_STACK_TYPE, Stack},
    state::{Approach, Circumstances, approach},
};
use crate::template::{
    catalogue::hex_digest,
    document::Document,
    evaluate::{self, Scope},
};

/// What kind of operation it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The stack is made.
    Create,
    /// The stack is changed.
    Update,
    /// Everything is as it should be.
    Nothing,
    /// Somebody has to decide something first, or wait.
    Blocked,
}

/// What would happen to one stack.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What should be.
    pub desired: Desired,
    /// The first step, from the state that the stack is in.
    pub approach: Approach,
    /// What it comes to.
    pub operation: Operation,
    /// The parameters.
    pub chosen: Chosen,
    /// Tags that change, in the form of parameters.
    pub tags: Vec<ParameterChange>,
    /// What identifies this content: equal for equal template, parameters and tags.
    pub content: String,
    /// The new template.
    document: Document,
}

/// Plans for one stack.
pub fn plan(desired: Desired, observed: &Observed) -> Result<Plan, Obstacles> {
    let text = desired.template.text();
    let document =
        Document::parse(text).map_err(|error| Obstacles { problems: vec![error.to_string()] })?;
    let existing = observed.presence.stack();
    let nothing = BTreeMap::new();
    let chosen = choose(
        &document.parameters(),
        &desired.parameters,
        existing.map_or(&nothing, |s| &s.parameters),
    )
    .map_err(|errors| Obstacles { problems: errors.iter().map(ToString::to_string).collect() })?;
    let tags = tag_changes(existing, &desired.tags);
    let content = content(text, &chosen, &desired.tags);
    let circumstances = Circumstances {
        resources: &observed.resources,
        change_sets: &observed.change_sets,
        owner: observed.owner(&content),
    };
    let approach = approach(&observed.presence, circumstances);
    let operation = match &approach {
        Approach::Create | Approach::DeleteThenCreate | Approach::WaitThenCreate => {
            Operation::Create
        }
        Approach::Refuse(_) => Operation::Blocked,
        Approach::Attach => Operation::Update,
        Approach::Update | Approach::WaitThenUpdate => {
            let same_template = observed
                .template
                .as_deref()
                .is_some_and(|deployed| same_template(deployed, text, &document));
            if same_template && chosen.changes.is_empty() && tags.is_empty() {
                Operation::Nothing
            } else {
                Operation::Update
            }
        }
    };
    Ok(Plan { desired, approach, operation, chosen, tags, content, document })
}

impl Plan {
    /// Returns the template's defaults of parameters.
    pub fn defaults(&self) -> BTreeMap<String, String> {
        self.document
            .parameters()
            .into_iter()
            .filter_map(|declared| Some((declared.name, declared.default?)))
            .collect()
    }

    /// Returns what changes in the stack and in those nested in it, worked out from templates alone.
    pub fn estimated_changes(
        &self,
        observed: &Observed,
        children: &BTreeMap<String, ObservedChild>,
        place: &Place,
    ) -> Vec<ResourceChange> {
        let mut changes: Vec<ResourceChange> = self
            .sides(observed, children, place)
            .iter()
            .flat_map(|side| difference(side.parent, &side.before, &side.after))
            .collect();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        without_containers(changes)
    }

    /// Returns what the stack and those nested in it take for granted in IAM, as far as templates alone tell.
    pub fn claims(
        &self,
        observed: &Observed,
        children: &BTreeMap<String, ObservedChild>,
        place: &Place,
    ) -> Claims {
        let mut claims = Claims::default();
        for side in self.sides(observed, children, place) {
            claims.add(side.parent, &side.before, &side.after);
        }
        claims
    }

    /// Evaluates the templates of the stack and of those nested in it, as deployed and as wanted.
    fn sides(
        &self,
        observed: &Observed,
        children: &BTreeMap<String, ObservedChild>,
        place: &Place,
    ) -> Vec<Sides> {
        let stack = observed.presence.stack();
        let has_resources =
            matches!(self.approach, Approach::Update | Approach::WaitThenUpdate | Approach::Attach);
        let attributes = outputs_of(children);
        let pseudo =
            pseudo(place, self.desired.stack.as_str(), stack.map(|stack| stack.id.as_str()));
        let scope = |parameters: &BTreeMap<String, String>| Scope {
            parameters: parameters.clone(),
            pseudo: pseudo.clone(),
            attributes: attributes.clone(),
        };
        let after = evaluate::resources(&self.document, &scope(&self.chosen.effective));
        let before = match (stack, &observed.template) {
            (Some(stack), Some(text)) if has_resources => Document::parse(text)
                .map(|document| {
                    let parameters = with_defaults(&document, &stack.parameters);
                    evaluate::resources(&document, &scope(&parameters))
                })
                .unwrap_or_default(),
            _ => Resources::new(),
        };
        let mut sides = Vec::new();
        for child in self.desired.template.children() {
            let Ok(document) = Document::parse(child.template.text()) else { continue };
            let deployed = children.get(child.resource);
            let new = after.get(child.resource).map(|resource| {
                let known = nested_parameters(resource, deployed.map(|child| &child.stack));
                evaluate::resources(&document, &child_scope(&document, known, place, deployed))
            });
            let old = deployed.and_then(|child| {
                let document = child.document.as_ref()?;
                let parameters = child.stack.parameters.clone();
                Some(evaluate::resources(
                    document,
                    &child_scope(document, parameters, place, deployed),
                ))
            });
            sides.push(Sides {
                parent: child.resource,
                before: old.unwrap_or_default(),
                after: new.unwrap_or_default(),
            });
        }
        sides.push(Sides { parent: "", before, after });
        sides
    }
}

/// The resources of one stack, as deployed and as wanted.
struct Sides {
    /// The nested stack; empty for the stack itself.
    parent: &'static str,
    before: Resources,
    after: Resources,
}

/// Returns what identifies the content of a deployment, as 16 hexadecimal digits.
fn content(text: &str, chosen: &Chosen, tags: &BTreeMap<String, String>) -> String {
    let mut whole = String::from(text);
    for (name, value) in chosen.effective.iter().chain(tags) {
        // Lengths keep two different lists from looking alike.
        whole.push_str(&format!("\n{}:{name}={}:{value}", name.len(), value.len()));
    }
    hex_digest(&whole).chars().take(16).collect()
}

fn same_template(deployed: &str, text: &str, document: &Document) -> bool {
    deployed == text || Document::parse(deployed).is_ok_and(|deployed| deployed == *document)
}

fn tag_changes(
    existing: Option<&Stack>,
    wanted: &BTreeMap<String, String>,
) -> Vec<ParameterChange> {
    let nothing = BTreeMap::new();
    let existing = existing.map_or(&nothing, |stack| &stack.tags);
    let mut names: Vec<&String> = existing.keys().chain(wanted.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| existing.get(*name) != wanted.get(*name))
        .map(|name| ParameterChange {
            name: name.clone(),
            before: existing.get(name).cloned(),
            after: wanted.get(name).cloned(),
        })
        .collect()
}

/// The outputs of nested stacks, as their parent refers to them.
fn outputs_of(children: &BTreeMap<String, ObservedChild>) -> BTreeMap<(String, String), String> {
    children
        .iter()
        .flat_map(|(name, child)| {
            child.stack.outputs.iter().map(move |(output, value)| {
                ((name.clone(), format!("Outputs.{output}")), value.clone())
            })
        })
        .collect()
}

/// The parameters that a nested stack is given, as far as they are known before the deployment.
///
/// A value that only AWS can tell is taken to stay what it is: it changes only if what it refers to is made anew.
fn nested_parameters(resource: &Value, deployed: Option<&Stack>) -> BTreeMap<String, String> {
    let given = resource
        .get("Properties")
        .and_then(|properties| properties.get("Parameters"))
        .and_then(Value::as_object);
    given
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match value.as_str() {
            Some(text) => Some((name.clone(), text.to_owned())),
            None => deployed?.parameters.get(name).map(|text| (name.clone(), text.clone())),
        })
        .collect()
}

fn child_scope(
    document: &Document,
    parameters: BTreeMap<String, String>,
    place: &Place,
    deployed: Option<&ObservedChild>,
) -> Scope {
    let stack = deployed.map(|child| &child.stack);
    let mut pseudo = pseudo(place, "", stack.map(|stack| stack.id.as_str()));
    match stack {
        Some(stack) => pseudo.insert("AWS::StackName".to_owned(), stack.name.clone()),
        None => pseudo.remove("AWS::StackName"),
    };
    Scope { parameters: with_defaults(document, &parameters), pseudo, attributes: BTreeMap::new() }
}

fn with_defaults(
    document: &Document,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = document
        .parameters()
        .into_iter()
        .filter_map(|declared| Some((declared.name, declared.default?)))
        .collect();
    parameters.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    parameters
}

fn pseudo(place: &Place, stack_name: &str, stack_id: Option<&str>) -> BTreeMap<String, String> {
    let partition = Partition::of(&place.region);
    let mut pseudo = BTreeMap::from(
        [
            ("AWS::Region", place.region.as_str()),
            ("AWS::AccountId", place.account.as_str()),
            ("AWS::Partition", partition.as_str()),
            ("AWS::URLSuffix", partition.dns_suffix()),
            ("AWS::StackName", stack_name),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if let Some(id) = stack_id {
        pseudo.insert("AWS::StackId".to_owned(), id.to_owned());
    }
    pseudo
}

/// Leaves out rows about nested stacks themselves whose own changes are listed as well.
fn without_containers(changes: Vec<ResourceChange>) -> Vec<ResourceChange> {
    let paths: Vec<String> = changes.iter().map(|change| change.path.clone()).collect();
    changes
        .into_iter()
        .filter(|change| {
            let inner = format!("{}/", change.path);
            change.resource_type != NESTED_STACK_TYPE
                || !paths.iter().any(|path| path.starts_with(&inner))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{deploy::DeployFlags, dotenv::DotEnv, environment::Environment, layers::Layers},
        deploy::{
            change::Action,
            desired::{Upstream, desired},
            stack::Presence,
            status::StackStatus,
            target::Target,
        },
    };

    const ROLE: &str = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";

    fn place() -> Place {
        Place { account: "111111111111".parse().unwrap(), region: "us-east-2".parse().unwrap() }
    }

    fn regional(flags: DeployFlags, existing: Option<&Stack>) -> Desired {
        let flags = DeployFlags {
            targets: vec!["regional".to_owned()],
            central_role_arn: Some(ROLE.to_owned()),
            ..flags
        };
        let layers = Layers::new(Environment::default(), DotEnv::default());
        let settings = crate::config::deploy::resolve(&layers, &flags).unwrap();
        let name = "p-development".parse().unwrap();
        desired(Target::Regional, name, &settings, &place(), existing, Upstream::default()).unwrap()
    }

    fn observed(stack: Option<Stack>) -> Observed {
        Observed {
            template: stack
                .as_ref()
                .map(|_| crate::template::catalogue::TemplateId::Regional.text().to_owned()),
            presence: stack.map_or(Presence::Absent, |stack| Presence::Present(Box::new(stack))),
            resources: Vec::new(),
            change_sets: Vec::new(),
            running_token: None,
        }
    }

    fn deployed(plan: &Plan) -> Stack {
        Stack {
            name: "p-development".to_owned(),
            id: "arn:aws:cloudformation:us-east-2:111111111111:stack/p-development/0a1b2c3d-1"
                .to_owned(),
            status: StackStatus::CreateComplete,
            reason: None,
            parameters: plan.chosen.effective.clone(),
            outputs: BTreeMap::new(),
            tags: plan.desired.tags.clone(),
            created: None,
            updated: None,
            protected: false,
            parent: None,
        }
    }

    fn with_queue() -> DeployFlags {
        DeployFlags { sqs: crate::config::deploy::Part::Included, ..DeployFlags::default() }
    }

    #[test]
    fn a_new_stack_is_created_with_all_its_nested_resources() {
        let observed = observed(None);
        let plan = plan(regional(with_queue(), None), &observed).unwrap();
        assert_eq!(plan.operation, Operation::Create);
        let changes = plan.estimated_changes(&observed, &BTreeMap::new(), &place());
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        for path in ["CoreInfrastructureStack/TenantConfigTable", "SQSStack/LogDeliveryQueue"] {
            assert!(paths.contains(&path), "{path} in {paths:?}");
        }
        assert!(!paths.iter().any(|path| path.starts_with("LambdaStack")), "{paths:?}");
        assert!(changes.iter().all(|change| change.action == Action::Add));
    }

    #[test]
    fn the_same_again_is_nothing_to_do() {
        let first = plan(regional(with_queue(), None), &observed(None)).unwrap();
        let stack = deployed(&first);
        let again =
            plan(regional(DeployFlags::default(), Some(&stack)), &observed(Some(stack.clone())))
                .unwrap();
        assert_eq!(
            again.operation,
            Operation::Nothing,
            "{:?} {:?}",
            again.chosen.changes,
            again.tags
        );
        assert_eq!(first.content, again.content);
    }

    #[test]
    fn a_changed_parameter_is_an_update() {
        let first = plan(regional(with_queue(), None), &observed(None)).unwrap();
        let stack = deployed(&first);
        let flags = DeployFlags {
            parameters: vec!["S3DeleteAfterDays=14".to_owned()],
            ..DeployFlags::default()
        };
        let again = plan(regional(flags, Some(&stack)), &observed(Some(stack.clone()))).unwrap();
        assert_eq!(again.operation, Operation::Update);
        assert_eq!(again.chosen.changes.len(), 1);
        assert_ne!(first.content, again.content);
    }

    #[test]
    fn our_own_running_operation_is_known_by_its_content() {
        let first = plan(regional(with_queue(), None), &observed(None)).unwrap();
        let mut stack = deployed(&first);
        stack.status = StackStatus::UpdateInProgress;
        let mut running = observed(Some(stack.clone()));
        running.running_token = Some(format!("mtlog-{}-17", first.content));
        let again = plan(regional(with_queue(), Some(&stack)), &running).unwrap();
        assert_eq!(again.approach, Approach::Attach);
        running.running_token = Some("mtlog-0000000000000000-17".to_owned());
        assert_eq!(
            plan(regional(with_queue(), Some(&stack)), &running).unwrap().operation,
            Operation::Blocked
        );
    }
}
