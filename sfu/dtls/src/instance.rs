//! One DTLS connection.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use dimpl::{CertificateError, TimeoutError};
use openssl::error::ErrorStack;
use openssl::srtp::SrtpProfileId;
use openssl::ssl::{ErrorCode, Ssl, SslCipherRef, SslRef, SslStream};
use str0m_proto::crypto::dtls::{
    DtlsCert, DtlsCryptoOperation, DtlsImplError, DtlsInstance, DtlsOutput, KeyingMaterial,
    ProtocolVersion, SrtpProfile,
};

use super::context;
use super::datagrams::Datagrams;
use super::error::{failed, translate};
use super::openssl_ffi;
use super::records::{Records, Stage};
use super::sctp;
use super::timer::{Due, FlightTimer};

/// The longest application data in bytes, the longest record of RFC 6347 section 4.1.1.
const DATA_MAX: usize = 16 * 1024;
/// Events waiting to be polled. str0m polls after every datagram, and an honest datagram of data is one record. Above
/// that, data is dropped and counted; SCTP sends it again.
const EVENTS_MAX: usize = 128;
/// The smallest MTU that OpenSSL accepts is 228 bytes; nothing that carries WebRTC is near that.
const MTU_MIN: usize = 256;
/// When nothing is to be done.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// OpenSSL's name for the state between the peer's `ChangeCipherSpec` and its `Finished`.
const READ_CHANGE_CIPHER_SPEC: &str = "TRCCS";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A server without a datagram, a client without a time, or nobody knows yet which.
    Idle,
    Handshaking,
    Connected,
    /// One side has said good-bye, or gave up before there was anything to say it over. What is queued is still polled.
    Closed,
    /// An error was returned; nothing happens any more.
    Failed,
}

enum Event {
    PeerCertificate(Vec<u8>),
    Connected,
    KeyingMaterial(Vec<u8>, SrtpProfile),
    Data(Vec<u8>),
}

/// One DTLS 1.2 connection over one OpenSSL connection.
pub(super) struct Instance {
    stream: SslStream<Datagrams>,
    is_active: Option<bool>,
    phase: Phase,
    /// The time of the last `handle_timeout`; datagrams come without one.
    now: Instant,
    timer: FlightTimer,
    records: Records,
    events: VecDeque<Event>,
    close_notify: bool,
    /// OpenSSL has been at work since its buffers were freed.
    has_buffers: bool,
    /// Records and data dropped because they exceeded a limit.
    dropped: u64,
}

impl Instance {
    /// # Errors
    /// When OpenSSL cannot use the certificate or has no memory.
    pub(super) fn new(cert: &DtlsCert, now: Instant, mtu: usize) -> Result<Self, ErrorStack> {
        let context = context::shared(cert)?;
        let mtu = mtu.max(MTU_MIN);
        let mut ssl = Ssl::new(&context)?;
        ssl.set_mtu(u32::try_from(mtu).unwrap_or(u32::MAX))?;
        openssl_ffi::disable_timer(&ssl);
        Ok(Self {
            stream: SslStream::new(ssl, Datagrams::new(mtu))?,
            is_active: None,
            phase: Phase::Idle,
            now,
            timer: FlightTimer::default(),
            records: Records::default(),
            events: VecDeque::new(),
            close_notify: false,
            has_buffers: false,
            dropped: 0,
        })
    }

    fn stage(&self) -> Stage {
        let ssl = self.stream.ssl();
        if self.phase == Phase::Connected {
            Stage::Connected
        } else if ssl.state_string() == READ_CHANGE_CIPHER_SPEC {
            Stage::Keyed
        } else if ssl.current_cipher().is_some() {
            Stage::Handshaking
        } else {
            Stage::Greeting
        }
    }

    /// Lets OpenSSL read the datagram, if there is one, and go on with the handshake.
    fn handshake(&mut self) -> Result<(), DtlsImplError> {
        self.phase = Phase::Handshaking;
        let written = self.stream.get_ref().written();
        let result = if self.is_active == Some(true) {
            self.stream.connect()
        } else {
            self.stream.accept()
        };
        match result {
            Ok(()) => self.connected(),
            Err(error) if is_retry(error.code()) => {
                if self.stream.get_ref().written() != written {
                    self.timer.flight_sent();
                }
                Ok(())
            }
            Err(error) => {
                Err(self.fail(translate(&error, DtlsCryptoOperation::CompleteKeyExchange)))
            }
        }
    }

