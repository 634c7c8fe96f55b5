//! Patterns of policies: wildcards and variables.

use super::{Context, document::PolicyError};

/// One piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Is(char),
}

/// How the text of a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// `*` and `?` stand for other characters.
    Active,
    /// All characters stand for themselves.
    Literal,
}

/// A pattern with its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a pattern. Returns nothing if a variable has no value in this request: such a pattern
    /// matches nothing. A variable's value never acts as a wildcard.
    pub(super) fn parse(
        text: &str,
        wildcards: Wildcards,
        context: &Context,
    ) -> Result<Option<Self>, PolicyError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("${") {
                let Some((name, tail)) = after.split_once('}') else {
                    return Err(PolicyError::Variable { text: text.to_owned() });
                };
                let Some(value) = variable(name, context)? else { return Ok(None) };
                pieces.extend(value.chars().map(Piece::Is));
                rest = tail;
                continue;
            }
            pieces.push(match (character, wildcards) {
                ('*', Wildcards::Active) => Piece::Any,
                ('?', Wildcards::Active) => Piece::One,
                (other, _) => Piece::Is(other),
            });
            rest = rest.split_at(character.len_utf8()).1;
        }
        Ok(Some(Self(pieces)))
    }

    /// Tells whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches_pieces(&self.0, &text.chars().collect::<Vec<_>>())
    }

    /// Tells whether an ARN matches, each of its six parts on its own: a wildcard does not reach
    /// over a colon of the first five parts. The pattern `*` matches everything.
    pub(super) fn matches_arn(&self, arn: &str) -> bool {
        if self.0 == [Piece::Any] {
            return true;
        }
        let pattern_parts: Vec<_> = self.0.splitn(6, |piece| *piece == Piece::Is(':')).collect();
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        pattern_parts.len() == 6
            && parts.len() == 6
            && pattern_parts
                .iter()
                .zip(parts)
                .all(|(pattern, part)| matches_pieces(pattern, &part.chars().collect::<Vec<_>>()))
    }
}

/// Returns the value of a policy variable, or nothing if the request has none.
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.
fn variable(expression: &str, context: &Context) -> Result<Option<String>, PolicyError> {
    if let "*" | "?" | "$" = expression {
        return Ok(Some(expression.to_owned()));
    }
    let (key, default) = match expression.split_once(',') {
        Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\'').to_owned())),
        None => (expression.trim(), None),
    };
    match context.get(key) {
        Some([value]) => Ok(Some(value.clone())),
        Some(_) => Err(PolicyError::Variable { text: expression.to_owned() }),
        None => Ok(default),
    }
}

fn matches_pieces(pattern: &[Piece], text: &[char]) -> bool {
    // The last `*` and the text that it has taken so far; on a mismatch it takes one more.
    let mut retry: Option<(usize, usize)> = None;
    let (mut at, mut position) = (0, 0);
    while let Some(character) = text.get(position) {
        match pattern.get(at) {
            Some(Piece::Any) => {
                retry = Some((at, position));
                at += 1;
            }
            Some(Piece::One) => {
                at += 1;
                position += 1;
            }
            Some(Piece::Is(expected)) if expected == character => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star, taken)) = retry else { return false };
                retry = Some((star, taken + 1));
                at = star + 1;
                position = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|piece| *piece == Piece::Any)
}
