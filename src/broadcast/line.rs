//! One name on its packaging thread: who publishes under it now, and the life that the publications belong to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use payload::opus::is_stereo;
use sfu::{MediaPacket, PeerId, StreamId, TapItem, TrackInfo};

use super::plan::Plan;
use super::production::{Production, Surroundings};
use super::published::Published;
use super::stream::Show;
use crate::clock;
use crate::media::StreamKey;
use crate::recording::{Entry, Resumable};

/// How long the second kind of a publication's tracks is waited for.
const SETTLE_MAX: Duration = Duration::from_millis(600);

/// For so long the packets of a publication are only looked at: they say together how it began. A burst of FFmpeg takes a tenth of
/// a second, the first keyframe of a browser two on a narrow line.
const OPENING: Duration = Duration::from_millis(300);

/// How long a publisher who comes back may take to bring all that the last one had, before the life ends and another begins.
const RETURN_MAX: Duration = Duration::from_secs(3);

/// Packets that are held meanwhile: the kept groups of pictures, 16 MB in packets of 1,100 bytes, and some.
const HELD_MAX: usize = 16_384;

/// After a publisher left, its stream stays open for the next one this long; as long as its WHEP viewers are kept.
const LINGER: Duration = Duration::from_secs(60);

/// How long a stream that is over is served from memory.
const FAREWELL: Duration = Duration::from_secs(60);

enum Publication {
    /// Not all tracks have come; their packets are held.
    Settling {
        publisher: PeerId,
        tracks: Vec<TrackInfo>,
        since: Instant,
        held: VecDeque<(u8, u8, MediaPacket)>,
    },
    Running {
        publisher: PeerId,
        plan: Plan,
    },
}

/// What the thread is to do for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    /// Ask the publisher for a keyframe.
    pub(super) keyframe: bool,
    /// Tap the stream anew: its life is over, another one begins with the kept group of pictures.
    pub(super) retap: bool,
    /// The stream is over and forgotten.
    pub(super) is_over: bool,
}

/// One name.
pub(super) struct Line {
    pub(super) key: StreamKey,
    /// Nothing before somebody publishes: the life is one of the last process.
    pub(super) stream: Option<StreamId>,
    /// Whether it is recorded from the beginning.
    pub(super) keeps: bool,
    /// What the media threads were told.
    pub(super) told_watched: bool,
    publication: Option<Publication>,
    production: Option<Production>,
    idle_since: Instant,
    ended: Option<Instant>,
    /// The target duration that the next life must have at least.
    target_min_s: Option<u32>,
    around: Surroundings,
    published: Arc<Published>,
}

impl Line {
    pub(super) fn new(
        key: StreamKey,
        stream: StreamId,
        keeps: bool,
        around: Surroundings,
        published: Arc<Published>,
    ) -> Self {
        Self {
            key,
            stream: Some(stream),
            keeps,
            told_watched: false,
            publication: None,
            production: None,
            idle_since: clock::now(),
            ended: None,
            target_min_s: None,
            around,
            published,
        }
    }

    /// Goes on with a life of the last process, if that is possible.
    pub(super) fn resume(
        now: Instant,
        now_ms: u64,
        life: &Resumable,
        around: Surroundings,
        published: Arc<Published>,
    ) -> Option<Self> {
        let production = Production::resume(now, now_ms, life, around.clone())?;
        published.insert(production.show.clone());
        Some(Self {
            key: life.key.clone(),
            stream: None,
            keeps: false,
            told_watched: false,
            publication: None,
            production: Some(production),
            idle_since: now,
            ended: None,
            target_min_s: None,
            around,
            published,
        })
    }

    /// The server stops: what is open is closed, but nothing is over.
    pub(super) fn suspend(&mut self) {
        if let Some(production) = &mut self.production
            && self.ended.is_none()
        {
            production.suspend();
        } else {
            self.close();
        }
    }

    /// Whether somebody watches what is made of it.
    pub(super) fn is_watched(&self) -> bool {
        self.production
            .as_ref()
            .is_some_and(|production| production.show.is_watched())
    }

