//! Going on where another process stopped: what is made of a life that the recorder found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hls::{CodecKind, Packager, Past, RenditionInfo, Timeline, TrackConfig};

use super::{Production, Surroundings};
use crate::broadcast::picture::first_picture;
use crate::broadcast::plan::{AAC, OPUS};
use crate::broadcast::presentation::{Sound, multivariant};
use crate::broadcast::rendition::Rendition;
use crate::broadcast::sound::AppleSound;
use crate::broadcast::stream::Show;
use crate::recording::{Constants, Entry, PastTrack, Resumable};

/// Numbers that are left out when the last process was killed: players may have been told of segments that did not reach the
/// disk. One that was open, one that waited for the recorder, and one to spare.
const GAPS: u64 = 3;

/// Likewise of initialisation segments.
const INIT_GAPS: u32 = 16;

/// And of discontinuities: there may have been one into a slate and one out of it.
const DISCONTINUITY_GAPS: u64 = 2;

/// What a segment that is lost is said to last: they share the time that has passed.
const GAP_MS: std::ops::RangeInclusive<u64> = 100..=2_000;

impl Production {
    /// Goes on with a life of the last process, with nobody performing. Nothing when that is not possible: this process has other
    /// constants, or the machine's clock went back.
    pub(in crate::broadcast) fn resume(
        now: Instant,
        now_ms: u64,
        life: &Resumable,
        around: Surroundings,
    ) -> Option<Self> {
        let Constants { part_ms, target_s } = life.constants;
        if u128::from(part_ms) != around.settings.part_target.as_millis() {
            tracing::info!(key = %life.key, life = %life.life, "the settings of HLS have changed; this stream begins anew");
            return None;
        }
        let age = Duration::from_millis(now_ms.checked_sub(life.origin_ms)?);
        let origin = now.checked_sub(age)?;
        let show = Arc::new(Show::new(
            life.key.clone(),
            life.life.clone(),
            life.origin_ms,
        ));
        let settings = around.settings.clone();
        let gap_ms = gap_ms(life, now_ms);
        let past = life.tracks.iter().map(|track| past(track, gap_ms));
        let packager = Packager::resume(
            settings,
            life.life.to_string(),
            life.origin_ms,
            target_s,
            past.collect(),
        );
        let mut production = Self::new(show, origin, around);
        production.packager = packager;
        production.target_s = Some(target_s);
        for track in &life.tracks {
            production.restore(life, track, gap_ms);
        }
        production.on_air = production.configs_of(life);
        let named = life.tracks.iter().map(|track| track.info.name.clone());
        production.names = named.filter(|name| name != AAC).collect();
        production.heard = now;
        for at in 0..life.tracks.len() {
            production.order_card(at);
        }
        let recorder = &production.around.recorder;
        let name = || life.life.clone();
        recorder.try_send(Entry::Resume { life: name() });
        recorder.try_send(Entry::Aside {
            life: name(),
            aside: false,
        });
        for rendition in production.show.renditions() {
            production
                .show
                .publish(&rendition, &production.around.counters);
        }
        let of = |sound| multivariant(life.tracks.iter().map(|track| &track.info), sound, "");
        let [aac, opus] = [Sound::Aac, Sound::Opus].map(of);
        production.show.publish_multivariant(aac, opus);
        Some(production)
    }

    /// Has the recorder note what must be the same in the next process.
    pub(super) fn tell_constants(&self, target_s: u32) {
        let part_ms = self.around.settings.part_target.as_millis();
        self.around.recorder.try_send(Entry::Constants {
            life: self.show.life().clone(),
            constants: Constants {
                part_ms: u64::try_from(part_ms).unwrap_or(u64::MAX),
                target_s,
            },
        });
    }

