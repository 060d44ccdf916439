//! A WebRTC client: str0m in RTP mode at an address, as publisher or viewer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelConfig;
use str0m::format::{Codec, FormatParams};
use str0m::media::{
    Direction, Frequency, KeyframeRequestKind, MediaKind, Mid, Simulcast, SimulcastLayer,
};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{Extension, ExtensionMap, RawPacket, rtcp::Rtcp};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use sfu::RoomId;

use crate::conference::Participant;
use crate::link::Link;
use crate::media::Video;
use crate::publisher::Publisher;
use crate::receiver::Format;
use crate::viewer::Viewer;

/// What a client negotiates.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `None`: all of them, as viewers offer.
    pub video: Option<Video>,
    pub has_video: bool,
    pub has_audio: bool,
    pub red: bool,
    pub rtx: bool,
    pub twcc: bool,
    pub rids: Vec<&'static str>,
    pub tcp: bool,
    /// Whether `abs-capture-time` is offered.
    pub capture_times: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            video: None,
            has_video: true,
            has_audio: true,
            red: false,
            rtx: true,
            twcc: true,
            rids: Vec::new(),
            tcp: false,
            capture_times: false,
        }
    }
}

impl Terms {
    /// As a participant negotiates.
    fn conference() -> Self {
        Self {
            video: Some(Video::Vp8),
            ..Self::default()
        }
    }

    fn config(&self, is_publisher: bool) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_raw_packets(is_publisher && !self.rtx);
        let mut extensions = ExtensionMap::empty();
        extensions.set(4, Extension::RtpMid);
        extensions.set(10, Extension::RtpStreamId);
        extensions.set(11, Extension::RepairedRtpStreamId);
        if self.twcc {
            extensions.set(3, Extension::TransportSequenceNumber);
        }
        if self.capture_times {
            extensions.set(7, Extension::AbsoluteCaptureTime);
        }
        config = config.set_extension_map(extensions);
        let codecs = config.codec_config();
        if self.has_audio {
            codecs.enable_opus(true, self.red);
        }
        let rtx = |pt: u8| self.rtx.then(|| pt.into());
        let wants = |codec| self.video.is_none_or(|video| video == codec);
        if wants(Video::H264) {
            codecs.add_h264(102.into(), rtx(103), true, 0x42_e0_1f);
        }
        let plain = [
            (Video::Vp8, 96, 97, Codec::Vp8),
            (Video::Vp9, 98, 99, Codec::Vp9),
            (Video::Av1, 45, 46, Codec::Av1),
        ];
        for (video, pt, resend, codec) in plain {
            if wants(video) {
                codecs.add_config(
                    pt.into(),
                    rtx(resend),
                    codec,
                    Frequency::NINETY_KHZ,
                    None,
                    FormatParams::default(),
                );
            }
        }
        config
    }
}

/// What the client is for.
#[derive(Debug)]
pub enum Part {
    Publisher(Box<Publisher>),
    Viewer(Box<Viewer>),
    Participant(Box<Participant>),
}

/// One client and its path to its worker.
pub struct Client {
    pub rtc: Rtc,
    /// Its own address, as it knows it.
    pub local: SocketAddr,
    /// Its address as the server sees it, behind a NAT.
    pub external: SocketAddr,
    pub rids: Vec<&'static str>,
    pub worker: usize,
    pub peer: sfu::PeerId,
    pub part: Part,
    pub up: Link,
    pub down: Link,
    pub deadline: Instant,
    wake: Instant,
    pub connected_at: Option<Instant>,
    pub is_closed: bool,
    /// A process that died: it neither reads nor writes.
    pub is_dead: bool,
    pub audio_mid: Option<Mid>,
    pub video_mid: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    answer: Option<String>,
    pub tcp: bool,
}

