//! A stream: who publishes it, what of, and who gets it.

mod absence;
mod clock_map;
mod early;
mod order;
mod presence;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::absence::Absence;
use self::clock_map::ClockMap;
use self::early::Early;
use self::order::OrderWatch;
pub(crate) use self::presence::Presence;
use payload::{Codec, CodecKind};

use crate::allocate::LayerRate;
use crate::forward::{GopCache, KeyframeRequests, LayerView, RateMeter};
use crate::id::{PeerId, StreamId, WorkerId};
use crate::packet::MediaPacket;
use crate::peer::LegRef;
use crate::rtc::{Mid, Rid};
use crate::slate::Slate;
use crate::standby::WaitingSource;
use crate::tap::Tap;
use crate::track::TrackInfo;

/// Tracks of one publication: one of sound, one of pictures, and room for a second camera angle.
pub(crate) const TRACKS_MAX: usize = 4;

/// Layers of one track; browsers and OBS send three, some hardware four.
pub(crate) const LAYERS_MAX: usize = 4;

/// One stream of a worker.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) publication: Option<Publication>,
    /// Slots of the local peers that view it, connected or not.
    pub(crate) viewers: Vec<usize>,
    /// Legs of connected peers that get its sound.
    pub(crate) audio_legs: Vec<LegRef>,
    /// Legs of connected peers that get its pictures.
    pub(crate) video_legs: Vec<LegRef>,
    /// Other workers that asked for it.
    pub(crate) relays: Vec<RelayTo>,
    /// The worker that owns the publisher, as the shell says.
    pub(crate) origin: Option<WorkerId>,
    /// The worker that was asked for packets, and whether for pictures, too.
    pub(crate) subscribed: Option<(WorkerId, bool)>,
    /// Slot of the conference that hears it.
    pub(crate) room: Option<usize>,
    /// Whether and how it is tapped.
    pub(crate) tap: Option<Tap>,
    /// Publishers without WebRTC that wait or stand by.
    pub(crate) sources: Vec<WaitingSource>,
    /// What its viewers are shown while nobody performs.
    pub(crate) slate: Option<Arc<Slate>>,
    pub(crate) absence: Absence,
}

/// Another worker with subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RelayTo {
    pub(crate) worker: WorkerId,
    /// Whether it wants pictures, too.
    pub(crate) video: bool,
    /// The layers that it watches, a bit each.
    pub(crate) layers: u8,
    /// When it was last sent the kept groups of pictures.
    pub(crate) replayed: Option<Instant>,
}

/// Which layers of the picture somebody watches, a bit each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watched {
    /// What was told last; `None` before the first time.
    pub(crate) told: Option<u8>,
    /// When each layer was last watched.
    pub(crate) last: [Option<Instant>; LAYERS_MAX],
}

/// Where packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// A local peer's slot.
    Peer(usize),
    /// A source without WebRTC on this worker.
    Source,
    /// Another worker.
    Relay(WorkerId),
}

/// One publisher's turn on a stream.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) publisher: PeerId,
    pub(crate) feed: Feed,
    pub(crate) tracks: Vec<Track>,
    pub(crate) last_packet: Instant,
    pub(crate) is_silent: bool,
    /// The same, sooner: for whoever stands by.
    pub(crate) presence: Presence,
    /// When it began.
    pub(crate) since: Instant,
    /// Whether its publisher stands in for another one.
    pub(crate) is_backup: bool,
    /// How often its publisher lost the stage by silence lately.
    pub(crate) falls: u32,
    /// Whether its pictures come in another order than they are shown.
    pub(crate) is_reordered: bool,
    /// What is dropped at the entrance: sound, pictures.
    pub(crate) muted: (bool, bool),
    pub(crate) watched: Watched,
    /// From the publisher's clock to ours.
    pub(crate) clock: ClockMap,
    /// What came before somebody tapped the stream.
    pub(crate) early: Early,
}

/// One of its tracks.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) mid: Option<Mid>,
    /// When it began, if it took the place of another one.
    pub(crate) since: Option<Instant>,
    pub(crate) codec: Codec,
    pub(crate) layers: Vec<Layer>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    kind: CodecKind,
    pub(crate) rid: Option<Rid>,
    pub(crate) name: String,
    pub(crate) gop: GopCache,
    pub(crate) requests: KeyframeRequests,
    pub(crate) rate: RateMeter,
    pub(crate) order: OrderWatch,
    /// The highest source sequence number, and when a packet came last.
    newest: Option<(u64, Instant)>,
    /// Since when somebody waits for it although nothing comes.
    missed_since: Option<Instant>,
    /// Until then it is not counted upon.
    given_up_until: Option<Instant>,
}

/// A layer that was paused is back within this time; else its publisher cannot send it now.
const MISSED_MAX: Duration = Duration::from_secs(3);

/// A layer of which nothing came for so long, and some was lost meanwhile, was cut off. Shorter gaps are repaired.
const CUT_MIN: Duration = Duration::from_secs(1);

