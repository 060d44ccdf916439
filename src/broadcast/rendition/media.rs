//! What there is of a segment, for whoever makes something else of it.

use bytes::Bytes;

use super::Rendition;

/// A segment, or what there is of one that is open.
#[derive(Debug)]
pub struct Media {
    /// It, or its parts.
    pub bytes: Vec<Bytes>,
    /// Whether all of it is there.
    pub is_whole: bool,
    /// Whether a discontinuity stands before it.
    pub begins_anew: bool,
}

impl Rendition {
    /// What is in memory of a segment.
    pub fn media(&self, msn: u64) -> Option<Media> {
        let inner = self.lock();
        if let Some(segment) = inner.segments.iter().find(|one| one.msn == msn) {
            return Some(Media {
                bytes: vec![segment.bytes.clone()],
                is_whole: true,
                begins_anew: segment.discontinuity,
            });
        }
        let last = inner.segments.back();
        let last = last.map(|last| last.discontinuity_sequence);
        let parts = inner.parts.iter().filter(|part| part.msn == msn);
        let first = parts.clone().next()?;
        Some(Media {
            begins_anew: last != Some(first.discontinuity_sequence),
            is_whole: false,
            bytes: parts.map(|part| part.bytes.clone()).collect(),
        })
    }

    /// Media sequence number and index of the part that comes next.
    pub fn next(&self) -> (u64, u32) {
        self.state.borrow().next
    }
}
