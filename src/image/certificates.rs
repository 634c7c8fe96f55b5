//! The certificate authorities that an image made from nothing needs for TLS: Mozilla's list.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// PEM breaks its lines here (RFC 7468).
const LINE: usize = 64;

/// Returns the list as PEM.
pub fn pem() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_is_a_pem_block_of_short_lines() {
        let text = pem();
        let count = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
        assert!(count > 50);
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), count);
        assert!(text.lines().all(|line| line.len() <= LINE));
        let first: String =
            text.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
        assert_eq!(
            STANDARD.decode(first).unwrap(),
            webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].as_ref()
        );
    }
}
