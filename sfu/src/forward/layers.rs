//! Temporal and spatial layers: which packets of a scalable stream one viewer gets.
//!
//! A viewer *lacks* a layer when pictures of it were kept from this viewer that later ones may need. A layer that is
//! allowed again is joined where it can be decoded: a temporal one at its sync point or a key picture, a spatial one
//! at a key picture. A spatial layer that starts with a picture predicted from below alone (P = 0) is no place to join
//! in mid-stream: the packet before it already left as the picture's end. It passes, though, if nothing of it was held back
//! before. Lower spatial layers are always sent along, even where the higher one does not need them (`L3T3_KEY`), so that
//! a viewer can step down at once.
//!
//! Decided once per picture, with its first packet; packets that come late find what was decided.

mod picture;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use self::picture::{NOTHING, Picture};
use payload::inspect::{FrameIds, Inspection, LayerIds};

use crate::packet::MediaPacket;

/// Pictures remembered: references reach 127 back (RFC 9628, `P_DIFF`), and nothing is later than four seconds of 30.
const PICTURES_MAX: usize = 128;

/// A sender that has sync points has one in every eight pictures; after this long without one it needs a keyframe.
const SYNC_MAX: Duration = Duration::from_secs(3);

/// What happens to one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Pass {
        /// It is the last of its picture that is sent, although the sender's marker may come later.
        ends_picture: bool,
        /// How many pictures before it were left out since the restart, modulo 2^16.
        pictures_left_out: u16,
    },
    /// It is left out, and with it these source sequence numbers: what lies between packets of one picture that are
    /// left out belongs to it, should it have been lost.
    LeaveOut(RangeInclusive<u64>),
    /// It is not sent, and a hole stays.
    TooLate,
}

/// Decides for one viewer.
#[derive(Debug)]
pub(super) struct LayerFilter {
    /// The lower of the next two.
    spatial_max: u8,
    /// What is allowed.
    spatial_limit: u8,
    /// What the viewer can follow.
    spatial_cap: u8,
    temporal_max: u8,
    /// By source sequence number, oldest first. The newest one's `lacks_*` hold now.
    pictures: VecDeque<Picture>,
    newest: Option<u64>,
    /// Since when a temporal layer that is allowed has waited for a sync point.
    waiting_since: Option<Instant>,
}

impl Default for LayerFilter {
    fn default() -> Self {
        Self {
            spatial_max: u8::MAX,
            spatial_limit: u8::MAX,
            spatial_cap: u8::MAX,
            temporal_max: u8::MAX,
            pictures: VecDeque::new(),
            newest: None,
            waiting_since: None,
        }
    }
}

impl LayerFilter {
    /// What may pass from the next picture on.
    pub(super) fn limit(&mut self, spatial: u8, temporal: u8) {
        if self.temporal_max != temporal {
            self.waiting_since = None;
        }
        self.spatial_limit = spatial;
        self.spatial_max = spatial.min(self.spatial_cap);
        self.temporal_max = temporal;
    }

    /// What no limit exceeds from now on.
    pub(super) fn cap(&mut self, spatial: u8) {
        self.spatial_cap = spatial;
        self.spatial_max = self.spatial_limit.min(spatial);
    }

    /// Another source, or another place of the same one, begins with a key picture.
    pub(super) fn restart(&mut self) {
        self.pictures.clear();
        self.newest = None;
        self.waiting_since = None;
    }

    /// The highest spatial and temporal layer that pass now, limits included.
    #[cfg(test)]
    pub(super) fn passing(&self) -> (u8, u8) {
        let (spatial, temporal) = self.lacks();
        (
            self.spatial_max.min(spatial - 1),
            self.temporal_max.min(temporal - 1),
        )
    }

    /// Whether a layer that is allowed cannot be joined before a keyframe.
    pub(super) fn needs_keyframe(&self, now: Instant) -> bool {
        let (spatial, _) = self.lacks();
        let is_overdue = self
            .waiting_since
            .is_some_and(|since| now.saturating_duration_since(since) >= SYNC_MAX);
        // A viewer without a limit may have every layer, and still lacks none.
        (spatial != NOTHING && spatial <= self.spatial_max) || is_overdue
    }

    /// The lowest spatial and temporal layer that the viewer lacks; never 0.
    fn lacks(&self) -> (u8, u8) {
        self.pictures.back().map_or((NOTHING, NOTHING), |newest| {
            (newest.lacks_spatial, newest.lacks_temporal)
        })
    }

