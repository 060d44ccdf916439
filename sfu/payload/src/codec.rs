//! Codecs, as everybody here names them.

/// The codecs that are known here. WebRTC carries all but AAC; players of HLS take H.264, VP9, AV1, Opus and AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodecKind {
    /// RFC 7587, 48 kHz.
    Opus,
    /// G.711 mu-law, RFC 3551, 8 kHz.
    Pcmu,
    /// G.711 A-law, RFC 3551, 8 kHz.
    Pcma,
    /// RFC 6184, 90 kHz.
    H264,
    /// RFC 7741, 90 kHz.
    Vp8,
    /// RFC 9628, 90 kHz.
    Vp9,
    /// The AV1 RTP payload format, 90 kHz.
    Av1,
    /// AAC-LC at 48 kHz, as files carry it and cameras send it (RFC 3640).
    Aac,
}

impl CodecKind {
    /// Whether this is a sound codec.
    #[inline]
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Opus | Self::Pcmu | Self::Pcma | Self::Aac)
    }

    /// The RTP clock in Hz.
    #[inline]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::Aac => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::H264 | Self::Vp8 | Self::Vp9 | Self::Av1 => 90_000,
        }
    }

    /// Whether frames are pictures.
    #[inline]
    pub fn is_video(self) -> bool {
        !self.is_audio()
    }

    /// Ticks per second of a whole frame's time, and of its track in files: the RTP clock, but for G.711, which becomes Opus.
    pub fn timescale(self) -> u32 {
        if self.is_video() { 90_000 } else { 48_000 }
    }

    /// The encoding name of the IANA registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Aac => "MPEG4-GENERIC",
        }
    }
}

/// A codec with what a receiver must know to choose a payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codec {
    /// Which.
    pub kind: CodecKind,
    /// H.264 only: `profile-level-id`, 24 bits, as negotiated or read from the SPS.
    pub h264_profile: Option<u32>,
    /// Opus only: whether the sender announced stereo.
    pub stereo: bool,
}
