//! What participants are shown: pictures in slots, and layers that fit their bandwidth together.

use std::time::{Duration, Instant};

use super::Worker;
use super::command::ESTIMATE_START_BPS;
use super::jam::{given, look_for_jam};
use crate::allocate::{Request, cut, ladder};
use crate::api::{Event, Output, Role};
use crate::conference::{Slot, SlotState, VIDEO_SLOTS_MAX, Want};
use crate::peer::{Leg, LegRef, Peer};
use crate::relay::Relay;
use crate::seat::Seat;
use crate::stream::{Feed, LAYERS_MAX, Stream, Track};

/// A slot that changes hands is silent this long, so that nobody is shown under another's name: the map travels another
/// way than the pictures.
const HOLD: Duration = Duration::from_millis(100);

/// A layer that nobody watches is kept this long, so that a look elsewhere and back costs nothing.
const UNWATCHED_AFTER: Duration = Duration::from_secs(3);

/// The lowest layer is kept longer: it is what a newcomer sees first.
const LOWEST_UNWATCHED_AFTER: Duration = Duration::from_secs(15);

/// The estimator looks for this much even while less is wanted, so that a look at something large is not judged by what a
/// small picture needed. A probe of twice as much lasts 15 ms: 9 kB every 5 s.
const DESIRED_MIN_BPS: u64 = ESTIMATE_START_BPS;

/// Of the estimate, what is left for RTCP, retransmissions and the estimate's own error.
const USABLE_PERCENT: u64 = 95;

impl Worker {
    /// The whole list of what a participant wants to see.
    pub(super) fn watch(&mut self, now: Instant, slot: usize, mut wants: Vec<Want>) {
        wants.truncate(VIDEO_SLOTS_MAX);
        for want in &wants {
            let own = self.config.id;
            if let Some(at) = self.ensure_stream(want.stream)
                && let Some(stream) = self.stream_mut(at)
                && want.origin != own
            {
                stream.origin = Some(want.origin);
            }
        }
        let Some(seat) = self.seat_mut(slot) else {
            return;
        };
        seat.wants = wants;
        self.assign_video(now, slot);
        self.allocate(now, slot);
        self.tell_slots(slot);
    }

    /// Gives every wanted picture a slot, and takes slots from those not wanted any more.
    pub(super) fn assign_video(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let (Some(seat), true) = (peer.seat.as_ref(), peer.is_connected) else {
            return;
        };
        let wants: Vec<(usize, Want)> = seat
            .wants
            .iter()
            .filter_map(|want| Some((self.stream_slot(want.stream)?, *want)))
            .filter(|(at, _)| !peer.publishes.iter().any(|own| own.stream == *at))
            .collect();
        let video = || (0..peer.legs.len()).filter(|at| !peer.legs[*at].is_audio);
        let gone: Vec<usize> = video()
            .filter(|at| {
                let carried = peer.legs[*at].stream;
                carried.is_some_and(|carried| !wants.iter().any(|(wanted, _)| *wanted == carried))
            })
            .collect();
        for leg in gone {
            self.unsubscribe(now, LegRef { peer: slot, leg });
        }
        for (stream, want) in &wants {
            self.give_slot(now, slot, *stream, *want);
        }
        self.want_slots(slot, (0, wants.len()));
    }

