//! The few things that the `openssl` crate does not offer. All unsafe code of this crate is here.
#![expect(
    unsafe_code,
    reason = "OpenSSL's clock-free retransmission has no safe wrapper"
)]

use std::ffi::{c_int, c_long, c_uint, c_void};

use foreign_types::ForeignTypeRef;
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl_sys as ffi;

unsafe extern "C" {
    /// `openssl/ssl.h`.
    fn DTLS_set_timer_cb(
        ssl: *mut ffi::SSL,
        callback: Option<unsafe extern "C" fn(*mut ffi::SSL, c_uint) -> c_uint>,
    );

    /// `openssl/ssl.h`.
    fn SSL_free_buffers(ssl: *mut ffi::SSL) -> c_int;

    /// `openssl/ssl.h`.
    fn SSL_CTX_set_cert_verify_callback(
        context: *mut ffi::SSL_CTX,
        callback: Option<unsafe extern "C" fn(*mut ffi::X509_STORE_CTX, *mut c_void) -> c_int>,
        argument: *mut c_void,
    );

    /// Not in a public header, but what `DTLSv1_handle_timeout` calls once it has found, by the wall clock, that the
    /// time has come. Its signature has been this since OpenSSL 0.9.8; from 3.2 on the parameter is called an
    /// `SSL_CONNECTION`, whose first member is the `SSL`. It is visible in the static library, which is what the
    /// `vendored` feature links; against a shared one, the build fails at linking.
    fn dtls1_retransmit_buffered_messages(ssl: *mut ffi::SSL) -> c_int;
}

#[cfg(test)]
unsafe extern "C" {
    /// `openssl/ssl.h`.
    fn SSL_renegotiate(ssl: *mut ffi::SSL) -> c_int;
}

/// `SSL_CTRL_SET_MAX_CERT_LIST` of `openssl/ssl.h`.
const SET_MAX_CERT_LIST: c_int = 51;

/// Keeps OpenSSL's own retransmission timer, which reads the wall clock, from ever going off.
pub(super) fn disable_timer(ssl: &SslRef) {
    /// In microseconds: 71 minutes, against the half minute that a handshake may take.
    unsafe extern "C" fn never(_: *mut ffi::SSL, _: c_uint) -> c_uint {
        c_uint::MAX
    }
    // SAFETY: the pointer is valid while `ssl` is borrowed; the callback touches nothing and lives as long as the program.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), Some(never)) }
}

/// Sends the last flight again, each record with a new sequence number, whatever the time. Returns whether that went
/// well; nothing to send is well.
///
/// The caller sees to it that the handshake has not failed.
pub(super) fn retransmit(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is valid while `ssl` is borrowed. It is a DTLS connection (never a QUIC one), since
    // `context` makes no others, so that the `SSL` is the first member of the `SSL_CONNECTION` expected here. OpenSSL
    // writes to the connection's BIO only, which `Ssl` owns; no Rust reference into it exists during the call.
    unsafe { dtls1_retransmit_buffered_messages(ssl.as_ptr()) > 0 }
}

/// Gives the read and write buffers back, 17 kB each, unless there is something in them. They come back by themselves.
pub(super) fn free_buffers(ssl: &SslRef) {
    // SAFETY: the pointer is valid while `ssl` is borrowed; OpenSSL frees only buffers of its own that are empty. The
    // result says whether it did, which does not matter.
    unsafe { SSL_free_buffers(ssl.as_ptr()) };
}

/// Takes any certificate for trustworthy, without the work of looking at it.
pub(super) fn trust_any_certificate(context: &mut SslContextBuilder) {
    unsafe extern "C" fn yes(_: *mut ffi::X509_STORE_CTX, _: *mut c_void) -> c_int {
        1
    }
    // SAFETY: the pointer is valid while `context` is borrowed; the callback touches nothing, not even its null
    // argument, and lives as long as the program.
    unsafe {
        SSL_CTX_set_cert_verify_callback(context.as_ptr(), Some(yes), std::ptr::null_mut());
    }
}

/// Limits the peer's certificate message, and with it every handshake message that is put together from fragments.
/// OpenSSL raises values below its record size (about 17 kB) to that.
pub(super) fn set_max_cert_list(context: &mut SslContextBuilder, bytes: u16) {
    // SAFETY: the pointer is valid while `context` is borrowed; this control takes a number and no pointer.
    unsafe {
        ffi::SSL_CTX_ctrl(
            context.as_ptr(),
            SET_MAX_CERT_LIST,
            c_long::from(bytes),
            std::ptr::null_mut::<c_void>(),
        );
    }
}

/// Has the next read or write of a hostile peer ask for another handshake.
#[cfg(test)]
pub(super) fn renegotiate(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is valid while `ssl` is borrowed; this sets a flag in it.
    unsafe { SSL_renegotiate(ssl.as_ptr()) > 0 }
}
