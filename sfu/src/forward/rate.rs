//! How many bits per second a layer carries, over about the last second: whole, and by the spatial and temporal layers
//! inside it.

use std::time::{Duration, Instant};

use payload::inspect::LayerIds;

use crate::packet::MediaPacket;

const WINDOW: Duration = Duration::from_millis(500);

/// After this long without a packet a layer counts as paused.
const SILENT_AFTER: Duration = Duration::from_millis(1500);

/// Spatial and temporal layers told apart; browsers have three of each, and what lies above counts as the highest.
const LAYERS_MAX: usize = 4;

/// Half-second windows, each smoothed with those before it: cheap on the packet path, and never much older than a second.
/// After a pause the last rates still hold.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    window_start: Option<Instant>,
    bytes: u64,
    last_bps: u64,
    last_packet: Option<Instant>,
    /// Of each spatial and temporal layer by itself.
    cells: [[Cell; LAYERS_MAX]; LAYERS_MAX],
    /// Picture and layer of the packet before this one, for packets that do not name their own.
    last_layer: (u32, LayerIds),
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    bytes: u64,
    last_bps: u64,
    /// Windows in a row without a packet.
    empty: u8,
}

/// A layer inside another that is silent for so many windows has ended, as [`SILENT_AFTER`] says.
const EMPTY_MAX: u8 = 3;

impl RateMeter {
    /// Counts one packet where it belongs, by its arrival.
    pub(crate) fn add_packet(&mut self, packet: &MediaPacket) {
        let (timestamp, last) = self.last_layer;
        // A packet that does not name its layer goes on with the picture before it, or is of a stream without layers.
        let layer = packet.inspection.layer.unwrap_or_else(|| {
            if timestamp == packet.timestamp {
                last
            } else {
                LayerIds::default()
            }
        });
        self.last_layer = (packet.timestamp, layer);
        // Spatial layers of AV1 without a dependency descriptor cannot be left out: for whoever chooses they are one.
        let can_be_limited = packet.inspection.frame.is_some();
        self.add_layered(
            packet.arrival,
            packet.payload.len(),
            if can_be_limited { layer.spatial } else { 0 },
            layer.temporal,
        );
    }

    /// Counts one packet of `bytes` in a spatial and temporal layer.
    pub(crate) fn add_layered(&mut self, now: Instant, bytes: usize, spatial: u8, temporal: u8) {
        if self.window_start.is_some() && !self.is_active(now) {
            // The time of a pause is no time of low rate: begin anew, from what was.
            self.window_start = None;
            self.bytes = 0;
            self.cells
                .as_flattened_mut()
                .iter_mut()
                .for_each(|cell| cell.bytes = 0);
        }
        self.last_packet = Some(now);
        let bytes = bytes as u64;
        let highest = LAYERS_MAX - 1;
        let (spatial, temporal) = (
            usize::from(spatial).min(highest),
            usize::from(temporal).min(highest),
        );
        self.bytes += bytes;
        self.cells[spatial][temporal].bytes += bytes;
        let start = *self.window_start.get_or_insert(now);
        let elapsed = now.saturating_duration_since(start);
        if elapsed < WINDOW {
            return;
        }
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.last_bps = smoothed(self.last_bps, self.bytes, elapsed_us);
        for cell in self.cells.as_flattened_mut() {
            cell.end_window(elapsed_us);
        }
        self.bytes = 0;
        self.window_start = Some(now);
    }

    /// Bits per second of everything, 0 until half a second has been seen; the last that was seen while paused.
    pub(crate) fn bps(&self) -> u64 {
        self.last_bps
    }

    /// Spatial layer, temporal layer and bits per second up to and with both: what a viewer limited to them costs.
    /// Lowest first, temporal layers within spatial ones, and only layers that exist. While paused the last that was
    /// seen.
    pub(crate) fn by_layer(&self) -> impl Iterator<Item = (u8, u8, u64)> + '_ {
        (0..LAYERS_MAX * LAYERS_MAX).filter_map(|at| {
            let (spatial, temporal) = (at / LAYERS_MAX, at % LAYERS_MAX);
            if self.cells[spatial][temporal].last_bps == 0 {
                return None;
            }
            let lower = self.cells[..=spatial].iter();
            let bps = lower
                .flat_map(|cells| &cells[..=temporal])
                .map(|cell| cell.last_bps)
                .sum();
            Some((
                u8::try_from(spatial).expect("below LAYERS_MAX"),
                u8::try_from(temporal).expect("below LAYERS_MAX"),
                bps,
            ))
        })
    }

    /// Whether packets came lately.
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|last| now.saturating_duration_since(last) < SILENT_AFTER)
    }
}

