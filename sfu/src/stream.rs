//! A stream: who publishes it, what of, and who gets it.

mod clock_map;

use std::time::Instant;

use self::clock_map::ClockMap;
use crate::api::{Codec, CodecKind, TrackInfo};
use crate::forward::{GopCache, KeyframeRequests, LayerView, RateMeter};
use crate::id::{PeerId, StreamId, WorkerId};
use crate::packet::MediaPacket;
use crate::rtc::{Mid, Rid};

/// Tracks of one publication: one of sound, one of pictures, and room for a second camera angle.
pub(crate) const TRACKS_MAX: usize = 4;

/// Layers of one track; browsers and OBS send three, some hardware four.
pub(crate) const LAYERS_MAX: usize = 4;

/// One stream of a worker.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) publication: Option<Publication>,
    /// Slots of the local peers that view it.
    pub(crate) viewers: Vec<usize>,
    /// Other workers with viewers.
    pub(crate) relays: Vec<WorkerId>,
    /// The worker that owns the publisher, as the shell says.
    pub(crate) origin: Option<WorkerId>,
    /// The worker that was asked for packets.
    pub(crate) subscribed: Option<WorkerId>,
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
    /// From the publisher's clock to ours.
    pub(crate) clock: ClockMap,
}

/// One of its tracks.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) mid: Option<Mid>,
    pub(crate) codec: Codec,
    pub(crate) layers: Vec<Layer>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) rid: Option<Rid>,
    pub(crate) name: String,
    pub(crate) gop: GopCache,
    pub(crate) requests: KeyframeRequests,
    pub(crate) rate: RateMeter,
}

impl Layer {
    fn new(kind: CodecKind, rid: Option<Rid>, name: String) -> Self {
        Self {
            rid,
            name,
            gop: GopCache::new(kind),
            requests: KeyframeRequests::default(),
            rate: RateMeter::default(),
        }
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
        Self { mid, codec, layers }
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
            clock: ClockMap::new(now),
        }
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
            relays: Vec::new(),
            origin: None,
            subscribed: None,
        }
    }

    /// What is published now.
    pub(crate) fn infos(&self) -> Vec<TrackInfo> {
        self.publication
            .as_ref()
            .map(Publication::infos)
            .unwrap_or_default()
    }

    /// Counts and keeps one packet. Returns whether a group of pictures began with it.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        track: usize,
        layer: usize,
        packet: &MediaPacket,
    ) -> bool {
        use crate::forward::Pushed;
        let Some(publication) = self.publication.as_mut() else {
            return false;
        };
        publication.last_packet = now;
        let Some(track) = publication.tracks.get_mut(track) else {
            return false;
        };
        let is_audio = track.codec.kind.is_audio();
        let Some(layer) = track.layers.get_mut(layer) else {
            return false;
        };
        // A group of pictures that another worker sends at once did not arrive at once.
        layer.rate.add(packet.arrival, packet.payload.len());
        if is_audio {
            return false;
        }
        let pushed = layer.gop.push(packet, layer.requests.answers());
        if pushed == Pushed::StartsGop {
            layer.requests.on_keyframe(now);
        }
        pushed == Pushed::StartsGop
    }
}
