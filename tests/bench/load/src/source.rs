//! Packets that look like VP8 to a forwarder: a payload descriptor with a picture id, a key frame when asked for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The RTP header, which is not part of a payload.
const HEADER_BYTES: usize = 12;

/// One packet's worth.
pub(crate) struct Packet {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
}

/// Makes frames at a steady rate.
pub(crate) struct Source {
    interval: Duration,
    burst: u32,
    payload_bytes: usize,
    frames: u32,
    next: Option<Instant>,
    key_wanted: bool,
}

impl Source {
    /// `rate` packets a second in frames of `burst` packets of `size` bytes.
    pub(crate) fn new(rate: u32, burst: u32, size: usize) -> Self {
        Self {
            interval: Duration::from_secs(1) * burst / rate.max(1),
            burst,
            payload_bytes: size - HEADER_BYTES,
            frames: 0,
            next: None,
            key_wanted: true,
        }
    }

    pub(crate) fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// When the next frame is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The frame that is due at `now`, if any.
    pub(crate) fn frame(&mut self, now: Instant) -> Vec<Packet> {
        let due = *self.next.get_or_insert(now);
        if now < due {
            return Vec::new();
        }
        self.next = Some(due + self.interval);
        let key = std::mem::take(&mut self.key_wanted);
        let elapsed = self.interval.as_micros() as u64 * u64::from(self.frames);
        let timestamp = (elapsed * 90 / 1000) as u32;
        let packets = (0..self.burst).map(|index| Packet {
            payload: self.payload(index == 0, key),
            timestamp,
            marker: index + 1 == self.burst,
        });
        let packets = packets.collect();
        self.frames = self.frames.wrapping_add(1);
        packets
    }

    /// RFC 7741: X, S on a frame's first packet; I with a 15-bit picture id; then the frame's own first byte, whose
    /// lowest bit is 0 for a key frame, which goes on with a start code and the size of the picture.
    fn payload(&self, first: bool, key: bool) -> Arc<[u8]> {
        let picture = (self.frames & 0x7fff) as u16;
        let mut payload = vec![
            0x80 | (u8::from(first) << 4),
            0x80,
            0x80 | (picture >> 8) as u8,
            picture as u8,
        ];
        if first && key {
            payload.extend([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        } else if first {
            payload.extend([0x11, 0x02, 0x00]);
        }
        payload.resize(self.payload_bytes, 0x5a);
        payload.into()
    }
}
