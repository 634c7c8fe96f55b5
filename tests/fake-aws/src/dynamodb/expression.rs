//! Parses condition, key condition, filter, projection and update expressions.
//! See <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reserved;
use super::token::{Token, tokens};
use super::value::{Attribute, Item};
use super::validation;
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
    names: std::collections::BTreeMap<String, String>,
    values: Item,
    used_names: BTreeSet<String>,
    used_values: BTreeSet<String>,
}

impl Placeholders {
    pub(super) fn read(request: &Value) -> Result<Self, ApiError> {
        let mut names = std::collections::BTreeMap::new();
        if let Some(map) = input::map(request, "ExpressionAttributeNames")? {
            if map.is_empty() {
                return Err(validation("ExpressionAttributeNames must not be empty"));
            }
            for (key, value) in map {
                if !key.starts_with('#') || key.len() < 2 {
                    return Err(validation(format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{key}\"")));
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
                    return Err(validation(format!("ExpressionAttributeValues contains invalid key: Syntax error; key: \"{key}\"")));
                }
                values.insert(key.clone(), Attribute::read(value)?);
            }
        }
        Ok(Self { names, values, used_names: BTreeSet::new(), used_values: BTreeSet::new() })
    }

    /// Refuses placeholders that no expression used. To be called after all are parsed.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let unused: Vec<&str> =
            self.names.keys().filter(|key| !self.used_names.contains(*key)).map(String::as_str).collect();
        if !unused.is_empty() {
            return Err(validation(format!("Value provided in ExpressionAttributeNames unused in expressions: keys: {{{}}}", unused.join(", "))));
        }
        let unused: Vec<&str> =
            self.values.keys().filter(|key| !self.used_values.contains(*key)).map(String::as_str).collect();
        if !unused.is_empty() {
            return Err(validation(format!("Value provided in ExpressionAttributeValues unused in expressions: keys: {{{}}}", unused.join(", "))));
        }
        Ok(())
    }

    pub(super) fn condition(&mut self, request: &Value, member: &str) -> Result<Option<Condition>, ApiError> {
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
        let update = self.parse(request, "UpdateExpression", |parser| parser.update())?;
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
            return Err(refuse(format!("Expression size has exceeded the maximum allowed size; expression size: {}", text.len())));
        }
        let tokens = tokens(text).map_err(|near| refuse(format!("Syntax error; token: \"{near}\", near: \"{near}\"")))?;
        let mut parser = Parser { tokens, position: 0, member, placeholders: self };
        read(&mut parser).map(Some)
    }
}

