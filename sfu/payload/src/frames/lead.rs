//! By how much a publication is ahead of its capture times: one value for its sound and all layers of its picture.
//!
//! FFmpeg begins with half a second of media at once and stays ahead by as much; a file that is not read at its pace gets
//! further ahead all the time. Frames are where their timestamps say, so such a publication is placed ahead of the clock, for
//! good. Were that decided for each track, tracks that had seen other parts of the burst would end up apart: their difference
//! is what is heard and seen, their common part is nothing but a date.
//!
//! - At the beginning, the packets of the first moments are looked at together ([`Lead::begin`]): the one of a track that came
//!   quickest says where that track is, and no track's first packet may be before its arrival.
//! - Later the lead grows when *all* tracks that go on are ahead of it, by what the least of them is, and for a while: jitter is not
//!   taken for it. What one track alone is ahead is its own error, and drawn back by its own clock.

use super::timeline::{Ahead, Anchor};

/// What all tracks must be ahead of the lead, in so many packets in sequence, for it to grow. A network whose delays vary sends one
/// that is late among them.
const AHEAD_US: i64 = 20_000;
const AHEAD_PACKETS: u32 = 12;
/// More than this is not waited for.
const AHEAD_AT_ONCE_US: i64 = 250_000;
/// A packet that is behind by more than this ends what grows; while it grows, so much is followed.
const EXACT_US: i64 = 5_000;
/// It grows for as long as it has grown within this time.
const GROWING_US: i64 = 500_000;
/// A track of which nothing came for so long says nothing.
const FRESH_US: i64 = 1_000_000;
/// A track whose packets of the first moments are further apart than this has begun anew meanwhile.
const SPAN_MAX_US: i64 = 30_000_000;

/// What is known of the first packets of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The lowest of their numbers.
    sequence: u64,
    timestamp: u32,
    rate: i64,
    first_us: i64,
    /// When the first packet would have been captured if it had been as quick as the quickest.
    best_us: i64,
}

impl Opening {
    /// Begins with the first packet, in timestamps of `rate` Hz.
    pub fn new(rate: u32, sequence: u64, timestamp: u32, captured_us: i64) -> Self {
        Self {
            sequence,
            timestamp,
            rate: i64::from(rate.max(1)),
            first_us: captured_us,
            best_us: captured_us,
        }
    }

    /// Takes a further packet.
    pub fn add(&mut self, sequence: u64, timestamp: u32, captured_us: i64) {
        let after = i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed());
        let at_us = captured_us.saturating_sub(after * 1_000_000 / self.rate);
        if (self.first_us.saturating_sub(at_us)).abs() < SPAN_MAX_US {
            self.best_us = self.best_us.min(at_us);
            self.sequence = self.sequence.min(sequence);
        }
    }
}

/// The lead of one publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lead {
    lead_us: i64,
    tracks: Vec<Option<Ahead>>,
    /// Packets in sequence with which all tracks were ahead.
    run: u32,
    /// When it grew last, while it grows.
    grew_us: Option<i64>,
}

impl Lead {
    /// Begins with what is known of each of the tracks, if anything is; says where each of those is.
    pub fn begin(openings: &[Option<Opening>]) -> (Self, Vec<Option<Anchor>>) {
        let known = openings.iter().flatten();
        let lead_us = known
            .map(|opening| opening.first_us - opening.best_us)
            .max()
            .unwrap_or(0);
        let anchor = |opening: &Opening| Anchor {
            sequence: opening.sequence,
            timestamp: opening.timestamp,
            at_us: opening.best_us + lead_us,
        };
        let anchors = openings
            .iter()
            .map(|opening| opening.as_ref().map(anchor))
            .collect();
        let lead = Self {
            lead_us,
            tracks: vec![None; openings.len()],
            run: 0,
            grew_us: None,
        };
        (lead, anchors)
    }

    /// In microseconds.
    pub fn us(&self) -> i64 {
        self.lead_us
    }

