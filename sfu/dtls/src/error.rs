//! OpenSSL's errors in the vocabulary of str0m's trait. The whole text goes to the log.

use dimpl::{CertificateError, SecurityError};
use openssl::ssl::{Error, SslAlert};
use str0m_proto::crypto::dtls::{DtlsCryptoError, DtlsCryptoOperation, DtlsImplError};

/// `SSL_AD_REASON_OFFSET`: an alert of the peer is the reason code of its number and this.
const ALERT_REASON_OFFSET: i32 = 1000;
/// Reason codes of `openssl/sslerr.h`, which the `openssl` crate does not name.
const BAD_SIGNATURE: i32 = 123;
const DIGEST_CHECK_FAILED: i32 = 149;
const NO_SHARED_CIPHER: i32 = 193;
const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;

/// What to tell str0m of `error`, which ended the connection during `operation`.
pub(super) fn translate(error: &Error, operation: DtlsCryptoOperation) -> DtlsImplError {
    tracing::debug!(?error, ?operation, "DTLS failed");
    let reason = error
        .ssl_error()
        .and_then(|stack| stack.errors().first())
        .map_or(0, openssl::error::Error::reason_code);
    if SslAlert::from_reason_code(reason).is_some() {
        let description = u8::try_from(reason - ALERT_REASON_OFFSET).unwrap_or(u8::MAX);
        return DtlsImplError::SecurityError(SecurityError::FatalAlert { description });
    }
    match reason {
        PEER_DID_NOT_RETURN_A_CERTIFICATE => {
            DtlsImplError::CertificateError(CertificateError::NoClientCertificateReceived)
        }
        NO_SHARED_CIPHER => {
            DtlsImplError::SecurityError(SecurityError::NoMutuallyAcceptableCipherSuite)
        }
        BAD_SIGNATURE => failed(DtlsCryptoOperation::VerifySignature),
        DIGEST_CHECK_FAILED => failed(DtlsCryptoOperation::VerifyData),
        _ => failed(operation),
    }
}

/// The unspecific error.
pub(super) fn failed(operation: DtlsCryptoOperation) -> DtlsImplError {
    DtlsImplError::CryptoError(DtlsCryptoError::OperationFailed(operation))
}
