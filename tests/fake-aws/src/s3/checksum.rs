//! The checksums that clients send beside a body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

/// Headers and trailers that carry a checksum.
pub(super) const HEADERS: &[&str] = &[
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Computes a checksum as its header carries it.
pub(super) fn compute(header: &str, body: &[u8]) -> Result<String, ApiError> {
    let bytes = match header {
        "x-amz-checksum-crc32" => {
            let mut crc = flate2::Crc::new();
            crc.update(body);
            crc.sum().to_be_bytes().to_vec()
        }
        "x-amz-checksum-crc32c" => {
            let crc = reflected_crc(body, 0x82F6_3B78, 0xFFFF_FFFF);
            u32::try_from(crc).unwrap_or(0).to_be_bytes().to_vec()
        }
        "x-amz-checksum-crc64nvme" => {
            reflected_crc(body, 0x9A6C_9329_AC4B_C9B5, u64::MAX).to_be_bytes().to_vec()
        }
        "x-amz-checksum-sha256" => Sha256::digest(body).to_vec(),
        _ => {
            return Err(ApiError::new(
                501,
                "NotImplemented",
                format!("this stand-in cannot verify {header}"),
            ));
        }
    };
    Ok(STANDARD.encode(bytes))
}

/// Checks a checksum against a body.
pub(super) fn verify(header: &str, sent: &str, body: &[u8]) -> Result<(), ApiError> {
    if compute(header, body)? == sent {
        return Ok(());
    }
    let name = header.trim_start_matches("x-amz-checksum-").to_ascii_uppercase();
    Err(ApiError::bad(
        "BadDigest",
        format!("The {name} you specified did not match the calculated checksum."),
    ))
}

/// Computes a bit-reflected CRC of at most 64 bits, with all ones before and after.
fn reflected_crc(body: &[u8], polynomial: u64, mask: u64) -> u64 {
    let mut table = [0_u64; 256];
    for (entry, start) in table.iter_mut().zip(0_u64..) {
        let mut value = start;
        for _ in 0..8 {
            value = if value & 1 == 1 { (value >> 1) ^ polynomial } else { value >> 1 };
        }
        *entry = value;
    }
    let mut crc = mask;
    for byte in body {
        let index = usize::try_from((crc ^ u64::from(*byte)) & 0xFF).unwrap_or(0);
        crc = (crc >> 8) ^ table.get(index).copied().unwrap_or(0);
    }
    crc ^ mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_match_their_published_test_values() {
        // The check values of the CRC catalogue, for the digits 1 to 9.
        let rows = [
            ("x-amz-checksum-crc32", 0xCBF4_3926_u32.to_be_bytes().to_vec()),
            ("x-amz-checksum-crc32c", 0xE306_9283_u32.to_be_bytes().to_vec()),
            ("x-amz-checksum-crc64nvme", 0xAE8B_1486_0A79_9888_u64.to_be_bytes().to_vec()),
        ];
        for (header, expected) in rows {
            assert_eq!(
                compute(header, b"123456789").unwrap(),
                STANDARD.encode(expected),
                "{header}"
            );
        }
        assert_eq!(
            compute("x-amz-checksum-sha256", b"").unwrap(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert!(verify("x-amz-checksum-crc32", "AAAAAA==", b"x").is_err());
    }
}
