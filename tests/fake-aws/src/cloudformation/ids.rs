//! Names that CloudFormation makes up.

use super::kinds::Unique;
use super::state::Resource;

/// Returns `STACK-LOGICAL-ID`, cut to what the service takes. Bucket names are in small letters.
pub(super) fn generated_name(stack: &str, resource: &Resource) -> String {
    let longest = resource.kind.longest_name;
    let front: String =
        format!("{stack}-{}", resource.logical).chars().take(longest.saturating_sub(13)).collect();
    let name = format!("{front}-{}", resource.id);
    if resource.kind.unique == Unique::Partition { name.to_lowercase() } else { name }
}