    fn give_slot(&mut self, now: Instant, slot: usize, stream: usize, want: Want) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let video = |leg: &&mut Leg| !leg.is_audio;
        if let Some(leg) = peer
            .legs
            .iter_mut()
            .filter(video)
            .find(|leg| leg.stream == Some(stream))
        {
            leg.want = Some(want);
            return;
        }
        // One that was never used, else the one that was left first.
        let Some(at) = (0..peer.legs.len())
            .filter(|at| !peer.legs[*at].is_audio && peer.legs[*at].stream.is_none())
            .min_by_key(|at| peer.legs[*at].left)
        else {
            return;
        };
        let leg = &mut peer.legs[at];
        leg.want = Some(want);
        leg.is_paused = false;
        leg.hold_until = leg.left.map(|_| now + HOLD);
        self.subscribe(
            now,
            LegRef {
                peer: slot,
                leg: at,
            },
            stream,
        );
    }

    /// Starts slots whose silence is over.
    pub(super) fn end_holds(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let over: Vec<(usize, usize)> = peer
            .legs
            .iter_mut()
            .enumerate()
            .filter_map(|(at, leg)| {
                leg.hold_until.filter(|until| *until <= now)?;
                leg.hold_until = None;
                Some((at, leg.stream?))
            })
            .collect();
        for (leg, stream) in over {
            let infos = self.streams[stream]
                .as_ref()
                .map(Stream::infos)
                .unwrap_or_default();
            if let Some(peer) = self.peer_mut(slot) {
                peer.bind(leg, &infos, true);
            }
            self.start_leg(now, LegRef { peer: slot, leg });
        }
    }

    /// A participant's estimate changed: what fell is acted upon at once, what rose at the next tick.
    pub(super) fn on_participant_estimate(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let estimate = peer.estimate_bps.unwrap_or(ESTIMATE_START_BPS);
        let is_tight = peer
            .seat
            .as_ref()
            .is_some_and(|seat| estimate * USABLE_PERCENT / 100 < seat.given_bps);
        if is_tight {
            self.allocate(now, slot);
        }
    }

    /// Shares a participant's bandwidth among its pictures.
    pub(super) fn allocate(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let Some(mut seat) = peer.seat.take() else {
            return;
        };
        let estimate = peer.estimate_bps.unwrap_or(ESTIMATE_START_BPS);
        let sound = sound_bps(peer, &self.streams, now);
        let usable = (estimate * USABLE_PERCENT / 100).max(seat.arriving_bps());
        seat.budget_bps = usable.saturating_sub(sound);
        seat.follow(now, estimate);
        look_for_jam(now, peer, &mut seat);
        seat.rungs.clear();
        let mut asked: Vec<Asked> = Vec::with_capacity(seat.wants.len());
        for (at, leg) in legs_by_importance(peer, &seat.wants) {
            let Some(track) = track_of(leg, &self.streams) else {
                continue;
            };
            let (layer_max, is_detail) = leg
                .want
                .map_or((0, false), |want| (want.layer_max, want.is_detail));
            let from = seat.rungs.len();
            let rungs = ladder(&track.layer_rates(now, layer_max, is_detail));
            seat.rungs.extend(cut(&rungs, layer_max));
            asked.push((at, from..seat.rungs.len()));
        }
        if seat.is_jammed {
            let least = asked.iter();
            let least = least.filter_map(|(_, range)| seat.rungs.get(range.start));
            seat.budget_bps = seat.budget_bps.min(least.map(|rung| rung.bps).sum());
        }
        let requests: Vec<Request<'_>> = asked
            .iter()
            .filter_map(|(at, range)| {
                let want = peer.legs[*at].want?;
                Some(Request {
                    key: *at,
                    stream: want.stream,
                    rungs: &seat.rungs[range.clone()],
                    priority: want.priority,
                    is_detail: want.is_detail,
                })
            })
            .collect();
        let mut choices = std::mem::take(&mut seat.choices);
        let desired = seat
            .allocator
            .allocate(now, seat.budget_bps, &requests, &mut choices);
        drop(requests);
        seat.desired_bps = desired;
        seat.given_bps = sound;
        let started = apply(peer, &mut seat, asked, &choices);
        seat.choices = choices;
        let is_looking = look_for_more(now, peer, &mut seat, desired + sound);
        peer.seat = Some(seat);
        if is_looking {
            self.mark_dirty(slot);
        }
        for at in started {
            self.want_layer(
                now,
                LegRef {
                    peer: slot,
                    leg: at,
                },
            );
        }
    }

    /// A leg waits for a keyframe of a layer: show it the kept group of pictures, or ask for one.
    fn want_layer(&mut self, now: Instant, at: LegRef) {
        let Some(leg) = self
            .peers
            .get(at.peer)
            .and_then(Option::as_ref)
            .and_then(|peer| peer.legs.get(at.leg))
        else {
            return;
        };
        let (Some(stream), Some(track), Some(wanted)) =
            (leg.stream, leg.track(), leg.forwarder.wanted_layer())
        else {
            return;
        };
        if let Some(layer) = self
            .stream_mut(stream)
            .and_then(|stream| stream.publication.as_mut())
            .and_then(|publication| publication.tracks.get_mut(track))
            .and_then(|track| track.layers.get_mut(wanted))
        {
            layer.miss(now);
        }
        self.start_video(now, at);
        self.ask_keyframes(now, stream);
    }

    /// Tells a participant what its slots carry, if that is news.
    pub(super) fn tell_slots(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let id = peer.id;
        let legs = &peer.legs;
        let Some(seat) = peer.seat.as_mut() else {
            return;
        };
        seat.is_stale = false;
        let streams = &self.streams;
        let slots: Vec<Slot> = legs
            .iter()
            .filter_map(|leg| {
                let stream = streams[leg.stream?].as_ref()?;
                Some(Slot {
                    mid: leg.mid.to_string(),
                    is_audio: leg.is_audio,
                    stream: stream.id,
                    state: slot_state(leg, stream),
                })
            })
            .collect();
        if slots != seat.told {
            seat.told.clone_from(&slots);
            self.emit(Event::Slots { peer: id, slots });
        }
    }

    /// Finds out which layers of a stream's picture somebody watches, and says so where they come from.
    pub(super) fn tick_watched(&mut self, now: Instant, slot: usize) {
        let Some(stream) = self.streams[slot].as_ref() else {
            return;
        };
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        let (feed, layers) = (publication.feed, publication.video_layers());
        if layers == 0 || feed == Feed::Source {
            return;
        }
        let mut mask = 0;
        for at in &stream.video_legs {
            mask |= self
                .peers
                .get(at.peer)
                .and_then(Option::as_ref)
                .map_or(0, |peer| watched_by(peer, at.leg));
        }
        for to in stream.relays.iter().filter(|to| to.video) {
            mask |= to.layers;
        }
        if stream.tap.is_some_and(|tap| tap.is_watched) {
            mask = u8::MAX;
        }
        mask &= u8::MAX >> (8 - layers);
        match feed {
            Feed::Relay(to) => {
                let id = stream.id;
                if let Some(publication) = self.publication_mut(slot)
                    && publication.watched.told.replace(mask) != Some(mask)
                {
                    self.outputs.push_back(Output::Relay {
                        to,
                        message: Relay::Watched {
                            stream: id,
                            layers: mask,
                        },
                    });
                }
            }
            Feed::Peer(publisher) => {
                let is_participant = self
                    .peer_mut(publisher)
                    .is_some_and(|peer| peer.role == Role::Participant);
                if is_participant {
                    self.tell_layers(now, slot, mask, layers);
                }
            }
            Feed::Source => {}
        }
    }

    fn tell_layers(&mut self, now: Instant, slot: usize, mask: u8, layers: usize) {
        let Some(stream) = self.streams[slot].as_mut() else {
            return;
        };
        let id = stream.id;
        let Some(publication) = stream.publication.as_mut() else {
            return;
        };
        let kept = publication.watched.keep(now, mask, layers);
        let before = publication.watched.told.replace(kept);
        if before == Some(kept) {
            return;
        }
        let peer = publication.publisher;
        if let Some(track) = publication.video_mut() {
            for (at, layer) in track.layers.iter_mut().enumerate() {
                let resumes =
                    kept & (1 << at) != 0 && before.is_some_and(|before| before & (1 << at) == 0);
                if resumes {
                    layer.requests.want();
                }
            }
        }
        let watched = (0..layers).map(|at| kept & (1 << at) != 0).collect();
        self.emit(Event::Layers {
            stream: id,
            peer,
            watched,
        });
        self.ask_keyframes(now, slot);
    }

    fn publication_mut(&mut self, slot: usize) -> Option<&mut crate::stream::Publication> {
        self.stream_mut(slot)?.publication.as_mut()
    }
}

