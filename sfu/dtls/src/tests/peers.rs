//! Peers that are neither we nor dimpl: OpenSSL clients with other certificates and tastes.

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509Builder};

use super::super::datagrams::Datagrams;
use super::super::openssl_ffi;
use super::*;

/// A self-signed RSA certificate such as GStreamer's.
fn rsa(bits: u32) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let template = X509::from_der(&generate_certificate().unwrap().certificate).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(template.serial_number()).unwrap();
    builder.set_subject_name(template.subject_name()).unwrap();
    builder.set_issuer_name(template.subject_name()).unwrap();
    builder.set_not_before(template.not_before()).unwrap();
    builder.set_not_after(template.not_after()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// A foreign end over OpenSSL, its configuration finished by `configure`.
fn foreign(configure: impl FnOnce(&mut SslContextBuilder)) -> SslStream<Datagrams> {
    let mut context = SslContextBuilder::new(SslMethod::dtls()).unwrap();
    context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    context
        .set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM")
        .unwrap();
    configure(&mut context);
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_mtu(1200).unwrap();
    openssl_ffi::disable_timer(&ssl);
    SslStream::new(ssl, Datagrams::new(MTU)).unwrap()
}

/// Shakes hands without loss; returns whether the foreign end is content.
fn shake(
    foreign: &mut SslStream<Datagrams>,
    ours: &mut End,
    foreign_is_client: bool,
) -> Result<bool, DtlsImplError> {
    let mut is_done = false;
    for _ in 0..20 {
        let result = if foreign_is_client {
            foreign.connect()
        } else {
            foreign.accept()
        };
        is_done |= result.is_ok();
        while let Some(datagram) = foreign.get_mut().pop_outgoing() {
            ours.dtls.handle_packet(&datagram)?;
        }
        for datagram in ours.drain() {
            foreign.get_mut().set_incoming(&datagram);
            let result = if foreign_is_client {
                foreign.connect()
            } else {
                foreign.accept()
            };
            is_done |= result.is_ok();
        }
    }
    Ok(is_done && ours.is_connected())
}

fn with_certificate(
    (certificate, key): &(X509, PKey<Private>),
) -> impl FnOnce(&mut SslContextBuilder) {
    move |context| {
        // Level 0 as old devices have it; above, OpenSSL would not sign with 1,024 bits.
        context.set_security_level(0);
        context.set_certificate(certificate).unwrap();
        context.set_private_key(key).unwrap();
    }
}

#[test]
fn rsa_certificates_of_1024_to_4096_bits_are_accepted_in_both_roles() {
    for bits in [1024, 2048, 4096] {
        let rsa = rsa(bits);
        for foreign_is_client in [true, false] {
            let mut theirs = foreign(with_certificate(&rsa));
            let mut ours = End::ours(!foreign_is_client);
            let is_connected = shake(&mut theirs, &mut ours, foreign_is_client).unwrap();
            assert!(is_connected, "{bits} bits, client: {foreign_is_client}");
            assert_eq!(ours.seen[0], Seen::Certificate(rsa.0.to_der().unwrap()));
            let Seen::Keys(key, profile) = ours.keys() else {
                unreachable!()
            };
            let expected = if foreign_is_client {
                SrtpProfile::AEAD_AES_256_GCM
            } else {
                SrtpProfile::AES128_CM_SHA1_80
            };
            assert_eq!(*profile, expected, "the server's order counts");
            let mut theirs_key = vec![0; key.len()];
            theirs
                .ssl()
                .export_keying_material(&mut theirs_key, "EXTRACTOR-dtls_srtp", None)
                .unwrap();
            assert_eq!(*key, theirs_key);
        }
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_for_that_reason() {
    let mut theirs = foreign(|_| {});
    let mut ours = End::ours(false);
    let error = shake(&mut theirs, &mut ours, true).unwrap_err();
    assert!(
        error.to_string().contains("no client certificate"),
        "{error}"
    );
    assert!(!ours.is_connected());
}

#[test]
fn a_peer_without_srtp_is_connected_without_keys() {
    let rsa = rsa(2048);
    let mut context = SslContextBuilder::new(SslMethod::dtls()).unwrap();
    context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    with_certificate(&rsa)(&mut context);
    let ssl = Ssl::new(&context.build()).unwrap();
    let mut theirs = SslStream::new(ssl, Datagrams::new(MTU)).unwrap();
    let mut ours = End::ours(false);
    assert!(shake(&mut theirs, &mut ours, true).unwrap());
    assert_eq!(ours.seen.len(), 2, "{:?}", ours.seen);
}

#[test]
fn a_client_with_either_gcm_cipher_is_served() {
    let rsa = rsa(2048);
    for cipher in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ] {
        let mut theirs = foreign(|context| {
            with_certificate(&rsa)(context);
            context.set_cipher_list(cipher).unwrap();
        });
        let mut ours = End::ours(false);
        assert!(shake(&mut theirs, &mut ours, true).unwrap(), "{cipher}");
    }
}

#[test]
fn a_client_without_a_common_cipher_is_refused_for_that_reason() {
    let rsa = rsa(2048);
    let mut theirs = foreign(|context| {
        with_certificate(&rsa)(context);
        context.set_cipher_list("ECDHE-ECDSA-AES128-SHA").unwrap();
    });
    let mut ours = End::ours(false);
    let error = shake(&mut theirs, &mut ours, true).unwrap_err();
    assert!(error.to_string().contains("cipher suite"), "{error}");
}

#[test]
fn an_alert_of_the_peer_is_named() {
    let rsa = rsa(2048);
    let mut theirs = foreign(|context| {
        with_certificate(&rsa)(context);
        context.set_verify_callback(SslVerifyMode::PEER, |_, _| false);
    });
    let mut ours = End::ours(false);
    let error = shake(&mut theirs, &mut ours, true).unwrap_err();
    assert!(error.to_string().contains("fatal alert"), "{error}");
}

#[test]
fn renegotiation_is_declined_and_the_connection_goes_on() {
    let rsa = rsa(2048);
    for foreign_is_client in [true, false] {
        let mut theirs = foreign(with_certificate(&rsa));
        let mut ours = End::ours(!foreign_is_client);
        assert!(shake(&mut theirs, &mut ours, foreign_is_client).unwrap());
        assert!(openssl_ffi::renegotiate(theirs.ssl()));
        let _ = theirs.do_handshake();
        let asked = std::iter::from_fn(|| theirs.get_mut().pop_outgoing());
        let asked: Vec<_> = asked.collect();
        assert!(!asked.is_empty());
        for _ in 0..50 {
            for datagram in &asked {
                ours.dtls.handle_packet(datagram).unwrap();
            }
        }
        assert!(ours.drain().len() <= 1, "one no_renegotiation alert");
        assert_eq!(ours.dtls.send_application_data(b"still here").unwrap(), 10);
        assert_eq!(ours.drain().len(), 1);
        assert_eq!(ours.seen.len(), 3, "{:?}", ours.seen);
    }
}