/// What [`Stream::keep`] noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// A group of pictures began with the packet.
    pub(crate) begins_gop: bool,
    /// It is the first of its layer after a cut.
    pub(crate) returns: bool,
}

/// How long such a layer is left alone.
const GIVEN_UP_FOR: Duration = Duration::from_secs(15);

impl Layer {
    fn new(kind: CodecKind, rid: Option<Rid>, name: String) -> Self {
        Self {
            kind,
            rid,
            name,
            gop: GopCache::new(kind),
            requests: KeyframeRequests::default(),
            rate: RateMeter::default(),
            order: OrderWatch::default(),
            newest: None,
            missed_since: None,
            given_up_until: None,
        }
    }

    /// Whether with `packet` the layer comes again after a cut: nothing came for a while, and what was sent meanwhile is
    /// lost. A sender that paused goes on where it was.
    fn returns(&mut self, packet: &MediaPacket) -> bool {
        let Some((newest, last)) = self.newest else {
            self.newest = Some((packet.sequence, packet.arrival));
            return false;
        };
        self.newest = Some((newest.max(packet.sequence), last.max(packet.arrival)));
        packet.sequence > newest + 1 && packet.arrival.saturating_duration_since(last) >= CUT_MIN
    }

    /// Forgets the pictures that are kept.
    pub(crate) fn forget(&mut self) {
        self.gop = GopCache::new(self.kind);
    }

    /// Somebody waits for it.
    pub(crate) fn miss(&mut self, now: Instant) {
        if self.rate.is_active(now) {
            self.missed_since = None;
            return;
        }
        let since = *self.missed_since.get_or_insert(now);
        if now.saturating_duration_since(since) > MISSED_MAX {
            self.missed_since = None;
            self.given_up_until = Some(now + GIVEN_UP_FOR);
        }
    }

    /// Whether it comes, or would if it were asked for.
    fn is_available(&self, now: Instant) -> bool {
        self.rate.is_active(now) || self.given_up_until.is_none_or(|until| now >= until)
    }
}

impl Track {
    /// A track with the layers that its section announced, or one without a name.
    pub(crate) fn new(mid: Option<Mid>, codec: Codec, rids: &[Rid]) -> Self {
        let mut layers: Vec<Layer> = rids
            .iter()
            .take(LAYERS_MAX)
            .map(|rid| Layer::new(codec.kind, Some(*rid), rid.to_string()))
            .collect();
        if layers.is_empty() {
            layers.push(Layer::new(codec.kind, None, String::new()));
        }
        Self {
            mid,
            since: None,
            codec,
            layers,
        }
    }

    /// The same track on another worker.
    pub(crate) fn from_info(info: &TrackInfo) -> Self {
        let layers = info
            .layers
            .iter()
            .take(LAYERS_MAX)
            .map(|name| Layer::new(info.codec.kind, None, name.clone()))
            .collect();
        Self {
            mid: None,
            since: None,
            codec: info.codec,
            layers,
        }
    }

    /// What the shell and other workers are told.
    pub(crate) fn info(&self) -> TrackInfo {
        TrackInfo {
            codec: self.codec,
            layers: self.layers.iter().map(|layer| layer.name.clone()).collect(),
        }
    }

    /// The place of layer `rid`.
    pub(crate) fn layer_of(&self, rid: Option<Rid>) -> Option<usize> {
        self.layers.iter().position(|layer| layer.rid == rid)
    }

    /// What each step of quality takes, for layers up to `layer_max` that come or would if they were asked for. A simulcast
    /// layer above the lowest counts whole, unless it is the only one or a screen's: fewer pictures a second of a larger
    /// face are no gain.
    pub(crate) fn layer_rates(
        &self,
        now: Instant,
        layer_max: u8,
        is_detail: bool,
    ) -> Vec<LayerRate> {
        let mut rates = Vec::new();
        for (at, layer) in (0..=layer_max).zip(&self.layers) {
            // With nothing better the lowest is waited for.
            if at > 0 && !layer.is_available(now) {
                continue;
            }
            let active = layer.rate.is_active(now);
            let steps: Vec<_> = layer.rate.by_layer().collect();
            let from = if at > 0 && !is_detail {
                steps.len().saturating_sub(1)
            } else {
                0
            };
            rates.extend(
                steps[from..]
                    .iter()
                    .map(|&(spatial, temporal, bps)| LayerRate {
                        layer: at,
                        spatial,
                        temporal,
                        bps,
                        active,
                    }),
            );
            if steps.is_empty() {
                rates.push(LayerRate {
                    layer: at,
                    spatial: 0,
                    // Not known yet: all of them.
                    temporal: u8::MAX,
                    bps: layer.rate.bps(),
                    active,
                });
            }
        }
        rates
    }

