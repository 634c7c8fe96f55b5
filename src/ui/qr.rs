//! QR codes made of characters, for a telephone held against the screen.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2, types::QrError};

/// Draws `text` as a QR code of half blocks, light on dark as most terminals are. The text's length is limited to
/// 2,953 bytes.
pub fn code(text: &str) -> Result<String, QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_a_text_that_is_too_long_is_refused() {
        let drawn = code("https://example.com/a?b=c").unwrap();
        let lines: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert!(lines.iter().all(|width| *width == lines[0]), "{drawn}");
        // Two rows stand in one line of text, and an odd last row in a line of its own.
        assert_eq!(lines.len(), lines[0].div_ceil(2));
        assert!(code(&"a".repeat(3000)).is_err());
    }
}
