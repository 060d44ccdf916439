//! One life of a stream on its packaging thread: from packets to parts in its [`Show`].

mod away;
mod kept;
mod resume;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hls::{Frame, Output, Packager, RenditionInfo, Timeline, TrackConfig, Warning};
use payload::frames::{Assembler, Lead, Opening, Packet};
use sfu::MediaPacket;

use self::away::Entrance;
use super::cards::{Card, Cards};
use super::counters::BroadcastCounters;
use super::plan::{OPUS, Plan};
use super::presentation::{Sound, multivariant};
use super::quality::SoundQuality;
use super::rendition::Rendition;
use super::slate::Slate;
use super::sound::AppleSound;
use super::stream::Show;
use super::thumbnails::Thumbnails;
use crate::bridge::assembler;
use crate::recording::{Entry, Recorder};

/// A frame is not later than this, or is given up: what an assembler waits for, and what a clock's map may hold it back.
const LATENESS_US: i64 = 1_000_000;

/// A picture that is this much older than the newest sound stands still: time goes on without it.
const STILL_MS: i64 = 1000;

/// How long the playlist of playlists waits for a layer that does not come.
const LATE: Duration = Duration::from_secs(2);

/// Called with a space's name.
type OnChange = Arc<dyn Fn(&Arc<str>) + Send + Sync>;

/// What a production works with and for.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) settings: hls::Settings,
    /// How far back a viewer can go.
    pub(super) dvr_window: Duration,
    /// To be called with a space's name when a stream of it can be watched, or it is known that it cannot.
    pub(super) on_change: OnChange,
    pub(super) recorder: Recorder,
    pub(super) thumbnails: Thumbnails,
    pub(super) cards: Cards,
    pub(super) counters: Arc<BroadcastCounters>,
}

/// One life of a stream.
pub(super) struct Production {
    pub(super) show: Arc<Show>,
    packager: Packager,
    origin: Instant,
    plan: Plan,
    /// Whether the publication has a picture.
    has_picture: bool,
    /// The renditions of the last publication.
    names: Vec<String>,
    /// What the packager is told of this publication.
    configs: Vec<TrackConfig>,
    /// What it was told of the one that was seen last.
    on_air: Vec<TrackConfig>,
    /// The last keyframe of each rendition.
    stills: BTreeMap<String, Bytes>,
    /// What is to be shown instead, of H.264, and for which size of picture.
    cards: BTreeMap<String, ((u32, u32), Card)>,
    /// What is shown while nobody performs.
    slate: Option<Slate>,
    /// Whether what comes out is a slate's, and not to be kept.
    is_aside: bool,
    /// The publication, until its first keyframe.
    entrance: Option<Entrance>,
    /// When a packet came last.
    heard: Instant,
    /// When the packet came that the next frames are made of.
    came: Instant,
    assemblers: Vec<Assembler>,
    /// By how much all of them are ahead of their capture times.
    lead: Lead,
    quality: SoundQuality,
    apple: Option<AppleSound>,
    /// When the last segment was complete.
    cut_at: Instant,
    /// The target duration of this life, once it is known.
    target_s: Option<u32>,
    /// The one that the publisher's keyframes would need, when that is more.
    outgrown: Option<u32>,
    /// When the publication began.
    begun: Instant,
    wants_keyframe: bool,
    lost: u64,
    frames: Vec<Frame>,
    around: Surroundings,
}

impl Production {
    /// Begins; media time zero is `origin`.
    pub(super) fn new(show: Arc<Show>, origin: Instant, around: Surroundings) -> Self {
        let packager = Packager::new(
            around.settings.clone(),
            show.life().to_string(),
            show.origin_ms(),
        );
        Self {
            show,
            packager,
            origin,
            plan: Plan::default(),
            has_picture: false,
            names: Vec::new(),
            configs: Vec::new(),
            on_air: Vec::new(),
            stills: BTreeMap::new(),
            cards: BTreeMap::new(),
            slate: None,
            is_aside: false,
            entrance: None,
            heard: origin,
            came: origin,
            assemblers: Vec::new(),
            lead: Lead::default(),
            quality: SoundQuality::default(),
            apple: None,
            cut_at: origin,
            target_s: None,
            outgrown: None,
            begun: origin,
            wants_keyframe: false,
            lost: 0,
            frames: Vec::new(),
            around,
        }
    }

