//! A viewer's side of one track: a jitter buffer, depacketization and a decoder that knows which pictures it needs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use str0m::rtp::RtpPacket;

use crate::media::{Picture, Video, assemble, opus};

/// How long a hole is waited for. Longer than any browser waits, so that every possible repair counts.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the server sends while nobody performs: 20 ms of Opus.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// What a payload type means to a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Video(Video),
    Opus,
    Red,
}

#[derive(Debug)]
struct Held {
    at: Instant,
    timestamp: u32,
    marker: bool,
    format: Format,
    payload: Vec<u8>,
}

/// A picture that could be shown.
#[derive(Debug, Clone, Copy)]
pub struct Decoded {
    pub at: Instant,
    pub timestamp: u32,
    pub picture: Picture,
}

/// Puts packets in order, without doubles, and gives up on holes after [`PATIENCE`].
#[derive(Debug)]
struct Order {
    next: u64,
    held: BTreeMap<u64, Held>,
    ssrc: Option<u32>,
    lost: u64,
}

impl Order {
    fn new() -> Self {
        // The server numbers every viewer's packets from 1.
        Self {
            next: 1,
            held: BTreeMap::new(),
            ssrc: None,
            lost: 0,
        }
    }

    fn push(&mut self, now: Instant, packet: &RtpPacket, format: Format) -> Result<(), String> {
        let ssrc = *packet.header.ssrc;
        if *self.ssrc.get_or_insert(ssrc) != ssrc {
            return Err(format!("the SSRC changed from {:?} to {ssrc}", self.ssrc));
        }
        let sequence = *packet.seq_no;
        if sequence < self.next {
            return Ok(());
        }
        self.held.entry(sequence).or_insert_with(|| Held {
            at: now,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            format,
            payload: packet.payload.to_vec(),
        });
        Ok(())
    }

    /// The next packet and how many are missing before it.
    fn pop(&mut self, now: Instant) -> Option<(u64, Held)> {
        let (&sequence, _) = self.held.first_key_value()?;
        let missing = sequence - self.next;
        if missing > 0 {
            let oldest = self.held.values().map(|held| held.at).min()?;
            if now.saturating_duration_since(oldest) < PATIENCE {
                return None;
            }
        }
        self.lost += missing;
        self.next = sequence + 1;
        self.held.pop_first().map(|(_, held)| (missing, held))
    }
}

/// Video.
#[derive(Debug)]
pub struct VideoReceiver {
    order: Order,
    unit: Vec<Vec<u8>>,
    unit_timestamp: Option<u32>,
    unit_is_whole: bool,
    last_timestamp: Option<u32>,
    format: Option<Video>,
    sps: Option<(u16, u8)>,
    pps: Option<(u16, u8)>,
    /// PictureID and TL0PICIDX of the picture before, unless something was lost since.
    vp8: Option<(u16, u8)>,
    reference: Option<(u16, u8, u32)>,
    /// Something was lost since the last decoded picture.
    pub is_broken: bool,
    pub decoded: Vec<Decoded>,
    /// Pictures that could not be shown because of losses that nobody repaired.
    pub spoiled: u64,
    pub violations: Vec<String>,
}

impl VideoReceiver {
    pub fn new() -> Self {
        Self {
            order: Order::new(),
            unit: Vec::new(),
            unit_timestamp: None,
            unit_is_whole: true,
            last_timestamp: None,
            format: None,
            sps: None,
            pps: None,
            vp8: None,
            reference: None,
            is_broken: false,
            decoded: Vec::new(),
            spoiled: 0,
            violations: Vec::new(),
        }
    }

    /// Packets given up.
    pub fn lost(&self) -> u64 {
        self.order.lost
    }

    pub fn push(&mut self, now: Instant, packet: &RtpPacket, format: Format) {
        if let Err(violation) = self.order.push(now, packet, format) {
            self.violations.push(violation);
        }
        self.advance(now);
    }

    /// Releases what is in order.
    pub fn advance(&mut self, now: Instant) {
        while let Some((missing, held)) = self.order.pop(now) {
            if missing > 0 {
                if !self.unit.is_empty() {
                    self.spoil();
                }
                self.unit_is_whole = false;
                self.is_broken = true;
                self.vp8 = None;
            }
            self.take(now, held);
        }
    }

    fn spoil(&mut self) {
        self.unit.clear();
        self.unit_timestamp = None;
        self.spoiled += 1;
    }

    fn take(&mut self, now: Instant, held: Held) {
        let Format::Video(codec) = held.format else {
            self.violations.push("sound in the video section".into());
            return;
        };
        if self
            .unit_timestamp
            .is_some_and(|known| known != held.timestamp)
        {
            if self.unit_is_whole {
                self.violations.push(format!(
                    "picture at {:?} ended without a marker before {}",
                    self.unit_timestamp, held.timestamp
                ));
            }
            self.spoil();
        }
        self.unit_timestamp = Some(held.timestamp);
        self.format = Some(codec);
        self.unit.push(held.payload);
        if held.marker {
            self.finish(now, codec, held.timestamp);
        }
    }

