//! Streams that cross workers, and the end of publications.

use std::time::{Duration, Instant};

use super::Worker;
use crate::api::{Event, Output};
use crate::id::{PeerId, StreamId, WorkerId};
use crate::relay::Relay;
use crate::stream::{Feed, Publication, RelayTo, TRACKS_MAX, Track};
use crate::tap::TapItem;
use crate::track::TrackInfo;

/// Between two groups of pictures that another worker is sent of one stream.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn on_relay(&mut self, now: Instant, from: WorkerId, message: Relay) {
        match message {
            Relay::Subscribe { stream, video } => self.on_subscribe(now, from, stream, video),
            Relay::Unsubscribe { stream } => {
                if let Some(slot) = self.stream_slot(stream)
                    && let Some(stream) = self.stream_mut(slot)
                {
                    stream.relays.retain(|to| to.worker != from);
                }
            }
            Relay::Watched { stream, layers } => {
                if let Some(slot) = self.stream_slot(stream)
                    && let Some(to) = self
                        .stream_mut(slot)
                        .and_then(|stream| stream.relays.iter_mut().find(|to| to.worker == from))
                {
                    to.layers = layers;
                }
            }
            Relay::Tracks {
                stream,
                publisher,
                tracks,
            } => self.on_tracks(now, from, stream, publisher, &tracks),
            Relay::Packet {
                stream,
                publisher,
                track,
                layer,
                packet,
            } => {
                let (track, layer) = (usize::from(track), usize::from(layer));
                match self.relayed_slot(from, stream, publisher, track, layer) {
                    Some(slot) => self.route(now, slot, track, layer, packet),
                    None => self.stats.dropped_stale += 1,
                }
            }
            Relay::Keyframe {
                stream,
                track,
                layer,
            } => {
                let Some(slot) = self.stream_slot(stream) else {
                    return;
                };
                if let Some(layer) = self
                    .stream_mut(slot)
                    .and_then(|stream| stream.publication.as_mut())
                    .and_then(|publication| publication.tracks.get_mut(usize::from(track)))
                    .and_then(|track| track.layers.get_mut(usize::from(layer)))
                {
                    layer.requests.want();
                }
                self.ask_keyframes(now, slot);
            }
            Relay::Ended { stream, publisher } => {
                let Some(slot) = self.stream_slot(stream) else {
                    return;
                };
                if self.is_publishing(slot, publisher) {
                    self.end_publication(slot, Feed::Relay(from));
                }
            }
        }
    }

    fn on_subscribe(&mut self, now: Instant, from: WorkerId, id: StreamId, video: bool) {
        // The stream is unknown when the subscription outlived it; the shell then tells the other side.
        let Some(slot) = self.ensure_stream(id) else {
            return;
        };
        let Some(stream) = self.streams[slot].as_mut() else {
            return;
        };
        // Viewers are shown the slate there, too, and not what was last.
        let is_absent = stream.slate.is_some() && stream.is_absent(now);
        let known = stream.relays.iter_mut().find(|to| to.worker == from);
        let had_video = known.as_ref().is_some_and(|to| to.video);
        // A group costs a ring's room. Who asks again and again waits for a keyframe instead.
        let is_soon = known.as_ref().is_some_and(|to| {
            to.replayed
                .is_some_and(|last| now.saturating_duration_since(last) < REPLAY_INTERVAL)
        });
        let replayed = (video && !is_soon && !is_absent).then_some(now);
        match known {
            Some(to) => {
                to.video = video;
                to.replayed = replayed.or(to.replayed);
            }
            None => stream.relays.push(RelayTo {
                worker: from,
                video,
                layers: 0,
                replayed,
            }),
        }
        if had_video {
            return;
        }
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        self.outputs.push_back(Output::Relay {
            to: from,
            message: Relay::Tracks {
                stream: id,
                publisher: publication.publisher,
                tracks: publication.infos(),
            },
        });
        if !video || is_soon || is_absent {
            return;
        }
        for (track, source) in publication.tracks.iter().enumerate() {
            for (layer, kept) in source.layers.iter().enumerate() {
                for packet in kept.gop.iter() {
                    self.outputs.push_back(Output::Relay {
                        to: from,
                        message: Relay::Packet {
                            stream: id,
                            publisher: publication.publisher,
                            track: u8::try_from(track).expect("bounded by TRACKS_MAX"),
                            layer: u8::try_from(layer).expect("bounded by LAYERS_MAX"),
                            packet: packet.clone(),
                        },
                    });
                }
            }
        }
    }

    fn on_tracks(
        &mut self,
        now: Instant,
        from: WorkerId,
        stream: StreamId,
        publisher: PeerId,
        tracks: &[TrackInfo],
    ) {
        let Some(slot) = self.stream_slot(stream) else {
            return;
        };
        let Some(stream) = self.streams[slot].as_mut() else {
            return;
        };
        if stream.subscribed.map(|(worker, _)| worker) != Some(from) {
            return;
        }
        let is_new = stream
            .publication
            .as_ref()
            .is_none_or(|publication| publication.publisher != publisher);
        if is_new {
            stream.publication = Some(Publication::new(publisher, Feed::Relay(from), now));
        }
        if let Some(publication) = stream.publication.as_mut() {
            publication.tracks.truncate(tracks.len());
            for (at, info) in tracks.iter().take(TRACKS_MAX).enumerate() {
                match publication.tracks.get(at) {
                    Some(known) if known.info() == *info => {}
                    Some(_) => publication.tracks[at] = Track::from_info(info),
                    None => publication.tracks.push(Track::from_info(info)),
                }
            }
        }
        if is_new && !tracks.is_empty() {
            // Whoever is announced again has not left: a camera was turned off, or this worker had nobody who watches.
            stream.absence = crate::stream::Absence::default();
        }
        self.rebind_legs(slot, is_new);
        self.want_keyframes_for_waiting(now, slot);
    }

    /// Makes other workers begin anew with a publication: what they keep of it is not to be shown any more.
    pub(super) fn renew_relays(&mut self, slot: usize) {
        let Some(stream) = self.streams.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        let (id, publisher) = (stream.id, publication.publisher);
        for to in &stream.relays {
            let messages = [
                Relay::Ended {
                    stream: id,
                    publisher,
                },
                Relay::Tracks {
                    stream: id,
                    publisher,
                    tracks: publication.infos(),
                },
            ];
            self.outputs
                .extend(messages.into_iter().map(|message| Output::Relay {
                    to: to.worker,
                    message,
                }));
        }
    }

    fn relayed_slot(
        &self,
        from: WorkerId,
        stream: StreamId,
        publisher: PeerId,
        track: usize,
        layer: usize,
    ) -> Option<usize> {
        let slot = self.stream_slot(stream)?;
        let publication = self.streams[slot].as_ref()?.publication.as_ref()?;
        let is_current =
            publication.publisher == publisher && publication.feed == Feed::Relay(from);
        let exists = publication.tracks.get(track)?.layers.len() > layer;
        (is_current && exists).then_some(slot)
    }

    fn is_publishing(&self, slot: usize, publisher: PeerId) -> bool {
        self.publication(slot)
            .is_some_and(|publication| publication.publisher == publisher)
    }

    /// A publication is over. Viewers stay and wait for the next one.
    pub(super) fn end_publication(&mut self, slot: usize, feed: Feed) {
        let Some((id, ended)) = self.withdraw(slot, feed) else {
            return;
        };
        if !matches!(feed, Feed::Relay(_)) {
            self.emit(Event::Ended {
                stream: id,
                peer: ended.publisher,
            });
        }
        self.rebind_legs(slot, true);
    }

    /// Takes a publication off its stream, and says so to other workers and to the tap, but not to the shell.
    pub(super) fn withdraw(&mut self, slot: usize, feed: Feed) -> Option<(StreamId, Publication)> {
        let stream = self.streams.get_mut(slot).and_then(Option::as_mut)?;
        let ended = stream
            .publication
            .take_if(|publication| publication.feed == feed)?;
        if !ended.tracks.is_empty() {
            stream.absence.on_left();
        }
        let (id, is_tapped) = (stream.id, stream.tap.is_some());
        for to in stream.relays.clone() {
            self.outputs.push_back(Output::Relay {
                to: to.worker,
                message: Relay::Ended {
                    stream: id,
                    publisher: ended.publisher,
                },
            });
        }
        if is_tapped && !matches!(feed, Feed::Relay(_)) {
            self.outputs.push_back(Output::Tap {
                stream: id,
                item: TapItem::Ended {
                    publisher: ended.publisher,
                },
            });
        }
        Some((id, ended))
    }

    /// Makes sure that packets come from where the publisher is, and only while somebody here watches.
    pub(super) fn follow_origin(&mut self, slot: usize) {
        let own = self.config.id;
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let is_wanted = stream.has_subscribers() || stream.room.is_some();
        let video = stream.wants_video();
        let wanted = stream
            .origin
            .filter(|origin| *origin != own && is_wanted)
            .map(|origin| (origin, video));
        if stream.subscribed == wanted {
            return;
        }
        let id = stream.id;
        let previous = std::mem::replace(&mut stream.subscribed, wanted);
        if let Some((to, _)) = previous
            && wanted.map(|(origin, _)| origin) != Some(to)
        {
            self.outputs.push_back(Output::Relay {
                to,
                message: Relay::Unsubscribe { stream: id },
            });
            self.end_publication(slot, Feed::Relay(to));
        }
        if let Some((to, video)) = wanted {
            self.outputs.push_back(Output::Relay {
                to,
                message: Relay::Subscribe { stream: id, video },
            });
        }
    }
}
