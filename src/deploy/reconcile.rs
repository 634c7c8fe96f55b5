//! Brings CloudFormation's change set and our own comparison together. Pure.

use super::{
    change::{Action, Certainty, Replacement, ResourceChange},
    stack::NESTED_STACK_TYPE,
};

/// The changes worth showing, and how many are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// What happens.
    pub changes: Vec<ResourceChange>,
    /// How many rows of the change set were left out.
    pub hidden: usize,
}

/// Brings CloudFormation's change set and our own comparison together.
///
/// CloudFormation lists every nested stack as changed, and everything in it that takes a value from another nested
/// stack, whether that value changes or not. A row is left out only if it is such a guess and the comparison, which
/// knows the present outputs, finds no change. What is certain, added, removed or made anew always stays.
pub fn reconcile(change_set: Vec<ResourceChange>, estimate: Vec<ResourceChange>) -> Reconciled {
    let mut result = Reconciled::default();
    let is_below = |path: &str, container: &str| {
        path.strip_prefix(container).is_some_and(|rest| rest.starts_with('/'))
    };
    let paths: Vec<String> = change_set.iter().map(|change| change.path.clone()).collect();
    for mut change in change_set {
        let estimated = estimate.iter().find(|candidate| candidate.path == change.path);
        if change.resource_type == NESTED_STACK_TYPE {
            if paths.iter().any(|path| is_below(path, &change.path)) {
                continue;
            }
            // Without rows of its own: what the comparison finds in it stands for it.
            let inner: Vec<ResourceChange> = estimate
                .iter()
                .filter(|candidate| is_below(&candidate.path, &change.path))
                .cloned()
                .collect();
            if !inner.is_empty() {
                result.changes.extend(inner);
            } else if change.action == Action::Modify {
                result.hidden += 1;
            } else {
                result.changes.push(change);
            }
            continue;
        }
        let guess = change.action == Action::Modify
            && change.replacement != Replacement::Yes
            && change.properties.iter().all(|property| property.certainty == Certainty::Possible);
        match estimated {
            None if guess => {
                result.hidden += 1;
                continue;
            }
            Some(estimated) if change.replacement == Replacement::Maybe => {
                change.replacement = estimated.replacement
            }
            None | Some(_) => {}
        }
        result.changes.push(change);
    }
    result.changes.sort_by(|a, b| a.path.cmp(&b.path));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::PropertyChange;

    fn row(path: &str, kind: &str, action: Action, certainty: Option<Certainty>) -> ResourceChange {
        let property = |certainty| PropertyChange {
            path: "P".to_owned(),
            before: None,
            after: None,
            certainty,
        };
        ResourceChange {
            path: path.to_owned(),
            resource_type: kind.to_owned(),
            action,
            replacement: Replacement::No,
            fate: None,
            physical_id: None,
            properties: certainty.map(property).into_iter().collect(),
        }
    }

    #[test]
    fn guesses_are_hidden_and_nothing_else() {
        let (possible, certain) = (Some(Certainty::Possible), Some(Certainty::Certain));
        let (queue, nested) = ("AWS::SQS::Queue", NESTED_STACK_TYPE);
        let change_set = vec![
            row("A", nested, Action::Modify, possible),
            row("A/Guess", queue, Action::Modify, possible),
            row("A/Certain", queue, Action::Modify, certain),
            row("A/Gone", queue, Action::Remove, None),
            row("B", nested, Action::Modify, possible),
            row("C", nested, Action::Modify, possible),
        ];
        let estimate = vec![row("C/Queue", queue, Action::Modify, certain)];
        let shown = reconcile(change_set, estimate);
        let paths: Vec<&str> = shown.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["A/Certain", "A/Gone", "C/Queue"]);
        assert_eq!(shown.hidden, 2);
    }
}
