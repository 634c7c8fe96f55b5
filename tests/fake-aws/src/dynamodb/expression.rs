//! Condition, key condition, filter, projection and update expressions, and their placeholders.
//! See <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::parser::Parser;
use super::token::tokens;
use super::validation;
use super::value::{Attribute, Item};
use crate::error::ApiError;
use crate::input;

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 4_096;

/// One step of a document path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

/// Where in an item something is. It starts with a name.
pub(super) type Path = Vec<Step>;

/// What can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Path(Path),
    Value(Attribute),
    Size(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparison, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    HasType(Path, String),
    BeginsWith(Path, Operand),
    Contains(Path, Operand),
}

/// The right side of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    Path(Path),
    Value(Attribute),
    IfNotExists(Path, Box<Term>),
    ListAppend(Box<Term>, Box<Term>),
    Plus(Box<Term>, Box<Term>),
    Minus(Box<Term>, Box<Term>),
}

/// What an update does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Update {
    pub(super) set: Vec<(Path, Term)>,
    pub(super) remove: Vec<Path>,
    pub(super) add: Vec<(Path, Attribute)>,
    pub(super) delete: Vec<(Path, Attribute)>,
}

/// The placeholders of one request, and which of them its expressions used.
#[derive(Debug)]
pub(super) struct Placeholders {
    names: BTreeMap<String, String>,
    values: Item,
    used_names: BTreeSet<String>,
    used_values: BTreeSet<String>,
}

impl Placeholders {
    pub(super) fn read(request: &Value) -> Result<Self, ApiError> {
        let mut names = BTreeMap::new();
        if let Some(map) = input::map(request, "ExpressionAttributeNames")? {
            if map.is_empty() {
                return Err(validation("ExpressionAttributeNames must not be empty"));
            }
            for (key, value) in map {
                if !key.starts_with('#') || key.len() < 2 {
                    return Err(validation(format!(
                        "ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\""
                    )));
                }
                names.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
        let mut values = Item::new();
        if let Some(map) = input::map(request, "ExpressionAttributeValues")? {
            if map.is_empty() {
                return Err(validation("ExpressionAttributeValues must not be empty"));
            }
            for (key, value) in map {
                if !key.starts_with(':') || key.len() < 2 {
                    return Err(validation(format!(
                        "ExpressionAttributeValues contains invalid key: Syntax error; key: \"{key}\""
                    )));
                }
                values.insert(key.clone(), Attribute::read(value)?);
            }
        }
        Ok(Self { names, values, used_names: BTreeSet::new(), used_values: BTreeSet::new() })
    }

    /// Returns the name behind a placeholder, which is then used.
    pub(super) fn name(&mut self, key: &str) -> Option<String> {
        let name = self.names.get(key)?.clone();
        self.used_names.insert(key.to_owned());
        Some(name)
    }

    /// Returns the value behind a placeholder, which is then used.
    pub(super) fn value(&mut self, key: &str) -> Option<Attribute> {
        let value = self.values.get(key)?.clone();
        self.used_values.insert(key.to_owned());
        Some(value)
    }

    /// Refuses placeholders that no expression used. To be called after all are parsed.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let unused: Vec<&str> = self
            .names
            .keys()
            .filter(|key| !self.used_names.contains(*key))
            .map(String::as_str)
            .collect();
        if !unused.is_empty() {
            return Err(validation(format!(
                "Value provided in ExpressionAttributeNames unused in expressions: keys: {{{}}}",
                unused.join(", ")
            )));
        }
        let unused: Vec<&str> = self
            .values
            .keys()
            .filter(|key| !self.used_values.contains(*key))
            .map(String::as_str)
            .collect();
        if !unused.is_empty() {
            return Err(validation(format!(
                "Value provided in ExpressionAttributeValues unused in expressions: keys: {{{}}}",
                unused.join(", ")
            )));
        }
        Ok(())
    }

    pub(super) fn condition(
        &mut self,
        request: &Value,
        member: &str,
    ) -> Result<Option<Condition>, ApiError> {
        self.parse(request, member, |parser| {
            let condition = parser.or()?;
            parser.end()?;
            Ok(condition)
        })
    }

    pub(super) fn projection(&mut self, request: &Value) -> Result<Option<Vec<Path>>, ApiError> {
        let paths = self.parse(request, "ProjectionExpression", |parser| {
            let mut paths = vec![parser.path()?];
            while parser.take_symbol(",") {
                paths.push(parser.path()?);
            }
            parser.end()?;
            Ok(paths)
        })?;
        if let Some(paths) = &paths {
            refuse_overlaps("ProjectionExpression", paths)?;
        }
        Ok(paths)
    }

    pub(super) fn update(&mut self, request: &Value) -> Result<Option<Update>, ApiError> {
        let update = self.parse(request, "UpdateExpression", |parser| {
            let update = parser.update()?;
            parser.end()?;
            Ok(update)
        })?;
        if let Some(update) = &update {
            let mut paths: Vec<Path> = update.set.iter().map(|(path, _)| path.clone()).collect();
            paths.extend(update.remove.iter().cloned());
            paths.extend(update.add.iter().map(|(path, _)| path.clone()));
            paths.extend(update.delete.iter().map(|(path, _)| path.clone()));
            refuse_overlaps("UpdateExpression", &paths)?;
        }
        Ok(update)
    }

    fn parse<T>(
        &mut self,
        request: &Value,
        member: &str,
        read: impl FnOnce(&mut Parser<'_>) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = input::text(request, member)? else {
            return Ok(None);
        };
        let refuse = |reason: String| validation(format!("Invalid {member}: {reason}"));
        if text.trim().is_empty() {
            return Err(refuse("The expression can not be empty;".to_owned()));
        }
        if text.len() > MAX_EXPRESSION {
            return Err(refuse(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                text.len()
            )));
        }
        let tokens = tokens(text)
            .map_err(|near| refuse(format!("Syntax error; token: \"{near}\", near: \"{near}\"")))?;
        let mut parser = Parser::new(tokens, member, self);
        read(&mut parser).map(Some)
    }
}

fn refuse_overlaps(member: &str, paths: &[Path]) -> Result<(), ApiError> {
    for (index, first) in paths.iter().enumerate() {
        for second in paths.iter().skip(index + 1) {
            if first.starts_with(second) || second.starts_with(first) {
                return Err(validation(format!(
                    "Invalid {member}: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {}, path two: {}",
                    display(first),
                    display(second)
                )));
            }
        }
    }
    Ok(())
}

fn display(path: &[Step]) -> String {
    let steps: Vec<String> = path
        .iter()
        .map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(index) => format!("[{index}]"),
        })
        .collect();
    format!("[{}]", steps.join(", "))
}
