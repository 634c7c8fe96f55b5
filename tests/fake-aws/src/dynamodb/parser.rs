//! Parses the tokens of an expression.

use std::collections::BTreeSet;

use super::expression::{Comparison, Condition, Operand, Path, Placeholders, Step, Term, Update};
use super::reserved;
use super::token::Token;
use super::validation;
use super::value::Attribute;
use crate::error::ApiError;

/// A position in an expression's tokens.
pub(super) struct Parser<'a> {
    tokens: Vec<Token>,
    position: usize,
    member: &'a str,
    placeholders: &'a mut Placeholders,
}

impl<'a> Parser<'a> {
    /// Starts at the first token. The member names the expression in errors.
    pub(super) fn new(
        tokens: Vec<Token>,
        member: &'a str,
        placeholders: &'a mut Placeholders,
    ) -> Self {
        Self { tokens, position: 0, member, placeholders }
    }
}

impl Parser<'_> {
    fn refuse(&self, reason: &str) -> ApiError {
        validation(format!("Invalid {}: {reason}", self.member))
    }

    fn syntax_error(&self) -> ApiError {
        match self.tokens.get(self.position) {
            Some(token) => {
                let near: Vec<String> = self
                    .tokens
                    .iter()
                    .skip(self.position.saturating_sub(1))
                    .take(3)
                    .map(Token::text)
                    .collect();
                self.refuse(&format!(
                    "Syntax error; token: \"{}\", near: \"{}\"",
                    token.text(),
                    near.join(" ")
                ))
            }
            None => self.refuse("Syntax error; token: \"<EOF>\", near: \"<EOF>\""),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
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

    pub(super) fn end(&self) -> Result<(), ApiError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(super) fn or(&mut self) -> Result<Condition, ApiError> {
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
        const KNOWN: &[&str] = &[
            "attribute_exists",
            "attribute_not_exists",
            "attribute_type",
            "begins_with",
            "contains",
        ];
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

    fn two_operand_function(
        &self,
        name: &str,
        path: Path,
        operand: Operand,
    ) -> Result<Condition, ApiError> {
        let wrong = |kind: &str| {
            self.refuse(&format!("Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"))
        };
        match (name, operand) {
            ("attribute_type", Operand::Value(Attribute::Text(kind))) => {
                Ok(Condition::HasType(path, kind))
            }
            ("attribute_type", Operand::Value(other)) => Err(wrong(other.kind())),
            ("attribute_type", Operand::Path(_) | Operand::Size(_)) => Err(wrong("PATH")),
            ("begins_with", Operand::Value(other))
                if !matches!(other, Attribute::Text(_) | Attribute::Binary(_)) =>
            {
                Err(wrong(other.kind()))
            }
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
        match self.placeholders.value(key) {
            Some(value) => Ok(value),
            None => Err(self.refuse(&format!("An expression attribute value used in expression is not defined; attribute value: {key}"))),
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, ApiError> {
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
            Some(Token::Name(key)) => match self.placeholders.name(&key) {
                Some(name) => {
                    self.position += 1;
                    Ok(name)
                }
                None => Err(self.refuse(&format!("An expression attribute name used in the document path is not defined; attribute name: {key}"))),
            },
            _ => Err(self.syntax_error()),
        }
    }

    pub(super) fn update(&mut self) -> Result<Update, ApiError> {
        let mut update = Update::default();
        let mut seen = BTreeSet::new();
        while let Some(token) = self.peek().cloned() {
            let clause = token.text().to_ascii_uppercase();
            if !["SET", "REMOVE", "ADD", "DELETE"].contains(&clause.as_str()) {
                return Err(self.syntax_error());
            }
            if !seen.insert(clause.clone()) {
                return Err(self.refuse(&format!(
                    "The \"{clause}\" section can only be used once in an update expression;"
                )));
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
                        if clause == "ADD" {
                            update.add.push((path, value));
                        } else {
                            update.delete.push((path, value));
                        }
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
