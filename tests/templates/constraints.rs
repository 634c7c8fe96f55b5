//! Checks parameter values as CloudFormation does before it makes anything.

use std::{collections::BTreeMap, sync::Mutex};

use regex_lite::Regex;
use serde_json::Value;

use super::{deployment::Refusal, document::Template};

/// Checks what is given against the template's parameters and adds the defaults.
pub(crate) fn checked_parameters(
    template: &Template,
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let declared = template.section("Parameters");
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(Refusal::Unknown(unknown.clone()));
    }
    let mut parameters = BTreeMap::new();
    for (name, parameter) in declared {
        let default = parameter.get("Default").map(|value| value.as_str().unwrap().to_owned());
        let Some(value) = given.get(name).cloned().or(default) else {
            return Err(Refusal::Missing(name.clone()));
        };
        if !is_acceptable(parameter, &value) {
            return Err(Refusal::Constraint(name.clone()));
        }
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

fn is_acceptable(parameter: &Value, value: &str) -> bool {
    let items: Vec<&str> = if parameter["Type"] == "CommaDelimitedList" {
        value.split(',').collect()
    } else {
        vec![value]
    };
    let number = |text: &Value| text.as_str().map(|text| text.parse::<i64>().unwrap());
    items.into_iter().all(|item| {
        let matches =
            parameter.get("AllowedPattern").and_then(Value::as_str).is_none_or(|pattern| {
                // CloudFormation matches the whole value, as Java's `matches` does.
                matches_whole(pattern, item)
            });
        let allowed = parameter
            .get("AllowedValues")
            .and_then(Value::as_array)
            .is_none_or(|values| values.iter().any(|allowed| allowed == item));
        let in_range = parameter["Type"] != "Number"
            || item.parse::<i64>().is_ok_and(|item| {
                number(&parameter["MinValue"]).is_none_or(|least| least <= item)
                    && number(&parameter["MaxValue"]).is_none_or(|most| item <= most)
            });
        matches && allowed && in_range
    })
}

fn matches_whole(pattern: &str, text: &str) -> bool {
    // Compiling a pattern takes longer than everything else here.
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap();
    let regex = compiled
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(&format!("^(?:{pattern})$")).unwrap());
    regex.is_match(text)
}
