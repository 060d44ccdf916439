//! What is read of many seeded payloads, as one number for each codec: it changes when anything that is read does.

use fastrand::Rng;

use super::*;
use crate::red;

const PAYLOADS: usize = 20_000;

/// FNV-1a.
#[derive(Debug)]
struct Digest(u64);

impl Digest {
    fn take(&mut self, value: &impl std::fmt::Debug) {
        for byte in format!("{value:?}").bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Noise that begins with one of a few octets, so that it goes deep.
fn payload(random: &mut Rng, firsts: &[u8], longest: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = (0..random.usize(..=longest))
        .map(|_| random.u8(..))
        .collect();
    if let Some(first) = payload.first_mut()
        && !firsts.is_empty()
        && random.bool()
    {
        *first = firsts[random.usize(..firsts.len())];
    }
    payload
}

/// Aggregates, fragments and single units, most of them whole.
fn h264(random: &mut Rng) -> Vec<u8> {
    let kinds = [1, 5, 6, 7, 8, 9, 24, 28, 28, 0, 31];
    let unit = |random: &mut Rng| {
        let mut unit = payload(random, &[], 12);
        if let Some(first) = unit.first_mut() {
            *first = random.u8(..) & 0x60 | kinds[random.usize(..6)];
        }
        unit
    };
    let kind = kinds[random.usize(..kinds.len())];
    let mut out = vec![random.u8(..) & 0x60 | kind];
    if kind == 24 {
        for _ in 0..random.usize(..4) {
            let unit = unit(random);
            out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
            out.extend_from_slice(&unit);
        }
        out.truncate(out.len() - usize::from(random.u8(..) < 20).min(out.len()));
    } else if kind == 28 {
        out.push(random.u8(..) & 0xc0 | kinds[random.usize(..6)]);
        out.extend(unit(random));
    } else {
        out.extend(payload(random, &[], 600));
    }
    out
}

#[test]
fn what_is_inspected_is_what_always_was() {
    let sum = |kind: CodecKind| {
        let mut random = Rng::with_seed(7);
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        let mut sets = ParameterSets::default();
        for _ in 0..PAYLOADS {
            let payload = match kind {
                CodecKind::H264 => h264(&mut random),
                CodecKind::Vp8 => payload(&mut random, &[0x10, 0x90], 16),
                CodecKind::Vp9 => payload(&mut random, &[0x88, 0xa8, 0xf8, 0x9a], 16),
                _ => payload(&mut random, &[0x10, 0x18, 0x20, 0x28, 0x30], 16),
            };
            digest.take(&inspect(kind, &payload));
            sets.learn(&payload);
            digest.take(&(sets.is_complete(), sets.payload()));
            if random.u8(..) < 8 {
                sets = ParameterSets::default();
            }
        }
        digest.0
    };
    let kinds = [
        CodecKind::H264,
        CodecKind::Vp8,
        CodecKind::Vp9,
        CodecKind::Av1,
    ];
    assert_eq!(
        kinds.map(sum),
        [
            321540957922491956,
            208761473753541409,
            3408673251929548817,
            12627230154473152993
        ]
    );
}

#[test]
fn redundancy_and_descriptors_are_read_as_they_always_were() {
    let mut random = Rng::with_seed(8);
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    for _ in 0..PAYLOADS {
        let payload = payload(&mut random, &[0x6f, 0xef], 24);
        digest.take(&red::primary(&payload));
    }
    let redundancy = digest.0;
    let mut structure = None;
    for _ in 0..PAYLOADS {
        let mut payload = payload(&mut random, &[0xc0], 40);
        // Those that bring a structure, and those that refer to one.
        if let Some(flags) = payload.get_mut(3) {
            *flags = *flags & 0x7f | u8::from(random.u8(..) < 40) << 7;
        }
        let read = dependency::read(&payload, &mut structure);
        digest.take(&read.map(|one| (one.frame_number, one.frame)));
    }
    assert_eq!(
        [redundancy, digest.0],
        [1035294042528759137, 1615718199703419616]
    );
}
