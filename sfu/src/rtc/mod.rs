//! One WebRTC peer connection. The only place that names str0m: its API changes with every release.

mod config;
mod data;
mod extensions;
mod media;
mod sdp;
mod stun;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, IceCreds, Rtc};

pub use config::Certificate;
pub(crate) use data::Written;
pub(crate) use media::{PayloadTypes, Sections};
pub(crate) use sdp::{Use, count_sections, payload_conflict};
pub(crate) use stun::BindingRequest;
#[cfg(test)]
pub(crate) use stun::check as stun_check;

use payload::Codec;

use crate::api::{Datagram, Refusal, Transmit, Transport};
use crate::data::DataChannel;
use crate::forward::Outgoing;
use crate::packet::MediaPacket;

/// Names an m-section of a peer.
pub(crate) type Mid = str0m::media::Mid;

/// Names a simulcast layer of an m-section.
pub(crate) type Rid = str0m::media::Rid;

/// Remote candidates that are taken from one peer; the rest is ignored. Browsers gather under twenty.
const REMOTE_CANDIDATES_MAX: usize = 64;

/// What a peer has to say after a mutation.
#[derive(Debug)]
pub(crate) enum PeerOutput {
    Transmit(Transmit),
    Connected,
    /// The remote side closed.
    Closed,
    /// Consent was lost.
    Disconnected,
    Packet {
        mid: Mid,
        /// `None` without simulcast.
        rid: Option<Rid>,
        codec: Codec,
        packet: MediaPacket,
    },
    /// A packet that was too long to forward, or of no known codec.
    Unusable,
    KeyframeWanted {
        mid: Mid,
    },
    Estimate {
        bps: u64,
    },
    Stats(Stats),
    /// The other side's clock: its NTP time for an RTP timestamp of this track, in microseconds.
    SenderReport {
        mid: Mid,
        rid: Option<Rid>,
        ntp_us: u64,
        timestamp: u32,
    },
    /// The other side has opened a data channel.
    DataOpen {
        channel: DataChannel,
        protocol: String,
    },
    DataClosed {
        channel: DataChannel,
    },
    Data {
        channel: DataChannel,
        is_binary: bool,
        bytes: Vec<u8>,
    },
    /// SCTP takes more.
    DataLow,
    /// A data channel that nobody knows was closed.
    DataRefused,
}

/// How a connection does, over the last seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stats {
    /// The larger of what is lost on the way in and on the way out, 0 to 1.
    pub(crate) loss: f32,
    pub(crate) round_trip: Option<Duration>,
}

/// A publisher's or viewer's connection.
pub(crate) struct RtcPeer {
    rtc: Rtc,
    candidates: Vec<Candidate>,
    remote_candidates: usize,
    /// The last remote offer, to be played again with other credentials at an ICE restart.
    offer: String,
    /// An offer of ours, and the sections that it adds.
    pending: Option<(SdpPendingOffer, Vec<Mid>)>,
    used: Use,
    sections: Sections,
    /// Streams that were seen, by SSRC.
    streams: Vec<media::Incoming>,
    channels: data::Channels,
}

impl RtcPeer {
    /// A peer that will be found at `candidates` (UDP first) under a fresh user fragment.
    pub(crate) fn new(
        now: Instant,
        certificate: &Certificate,
        candidates: &[(Transport, std::net::SocketAddr)],
        estimate_bps: Option<u64>,
        used: Use,
    ) -> Self {
        let is_participant = used == Use::Participant;
        let stats_interval = is_participant.then_some(config::STATS_INTERVAL);
        let mut rtc = config::build(
            now,
            certificate,
            IceCreds::new(),
            estimate_bps,
            stats_interval,
        );
        let mut kept = Vec::with_capacity(candidates.len());
        for &(transport, address) in candidates {
            let built = match transport {
                Transport::Udp => Candidate::builder().udp().host(address).build(),
                Transport::Tcp => Candidate::builder()
                    .tcp()
                    .host(address)
                    .tcptype(TcpType::Passive)
                    .build(),
            };
            // An address that ICE refuses (multicast, unspecified) is left out; the shell logs what it announces.
            if let Ok(candidate) = built
                && let Some(candidate) = rtc.add_local_candidate(candidate)
            {
                kept.push(candidate.clone());
            }
        }
        Self {
            rtc,
            candidates: kept,
            remote_candidates: 0,
            offer: String::new(),
            pending: None,
            used,
            sections: Sections::default(),
            streams: Vec::new(),
            channels: data::Channels::new(is_participant),
        }
    }

