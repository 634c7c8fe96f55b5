//! Reads the parameters of a request in the form that `awsQuery` gives them.

use crate::error::ApiError;

/// The parameters of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    pairs: &'a [(String, String)],
}

/// The pattern of stack names; ARNs are accepted where a stack exists already.
const NAME_PATTERN: &str = "[a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*";

impl<'a> Form<'a> {
    pub(crate) fn new(pairs: &'a [(String, String)]) -> Self {
        Self { pairs }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a parameter that the API model demands.
    pub(crate) fn require(&self, name: &str) -> Result<&'a str, ApiError> {
        self.get(name).ok_or_else(|| {
            constraint(&format!("Value null at '{}'", member_name(name)), "Member must not be null")
        })
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::bad(
                "MalformedInput",
                format!("'{other}' is not a boolean for {name}"),
            )),
        }
    }

    /// Returns the members of a list of texts.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..)
            .map_while(|number| self.get(&format!("{name}.member.{number}")))
            .map(str::to_owned)
            .collect()
    }

    /// Tells whether a list was sent, be it empty.
    pub(crate) fn has_list(&self, name: &str) -> bool {
        let first = format!("{name}.member.1");
        let is_first = |key: &str| {
            key.strip_prefix(first.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.get(name).is_some() || self.pairs.iter().any(|(key, _)| is_first(key))
    }

    /// Returns the prefixes of the members of a list of structures.
    pub(crate) fn members(&self, name: &str) -> Vec<String> {
        (1..)
            .map(|number| format!("{name}.member.{number}."))
            .take_while(|prefix| self.pairs.iter().any(|(key, _)| key.starts_with(prefix.as_str())))
            .collect()
    }

    /// Returns a member of one of a set of texts.
    pub(crate) fn choice<'c>(
        &self,
        name: &str,
        choices: &[&'c str],
    ) -> Result<Option<&'c str>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        choices.iter().find(|choice| **choice == value).map(|choice| Some(*choice)).ok_or_else(
            || {
                constraint(
                    &format!("Value '{value}' at '{}'", member_name(name)),
                    &format!("Member must satisfy enum value set: [{}]", choices.join(", ")),
                )
            },
        )
    }

    /// Returns the name or the ARN of a stack or change set, checked as the API model says.
    pub(crate) fn name(&self, name: &str) -> Result<&'a str, ApiError> {
        let value = self.require(name)?;
        check_name(name, value)?;
        Ok(value)
    }

    /// Returns the name or the ARN, when it was sent.
    pub(crate) fn optional_name(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.get(name).map(|value| check_name(name, value).map(|()| value)).transpose()
    }

    /// Returns a token, checked as the API model says.
    pub(crate) fn token(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let mut characters = value.chars();
        let first = characters.next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !first || !characters.all(|other| other.is_ascii_alphanumeric() || other == '-') {
            return Err(constraint(
                &format!("Value '{value}' at '{}'", member_name(name)),
                "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*",
            ));
        }
        check_length(name, value, 128)?;
        Ok(Some(value))
    }
}

/// Checks a text's length in characters, as the API model does.
pub(crate) fn check_length(name: &str, value: &str, most: usize) -> Result<(), ApiError> {
    if value.chars().count() <= most {
        return Ok(());
    }
    let shown: String = value.chars().take(1_024).collect();
    Err(constraint(
        &format!("Value '{shown}' at '{}'", member_name(name)),
        &format!("Member must have length less than or equal to {most}"),
    ))
}

fn check_name(name: &str, value: &str) -> Result<(), ApiError> {
    let is_name = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.chars().all(|other| other.is_ascii_alphanumeric() || other == '-');
    let is_arn = value.starts_with("arn:")
        && value.chars().all(|other| other.is_ascii_alphanumeric() || "-:/._+".contains(other));
    if !is_name && !is_arn {
        return Err(constraint(
            &format!("Value '{value}' at '{}'", member_name(name)),
            &format!("Member must satisfy regular expression pattern: {NAME_PATTERN}"),
        ));
    }
    check_length(name, value, if is_arn { 1_600 } else { 128 })
}

/// Writes a parameter's name as the constraint messages do: with a small first letter.
fn member_name(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn constraint(subject: &str, rule: &str) -> ApiError {
    invalid(format!("1 validation error detected: {subject} failed to satisfy constraint: {rule}"))
}

/// The error that stands for most refusals.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::bad("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lists_and_structures_are_read_in_order() {
        let pairs = pairs(&[
            ("Capabilities.member.1", "CAPABILITY_IAM"),
            ("Capabilities.member.2", "CAPABILITY_NAMED_IAM"),
            ("Parameters.member.1.ParameterKey", "A"),
            ("Parameters.member.2.UsePreviousValue", "true"),
        ]);
        let form = Form::new(&pairs);
        assert_eq!(form.list("Capabilities"), ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]);
        assert_eq!(form.members("Parameters").len(), 2);
        assert!(form.has_list("Parameters") && form.has_list("Capabilities"));
        assert!(form.list("Tags").is_empty() && !form.has_list("Tags"));
    }

    #[test]
    fn what_the_model_forbids_is_refused_in_its_words() {
        let long = "a".repeat(129);
        let rows = [
            (Form::new(&[]).name("StackName").unwrap_err(), "1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null".to_owned()),
            (Form::new(&pairs(&[("StackName", "1a")])).name("StackName").unwrap_err(), format!("1 validation error detected: Value '1a' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: {NAME_PATTERN}")),
            (Form::new(&pairs(&[("StackName", &long)])).name("StackName").unwrap_err(), format!("1 validation error detected: Value '{long}' at 'stackName' failed to satisfy constraint: Member must have length less than or equal to 128")),
            (Form::new(&pairs(&[("OnFailure", "MAYBE")])).choice("OnFailure", &["DELETE"]).unwrap_err(), "1 validation error detected: Value 'MAYBE' at 'onFailure' failed to satisfy constraint: Member must satisfy enum value set: [DELETE]".to_owned()),
        ];
        for (error, message) in rows {
            assert_eq!(error, invalid(message));
        }
    }
}
