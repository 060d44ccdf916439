//! Which layers were shown when, and whether that was fair and calm.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sfu::{SlotState, StreamId};

use super::super::camera::LAYERS;
use super::super::venue::Venue;
use super::is_unsettled;

/// Without a picture for this long, a stream is not shown.
const GAP: Duration = Duration::from_secs(2);

/// A layer that goes there and back in this time oscillates.
const OSCILLATION: Duration = Duration::from_secs(10);

/// How long a stream may be paused while another has two layers to spare.
const STARVING: Duration = Duration::from_secs(3);

/// What sound takes at most when three speak, in bits per second.
const SOUND: u64 = 200_000;

const LOOK: Duration = Duration::from_millis(500);

/// A stream's layer changes for somebody; `None` is nothing.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at: Instant,
    pub from: Option<u8>,
    pub to: Option<u8>,
}

#[derive(Debug, Default)]
pub struct Pictures {
    /// By viewer and stream.
    pub changes: BTreeMap<(usize, StreamId), Vec<Change>>,
    /// Layers that went there and back within ten seconds without a reason.
    pub returns: u64,
    /// Those that did so twice in ten seconds, as lines to print.
    pub oscillations: Vec<String>,
    /// For each step: how long until the sum of what is shown was nearly what it was after ten seconds, and whether the
    /// step was to less.
    pub settled: Vec<(Duration, bool)>,
    /// Streams that were paused while another had two layers to spare, as lines to print.
    pub starved: Vec<String>,
    /// Time for which pictures were paused although the link carries twice what all the lowest layers need.
    pub needless: Duration,
    /// Times without a picture for over two seconds, pauses included.
    pub frozen: u64,
    /// Pictures shown in all.
    pub shown: u64,
}

impl Pictures {
    /// One line.
    pub fn summary(&self) -> String {
        let late = |less: bool| {
            let mut times: Vec<Duration> = self
                .settled
                .iter()
                .filter(|(_, to_less)| *to_less == less)
                .map(|(after, _)| *after)
                .collect();
            times.sort();
            (
                times.len(),
                times.get(times.len() / 2).copied(),
                times.last().copied(),
            )
        };
        format!(
            "{} pictures, {} times frozen, {} changes, {} there and back, {} oscillations, {} starved, {:?} needlessly paused, steps down (number, median, worst) {:?}, up {:?}",
            self.shown,
            self.frozen,
            self.changes.values().map(Vec::len).sum::<usize>(),
            self.returns,
            self.oscillations.len(),
            self.starved.len(),
            self.needless,
            late(true),
            late(false),
        )
    }
}

/// What one viewer was shown of each stream, in order.
fn shown(venue: &Venue, who: usize) -> BTreeMap<StreamId, Vec<(Instant, u8)>> {
    let mut shown: BTreeMap<StreamId, Vec<(Instant, u8)>> = BTreeMap::new();
    let participant = venue.world.clients[who].in_conference();
    for slot in &participant.expect("people are participants").slots {
        for decoded in &slot.picture.decoded {
            let stream = StreamId(u64::from(decoded.picture.publication));
            let pictures = shown.entry(stream).or_default();
            pictures.push((decoded.at, decoded.picture.layer));
        }
    }
    for pictures in shown.values_mut() {
        // Stable: what is shown at one instant stays in its order.
        pictures.sort_by_key(|(at, _)| *at);
    }
    shown
}

/// Layers as the pictures say, pauses as the server says. A picture that freezes for want of a packet is no change.
fn changes(pictures: &[(Instant, u8)], pauses: &[(Instant, bool)]) -> Vec<Change> {
    let layers = pictures.iter().map(|(at, layer)| (*at, Some(*layer)));
    let begins = pauses.iter().filter(|(_, is_paused)| *is_paused);
    let mut all: Vec<(Instant, Option<u8>)> =
        layers.chain(begins.map(|(at, _)| (*at, None))).collect();
    all.sort_by_key(|(at, _)| *at);
    let mut out = Vec::new();
    let mut now = None;
    let mut is_paused = false;
    let mut pauses = pauses.iter().peekable();
    for (at, to) in all {
        while let Some((_, next)) = pauses.next_if(|(when, _)| *when <= at) {
            is_paused = *next;
        }
        // Pictures still come from the jitter buffer after a pause has begun.
        if to != now && !(is_paused && to.is_some()) {
            out.push(Change { at, from: now, to });
            now = to;
        }
    }
    out
}

/// When the server said that a stream is paused, and that it is not any more.
fn pauses(venue: &Venue, who: usize) -> BTreeMap<StreamId, Vec<(Instant, bool)>> {
    let participant = venue.world.clients[who].in_conference();
    let mut out: BTreeMap<StreamId, Vec<(Instant, bool)>> = BTreeMap::new();
    for (at, slots) in &participant.expect("people are participants").told {
        for slot in slots.iter().filter(|slot| !slot.is_audio) {
            let is_paused = slot.state == SlotState::Paused;
            let known = out.entry(slot.stream).or_default();
            if known.last().is_some_and(|(_, last)| *last) != is_paused {
                known.push((*at, is_paused));
            }
        }
    }
    out
}