    /// The layers as the selector sees them.
    pub(crate) fn views(&self, now: Instant) -> Vec<LayerView> {
        self.layers
            .iter()
            .map(|layer| LayerView {
                bps: layer.rate.bps(),
                active: layer.rate.is_active(now),
            })
            .collect()
    }
}

impl Publication {
    pub(crate) fn new(publisher: PeerId, feed: Feed, now: Instant) -> Self {
        Self {
            publisher,
            feed,
            tracks: Vec::new(),
            last_packet: now,
            is_silent: false,
            presence: Presence::new(now),
            since: now,
            is_backup: false,
            falls: 0,
            is_reordered: false,
            muted: (false, false),
            watched: Watched::default(),
            clock: ClockMap::new(now),
            early: Early::default(),
        }
    }

    /// How many layers its picture has.
    pub(crate) fn video_layers(&self) -> usize {
        self.tracks
            .iter()
            .find(|track| !track.codec.kind.is_audio())
            .map_or(0, |track| track.layers.len())
    }

    /// Its picture.
    pub(crate) fn video_mut(&mut self) -> Option<&mut Track> {
        self.tracks
            .iter_mut()
            .find(|track| !track.codec.kind.is_audio())
    }

    /// Looks whether the order of its pictures is another one than it was; says so if it is.
    pub(crate) fn order_changed(&mut self, now: Instant) -> Option<bool> {
        let mut layers = self.tracks.iter_mut().flat_map(|track| &mut track.layers);
        let is_reordered = layers.any(|layer| layer.order.is_reordered(now));
        let changed = is_reordered != self.is_reordered;
        self.is_reordered = is_reordered;
        changed.then_some(is_reordered)
    }

    /// All tracks as others are told of them.
    pub(crate) fn infos(&self) -> Vec<TrackInfo> {
        self.tracks.iter().map(Track::info).collect()
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId) -> Self {
        Self {
            id,
            publication: None,
            viewers: Vec::new(),
            audio_legs: Vec::new(),
            video_legs: Vec::new(),
            relays: Vec::new(),
            origin: None,
            subscribed: None,
            room: None,
            tap: None,
            sources: Vec::new(),
            slate: None,
            absence: Absence::default(),
        }
    }

    /// The legs that get one kind of its tracks.
    pub(crate) fn legs(&self, is_audio: bool) -> &[LegRef] {
        if is_audio {
            &self.audio_legs
        } else {
            &self.video_legs
        }
    }

    /// The same, to be changed.
    pub(crate) fn legs_mut(&mut self, is_audio: bool) -> &mut Vec<LegRef> {
        if is_audio {
            &mut self.audio_legs
        } else {
            &mut self.video_legs
        }
    }

    /// Whether nobody needs it to be known here.
    pub(crate) fn is_idle(&self) -> bool {
        self.publication.is_none()
            && self.relays.is_empty()
            && self.room.is_none()
            && self.tap.is_none()
            && self.sources.is_empty()
            && !self.has_subscribers()
    }

    /// Whether anybody here views, watches or hears it.
    pub(crate) fn has_subscribers(&self) -> bool {
        !(self.viewers.is_empty() && self.audio_legs.is_empty() && self.video_legs.is_empty())
    }

    /// Whether anybody here wants its pictures.
    pub(crate) fn wants_video(&self) -> bool {
        !(self.viewers.is_empty() && self.video_legs.is_empty())
    }

    /// What is published now.
    pub(crate) fn infos(&self) -> Vec<TrackInfo> {
        self.publication
            .as_ref()
            .map(Publication::infos)
            .unwrap_or_default()
    }

    /// Counts and keeps one packet.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        at: usize,
        layer: usize,
        packet: &MediaPacket,
    ) -> Kept {
        use crate::forward::Pushed;
        let nothing = Kept::default();
        let Some(publication) = self.publication.as_mut() else {
            return nothing;
        };
        publication.last_packet = now;
        self.absence = Absence::default();
        let Some(track) = publication.tracks.get_mut(at) else {
            return nothing;
        };
        let is_audio = track.codec.kind.is_audio();
        publication.presence.hear(now, is_audio);
        if self.tap.is_none() && !matches!(publication.feed, Feed::Relay(_)) {
            publication.early.push(is_audio, at, layer, packet);
        }
        let Some(layer) = track.layers.get_mut(layer) else {
            return nothing;
        };
        // A group of pictures that another worker sends at once did not arrive at once.
        layer.rate.add_packet(packet);
        if is_audio {
            return nothing;
        }
        layer.requests.on_packet(now);
        let returns = layer.returns(packet);
        if returns {
            layer.gop.break_off(packet.sequence);
            layer.requests.on_return();
        }
        layer.order.take(packet);
        let pushed = layer.gop.push(packet, layer.requests.answers());
        let begins_gop = pushed == Pushed::StartsGop;
        if begins_gop {
            layer.requests.on_keyframe(now);
        }
        Kept {
            begins_gop,
            returns,
        }
    }
}
