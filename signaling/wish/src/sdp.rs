//! A first look at an SDP body, before it reaches a media thread.
//!
//! It finds out whether this is SDP of a WebRTC session at all, and lists what it offers so that a refusal can say it. What can
//! be negotiated is decided elsewhere.

use std::fmt;

use crate::text::{Line, attribute, excerpt, is_ice_word, lines};

/// Longest body in bytes. Chromium's largest offer with every codec and three layers is 12 kB.
pub const SDP_MAX: usize = 64 * 1024;
/// Longest line in bytes.
pub const LINE_MAX: usize = 4096;
/// Lines in a body: [`SDP_MAX`] at 16 bytes each.
pub const LINES_MAX: usize = 4096;
/// `m=` sections, far above what one stream needs: every one of them costs the media thread time.
pub const MEDIA_MAX: usize = 32;

/// Why a body is no SDP that a session could begin with. HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Nothing there.
    #[error("the body is empty; send an SDP offer")]
    Empty,
    /// One of the `*_MAX` of this module.
    #[error("the SDP has more than {limit} {of}")]
    TooLarge {
        /// What there is too much of.
        of: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// SDP is UTF-8 (RFC 8866 section 5) and has no NUL.
    #[error("the body is not text; send an SDP offer in UTF-8")]
    NotText,
    /// It does not begin with `v=0`.
    #[error("the body does not begin with v=0 but with {0:?}; send an SDP offer")]
    NotSdp(String),
    /// A line that is not `x=value`, or an `m=` line that is not one.
    #[error("line {number} of the SDP cannot be read: {line:?}")]
    Line {
        /// Counted from one.
        number: usize,
        /// Its start.
        line: String,
    },
    /// No `m=` line.
    #[error("the SDP has no m= section; offer audio, video or both")]
    NoMedia,
    /// What every WebRTC session has.
    #[error("the SDP has no a={0} line; offer a WebRTC session (ICE, DTLS)")]
    Missing(&'static str),
    /// Not a hash function and the bytes of a hash in hexadecimal (RFC 8122 section 5).
    #[error("the a=fingerprint line {0:?} is not a hash function and pairs of hexadecimal digits")]
    Fingerprint(String),
    /// User fragment or password of impossible length or characters.
    #[error("the {0} of the SDP is not 4 (ice-pwd: 22) to 256 printable characters")]
    Credentials(&'static str),
}

/// Why an offer that is SDP cannot be what was asked for. HTTP 422 for WHIP; WHEP answers with an offer of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A publisher must send something.
    #[error("no audio or video section is sendonly or sendrecv; a publisher has to send ({0})")]
    SendsNothing(String),
    /// A viewer must receive something.
    #[error("no audio or video section is recvonly or sendrecv; a viewer has to receive ({0})")]
    ReceivesNothing(String),
    /// RFC 9725 section 4.4.2: a section that cannot be used refuses the whole offer.
    #[error("{kind} cannot be accepted with these codecs; use one of {known} ({offered})")]
    NoCodec {
        /// Sound or picture.
        kind: MediaKind,
        /// What could be.
        known: String,
        /// The offer in short.
        offered: String,
    },
    /// RFC 9725 section 4.4.2: at most one of each.
    #[error(
        "the offer sends {count} {kind} sections; one stream has at most one audio and one video, so publish each camera as a stream of its own ({offered})"
    )]
    TooMany {
        /// How many.
        count: usize,
        /// Of what.
        kind: MediaKind,
        /// The offer in short.
        offered: String,
    },
}

/// The first word of an `m=` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
    /// A data channel.
    Application,
    /// Anything else.
    Other,
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other => "other",
        })
    }
}

/// Which way media flows, seen from the offerer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways; what no attribute means.
    #[default]
    SendRecv,
    /// From the offerer.
    SendOnly,
    /// To the offerer.
    RecvOnly,
    /// Not at all.
    Inactive,
}