pub(super) fn judge(venue: &Venue) -> Pictures {
    let mut out = Pictures::default();
    for who in &venue.people {
        let pauses = pauses(venue, *who);
        for (stream, pictures) in shown(venue, *who) {
            out.shown += pictures.len() as u64;
            let gaps = pictures.windows(2).map(|pair| pair[1].0 - pair[0].0);
            out.frozen += gaps.filter(|gap| *gap > GAP).count() as u64;
            let paused = pauses.get(&stream).map_or(&[][..], Vec::as_slice);
            let changes = changes(&pictures, paused);
            oscillations(venue, *who, stream, &changes, &mut out);
            out.changes.insert((*who, stream), changes);
        }
        starvation(venue, *who, &mut out);
    }
    settling(venue, &mut out);
    out
}

fn oscillations(venue: &Venue, who: usize, stream: StreamId, all: &[Change], out: &mut Pictures) {
    let owner = venue.streams.iter().position(|one| *one == stream);
    let owner = owner.map_or(who, |at| venue.people[at]);
    let unsettled = |change: &&Change| {
        [who, owner].into_iter().any(|client| {
            is_unsettled(
                &venue.steps,
                change.at,
                client,
                &venue.world.clients[client],
            )
        })
    };
    let calm: Vec<&Change> = all.iter().filter(|change| !unsettled(change)).collect();
    let rises = |change: &Change| change.to > change.from;
    let mut backs: Vec<Instant> = Vec::new();
    let mut at = 0;
    while at + 1 < calm.len() {
        let (there, back) = (calm[at], calm[at + 1]);
        at += 1;
        if rises(there) == rises(back) || back.at - there.at >= OSCILLATION {
            continue;
        }
        at += 1;
        out.returns += 1;
        if let Some(before) = backs.last()
            && back.at - *before < OSCILLATION
        {
            out.oscillations.push(format!(
                "{who} was shown {stream} in {:?}, {:?} and {:?}, from {:?} on, {:?} after it last went there and back",
                there.from,
                there.to,
                back.to,
                there.at - venue.world.base,
                back.at - *before,
            ));
        }
        backs.push(back.at);
    }
}

/// A sum of rates that is within a quarter of what it becomes has settled.
const NEARLY: f64 = 0.25;

fn settling(venue: &Venue, out: &mut Pictures) {
    for step in &venue.steps {
        let of_viewer = out
            .changes
            .iter()
            .filter(|((who, _), _)| *who == step.client);
        let streams: Vec<&Vec<Change>> = of_viewer.map(|(_, changes)| changes).collect();
        let rate_at = |at: Instant| -> f64 {
            let layers = streams.iter().filter_map(|changes| {
                let after = changes.partition_point(|change| change.at <= at);
                changes[after.checked_sub(1)?].to
            });
            layers.map(|layer| LAYERS[usize::from(layer)] as f64).sum()
        };
        let end = step.at + OSCILLATION;
        let finally = rate_at(end);
        let is_settled = |at: Instant| {
            let off = (rate_at(at) - finally).abs();
            off <= finally * NEARLY || off <= LAYERS[0] as f64
        };
        let mut settled = end;
        while settled > step.at && is_settled(settled - LOOK / 2) {
            settled -= LOOK / 2;
        }
        out.settled
            .push((settled - step.at, step.after < step.before));
    }
}

/// Looks every half second at what the server says of the slots and at the layers that are shown.
fn starvation(venue: &Venue, who: usize, out: &mut Pictures) {
    let client = &venue.world.clients[who];
    let Some(participant) = client.in_conference() else {
        return;
    };
    let pictures = shown(venue, who);
    let layer_at = |stream: StreamId, at: Instant| {
        let of = pictures.get(&stream)?;
        let after = of.partition_point(|(when, _)| *when <= at);
        let (when, layer) = *of.get(after.checked_sub(1)?)?;
        (at - when < GAP).then_some(layer)
    };
    let mut paused: BTreeMap<StreamId, Instant> = BTreeMap::new();
    let mut at = venue.world.base;
    while at < venue.world.now {
        at += LOOK;
        let told = participant.told.partition_point(|(when, _)| *when <= at);
        let Some((_, slots)) = told.checked_sub(1).map(|last| &participant.told[last]) else {
            continue;
        };
        let is_paused = |stream| {
            slots
                .iter()
                .any(|slot| slot.stream == stream && slot.state == SlotState::Paused)
        };
        paused.retain(|stream, _| is_paused(*stream));
        if is_unsettled(&venue.steps, at, who, client) {
            paused.clear();
            continue;
        }
        for slot in slots {
            if slot.is_audio || slot.state != SlotState::Paused {
                continue;
            }
            let since = *paused.entry(slot.stream).or_insert(at);
            let lowest = LAYERS[0] * slots.len() as u64 + SOUND;
            let bps = venue.bps_at(who, at);
            if at - since >= STARVING && bps > 2 * lowest {
                out.needless += LOOK;
            }
            let spare = slots
                .iter()
                .filter(|other| !other.is_audio && other.stream != slot.stream)
                .find(|other| layer_at(other.stream, at) >= Some(2));
            if let Some(spare) = spare.filter(|_| at - since >= STARVING) {
                out.starved.push(format!(
                    "{who} is not shown {} at {:?}, but the best of {}",
                    slot.stream,
                    at - venue.world.base,
                    spare.stream
                ));
            }
        }
    }
}