    /// Decides on a packet.
    pub(super) fn judge(&mut self, packet: &MediaPacket) -> Verdict {
        let inspection = &packet.inspection;
        let known = self
            .pictures
            .iter()
            .rposition(|picture| picture.timestamp == packet.timestamp);
        let at = match (known, inspection.layer) {
            (Some(at), _) => at,
            // A stream without layers, or a packet that does not name its own and whose picture nobody knows.
            (None, None) => return self.pass_whole(),
            (None, Some(layer)) => {
                if self.newest.is_none_or(|newest| packet.sequence > newest) {
                    self.begin(packet, layer)
                } else if let Some(at) = self.insert_late(packet, layer) {
                    at
                } else {
                    return Verdict::TooLate;
                }
            }
        };
        self.newest = self.newest.max(Some(packet.sequence));
        if is_key(inspection) {
            self.learn_key(at);
        }
        self.judge_in(at, packet)
    }

    fn pass_whole(&self) -> Verdict {
        Verdict::Pass {
            ends_picture: false,
            pictures_left_out: self
                .pictures
                .back()
                .map_or(0, |newest| newest.left_out_after()),
        }
    }

    /// A picture begins that is newer than all others.
    fn begin(&mut self, packet: &MediaPacket, layer: LayerIds) -> usize {
        let (_, mut lacks_temporal) = self.lacks();
        let mut lacks_spatial = self
            .pictures
            .back()
            .map_or(NOTHING, Picture::lacks_spatial_after);
        let is_key = is_key(&packet.inspection);
        if is_key {
            (lacks_spatial, lacks_temporal) = (NOTHING, NOTHING);
        } else if layer.is_sync && layer.temporal == 0 {
            // RFC 9628: no picture of a higher layer needs one from before this picture.
            lacks_temporal = NOTHING;
        } else if layer.is_sync
            && layer.temporal == lacks_temporal
            && layer.temporal <= self.temporal_max
            && self.has_references(packet.inspection.frame, layer)
        {
            // By the letter of RFC 9628 U speaks of the layers above. What browsers set it for is a picture that needs
            // lower layers alone, and not for every picture that the letter asks for.
            lacks_temporal += 1;
        }
        let passes = layer.temporal <= self.temporal_max && layer.temporal < lacks_temporal;
        if !passes {
            lacks_temporal = lacks_temporal.min(layer.temporal);
        }
        if lacks_temporal > self.temporal_max {
            self.waiting_since = None;
        } else if !passes && layer.temporal <= self.temporal_max {
            self.waiting_since.get_or_insert(packet.arrival);
        }
        let left_out = self
            .pictures
            .back()
            .map_or(0, |newest| newest.left_out_after());
        if self.pictures.len() >= PICTURES_MAX {
            self.pictures.pop_front();
        }
        self.pictures.push_back(Picture {
            timestamp: packet.timestamp,
            sequence: packet.sequence,
            id: packet.inspection.frame.and_then(|ids| ids.picture_id),
            temporal: layer.temporal,
            is_key,
            passes,
            spatial_max: self.spatial_max.min(lacks_spatial - 1),
            is_cut: false,
            has_marker: false,
            left_out,
            is_counted: !passes,
            held: None,
            lacks_spatial,
            lacks_temporal,
        });
        self.pictures.len() - 1
    }

    /// Whether every picture that this frame names as needed was sent. Without names (non-flexible mode) it is believed.
    fn has_references(&self, ids: Option<FrameIds>, layer: LayerIds) -> bool {
        let Some(ids) = ids else { return true };
        if ids.references[0] != 0 && ids.picture_id.is_none() {
            return false;
        }
        let mut named = ids
            .references
            .iter()
            .take_while(|reference| **reference != 0);
        named.all(|&difference| {
            let id = ids.referenced(difference);
            self.pictures
                .iter()
                .rev()
                .find(|picture| picture.id == id)
                .is_some_and(|picture| picture.passes && picture.spatial_max >= layer.spatial)
        })
    }

