//! Which layers of its stream one viewer wants.

/// Layers of a track, by name or by place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LayerPick {
    /// All of them: the bandwidth decides.
    #[default]
    Any,
    /// Those of these names (`rid`); the bandwidth decides among several. Layers of no other name are sent while one of these comes.
    Named(Vec<String>),
    /// The one of this place by measured rate, 0 for the lowest.
    Nth(u8),
    /// The one with the lowest rate.
    Lowest,
    /// The one in the middle by rate.
    Middle,
    /// The one with the highest rate.
    Highest,
}

/// What a viewer wants to be sent of its stream's picture. Held until the next wish, also across take-overs; a layer that does not come is
/// replaced by what does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerWish {
    /// Which simulcast layers.
    pub pick: LayerPick,
    /// The highest spatial layer inside one (SVC); `None` for all.
    pub spatial_max: Option<u8>,
    /// The highest temporal layer inside one; `None` for all.
    pub temporal_max: Option<u8>,
}

/// One simulcast layer of a stream's picture, and what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerReport {
    /// Its `rid`; empty without simulcast.
    pub name: String,
    /// Whether packets come.
    pub active: bool,
    /// Measured bits per second, 0 while unknown.
    pub bps: u64,
    /// Spatial layer, temporal layer, and bits per second up to and with both; lowest first, empty while unknown.
    pub steps: Vec<(u8, u8, u64)>,
}

impl LayerPick {
    /// Which of these layers, by name and measured rate, are picked.
    pub(crate) fn among<'a>(&self, layers: impl Iterator<Item = (&'a str, u64)>) -> Vec<bool> {
        let layers: Vec<(&str, u64)> = layers.collect();
        let mut by_rate: Vec<usize> = (0..layers.len()).collect();
        by_rate.sort_by_key(|at| (layers[*at].1, *at));
        let place = match self {
            Self::Any => return vec![true; layers.len()],
            Self::Named(names) => {
                let is_named = |(name, _): &(&str, u64)| names.iter().any(|known| known == name);
                return layers.iter().map(is_named).collect();
            }
            Self::Nth(place) => usize::from(*place),
            Self::Lowest => 0,
            Self::Middle => layers.len() / 2,
            Self::Highest => layers.len().saturating_sub(1),
        };
        let picked = by_rate.get(place);
        (0..layers.len()).map(|at| picked == Some(&at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_rate_and_names_by_name() {
        // OBS calls the best one 0.
        let layers = [("0", 2_000_000), ("1", 700_000), ("2", 150_000)];
        let check = |pick: LayerPick, expected: [bool; 3]| {
            assert_eq!(pick.among(layers.into_iter()), expected, "{pick:?}");
        };
        check(LayerPick::Any, [true; 3]);
        check(LayerPick::Lowest, [false, false, true]);
        check(LayerPick::Middle, [false, true, false]);
        check(LayerPick::Highest, [true, false, false]);
        check(LayerPick::Nth(0), [false, false, true]);
        check(LayerPick::Nth(3), [false; 3]);
        check(
            LayerPick::Named(vec!["1".into(), "2".into()]),
            [false, true, true],
        );
        check(LayerPick::Named(vec!["hd".into()]), [false; 3]);
    }

    #[test]
    fn one_layer_is_every_place_and_none_is_no_place() {
        for pick in [LayerPick::Lowest, LayerPick::Middle, LayerPick::Highest] {
            assert_eq!(pick.among([("", 9)].into_iter()), [true]);
            assert!(pick.among([].into_iter()).is_empty());
        }
    }
}