    fn finish(&mut self, now: Instant, codec: Video, timestamp: u32) {
        let payloads = std::mem::take(&mut self.unit);
        self.unit_timestamp = None;
        let is_whole = std::mem::replace(&mut self.unit_is_whole, true);
        if let Some(last) = self.last_timestamp
            && (timestamp == last || timestamp.wrapping_sub(last) >= 1 << 31)
        {
            self.violations
                .push(format!("timestamp {timestamp} after {last}"));
        }
        self.last_timestamp = Some(timestamp);
        let unit = match assemble(codec, &payloads) {
            Ok(unit) => unit,
            Err(error) if is_whole => {
                self.violations
                    .push(format!("picture at {timestamp}: {error}"));
                return;
            }
            Err(_) => {
                self.spoiled += 1;
                return;
            }
        };
        self.sps = unit.sps.or(self.sps);
        self.pps = unit.pps.or(self.pps);
        if let Some((picture_id, tl0)) = unit.vp8 {
            if let Some((last, last_tl0)) = self.vp8
                && (picture_id != (last + 1) & 0x7fff || tl0 != last_tl0.wrapping_add(1))
            {
                self.violations.push(format!(
                    "VP8 counters {picture_id}/{tl0} after {last}/{last_tl0}"
                ));
            }
            self.vp8 = Some((picture_id, tl0));
        }
        match Picture::decode(&unit.coded) {
            Some(picture) => self.decode(now, codec, timestamp, picture),
            None if is_whole => self.violations.push(format!(
                "picture at {timestamp} is not what was sent ({} bytes)",
                unit.coded.len()
            )),
            None => self.spoiled += 1,
        }
    }

    fn decode(&mut self, now: Instant, codec: Video, timestamp: u32, picture: Picture) {
        let id = (picture.publication, picture.layer);
        let problem = if picture.key {
            (codec == Video::H264 && (self.sps != Some(id) || self.pps != Some(id))).then(|| {
                format!(
                    "its parameter sets are {:?} and {:?}, it needs {id:?}",
                    self.sps, self.pps
                )
            })
        } else {
            (self.reference != Some((id.0, id.1, picture.reference)))
                .then(|| format!("its reference is missing, there is {:?}", self.reference))
        };
        if let Some(problem) = problem {
            if self.is_broken {
                self.spoiled += 1;
            } else {
                self.violations
                    .push(format!("{picture:?} cannot be shown: {problem}"));
            }
            return;
        }
        self.is_broken = false;
        self.reference = Some((id.0, id.1, picture.number));
        self.decoded.push(Decoded {
            at: now,
            timestamp,
            picture,
        });
    }
}

/// Opus, plain or redundant.
#[derive(Debug)]
pub struct AudioReceiver {
    order: Order,
    /// Publication and number of the newest packet.
    pub newest: Option<(u16, u32)>,
    last_timestamp: Option<u32>,
    pub packets: u64,
    /// When the newest packet came, its timestamp, publication and number.
    pub heard: Vec<(Instant, u32, u16, u32)>,
    /// When silence of the server's own came, and its timestamps.
    pub silences: Vec<(Instant, u32)>,
    pub violations: Vec<String>,
}

impl AudioReceiver {
    pub fn new() -> Self {
        Self {
            order: Order::new(),
            newest: None,
            last_timestamp: None,
            packets: 0,
            heard: Vec::new(),
            silences: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub fn lost(&self) -> u64 {
        self.order.lost
    }

    pub fn push(&mut self, now: Instant, packet: &RtpPacket, format: Format) {
        if let Err(violation) = self.order.push(now, packet, format) {
            self.violations.push(violation);
        }
        self.advance(now);
    }

    pub fn advance(&mut self, now: Instant) {
        while let Some((missing, held)) = self.order.pop(now) {
            self.take(now, missing, &held);
        }
    }

    fn take(&mut self, now: Instant, missing: u64, held: &Held) {
        self.packets += 1;
        if let Some(last) = self.last_timestamp
            && (held.timestamp == last || held.timestamp.wrapping_sub(last) >= 1 << 31)
        {
            self.violations
                .push(format!("sound timestamp {} after {last}", held.timestamp));
        }
        self.last_timestamp = Some(held.timestamp);
        if held.payload == SILENCE {
            self.silences.push((now, held.timestamp));
            // Whoever performs next begins anew, the one from before, too.
            self.newest = None;
            return;
        }
        let expected = self.newest.map(|(publication, number)| {
            (publication, number + 1 + u32::try_from(missing).unwrap())
        });
        if let Some((publication, number)) = expected {
            let whole = match held.format {
                Format::Opus => opus::packet(publication, number),
                Format::Red => opus::redundant(publication, number),
                Format::Video(_) => Vec::new(),
            };
            if whole == held.payload {
                self.newest = expected;
                self.heard.push((now, held.timestamp, publication, number));
                return;
            }
        }
        // Another publication begins, or the first packet of all.
        let primary = match held.format {
            Format::Opus => Some(held.payload.as_slice()),
            Format::Red => red_primary(&held.payload),
            Format::Video(_) => None,
        };
        match primary.and_then(opus::identify) {
            Some((publication, number))
                if self.newest.is_none_or(|(before, _)| before != publication) =>
            {
                self.newest = Some((publication, number));
                self.heard.push((now, held.timestamp, publication, number));
            }
            _ if self.newest.is_none() || primary.is_some_and(|primary| primary.len() == 1) => {
                // A start in a pause: nothing to tell it by.
            }
            other => self
                .violations
                .push(format!("sound {other:?} where {expected:?} belongs")),
        }
    }
}

fn red_primary(payload: &[u8]) -> Option<&[u8]> {
    match payload {
        [header, primary @ ..] if header & 0x80 == 0 => Some(primary),
        [_, _, high, low, _, rest @ ..] => {
            rest.get((usize::from(high & 3) << 8 | usize::from(*low))..)
        }
        _ => None,
    }
}