    /// A picture is heard of after later ones: it is decided from what held when it should have come.
    fn insert_late(&mut self, packet: &MediaPacket, layer: LayerIds) -> Option<usize> {
        if self.pictures.len() >= PICTURES_MAX {
            self.pictures.pop_front();
        }
        let after = self
            .pictures
            .partition_point(|picture| picture.sequence < packet.sequence);
        let before = self.pictures.get(after.checked_sub(1)?)?.clone();
        let later = self.pictures.range(after..);
        let is_needed = layer.temporal <= self.temporal_max
            || later
                .clone()
                .any(|picture| picture.passes && picture.temporal >= layer.temporal);
        let passes = is_needed && layer.temporal < before.lacks_temporal;
        let is_last_sent = !later.clone().any(|picture| picture.passes);
        let wanted = later
            .filter(|picture| picture.passes)
            .map(|picture| picture.spatial_max)
            .fold(self.spatial_max, u8::max);
        let lacks_spatial = before.lacks_spatial_after();
        self.pictures.insert(
            after,
            Picture {
                timestamp: packet.timestamp,
                sequence: packet.sequence,
                id: packet.inspection.frame.and_then(|ids| ids.picture_id),
                temporal: layer.temporal,
                is_key: is_key(&packet.inspection),
                passes,
                spatial_max: wanted.min(lacks_spatial - 1),
                lacks_spatial,
                is_cut: false,
                has_marker: false,
                left_out: before.left_out_after(),
                is_counted: !passes && is_last_sent,
                held: None,
                ..before
            },
        );
        if passes && wanted < lacks_spatial - 1 && packet.inspection.frame.is_some() {
            // Its own marker comes too late to tell those after it that nothing was held back.
            self.lack(after, wanted + 1, NOTHING);
        } else if !passes && layer.temporal < before.lacks_temporal {
            self.lack(after, NOTHING, layer.temporal);
        }
        if !passes && is_last_sent {
            for later in self.pictures.range_mut(after + 1..) {
                later.left_out = later.left_out.wrapping_add(1);
            }
        }
        Some(after)
    }

    /// The newest picture turns out to be a key picture, by a packet that came after another of its packets.
    fn learn_key(&mut self, at: usize) {
        let is_newest = at + 1 == self.pictures.len();
        let picture = &mut self.pictures[at];
        if picture.is_key || !is_newest || !picture.passes {
            return;
        }
        picture.is_key = true;
        picture.lacks_temporal = NOTHING;
        if !picture.is_cut {
            picture.lacks_spatial = NOTHING;
            // A lower limit is for the next picture.
            picture.spatial_max = picture.spatial_max.max(self.spatial_max);
        }
    }

    /// Decides on a packet of a known picture.
    fn judge_in(&mut self, at: usize, packet: &MediaPacket) -> Verdict {
        let picture = &mut self.pictures[at];
        picture.sequence = picture.sequence.min(packet.sequence);
        let frame = packet.inspection.frame.zip(packet.inspection.layer);
        let is_above = frame.is_some_and(|(_, layer)| layer.spatial > picture.spatial_max);
        if picture.passes && !is_above {
            let ends_picture = frame
                .is_some_and(|(ids, layer)| ids.ends_frame && layer.spatial == picture.spatial_max);
            picture.is_cut |= ends_picture;
            picture.has_marker |= packet.marker;
            return Verdict::Pass {
                ends_picture,
                pictures_left_out: picture.left_out,
            };
        }
        let held = picture
            .held
            .map_or((packet.sequence, packet.sequence), |(low, high)| {
                (low.min(packet.sequence), high.max(packet.sequence))
            });
        picture.held = Some(held);
        if let Some((_, layer)) = frame.filter(|_| picture.passes) {
            picture.is_cut = true;
            self.lack(at, layer.spatial, NOTHING);
        }
        Verdict::LeaveOut(held.0..=held.1)
    }

    /// From picture `at` on the viewer lacks these layers, up to the next key picture.
    fn lack(&mut self, at: usize, spatial: u8, temporal: u8) {
        for (offset, picture) in self.pictures.range_mut(at..).enumerate() {
            if offset > 0 && picture.is_key {
                return;
            }
            picture.lacks_spatial = picture.lacks_spatial.min(spatial);
            picture.lacks_temporal = picture.lacks_temporal.min(temporal);
        }
    }
}

/// Whether the packet belongs to a picture that needs no other, as far as it tells.
fn is_key(inspection: &Inspection) -> bool {
    let is_base = inspection.layer.is_none_or(|layer| layer.spatial == 0);
    inspection.frame.map_or(inspection.keyframe, |ids| {
        is_base && !ids.is_inter_predicted
    })
}