    /// The handshake is done: report it in the order certificate, connection, keys.
    fn connected(&mut self) -> Result<(), DtlsImplError> {
        self.timer.stop();
        let ssl = self.stream.ssl();
        let Some(certificate) = ssl.peer_certificate() else {
            let error = CertificateError::NoClientCertificateReceived;
            return Err(self.fail(DtlsImplError::CertificateError(error)));
        };
        let profile = ssl.selected_srtp_profile().and_then(|p| known(p.id()));
        // Without a profile the peer can still have data channels.
        let exported = certificate.to_der().and_then(|der| {
            let keys = profile.map(|profile| export(ssl, profile)).transpose()?;
            Ok((der, keys))
        });
        let (der, keys) = exported.map_err(|error| {
            tracing::debug!(%error, "cannot export SRTP keys");
            self.fail(failed(DtlsCryptoOperation::ExtractSrtpKeyingMaterial))
        })?;
        let cipher = self.stream.ssl().current_cipher().map(SslCipherRef::name);
        tracing::debug!(cipher, ?profile, "DTLS connected");
        self.phase = Phase::Connected;
        self.events.push_back(Event::PeerCertificate(der));
        self.events.push_back(Event::Connected);
        self.events.extend(keys);
        Ok(())
    }

    /// Sends the last flight again.
    fn retransmit(&mut self) -> Result<(), DtlsImplError> {
        self.stream.get_mut().join(true);
        let is_sent = openssl_ffi::retransmit(self.stream.ssl());
        self.stream.get_mut().join(false);
        if is_sent {
            Ok(())
        } else {
            Err(self.fail(failed(DtlsCryptoOperation::Encrypt)))
        }
    }

    /// Takes all records out of the datagram.
    fn read(&mut self) -> Result<(), DtlsImplError> {
        let mut data = [0; DATA_MAX];
        while self.phase == Phase::Connected {
            match self.stream.ssl_read(&mut data) {
                Ok(0) => {}
                Ok(len) if self.events.len() >= EVENTS_MAX || !sctp::is_admitted(&data[..len]) => {
                    self.dropped += 1;
                    tracing::debug!(
                        dropped = self.dropped,
                        "incoming DTLS data overflows, or is for a stream that nobody needs"
                    );
                }
                Ok(len) => self.events.push_back(Event::Data(data[..len].to_vec())),
                Err(error) if is_retry(error.code()) => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => self.closed_by_peer(),
                Err(error) => {
                    return Err(self.fail(translate(&error, DtlsCryptoOperation::Decrypt)));
                }
            }
        }
        Ok(())
    }

    /// RFC 5246 section 7.2.1: answer a close_notify with one and discard what was not sent.
    fn closed_by_peer(&mut self) {
        self.stream.get_mut().clear_outgoing();
        self.say_goodbye();
        self.close_notify = true;
    }

    fn say_goodbye(&mut self) {
        // It fails only if the connection has, and then there is nobody to tell.
        if let Err(error) = self.stream.shutdown() {
            tracing::debug!(?error, "no close_notify");
        }
        self.phase = Phase::Closed;
    }

    fn fail(&mut self, error: DtlsImplError) -> DtlsImplError {
        self.phase = Phase::Failed;
        self.timer.stop();
        error
    }

    fn is_drained(&self) -> bool {
        self.events.is_empty() && self.stream.get_ref().is_drained() && !self.close_notify
    }

