//! Certificates, and OpenSSL's context for each.

use std::cell::RefCell;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use openssl::x509::{X509, X509NameBuilder};
use str0m_proto::crypto::dtls::DtlsCert;

use super::openssl_ffi;

/// 128-bit AES first because it is the fastest; the ECDSA ones serve when we are the server, the RSA ones when we are
/// the client of a server with an RSA certificate. Every WebRTC peer has the first, RFC 8827 section 6.5. Others stay
/// out: `records` relies on AES-GCM, and OpenSSL ends a connection at the first forged CBC record.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/// Our order of preference, which is the one that counts when we are the server. SRTP costs 0.25 us per packet with
/// the first, 1.1 with the last.
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

const GROUPS: &str = "X25519:P-256:P-384";

/// The longest certificate message in bytes. An RSA-4096 certificate has less than 2,000.
const CERTIFICATES_MAX: u16 = 16 * 1024;

/// Contexts kept per thread: one is used in practice, a few more by tests with several certificates.
const CONTEXTS_MAX: usize = 4;

thread_local! {
    /// Most recently used first. Per thread, so that neither a lock nor a shared reference count is touched when a
    /// peer joins.
    static CONTEXTS: RefCell<Vec<(DtlsCert, SslContext)>> = const { RefCell::new(Vec::new()) };
}

/// The context for `cert`, made on first use by this thread: that costs half a millisecond.
///
/// # Errors
/// When the certificate or its key cannot be parsed, or do not belong together.
pub(super) fn shared(cert: &DtlsCert) -> Result<SslContext, ErrorStack> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let known = contexts.iter().position(|(known, _)| {
            known.certificate == cert.certificate && known.private_key == cert.private_key
        });
        match known {
            Some(at) => contexts[..=at].rotate_right(1),
            None => {
                let context = build(cert)?;
                contexts.truncate(CONTEXTS_MAX - 1);
                contexts.insert(0, (cert.clone(), context));
            }
        }
        Ok(contexts[0].1.clone())
    })
}

fn build(cert: &DtlsCert) -> Result<SslContext, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::dtls())?;
    context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_cipher_list(CIPHERS)?;
    context.set_groups_list(GROUPS)?;
    context.set_tlsext_use_srtp(SRTP_PROFILES)?;
    context.set_options(
        SslOptions::NO_QUERY_MTU
            | SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    openssl_ffi::set_max_cert_list(&mut context, CERTIFICATES_MAX);
    // Any certificate will do, for the fingerprint decides, but there has to be one.
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    openssl_ffi::trust_any_certificate(&mut context);
    let certificate = X509::from_der(&cert.certificate)?;
    context.set_certificate(&certificate)?;
    let key = PKey::private_key_from_der(&cert.private_key)?;
    context.set_private_key(&key)?;
    context.check_private_key()?;
    Ok(context.build())
}

/// A new self-signed ECDSA P-256 certificate with its key in PKCS #8.
///
/// # Errors
/// When OpenSSL has no memory or no randomness.
pub(super) fn generate_certificate() -> Result<DtlsCert, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;

    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "WebRTC")?;
    let name = name.build();
    // Firefox wants serial numbers to be unique among all certificates of a name, so they are random.
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    // Constants, so that no clock is read. The certificate lives as long as the process, nobody checks the dates, and
    // this is the widest span that two-digit years can express.
    builder.set_not_before(Asn1Time::from_str_x509("20200101000000Z")?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str_x509("20491231235959Z")?.as_ref())?;
    builder.set_pubkey(&key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let usage = ExtendedKeyUsage::new()
        .server_auth()
        .client_auth()
        .build()?;
    builder.append_extension(usage)?;
    builder.sign(&key, MessageDigest::sha256())?;

    Ok(DtlsCert {
        certificate: builder.build().to_der()?,
        private_key: key.private_key_to_pkcs8()?,
    })
}