    /// The playlist of what was packaged.
    fn restore(&mut self, life: &Resumable, track: &PastTrack, gap_ms: Option<u64>) {
        let name = &track.info.name;
        let mut timeline = Timeline::new(self.around.settings.clone(), &life.life, name);
        timeline.set_target_duration(life.constants.target_s);
        let Some(last) = track.segments.last().map(|last| last.to_hls(0)) else {
            return;
        };
        let rendition = Rendition::new(name, filled(timeline, track, &last, gap_ms));
        rendition.restore(
            track
                .segments
                .iter()
                .map(|entry| (entry.msn, entry.date_ms, entry.init)),
            last.parts,
        );
        self.show.add(Arc::new(rendition));
        self.show
            .set_newest(last.date_ms + last.duration * 1000 / u64::from(last.timescale));
        if let Some(still) = self.still_of(life, name, &last) {
            self.stills.insert(name.clone(), still);
        }
    }

    /// The picture that the last segment began with.
    fn still_of(&self, life: &Resumable, name: &str, last: &hls::Segment) -> Option<bytes::Bytes> {
        let archive = self.around.recorder.archive();
        let init = archive.init(&life.life, name, last.init)?.read().ok()?;
        let segment = archive.segment(&life.life, name, last.msn)?.read().ok()?;
        first_picture(&init, &segment).filter(|_| last.independent)
    }

    /// What the packager was told of the last publication.
    fn configs_of(&self, life: &Resumable) -> Vec<TrackConfig> {
        let sound = life.tracks.iter().find(|track| track.info.name == OPUS);
        let channels = sound.map_or(2, |sound| sound.info.channels);
        let config = |info: &RenditionInfo| TrackConfig {
            rendition: info.name.clone(),
            codec: info.kind,
            channels: info.channels,
            config: if info.kind == CodecKind::Aac {
                let apple = AppleSound::new(channels, self.show.key());
                apple.map(|apple| apple.config()).unwrap_or_default()
            } else {
                bytes::Bytes::new()
            },
        };
        life.tracks
            .iter()
            .map(|track| config(&track.info))
            .collect()
    }
}

/// How long a segment that is lost is said to last, if any is.
fn gap_ms(life: &Resumable, now_ms: u64) -> Option<u64> {
    if life.is_whole {
        return None;
    }
    let lasts = life.tracks.iter().filter_map(|track| track.segments.last());
    let ends = lasts.map(|last| last.date_ms + last.duration * 1000 / u64::from(last.timescale));
    let away = now_ms.saturating_sub(ends.max()?);
    Some((away / (GAPS + 1)).clamp(*GAP_MS.start(), *GAP_MS.end()))
}

fn past(track: &PastTrack, gap_ms: Option<u64>) -> Past {
    let (msn, end, discontinuities) = track.segments.last().map_or((0, 0, 0), |last| {
        let gaps = gap_ms.unwrap_or(0) * GAPS * u64::from(last.timescale) / 1000;
        let end = last.start.saturating_add_unsigned(last.duration + gaps);
        (last.msn, end, last.discontinuity_sequence)
    });
    let missing = |most: u64| gap_ms.map_or(0, |_| most);
    Past {
        info: track.info.clone(),
        next_msn: msn + 1 + missing(GAPS),
        next_init: track.next_init + gap_ms.map_or(0, |_| INIT_GAPS),
        end,
        discontinuity_sequence: discontinuities + missing(DISCONTINUITY_GAPS),
    }
}

/// With all that is on disk, and gaps where something is not.
fn filled(
    mut timeline: Timeline,
    track: &PastTrack,
    last: &hls::Segment,
    gap_ms: Option<u64>,
) -> Timeline {
    for entry in &track.segments {
        timeline.apply_segment(&entry.to_hls(0));
    }
    let Some(gap_ms) = gap_ms else {
        return timeline;
    };
    let scale = u64::from(last.timescale);
    for number in 1..=GAPS {
        let elapsed = last.duration * 1000 / scale + (number - 1) * gap_ms;
        timeline.apply_gap(&hls::Segment {
            msn: last.msn + number,
            duration: gap_ms * scale / 1000,
            date_ms: last.date_ms + elapsed,
            discontinuity: false,
            ..last.clone()
        });
    }
    timeline
}