    pub(super) fn on_item(&mut self, now: Instant, item: TapItem) {
        match item {
            TapItem::Tracks { publisher, tracks } => self.on_tracks(now, publisher, tracks),
            TapItem::Packet {
                track,
                layer,
                packet,
            } => self.on_packet(track, layer, packet),
            TapItem::Ended { publisher } => self.on_ended(now, publisher),
        }
    }

    fn on_tracks(&mut self, now: Instant, from: PeerId, new: Vec<TrackInfo>) {
        match &mut self.publication {
            Some(Publication::Settling {
                publisher, tracks, ..
            }) if *publisher == from => *tracks = new,
            Some(Publication::Running { publisher, plan })
                if *publisher == from && *plan == Plan::of(&new) => {}
            _ => {
                // Too late for the old life: its playlists have said that they are over.
                self.forget_ended();
                self.idle_since = now;
                self.publication = Some(Publication::Settling {
                    publisher: from,
                    tracks: new,
                    since: now,
                    held: VecDeque::new(),
                });
            }
        }
        self.settle(now, false);
    }

    fn on_packet(&mut self, track: u8, layer: u8, packet: MediaPacket) {
        match (&mut self.publication, &mut self.production) {
            (Some(Publication::Settling { held, .. }), _) if held.len() < HELD_MAX => {
                held.push_back((track, layer, packet));
            }
            (Some(Publication::Running { .. }), Some(production)) => {
                production.push(track, layer, &packet);
            }
            _ => {}
        }
    }

    fn on_ended(&mut self, now: Instant, from: PeerId) {
        // The end of one and the begin of the next may come from two media threads in any order.
        if self.publisher().is_some_and(|publisher| publisher != from) {
            return;
        }
        // What came belongs to the stream, however short it was.
        self.settle(now, true);
        self.publication = None;
        self.idle_since = now;
        if let Some(production) = &mut self.production
            && self.ended.is_none()
        {
            // The playlist of playlists is about who performs: nobody does afterwards.
            production.carry_out(now);
            production.pause();
        }
        self.published.refuse(&self.key, None);
    }

    fn publisher(&self) -> Option<PeerId> {
        match &self.publication {
            Some(
                Publication::Settling { publisher, .. } | Publication::Running { publisher, .. },
            ) => Some(*publisher),
            None => None,
        }
    }

    /// Begins with what there is once it is complete or was waited for, or when no more comes.
    fn settle(&mut self, now: Instant, is_over: bool) {
        let Some(Publication::Settling {
            publisher,
            tracks,
            since,
            held,
        }) = &mut self.publication
        else {
            return;
        };
        let plan = Plan::of(tracks);
        let life = self.production.as_ref().filter(|_| self.ended.is_none());
        let goes_on = life.is_none_or(|life| life.goes_on_with(&plan));
        let patience = if goes_on { SETTLE_MAX } else { RETURN_MAX };
        let waited = now.saturating_duration_since(*since);
        let is_known = plan.is_complete() && goes_on && (is_over || waited >= OPENING);
        if !(is_known || !is_over && waited >= patience) {
            return;
        }
        let says_stereo = |(track, layer, packet): &(u8, u8, MediaPacket)| {
            plan.is_opus(*track, *layer) && is_stereo(&packet.payload, packet.red)
        };
        let mut heard = plan.clone();
        if held.iter().any(says_stereo) {
            heard.set_stereo();
        }
        // A picture of several layers says all their names before the first packet; nothing more is to be waited for.
        if self.published.refuse(&self.key, plan.refusal) {
            (self.around.on_change)(&self.key.space);
        }
        if plan.renditions.is_empty() {
            held.clear();
            // Whoever was before may have been taken over from: nothing of that will come any more.
            if let Some(production) = &mut self.production
                && self.ended.is_none()
            {
                production.pause();
            }
            return;
        }
        let Some(first) = held.iter().map(|(_, _, packet)| packet.wallclock).min() else {
            return;
        };
        let (publisher, held) = (*publisher, std::mem::take(held));
        self.forget_ended();
        self.publication = Some(Publication::Running {
            publisher,
            plan: plan.clone(),
        });
        self.part_with(&plan);
        let mut production = self
            .production
            .take()
            .unwrap_or_else(|| self.begin_life(first));
        production.begin(now, heard, held.iter());
        for (track, layer, packet) in &held {
            production.push(*track, *layer, packet);
        }
        self.production = Some(production);
    }

