//! Splits expressions into tokens.

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: an attribute name, a function or a keyword.
    Word(String),
    /// `#name`
    Name(String),
    /// `:value`
    Value(String),
    /// An index in a list.
    Index(usize),
    Symbol(&'static str),
}

const SYMBOLS: &[&str] = &["<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-"];

/// Splits an expression, or returns the text at which that fails.
pub(super) fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '#' || first == ':' {
            let length = 1 + word_length(rest.get(1..).unwrap_or_default());
            let text = rest.get(..length).unwrap_or_default().to_owned();
            if length == 1 {
                return Err(text);
            }
            (if first == '#' { Token::Name(text) } else { Token::Value(text) }, length)
        } else if first.is_ascii_digit() {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let text = rest.get(..length).unwrap_or_default();
            (Token::Index(text.parse().map_err(|_| text.to_owned())?), length)
        } else if first.is_ascii_alphabetic() {
            let length = word_length(rest);
            (Token::Word(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            return Err(first.to_string());
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn word_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

impl Token {
    /// Returns the token as it stood in the expression.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Value(text) => text.clone(),
            Self::Index(number) => number.to_string(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
        }
    }

    /// Tells whether the token is this keyword, in any case.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_split() {
        let seen = tokens("#a.b[2]<>:v AND size(c) >= :w").unwrap();
        let texts: Vec<String> = seen.iter().map(Token::text).collect();
        assert_eq!(
            texts,
            ["#a", ".", "b", "[", "2", "]", "<>", ":v", "AND", "size", "(", "c", ")", ">=", ":w"]
        );
        assert_eq!(tokens("a @ b"), Err("@".to_owned()));
        assert_eq!(tokens("a = :"), Err(":".to_owned()));
    }
}
