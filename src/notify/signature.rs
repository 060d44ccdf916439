//! How a receiver knows that an event comes from here, and when it was sent.

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The header that carries [`sign`].
pub(super) const HEADER: &str = "X-Proscenium-Signature";

/// `t=UNIX,v1=HEX`: the time of sending in seconds since 1970, and HMAC-SHA-256 (RFC 2104) under the secret over the same
/// number, a full stop and the body.
///
/// A receiver computes the same, compares in constant time, and refuses a time that is minutes away from its own clock:
/// an event that was overheard cannot be repeated later.
#[must_use]
pub fn sign(secret: &str, unix_seconds: i64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{unix_seconds}.").as_bytes());
    mac.update(body);
    let code = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={unix_seconds},v1={code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_any_other_program_computes() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac sixteen-or-more-characters
        assert_eq!(
            sign("sixteen-or-more-characters", 1_700_000_000, b"{}"),
            "t=1700000000,v1=482e3b8e7994857668c6e07a4bc7ec20d16ac1976ea4476e1b9b36ce2ec0c473"
        );
        let of = |secret, time, body: &str| sign(secret, time, body.as_bytes());
        let all = [
            of("a", 1, "{}"),
            of("b", 1, "{}"),
            of("a", 2, "{}"),
            of("a", 1, "[]"),
        ];
        let codes = all.iter().map(|text| text.split_once(",v1=").unwrap().1);
        let codes: std::collections::BTreeSet<_> = codes.collect();
        assert_eq!(codes.len(), 4, "secret, time and body all count");
    }
}
