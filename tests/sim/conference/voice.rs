//! Opus-like packets that say whose they are. A pause is a short packet, as with DTX.

const MAGIC: u8 = 0x7c;

/// Bytes of a packet with voice: 20 ms at 32 kbit/s.
const VOICED: usize = 80;

/// Bytes of a packet without.
const QUIET: usize = 8;

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    pub publication: u16,
    pub number: u32,
    pub is_voiced: bool,
}

impl Voice {
    pub fn encode(self) -> Vec<u8> {
        let mut out = vec![MAGIC, u8::from(self.is_voiced)];
        out.extend_from_slice(&self.publication.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        let length = if self.is_voiced { VOICED } else { QUIET };
        out.extend((out.len()..length).map(|at| self.filler(at)));
        out
    }

    /// The packet, if every byte of it is right.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let [MAGIC, voiced, a, b, c, d, e, f, rest @ ..] = payload else {
            return None;
        };
        let voice = Self {
            publication: u16::from_be_bytes([*a, *b]),
            number: u32::from_be_bytes([*c, *d, *e, *f]),
            is_voiced: *voiced == 1,
        };
        let length = if voice.is_voiced { VOICED } else { QUIET };
        let is_whole = payload.len() == length
            && (QUIET..)
                .zip(rest)
                .all(|(at, byte)| *byte == voice.filler(at));
        is_whole.then_some(voice)
    }

    fn filler(self, at: usize) -> u8 {
        (self.number as usize)
            .wrapping_mul(31)
            .wrapping_add(at * 7)
            .to_le_bytes()[0]
    }
}

#[test]
fn a_voice_comes_back_as_it_was() {
    for is_voiced in [false, true] {
        let voice = Voice {
            publication: 700,
            number: 70_000,
            is_voiced,
        };
        let mut payload = voice.encode();
        assert_eq!(Voice::decode(&payload), Some(voice));
        *payload.last_mut().unwrap() ^= 1;
        assert_ne!(Voice::decode(&payload), Some(voice));
    }
}