impl Client {
    /// A client with its SDP offer.
    pub fn new(now: Instant, address: SocketAddr, terms: &Terms, part: Part) -> (Self, String) {
        let is_publisher = matches!(part, Part::Publisher(_));
        let mut rtc = terms.config(is_publisher).build(now);
        rtc.add_local_candidate(candidate(address, terms.tcp));
        let mut api = rtc.sdp_api();
        let direction = if is_publisher {
            Direction::SendOnly
        } else {
            Direction::RecvOnly
        };
        let audio_mid = terms
            .has_audio
            .then(|| api.add_media(MediaKind::Audio, direction, None, None, None));
        let video_mid = terms.has_video.then(|| {
            let simulcast = (!terms.rids.is_empty()).then(|| Simulcast {
                send: terms
                    .rids
                    .iter()
                    .map(|rid| SimulcastLayer::new(rid))
                    .collect(),
                recv: Vec::new(),
            });
            api.add_media(MediaKind::Video, direction, None, None, simulcast)
        });
        let (offer, pending) = api.apply().expect("there are changes");
        let client = Self {
            audio_mid,
            video_mid,
            part,
            pending: Some(pending),
            ..Self::around(rtc, now, address, terms)
        };
        (client, offer.to_sdp_string())
    }

    /// What every client begins with.
    fn around(rtc: Rtc, now: Instant, address: SocketAddr, terms: &Terms) -> Self {
        Self {
            rtc,
            local: address,
            external: address,
            rids: terms.rids.clone(),
            worker: 0,
            peer: sfu::PeerId(0),
            part: Part::Viewer(Box::new(Viewer::new())),
            up: Link::default(),
            down: Link::default(),
            deadline: now,
            wake: now,
            connected_at: None,
            is_closed: false,
            is_dead: false,
            audio_mid: None,
            video_mid: None,
            pending: None,
            answer: None,
            tcp: terms.tcp,
        }
    }

    /// A participant with its first offer.
    pub fn join(
        now: Instant,
        base: Instant,
        address: SocketAddr,
        room: RoomId,
        channels: &[ChannelConfig],
    ) -> (Self, String) {
        let terms = Terms::conference();
        let mut config = terms.config(false);
        config.extension_map().set(1, Extension::AudioLevel);
        let mut rtc = config.build(now);
        rtc.add_local_candidate(candidate(address, false));
        let mut api = rtc.sdp_api();
        let mut participant = Participant::offer(base, room, &mut api);
        let channels = channels.iter().cloned();
        participant.channels = channels
            .map(|config| api.add_channel_with_config(config))
            .collect();
        let (offer, pending) = api.apply().expect("there are changes");
        let client = Self {
            part: Part::Participant(Box::new(participant)),
            pending: Some(pending),
            ..Self::around(rtc, now, address, &terms)
        };
        (client, offer.to_sdp_string())
    }

    /// Takes an offer of the server's, and the slots in it; returns the answer.
    pub fn take_offer(&mut self, offer: &str) -> String {
        let parsed = SdpOffer::from_sdp_string(offer).expect("the server's offer is SDP");
        let answer = self.rtc.sdp_api().accept_offer(parsed);
        let answer = answer.expect("the server's offer is acceptable");
        let mut slots = Vec::new();
        for section in offer.split("\r\nm=").skip(1) {
            let mid = section.lines().find_map(|line| line.strip_prefix("a=mid:"));
            // In the others the participant sends.
            if let Some(mid) = mid.filter(|_| section.contains("a=sendonly")) {
                slots.push((Mid::from(mid), section.starts_with("audio")));
            }
        }
        for (mid, is_audio) in slots {
            self.participant().add_slot(mid, is_audio);
        }
        answer.to_sdp_string()
    }

    /// An offer with another section; returns its name too.
    pub fn offer_another(&mut self, kind: MediaKind, direction: Direction) -> (Mid, String) {
        let mut api = self.rtc.sdp_api();
        let mid = api.add_media(kind, direction, None, None, None);
        let (offer, pending) = api.apply().expect("another section is a change");
        self.pending = Some(pending);
        (mid, offer.to_sdp_string())
    }

    /// Takes back an offer that was never sent.
    pub fn forget_offer(&mut self) {
        self.pending = None;
    }

    /// Whether an offer of its own waits for its answer.
    pub fn has_offered(&self) -> bool {
        self.pending.is_some()
    }