impl crate::stream::Watched {
    /// The layers that are watched or were until a moment ago.
    fn keep(&mut self, now: Instant, mask: u8, layers: usize) -> u8 {
        let mut kept = 0;
        for at in 0..layers.min(LAYERS_MAX) {
            let last = self.last[at].get_or_insert(now);
            if mask & (1 << at) != 0 {
                *last = now;
            }
            let patience = if at == 0 {
                LOWEST_UNWATCHED_AFTER
            } else {
                UNWATCHED_AFTER
            };
            if now.saturating_duration_since(*last) < patience {
                kept |= 1 << at;
            }
        }
        kept
    }
}

/// A picture's leg, and where its ladder is in `Seat::rungs`.
type Asked = (usize, std::ops::Range<usize>);

/// Tells the estimator how much there is to send. It probes when that grows, once: while something wanted is not given it is
/// told again, a little less and then all of it. Returns whether it was told.
fn look_for_more(now: Instant, peer: &mut Peer, seat: &mut Seat, total_bps: u64) -> bool {
    let estimate = peer.estimate_bps.unwrap_or(0);
    let lacks = estimate < total_bps;
    let whole = if lacks {
        total_bps
    } else {
        total_bps.max(DESIRED_MIN_BPS)
    };
    let less = whole - whole / 50;
    let next = if peer.desired_bps == less {
        whole
    } else if lacks && seat.look.is_due(now, estimate) && !seat.is_queueing() {
        less
    } else if whole.abs_diff(peer.desired_bps) > whole / 10 {
        whole
    } else {
        return false;
    };
    peer.desired_bps = next;
    peer.rtc.set_desired_bitrate(next.max(peer.desired_least()));
    true
}

