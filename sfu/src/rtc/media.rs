//! Between str0m's media types and ours.

use std::ops::Deref;
use std::sync::Arc;

use payload::inspect::dependency::{self, Structure};
use payload::inspect::inspect;
use payload::red;
use payload::{Codec, CodecKind};
use str0m::Rtc;
use str0m::format::{Codec as RtcCodec, PayloadParams};
use str0m::media::{Rids, SenderFeedback};
use str0m::rtp::{RtpPacket, Ssrc, Vp8Descriptor, Vp8Patch};

use super::{Mid, PeerOutput, Rid, extensions};
use crate::packet::MediaPacket;

/// SSRCs that one publisher may send: audio, and three layers that changed their SSRC a few times.
pub(super) const INCOMING_MAX: usize = 32;

/// One negotiated m-section with media.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) mid: Mid,
    pub(crate) is_audio: bool,
    /// The remote side may send here.
    pub(crate) receives: bool,
    /// We may send here.
    pub(crate) sends: bool,
    /// Simulcast layers that the remote side announced, in its order.
    pub(crate) rids: Vec<Rid>,
    /// The remote side said that its Opus has two channels.
    pub(crate) is_stereo: bool,
}

/// All of a peer's sections.
#[derive(Debug, Default)]
pub(crate) struct Sections(Vec<Section>);

impl Sections {
    /// Notes the sections of an answer of ours that were not refused. str0m tells of them only once the connection is up.
    pub(super) fn learn(&mut self, rtc: &Rtc, answer: &str) {
        // A section whose line was stopped and given to another is gone.
        self.0.retain(|section| rtc.media(section.mid).is_some());
        for name in super::sdp::mids(answer) {
            let mid = Mid::from(name);
            let Some(media) = rtc.media(mid).filter(|media| !media.disabled()) else {
                continue;
            };
            let section = Section {
                mid,
                is_audio: media.kind().is_audio(),
                receives: media.direction().is_receiving(),
                sends: media.direction().is_sending(),
                rids: match media.rids_rx() {
                    Rids::Specific(rids) => rids.clone(),
                    Rids::None | Rids::Any => Vec::new(),
                },
                is_stereo: false,
            };
            match self.0.iter_mut().find(|known| known.mid == mid) {
                Some(known) => *known = section,
                None => self.0.push(section),
            }
        }
    }

    /// Notes in which sections an offer has two channels to send.
    pub(super) fn learn_stereo<'a>(&mut self, mids: impl IntoIterator<Item = &'a str>) {
        let mids: Vec<Mid> = mids.into_iter().map(Mid::from).collect();
        for section in &mut self.0 {
            section.is_stereo = mids.contains(&section.mid);
        }
    }

    /// Takes sections back that were offered in vain.
    pub(super) fn forget(&mut self, mids: &[Mid]) {
        self.0.retain(|section| !mids.contains(&section.mid));
    }

    /// A section that we offered to send in.
    pub(super) fn add_own(&mut self, mid: Mid, is_audio: bool) {
        self.0.push(Section {
            mid,
            is_audio,
            receives: false,
            sends: true,
            rids: Vec::new(),
            is_stereo: false,
        });
    }
}

impl Deref for Sections {
    type Target = [Section];

    fn deref(&self) -> &[Section] {
        &self.0
    }
}

fn codec_kind(codec: RtcCodec) -> Option<CodecKind> {
    Some(match codec {
        RtcCodec::Opus => CodecKind::Opus,
        RtcCodec::PCMU => CodecKind::Pcmu,
        RtcCodec::PCMA => CodecKind::Pcma,
        RtcCodec::H264 => CodecKind::H264,
        RtcCodec::Vp8 => CodecKind::Vp8,
        RtcCodec::Vp9 => CodecKind::Vp9,
        RtcCodec::Av1 => CodecKind::Av1,
        _ => return None,
    })
}

fn codec(params: &PayloadParams, is_stereo: bool) -> Option<Codec> {
    let spec = params.spec();
    let kind = codec_kind(spec.codec)?;
    Some(Codec {
        kind,
        h264_profile: spec
            .format
            .profile_level_id
            .filter(|_| kind == CodecKind::H264),
        // str0m keeps what we would accept, not what was offered.
        stereo: kind == CodecKind::Opus && is_stereo,
    })
}

/// Under which payload types a codec is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PayloadTypes {
    main: u8,
    red: Option<u8>,
}

impl PayloadTypes {
    /// Payload type and payload for a packet that is, or is not, redundant audio.
    pub(super) fn choose(self, is_red: bool, payload: Arc<[u8]>) -> (u8, Arc<[u8]>) {
        match (is_red, self.red) {
            (false, _) => (self.main, payload),
            (true, Some(red)) => (red, payload),
            // A copy of some 100 bytes, only for a viewer without redundancy beside a publisher with it.
            (true, None) => match red::primary(&payload) {
                Some(range) => (self.main, Arc::from(&payload[range])),
                None => (self.main, payload),
            },
        }
    }
}

