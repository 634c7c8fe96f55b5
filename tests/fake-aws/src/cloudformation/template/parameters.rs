//! Gives every parameter its value, or says in the service's words why it has none.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::evaluate::scalar;
use super::{KNOWN_AFTER_APPLY, Template};
use crate::cloudformation::form::{Form, invalid};
use crate::error::ApiError;

/// The values of all parameters of a template.
pub(crate) type Parameters = BTreeMap<String, ParameterValue>;

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterValue {
    pub(crate) text: String,
    is_list: bool,
    no_echo: bool,
}

impl ParameterValue {
    #[cfg(test)]
    pub(crate) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), is_list: false, no_echo: false }
    }

    #[cfg(test)]
    pub(crate) fn list(text: &str) -> Self {
        Self { text: text.to_owned(), is_list: true, no_echo: false }
    }

    /// Returns what `Ref` gives.
    pub(crate) fn evaluated(&self) -> Value {
        if self.is_list && !self.is_unknown() {
            self.text.split(',').map(|item| Value::from(item.trim())).collect()
        } else {
            Value::String(self.text.clone())
        }
    }

    /// Returns what descriptions show.
    pub(crate) fn shown(&self) -> &str {
        if self.no_echo { "****" } else { &self.text }
    }

    /// Tells whether the value comes only with the change.
    pub(crate) fn is_unknown(&self) -> bool {
        self.text.contains(KNOWN_AFTER_APPLY)
    }
}

/// What a request says about one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) use_previous: bool,
}

impl Given {
    /// Reads the list `Parameters` of a request.
    pub(crate) fn read(form: &Form<'_>) -> Result<Vec<Self>, ApiError> {
        form.members("Parameters")
            .iter()
            .map(|prefix| {
                Ok(Self {
                    key: form.require(&format!("{prefix}ParameterKey"))?.to_owned(),
                    value: form.get(&format!("{prefix}ParameterValue")).map(str::to_owned),
                    use_previous: form.flag(&format!("{prefix}UsePreviousValue"))?.unwrap_or(false),
                })
            })
            .collect()
    }

    /// Turns what a parent stack passes into the same form.
    pub(crate) fn from_properties(parameters: Option<&Value>) -> Vec<Self> {
        let empty = Map::new();
        let parameters = parameters.and_then(Value::as_object).unwrap_or(&empty);
        parameters
            .iter()
            .map(|(key, value)| Self {
                key: key.clone(),
                value: Some(scalar(value)),
                use_previous: false,
            })
            .collect()
    }
}

/// Resolves the parameters of a template. `previous` holds the deployed values of an update.
pub(crate) fn resolve(
    template: &Template,
    given: &[Given],
    previous: Option<&Parameters>,
) -> Result<Parameters, ApiError> {
    let declared = template.section("Parameters");
    let mut seen = BTreeSet::new();
    if let Some(twice) = given.iter().find(|given| !seen.insert(given.key.as_str())) {
        return Err(invalid(format!("Duplicate parameter key: {}", twice.key)));
    }
    check_previous(given, previous)?;
    let unknown: Vec<&str> =
        seen.iter().copied().filter(|key| !declared.contains_key(*key)).collect();
    if declared.is_empty() && !unknown.is_empty() {
        return Err(invalid(
            "Parameter values specified for a template which does not require them.",
        ));
    }
    if !unknown.is_empty() {
        return Err(invalid(format!(
            "Parameters: [{}] do not exist in the template",
            unknown.join(", ")
        )));
    }
    let mut values = Parameters::new();
    let mut missing = Vec::new();
    for (name, declaration) in declared {
        let given = given.iter().find(|given| given.key == *name);
        let value = match given {
            Some(given) if given.use_previous => {
                previous.and_then(|previous| previous.get(name)).map(|value| value.text.clone())
            }
            Some(given) => given.value.clone(),
            None => None,
        };
        let value = value.or_else(|| declaration.get("Default").map(scalar));
        let Some(text) = value else {
            missing.push(name.as_str());
            continue;
        };
        let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or_default();
        let value = ParameterValue {
            text,
            is_list: is_list(kind),
            no_echo: declaration.get("NoEcho").is_some_and(|value| scalar(value) == "true"),
        };
        values.insert(name.clone(), value);
    }
    if !missing.is_empty() {
        return Err(invalid(format!("Parameters: [{}] must have values", missing.join(", "))));
    }
    for (name, declaration) in declared {
        if let Some(value) = values.get(name).filter(|value| !value.is_unknown()) {
            check(name, declaration, value).map_err(invalid)?;
        }
    }
    Ok(values)
}

fn check_previous(given: &[Given], previous: Option<&Parameters>) -> Result<(), ApiError> {
    for given in given.iter().filter(|given| given.use_previous) {
        let key = &given.key;
        let Some(previous) = previous else {
            return Err(invalid(
                "Cannot specify UsePreviousValue on Parameters when ChangeSetType is CREATE",
            ));
        };
        if given.value.as_ref().is_some_and(|value| !value.is_empty()) {
            return Err(invalid(format!(
                "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
            )));
        }
        if !previous.contains_key(key) {
            return Err(invalid(format!(
                "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
            )));
        }
    }
    Ok(())
}

/// Tells whether `Ref` gives a list for a parameter of this type.
pub(super) fn is_list(kind: &str) -> bool {
    kind == "CommaDelimitedList" || kind.starts_with("List<")
}