    /// Takes where the next packet of `track` would be.
    pub fn note(&mut self, track: usize, ahead: Option<Ahead>) {
        let (Some(known), Some(ahead)) = (self.tracks.get_mut(track), ahead) else {
            return;
        };
        *known = Some(ahead);
        let is_fresh =
            |other: &&Ahead| ahead.arrival_us.saturating_sub(other.arrival_us) < FRESH_US;
        let least = self.tracks.iter().flatten().filter(is_fresh);
        let least_us = least.map(|one| one.ahead_us).min().unwrap_or(self.lead_us);
        let over_us = least_us - self.lead_us;
        self.run = if over_us > AHEAD_US { self.run + 1 } else { 0 };
        self.grew_us.take_if(|grew_us| {
            ahead.arrival_us.saturating_sub(*grew_us) > GROWING_US || over_us < -EXACT_US
        });
        let grows = self.grew_us.is_some() && over_us > EXACT_US;
        if grows || self.run >= AHEAD_PACKETS || over_us > AHEAD_AT_ONCE_US {
            self.lead_us = least_us;
            self.run = 0;
            self.grew_us = Some(ahead.arrival_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(rate: u32, packets: &[(u32, i64)]) -> Option<Opening> {
        let mut opening = Opening::new(rate, 3, packets[0].0, packets[0].1);
        for (sequence, (timestamp, captured_us)) in (3..).zip(packets) {
            opening.add(sequence, *timestamp, *captured_us);
        }
        Some(opening)
    }

    #[test]
    fn a_burst_of_which_one_track_shows_less_leaves_them_in_step() {
        // Pictures of 600 ms at once; of the sound only what came after the burst.
        let video = opening(
            90_000,
            &[(7, 0), (7 + 54_000, 20_000), (7 + 57_600, 60_000)],
        );
        let audio = opening(48_000, &[(0, 40_000), (1_920, 80_000)]);
        let (lead, anchors) = Lead::begin(&[video, audio]);
        assert_eq!(lead.us(), 580_000);
        assert_eq!(
            anchors[0],
            Some(Anchor {
                sequence: 3,
                timestamp: 7,
                at_us: 0
            })
        );
        // 40 ms after the burst of 600 ms began its 620 ms are there.
        assert_eq!(
            anchors[1],
            Some(Anchor {
                sequence: 3,
                timestamp: 0,
                at_us: 620_000
            })
        );
    }

    #[test]
    fn a_first_packet_that_was_held_back_moves_its_track_and_not_the_other() {
        let late = opening(90_000, &[(0, 300_000), (9_000, 110_000), (18_000, 200_000)]);
        let audio = opening(48_000, &[(0, 10_000), (960, 30_000)]);
        let (lead, anchors) = Lead::begin(&[late, audio, None]);
        let at = |track: usize| anchors[track].map(|anchor| anchor.at_us - lead.us());
        assert_eq!((at(0), at(1), at(2)), (Some(0), Some(10_000), None));
    }

    #[test]
    fn the_lead_grows_with_the_slowest_of_those_that_go_on() {
        let (mut lead, _) = Lead::begin(&[None, None, None]);
        let at = |arrival_us, ahead_us| {
            Some(Ahead {
                arrival_us,
                ahead_us,
            })
        };
        lead.note(0, at(0, 0));
        lead.note(1, at(10_000, 300_000));
        assert_eq!(lead.us(), 0, "what one is ahead is its own");
        lead.note(0, at(20_000, 260_000));
        assert_eq!(lead.us(), 260_000);
        lead.note(1, at(2_000_000, 900_000));
        assert_eq!(lead.us(), 900_000, "the other has stopped");
        lead.note(1, at(2_010_000, 0));
        assert_eq!(lead.us(), 900_000);
    }

    #[test]
    fn a_little_is_followed_when_it_lasts_and_jitter_is_not() {
        let (mut lead, _) = Lead::begin(&[None]);
        let mut note = |index: i64, ahead_us| {
            let arrival_us = index * 20_000;
            lead.note(
                0,
                Some(Ahead {
                    arrival_us,
                    ahead_us,
                }),
            );
            lead.us()
        };
        for index in 0..97 {
            assert_eq!(
                note(index, if index % 8 == 0 { -60_000 } else { 60_000 }),
                0
            );
        }
        for index in 97..108 {
            assert_eq!(note(index, 60_000), 0);
        }
        // From here on it is followed closely, until it stops.
        assert_eq!(note(108, 60_000), 60_000);
        assert_eq!(note(109, 66_000), 66_000);
        assert_eq!(note(110, 50_000), 66_000);
        assert_eq!(note(111, 76_000), 66_000);
    }
}
