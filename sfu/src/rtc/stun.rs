//! The part of STUN that demultiplexing needs.

use str0m::ice::StunMessage;

use super::config::provider;

/// An ICE connectivity check, RFC 8445 section 7.
pub(crate) struct BindingRequest<'a> {
    message: StunMessage<'a>,
}

impl<'a> BindingRequest<'a> {
    /// Reads a datagram that looks like STUN (RFC 7983: first byte 0 or 1).
    pub(crate) fn parse(payload: &'a [u8]) -> Option<Self> {
        let message = StunMessage::parse(payload).ok()?;
        message.is_binding_request().then_some(Self { message })
    }

    /// The receiving side's user fragment: the part of USERNAME before the colon.
    pub(crate) fn local_ufrag(&self) -> Option<&str> {
        self.message.split_username().map(|(local, _)| local)
    }

    /// Whether MESSAGE-INTEGRITY was made with our password `pwd`.
    pub(crate) fn is_authentic(&self, pwd: &str) -> bool {
        let hmac = provider().sha1_hmac_provider;
        self.message
            .verify(pwd.as_bytes(), |key, parts| hmac.sha1_hmac(key, parts))
    }
}

/// A check as a browser sends it, for tests elsewhere.
#[cfg(test)]
pub(crate) fn check(local: &str, remote: &str, pwd: &str) -> Vec<u8> {
    let username = format!("{local}:{remote}");
    let id = str0m::ice::TransId::new();
    let message = StunMessage::binding_request(&username, id, true, 7, 1, true);
    let mut bytes = vec![0; 512];
    let hmac = provider().sha1_hmac_provider;
    let length = message
        .to_bytes(Some(pwd.as_bytes()), &mut bytes, |key, parts| {
            hmac.sha1_hmac(key, parts)
        })
        .expect("it fits");
    bytes.truncate(length);
    bytes
}
