//! Which of a publication's tracks become which renditions.

use hls::TrackConfig;
use payload::CodecKind;
use sfu::TrackInfo;

/// The rendition with the sound as it came, or of G.711 made into Opus.
pub(crate) const OPUS: &str = "audio";

/// The rendition with the sound that Apple's players want.
pub(crate) const AAC: &str = "aac";

/// A layer of a track, and the rendition made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) track: u8,
    pub(super) layer: u8,
    pub(super) kind: CodecKind,
    pub(super) name: String,
    pub(super) channels: u8,
}

/// All renditions of one publication: the layers of its picture, lowest first, then its sound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) renditions: Vec<Planned>,
    /// Why it has none.
    pub(super) refusal: Option<&'static str>,
}

impl Plan {
    /// Of what is published. A track that took the place of another one comes later in the list and counts.
    pub(super) fn of(tracks: &[TrackInfo]) -> Self {
        let newest = |is_audio: bool| {
            tracks
                .iter()
                .enumerate()
                .rfind(|(_, track)| track.codec.kind.is_audio() == is_audio)
        };
        let mut plan = Self::default();
        if let Some((at, track)) = newest(false) {
            match picture(track.codec.kind) {
                Ok(kind) => plan.add_layers(at, track, kind),
                Err(why) => plan.refusal = Some(why),
            }
        }
        if let Some((at, track)) = newest(true)
            && plan.refusal.is_none()
        {
            let kind = track.codec.kind;
            let is_stereo = kind == CodecKind::Opus && track.codec.stereo;
            plan.renditions.push(Planned {
                track: place(at),
                layer: 0,
                kind,
                name: OPUS.into(),
                channels: if is_stereo { 2 } else { 1 },
            });
        }
        plan
    }

    fn add_layers(&mut self, at: usize, track: &TrackInfo, kind: CodecKind) {
        let is_only = track.layers.len() == 1;
        for layer in 0..track.layers.len() {
            self.renditions.push(Planned {
                track: place(at),
                layer: place(layer),
                kind,
                name: if is_only {
                    "video".into()
                } else {
                    format!("video{layer}")
                },
                channels: 0,
            });
        }
    }

    /// Whether packets of this layer are Opus.
    pub(super) fn is_opus(&self, track: u8, layer: u8) -> bool {
        self.find(track, layer)
            .is_some_and(|at| self.renditions[at].kind == CodecKind::Opus)
    }

    /// Its sound has two channels, whatever was agreed on: each packet says so itself, and FFmpeg only there.
    pub(super) fn set_stereo(&mut self) {
        for one in &mut self.renditions {
            if one.kind == CodecKind::Opus {
                one.channels = 2;
            }
        }
    }

    /// Whether there are both picture and sound.
    pub(super) fn is_complete(&self) -> bool {
        let has = |sound: bool| {
            self.renditions
                .iter()
                .any(|one| one.kind.is_audio() == sound)
        };
        has(true) && has(false)
    }

    /// Place of what a packet belongs to.
    pub(super) fn find(&self, track: u8, layer: u8) -> Option<usize> {
        self.renditions
            .iter()
            .position(|one| one.track == track && one.layer == layer)
    }

    fn sound_channels(&self) -> u8 {
        let mut sounds = self.renditions.iter();
        sounds
            .find(|one| one.kind.is_audio())
            .map_or(2, |one| one.channels)
    }

    /// What the packager is told; with sound, a rendition for Apple comes last.
    pub(super) fn configs(&self, aac: Option<&bytes::Bytes>) -> Vec<TrackConfig> {
        let mut configs: Vec<TrackConfig> = self
            .renditions
            .iter()
            .map(|one| TrackConfig {
                rendition: one.name.clone(),
                codec: match one.kind {
                    CodecKind::Pcma | CodecKind::Pcmu => CodecKind::Opus,
                    kind => kind,
                },
                channels: one.channels,
                config: bytes::Bytes::new(),
            })
            .collect();
        if let Some(config) = aac {
            configs.push(TrackConfig {
                rendition: AAC.into(),
                codec: CodecKind::Aac,
                channels: self.sound_channels(),
                config: config.clone(),
            });
        }
        configs
    }
}

fn picture(kind: CodecKind) -> Result<CodecKind, &'static str> {
    match kind {
        CodecKind::H264 | CodecKind::Vp9 | CodecKind::Av1 => Ok(kind),
        _ => Err("its picture is VP8, which no player takes in HLS; send H.264"),
    }
}

fn place(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use payload::Codec;

    use super::*;

    fn track(kind: CodecKind, layers: &[&str]) -> TrackInfo {
        TrackInfo {
            codec: Codec {
                kind,
                h264_profile: None,
                stereo: kind == CodecKind::Opus,
            },
            layers: layers.iter().map(ToString::to_string).collect(),
        }
    }

    fn names(tracks: &[TrackInfo]) -> Vec<String> {
        Plan::of(tracks)
            .renditions
            .into_iter()
            .map(|one| one.name)
            .collect()
    }

    #[test]
    fn layers_and_sound_become_renditions() {
        use payload::CodecKind::{Av1, H264, Opus, Pcma, Pcmu, Vp8};
        let opus = || track(Opus, &[""]);
        assert_eq!(names(&[opus(), track(H264, &[""])]), ["video", "audio"]);
        assert_eq!(
            names(&[track(H264, &["0", "1", "2"]), opus()]),
            ["video0", "video1", "video2", "audio"]
        );
        assert_eq!(names(&[opus()]), ["audio"]);
        let names_of_g711 = names(&[track(Av1, &[""]), track(Pcmu, &[""])]);
        assert_eq!(names_of_g711, ["video", "audio"]);
        assert_eq!(names(&[track(Pcma, &[""])]), ["audio"]);
        assert!(names(&[track(Vp8, &[""]), opus()]).is_empty());
        assert!(Plan::of(&[track(Vp8, &[""]), opus()]).refusal.is_some());
    }

    #[test]
    fn the_sound_in_both_formats_has_the_channels_that_it_says() {
        let mut mono = track(CodecKind::Opus, &[""]);
        mono.codec.stereo = false;
        let mut plan = Plan::of(&[track(CodecKind::H264, &[""]), mono]);
        let channels = |plan: &Plan| {
            let configs = plan.configs(Some(&bytes::Bytes::new()));
            configs.iter().map(|one| one.channels).collect::<Vec<u8>>()
        };
        assert_eq!(channels(&plan), [0, 1, 1]);
        plan.set_stereo();
        assert_eq!(channels(&plan), [0, 2, 2]);
    }

    #[test]
    fn the_newest_track_of_a_kind_counts() {
        use payload::CodecKind::{H264, Vp8};
        let plan = Plan::of(&[track(Vp8, &[""]), track(H264, &[""])]);
        assert_eq!(plan.refusal, None);
        assert_eq!((plan.find(1, 0), plan.find(0, 0)), (Some(0), None));
    }
}
