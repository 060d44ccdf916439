//! One life, all its renditions.

use super::audio::{Audio, Gate, QUIET_BYTES_MAX};
use super::pace::Pace;
use super::shared::{COMMON_HZ, GAP_MAX, LATE_MAX, Limits, Shared, common};
use super::video::Video;
use super::writer::Writer;
use super::{Past, RenditionInfo};
use crate::{CodecKind, Frame, Output, Settings, SoundCounters, TrackConfig};

/// Tracks of a publication, at most: a few layers and two kinds of sound.
const TRACKS_MAX: usize = 16;

/// Renditions of a life, at most.
const RENDITIONS_MAX: usize = 64;

/// The latest time that a frame may have: ten years, which leaves room for arithmetic.
const LIFE_MAX: i64 = COMMON_HZ * 3600 * 24 * 3650;

enum Lane {
    Video(Box<Video>),
    Audio(Box<Audio>),
    /// One track too many.
    Ignored,
}

/// One life of a stream: all its renditions, from the first publication until the end.
///
/// Push frames as they come, then poll until nothing comes out. Media time is told by the frames alone: the sound that
/// goes on is how the packager knows that a picture stands still. It then repeats the picture (of AV1, where it cannot be
/// repeated, it puts padding after it), so that parts keep their length; silence is filled likewise. Where neither is possible
/// (B-frames, pictures of H.264 and VP9 that no other refers to), a part may be shorter than 85 % of PART-TARGET or, when one picture lasts longer, longer than it;
/// each such part is told by a [`crate::Warning`].
pub struct Packager {
    life: String,
    shared: Shared,
    writers: Vec<Writer>,
    lanes: Vec<Lane>,
    configs: Vec<TrackConfig>,
    pace: Pace,
    has_ended: bool,
}

impl Packager {
    /// Begins a life named `life` whose media time 0 is `origin_ms` after 1970.
    pub fn new(settings: Settings, life: String, origin_ms: u64) -> Self {
        Self {
            life,
            shared: Shared::new(settings, origin_ms),
            writers: Vec::new(),
            lanes: Vec::new(),
            configs: Vec::new(),
            pace: Pace::default(),
            has_ended: false,
        }
    }

    /// Goes on with a life that another process began; numbers and times continue, and the target duration is
    /// what it was. At most 64 renditions.
    pub fn resume(
        settings: Settings,
        life: String,
        origin_ms: u64,
        target_s: u32,
        past: Vec<Past>,
    ) -> Self {
        let mut packager = Self::new(settings, life, origin_ms);
        packager.shared.target_s = Some(target_s);
        for past in past.into_iter().take(RENDITIONS_MAX) {
            let shared = &mut packager.shared;
            let kind = past.info.kind;
            let mut writer = Writer::new(
                shared.infos.len(),
                kind,
                Limits::new(&shared.settings, kind),
            );
            writer.resume(&past);
            writer.follow_target(shared);
            shared.newest = shared.newest.max(common(past.end, kind.timescale()));
            shared.clock = shared.newest;
            shared.epoch = shared.epoch.max(past.discontinuity_sequence);
            shared.infos.push(RenditionInfo {
                active: false,
                init: None,
                ..past.info
            });
            packager.writers.push(writer);
        }
        packager
    }

    /// A publication begins, or its tracks changed. The first call starts the timeline; a later one closes what is open
    /// and puts a discontinuity into all renditions. Renditions are matched by name; new ones appear, missing ones stop.
    /// Tracks beyond 16, a second one of the same name, and names beyond 64 in a life are ignored.
    pub fn begin(&mut self, mut tracks: Vec<TrackConfig>) {
        if self.has_ended {
            return;
        }
        self.pause();
        self.shared.is_stand_in = false;
        if self.writers.iter().any(Writer::has_begun) {
            self.shared.epoch += 1;
        }
        self.shared.forget_cuts();
        self.pace = Pace::default();
        tracks.truncate(TRACKS_MAX);
        for config in &tracks {
            let lane = match self.rendition(config) {
                None => Lane::Ignored,
                Some(place) if config.codec.is_video() => {
                    Lane::Video(Box::new(Video::new(config, place, &self.writers[place])))
                }
                Some(place) => {
                    Lane::Audio(Box::new(Audio::new(config, place, &self.writers[place])))
                }
            };
            self.lanes.push(lane);
        }
        self.configs = tracks;
    }