    /// The length of what `poll_output` will copy next, if it copies.
    fn next_len(&self) -> usize {
        match self.events.front() {
            Some(Event::PeerCertificate(bytes) | Event::Data(bytes)) => bytes.len(),
            Some(Event::Connected | Event::KeyingMaterial(..)) => 0,
            None => self.stream.get_ref().next_len().unwrap_or(0),
        }
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.is_active = Some(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        // str0m sends an empty one to get a client going, which `handle_timeout` has already done.
        let is_open = matches!(
            self.phase,
            Phase::Idle | Phase::Handshaking | Phase::Connected
        );
        if packet.is_empty() || !is_open || self.is_active.is_none() {
            return Ok(());
        }
        let len = self.records.admit(packet, self.stage());
        if len < packet.len() {
            self.dropped += 1;
            tracing::debug!(dropped = self.dropped, "DTLS records were not admitted");
        }
        // An empty datagram would be the end of the stream to OpenSSL.
        if len == 0 {
            return Ok(());
        }
        self.stream.get_mut().set_incoming(&packet[..len]);
        self.has_buffers = true;
        if self.phase != Phase::Connected {
            self.handshake()?;
        }
        let result = self.read();
        self.stream.get_mut().clear_incoming();
        result
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let needed = self.next_len();
        if needed > buf.len() {
            return DtlsOutput::BufferTooSmall { needed };
        }
        match self.events.pop_front() {
            Some(Event::PeerCertificate(der)) => {
                return DtlsOutput::PeerCert(copied(buf, &der));
            }
            Some(Event::Connected) => return DtlsOutput::Connected,
            Some(Event::KeyingMaterial(key, profile)) => {
                return DtlsOutput::KeyingMaterial(KeyingMaterial::new(&key), profile);
            }
            Some(Event::Data(data)) => {
                return DtlsOutput::ApplicationData(copied(buf, &data));
            }
            None => {}
        }
        if let Some(datagram) = self.stream.get_mut().pop_outgoing() {
            return DtlsOutput::Packet(copied(buf, &datagram));
        }
        if mem::take(&mut self.close_notify) {
            return DtlsOutput::CloseNotify;
        }
        if mem::take(&mut self.has_buffers) {
            openssl_ffi::free_buffers(self.stream.ssl());
        }
        DtlsOutput::Timeout(self.timer.deadline(self.now).unwrap_or(self.now + IDLE))
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = self.now.max(now);
        if self.phase == Phase::Idle && self.is_active == Some(true) {
            self.handshake()?;
        }
        match self.timer.handle(self.now) {
            Due::Nothing => Ok(()),
            Due::Retransmit => self.retransmit(),
            Due::GiveUp => Err(self.fail(DtlsImplError::Timeout(TimeoutError::Handshake))),
        }
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        match self.phase {
            Phase::Closed | Phase::Failed => return Err(DtlsImplError::ConnectionClosed),
            Phase::Idle | Phase::Handshaking => return Ok(0),
            Phase::Connected if self.stream.get_ref().is_full() => return Ok(0),
            Phase::Connected => {}
        }
        if data.is_empty() {
            return Ok(0);
        }
        if data.len() > DATA_MAX {
            return Err(DtlsImplError::TransmitQueueFull);
        }
        self.has_buffers = true;
        self.stream
            .ssl_write(data)
            .map_err(|error| self.fail(translate(&error, DtlsCryptoOperation::Encrypt)))
    }

    fn is_active(&self) -> bool {
        self.is_active == Some(true)
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        let is_known = self.stream.ssl().current_cipher().is_some();
        is_known.then_some(ProtocolVersion::DTLS1_2)
    }

    fn is_closing(&self) -> bool {
        self.phase == Phase::Closed && !self.is_drained()
    }

    fn is_closed(&self) -> bool {
        self.phase == Phase::Closed && self.is_drained()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        match self.phase {
            Phase::Connected => self.say_goodbye(),
            Phase::Closed => {}
            Phase::Idle | Phase::Handshaking | Phase::Failed => {
                self.timer.stop();
                self.events.clear();
                self.stream.get_mut().clear_outgoing();
                self.phase = Phase::Closed;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("is_active", &self.is_active)
            .field("phase", &self.phase)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

fn is_retry(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
}

fn known(id: SrtpProfileId) -> Option<SrtpProfile> {
    match id {
        SrtpProfileId::SRTP_AEAD_AES_128_GCM => Some(SrtpProfile::AEAD_AES_128_GCM),
        SrtpProfileId::SRTP_AEAD_AES_256_GCM => Some(SrtpProfile::AEAD_AES_256_GCM),
        SrtpProfileId::SRTP_AES128_CM_SHA1_80 => Some(SrtpProfile::AES128_CM_SHA1_80),
        _ => None,
    }
}

/// RFC 5764 section 4.2.
fn export(ssl: &SslRef, profile: SrtpProfile) -> Result<Event, ErrorStack> {
    let mut key = vec![0; profile.keying_material_len()];
    ssl.export_keying_material(&mut key, "EXTRACTOR-dtls_srtp", None)?;
    Ok(Event::KeyingMaterial(key, profile))
}

fn copied<'a>(buf: &'a mut [u8], bytes: &[u8]) -> &'a [u8] {
    let target = &mut buf[..bytes.len()];
    target.copy_from_slice(bytes);
    target
}
