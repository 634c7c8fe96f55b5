//! A tenant's own external id.

use mtlog_processor::model::{
    ids::{ExternalId, InvalidId},
    secret::Secret,
};

/// 128 bits cannot be guessed.
const BYTES: usize = 16;

/// Makes an external id of `random` bytes: 32 hexadecimal digits.
///
/// # Errors
/// Never for this length; the type's own rule is asked all the same.
pub fn from_random(random: [u8; BYTES]) -> Result<Secret<ExternalId>, InvalidId> {
    let text: String =
        random.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(hex_digit).collect();
    text.parse().map(Secret::new)
}

fn hex_digit(nibble: u8) -> Option<char> {
    char::from_digit(u32::from(nibble), 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_random_byte_is_in_the_id() {
        let mut random = [0; BYTES];
        random[0] = 0xab;
        random[15] = 0x01;
        let id = from_random(random).unwrap();
        assert_eq!(id.reveal().as_str(), "ab000000000000000000000000000001");
        assert_eq!(format!("{id:?}"), "***");
    }
}
