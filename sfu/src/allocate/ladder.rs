//! From measured rates to a ladder of rungs.

use super::Rung;

/// Rates of layers that were never seen, lowest first, in bits per second: 180p, 360p, 720p, 1080p.
const NOMINAL_BPS: [u64; 4] = [150_000, 500_000, 1_500_000, 3_000_000];

/// The share in percent of a layer's rate that its lowest temporal layers have, of one, two, three and four: what
/// libwebrtc's encoders aim at.
const TEMPORAL_PERCENT: [&[u64]; 4] = [&[100], &[60, 100], &[40, 60, 100], &[25, 40, 60, 100]];

/// What is known of one layer of a stream's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerRate {
    /// The simulcast layer.
    pub(crate) layer: u8,
    /// The spatial layer inside it (SVC).
    pub(crate) spatial: u8,
    /// The temporal layer inside it.
    pub(crate) temporal: u8,
    /// This layer and all it depends on, in bits per second: the last known rate also while it is paused, 0 if it was
    /// never seen.
    pub(crate) bps: u64,
    /// Whether packets come now.
    pub(crate) active: bool,
}

impl LayerRate {
    fn place(&self) -> (u8, u8) {
        (self.layer, self.spatial)
    }
}

/// Makes the ladder: every rung is better and costs more than the one before. A rung is left out when a better one
/// that comes now costs no more. Layers that do not come, because nobody watches them, keep their rate; what was
/// never seen is taken to cost what such layers usually do.
pub(crate) fn ladder(rates: &[LayerRate]) -> Vec<Rung> {
    let mut rates = rates.to_vec();
    rates.sort_by_key(|rate| (rate.place(), rate.temporal));
    rates.dedup_by_key(|rate| (rate.place(), rate.temporal));
    guess(&mut rates);

    let mut rungs: Vec<Rung> = Vec::with_capacity(rates.len());
    for rate in &rates {
        if rate.active {
            // Measured and better: whatever below costs as much is useless.
            while rungs.last().is_some_and(|below| below.bps >= rate.bps) {
                rungs.pop();
            }
        }
        // What is only remembered may have been cheap because its publisher had just begun.
        let below = rungs.last().map_or(0, |below| below.bps);
        rungs.push(Rung {
            layer: rate.layer,
            spatial: rate.spatial,
            temporal: rate.temporal,
            bps: rate.bps.max(below + 1),
        });
    }
    rungs
}

/// The part of a ladder that a picture of at most this layer deserves (simulcast layer, or spatial layer of SVC); at
/// least the lowest rung.
pub(crate) fn cut(rungs: &[Rung], layer_max: u8) -> &[Rung] {
    let fits = |rung: &&Rung| rung.layer.saturating_add(rung.spatial) <= layer_max;
    let end = rungs.iter().take_while(fits).count();
    &rungs[..end.max(1).min(rungs.len())]
}

