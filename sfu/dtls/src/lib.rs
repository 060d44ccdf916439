//! DTLS 1.2 for str0m, over OpenSSL.
//!
//! str0m's own DTLS asks clients for ECDSA certificates only, and GStreamer, half of the hardware encoders with it,
//! presents an RSA one. This provider asks for either. SRTP, HMAC and hashes stay with aws-lc-rs, which is faster.
//! `docs/adr/0002-dtls-over-openssl.md` has the figures.
//!
//! It does **not** validate chains or dates: WebRTC authenticates a certificate by its fingerprint in the SDP, which
//! str0m compares with the [`PeerCert`](str0m_proto::crypto::dtls::DtlsOutput::PeerCert) it gets from here. It resumes
//! no sessions, renegotiates nothing, sends no cookies (ICE has proven the path) and reads no clock: retransmission is
//! driven by `handle_timeout` alone.

mod context;
mod datagrams;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod instance;
mod openssl_ffi;
mod records;
mod sctp;
mod timer;

#[cfg(test)]
mod tests;

use std::time::Instant;

use str0m::config::CryptoProvider;
use str0m_proto::crypto::dtls::{DtlsCert, DtlsInstance, DtlsProvider};
use str0m_proto::crypto::{CryptoError, DtlsVersion};

use instance::Instance;

/// aws-lc-rs for everything but DTLS, which is OpenSSL's.
pub fn crypto_provider() -> CryptoProvider {
    static DTLS: Provider = Provider;
    CryptoProvider {
        dtls_provider: &DTLS,
        ..str0m::crypto::from_feature_flags()
    }
}

/// Makes certificates and DTLS connections. Without state: the one costly thing, a context per certificate, is kept
/// per thread, see [`context::shared`].
#[derive(Debug)]
struct Provider;

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        context::generate_certificate()
            .inspect_err(|error| tracing::error!(%error, "cannot make a DTLS certificate"))
            .ok()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        // A peer that offers DTLS 1.3 as well as 1.2 gets 1.2; one that insists on 1.3 does not exist among browsers.
        if version == DtlsVersion::Dtls13 {
            return Err(CryptoError::Other(
                "DTLS 1.3 is not supported: use DtlsVersion::Dtls12".into(),
            ));
        }
        let instance = Instance::new(cert, now, mtu.unwrap_or(str0m::DATAGRAM_MTU_TARGET))
            .map_err(|error| CryptoError::Other(format!("cannot set DTLS up: {error}")))?;
        Ok(Box::new(instance))
    }
}
