//! Times as a person reads them.

use std::time::Duration;

use serde_json::{Value, json};

/// In milliseconds; `None` of nothing.
pub(crate) fn quantiles(times: &mut [Duration]) -> Option<Value> {
    times.sort();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1;
        times.get(index).map(|time| time.as_millis() as u64)
    };
    (!times.is_empty())
        .then(|| json!({ "median": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) }))
}
