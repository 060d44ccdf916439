//! Millions of times in a few kilobytes.

use serde_json::{Value, json};

/// Buckets per doubling: quantiles are right to 3 %.
const STEPS: u64 = 32;
const DOUBLINGS: u64 = 40;

/// Counts times in microseconds.
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![0; (STEPS * DOUBLINGS) as usize],
            total: 0,
        }
    }

    pub(super) fn add(&mut self, us: u64) {
        let bucket = bucket(us).min(self.counts.len() - 1);
        self.counts[bucket] += 1;
        self.total += 1;
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// In milliseconds, to hundredths.
    fn at(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        (upper(bucket.unwrap_or(0) as u64) as f64 / 10.0).round() / 100.0
    }

    /// In milliseconds; nothing of nothing.
    pub(super) fn quantiles(&self) -> Value {
        if self.total == 0 {
            return Value::Null;
        }
        json!({ "median": self.at(0.5), "p90": self.at(0.9), "p99": self.at(0.99), "max": self.at(1.0) })
    }
}

/// Below `STEPS` each value has a bucket of its own; above, `STEPS` of them share each doubling.
fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let shift = us.ilog2() - STEPS.ilog2();
    (STEPS * u64::from(shift) + (us >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(bucket: u64) -> u64 {
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket - STEPS * shift + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_at_most_three_percent_below_its_upper_edge() {
        for us in (0..2000).chain([12_345, 999_999, 60_000_000, 1 << 38]) {
            let edge = upper(bucket(us) as u64);
            assert!(
                edge >= us && edge <= us + us / STEPS,
                "{us} is taken for {edge}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let mut histogram = Histogram::new();
        for ms in 1..=1000 {
            histogram.add(ms * 1000);
        }
        let median = histogram.at(0.5);
        assert!((500.0..516.0).contains(&median), "{median}");
        let p99 = histogram.at(0.99);
        assert!((990.0..1022.0).contains(&p99), "{p99}");
    }
}
