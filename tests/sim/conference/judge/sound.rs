//! Every voiced packet that reached the server reaches everybody, but for what the paths lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::microphone::{FRAME, Microphone};
use super::super::participant::{Participant, Source};
use super::super::slot::Slot;
use super::super::venue::{Step, Venue};
use super::{is_unsettled, losses};
use crate::client::Client;
use crate::link::{Loss, Why};

/// A turn is judged when its listener has been there for this long.
const JOINED: Duration = Duration::from_secs(3);

/// Sound that is missing and that no path lost.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "printed")]
pub struct Hole {
    pub speaker: usize,
    pub listener: usize,
    /// Since the start of the world.
    pub at: Duration,
    pub lasts: Duration,
    /// Whether it is at the beginning of a turn.
    pub is_first_syllable: bool,
}

/// What was heard.
#[derive(Debug, Default)]
pub struct Sound {
    /// Turns, once for each who should have heard it.
    pub turns: u64,
    /// Voiced packets that somebody heard.
    pub heard: u64,
    /// Those that a path lost.
    pub lost: u64,
    /// All that is missing beyond that.
    pub holes: Vec<Hole>,
    /// Sound that came this much later than it should, although the link was as before.
    pub late: Vec<Hole>,
    /// Sequence numbers that the server left out.
    pub skipped: Vec<String>,
    /// Packets out of place: doubles, timestamps that go back.
    pub wrong: Vec<String>,
}

impl Sound {
    /// The longest hole.
    pub fn worst(&self) -> Duration {
        let all = self.holes.iter().chain(&self.late);
        all.map(|hole| hole.lasts).max().unwrap_or_default()
    }

    /// The longest piece cut off at the beginning of a turn.
    pub fn worst_cut(&self) -> Duration {
        let cuts = self.holes.iter().filter(|hole| hole.is_first_syllable);
        cuts.map(|hole| hole.lasts).max().unwrap_or_default()
    }

    /// One line.
    pub fn summary(&self) -> String {
        format!(
            "{} turns, {} packets heard, {} lost on the way, {} holes, worst {:?}, {} cut, worst {:?}, {} late",
            self.turns,
            self.heard,
            self.lost,
            self.holes.len(),
            self.worst(),
            self.holes
                .iter()
                .filter(|hole| hole.is_first_syllable)
                .count(),
            self.worst_cut(),
            self.late.len(),
        )
    }
}

/// Where a packet was heard.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: Instant,
    slot: usize,
    sequence: u64,
}

/// What a listener got.
struct Ear<'a> {
    who: usize,
    client: &'a Client,
    steps: &'a [Step],
    base: Instant,
    slots: Vec<&'a Slot>,
    /// By publication and number.
    heard: BTreeMap<(u16, u32), Place>,
    /// Sequence numbers that came, by slot.
    sequences: Vec<Vec<u64>>,
    lost: BTreeMap<(u32, u16), Loss>,
}

impl<'a> Ear<'a> {
    fn new(venue: &'a Venue, who: usize, participant: &'a Participant, out: &mut Sound) -> Self {
        let client = &venue.world.clients[who];
        let slots: Vec<&Slot> = participant
            .slots
            .iter()
            .filter(|slot| slot.is_audio)
            .collect();
        let mut heard = BTreeMap::new();
        let mut sequences = Vec::new();
        for (at, slot) in slots.iter().enumerate() {
            let mut packets = slot.heard.clone();
            packets.sort_by_key(|packet| packet.sequence);
            for pair in packets.windows(2) {
                let ahead = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
                if pair[0].sequence == pair[1].sequence || ahead == 0 || ahead >= 1 << 31 {
                    out.wrong.push(format!("{who}: {pair:?}"));
                }
            }
            for packet in &packets {
                let key = (packet.voice.publication, packet.voice.number);
                let place = Place {
                    at: packet.at,
                    slot: at,
                    sequence: packet.sequence,
                };
                if heard.insert(key, place).is_some() {
                    out.wrong.push(format!("{who} heard {key:?} twice"));
                }
            }
            sequences.push(packets.iter().map(|packet| packet.sequence).collect());
        }
        Self {
            who,
            client,
            steps: &venue.steps,
            base: venue.world.base,
            slots,
            heard,
            sequences,
            lost: losses(&client.down.losses),
        }
    }

    /// Packets that the path lost between two of a slot, and that do not speak against the server.
    fn explained(&self, slot: usize, from: u64, until: u64) -> u64 {
        let Some(ssrc) = self.slots[slot].ssrc else {
            return 0;
        };
        (from..until)
            .filter(|sequence| {
                #[expect(clippy::cast_possible_truncation, reason = "16 bits on the wire")]
                let loss = self.lost.get(&(ssrc, *sequence as u16));
                loss.is_some_and(|loss| match loss.why {
                    Why::Chance | Why::Cut => true,
                    Why::Queue => is_unsettled(self.steps, loss.at, self.who, self.client),
                })
            })
            .count() as u64
    }

    /// What the path lost after the last packet before a hole and before the first one after it.
    fn explained_around(&self, before: Option<Place>, after: Option<Place>) -> u64 {
        if let (Some(before), Some(after)) = (before, after)
            && before.slot == after.slot
        {
            return self.explained(before.slot, before.sequence + 1, after.sequence);
        }
        let behind = before.map_or(0, |place| {
            let known = &self.sequences[place.slot];
            let next = known.partition_point(|sequence| *sequence <= place.sequence);
            let until = known.get(next).copied().unwrap_or(place.sequence + 100);
            self.explained(place.slot, place.sequence + 1, until)
        });
        let ahead = after.map_or(0, |place| {
            let known = &self.sequences[place.slot];
            let next = known.partition_point(|sequence| *sequence < place.sequence);
            let last = next.checked_sub(1).map(|last| known[last]);
            let from = last.unwrap_or(place.sequence.saturating_sub(100)) + 1;
            self.explained(place.slot, from, place.sequence)
        });
        behind + ahead
    }