    /// Our ICE user fragment and password.
    pub(crate) fn credentials(&mut self) -> (String, String) {
        let credentials = self.rtc.direct_api().local_ice_credentials();
        (credentials.ufrag, credentials.pass)
    }

    /// All that is sent belongs together: one MediaStream.
    fn is_one_stream(&self) -> bool {
        self.used != Use::Participant
    }

    /// Answers an SDP offer.
    pub(crate) fn accept_offer(&mut self, offer: &str) -> Result<String, Refusal> {
        let normal = sdp::without_descriptors(&sdp::normalise(offer, self.used));
        let parsed = SdpOffer::from_sdp_string(&normal)
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(parsed)
            .map_err(|error| Refusal::NotAcceptable(error.to_string()))?;
        offer.clone_into(&mut self.offer);
        // str0m withdraws its own offer then.
        if let Some((_, mids)) = self.pending.take() {
            self.sections.forget(&mids);
        }
        let answer = answer.to_sdp_string();
        self.sections.learn(&self.rtc, &answer);
        self.sections.learn_stereo(sdp::stereo_mids(offer));
        let answer = sdp::polish(&answer, self.is_one_stream());
        Ok(sdp::finish(&answer, offer, self.used))
    }

    /// Offers so many sections to send in, beside what is there.
    pub(crate) fn make_offer(&mut self, audio: usize, video: usize) -> Result<String, Refusal> {
        let stream = self.is_one_stream().then(|| sdp::STREAM.to_owned());
        let mut api = self.rtc.sdp_api();
        let kinds = std::iter::repeat_n(MediaKind::Audio, audio)
            .chain(std::iter::repeat_n(MediaKind::Video, video));
        let mut mids = Vec::with_capacity(audio + video);
        for kind in kinds {
            let mid = api.add_media(kind, Direction::SendOnly, stream.clone(), None, None);
            mids.push((mid, kind.is_audio()));
        }
        let (offer, pending) = api
            .apply()
            .ok_or(Refusal::Full("an offer without changes"))?;
        for &(mid, is_audio) in &mids {
            self.sections.add_own(mid, is_audio);
        }
        let mids = mids.into_iter().map(|(mid, _)| mid).collect();
        self.pending = Some((pending, mids));
        let offer = sdp::polish(&offer.to_sdp_string(), self.is_one_stream());
        Ok(sdp::announce(&offer, &self.offer))
    }

    /// Takes the answer to [`Self::make_offer`].
    pub(crate) fn accept_answer(&mut self, answer: &str) -> Result<(), Refusal> {
        let parsed = SdpAnswer::from_sdp_string(answer)
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let (pending, mids) = self.pending.take().ok_or_else(|| {
            Refusal::NotAcceptable("this session was not offered anything, or has answered".into())
        })?;
        let taken = self.rtc.sdp_api().accept_answer(pending, parsed);
        if taken.is_err() {
            self.sections.forget(&mids);
        }
        taken.map_err(|error| Refusal::NotAcceptable(error.to_string()))
    }

    /// Whether [`Self::make_offer`] still waits for its answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Adds trickled candidates; returns how many were of use.
    pub(crate) fn add_candidates(&mut self, candidates: &[String]) -> usize {
        let mut used = 0;
        for text in candidates {
            if self.remote_candidates >= REMOTE_CANDIDATES_MAX {
                break;
            }
            if let Ok(candidate) = Candidate::from_sdp_string(text) {
                self.remote_candidates += 1;
                used += 1;
                self.rtc.add_remote_candidate(candidate);
            }
        }
        used
    }

