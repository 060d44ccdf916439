//! The names of HLS files, as playlists write them.

/// Longest name of a rendition; ours are `video`, `video0` to `video3`, `audio` and `aac`.
const RENDITION_MAX: usize = 16;

/// What the last part of a path names. Texts are borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File<'a> {
    /// `index.m3u8`
    Multivariant,
    /// `{rendition}.m3u8`
    Media(&'a str),
    /// `{life}-{rendition}-i{number}.mp4`
    Init {
        life: &'a str,
        rendition: &'a str,
        number: u32,
    },
    /// `{life}-{rendition}-{msn}.m4s`
    Segment {
        life: &'a str,
        rendition: &'a str,
        msn: u64,
    },
    /// `{life}-{rendition}-{msn}.{part}.i{init}.m4s`
    Part {
        life: &'a str,
        rendition: &'a str,
        msn: u64,
        part: u32,
        init: u32,
    },
    /// `{life}.mp4`
    Recording { life: &'a str },
    /// `{life}-{seconds}.jpg`
    Thumbnail { life: &'a str, at_s: u64 },
}

impl<'a> File<'a> {
    /// `None` for what no playlist ever wrote.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        match extension {
            "m3u8" if stem == "index" => Some(Self::Multivariant),
            "m3u8" => rendition(stem).map(Self::Media),
            "mp4" => match stem.split_once('-') {
                None => Some(Self::Recording { life: life(stem)? }),
                Some((head, rest)) => {
                    let (name, number) = rest.rsplit_once("-i")?;
                    Some(Self::Init {
                        life: life(head)?,
                        rendition: rendition(name)?,
                        number: number_of(number)?.try_into().ok()?,
                    })
                }
            },
            "m4s" => {
                let (head, rest) = stem.split_once('-')?;
                let (name, place) = rest.rsplit_once('-')?;
                let (life, rendition) = (life(head)?, rendition(name)?);
                Some(match place.split_once('.') {
                    None => Self::Segment {
                        life,
                        rendition,
                        msn: number_of(place)?,
                    },
                    Some((msn, rest)) => {
                        let (part, init) = rest.split_once(".i")?;
                        Self::Part {
                            life,
                            rendition,
                            msn: number_of(msn)?,
                            part: number_of(part)?.try_into().ok()?,
                            init: number_of(init)?.try_into().ok()?,
                        }
                    }
                })
            }
            "jpg" => {
                let (head, seconds) = stem.split_once('-')?;
                Some(Self::Thumbnail {
                    life: life(head)?,
                    at_s: number_of(seconds)?,
                })
            }
            _ => None,
        }
    }
}

impl<'a> File<'a> {
    /// The rendition that it is of.
    pub(super) fn rendition(self) -> Option<&'a str> {
        match self {
            Self::Multivariant | Self::Recording { .. } | Self::Thumbnail { .. } => None,
            Self::Media(rendition)
            | Self::Init { rendition, .. }
            | Self::Segment { rendition, .. }
            | Self::Part { rendition, .. } => Some(rendition),
        }
    }

    /// The life that it belongs to.
    pub(super) fn life(self) -> Option<&'a str> {
        match self {
            Self::Multivariant | Self::Media(_) => None,
            Self::Init { life, .. }
            | Self::Segment { life, .. }
            | Self::Part { life, .. }
            | Self::Recording { life }
            | Self::Thumbnail { life, .. } => Some(life),
        }
    }
}

/// Eight hexadecimal digits.
pub(super) fn life(text: &str) -> Option<&str> {
    let is_life = text.len() == 8
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_life.then_some(text)
}

fn rendition(text: &str) -> Option<&str> {
    let is_name = (1..=RENDITION_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_name.then_some(text)
}

/// Decimal digits without a leading zero, so that each thing has one name.
fn number_of(text: &str) -> Option<u64> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_canonical.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_has_its_name() {
        let life = "0123abcd";
        let check = |name: &str, expected: Option<File<'_>>| {
            assert_eq!(File::parse(name), expected, "{name}")
        };
        check("index.m3u8", Some(File::Multivariant));
        check("video1.m3u8", Some(File::Media("video1")));
        check(
            "0123abcd-audio-i0.mp4",
            Some(File::Init {
                life,
                rendition: "audio",
                number: 0,
            }),
        );
        check(
            "0123abcd-video-17.m4s",
            Some(File::Segment {
                life,
                rendition: "video",
                msn: 17,
            }),
        );
        check(
            "0123abcd-video-17.3.i2.m4s",
            Some(File::Part {
                life,
                rendition: "video",
                msn: 17,
                part: 3,
                init: 2,
            }),
        );
        check("0123abcd.mp4", Some(File::Recording { life }));
        check(
            "0123abcd-120.jpg",
            Some(File::Thumbnail { life, at_s: 120 }),
        );
        for name in [
            "",
            ".m3u8",
            "a b.m3u8",
            "../x.m3u8",
            "VIDEO.m3u8",
            "0123ABCD-video-1.m4s",
            "0123abcd-video-01.m4s",
            "0123abcd-video-.m4s",
            "0123abcd-video-1.2.m4s",
            "0123abcd-video-1.2.3.m4s",
            "0123abcd-video-1.2.i03.m4s",
            "0123abcd-video-1.2.i3.4.m4s",
            "0123abcd-video-1.i3.m4s",
            "0123abcd-video-99999999999999999999.m4s",
            "0123abcd-i0.mp4",
            "0123abcd-video-1.m4s.gz",
            "0123abc.mp4",
            "x",
            "0123abcd-+1.jpg",
        ] {
            check(name, None);
        }
    }
}