    /// As [`Self::begin`], for frames that stand for a publisher who is away: their format is no news of the renditions,
    /// so that [`Self::renditions`] goes on saying what was last published.
    pub fn stand_in(&mut self, tracks: Vec<TrackConfig>) {
        self.begin(tracks);
        self.shared.is_stand_in = true;
    }

    /// The place of the rendition that `config` names, which may be new.
    fn rendition(&mut self, config: &TrackConfig) -> Option<usize> {
        let infos = &mut self.shared.infos;
        let found = infos.iter().position(|info| info.name == config.rendition);
        let place = match found {
            Some(place) => place,
            None if infos.len() == RENDITIONS_MAX => return None,
            None => {
                infos.push(RenditionInfo::new(config.rendition.clone(), config.codec));
                let limits = Limits::new(&self.shared.settings, config.codec);
                self.writers
                    .push(Writer::new(infos.len() - 1, config.codec, limits));
                infos.len() - 1
            }
        };
        let info = &mut infos[place];
        // A rendition keeps its timescale, since its timeline goes on; and it has one track.
        if info.kind.is_video() != config.codec.is_video() || info.active {
            return None;
        }
        info.kind = config.codec;
        info.channels = config.channels;
        info.active = true;
        Some(place)
    }

    /// Takes a frame of the `track`th track of the last [`Self::begin`]. Frames of unknown tracks are dropped; one that
    /// is more than 30 s ahead of all others begins a new timeline behind a discontinuity.
    pub fn push(&mut self, track: usize, frame: Frame) {
        self.take(track, frame, None);
    }

    /// As [`Self::push`], for a frame that came `arrival_us` microseconds into the life. Who publishes faster than it plays has
    /// tracks that are seconds apart for a moment: what is late is judged by its arrival then.
    pub fn push_at(&mut self, track: usize, frame: Frame, arrival_us: i64) {
        self.take(track, frame, Some(arrival_us));
    }

    fn take(&mut self, track: usize, frame: Frame, arrival_us: Option<i64>) {
        let Some(config) = self.configs.get(track) else {
            return;
        };
        let kind = config.codec;
        let is_picture = kind.is_video();
        let at = common(frame.pts, kind.timescale());
        if !(0..LIFE_MAX).contains(&at) || matches!(self.lanes[track], Lane::Ignored) {
            return;
        }
        let has_clock = self.lanes.iter().any(|lane| match lane {
            Lane::Video(video) => video.has_started(),
            Lane::Audio(audio) => audio.has_started(),
            Lane::Ignored => false,
        });
        let says_pace = is_picture || kind == CodecKind::Opus && frame.data.len() > QUIET_BYTES_MAX;
        if has_clock && at > self.shared.newest.saturating_add(GAP_MAX) {
            let configs = std::mem::take(&mut self.configs);
            self.begin(configs);
        }
        if let Some(arrival_us) = arrival_us.filter(|_| says_pace) {
            let arrival = arrival_us.saturating_mul(COMMON_HZ / 1000) / 1000;
            self.pace.note(track, at, arrival);
        }
        self.shared.newest = self.shared.newest.max(at);
        let limit = self.pace.limit().unwrap_or(i64::MAX);
        self.shared.clock = self
            .shared
            .newest
            .min(limit)
            .max(self.shared.newest - GAP_MAX);
        match &mut self.lanes[track] {
            Lane::Video(video) => {
                let writer = &mut self.writers[video.rendition];
                writer.follow_target(&self.shared);
                video.push(frame, writer, &mut self.shared);
            }
            Lane::Audio(audio) => audio.push(frame, &mut self.shared),
            Lane::Ignored => {}
        }
        // Sound comes in batches: the second packet of one is not missing because the first one is there.
        self.advance_lanes(is_picture);
    }

    /// Says that the life is `media_ms` ms old, for streams whose picture stands still and that have no sound to tell it.
    /// Not needed otherwise.
    pub fn advance(&mut self, media_ms: i64) {
        let clock = self.shared.clock;
        let at = media_ms
            .saturating_mul(COMMON_HZ / 1000)
            .min(clock.saturating_add(GAP_MAX));
        if at > clock {
            self.shared.newest = self.shared.newest.max(at);
            self.shared.clock = at;
            self.advance_lanes(true);
        }
    }

    /// As [`Self::pause`], when what is shown goes on until `media_ms` ms of the life, and is over then.
    pub fn pause_at(&mut self, media_ms: i64) {
        self.settle_until(media_ms);
        self.finish(true);
    }