/// Fills in the rates that are not known. `rates` are sorted.
fn guess(rates: &mut [LayerRate]) {
    let mut start = 0;
    let mut below = 0;
    while let Some(first) = rates.get(start) {
        let place = first.place();
        let count = rates[start..]
            .iter()
            .take_while(|rate| rate.place() == place)
            .count();
        let group = &mut rates[start..start + count];
        // The best temporal layer that was seen says what the whole layer costs.
        let percent = |at: usize| TEMPORAL_PERCENT[count.min(4) - 1][at.min(3)];
        let seen = group.iter().enumerate().rfind(|(_, rate)| rate.bps > 0);
        let usual = NOMINAL_BPS[usize::from(place.0.saturating_add(place.1)).min(3)];
        let whole = match seen {
            Some((at, rate)) => rate.bps.saturating_mul(100) / percent(at),
            None => usual.max(below * 2),
        };
        for (at, rate) in group.iter_mut().enumerate() {
            if rate.bps == 0 {
                rate.bps = whole.saturating_mul(percent(at)) / 100;
                rate.active = false;
            }
        }
        below = whole;
        start += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(layer: u8, spatial: u8, temporal: u8, kbps: u64, active: bool) -> LayerRate {
        LayerRate {
            layer,
            spatial,
            temporal,
            bps: kbps * 1000,
            active,
        }
    }

    /// Simulcast layers without temporal layers: (kbit/s, active) to (layer, kbit/s).
    fn check(layers: &[(u64, bool)], expected: &[(u8, u64)]) {
        let rates: Vec<LayerRate> = (0..)
            .zip(layers)
            .map(|(layer, &(kbps, active))| rate(layer, 0, 0, kbps, active))
            .collect();
        let rungs: Vec<(u8, u64)> = ladder(&rates)
            .iter()
            .map(|rung| (rung.layer, rung.bps / 1000))
            .collect();
        assert_eq!(rungs, expected, "{layers:?}");
    }

    #[test]
    fn what_was_measured_counts_and_the_rest_costs_what_is_usual() {
        check(&[], &[]);
        check(&[(0, false)], &[(0, 150)]);
        check(&[(0, true); 4], &[(0, 150), (1, 500), (2, 1500), (3, 3000)]);
        check(
            &[(120, true), (450, true), (1800, true)],
            &[(0, 120), (1, 450), (2, 1800)],
        );
        // Paused because nobody watches: as it was.
        check(
            &[(120, true), (450, false), (0, false)],
            &[(0, 120), (1, 450), (2, 1500)],
        );
        // A publisher with large layers: the next one is larger still.
        check(&[(900, true), (0, false)], &[(0, 900), (1, 1800)]);
    }

    #[test]
    fn a_rung_that_costs_more_than_a_better_one_is_left_out() {
        check(&[(500, true), (300, true)], &[(1, 300)]);
        check(&[(500, true), (500, true)], &[(1, 500)]);
        check(
            &[(100, true), (900, true), (300, true)],
            &[(0, 100), (2, 300)],
        );
        check(&[(100, true), (200, true), (50, true)], &[(2, 50)]);
        // Only remembered: it may have just begun.
        check(&[(500, true), (300, false)], &[(0, 500), (1, 500)]);
    }

    #[test]
    fn temporal_layers_are_rungs() {
        let rates = [
            rate(1, 0, 2, 600, true),
            rate(0, 0, 0, 60, true),
            rate(0, 0, 2, 150, true),
            rate(0, 0, 1, 90, true),
            rate(1, 0, 0, 200, true),
            rate(1, 0, 1, 400, true),
        ];
        let names: Vec<_> = ladder(&rates)
            .iter()
            .map(|rung| (rung.layer, rung.temporal, rung.bps / 1000))
            .collect();
        let expected = [
            (0, 0, 60),
            (0, 1, 90),
            (0, 2, 150),
            (1, 0, 200),
            (1, 1, 400),
            (1, 2, 600),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn unknown_temporal_layers_have_their_usual_share() {
        let shares = |count: u8, seen: &[(usize, u64)]| -> Vec<u64> {
            let mut rates: Vec<LayerRate> = (0..count).map(|at| rate(0, 1, at, 0, true)).collect();
            for &(at, kbps) in seen {
                rates[at].bps = kbps * 1000;
            }
            ladder(&rates).iter().map(|rung| rung.bps / 1000).collect()
        };
        assert_eq!(shares(1, &[]), [500]);
        assert_eq!(shares(2, &[]), [300, 500]);
        assert_eq!(shares(3, &[]), [200, 300, 500]);
        assert_eq!(shares(4, &[]), [125, 200, 300, 500]);
        assert_eq!(shares(3, &[(0, 100)]), [100, 150, 250]);
        assert_eq!(shares(3, &[(2, 1000)]), [400, 600, 1000]);
        assert_eq!(shares(8, &[]).len(), 8, "no more than sense");
    }

    #[test]
    fn a_ladder_always_rises() {
        for seed in 0..500 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let rates: Vec<LayerRate> = (0..rng.usize(..20))
                .map(|_| LayerRate {
                    layer: rng.u8(..4),
                    spatial: rng.u8(..4),
                    temporal: rng.u8(..5),
                    bps: rng.u64(..3) * rng.u64(..2_000_000),
                    active: rng.bool(),
                })
                .collect();
            let rungs = ladder(&rates);
            let name = |rung: &Rung| (rung.layer, rung.spatial, rung.temporal);
            assert_eq!(rungs.is_empty(), rates.is_empty(), "seed {seed}");
            for pair in rungs.windows(2) {
                assert!(name(&pair[0]) < name(&pair[1]), "seed {seed}: {rungs:?}");
                assert!(pair[0].bps < pair[1].bps, "seed {seed}: {rungs:?}");
            }
        }
    }

    #[test]
    fn a_ladder_is_cut_to_the_size_on_screen() {
        let simulcast = ladder(&[0, 1, 2].map(|layer| rate(layer, 0, 0, 0, false)));
        let svc = ladder(&[0, 1, 2].map(|spatial| rate(0, spatial, 0, 0, false)));
        for rungs in [simulcast, svc] {
            for (layer_max, expected) in [(0, 1), (1, 2), (2, 3), (255, 3)] {
                assert_eq!(cut(&rungs, layer_max).len(), expected);
            }
            assert_eq!(cut(&rungs[2..], 0).len(), 1, "better too large than black");
        }
        assert!(cut(&[], 3).is_empty());
    }
}
