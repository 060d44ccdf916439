//! `application/trickle-ice-sdpfrag`, RFC 8840 section 9, as WHIP and WHEP send it in `PATCH`.
//!
//! A fragment carries ICE credentials and candidates and nothing else of a session. Real clients put the credentials at
//! session level (early drafts and several libraries) or below an `m=` line (RFC 9725); both are read.

use std::fmt;

use crate::text::{Line, attribute, excerpt, is_ice_word, lines};

/// Longest fragment in bytes. A browser with six network interfaces sends 4 kB.
pub const FRAGMENT_MAX: usize = 16 * 1024;
/// Longest line in bytes.
pub const LINE_MAX: usize = 1024;
/// Candidates in one fragment; also [`FRAGMENT_MAX`] divided by the shortest real candidate, roughly.
pub const CANDIDATES_MAX: usize = 128;
/// `m=` lines in one fragment.
pub const MEDIA_MAX: usize = 16;

/// Why a fragment cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// No line at all.
    #[error(
        "the body is empty; send ICE candidates or new ICE credentials as RFC 8840 writes them"
    )]
    Empty,
    /// One of the `*_MAX` of this module.
    #[error("the fragment has more than {limit} {of}")]
    TooLarge {
        /// What there is too much of.
        of: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// SDP is UTF-8.
    #[error("the fragment is not UTF-8 text")]
    NotText,
    /// A line that is neither `a=...` nor `m=...`, or an attribute with a value that it cannot have.
    #[error("line {number} of the fragment cannot be read: {line:?}")]
    Line {
        /// Counted from one.
        number: usize,
        /// Its start.
        line: String,
    },
    /// `a=ice-ufrag` without `a=ice-pwd` or the reverse.
    #[error("ice-ufrag and ice-pwd must come together")]
    HalfCredentials,
    /// Sections of one bundle with different credentials.
    #[error(
        "the sections have different ICE credentials; all media of a session is bundled and has one pair"
    )]
    Conflicting,
}

/// One side's ICE user fragment and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters.
    pub pwd: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password signs connectivity checks: it stays out of logs.
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// What is said of one `m=` line, or at session level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// What follows `m=`; empty at session level.
    pub line: String,
    /// `a=mid`.
    pub mid: Option<String>,
    /// ICE credentials given here.
    pub credentials: Option<Credentials>,
    /// Attribute values, each beginning with `candidate:`.
    pub candidates: Vec<String>,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
}

/// A whole fragment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `a=ice-lite`.
    pub ice_lite: bool,
    /// The value of `a=ice-options`.
    pub ice_options: Option<String>,
    /// The value of `a=group`, `BUNDLE 0 1`.
    pub group: Option<String>,
    /// What stands before the first `m=` line. Its `line` and `mid` are empty.
    pub session: Section,
    /// One for each `m=` line.
    pub media: Vec<Section>,
}

impl Fragment {
    /// Reads a request body. Unknown attributes are ignored (RFC 8840 section 9.2).
    ///
    /// # Errors
    /// Anything that is not such a fragment, or more of it than the limits of this module.
    pub fn parse(body: &[u8]) -> Result<Self, FragmentError> {
        let too_large = |of, limit| FragmentError::TooLarge { of, limit };
        if body.len() > FRAGMENT_MAX {
            return Err(too_large("bytes", FRAGMENT_MAX));
        }
        let text = std::str::from_utf8(body).map_err(|_| FragmentError::NotText)?;
        let mut fragment = Self::default();
        let mut half = HalfCredentials::default();
        let mut is_empty = true;
        let mut candidates = 0;
        for line in lines(text) {
            let line = line.map_err(|(number, line)| FragmentError::Line { number, line })?;
            is_empty = false;
            if line.value.len() > LINE_MAX {
                return Err(too_large("bytes in a line", LINE_MAX));
            }
            match line.kind {
                'm' => {
                    half.close()?;
                    if fragment.media.len() == MEDIA_MAX {
                        return Err(too_large("m= lines", MEDIA_MAX));
                    }
                    fragment.media.push(Section {
                        line: line.value.trim().to_owned(),
                        ..Section::default()
                    });
                }
                'a' => {
                    fragment.attribute(&line, &mut half)?;
                    candidates += usize::from(line.value.starts_with("candidate:"));
                    if candidates > CANDIDATES_MAX {
                        return Err(too_large("candidates", CANDIDATES_MAX));
                    }
                }
                _ => return Err(bad(&line)),
            }
        }
        half.close()?;
        if is_empty {
            return Err(FragmentError::Empty);
        }
        Ok(fragment)
    }