    /// Ms of the life up to which anything is written, in whichever rendition is furthest.
    pub fn written_ms(&self) -> i64 {
        let ends = self.writers.iter().filter(|writer| writer.has_begun());
        let ends = ends.map(|writer| common(writer.end(), writer.timescale));
        ends.max().unwrap_or(0).div_euclid(COMMON_HZ / 1000)
    }

    /// As [`Self::pause`], but pictures last as long as the sound.
    pub fn pause_level(&mut self) {
        let newest_ms = self.shared.newest.div_euclid(COMMON_HZ / 1000);
        self.settle_until(self.written_ms().max(newest_ms));
        self.finish(false);
    }

    fn settle_until(&mut self, media_ms: i64) {
        let at = media_ms.saturating_mul(COMMON_HZ / 1000);
        let newest = self.shared.newest;
        if at > newest.saturating_sub(LATE_MAX) && at <= newest.saturating_add(GAP_MAX) {
            // Nobody is late any more.
            self.shared.clock = at + LATE_MAX;
            self.advance_lanes(true);
            self.shared.newest = newest.max(at);
            self.shared.clock = self.shared.newest;
        }
    }

    /// Lets all lanes do what the clock allows, and fills the place of sound that is late.
    fn advance_lanes(&mut self, fills: bool) {
        let mut gate = Gate::Alone;
        let mut leader = None;
        let mut is_due = false;
        let mut has_fresh = false;
        for lane in &mut self.lanes {
            let Lane::Video(video) = lane else {
                continue;
            };
            let writer = &mut self.writers[video.rendition];
            if !video.has_started() {
                if gate == Gate::Alone {
                    gate = Gate::Closed;
                }
                continue;
            }
            writer.follow_target(&self.shared);
            video.stretch(writer, &mut self.shared);
            let until = video.frontier(writer, &self.shared);
            if leader.is_none() {
                // The lowest layer leads, even while it rests: then its cuts are rare.
                leader = Some(video.rendition);
                gate = Gate::Until(until);
            }
            if !has_fresh && video.is_fresh(&self.shared) {
                has_fresh = true;
                is_due |= is_segment_due(writer, until);
            }
            is_due |= writer.epoch() < self.shared.epoch && video.is_fresh(&self.shared);
        }
        self.shared.leader = leader;
        if is_due {
            self.shared.ask_for_keyframes();
        }
        for lane in &mut self.lanes {
            if let Lane::Audio(audio) = lane {
                let writer = &mut self.writers[audio.rendition];
                writer.follow_target(&self.shared);
                audio.advance(gate, fills, writer, &mut self.shared);
            }
        }
    }

    /// The publisher is gone: what is open is closed; the next [`Self::begin`] is a discontinuity.
    pub fn pause(&mut self) {
        self.finish(false);
    }

    fn finish(&mut self, is_known: bool) {
        for lane in &mut self.lanes {
            if let Lane::Video(video) = lane {
                let writer = &mut self.writers[video.rendition];
                writer.follow_target(&self.shared);
                video.finish(is_known, writer, &mut self.shared);
            }
        }
        for lane in &mut self.lanes {
            if let Lane::Audio(audio) = lane {
                let writer = &mut self.writers[audio.rendition];
                writer.follow_target(&self.shared);
                audio.finish(writer, &mut self.shared);
            }
        }
        self.lanes.clear();
        self.configs.clear();
        for info in &mut self.shared.infos {
            info.active = false;
        }
    }

    /// The life ends: what is open is closed. No frame is taken any more.
    pub fn end(&mut self) {
        self.pause();
        self.has_ended = true;
    }

    /// The next output, or nothing until more is pushed.
    pub fn poll(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// What became of the sound until now.
    pub fn sound(&self) -> SoundCounters {
        self.shared.sound
    }

    /// All renditions that the life has had, in the order of their numbers.
    pub fn renditions(&self) -> &[RenditionInfo] {
        &self.shared.infos
    }

    /// What never changes.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The life's name.
    pub fn life(&self) -> &str {
        &self.life
    }
}

/// Whether the open segment is so long at the common time `until` that the next one's keyframe should be on its way.
fn is_segment_due(writer: &Writer, until: i64) -> bool {
    writer.segment_start().is_some_and(|start| {
        let end = start + writer.limits.segment_ask;
        until >= common(end, writer.timescale)
    })
}