    /// A viewer that answers a counter-offer.
    pub fn answering(
        now: Instant,
        address: SocketAddr,
        terms: &Terms,
        part: Part,
        offer: &str,
    ) -> (Self, String) {
        let (mut client, _) = Self::new(now, address, terms, part);
        client.rtc = terms.config(false).build(now);
        client
            .rtc
            .add_local_candidate(candidate(address, terms.tcp));
        client.pending = None;
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        let answer = client.rtc.sdp_api().accept_offer(offer).unwrap();
        (client, answer.to_sdp_string())
    }

    pub fn take_answer(&mut self, answer: &str) {
        self.answer = Some(answer.to_owned());
        let answer = SdpAnswer::from_sdp_string(answer).expect("the server's answer is SDP");
        let pending = self.pending.take().expect("one answer per offer");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("the answer fits the offer");
    }

    /// The server's part of an ICE restart, put into its answer as a WHIP client does it.
    pub fn take_restart(&mut self, ufrag: &str, pwd: &str, candidates: &[String]) {
        let answer = self.answer.clone().expect("there was an answer");
        let mut restarted = String::new();
        for line in answer.lines() {
            let line = if line.starts_with("a=ice-ufrag:") {
                format!("a=ice-ufrag:{ufrag}")
            } else if line.starts_with("a=ice-pwd:") {
                format!("a=ice-pwd:{pwd}")
            } else {
                line.to_owned()
            };
            restarted.push_str(&line);
            restarted.push_str("\r\n");
        }
        assert!(!candidates.is_empty());
        self.take_answer(&restarted);
    }

    /// An offer with new credentials.
    pub fn restart_ice(&mut self) -> (String, String, String) {
        let mut api = self.rtc.sdp_api();
        let credentials = api.ice_restart(true);
        let (offer, pending) = api.apply().expect("a restart is a change");
        self.pending = Some(pending);
        (credentials.ufrag, credentials.pass, offer.to_sdp_string())
    }