/// Checks a value against the declaration. The error is the service's message.
fn check(name: &str, declaration: &Value, value: &ParameterValue) -> Result<(), String> {
    let described = declaration.get("ConstraintDescription").and_then(Value::as_str);
    let fail = |rule: String| match described {
        Some(description) => {
            Err(format!("Parameter {name} failed to satisfy constraint: {description}"))
        }
        None => Err(format!("Parameter '{name}' must {rule}")),
    };
    let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or_default();
    let items: Vec<&str> = if value.is_list {
        value.text.split(',').map(str::trim).collect()
    } else {
        vec![value.text.as_str()]
    };
    for item in items {
        if let Some(allowed) = declaration.get("AllowedValues").and_then(Value::as_array)
            && !allowed.iter().any(|allowed| scalar(allowed) == item)
        {
            return fail("be one of AllowedValues".to_owned());
        }
        if let Some(pattern) = declaration.get("AllowedPattern").and_then(Value::as_str)
            && !matches(pattern, item)
        {
            return fail(format!("match pattern {pattern}"));
        }
        let length = item.chars().count();
        if let Some(least) = limit(declaration, "MinLength").filter(|least| to_f64(length) < *least)
        {
            return fail(format!("contain at least {least} characters"));
        }
        if let Some(most) = limit(declaration, "MaxLength").filter(|most| to_f64(length) > *most) {
            return fail(format!("contain at most {most} characters"));
        }
        if kind == "Number" || kind == "List<Number>" {
            let Ok(number) = item.parse::<f64>() else {
                return Err(format!("Parameter '{name}' must be a number"));
            };
            if let Some(least) = limit(declaration, "MinValue").filter(|least| number < *least) {
                return fail(format!("be a number not less than {least}"));
            }
            if let Some(most) = limit(declaration, "MaxValue").filter(|most| number > *most) {
                return fail(format!("be a number not greater than {most}"));
            }
        }
    }
    Ok(())
}

fn to_f64(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

fn limit(declaration: &Value, name: &str) -> Option<f64> {
    declaration.get(name).and_then(|value| scalar(value).parse().ok())
}

/// Matches the whole text, as the service does.
fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern).is_some_and(|regex| regex.is_match(text))
}

/// Compiles a pattern for a whole text, or says that it is none.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Name: {Type: String, AllowedPattern: '[a-z]+', MinLength: 2, MaxLength: 4}
  Days: {Type: Number, Default: 7, MinValue: 1, MaxValue: 30}
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod], ConstraintDescription: say dev or prod}
  Arns: {Type: CommaDelimitedList, Default: '', AllowedPattern: '^(arn:.*)?$'}
  Secret: {Type: String, Default: x, NoEcho: true}
Resources: {R: {Type: AWS::SNS::Topic}}
";

    fn given(rows: &[(&str, &str)]) -> Vec<Given> {
        rows.iter()
            .map(|(key, value)| Given {
                key: (*key).to_owned(),
                value: (*value != "<previous>").then(|| (*value).to_owned()),
                use_previous: *value == "<previous>",
            })
            .collect()
    }

    #[test]
    fn values_come_from_the_request_the_stack_or_the_default() {
        let template = Template::parse(TEMPLATE).unwrap();
        let first = resolve(&template, &given(&[("Name", "abc"), ("Days", "9")]), None).unwrap();
        let shown: Vec<&str> = first.values().map(ParameterValue::shown).collect();
        assert_eq!(shown, ["", "9", "abc", "****", "dev"]);
        let second =
            resolve(&template, &given(&[("Name", "<previous>"), ("Stage", "prod")]), Some(&first))
                .unwrap();
        let texts: Vec<&str> = second.values().map(|value| value.text.as_str()).collect();
        assert_eq!(texts, ["", "7", "abc", "x", "prod"]);
    }

    #[test]
    fn bad_parameters_are_refused_in_the_services_words() {
        let template = Template::parse(TEMPLATE).unwrap();
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[], "Parameters: [Name] must have values"),
            (
                &[("Name", "abc"), ("X", "1"), ("Y", "1")],
                "Parameters: [X, Y] do not exist in the template",
            ),
            (&[("Name", "ABC")], "Parameter 'Name' must match pattern [a-z]+"),
            (&[("Name", "abc\n")], "Parameter 'Name' must match pattern [a-z]+"),
            (&[("Name", "a")], "Parameter 'Name' must contain at least 2 characters"),
            (&[("Name", "abcde")], "Parameter 'Name' must contain at most 4 characters"),
            (
                &[("Name", "abc"), ("Days", "0")],
                "Parameter 'Days' must be a number not less than 1",
            ),
            (
                &[("Name", "abc"), ("Days", "31")],
                "Parameter 'Days' must be a number not greater than 30",
            ),
            (&[("Name", "abc"), ("Days", "many")], "Parameter 'Days' must be a number"),
            (
                &[("Name", "abc"), ("Stage", "test")],
                "Parameter Stage failed to satisfy constraint: say dev or prod",
            ),
            (
                &[("Name", "abc"), ("Arns", "arn:a, b")],
                "Parameter 'Arns' must match pattern ^(arn:.*)?$",
            ),
            (&[("Name", "abc"), ("Name", "abd")], "Duplicate parameter key: Name"),
            (
                &[("Name", "<previous>")],
                "Cannot specify UsePreviousValue on Parameters when ChangeSetType is CREATE",
            ),
        ];
        for (parameters, message) in rows {
            assert_eq!(
                resolve(&template, &given(parameters), None),
                Err(invalid(*message)),
                "{parameters:?}"
            );
        }
        let previous = Parameters::new();
        assert_eq!(
            resolve(&template, &given(&[("Name", "<previous>")]), Some(&previous)),
            Err(invalid(
                "Invalid input for parameter key Name. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
            ))
        );
        let bare = Template::parse("Resources: {R: {Type: AWS::SNS::Topic}}").unwrap();
        assert_eq!(
            resolve(&bare, &given(&[("Name", "a")]), None),
            Err(invalid("Parameter values specified for a template which does not require them."))
        );
    }
}