/// Gives each leg its rung. Returns the legs that wait for a keyframe now.
fn apply(
    peer: &mut Peer,
    seat: &mut Seat,
    asked: Vec<Asked>,
    choices: &[Option<usize>],
) -> Vec<usize> {
    let mut started = Vec::new();
    for (place, ((at, range), choice)) in asked.into_iter().zip(choices).enumerate() {
        let rungs = &seat.rungs[range];
        let rung = given(seat, place == 0, rungs, *choice);
        seat.given_bps += rung.map_or(0, |rung| rung.bps);
        let leg = &mut peer.legs[at];
        let is_paused = rung.is_none() && !rungs.is_empty();
        let layer = rung.map(|rung| usize::from(rung.layer));
        if !rungs.is_empty() && layer < leg.forwarder.current_layer() {
            // The keyframe of the smaller picture replaces whatever was lost of the larger one.
            peer.rtc.forget(leg.mid);
        }
        if is_paused != leg.is_paused {
            seat.is_stale = true;
            leg.is_paused = is_paused;
            if is_paused {
                leg.forwarder.pause();
            }
        }
        let Some(rung) = rung else { continue };
        leg.forwarder.choose_layer(usize::from(rung.layer));
        leg.forwarder.limit(rung.spatial, rung.temporal);
        if leg.forwarder.wanted_layer().is_some() {
            started.push(at);
        }
    }
    started
}

/// The layers that one leg watches, a bit each. A viewer may come to want any.
fn watched_by(peer: &Peer, at: usize) -> u8 {
    if peer.role == Role::Viewer {
        return u8::MAX;
    }
    let Some(leg) = peer.legs.get(at).filter(|leg| !leg.is_paused) else {
        return 0;
    };
    let bits = [leg.forwarder.current_layer(), leg.forwarder.wanted_layer()];
    bits.into_iter()
        .flatten()
        .filter(|layer| *layer < LAYERS_MAX)
        .fold(0, |mask, layer| mask | 1 << layer)
}

/// Video legs with a want, in the order of the list that the participant sent.
fn legs_by_importance<'a>(
    peer: &'a Peer,
    wants: &'a [Want],
) -> impl Iterator<Item = (usize, &'a Leg)> {
    wants.iter().filter_map(|want| {
        peer.legs
            .iter()
            .enumerate()
            .find(|(_, leg)| !leg.is_audio && leg.stream.is_some() && leg.want == Some(*want))
    })
}

fn track_of<'a>(leg: &Leg, streams: &'a [Option<Stream>]) -> Option<&'a Track> {
    let publication = streams.get(leg.stream?)?.as_ref()?.publication.as_ref()?;
    publication.tracks.get(leg.source?.track)
}

/// What a participant's sound takes now, headers included.
fn sound_bps(peer: &Peer, streams: &[Option<Stream>], now: Instant) -> u64 {
    /// RTP, SRTP, UDP and IP around fifty packets a second.
    const HEADERS_BPS: u64 = 24_000;
    /// Below this rate packets are fewer: silence is told of twice a second.
    const WHOLE_BPS: u64 = 16_000;
    peer.legs
        .iter()
        .filter(|leg| leg.is_audio)
        .filter_map(|leg| track_of(leg, streams)?.layers.first())
        .filter(|layer| layer.rate.is_active(now))
        .map(|layer| layer.rate.bps())
        .map(|bps| bps + HEADERS_BPS * bps.min(WHOLE_BPS) / WHOLE_BPS)
        .sum()
}

fn slot_state(leg: &Leg, stream: &Stream) -> SlotState {
    let has_track = stream
        .infos()
        .iter()
        .any(|info| info.codec.kind.is_audio() == leg.is_audio);
    if leg.is_paused {
        SlotState::Paused
    } else if has_track && leg.source.is_none() && leg.hold_until.is_none() {
        SlotState::Unsupported
    } else {
        SlotState::Live
    }
}
