//! Streams that somebody else than a peer consumes.

use std::time::Instant;

use super::Worker;
use crate::api::{Command, Output};
use crate::id::StreamId;
use crate::packet::MediaPacket;
use crate::stream::{Feed, Stream};
use crate::tap::{Tap, TapItem};

impl Worker {
    /// Commands for taps and slates; all others are about conferences.
    pub(super) fn on_tap_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Tap { stream, tap } => self.set_tap(stream, tap),
            Command::TapKeyframe { stream } => self.ask_tapped_keyframes(now, stream),
            Command::SetSlate { stream, slate } => self.set_slate(now, stream, slate),
            other => self.on_conference_command(now, other),
        }
    }

    /// Begins, changes or ends the tap of a stream. Every worker is told; the one that owns the publisher acts.
    fn set_tap(&mut self, id: StreamId, tap: Option<Tap>) {
        let slot = match tap {
            Some(_) => self.ensure_stream(id),
            None => self.stream_slot(id),
        };
        let Some(slot) = slot else { return };
        let Some(stream) = self.stream_mut(slot) else {
            return;
        };
        let begins = stream.tap.is_none() && tap.is_some();
        stream.tap = tap;
        if begins {
            self.begin_tap(slot);
        }
    }

    /// What is published now, and what came of it: everything if that is not much, else the kept groups of pictures and the last
    /// sound.
    fn begin_tap(&mut self, slot: usize) {
        self.tap_tracks(slot);
        let (early, is_whole) = self.streams[slot]
            .as_mut()
            .and_then(|stream| stream.publication.as_mut())
            .map(|publication| publication.early.take())
            .unwrap_or_default();
        let Some((stream, publication)) = self.streams[slot]
            .as_ref()
            .and_then(|stream| Some((stream, tapped(stream)?)))
        else {
            return;
        };
        let mut items: Vec<Output> = early
            .iter()
            .map(|early| Output::Tap {
                stream: stream.id,
                item: item(early.track, early.layer, &early.packet),
            })
            .collect();
        if is_whole && !items.is_empty() {
            self.outputs.extend(items);
            return;
        }
        for (track, source) in publication.tracks.iter().enumerate() {
            for (layer, kept) in source.layers.iter().enumerate() {
                if !kept.gop.is_intact() {
                    continue;
                }
                items.extend(kept.gop.iter().map(|packet| Output::Tap {
                    stream: stream.id,
                    item: item(track, layer, packet),
                }));
            }
        }
        self.outputs.extend(items);
    }

    /// Tells the tap, if there is one, what is published.
    pub(super) fn tap_tracks(&mut self, slot: usize) {
        let Some(stream) = self.streams.get(slot).and_then(Option::as_ref) else {
            return;
        };
        if let Some(publication) = tapped(stream).filter(|live| !live.tracks.is_empty()) {
            self.outputs.push_back(Output::Tap {
                stream: stream.id,
                item: TapItem::Tracks {
                    publisher: publication.publisher,
                    tracks: publication.infos(),
                },
            });
        }
    }

    /// Gives a packet to the tap, if there is one: also one without a payload, which is forwarded to nobody but whose sequence
    /// number must not be taken for a loss.
    pub(super) fn tap_packet(
        &mut self,
        slot: usize,
        track: usize,
        layer: usize,
        packet: &MediaPacket,
    ) {
        let Some(stream) = self.streams.get(slot).and_then(Option::as_ref) else {
            return;
        };
        if tapped(stream).is_some() {
            self.outputs.push_back(Output::Tap {
                stream: stream.id,
                item: item(track, layer, packet),
            });
        }
    }

    /// Asks for a keyframe of every layer at the same instant, so that what is cut there can be joined at one place.
    fn ask_tapped_keyframes(&mut self, now: Instant, id: StreamId) {
        let Some(slot) = self.stream_slot(id) else {
            return;
        };
        let Some(publication) = self
            .stream_mut(slot)
            .filter(|stream| tapped(stream).is_some())
            .and_then(|stream| stream.publication.as_mut())
        else {
            return;
        };
        for track in &mut publication.tracks {
            if !track.codec.kind.is_audio() {
                for layer in &mut track.layers {
                    layer.requests.want();
                }
            }
        }
        self.ask_keyframes(now, slot);
    }
}

/// The publication of a tapped stream whose publisher is here.
fn tapped(stream: &Stream) -> Option<&crate::stream::Publication> {
    stream.tap?;
    stream
        .publication
        .as_ref()
        .filter(|publication| !matches!(publication.feed, Feed::Relay(_)))
}

/// A packet for a tap.
fn item(track: usize, layer: usize, packet: &MediaPacket) -> TapItem {
    TapItem::Packet {
        track: u8::try_from(track).expect("bounded by TRACKS_MAX"),
        layer: u8::try_from(layer).expect("bounded by LAYERS_MAX"),
        packet: packet.clone(),
    }
}