    /// Whether `plan` has every rendition that the last publication had.
    pub(super) fn goes_on_with(&self, plan: &Plan) -> bool {
        let mut names = self.names.iter();
        names.all(|name| plan.renditions.iter().any(|one| one.name == *name))
    }

    /// A publication begins, or its tracks changed. What was before goes on until its first keyframe. `first` are the packets that
    /// have come of it; they are pushed afterwards.
    pub(super) fn begin<'a>(
        &mut self,
        now: Instant,
        plan: Plan,
        first: impl Iterator<Item = &'a (u8, u8, MediaPacket)>,
    ) {
        self.finish_frames();
        self.begun = now;
        self.quality = SoundQuality::default();
        let openings = self.openings(&plan, first);
        let sound = plan.renditions.iter().find(|one| one.name == OPUS);
        self.apple = sound.and_then(|sound| AppleSound::new(sound.channels, self.show.key()));
        let config = self.apple.as_ref().map(AppleSound::config);
        let configs = plan.configs(config.as_ref());
        for config in &configs {
            if self.show.rendition(&config.rendition).is_none() {
                let timeline = Timeline::new(
                    self.around.settings.clone(),
                    self.show.life(),
                    &config.rendition,
                );
                let rendition = Rendition::new(&config.rendition, timeline);
                if let Some(seconds) = self.target_s {
                    rendition.set_target_duration(seconds);
                }
                self.show.add(Arc::new(rendition));
            }
        }
        self.names = plan.renditions.iter().map(|one| one.name.clone()).collect();
        self.has_picture = plan.renditions.iter().any(|one| one.name != OPUS);
        self.show.set_rare_keyframes(false);
        self.plan = plan;
        self.configs = configs;
        let is_first = self.on_air.is_empty();
        self.expect(now);
        self.open(&openings);
        if is_first {
            self.entrance = None;
            self.enter(now, 0);
        }
    }

    /// What comes from now on is a publication of its own.
    fn expect(&mut self, now: Instant) {
        self.heard = now;
        let kinds = self.plan.renditions.iter().map(|one| one.kind);
        self.assemblers = kinds.map(assembler).collect();
        self.entrance = Some(Entrance::new(now));
    }

    /// How the tracks begin.
    fn openings<'a>(
        &self,
        plan: &Plan,
        first: impl Iterator<Item = &'a (u8, u8, MediaPacket)>,
    ) -> Vec<Option<Opening>> {
        let mut openings: Vec<Option<Opening>> = vec![None; plan.renditions.len()];
        for (track, layer, packet) in first {
            let Some(at) = plan.find(*track, *layer) else {
                continue;
            };
            let rate = plan.renditions[at].kind.clock_rate();
            let captured_us = self.since_origin(packet.wallclock + packet.ahead);
            openings[at]
                .get_or_insert_with(|| {
                    Opening::new(rate, packet.sequence, packet.timestamp, captured_us)
                })
                .add(packet.sequence, packet.timestamp, captured_us);
        }
        openings
    }

    /// Tells each track where it begins.
    fn open(&mut self, openings: &[Option<Opening>]) {
        let (lead, anchors) = Lead::begin(openings);
        self.lead = lead;
        for (assembler, anchor) in self.assemblers.iter_mut().zip(anchors) {
            if let Some(anchor) = anchor {
                assembler.begin(anchor);
            }
        }
    }

    /// Takes one packet of the publication.
    pub(super) fn push(&mut self, track: u8, layer: u8, packet: &MediaPacket) {
        let Some(at) = self.plan.find(track, layer) else {
            return;
        };
        self.heard = self.heard.max(packet.arrival);
        self.came = packet.arrival;
        let packet = Packet {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            arrival_us: self.since_origin(packet.arrival),
            wallclock_us: self.since_origin(packet.wallclock + packet.ahead),
            payload: packet.payload.clone(),
            red: packet.red,
        };
        let mut frames = std::mem::take(&mut self.frames);
        self.lead.note(at, self.assemblers[at].ahead(&packet));
        self.assemblers[at].push(packet, self.lead.us(), &mut frames);
        self.take_frames(at, &mut frames);
        self.frames = frames;
    }

    /// Gives up what was waited for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let now_us = self.since_origin(now);
        self.came = now;
        self.packager.advance((now_us - LATENESS_US) / 1000);
        if !self.plan.renditions.is_empty() {
            self.note_time(now_us / 1000 - STILL_MS);
        }
        let mut frames = std::mem::take(&mut self.frames);
        for at in 0..self.assemblers.len() {
            self.assemblers[at].expire(now_us, self.lead.us(), &mut frames);
            self.take_frames(at, &mut frames);
            self.wants_keyframe |= self.assemblers[at].take_wants_keyframe();
        }
        self.frames = frames;
        let lost = self.assemblers.iter().map(|one| one.counters().lost).sum();
        self.around.counters.count_lost(lost - self.lost.min(lost));
        self.lost = lost;
        self.judge_sound(now_us);
    }

    /// Says when sound is lost or late, and when no more is.
    fn judge_sound(&mut self, now_us: i64) {
        let frames = self.plan.renditions.iter().zip(&self.assemblers);
        let frames = frames
            .filter(|(one, _)| one.name == OPUS)
            .map(|(_, assembler)| assembler.counters())
            .next();
        let Some(frames) = frames else { return };
        let packaged = self.packager.sound();
        let change = self.quality.look(now_us, frames, packaged);
        let (filled, dropped) = change.counted_ms;
        self.around.counters.count_sound(filled, dropped);
        let Some(trouble) = change.said else { return };
        let key = self.show.key();
        match trouble {
            Some(trouble) => {
                tracing::warn!(space = %key.space, stream = %key.stream, "{trouble}");
            }
            None => {
                tracing::info!(space = %key.space, stream = %key.stream, "the sound of this stream is whole again");
            }
        }
        self.show.set_sound_trouble(trouble);
        (self.around.on_change)(&key.space);
    }

    /// Gives what the assemblers still hold of a publication that is over.
    fn finish_frames(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        for at in 0..self.assemblers.len().min(self.plan.renditions.len()) {
            self.assemblers[at].finish(self.lead.us(), &mut frames);
            self.take_frames(at, &mut frames);
        }
        self.frames = frames;
    }

    fn take_frames(&mut self, at: usize, frames: &mut Vec<Frame>) {
        for frame in frames.drain(..) {
            if self.entrance.is_some() && !self.opens(at, &frame) {
                if let Some(entrance) = &mut self.entrance {
                    entrance.hold(at, frame);
                }
                continue;
            }
            if let Some(entrance) = self.entrance.take() {
                let timescale = i64::from(self.configs[at].codec.timescale());
                self.enter(self.heard, frame.pts.saturating_mul(1000) / timescale);
                self.take_frame(at, frame);
                for (at, frame) in entrance.into_held() {
                    self.take_frame(at, frame);
                }
                continue;
            }
            self.take_frame(at, frame);
        }
    }

    fn take_frame(&mut self, at: usize, frame: Frame) {
        let is_sound = self.plan.renditions[at].name == OPUS;
        let apple_at = self.plan.renditions.len();
        let is_kept = is_sound && self.is_kept();
        let behind_ms = if is_sound && self.has_picture {
            STILL_MS
        } else {
            0
        };
        let timescale = if is_sound { 48_000 } else { 90_000 };
        self.note_time(frame.pts.saturating_mul(1000) / timescale - behind_ms);
        if is_sound && let Some(apple) = &mut self.apple {
            let is_wanted = is_kept || self.show.wants_aac();
            for frame in apple.push(&frame, is_wanted) {
                self.packager.push(apple_at, frame);
            }
        }
        if !is_sound && frame.keyframe {
            let name = &self.plan.renditions[at].name;
            match self.stills.get_mut(name) {
                Some(still) => *still = frame.data.clone(),
                None => {
                    self.stills.insert(name.clone(), frame.data.clone());
                }
            }
        }
        let arrival_us = self.since_origin(self.came);
        self.packager.push_at(at, frame, arrival_us);
    }

    /// The life is this old at least.
    fn note_time(&self, media_ms: i64) {
        if media_ms >= 0 {
            let newest = self.show.origin_ms().saturating_add_signed(media_ms);
            self.show.set_newest(newest);
        }
    }

    fn since_origin(&self, at: Instant) -> i64 {
        let us = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.origin) {
            Some(after) => us(after),
            None => -us(self.origin.duration_since(at)),
        }
    }

    /// The publisher left, and may come back.
    pub(super) fn pause(&mut self) {
        if self.plan.renditions.is_empty() {
            return;
        }
        self.finish_frames();
        self.show.set_performed(false);
        self.show.set_sound_trouble(None);
        self.plan = Plan::default();
        self.assemblers.clear();
        self.entrance = None;
        if self.slate.is_none() {
            self.packager.pause_level();
        }
    }

    /// The process ends, and the life may go on in the next one: whoever waits is sent away, and nobody hears of an end.
    pub(super) fn suspend(&mut self) {
        self.slate = None;
        self.packager.pause();
        self.publish(self.cut_at);
        for rendition in self.show.renditions() {
            rendition.suspend();
        }
    }

    /// Nobody came back.
    pub(super) fn end(&mut self) {
        self.slate = None;
        self.packager.end();
        self.carry_out(self.cut_at);
        self.finish();
    }

    /// Says that it is over, with what has been published until now.
    pub(super) fn finish(&mut self) {
        for rendition in self.show.renditions() {
            rendition.end();
            self.show.publish(&rendition, &self.around.counters);
        }
        self.show.set_ended();
        self.around.thumbnails.forget(&self.show);
        self.around.recorder.try_send(Entry::End {
            life: self.show.life().clone(),
        });
    }

    /// Publishes what was packaged. Returns whether the publisher is to be asked for a keyframe now.
    pub(super) fn carry_out(&mut self, now: Instant) -> bool {
        let (has_changed, is_due) = self.publish(now);
        if has_changed {
            self.publish_multivariant(now);
        }
        // A slate needs no keyframes.
        let is_due = is_due && self.slate.is_none();
        std::mem::take(&mut self.wants_keyframe) || is_due
    }

    /// Returns whether there is anything new, and whether a keyframe is due.
    fn publish(&mut self, now: Instant) -> (bool, bool) {
        let mut changed: Vec<usize> = Vec::new();
        let mut is_due = false;
        while let Some(output) = self.packager.poll() {
            match output {
                Output::Init {
                    rendition,
                    number,
                    bytes,
                } => self.on_init(rendition, number, bytes),
                Output::TargetDuration(seconds) => {
                    self.target_s = Some(seconds);
                    self.tell_constants(seconds);
                    for rendition in self.show.renditions() {
                        rendition.set_target_duration(seconds);
                    }
                }
                Output::Outgrown(seconds) => self.outgrown = Some(seconds),
                Output::Part(part) => {
                    self.around.counters.count_part();
                    self.note(&mut changed, part.rendition);
                    if let Some(rendition) = self.rendition(part.rendition) {
                        rendition.add_part(part);
                    }
                }
                Output::Segment(segment) => {
                    self.around.counters.count_segment();
                    self.note(&mut changed, segment.rendition);
                    self.on_segment(now, segment);
                }
                Output::KeyframeDue => is_due = true,
                Output::Warning(warning) => {
                    self.around.counters.count_warning();
                    let key = self.show.key();
                    if matches!(warning, Warning::KeyframesRare { .. }) {
                        self.show.set_rare_keyframes(true);
                        (self.around.on_change)(&key.space);
                    }
                    tracing::warn!(space = %key.space, stream = %key.stream, "{warning}");
                }
            }
        }
        for &at in &changed {
            if let Some(rendition) = self.rendition(at) {
                self.show.publish(&rendition, &self.around.counters);
            }
        }
        (!changed.is_empty(), is_due)
    }

    /// The target duration that another life of this publication must have, if this one's has proved too short.
    pub(super) fn take_outgrown(&mut self) -> Option<u32> {
        self.outgrown.take()
    }

    fn note(&self, changed: &mut Vec<usize>, at: usize) {
        if !changed.contains(&at) {
            changed.push(at);
        }
    }

    /// By the packager's number.
    fn rendition(&self, at: usize) -> Option<Arc<Rendition>> {
        let name = &self.packager.renditions().get(at)?.name;
        self.show.rendition(name)
    }

    fn on_init(&mut self, at: usize, number: u32, bytes: bytes::Bytes) {
        let Some(rendition) = self.rendition(at) else {
            return;
        };
        rendition.add_init(number, bytes.clone());
        self.order_card(at);
        self.around.recorder.try_send(Entry::Init {
            life: self.show.life().clone(),
            info: self.packager.renditions()[at].clone(),
            number,
            bytes,
        });
    }

    fn on_segment(&mut self, now: Instant, segment: Arc<hls::Segment>) {
        let Some(rendition) = self.rendition(segment.rendition) else {
            return;
        };
        let segment = self.complete(segment);
        if segment.rendition == 0 {
            self.cut_at = now;
            if !self.is_aside {
                let init = rendition.init(segment.init);
                self.around.thumbnails.offer(&self.show, init, &segment);
            }
        }
        self.record(&rendition, &segment);
        let oldest = segment.date_ms.saturating_sub(self.kept_ms());
        rendition.add_segment(segment);
        rendition.forget_before(oldest);
    }

    fn record(&self, rendition: &Rendition, segment: &Arc<hls::Segment>) {
        let life = || self.show.life().clone();
        // The frame rate is known from here on.
        if segment.msn == 1 {
            self.around.recorder.try_send(Entry::Rendition {
                life: life(),
                info: self.packager.renditions()[segment.rendition].clone(),
            });
        }
        self.around.recorder.try_send(Entry::Segment {
            life: life(),
            rendition: rendition.name().clone(),
            segment: segment.clone(),
        });
    }

    fn kept_ms(&self) -> u64 {
        u64::try_from(self.around.dvr_window.as_millis()).unwrap_or(u64::MAX)
    }

    /// When every rendition of the publication has a whole segment: some players give up on a playlist of parts alone. A layer that
    /// does not come at all must not hide the others for long.
    fn publish_multivariant(&self, now: Instant) {
        // Nobody publishes: what was known is still true of what there is.
        if self.plan.renditions.is_empty() || self.slate.is_some() || self.entrance.is_some() {
            return;
        }
        let is_late = now.saturating_duration_since(self.begun) > LATE;
        let is_ready = |name: &str| match self.show.rendition(name) {
            Some(rendition) => rendition.now().is_some() || is_late && !rendition.has_begun(),
            None => is_late,
        };
        let has_any = self
            .show
            .renditions()
            .iter()
            .any(|rendition| rendition.now().is_some());
        let is_known = self.show.multivariant(Sound::Aac).is_some();
        let mut active = self.packager.renditions().iter().filter(|info| info.active);
        let all_ready = active.all(|info| is_ready(&info.name));
        if has_any && (is_known || all_ready) {
            let [aac, opus] = [Sound::Aac, Sound::Opus].map(|sound| self.multivariant(sound));
            self.show.publish_multivariant(aac, opus);
            if !is_known {
                (self.around.on_change)(&self.show.key().space);
            }
        }
    }

    fn multivariant(&self, sound: Sound) -> String {
        let has_media = |name: &str| {
            self.show
                .rendition(name)
                .is_some_and(|one| one.now().is_some())
        };
        let known = |info: &&RenditionInfo| info.active && has_media(&info.name);
        let renditions = self.packager.renditions().iter();
        multivariant(renditions.filter(known), sound, "")
    }
}