impl Direction {
    fn parse(value: &str) -> Option<Self> {
        Some(match value.trim() {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    /// Whether the offerer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the offerer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        })
    }
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSection<'a> {
    /// Audio, video or something else.
    pub kind: MediaKind,
    /// Switched off with port 0 and without `a=bundle-only`.
    pub rejected: bool,
    /// `a=mid`.
    pub mid: Option<&'a str>,
    /// Which way.
    pub direction: Direction,
    /// Encoding names of `a=rtpmap`, each once, in order of preference, without `rtx`, `red`, `ulpfec` and the like.
    pub codecs: Vec<&'a str>,
    formats: &'a str,
    port_zero: bool,
    bundle_only: bool,
}

/// What an SDP body contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The first `a=ice-ufrag`.
    pub ufrag: &'a str,
    /// `a=ice-lite`.
    pub ice_lite: bool,
    /// The value of `a=ice-options`.
    pub ice_options: Option<&'a str>,
    /// In order.
    pub media: Vec<MediaSection<'a>>,
}

/// Looks a body over.
///
/// # Errors
/// Anything that is not the SDP of a WebRTC session, or more of it than the limits of this module.
pub fn inspect(body: &[u8]) -> Result<Summary<'_>, SdpError> {
    let too_large = |of, limit| SdpError::TooLarge { of, limit };
    if body.len() > SDP_MAX {
        return Err(too_large("bytes", SDP_MAX));
    }
    let text = std::str::from_utf8(body).map_err(|_| SdpError::NotText)?;
    if text.contains('\0') {
        return Err(SdpError::NotText);
    }
    if text.trim().is_empty() {
        return Err(SdpError::Empty);
    }
    if text.lines().next().map(str::trim_end) != Some("v=0") {
        return Err(SdpError::NotSdp(excerpt(text.trim_start())));
    }
    let mut look = Look::default();
    for (index, line) in lines(text).enumerate() {
        let line = line.map_err(|(number, line)| SdpError::Line { number, line })?;
        if index >= LINES_MAX {
            return Err(too_large("lines", LINES_MAX));
        }
        if line.value.len() > LINE_MAX {
            return Err(too_large("bytes in a line", LINE_MAX));
        }
        match line.kind {
            'm' if look.media.len() == MEDIA_MAX => {
                return Err(too_large("m= sections", MEDIA_MAX));
            }
            'm' => look.media.push(media_line(&line, look.direction)?),
            'a' => look.attribute(line.value),
            _ => {}
        }
    }
    look.finish()
}

#[derive(Default)]
struct Look<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    fingerprint: Option<&'a str>,
    ice_lite: bool,
    ice_options: Option<&'a str>,
    direction: Direction,
    media: Vec<MediaSection<'a>>,
}

impl<'a> Look<'a> {
    fn attribute(&mut self, value: &'a str) {
        if let Some(direction) = Direction::parse(value) {
            match self.media.last_mut() {
                Some(section) => section.direction = direction,
                None => self.direction = direction,
            }
        } else if let Some(ufrag) = attribute(value, "ice-ufrag") {
            self.ufrag.get_or_insert(ufrag);
        } else if let Some(pwd) = attribute(value, "ice-pwd") {
            self.pwd.get_or_insert(pwd);
        } else if let Some(fingerprint) = attribute(value, "fingerprint") {
            self.fingerprint.get_or_insert(fingerprint);
        } else if attribute(value, "ice-lite").is_some() {
            self.ice_lite = true;
        } else if let Some(options) = attribute(value, "ice-options") {
            self.ice_options.get_or_insert(options);
        } else if let Some(section) = self.media.last_mut() {
            section.attribute(value);
        }
    }

    fn finish(mut self) -> Result<Summary<'a>, SdpError> {
        if self.media.is_empty() {
            return Err(SdpError::NoMedia);
        }
        let ufrag = self.ufrag.ok_or(SdpError::Missing("ice-ufrag"))?;
        let pwd = self.pwd.ok_or(SdpError::Missing("ice-pwd"))?;
        let fingerprint = self.fingerprint.ok_or(SdpError::Missing("fingerprint"))?;
        if !is_fingerprint(fingerprint) {
            return Err(SdpError::Fingerprint(excerpt(fingerprint)));
        }
        if !is_ice_word(ufrag, 4) {
            return Err(SdpError::Credentials("ice-ufrag"));
        }
        if !is_ice_word(pwd, 22) {
            return Err(SdpError::Credentials("ice-pwd"));
        }
        for section in &mut self.media {
            section.rejected = section.port_zero && !section.bundle_only;
            section.add_static_codecs();
        }
        Ok(Summary {
            ufrag,
            ice_lite: self.ice_lite,
            ice_options: self.ice_options,
            media: self.media,
        })
    }
}

impl<'a> MediaSection<'a> {
    fn attribute(&mut self, value: &'a str) {
        if let Some(mid) = attribute(value, "mid") {
            self.mid = Some(mid);
        } else if attribute(value, "bundle-only").is_some() {
            self.bundle_only = true;
        } else if let Some(codec) = attribute(value, "rtpmap").and_then(encoding_name) {
            let is_helper = [
                "rtx",
                "red",
                "ulpfec",
                "flexfec-03",
                "cn",
                "telephone-event",
            ]
            .iter()
            .any(|helper| helper.eq_ignore_ascii_case(codec));
            if !is_helper
                && !self
                    .codecs
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(codec))
            {
                self.codecs.push(codec);
            }
        }
    }

    /// Static payload types need no rtpmap (RFC 3551 section 6).
    fn add_static_codecs(&mut self) {
        for (format, codec) in [("0", "PCMU"), ("8", "PCMA")] {
            let mut formats = self.formats.split_ascii_whitespace().skip(3);
            let is_offered =
                self.kind == MediaKind::Audio && formats.any(|offered| offered == format);
            if is_offered
                && !self
                    .codecs
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(codec))
            {
                self.codecs.push(codec);
            }
        }
    }

    fn is_av(&self) -> bool {
        !self.rejected && matches!(self.kind, MediaKind::Audio | MediaKind::Video)
    }
}