    /// The server numbers without holes: what did not come was lost.
    fn check_sequences(&self, out: &mut Sound) {
        for (slot, known) in self.sequences.iter().enumerate() {
            let ssrc = self.slots[slot].ssrc.unwrap_or(0);
            for pair in known.windows(2) {
                for sequence in pair[0] + 1..pair[1] {
                    #[expect(clippy::cast_possible_truncation, reason = "16 bits on the wire")]
                    if !self.lost.contains_key(&(ssrc, sequence as u16)) {
                        out.skipped.push(format!(
                            "{sequence} in slot {slot} of {} at {:?}",
                            self.who,
                            self.client.connected_at.map(|at| at - self.base)
                        ));
                    }
                }
            }
        }
    }

    /// Judges one turn of a speaker.
    fn hear(&self, speaker: &Speaker<'_>, first: u32, last: u32, out: &mut Sound) {
        out.turns += 1;
        let mut before = None;
        let mut missing = 0;
        let mut is_first = true;
        for number in first..=last {
            let place = self.heard.get(&(speaker.publication, number)).copied();
            let Some(here) = place else {
                missing += u64::from(!speaker.lost.contains(&number));
                continue;
            };
            out.heard += 1;
            self.close(
                speaker,
                before.map(|(_, place)| place),
                Some(here),
                (number, missing, is_first),
                out,
            );
            if let Some((past, place)) = before {
                self.check_delay(speaker, (past, place), (number, here), out);
            }
            (before, missing, is_first) = (Some((number, here)), 0, false);
        }
        self.close(
            speaker,
            before.map(|(_, place)| place),
            None,
            (last, missing, is_first),
            out,
        );
    }

    /// Ends a hole of `missing` packets before `number`.
    fn close(
        &self,
        speaker: &Speaker<'_>,
        before: Option<Place>,
        after: Option<Place>,
        (number, missing, is_first): (u32, u64, bool),
        out: &mut Sound,
    ) {
        let explained = if missing == 0 {
            0
        } else {
            self.explained_around(before, after).min(missing)
        };
        out.lost += explained;
        if missing > explained {
            let unexplained = u32::try_from(missing - explained).unwrap();
            out.holes.push(Hole {
                speaker: speaker.who,
                listener: self.who,
                at: speaker.microphone.sent[number as usize].at - self.base,
                lasts: FRAME * unexplained,
                is_first_syllable: is_first,
            });
        }
    }

    /// Sound that comes in one rush after a while is a hole too.
    fn check_delay(
        &self,
        speaker: &Speaker<'_>,
        (past, before): (u32, Place),
        (number, here): (u32, Place),
        out: &mut Sound,
    ) {
        let sent = |number: u32| speaker.microphone.sent[number as usize].at;
        let spoken = sent(number) - sent(past);
        let waited = here.at.saturating_duration_since(before.at);
        let stretch = waited.saturating_sub(spoken);
        let is_excused = is_unsettled(self.steps, here.at, self.who, self.client)
            || is_unsettled(self.steps, sent(number), speaker.who, speaker.client);
        if stretch > FRAME * 5 && !is_excused {
            out.late.push(Hole {
                speaker: speaker.who,
                listener: self.who,
                at: sent(number) - self.base,
                lasts: stretch,
                is_first_syllable: false,
            });
        }
    }
}

struct Speaker<'a> {
    who: usize,
    client: &'a Client,
    publication: u16,
    microphone: &'a Microphone,
    /// Numbers that never reached the server.
    lost: Vec<u32>,
}

impl<'a> Speaker<'a> {
    fn new(venue: &'a Venue, who: usize) -> Self {
        let client = &venue.world.clients[who];
        let participant = client.in_conference().expect("people are participants");
        let microphone = &participant.microphones[Source::Camera as usize];
        let losses = client.up.losses.iter();
        Self {
            who,
            client,
            publication: microphone.publication,
            microphone,
            lost: losses
                .filter(|loss| loss.ssrc == microphone.ssrc)
                .filter_map(|loss| microphone.number_of(loss.sequence))
                .collect(),
        }
    }
}

pub(super) fn judge(venue: &Venue) -> Sound {
    let mut out = Sound::default();
    let speakers: Vec<Speaker<'_>> = venue
        .people
        .iter()
        .map(|who| Speaker::new(venue, *who))
        .collect();
    for listener in &venue.people {
        let client = &venue.world.clients[*listener];
        let participant = client.in_conference().expect("people are participants");
        let Some(connected) = client.connected_at else {
            continue;
        };
        let ear = Ear::new(venue, *listener, participant, &mut out);
        ear.check_sequences(&mut out);
        for speaker in speakers.iter().filter(|speaker| speaker.who != *listener) {
            for (first, last) in speaker.microphone.spoken() {
                let begins = speaker.microphone.sent[first as usize].at;
                let ends = speaker.microphone.sent[last as usize].at;
                // What is still under way at the end is not missing.
                if begins > connected + JOINED && ends + 2 * JOINED < venue.world.now {
                    ear.hear(speaker, first, last, &mut out);
                }
            }
        }
    }
    out
}
