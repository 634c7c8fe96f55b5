//! The naming rules of groups and streams, and the sentences in which they are refused.

use crate::error::ApiError;

const MAX_NAME: usize = 512;

/// Checks a log group name: 1 to 512 of `[.\-_/#A-Za-z0-9]`.
pub(crate) fn group(name: Option<&str>) -> Result<&str, ApiError> {
    let name = sized(name, "logGroupName")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    if name.bytes().all(legal) {
        Ok(name)
    } else {
        Err(constraint(
            name,
            "logGroupName",
            r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        ))
    }
}

/// Checks a log stream name: 1 to 512 characters, no `:` and no `*`.
pub(crate) fn stream(name: Option<&str>) -> Result<&str, ApiError> {
    let name = sized(name, "logStreamName")?;
    if name.contains([':', '*']) {
        return Err(constraint(
            name,
            "logStreamName",
            "Member must satisfy regular expression pattern: [^:*]*",
        ));
    }
    Ok(name)
}

fn sized<'a>(name: Option<&'a str>, member: &str) -> Result<&'a str, ApiError> {
    let name = name.ok_or_else(|| null(member))?;
    if name.is_empty() {
        return Err(constraint(name, member, "Member must have length greater than or equal to 1"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(constraint(name, member, "Member must have length less than or equal to 512"));
    }
    Ok(name)
}

/// A member that must be there is not.
pub(crate) fn null(member: &str) -> ApiError {
    super::invalid(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

/// A member breaks a rule of the model.
pub(crate) fn constraint(value: &str, member: &str, rule: &str) -> ApiError {
    super::invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_follow_the_model() {
        let (longest, too_long) = ("g".repeat(512), "g".repeat(513));
        let rows = [
            (Some("/aws/app.x_y-z#1"), true),
            (Some(longest.as_str()), true),
            (Some(too_long.as_str()), false),
            (Some(""), false),
            (Some("a b"), false),
            (Some("a:b"), false),
            (Some("é"), false),
            (None, false),
        ];
        for (name, expected) in rows {
            assert_eq!(group(name).is_ok(), expected, "{name:?}");
        }
    }

    #[test]
    fn stream_names_follow_the_model() {
        let too_long = "é".repeat(513);
        let rows = [
            (Some("app-pod-2026-11-23"), true),
            (Some("a b é/[x]"), true),
            (Some("a:b"), false),
            (Some("a*b"), false),
            (Some(""), false),
            (Some(too_long.as_str()), false),
            (None, false),
        ];
        for (name, expected) in rows {
            assert_eq!(stream(name).is_ok(), expected, "{name:?}");
        }
    }
}