impl Summary<'_> {
    /// Whether a publisher can offer this to a server that takes `known` codecs (encoding names; case does not matter).
    ///
    /// # Errors
    /// It sends nothing, more than one audio or one video, or a section without a known codec.
    pub fn check_publisher(&self, known: &[&str]) -> Result<(), Unusable> {
        let sends = |section: &&MediaSection<'_>| section.is_av() && section.direction.sends();
        if !self.media.iter().any(|section| sends(&section)) {
            return Err(Unusable::SendsNothing(self.to_string()));
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let sections = self.media.iter().filter(sends);
            let count = sections.filter(|section| section.kind == kind).count();
            if count > 1 {
                return Err(Unusable::TooMany {
                    count,
                    kind,
                    offered: self.to_string(),
                });
            }
        }
        let is_known = |codec: &str| known.iter().any(|known| known.eq_ignore_ascii_case(codec));
        let unknown = self
            .media
            .iter()
            .filter(sends)
            .find(|section| !section.codecs.iter().any(|codec| is_known(codec)));
        match unknown {
            Some(section) => Err(Unusable::NoCodec {
                kind: section.kind,
                known: known.join(", "),
                offered: self.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The first section of this offer that wants to send and that `answer` does not take.
    pub fn refused_by(&self, answer: &Summary<'_>) -> Option<MediaKind> {
        let taken = |index: usize| {
            let section = answer.media.get(index);
            section.is_some_and(|section| !section.rejected && section.direction.receives())
        };
        let wanted = self
            .media
            .iter()
            .enumerate()
            .filter(|(_, section)| section.is_av() && section.direction.sends());
        wanted
            .filter(|(index, _)| !taken(*index))
            .map(|(_, section)| section.kind)
            .next()
    }

    /// Whether a viewer can offer this.
    ///
    /// # Errors
    /// It receives nothing.
    pub fn check_viewer(&self) -> Result<(), Unusable> {
        let receives = |section: &MediaSection<'_>| section.is_av() && section.direction.receives();
        if !self.media.iter().any(receives) {
            return Err(Unusable::ReceivesNothing(self.to_string()));
        }
        Ok(())
    }
}

impl fmt::Display for Summary<'_> {
    /// In short, for an error message: `audio sendonly opus; video sendonly H264 VP8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, section) in self.media.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} ", section.kind)?;
            if section.rejected {
                f.write_str("off")?;
            } else {
                write!(f, "{}", section.direction)?;
            }
            for codec in section.codecs.iter().take(8) {
                write!(f, " {codec}")?;
            }
        }
        Ok(())
    }
}

fn media_line<'a>(line: &Line<'a>, direction: Direction) -> Result<MediaSection<'a>, SdpError> {
    let bad = || SdpError::Line {
        number: line.number,
        line: excerpt(&format!("m={}", line.value)),
    };
    let mut words = line.value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(_protocol)) = (words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let port: u16 = port
        .split('/')
        .next()
        .and_then(|port| port.parse().ok())
        .ok_or_else(bad)?;
    Ok(MediaSection {
        kind: match kind {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            "application" => MediaKind::Application,
            _ => MediaKind::Other,
        },
        rejected: false,
        mid: None,
        direction,
        codecs: Vec::new(),
        formats: line.value,
        port_zero: port == 0,
        bundle_only: false,
    })
}

/// `sha-256 6B:8E:...`, with at least the 16 bytes of the shortest hash in use.
fn is_fingerprint(value: &str) -> bool {
    let Some((_, hash)) = value.split_once(' ') else {
        return false;
    };
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut pairs = hash.trim().split(':');
    pairs.clone().count() >= 16 && pairs.all(is_pair)
}

/// `96 H264/90000` -> `H264`, only if it can stand in an error message.
fn encoding_name(rtpmap: &str) -> Option<&str> {
    let (_, encoding) = rtpmap.split_once(' ')?;
    let name = encoding.trim().split('/').next()?;
    let is_name = !name.is_empty()
        && name.len() <= 32
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_name.then_some(name)
}
