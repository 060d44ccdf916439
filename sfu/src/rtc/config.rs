//! What we offer and accept: codecs, header extensions, limits.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::CodecConfig;
use str0m::rtp::StreamTxQueueInfo;
use str0m::{IceCreds, Rtc, RtcConfig};

use super::extensions;

/// Packets kept per sending stream for retransmission: 3 s of a 2.5 Mbit/s stream. Only the header is a copy.
pub(super) const RESEND_PACKETS_MAX: usize = 1024;

/// How old a packet may be that is sent again; a picture three seconds late helps nobody.
pub(super) const RESEND_AGE_MAX: Duration = Duration::from_secs(3);

/// The share of a stream that may be retransmissions, so that a hopeless link is not flooded. Links with 20 % loss, and the
/// loss of retransmissions, stay below it.
pub(super) const RESEND_SHARE_MAX: f32 = 0.4;

/// How often a participant's connection is judged.
pub(super) const STATS_INTERVAL: Duration = Duration::from_secs(1);

impl super::RtcPeer {
    /// How long the first packet that waits in section `mid` has been waiting for its turn in the pacer.
    pub(crate) fn waits(&mut self, mid: super::Mid, now: Instant) -> Duration {
        let mut api = self.rtc.direct_api();
        let queue = api
            .stream_tx_by_mid(mid, None)
            .and_then(|tx| tx.queue_info());
        let first = queue.and_then(StreamTxQueueInfo::first_unsent);
        first.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// Nothing that has left in section `mid` already is sent again.
    pub(crate) fn forget(&mut self, mid: super::Mid) {
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None) {
            stream.set_rtx_cache(RESEND_PACKETS_MAX, RESEND_AGE_MAX, Some(RESEND_SHARE_MAX));
        }
    }
}

/// The server's DTLS identity. One is enough for a process; making one takes a fraction of a millisecond.
#[derive(Debug, Clone)]
pub struct Certificate(pub(super) DtlsCert);

impl Certificate {
    /// A fresh self-signed ECDSA P-256 certificate.
    ///
    /// # Panics
    ///
    /// When the cryptographic library cannot make a key, which means that the machine has no randomness.
    pub fn generate() -> Self {
        Self(
            provider()
                .dtls_provider
                .generate_certificate()
                .expect("the provider makes certificates"),
        )
    }
}

/// The process's cryptographic provider, made once.
pub(super) fn provider() -> Arc<CryptoProvider> {
    // A constant in all but name: it is written once, before any packet.
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(dtls::crypto_provider()))
        .clone()
}

/// H.264 as players take it: payload type, its RTX, packetization-mode, profile-level-id. Types matter only for our own
/// offers; an answer takes the offerer's. Packetization mode 1 first: mode 0 cannot carry a picture over 1,200 bytes in
/// one slice.
const H264: &[(u8, u8, bool, u32)] = &[
    (108, 109, true, 0x42_e0_1f),
    (127, 121, true, 0x42_00_1f),
    (123, 119, true, 0x4d_00_1f),
    (114, 115, true, 0x64_00_1f),
    (116, 117, true, 0x64_0c_1f),
    (124, 120, false, 0x42_e0_1f),
    (125, 107, false, 0x42_00_1f),
    (35, 36, false, 0x4d_00_1f),
    (37, 38, false, 0x64_00_1f),
];

/// Everything that is forwarded, in our order of preference. H.264 first: low-latency HLS can carry it.
pub(super) fn codecs() -> CodecConfig {
    let mut codecs = CodecConfig::empty();
    codecs.enable_opus(true, true);
    codecs.enable_pcmu(true, false);
    codecs.enable_pcma(true, false);
    for &(pt, rtx, mode_1, profile) in H264 {
        codecs.add_h264(pt.into(), Some(rtx.into()), mode_1, profile);
    }
    codecs.enable_vp8(true);
    codecs.enable_vp9(true);
    codecs.enable_av1(true);
    codecs
}

/// An ICE-lite instance in RTP mode. `estimate_bps`: start of the bandwidth estimation; `None` for none, and no pacing.
pub(super) fn build(
    now: Instant,
    certificate: &Certificate,
    credentials: IceCreds,
    estimate_bps: Option<u64>,
    stats_interval: Option<Duration>,
) -> Rtc {
    let mut config = RtcConfig::new()
        .set_crypto_provider(provider())
        .set_dtls_cert(certificate.0.clone())
        .set_local_ice_credentials(credentials)
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_sctp_max_message_size(super::data::RECEIVED_MAX)
        .set_send_buffer_video(RESEND_PACKETS_MAX)
        .set_send_buffer_audio(1)
        .set_stats_interval(stats_interval)
        .enable_bwe(estimate_bps.map(Bitrate::from));
    *config.codec_config() = codecs();
    extensions::add(config.extension_map());
    config.build(now)
}