    /// Ends the life if the new publication lacks a rendition that it has: players of that one would wait for ever, and hear of
    /// the end instead. The next life begins under the same name.
    fn part_with(&mut self, plan: &Plan) {
        if let Some(production) = self
            .production
            .take_if(|production| !production.goes_on_with(plan))
        {
            let mut production = production;
            production.end();
            self.published.remove(&production.show);
        }
    }

    fn begin_life(&mut self, origin: Instant) -> Production {
        let age = clock::now().saturating_duration_since(origin);
        let since_epoch = clock::wall()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(age);
        let origin_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(0);
        let life: Arc<str> = new_life().into();
        let show = Arc::new(Show::new(self.key.clone(), life.clone(), origin_ms));
        self.around.recorder.try_send(Entry::Begin {
            key: self.key.clone(),
            life,
            origin_ms,
            keep: self.keeps,
        });
        self.published.insert(show.clone());
        let mut around = self.around.clone();
        if let Some(seconds) = self.target_min_s.take() {
            around.settings.target_duration_min_s = seconds;
        }
        Production::new(show, origin, around)
    }

    /// To be called every few milliseconds.
    pub(super) fn tick(&mut self, now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        self.settle(now, false);
        if let Some(production) = &mut self.production
            && self.ended.is_none()
        {
            // Also while somebody publishes what HLS cannot carry.
            let is_running = matches!(self.publication, Some(Publication::Running { .. }));
            production.expire(now);
            let away = now.saturating_duration_since(self.idle_since);
            production.fill_absence(now, (!is_running).then_some(away));
            wishes.keyframe = production.carry_out(now);
            self.target_min_s = production.take_outgrown().or(self.target_min_s);
            if !is_running && now.saturating_duration_since(self.idle_since) >= LINGER {
                production.end();
                self.ended = Some(now);
            }
        }
        wishes.retap = self.outgrow();
        let is_gone = match self.ended {
            Some(ended) => now.saturating_duration_since(ended) >= FAREWELL,
            None => {
                self.production.is_none()
                    && now.saturating_duration_since(self.idle_since) >= LINGER
            }
        };
        if is_gone {
            self.forget_ended();
        }
        wishes.is_over = is_gone && self.publication.is_none();
        wishes
    }

    /// Ends a life whose target duration the publisher's keyframes do not fit: it cannot be changed. Says whether it did.
    fn outgrow(&mut self) -> bool {
        if self.target_min_s.is_none() || self.ended.is_some() {
            return false;
        }
        let Some(mut production) = self.production.take() else {
            return false;
        };
        production.end();
        self.published.remove(&production.show);
        self.publication = None;
        true
    }

    /// Lets go of a life that is over.
    fn forget_ended(&mut self) {
        if self.ended.take().is_some()
            && let Some(production) = self.production.take()
        {
            self.published.remove(&production.show);
        }
    }

    /// The server stops, or the stream is forgotten.
    pub(super) fn close(&mut self) {
        if let Some(production) = &mut self.production
            && self.ended.is_none()
        {
            production.end();
        }
        self.withdraw();
    }

    /// As [`Self::close`], when a defect keeps what is open from being closed: nobody waits for it any more.
    pub(super) fn abandon(&mut self) {
        if let Some(production) = &mut self.production
            && self.ended.is_none()
        {
            production.finish();
        }
        self.withdraw();
    }

    fn withdraw(&mut self) {
        if let Some(production) = self.production.take() {
            self.published.remove(&production.show);
        }
        self.published.refuse(&self.key, None);
    }
}

/// Eight hexadecimal digits that no other life has.
fn new_life() -> String {
    let id = uuid::Uuid::new_v4();
    data_encoding::HEXLOWER.encode(&id.as_bytes()[..4])
}
