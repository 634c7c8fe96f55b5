//! Every check, in the order of the codes.

use super::{Check, bucket, function, queue, stacks, tenants, topic};

/// Returns every check.
pub fn all() -> impl Iterator<Item = &'static Check> {
    let groups = [
        stacks::CHECKS,
        bucket::CHECKS,
        queue::CHECKS,
        tenants::CHECKS,
        function::CHECKS,
        stacks::WATCHED,
        topic::CHECKS,
    ];
    groups.into_iter().flatten()
}

/// Returns the check with this code.
pub fn by_code(code: &str) -> Option<&'static Check> {
    all().find(|check| check.explanation.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::explain;

    #[test]
    fn codes_are_ordered_and_no_code_means_two_things() {
        let codes: Vec<&str> = all().map(|check| check.explanation.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        assert!(explain::all().all(|known| by_code(known.code).is_none()));
        assert!(by_code("mt111").is_some());
    }
}
