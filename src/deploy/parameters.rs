//! Which parameters a stack gets, and whether their values obey the template's rules. Pure.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Serialize;
use thiserror::Error;

use crate::{aws::cloudformation::ParameterValue, template::document::Declared};

/// A parameter that cannot be what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The template demands it and nothing gives it.
    #[error("parameter `{name}` is missing: {description}")]
    Missing {
        /// The parameter.
        name: String,
        /// What it is for.
        description: String,
    },
    /// The template does not have it.
    #[error("the template has no parameter `{name}`{}", suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    Unknown {
        /// The parameter.
        name: String,
        /// A similar name.
        suggestion: Option<String>,
    },
    /// A rule of the template is broken.
    #[error("parameter `{name}` cannot be `{value}`: {rule}")]
    Rule {
        /// The parameter.
        name: String,
        /// The value.
        value: String,
        /// The rule in words.
        rule: String,
    },
}

/// A parameter whose value changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterChange {
    /// The name.
    pub name: String,
    /// The value before; none: the stack does not have it.
    pub before: Option<String>,
    /// The value after; none: the stack will not have it.
    pub after: Option<String>,
}

/// The parameters of a stack: what is sent, and what they come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// What is sent to CloudFormation.
    pub sent: BTreeMap<String, ParameterValue>,
    /// The values that the stack will have.
    pub effective: BTreeMap<String, String>,
    /// What is different from what the stack has now.
    pub changes: Vec<ParameterChange>,
}

/// Chooses a value for every declared parameter: the one `decided` here, else what the stack has, else the default.
pub fn choose(
    declared: &[Declared],
    decided: &BTreeMap<String, String>,
    existing: &BTreeMap<String, String>,
) -> Result<Chosen, Vec<ParameterError>> {
    let mut errors = Vec::new();
    let mut chosen = Chosen::default();
    for name in decided.keys() {
        if !declared.iter().any(|parameter| &parameter.name == name) {
            errors.push(ParameterError::Unknown {
                name: name.clone(),
                suggestion: similar(name, declared),
            });
        }
    }
    for parameter in declared {
        let name = &parameter.name;
        let (value, sent) = match (decided.get(name), existing.get(name), &parameter.default) {
            (Some(value), _, _) => {
                if let Some(rule) = broken_rule(parameter, value) {
                    errors.push(ParameterError::Rule {
                        name: name.clone(),
                        value: value.clone(),
                        rule,
                    });
                }
                (value, Some(ParameterValue::Set(value.clone())))
            }
            (None, Some(value), _) => (value, Some(ParameterValue::Previous)),
            (None, None, Some(default)) => (default, None),
            (None, None, None) => {
                let description =
                    parameter.description.clone().unwrap_or_else(|| "it has no default".to_owned());
                errors.push(ParameterError::Missing { name: name.clone(), description });
                continue;
            }
        };
        if let Some(sent) = sent {
            chosen.sent.insert(name.clone(), sent);
        }
        chosen.effective.insert(name.clone(), value.clone());
        let before = existing.get(name);
        if before != Some(value) {
            chosen.changes.push(ParameterChange {
                name: name.clone(),
                before: before.cloned(),
                after: Some(value.clone()),
            });
        }
    }
    for (name, value) in existing {
        if !declared.iter().any(|parameter| &parameter.name == name) {
            chosen.changes.push(ParameterChange {
                name: name.clone(),
                before: Some(value.clone()),
                after: None,
            });
        }
    }
    if errors.is_empty() { Ok(chosen) } else { Err(errors) }
}