    pub fn handle(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let proto = if self.tcp {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        let Ok(receive) = Receive::new(proto, source, self.local, bytes) else {
            return;
        };
        if self.rtc.handle_input(Input::Receive(now, receive)).is_err() {
            self.is_closed = true;
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.is_closed = true;
        }
    }

    /// Everything that the client wants to send.
    pub fn drain(&mut self, now: Instant, mut send: impl FnMut(&mut Link, SocketAddr, Vec<u8>)) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    if !self.rtc.is_alive() {
                        self.is_closed = true;
                    }
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    send(&mut self.up, transmit.destination, transmit.contents.into());
                }
                Ok(Output::Event(event)) => self.on_event(now, event),
                Err(error) => panic!("client {:?}: {error}", self.peer),
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected_at = Some(now),
            Event::Closed => self.is_closed = true,
            Event::RtpPacket(packet) => {
                let format = self.format(*packet.header.payload_type);
                match &mut self.part {
                    Part::Viewer(viewer) => viewer.on_packet(now, &packet, format),
                    Part::Participant(one) => one.on_packet(now, &mut self.rtc, &packet, format),
                    Part::Publisher(_) => {}
                }
            }
            Event::SenderFeedback(feedback) => {
                let is_audio = Some(feedback.mid) == self.audio_mid;
                if let Part::Viewer(viewer) = &mut self.part {
                    let info = feedback.sender_info;
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "RTP time is 32 bits on the wire"
                    )]
                    viewer.on_report(is_audio, info.ntp_time, info.rtp_time.numer() as u32);
                }
            }
            Event::KeyframeRequest(request) => match &mut self.part {
                Part::Publisher(publisher) => publisher.on_keyframe_request(request.rid),
                Part::Participant(one) => one.on_keyframe_request(request.mid, request.rid),
                Part::Viewer(_) => {}
            },
            Event::RawPacket(raw) => {
                if let (RawPacket::RtcpRx(Rtcp::Nack(nack)), Part::Publisher(publisher)) =
                    (*raw, &mut self.part)
                {
                    publisher.on_nack(*nack.ssrc, nack.reports.iter().copied());
                }
            }
            Event::ChannelData(data) => {
                let heard = (now, data.id, data.data);
                self.participant().heard.push(heard);
            }
            Event::ChannelOpen(id, _) => self.participant().opened.push(id),
            Event::ChannelClose(id) => self.participant().closed.push(id),
            _ => {}
        }
    }

    fn format(&self, payload_type: u8) -> Format {
        let is = |pt: Option<str0m::media::Pt>| pt.is_some_and(|pt| *pt == payload_type);
        let params = self.rtc.codec_config().params().iter();
        for params in params {
            if is(params.red()) {
                return Format::Red;
            }
            if is(Some(params.pt())) {
                return match params.spec().codec {
                    Codec::Opus => Format::Opus,
                    Codec::H264 => Format::Video(Video::H264),
                    Codec::Vp8 => Format::Video(Video::Vp8),
                    Codec::Vp9 => Format::Video(Video::Vp9),
                    Codec::Av1 => Format::Video(Video::Av1),
                    other => panic!("a viewer was sent {other:?}"),
                };
            }
        }
        panic!("a viewer was sent the unknown payload type {payload_type}");
    }

    /// Does what time brings; asks for the keyframes that are missing.
    pub fn look(&mut self, now: Instant) {
        let missing = match &mut self.part {
            Part::Viewer(viewer) => {
                let wants = viewer.look(now);
                self.video_mid.filter(|_| wants).into_iter().collect()
            }
            Part::Participant(one) => one.look(now),
            Part::Publisher(_) => Vec::new(),
        };
        for mid in missing {
            self.ask_keyframe(mid);
        }
    }

    fn ask_keyframe(&mut self, mid: Mid) {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    pub fn viewer(&self) -> &Viewer {
        match &self.part {
            Part::Viewer(viewer) => viewer,
            Part::Publisher(_) | Part::Participant(_) => panic!("this is no viewer"),
        }
    }

    pub fn viewer_mut(&mut self) -> &mut Viewer {
        match &mut self.part {
            Part::Viewer(viewer) => viewer,
            Part::Publisher(_) | Part::Participant(_) => panic!("this is no viewer"),
        }
    }

    pub fn publisher(&mut self) -> &mut Publisher {
        match &mut self.part {
            Part::Publisher(publisher) => publisher,
            Part::Viewer(_) | Part::Participant(_) => panic!("this is no publisher"),
        }
    }

    pub fn participant(&mut self) -> &mut Participant {
        match &mut self.part {
            Part::Participant(participant) => participant,
            Part::Viewer(_) | Part::Publisher(_) => panic!("this is no participant"),
        }
    }

    pub fn in_conference(&self) -> Option<&Participant> {
        match &self.part {
            Part::Participant(participant) => Some(participant),
            Part::Viewer(_) | Part::Publisher(_) => None,
        }
    }

    /// When the client wants to do something by itself.
    pub fn next(&self) -> Option<Instant> {
        (!self.is_dead && !self.is_closed).then_some(self.wake)
    }

    /// Works out [`Self::next`], after everything that changes it.
    pub fn plan_wake(&mut self) {
        let own = match &self.part {
            Part::Publisher(publisher) if self.connected_at.is_some() => publisher.next(),
            Part::Viewer(viewer) => viewer.next(),
            Part::Participant(one) if self.connected_at.is_some() => one.next(),
            Part::Publisher(_) | Part::Participant(_) => None,
        };
        self.wake = own.map_or(self.deadline, |own| own.min(self.deadline));
    }
}

fn candidate(address: SocketAddr, tcp: bool) -> Candidate {
    let built = if tcp {
        Candidate::builder()
            .tcp()
            .host(address)
            .tcptype(TcpType::Active)
            .build()
    } else {
        Candidate::builder().udp().host(address).build()
    };
    built.expect("a usable address")
}

/// A picture's age may be this much when a viewer counts as live.
pub const LIVE: Duration = Duration::from_millis(200);