    fn attribute(
        &mut self,
        line: &Line<'_>,
        half: &mut HalfCredentials,
    ) -> Result<(), FragmentError> {
        let in_session = self.media.is_empty();
        let section = self.media.last_mut().unwrap_or(&mut self.session);
        let value = line.value;
        if let Some(rest) = attribute(value, "candidate") {
            // Nothing is how browsers' scripts say that there are no more.
            if rest.is_empty() {
                section.end_of_candidates = true;
            } else if is_candidate(rest) {
                section.candidates.push(value.trim().to_owned());
            } else {
                return Err(bad(line));
            }
        } else if attribute(value, "end-of-candidates").is_some() {
            section.end_of_candidates = true;
        } else if let Some(ufrag) = attribute(value, "ice-ufrag") {
            if !is_ice_word(ufrag, 4) || half.ufrag.replace(ufrag.to_owned()).is_some() {
                return Err(bad(line));
            }
        } else if let Some(pwd) = attribute(value, "ice-pwd") {
            if !is_ice_word(pwd, 22) || half.pwd.replace(pwd.to_owned()).is_some() {
                return Err(bad(line));
            }
        } else if let Some(mid) = attribute(value, "mid") {
            if in_session || mid.is_empty() || !mid.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(bad(line));
            }
            section.mid = Some(mid.to_owned());
        } else if attribute(value, "ice-lite").is_some() {
            self.ice_lite = true;
        } else if let Some(options) = attribute(value, "ice-options") {
            self.ice_options = Some(options.to_owned());
        } else if let Some(group) = attribute(value, "group") {
            self.group = Some(group.to_owned());
        }
        half.give(section)
    }

    /// The sender's credentials: the same at every place where they stand, as everything is bundled.
    ///
    /// # Errors
    /// [`FragmentError::Conflicting`] if they differ.
    pub fn credentials(&self) -> Result<Option<&Credentials>, FragmentError> {
        let mut all = self
            .sections()
            .filter_map(|section| section.credentials.as_ref());
        let first = all.next();
        if all.any(|other| Some(other) != first) {
            return Err(FragmentError::Conflicting);
        }
        Ok(first)
    }

    /// Every candidate in order, each once: clients repeat them for every `m=` line of a bundle.
    pub fn candidates(&self) -> Vec<String> {
        let mut unique: Vec<String> = Vec::new();
        for candidate in self.sections().flat_map(|section| &section.candidates) {
            if !unique.contains(candidate) {
                unique.push(candidate.clone());
            }
        }
        unique
    }

    /// Whether the sender has no more candidates.
    pub fn is_end_of_candidates(&self) -> bool {
        self.sections().any(|section| section.end_of_candidates)
    }

    fn sections(&self) -> impl Iterator<Item = &Section> {
        std::iter::once(&self.session).chain(&self.media)
    }
}

impl fmt::Display for Fragment {
    /// As it travels, with CR LF.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if let Some(options) = &self.ice_options {
            write!(f, "a=ice-options:{options}\r\n")?;
        }
        if let Some(group) = &self.group {
            write!(f, "a=group:{group}\r\n")?;
        }
        for section in self.sections() {
            if !section.line.is_empty() {
                write!(f, "m={}\r\n", section.line)?;
            }
            if let Some(mid) = &section.mid {
                write!(f, "a=mid:{mid}\r\n")?;
            }
            if let Some(Credentials { ufrag, pwd }) = &section.credentials {
                write!(f, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n")?;
            }
            for candidate in &section.candidates {
                write!(f, "a={candidate}\r\n")?;
            }
            if section.end_of_candidates {
                f.write_str("a=end-of-candidates\r\n")?;
            }
        }
        Ok(())
    }
}

/// Whether what follows `candidate:` has the shape of RFC 8839 section 5.1, whatever its address: `1 1 udp 2122260223 192.0.2.1 61764
/// typ host`, and extensions.
fn is_candidate(rest: &str) -> bool {
    let mut words = rest.split_ascii_whitespace();
    let mut is_next = |is_so: &dyn Fn(&str) -> bool| words.next().is_some_and(is_so);
    !rest.chars().any(char::is_control)
        && is_next(&|foundation| is_ice_word(foundation, 1))
        && is_next(&|component| component.parse::<u16>().is_ok())
        && is_next(&|_transport| true)
        && is_next(&|priority| priority.parse::<u32>().is_ok())
        && is_next(&|_address| true)
        && is_next(&|port| port.parse::<u16>().is_ok())
        && is_next(&|typ| typ == "typ")
        && is_next(&|_kind| true)
}

/// The two lines of a pair of credentials come one after the other in either order.
#[derive(Default)]
struct HalfCredentials {
    ufrag: Option<String>,
    pwd: Option<String>,
}

impl HalfCredentials {
    /// Hands a complete pair to the section that it stands in.
    fn give(&mut self, section: &mut Section) -> Result<(), FragmentError> {
        match (self.ufrag.take(), self.pwd.take()) {
            (Some(ufrag), Some(pwd)) => {
                let given = Credentials { ufrag, pwd };
                let earlier = section.credentials.replace(given);
                if earlier.is_some() && earlier != section.credentials {
                    return Err(FragmentError::Conflicting);
                }
            }
            (ufrag, pwd) => (self.ufrag, self.pwd) = (ufrag, pwd),
        }
        Ok(())
    }

    /// A section ends: nothing may be left over.
    fn close(&self) -> Result<(), FragmentError> {
        if self.ufrag.is_some() || self.pwd.is_some() {
            return Err(FragmentError::HalfCredentials);
        }
        Ok(())
    }
}

fn bad(line: &Line<'_>) -> FragmentError {
    FragmentError::Line {
        number: line.number,
        line: excerpt(&format!("{}={}", line.kind, line.value)),
    }
}
