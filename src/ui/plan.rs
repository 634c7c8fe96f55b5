//! Plans as text and as JSON: what would happen to which resource, and what of it is dangerous.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Report,
    style::{Palette, printable},
    table::Table,
};
use crate::deploy::{
    change::{Action, Fate, Replacement, ResourceChange, Stake},
    parameters::ParameterChange,
    plan::Operation,
    target::Target,
};

/// Where the changes of a plan come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Worked out from templates and parameters, without a write call.
    Templates,
    /// CloudFormation's change set.
    ChangeSet,
}

/// What would happen to one stack, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// The target.
    pub target: Target,
    /// The stack.
    pub stack: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// What it comes to.
    pub operation: Operation,
    /// Why nothing can be done, or what is done first.
    pub note: Option<String>,
    /// Where the changes come from.
    pub basis: Basis,
    /// Parameters that change.
    pub parameters: Vec<ParameterChange>,
    /// Tags that change.
    pub tags: Vec<ParameterChange>,
    /// Where parameters came from that nobody typed, by name.
    pub wired: BTreeMap<String, String>,
    /// Resources that change.
    pub changes: Vec<ResourceChange>,
    /// What is lost, or stops.
    pub stakes: Vec<Stake>,
    /// The bucket that would be made.
    pub new_bucket: Option<String>,
    /// How many changes CloudFormation lists as possible although they cannot happen.
    pub hidden: usize,
    /// How many templates would be uploaded, at most.
    pub uploads: usize,
    /// What people call the resources, by path.
    #[serde(skip)]
    pub names: BTreeMap<String, String>,
    /// The template's defaults of parameters.
    #[serde(skip)]
    pub defaults: BTreeMap<String, String>,
}

/// The plans of a dry run.
#[derive(Debug, Serialize)]
pub struct Plans {
    /// One for each stack.
    pub plans: Vec<PlanView>,
}

impl Report for Plans {
    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn text(&self, palette: Palette) -> String {
        self.plans.iter().map(|plan| plan.render(palette)).collect::<Vec<_>>().join("\n")
    }
}

/// How many resources there are of each kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Made.
    pub added: usize,
    /// Changed in place, or perhaps.
    pub changed: usize,
    /// Made anew.
    pub replaced: usize,
    /// Taken away.
    pub removed: usize,
}

