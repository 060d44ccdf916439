//! The layers of a stream as viewers are told of them.
//!
//! The present draft has a list for each section; all pages and servers that were looked at (Broadcast Box, Millicast, live777) have what the earlier drafts had, an object of three
//! lists with `encodingId` where the present one says `rid`. We send the object, with both names.

use serde_json::{Map, Value, json};
use sfu::LayerReport;

use crate::broadcast::Sizes;

/// What a layer is called in requests and events: its `rid`, or its place where it has none.
pub(super) fn name_of(at: usize, layer: &LayerReport) -> String {
    match layer.name.as_str() {
        "" => at.to_string(),
        name => name.to_owned(),
    }
}

/// The event's data: an object with the section's index.
pub(super) fn described(line: usize, layers: &[LayerReport], sizes: &Sizes) -> Value {
    let (mut active, mut inactive, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (at, layer) in layers.iter().enumerate() {
        let name = name_of(at, layer);
        if layer.active {
            active.push(json!({ "id": name, "simulcastIdx": at, "bitrate": layer.bps }));
        } else {
            inactive.push(json!({ "id": name, "simulcastIdx": at }));
        }
        let steps = steps(layer);
        let top = steps.last().map_or(0, |step| step.0);
        for (spatial, temporal, bps) in steps {
            let mut one = json!({
                "encodingId": name, "rid": name, "simulcastIdx": at, "spatialLayerId": spatial, "temporalLayerId": temporal,
            });
            if layer.active {
                one["bitrate"] = bps.into();
            }
            if let Some((width, height)) = sizes.get(&at).filter(|_| spatial == top) {
                one["width"] = (*width).into();
                one["height"] = (*height).into();
            }
            all.push(one);
        }
    }
    let section = json!({ "active": active, "inactive": inactive, "layers": all });
    Value::Object(Map::from_iter([(line.to_string(), section)]))
}

/// Each spatial layer with all its pictures: pages make one entry of a menu of each.
fn steps(layer: &LayerReport) -> Vec<(u8, u8, u64)> {
    let mut whole: Vec<(u8, u8, u64)> = Vec::new();
    for step in &layer.steps {
        match whole.last_mut() {
            Some(last) if last.0 == step.0 => *last = *step,
            _ => whole.push(*step),
        }
    }
    if whole.is_empty() {
        whole.push((0, 0, layer.bps));
    }
    whole
}

/// Which layers there are and come, without the rates that change all the time.
pub(super) fn shape(layers: &[LayerReport]) -> Vec<(String, bool, usize)> {
    let one = |layer: &LayerReport| (layer.name.clone(), layer.active, steps(layer).len());
    layers.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, active: bool, steps: &[(u8, u8, u64)]) -> LayerReport {
        LayerReport {
            name: name.into(),
            active,
            bps: steps.last().map_or(0, |step| step.2),
            steps: steps.to_vec(),
        }
    }

    #[test]
    fn a_simulcast_is_one_entry_for_each_encoding_under_the_index_of_its_section() {
        let layers = [
            layer("q", true, &[(0, 0, 80_000), (0, 1, 120_000)]),
            layer("h", false, &[]),
        ];
        let told = described(1, &layers, &Sizes::from([(0, (320, 180))]));
        let section = &told["1"];
        assert_eq!(
            section["active"][0],
            json!({ "id": "q", "simulcastIdx": 0, "bitrate": 120_000 })
        );
        assert_eq!(
            section["inactive"],
            json!([{ "id": "h", "simulcastIdx": 1 }])
        );
        let ids: Vec<_> = section["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["encodingId"].clone())
            .collect();
        assert_eq!(ids, ["q", "h"]);
        assert_eq!(section["layers"][0]["bitrate"], 120_000);
        assert!(section["layers"][1].get("bitrate").is_none());
        let size = |at: usize| {
            (
                &section["layers"][at]["width"],
                &section["layers"][at]["height"],
            )
        };
        assert_eq!(size(0), (&json!(320), &json!(180)));
        assert_eq!(size(1), (&Value::Null, &Value::Null));
    }

    #[test]
    fn spatial_layers_inside_one_encoding_are_entries_of_their_own() {
        let svc = layer(
            "",
            true,
            &[(0, 0, 50), (0, 2, 100), (1, 0, 300), (1, 2, 500)],
        );
        let told = described(0, &[svc], &Sizes::from([(0, (640, 360))]));
        let layers = told["0"]["layers"].as_array().unwrap();
        let of = |name: &str| {
            layers
                .iter()
                .map(|one| one[name].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("spatialLayerId"), [0, 1]);
        assert_eq!(of("bitrate"), [100, 500]);
        assert_eq!(of("encodingId"), ["0", "0"]);
        // What lies below the whole picture is smaller by nobody knows how much.
        assert_eq!(of("height"), [Value::Null, json!(360)]);
    }
}