impl Cell {
    fn end_window(&mut self, elapsed_us: u64) {
        self.empty = if self.bytes == 0 {
            self.empty.saturating_add(1)
        } else {
            0
        };
        self.last_bps = if self.empty >= EMPTY_MAX {
            0
        } else {
            smoothed(self.last_bps, self.bytes, elapsed_us)
        };
        self.bytes = 0;
    }
}

/// A first window counts whole; later ones are smoothed.
fn smoothed(last_bps: u64, bytes: u64, elapsed_us: u64) -> u64 {
    let bps = bytes * 8_000_000 / elapsed_us.max(1);
    if last_bps == 0 {
        bps
    } else {
        (last_bps + bps) / 2
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use payload::CodecKind;
    use payload::inspect::inspect;

    use super::*;
    use crate::forward::shapes::{Camera, Shape};

    const MS: Duration = Duration::from_millis(1);

    /// L2T3 at 32 pictures per second: 0 2 1 2, each frame of one packet.
    fn send(meter: &mut RateMeter, start: Instant, pictures: std::ops::Range<u32>, spatial: u8) {
        for number in pictures {
            let at = start + Duration::from_micros(31_250) * number;
            let temporal = [0, 2, 1, 2][number as usize % 4];
            for layer in 0..=spatial {
                meter.add_layered(at, 500 * (1 + 2 * usize::from(layer)), layer, temporal);
            }
        }
    }

    fn near(bps: u64, expected: u64) -> bool {
        bps.abs_diff(expected) * 10 <= expected
    }

    #[test]
    fn each_layer_counts_those_below_it() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        send(&mut meter, start, 0..160, 1);
        let rates: Vec<_> = meter.by_layer().collect();
        // Eight pictures of the lowest layer a second, as many of the middle one, sixteen of the highest.
        let expected = [
            (0, 0, 32_000),
            (0, 1, 64_000),
            (0, 2, 128_000),
            (1, 0, 128_000),
            (1, 1, 256_000),
            (1, 2, 512_000),
        ];
        assert_eq!(rates.len(), expected.len(), "{rates:?}");
        for (seen, expected) in rates.iter().zip(expected) {
            assert_eq!((seen.0, seen.1), (expected.0, expected.1));
            assert!(near(seen.2, expected.2), "{seen:?} is not {expected:?}");
        }
        assert!(near(meter.bps(), 512_000), "{}", meter.bps());
    }

    #[test]
    fn a_pause_keeps_the_last_rate_and_does_not_count_as_silence() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        send(&mut meter, start, 0..160, 0);
        let before = meter.bps();
        let later = start + 60_000 * MS;
        assert!(!meter.is_active(later));
        assert_eq!((meter.bps(), meter.by_layer().count()), (before, 3));
        send(&mut meter, later, 0..2, 0);
        assert_eq!(
            meter.bps(),
            before,
            "two packets after a minute tell nothing"
        );
        send(&mut meter, later, 2..64, 0);
        assert!(near(meter.bps(), before));
    }

    #[test]
    fn a_packet_of_av1_that_names_no_layer_goes_on_with_its_picture() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let mut packet = Camera::new(Shape::Vp8, start).shoot(true, 1, 1)[0].packets[0].clone();
        for number in 0..40_u32 {
            let temporal = u8::from(number % 2 == 1);
            // A frame of temporal layer 0 or 1 and spatial layer 1, and its rest.
            for payload in [[0x10, 0x34, temporal << 5 | 8, 0], [0x90, 0x34, 0xe0, 0]] {
                packet.timestamp = number * 3000;
                packet.arrival = start + 33 * MS * number;
                packet.inspection = inspect(CodecKind::Av1, &payload);
                packet.payload = vec![0; 500].into();
                meter.add_packet(&packet);
            }
        }
        let rates: Vec<_> = meter.by_layer().collect();
        assert_eq!(rates.len(), 2, "{rates:?}");
        assert_eq!(
            (rates[0].0, rates[0].1, rates[1].0, rates[1].1),
            (0, 0, 0, 1)
        );
        assert!(
            near(rates[0].2 * 2, rates[1].2),
            "half of it each: {rates:?}"
        );
    }

    #[test]
    fn a_spatial_layer_that_ended_alone_is_forgotten() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        send(&mut meter, start, 0..64, 1);
        send(&mut meter, start, 64..128, 0);
        assert!(meter.by_layer().all(|(spatial, _, _)| spatial == 0));
    }

    #[test]
    fn layers_beyond_the_known_ones_count_as_the_highest() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for tick in 0..20 {
            meter.add_layered(start + 50 * MS * tick, 100, 7, 7);
        }
        let layers: Vec<_> = meter.by_layer().map(|(s, t, _)| (s, t)).collect();
        assert_eq!(layers, [(3, 3)]);
    }
}
