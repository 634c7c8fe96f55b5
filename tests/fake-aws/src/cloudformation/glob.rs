//! Matches `*` in the patterns of stack policies.

/// Tells whether the text matches the pattern, in which `*` stands for any characters.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let rows = [
            ("*", "x", true),
            ("Update:*", "Update:Modify", true),
            ("Update:*", "Delete", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "ab", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
