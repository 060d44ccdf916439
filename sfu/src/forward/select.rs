//! Which simulcast layer a viewer gets: the best that its bandwidth estimate carries, without flapping.

use std::time::{Duration, Instant};

/// A higher layer must fit this much better than a lower one has to be left.
const UP_MARGIN_PERCENT: u64 = 125;

/// A layer is left when the estimate falls below this share of its rate.
const DOWN_MARGIN_PERCENT: u64 = 95;

/// Between two steps up.
const UP_INTERVAL: Duration = Duration::from_secs(3);

/// One layer as the selector sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerView {
    /// Measured rate; 0 while unknown.
    pub(crate) bps: u64,
    /// Whether packets come.
    pub(crate) active: bool,
}

/// Remembers when it last changed its mind.
#[derive(Debug, Default)]
pub(crate) struct Selector {
    last_change: Option<Instant>,
}

impl Selector {
    /// The layer to send, as an index into `layers`; `None` when nothing is active. Without an estimate the best layer.
    pub(crate) fn choose(
        &mut self,
        now: Instant,
        layers: &[LayerView],
        current: Option<usize>,
        estimate_bps: Option<u64>,
    ) -> Option<usize> {
        let current = current.filter(|&at| layers.get(at).is_some_and(|layer| layer.active));
        let chosen = Self::best(layers, current, estimate_bps)?;
        let Some(current) = current else {
            self.last_change = Some(now);
            return Some(chosen);
        };
        let up = layers[chosen].bps > layers[current].bps;
        let too_soon = self
            .last_change
            .is_some_and(|last| now.saturating_duration_since(last) < UP_INTERVAL);
        if chosen == current || (up && estimate_bps.is_some() && too_soon) {
            return Some(current);
        }
        self.last_change = Some(now);
        Some(chosen)
    }

    fn best(
        layers: &[LayerView],
        current: Option<usize>,
        estimate_bps: Option<u64>,
    ) -> Option<usize> {
        let active = || layers.iter().enumerate().filter(|(_, layer)| layer.active);
        let Some(estimate) = estimate_bps else {
            return active()
                .max_by_key(|(_, layer)| layer.bps)
                .map(|(at, _)| at);
        };
        let fits = |at: usize, layer: &LayerView| {
            let margin = match current {
                Some(current) if at == current || layer.bps <= layers[current].bps => {
                    DOWN_MARGIN_PERCENT
                }
                _ => UP_MARGIN_PERCENT,
            };
            layer.bps * margin / 100 <= estimate
        };
        active()
            .filter(|(at, layer)| fits(*at, layer))
            .max_by_key(|(_, layer)| layer.bps)
            .or_else(|| active().min_by_key(|(_, layer)| layer.bps))
            .map(|(at, _)| at)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    fn layers(bps: [u64; 3]) -> Vec<LayerView> {
        bps.iter()
            .map(|&bps| LayerView {
                bps,
                active: bps != 0,
            })
            .collect()
    }

    #[test]
    fn the_best_that_fits_is_chosen() {
        let start = Instant::now();
        let check = |bps, current, estimate, expected| {
            let mut selector = Selector::default();
            let chosen = selector.choose(start, &layers(bps), current, estimate);
            assert_eq!(chosen, expected, "{bps:?} {current:?} {estimate:?}");
        };
        let full = [150_000, 500_000, 1_500_000];
        check(full, None, None, Some(2));
        check(full, None, Some(10_000_000), Some(2));
        check(full, None, Some(700_000), Some(1));
        check(full, None, Some(50_000), Some(0));
        check(full, Some(2), Some(1_450_000), Some(2));
        check(full, Some(2), Some(1_400_000), Some(1));
        check(full, Some(1), Some(1_600_000), Some(1));
        check(full, Some(1), Some(1_900_000), Some(2));
        check([150_000, 0, 0], Some(2), Some(9_000_000), Some(0));
        check([0, 0, 0], Some(2), Some(9_000_000), None);
        check([1_500_000, 500_000, 150_000], None, None, Some(0));
    }

    #[test]
    fn it_does_not_climb_twice_in_three_seconds() {
        let start = Instant::now();
        let full = layers([150_000, 500_000, 1_500_000]);
        let mut selector = Selector::default();
        assert_eq!(selector.choose(start, &full, None, Some(300_000)), Some(0));
        let soon = start + Duration::from_secs(1);
        assert_eq!(
            selector.choose(soon, &full, Some(0), Some(9_000_000)),
            Some(0)
        );
        let later = start + Duration::from_secs(4);
        assert_eq!(
            selector.choose(later, &full, Some(0), Some(9_000_000)),
            Some(2)
        );
        let drop = later + Duration::from_millis(100);
        assert_eq!(
            selector.choose(drop, &full, Some(2), Some(100_000)),
            Some(0)
        );
    }
}
