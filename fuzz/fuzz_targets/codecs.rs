//! Whatever a forwarder reads of payloads: their first bytes, parameter sets, redundancy, dependency descriptors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload::inspect::{ParameterSets, dependency, inspect};
use payload::{CodecKind, opus, red};

const KINDS: [CodecKind; 5] = [CodecKind::H264, CodecKind::Vp8, CodecKind::Vp9, CodecKind::Av1, CodecKind::Opus];

fuzz_target!(|data: &[u8]| {
    for kind in KINDS {
        inspect(kind, data);
    }
    if let Some(range) = red::primary(data) {
        let _ = &data[range];
    }
    opus::duration(data);
    opus::is_stereo(data, true);
    // Sequence and picture parameter sets may come in different payloads, and so may a structure and who refers to it.
    let (first, second) = data.split_at(data.len() / 2);
    let mut structure = None;
    dependency::read(first, &mut structure);
    dependency::read(second, &mut structure);
    let mut sets = ParameterSets::default();
    sets.learn(first);
    sets.learn(second);
    if let Some(payload) = sets.payload() {
        assert!(inspect(CodecKind::H264, &payload).parameters && sets.is_complete());
    }
});
