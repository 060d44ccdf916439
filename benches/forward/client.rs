//! A WebRTC client in memory: a publisher or a viewer of one video track.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// A peer connection of the far side.
pub(crate) struct Client {
    rtc: Rtc,
    /// Its only candidate.
    pub(crate) address: SocketAddr,
    mid: Mid,
    pending: Option<SdpPendingOffer>,
    /// ICE and DTLS are up.
    pub(crate) connected: bool,
    /// Media packets received.
    pub(crate) received: u64,
    sequence: u64,
    sent: Vec<Vec<u8>>,
}

impl Client {
    /// A client and its SDP offer to send or to receive one track of `codec`.
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        codec: Codec,
        direction: Direction,
    ) -> Result<(Self, String)> {
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_vp8(codec == Codec::Vp8)
            .enable_h264(codec == Codec::H264)
            .build(now);
        let candidate = Candidate::host(address, Protocol::Udp)?;
        rtc.add_local_candidate(candidate)
            .context("the candidate is taken")?;
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = api.apply().context("an offer of one track")?;
        let client = Self {
            rtc,
            address,
            mid,
            pending: Some(pending),
            connected: false,
            received: 0,
            sequence: 0,
            sent: Vec::new(),
        };
        Ok((client, offer.to_sdp_string()))
    }

    /// Takes the worker's SDP answer.
    pub(crate) fn accept(&mut self, answer: &str) -> Result<()> {
        let pending = self.pending.take().context("answered once")?;
        let answer = SdpAnswer::from_sdp_string(answer)?;
        Ok(self.rtc.sdp_api().accept_answer(pending, answer)?)
    }

    /// Lets time pass; returns what was sent since the last call.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<Vec<Vec<u8>>> {
        self.rtc.handle_input(Input::Timeout(now))?;
        self.poll()?;
        Ok(std::mem::take(&mut self.sent))
    }

    /// Takes one datagram from the worker; what it answers comes with the next [`advance`](Self::advance).
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Result<()> {
        let receive = Receive::new(Protocol::Udp, from, self.address, bytes)?;
        self.rtc.handle_input(Input::Receive(now, receive))?;
        self.poll()
    }

    fn poll(&mut self) -> Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(_) => return Ok(()),
                Output::Transmit(transmit) => self.sent.push(transmit.contents.into()),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(_) => {}
            }
        }
    }

    /// Writes one RTP packet, to leave with the next [`advance`](Self::advance).
    pub(crate) fn write(
        &mut self,
        now: Instant,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Result<()> {
        let pt = self.payload_type().context("the codec was negotiated")?;
        let sequence = self.sequence.into();
        self.sequence += 1;
        let write = RtpWrite::new(pt, sequence, timestamp, now, payload)
            .marker(marker)
            .nackable(true);
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(self.mid, None);
        stream.context("the track is sent")?.write_rtp(write);
        Ok(())
    }

    fn payload_type(&self) -> Option<Pt> {
        let media = self.rtc.media(self.mid)?;
        media.remote_pts().first().copied().or_else(|| {
            self.rtc
                .codec_config()
                .params()
                .first()
                .map(PayloadParams::pt)
        })
    }
}