fn refuse_overlaps(member: &str, paths: &[Path]) -> Result<(), ApiError> {
    for (index, first) in paths.iter().enumerate() {
        for second in paths.iter().skip(index + 1) {
            if first.starts_with(second) || second.starts_with(first) {
                return Err(validation(format!(
                    "Invalid {member}: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {}, path two: {}",
                    display(first), display(second)
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

struct Parser<'a> {
    tokens: Vec<Token>,
    position: usize,
    member: &'a str,
    placeholders: &'a mut Placeholders,
}

impl Parser<'_> {
    fn refuse(&self, reason: &str) -> ApiError {
        validation(format!("Invalid {}: {reason}", self.member))
    }

    fn syntax_error(&self) -> ApiError {
        match self.tokens.get(self.position) {
            Some(token) => {
                let near: Vec<String> =
                    self.tokens.iter().skip(self.position.saturating_sub(1)).take(3).map(Token::text).collect();
                self.refuse(&format!("Syntax error; token: \"{}\", near: \"{}\"", token.text(), near.join(" ")))
            }
            None => self.refuse("Syntax error; token: \"<EOF>\", near: \"<EOF>\""),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.position += usize::from(found);
        found
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_keyword(keyword));
        self.position += usize::from(found);
        found
    }

    fn need_symbol(&mut self, symbol: &str) -> Result<(), ApiError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn end(&self) -> Result<(), ApiError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn or(&mut self) -> Result<Condition, ApiError> {
        let mut left = self.and()?;
        while self.take_keyword("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Condition, ApiError> {
        let mut left = self.not()?;
        while self.take_keyword("AND") {
            left = Condition::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Condition, ApiError> {
        if self.take_keyword("NOT") {
            return Ok(Condition::Not(Box::new(self.not()?)));
        }
        if self.take_symbol("(") {
            let inner = self.or()?;
            self.need_symbol(")")?;
            return Ok(inner);
        }
        if let Some(condition) = self.function()? {
            return Ok(condition);
        }
        self.comparison()
    }

    /// Returns the name of the function that comes next, having passed its opening bracket.
    fn function_name(&mut self, known: &[&'static str]) -> Result<Option<&'static str>, ApiError> {
        let next_is_bracket = self.tokens.get(self.position + 1) == Some(&Token::Symbol("("));
        let Some(Token::Word(word)) = self.peek().filter(|_| next_is_bracket) else {
            return Ok(None);
        };
        match known.iter().find(|name| *name == word) {
            Some(name) => {
                self.position += 2;
                Ok(Some(name))
            }
            None if word == "size" => Ok(None),
            None => Err(self.refuse(&format!("Invalid function name; function: {word}"))),
        }
    }

    fn function(&mut self) -> Result<Option<Condition>, ApiError> {
        const KNOWN: &[&str] = &["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"];
        let Some(name) = self.function_name(KNOWN)? else {
            return Ok(None);
        };
        let path = self.path()?;
        let condition = match name {
            "attribute_exists" => Condition::Exists(path),
            "attribute_not_exists" => Condition::NotExists(path),
            _ => {
                self.need_symbol(",")?;
                let operand = self.operand()?;
                self.two_operand_function(name, path, operand)?
            }
        };
        self.need_symbol(")")?;
        Ok(Some(condition))
    }

    fn two_operand_function(&self, name: &str, path: Path, operand: Operand) -> Result<Condition, ApiError> {
        let wrong = |kind: &str| {
            self.refuse(&format!("Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"))
        };
        match (name, operand) {
            ("attribute_type", Operand::Value(Attribute::Text(kind))) => Ok(Condition::HasType(path, kind)),
            ("attribute_type", Operand::Value(other)) => Err(wrong(other.kind())),
            ("attribute_type", Operand::Path(_) | Operand::Size(_)) => Err(wrong("PATH")),
            ("begins_with", Operand::Value(other)) if !matches!(other, Attribute::Text(_) | Attribute::Binary(_)) => Err(wrong(other.kind())),
            ("begins_with", operand) => Ok(Condition::BeginsWith(path, operand)),
            (_, operand) => Ok(Condition::Contains(path, operand)),
        }
    }

    fn comparison(&mut self) -> Result<Condition, ApiError> {
        let left = self.operand()?;
        if self.take_keyword("BETWEEN") {
            let low = self.operand()?;
            if !self.take_keyword("AND") {
                return Err(self.syntax_error());
            }
            return Ok(Condition::Between(left, low, self.operand()?));
        }
        if self.take_keyword("IN") {
            self.need_symbol("(")?;
            let mut choices = vec![self.operand()?];
            while self.take_symbol(",") {
                choices.push(self.operand()?);
            }
            self.need_symbol(")")?;
            return Ok(Condition::In(left, choices));
        }
        let comparison = match self.peek() {
            Some(Token::Symbol("=")) => Comparison::Equal,
            Some(Token::Symbol("<>")) => Comparison::NotEqual,
            Some(Token::Symbol("<")) => Comparison::Less,
            Some(Token::Symbol("<=")) => Comparison::LessOrEqual,
            Some(Token::Symbol(">")) => Comparison::Greater,
            Some(Token::Symbol(">=")) => Comparison::GreaterOrEqual,
            _ => return Err(self.syntax_error()),
        };
        self.position += 1;
        Ok(Condition::Compare(left, comparison, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, ApiError> {
        if let Some(Token::Value(key)) = self.peek().cloned() {
            self.position += 1;
            return self.value(&key).map(Operand::Value);
        }
        if self.function_name(&["size"])?.is_some() {
            let path = self.path()?;
            self.need_symbol(")")?;
            return Ok(Operand::Size(path));
        }
        self.path().map(Operand::Path)
    }

    fn value(&mut self, key: &str) -> Result<Attribute, ApiError> {
        match self.placeholders.values.get(key) {
            Some(value) => {
                self.placeholders.used_values.insert(key.to_owned());
                Ok(value.clone())
            }
            None => Err(self.refuse(&format!("An expression attribute value used in expression is not defined; attribute value: {key}"))),
        }
    }

    fn path(&mut self) -> Result<Path, ApiError> {
        let mut path = vec![Step::Name(self.name()?)];
        loop {
            if self.take_symbol(".") {
                path.push(Step::Name(self.name()?));
            } else if self.take_symbol("[") {
                let Some(Token::Index(index)) = self.peek().cloned() else {
                    return Err(self.syntax_error());
                };
                self.position += 1;
                self.need_symbol("]")?;
                path.push(Step::Index(index));
            } else {
                return Ok(path);
            }
        }
    }

    fn name(&mut self) -> Result<String, ApiError> {
        match self.peek().cloned() {
            Some(Token::Word(word)) => {
                if reserved::is_reserved(&word) {
                    return Err(self.refuse(&format!("Attribute name is a reserved keyword; reserved keyword: {word}")));
                }
                self.position += 1;
                Ok(word)
            }
            Some(Token::Name(key)) => match self.placeholders.names.get(&key).cloned() {
                Some(name) => {
                    self.position += 1;
                    self.placeholders.used_names.insert(key);
                    Ok(name)
                }
                None => Err(self.refuse(&format!("An expression attribute name used in the document path is not defined; attribute name: {key}"))),
            },
            _ => Err(self.syntax_error()),
        }
    }

    fn update(&mut self) -> Result<Update, ApiError> {
        let mut update = Update::default();
        let mut seen = BTreeSet::new();
        while let Some(token) = self.peek().cloned() {
            let clause = token.text().to_ascii_uppercase();
            if !["SET", "REMOVE", "ADD", "DELETE"].contains(&clause.as_str()) {
                return Err(self.syntax_error());
            }
            if !seen.insert(clause.clone()) {
                return Err(self.refuse(&format!("The \"{clause}\" section can only be used once in an update expression;")));
            }
            self.position += 1;
            loop {
                let path = self.path()?;
                match clause.as_str() {
                    "SET" => {
                        self.need_symbol("=")?;
                        update.set.push((path, self.sum()?));
                    }
                    "REMOVE" => update.remove.push(path),
                    _ => {
                        let Some(Token::Value(key)) = self.peek().cloned() else {
                            return Err(self.syntax_error());
                        };
                        self.position += 1;
                        let value = self.value(&key)?;
                        self.check_clause_value(&clause, &value)?;
                        if clause == "ADD" { update.add.push((path, value)) } else { update.delete.push((path, value)) }
                    }
                }
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        Ok(update)
    }

    fn check_clause_value(&self, clause: &str, value: &Attribute) -> Result<(), ApiError> {
        let correct = match value {
            Attribute::Texts(_) | Attribute::Numbers(_) | Attribute::Binaries(_) => true,
            Attribute::Number(_) => clause == "ADD",
            _ => false,
        };
        if correct {
            return Ok(());
        }
        Err(self.refuse(&format!("Incorrect operand type for operator or function; operator: {clause}, operand type: {}, typeSet: ALLOWED_FOR_{clause}_OPERAND", value.kind())))
    }

    fn sum(&mut self) -> Result<Term, ApiError> {
        let left = self.term()?;
        if self.take_symbol("+") {
            return Ok(Term::Plus(Box::new(left), Box::new(self.term()?)));
        }
        if self.take_symbol("-") {
            return Ok(Term::Minus(Box::new(left), Box::new(self.term()?)));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Term, ApiError> {
        if let Some(Token::Value(key)) = self.peek().cloned() {
            self.position += 1;
            return self.value(&key).map(Term::Value);
        }
        match self.function_name(&["if_not_exists", "list_append"])? {
            Some("if_not_exists") => {
                let path = self.path()?;
                self.need_symbol(",")?;
                let other = self.term()?;
                self.need_symbol(")")?;
                Ok(Term::IfNotExists(path, Box::new(other)))
            }
            Some(_) => {
                let first = self.term()?;
                self.need_symbol(",")?;
                let second = self.term()?;
                self.need_symbol(")")?;
                Ok(Term::ListAppend(Box::new(first), Box::new(second)))
            }
            None => self.path().map(Term::Path),
        }
    }
}