impl PlanView {
    /// Counts the changes.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in &self.changes {
            match (change.action, change.replacement) {
                (Action::Add | Action::Import, _) => counts.added += 1,
                (Action::Remove, _) => counts.removed += 1,
                (Action::Modify | Action::Dynamic, Replacement::Yes) => counts.replaced += 1,
                (Action::Modify | Action::Dynamic, _) => counts.changed += 1,
            }
        }
        counts
    }

    /// Returns the plan as lines of text.
    pub fn render(&self, palette: Palette) -> String {
        let mut text = format!(
            "{}  {}  {}  {}\n",
            palette.strong(self.target.as_str()),
            self.stack,
            palette.dim(&self.region),
            palette.dim(&format!("account {}", self.account)),
        );
        let headline = match self.operation {
            Operation::Create => "The stack will be created.",
            Operation::Update => "The stack will be updated.",
            Operation::Nothing => "Nothing to do: the stack is as it should be.",
            Operation::Blocked => "Nothing can be done now.",
        };
        text.push_str(&format!("  {headline}\n"));
        if let Some(note) = &self.note {
            for line in note.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        if matches!(self.operation, Operation::Nothing | Operation::Blocked) {
            return text;
        }
        if let Some(bucket) = &self.new_bucket {
            text.push_str(&format!(
                "  {} bucket {bucket} for nested templates\n",
                palette.good("+")
            ));
        }
        self.render_values(&mut text, palette);
        self.render_changes(&mut text, palette);
        text
    }

    fn render_values(&self, text: &mut String, palette: Palette) {
        // Of a new stack everything is new; only what is not the template's default is worth a line.
        let worth = |change: &&ParameterChange| {
            let usual = self.defaults.get(&change.name) == change.after.as_ref();
            self.operation == Operation::Update || !(usual || change.name.ends_with("TemplateUrl"))
        };
        let shown: Vec<(&str, &ParameterChange)> = self
            .parameters
            .iter()
            .filter(worth)
            .map(|change| ("parameter", change))
            .chain(
                self.tags
                    .iter()
                    .filter(|_| self.operation == Operation::Update)
                    .map(|change| ("tag", change)),
            )
            .collect();
        for (kind, change) in shown {
            let value =
                transition(change.before.as_deref(), change.after.as_deref(), self.operation);
            let mark = if self.operation == Operation::Create {
                palette.good("+")
            } else {
                palette.changed("~")
            };
            text.push_str(&format!("  {mark} {kind} {}: {value}", change.name));
            if let Some(source) = self.wired.get(&change.name) {
                text.push_str(&palette.dim(&format!("  (from {source})")));
            }
            text.push('\n');
        }
    }

    fn render_changes(&self, text: &mut String, palette: Palette) {
        let width =
            self.changes.iter().map(|change| change.path.chars().count()).max().unwrap_or(0);
        for change in &self.changes {
            let mark = change.action.mark().to_string();
            let mark = match change.action {
                Action::Add | Action::Import => palette.good(&mark),
                Action::Remove => palette.bad(&mark),
                Action::Modify | Action::Dynamic => palette.changed(&mark),
            };
            let padding = " ".repeat(width.saturating_sub(change.path.chars().count()) + 2);
            let name =
                self.names.get(&change.path).map_or(change.resource_type.as_str(), String::as_str);
            let path = printable(&change.path);
            let mut line = format!("  {mark} {path}{padding}{}", palette.dim(&printable(name)));
            let remark = remark(change);
            if !remark.is_empty() {
                let remark = if change.endangers_data() {
                    palette.bad(&remark)
                } else {
                    palette.changed(&remark)
                };
                line.push_str(&format!("  {remark}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
            for stake in self.stakes.iter().filter(|stake| stake.path == change.path) {
                text.push_str(&format!("      {}\n", palette.bad(&printable(&stake.what))));
            }
            for property in &change.properties {
                let path = property.path.strip_prefix("Properties.").unwrap_or(&property.path);
                text.push_str(&format!("      {}", printable(path)));
                if property.before.is_some() || property.after.is_some() {
                    let value = transition(
                        property.before.as_deref(),
                        property.after.as_deref(),
                        Operation::Update,
                    );
                    text.push_str(&format!(": {value}"));
                }
                text.push('\n');
            }
        }
        let Counts { added, changed, replaced, removed } = self.counts();
        let mut parts = vec![format!("{added} to add"), format!("{changed} to change")];
        if replaced > 0 {
            parts.push(palette.bad(&format!("{replaced} to replace")));
        }
        parts.push(if removed > 0 {
            palette.bad(&format!("{removed} to remove"))
        } else {
            "0 to remove".to_owned()
        });
        text.push_str(&format!("  Plan: {}.\n", parts.join(", ")));
        if self.hidden > 0 {
            let line = format!(
                "  Not shown: {} that CloudFormation lists as possible but that change nothing.\n",
                self.hidden
            );
            text.push_str(&palette.dim(&line));
        }
        if self.basis == Basis::Templates {
            text.push_str(
                &palette
                    .dim("  Worked out from the templates; CloudFormation has the last word.\n"),
            );
        }
    }
}

/// The longest value that is shown whole; documents of hundreds of lines help nobody on a screen.
const LONGEST_VALUE: usize = 100;

fn transition(before: Option<&str>, after: Option<&str>, operation: Operation) -> String {
    let value = |value: Option<&str>| match value {
        None => "(not set)".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => shortened(text),
    };
    if operation == Operation::Create {
        value(after)
    } else {
        format!("{} -> {}", value(before), value(after))
    }
}

fn shortened(text: &str) -> String {
    let line: String = printable(text).split_whitespace().collect::<Vec<_>>().join(" ");
    // Of a template's URL only the beginning of its hash tells anything.
    if let Some((_, hash)) = line.rsplit_once("/mtlog/")
        && let Some(hash) = hash.strip_suffix(".yaml")
    {
        return format!("template {}", hash.chars().take(12).collect::<String>());
    }
    if line.chars().count() <= LONGEST_VALUE {
        return line;
    }
    line.chars().take(LONGEST_VALUE).chain(['…']).collect()
}

fn remark(change: &ResourceChange) -> String {
    let store = change.endangers_data();
    match (change.action, change.replacement, change.fate) {
        (Action::Remove, _, Some(Fate::Retained)) => {
            "leaves the stack, stays in the account".to_owned()
        }
        (Action::Remove, _, _) if store => "DELETED WITH ITS DATA".to_owned(),
        (Action::Remove, _, _) => "deleted".to_owned(),
        (Action::Modify | Action::Dynamic, Replacement::Yes, Some(Fate::Retained)) => {
            "REPLACED, the old one stays in the account".to_owned()
        }
        (Action::Modify | Action::Dynamic, Replacement::Yes, _) if store => {
            "REPLACED, ITS DATA IS LOST".to_owned()
        }
        (Action::Modify | Action::Dynamic, Replacement::Yes, _) => "replaced".to_owned(),
        (Action::Modify | Action::Dynamic, Replacement::Maybe, _) => "may be replaced".to_owned(),
        (Action::Add | Action::Import | Action::Modify | Action::Dynamic, _, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::PropertyChange;

    fn change(
        path: &str,
        resource_type: &str,
        action: Action,
        replacement: Replacement,
        fate: Option<Fate>,
    ) -> ResourceChange {
        ResourceChange {
            path: path.to_owned(),
            resource_type: resource_type.to_owned(),
            action,
            replacement,
            fate,
            physical_id: None,
            properties: Vec::new(),
        }
    }

    fn view(operation: Operation, changes: Vec<ResourceChange>) -> PlanView {
        PlanView {
            target: Target::Regional,
            stack: "p-production".to_owned(),
            region: "us-east-2".to_owned(),
            account: "111111111111".to_owned(),
            operation,
            note: None,
            basis: Basis::ChangeSet,
            parameters: Vec::new(),
            tags: Vec::new(),
            wired: BTreeMap::new(),
            changes,
            stakes: vec![Stake {
                path: "SQSStack/DLQ".to_owned(),
                what: "212 messages wait in it".to_owned(),
            }],
            new_bucket: None,
            hidden: 0,
            uploads: 0,
            names: BTreeMap::from([("SQSStack/LogDeliveryQueue".to_owned(), "Queue".to_owned())]),
            defaults: BTreeMap::new(),
        }
    }

    #[test]
    fn a_plan_names_what_changes_and_what_is_lost() {
        let mut queue = change(
            "SQSStack/LogDeliveryQueue",
            "AWS::SQS::Queue",
            Action::Modify,
            Replacement::No,
            None,
        );
        queue.properties.push(PropertyChange {
            path: "Properties.VisibilityTimeout".to_owned(),
            before: Some("900".to_owned()),
            after: Some("1900".to_owned()),
            certainty: crate::deploy::change::Certainty::Certain,
        });
        let dead = change(
            "SQSStack/DLQ",
            "AWS::SQS::Queue",
            Action::Remove,
            Replacement::No,
            Some(Fate::Deleted),
        );
        let plan = view(Operation::Update, vec![dead, queue]);
        insta::assert_snapshot!(plan.render(Palette::Plain), @r"
        regional  p-production  us-east-2  account 111111111111
          The stack will be updated.
          - SQSStack/DLQ               AWS::SQS::Queue  DELETED WITH ITS DATA
              212 messages wait in it
          ~ SQSStack/LogDeliveryQueue  Queue
              VisibilityTimeout: 900 -> 1900
          Plan: 0 to add, 1 to change, 1 to remove.
        ");
    }

    #[test]
    fn nothing_to_do_is_two_lines() {
        assert_eq!(view(Operation::Nothing, Vec::new()).render(Palette::Plain).lines().count(), 2);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shortened("a\n  b"), "a b");
        assert_eq!(shortened(&"x".repeat(200)).chars().count(), LONGEST_VALUE + 1);
    }
}