/// Returns the rule that `value` breaks. CloudFormation would say so only after the first write.
fn broken_rule(parameter: &Declared, value: &str) -> Option<String> {
    let constraint = |fallback: String| {
        parameter.constraint.as_ref().map_or(fallback, |text| text.trim_end_matches('.').to_owned())
    };
    if !parameter.allowed_values.is_empty()
        && !parameter.allowed_values.iter().any(|allowed| allowed == value)
    {
        return Some(format!("it is one of {}", parameter.allowed_values.join(", ")));
    }
    if let Some(pattern) = &parameter.allowed_pattern {
        // A list's pattern holds for each of its items.
        let items: Vec<&str> = if parameter.kind == "CommaDelimitedList" {
            value.split(',').map(str::trim).collect()
        } else {
            vec![value]
        };
        // A pattern beyond this engine's syntax is left to CloudFormation.
        if let Ok(regex) = Regex::new(&format!("^(?:{pattern})$"))
            && !items.iter().all(|item| regex.is_match(item))
        {
            return Some(constraint(format!("it must match {pattern}")));
        }
    }
    if parameter.kind == "Number" {
        let Ok(number) = value.parse::<f64>() else {
            return Some(constraint("it is a number".to_owned()));
        };
        let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
        let too_small = bound(&parameter.minimum).is_some_and(|minimum| number < minimum);
        let too_large = bound(&parameter.maximum).is_some_and(|maximum| number > maximum);
        if too_small || too_large {
            return Some(constraint("it is out of range".to_owned()));
        }
    }
    None
}

/// Returns the declared name that equals `name` but for its case, or begins with it.
fn similar(name: &str, declared: &[Declared]) -> Option<String> {
    let wanted = name.to_ascii_lowercase();
    declared
        .iter()
        .map(|parameter| &parameter.name)
        .find(|known| {
            let known = known.to_ascii_lowercase();
            known == wanted
                || known.starts_with(&wanted)
                || wanted.starts_with(&known)
                || known.contains(&wanted)
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, default: Option<&str>) -> Declared {
        Declared {
            name: name.to_owned(),
            kind: "String".to_owned(),
            default: default.map(str::to_owned),
            ..Declared::default()
        }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_nobody_decides_stays_as_it_is() {
        let parameters = [declared("A", None), declared("B", Some("b")), declared("C", Some("c"))];
        let chosen =
            choose(&parameters, &map(&[("C", "new")]), &map(&[("A", "kept"), ("Gone", "x")]))
                .unwrap();
        assert_eq!(chosen.sent.get("A"), Some(&ParameterValue::Previous));
        assert_eq!(chosen.sent.get("B"), None, "a default is not sent");
        assert_eq!(chosen.sent.get("C"), Some(&ParameterValue::Set("new".to_owned())));
        assert!(
            !chosen.sent.contains_key("Gone"),
            "a parameter that the template lost is not sent"
        );
        let names: Vec<&str> = chosen.changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["B", "C", "Gone"]);
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let number = Declared {
            kind: "Number".to_owned(),
            minimum: Some("1".to_owned()),
            ..declared("Days", Some("7"))
        };
        let pattern = Declared {
            allowed_pattern: Some("^[a-z]+$".to_owned()),
            ..declared("Name", Some("x"))
        };
        let values =
            Declared { allowed_values: vec!["a".to_owned()], ..declared("Choice", Some("a")) };
        let parameters = [number, pattern, values, declared("Needed", None)];
        let decided = map(&[("Days", "0"), ("Name", "X1"), ("Choice", "b"), ("name", "x")]);
        let errors = choose(&parameters, &decided, &BTreeMap::new()).unwrap_err();
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in [
            "`Days` cannot be `0`",
            "`Name` cannot be `X1`",
            "one of a",
            "`Needed` is missing",
            "mean `Name`",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(errors.len(), 5);
    }

    #[test]
    fn a_pattern_holds_for_each_item_of_a_list() {
        let list = Declared {
            kind: "CommaDelimitedList".to_owned(),
            allowed_pattern: Some("^([a-z]+)?$".to_owned()),
            ..declared("List", Some(""))
        };
        for (value, good) in [("", true), ("a,b", true), ("a,1", false)] {
            let result =
                choose(std::slice::from_ref(&list), &map(&[("List", value)]), &BTreeMap::new());
            assert_eq!(result.is_ok(), good, "{value}");
        }
    }
}
