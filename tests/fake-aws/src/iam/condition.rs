//! Condition blocks of policy statements.
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use serde_json::Value;

use super::{
    Context,
    document::{PolicyError, strings},
    pattern::{Pattern, Wildcards},
};

/// One operator with one key and its values.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Operator {
    comparison: Comparison,
    sense: Sense,
    set: Option<SetOperator>,
    absent: Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    Null,
}

/// Whether the values must or must not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    Match,
    Differ,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetOperator {
    ForAllValues,
    ForAnyValue,
}

/// What a missing key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Passes,
    Decides,
}

/// Reads a `Condition` element.
pub(super) fn parse_block(block: &Value) -> Result<Vec<Condition>, PolicyError> {
    let Value::Object(operators) = block else {
        return Err(PolicyError::Shape { element: "Condition" });
    };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::parse(name)?;
        let Value::Object(keys) = keys else {
            return Err(PolicyError::Shape { element: "Condition" });
        };
        for (key, values) in keys {
            let values = match values {
                Value::Bool(value) => vec![value.to_string()],
                other => strings(other, "Condition")?,
            };
            conditions.push(Condition { operator, key: key.clone(), values });
        }
    }
    Ok(conditions)
}

impl Condition {
    /// Tells whether the request meets the condition.
    pub(super) fn holds(&self, context: &Context) -> Result<bool, PolicyError> {
        let present = context.get(&self.key).filter(|values| !values.is_empty());
        if self.operator.comparison == Comparison::Null {
            let wanted_absent = self.values.iter().any(|value| value.eq_ignore_ascii_case("true"));
            return Ok(present.is_none() == wanted_absent);
        }
        let Some(present) = present else {
            return Ok(match (self.operator.absent, self.operator.set, self.operator.sense) {
                (Absent::Passes, _, _) | (Absent::Decides, Some(SetOperator::ForAllValues), _) => {
                    true
                }
                (Absent::Decides, Some(SetOperator::ForAnyValue), _) => false,
                (Absent::Decides, None, sense) => sense == Sense::Differ,
            });
        };
        match (self.operator.set, present) {
            (None, [value]) => self.value_holds(value, context),
            (None, _) => Err(PolicyError::SeveralValues { key: self.key.clone() }),
            (Some(set), values) => {
                let mut held = 0;
                for value in values {
                    held += usize::from(self.value_holds(value, context)?);
                }
                Ok(match set {
                    SetOperator::ForAllValues => held == values.len(),
                    SetOperator::ForAnyValue => held > 0,
                })
            }
        }
    }

    fn value_holds(&self, actual: &str, context: &Context) -> Result<bool, PolicyError> {
        let mut found = false;
        for wanted in &self.values {
            found |= self.compare(wanted, actual, context)?;
        }
        Ok(found == (self.operator.sense == Sense::Match))
    }

    fn compare(&self, wanted: &str, actual: &str, context: &Context) -> Result<bool, PolicyError> {
        let comparison = self.operator.comparison;
        let wildcards = match comparison {
            Comparison::Like | Comparison::Arn => Wildcards::Active,
            _ => Wildcards::Literal,
        };
        let (wanted, actual) = match comparison {
            Comparison::EqualsIgnoreCase | Comparison::Bool => {
                (wanted.to_lowercase(), actual.to_lowercase())
            }
            _ => (wanted.to_owned(), actual.to_owned()),
        };
        let Some(pattern) = Pattern::parse(&wanted, wildcards, context)? else { return Ok(false) };
        Ok(if comparison == Comparison::Arn {
            pattern.matches_arn(&actual)
        } else {
            pattern.matches(&actual)
        })
    }
}

impl Operator {
    fn parse(name: &str) -> Result<Self, PolicyError> {
        let unknown = || PolicyError::Operator { name: name.to_owned() };
        let (set, rest) = match name.split_once(':') {
            None => (None, name),
            Some(("ForAllValues", rest)) => (Some(SetOperator::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(SetOperator::ForAnyValue), rest),
            Some(_) => return Err(unknown()),
        };
        let (absent, base) = match rest.strip_suffix("IfExists") {
            Some(base) => (Absent::Passes, base),
            None => (Absent::Decides, rest),
        };
        let (comparison, sense) = match base {
            "StringEquals" => (Comparison::Equals, Sense::Match),
            "StringNotEquals" => (Comparison::Equals, Sense::Differ),
            "StringEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, Sense::Match),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, Sense::Differ),
            "StringLike" => (Comparison::Like, Sense::Match),
            "StringNotLike" => (Comparison::Like, Sense::Differ),
            // AWS documents that both behave the same, wildcards included.
            "ArnEquals" | "ArnLike" => (Comparison::Arn, Sense::Match),
            "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, Sense::Differ),
            "Bool" => (Comparison::Bool, Sense::Match),
            "Null" if set.is_none() && absent == Absent::Decides => {
                (Comparison::Null, Sense::Match)
            }
            _ => return Err(unknown()),
        };
        Ok(Self { comparison, sense, set, absent })
    }
}
