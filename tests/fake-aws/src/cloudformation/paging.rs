//! Cuts lists into pages. A token says after which entry the next page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::form::invalid;
use crate::error::ApiError;

/// A part of a list, and where the next part begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// Returns the entries after the one that the token names. `key` tells entries apart, also when
/// others have been added in between.
pub(super) fn page<T>(
    entries: Vec<T>,
    token: Option<&str>,
    size: usize,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, ApiError> {
    let after = token.map(read).transpose()?;
    let start = match &after {
        None => 0,
        Some(after) => {
            let found = entries.iter().position(|entry| key(entry) == *after);
            found.ok_or_else(bad_token)? + 1
        }
    };
    let rest = entries.len().saturating_sub(start);
    let mut entries: Vec<T> = entries.into_iter().skip(start).take(size.max(1)).collect();
    let next = (rest > entries.len()).then(|| entries.last().map(&key)).flatten();
    entries.shrink_to_fit();
    Ok(Page { entries, next: next.map(|key| URL_SAFE_NO_PAD.encode(key)) })
}

fn read(token: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    String::from_utf8(bytes).map_err(|_| bad_token())
}

fn bad_token() -> ApiError {
    invalid("The specified pagination token is invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let key = |entry: &u32| entry.to_string();
        let first = page(vec![5, 4, 3, 2, 1], None, 2, key).unwrap();
        assert_eq!(first.entries, [5, 4]);
        // Two newer entries have come since.
        let second = page(vec![7, 6, 5, 4, 3, 2, 1], first.next.as_deref(), 2, key).unwrap();
        assert_eq!(second.entries, [3, 2]);
        let third = page(vec![5, 4, 3, 2, 1], second.next.as_deref(), 2, key).unwrap();
        assert_eq!(third, Page { entries: vec![1], next: None });
        assert_eq!(page(vec![1], Some("bm9uZQ"), 2, key), Err(bad_token()));
        assert_eq!(page(vec![1], Some("%%"), 2, key), Err(bad_token()));
    }
}