/// The best payload type that section `mid` has for `codec`.
pub(super) fn payload_types(rtc: &Rtc, mid: Mid, codec: Codec) -> Option<PayloadTypes> {
    let accepted = rtc.media(mid)?.remote_pts();
    let score = |params: &PayloadParams| {
        let format = params.spec().format;
        let same_profile = match (format.profile_level_id, codec.h264_profile) {
            // The same profile_idc; constraint flags and level only describe.
            (Some(ours), Some(theirs)) => ours >> 16 == theirs >> 16,
            _ => true,
        };
        // Profile 0 before others: bit depth is a property of the stream that the receiver's decoder finds out.
        let base = format.profile_id.unwrap_or(0) == 0;
        (format.packetization_mode == Some(1), same_profile, base)
    };
    rtc.codec_config()
        .params()
        .iter()
        .filter(|params| accepted.contains(&params.pt()))
        .filter(|params| codec_kind(params.spec().codec) == Some(codec.kind))
        .max_by_key(|params| score(params))
        .map(|params| PayloadTypes {
            main: *params.pt(),
            red: params.red().map(|pt| *pt),
        })
}

/// Whether a picture of more than one packet may be sent under these types: not as H.264 in packetization mode 0.
pub(super) fn takes_fragments(rtc: &Rtc, types: PayloadTypes) -> bool {
    let params = rtc.codec_config().params();
    let mut named = params.iter().filter(|params| *params.pt() == types.main);
    named.all(|params| params.spec().format.packetization_mode != Some(0))
}

pub(super) fn vp8_patch(
    payload: &[u8],
    picture_id: u16,
    tl0_pic_idx: Option<u8>,
) -> Option<Vp8Patch> {
    let mut patch = Vp8Descriptor::parse(payload)
        .ok()?
        .patch()
        .picture_id(picture_id);
    if let Some(index) = tl0_pic_idx {
        patch = patch.tl0_pic_idx(index);
    }
    patch.build().ok()
}

pub(super) fn sender_report(feedback: &SenderFeedback) -> PeerOutput {
    let info = &feedback.sender_info;
    let ntp_us = info
        .ntp_time
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "RTP time is 32 bits on the wire"
    )]
    PeerOutput::SenderReport {
        mid: feedback.mid,
        rid: feedback.rid,
        ntp_us,
        timestamp: info.rtp_time.numer() as u32,
    }
}

/// One SSRC of a publisher.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) ssrc: u32,
    mid: Mid,
    rid: Option<Rid>,
    /// The payload type seen last, and what it means.
    payload_type: Option<(u8, Codec, bool)>,
    /// What its dependency descriptors refer to.
    structure: Option<Structure>,
}

impl Incoming {
    /// Finds out which section and layer a new SSRC belongs to.
    pub(super) fn discover(rtc: &mut Rtc, ssrc: u32) -> Option<Self> {
        let mut api = rtc.direct_api();
        let stream = api.stream_rx(&Ssrc::from(ssrc))?;
        // Without an RTX stream str0m asks for nothing. OBS and others repair on the same SSRC, so ask all the same.
        stream.suppress_nack(false);
        Some(Self {
            ssrc,
            mid: stream.mid(),
            rid: stream.rid(),
            payload_type: None,
            structure: None,
        })
    }

    fn codec(&mut self, rtc: &Rtc, sections: &Sections, payload_type: u8) -> Option<(Codec, bool)> {
        if let Some((known, codec, red)) = self.payload_type
            && known == payload_type
        {
            return Some((codec, red));
        }
        let is = |pt: Option<str0m::media::Pt>| pt.is_some_and(|pt| *pt == payload_type);
        let params = rtc
            .codec_config()
            .params()
            .iter()
            .find(|params| is(Some(params.pt())) || is(params.red()))?;
        let section = sections.iter().find(|section| section.mid == self.mid);
        let codec = codec(params, section.is_some_and(|section| section.is_stereo))?;
        let red = is(params.red());
        self.payload_type = Some((payload_type, codec, red));
        Some((codec, red))
    }

    pub(super) fn packet(
        &mut self,
        rtc: &Rtc,
        sections: &Sections,
        packet: RtpPacket,
    ) -> Option<PeerOutput> {
        // Padding, which probes for bandwidth on some senders' own SSRC, is for whoever counts sequence numbers.
        if packet.payload.len() > crate::FORWARD_PAYLOAD_MAX {
            return None;
        }
        let (codec, red) = self.codec(rtc, sections, *packet.header.payload_type)?;
        let values = &packet.header.ext_vals;
        let mut inspection = inspect(codec.kind, &packet.payload);
        // Other codecs say in their payloads what is needed, and receivers believe a descriptor before that.
        let described = extensions::dependency(values).filter(|_| codec.kind == CodecKind::Av1);
        let described = described.and_then(|dependency| {
            let read = dependency::read(&dependency.bytes, &mut self.structure)?;
            if let Some(frame) = read.frame {
                inspection.describe(frame);
            }
            Some(dependency)
        });
        let length = packet.payload.len() + described.as_ref().map_or(0, |one| one.bytes.len());
        if length > crate::FORWARD_PAYLOAD_MAX {
            return None;
        }
        Some(PeerOutput::Packet {
            mid: self.mid,
            rid: self.rid,
            codec,
            packet: MediaPacket {
                sequence: *packet.seq_no,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                arrival: packet.timestamp,
                wallclock: packet.timestamp,
                red,
                audio_level: extensions::audio_level(values),
                orientation: extensions::orientation(values),
                captured_us: extensions::captured_us(values),
                dependency: described,
                inspection,
                ahead: std::time::Duration::ZERO,
                payload: packet.payload,
            },
        })
    }
}