    /// The remote side restarts ICE. Returns our new credentials and our candidates' attribute values.
    pub(crate) fn restart_ice(
        &mut self,
        ufrag: &str,
        pwd: &str,
        candidates: &[String],
    ) -> Result<(String, String, Vec<String>), Refusal> {
        if !sdp::is_credential(ufrag, 4) || !sdp::is_credential(pwd, 22) {
            return Err(Refusal::Malformed(
                "an ICE user fragment has 4 to 256 letters, digits, + and /, a password 22 to 256"
                    .into(),
            ));
        }
        let offer = sdp::with_credentials(&self.offer, ufrag, pwd);
        self.accept_offer(&offer)?;
        self.remote_candidates = 0;
        self.add_candidates(candidates);
        let (ufrag, pwd) = self.credentials();
        let own = self
            .candidates
            .iter()
            .map(|candidate| sdp::with_ufrag(&candidate.to_sdp_string(), &ufrag))
            .collect();
        Ok((ufrag, pwd, own))
    }

    /// The sections that were negotiated so far.
    pub(crate) fn sections(&self) -> &Sections {
        &self.sections
    }

    /// The payload types under which `codec` can be sent in section `mid`.
    pub(crate) fn payload_types(&self, mid: Mid, codec: Codec) -> Option<PayloadTypes> {
        media::payload_types(&self.rtc, mid, codec)
    }

    /// Whether a picture of more than one packet may be sent under these payload types.
    pub(crate) fn takes_fragments(&self, types: PayloadTypes) -> bool {
        media::takes_fragments(&self.rtc, types)
    }

    /// Whether section `mid` may be sent dependency descriptors.
    pub(crate) fn has_dependencies(&self, mid: Mid) -> bool {
        extensions::has_dependencies(&self.rtc, mid)
    }

    /// Feeds one datagram. `Err` says why the peer is beyond help.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
    ) -> Result<bool, String> {
        let proto = match datagram.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        let Ok(receive) = Receive::new(
            proto,
            datagram.source,
            datagram.destination,
            datagram.payload,
        ) else {
            return Ok(false);
        };
        self.rtc
            .handle_input(str0m::Input::Receive(now, receive))
            .map(|()| true)
            .map_err(|error| error.to_string())
    }

    /// Lets time pass, and sends what [`Self::write`] was given.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), String> {
        self.rtc
            .handle_input(str0m::Input::Timeout(now))
            .map_err(|error| error.to_string())
    }

    /// Starts a good-bye: RTCP BYE and DTLS close_notify, to be drained.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        self.rtc.close().map_err(|error| error.to_string())
    }

    /// Whether anything can still come of this peer.
    pub(crate) fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Asks the publisher for a keyframe of one layer.
    pub(crate) fn request_keyframe(&mut self, mid: Mid, rid: Option<Rid>) {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// Tells the estimator how much there is to send, so that it probes for more.
    pub(crate) fn set_desired_bitrate(&mut self, bps: u64) {
        self.rtc.bwe().set_bitrate(0.into(), bps.into());
    }

    /// The SSRC under which section `mid` is sent, if it is.
    pub(crate) fn sending_ssrc(&mut self, mid: Mid) -> Option<u32> {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None)?;
        stream.set_rtx_cache(
            config::RESEND_PACKETS_MAX,
            config::RESEND_AGE_MAX,
            Some(config::RESEND_SHARE_MAX),
        );
        Some(*stream.ssrc())
    }

    /// Queues one packet; it leaves with the next [`Self::handle_timeout`].
    pub(crate) fn write(
        &mut self,
        ssrc: u32,
        types: PayloadTypes,
        nackable: bool,
        outgoing: Outgoing,
    ) {
        let extensions = extensions::values(&outgoing);
        let (pt, payload) = types.choose(outgoing.red, outgoing.payload);
        let mut write = RtpWrite::new(
            pt.into(),
            outgoing.sequence.into(),
            outgoing.timestamp,
            outgoing.wallclock,
            Arc::clone(&payload),
        )
        .marker(outgoing.marker)
        .nackable(nackable)
        .ext_vals(extensions);
        if let Some((picture_id, tl0_pic_idx)) = outgoing.vp8
            && let Some(patch) = media::vp8_patch(&payload, picture_id, tl0_pic_idx)
        {
            write = write.vp8_patch(patch);
        }
        if let Some(stream) = self.rtc.direct_api().stream_tx(&Ssrc::from(ssrc)) {
            stream.write_rtp(write);
        }
    }

    /// Drains to the next deadline.
    pub(crate) fn poll(&mut self, into: &mut VecDeque<PeerOutput>) -> Result<Instant, String> {
        loop {
            match self.rtc.poll_output().map_err(|error| error.to_string())? {
                str0m::Output::Timeout(at) => return Ok(at),
                str0m::Output::Transmit(transmit) => {
                    into.push_back(PeerOutput::Transmit(Transmit {
                        transport: match transmit.proto {
                            Protocol::Udp => Transport::Udp,
                            _ => Transport::Tcp,
                        },
                        source: transmit.source,
                        destination: transmit.destination,
                        contents: transmit.contents.into(),
                    }));
                }
                str0m::Output::Event(event) => self.on_event(event, into)?,
            }
        }
    }

    fn on_event(
        &mut self,
        event: str0m::Event,
        into: &mut VecDeque<PeerOutput>,
    ) -> Result<(), String> {
        use str0m::Event;
        match event {
            Event::Connected => into.push_back(PeerOutput::Connected),
            Event::Closed => into.push_back(PeerOutput::Closed),
            Event::IceConnectionStateChange(state) if state.is_disconnected() => {
                into.push_back(PeerOutput::Disconnected);
            }
            Event::RtpPacket(packet) => into.push_back(self.on_packet(packet)),
            Event::KeyframeRequest(request) => {
                into.push_back(PeerOutput::KeyframeWanted { mid: request.mid });
            }
            Event::EgressBitrateEstimate(str0m::bwe::BweKind::Twcc { estimate, .. }) => {
                into.push_back(PeerOutput::Estimate {
                    bps: estimate.as_u64(),
                });
            }
            Event::PeerStats(stats) => into.push_back(PeerOutput::Stats(Stats {
                loss: [stats.egress_loss_fraction, stats.ingress_loss_fraction]
                    .into_iter()
                    .flatten()
                    .fold(0.0, f32::max),
                round_trip: stats.rtt.or_else(|| {
                    stats
                        .selected_candidate_pair
                        .and_then(|pair| pair.current_round_trip_time)
                }),
            })),
            Event::SenderFeedback(feedback) => into.push_back(media::sender_report(&feedback)),
            Event::ChannelOpen(id, label) => self.on_channel_open(id, &label, into)?,
            Event::ChannelClose(id) => into.extend(self.on_channel_close(id)),
            Event::ChannelData(came) => into.extend(self.on_channel_data(came)),
            Event::ChannelBufferedAmountLow(_) => into.push_back(PeerOutput::DataLow),
            _ => {}
        }
        Ok(())
    }

    fn on_packet(&mut self, packet: RtpPacket) -> PeerOutput {
        let ssrc = *packet.header.ssrc;
        let at = match self.streams.iter().position(|known| known.ssrc == ssrc) {
            Some(at) => at,
            None => match media::Incoming::discover(&mut self.rtc, ssrc) {
                Some(incoming) if self.streams.len() < media::INCOMING_MAX => {
                    self.streams.push(incoming);
                    self.streams.len() - 1
                }
                _ => return PeerOutput::Unusable,
            },
        };
        self.streams[at]
            .packet(&self.rtc, &self.sections, packet)
            .unwrap_or(PeerOutput::Unusable)
    }
}
