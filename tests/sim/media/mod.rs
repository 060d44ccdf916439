//! Synthetic media with checkable content, in packaging that is valid enough for anything that does not decode.

mod av1;
mod h264;
pub mod opus;
mod vp8;
mod vp9;

pub use h264::Parameters;

/// Longest payload that the packetizers make.
const PAYLOAD: usize = 1100;
const HEADER: usize = 32;
const MAGIC: &[u8; 4] = b"PIC!";

/// The video codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Video {
    H264,
    Vp8,
    Vp9,
    Av1,
}

/// What a picture says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Names the publication.
    pub publication: u16,
    /// Simulcast layer.
    pub layer: u8,
    /// Whether it needs no other.
    pub key: bool,
    /// Counts the pictures of this layer.
    pub number: u32,
    /// The picture that it builds upon.
    pub reference: u32,
    /// Capture time in microseconds since the start of the simulation.
    pub captured_us: u64,
}

impl Picture {
    /// The coded picture, `length` bytes at least.
    pub fn encode(&self, length: usize) -> Vec<u8> {
        let length = length.max(HEADER);
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.publication.to_be_bytes());
        out.push(self.layer);
        out.push(u8::from(self.key));
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.reference.to_be_bytes());
        out.extend_from_slice(&self.captured_us.to_be_bytes());
        out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        out.extend_from_slice(&self.salt().to_be_bytes());
        out.extend((HEADER..length).map(|at| self.filler(at)));
        out
    }

    /// The picture in `coded`, if every byte of it is right.
    pub fn decode(coded: &[u8]) -> Option<Self> {
        if coded.len() < HEADER || &coded[..4] != MAGIC {
            return None;
        }
        let u32_at = |at: usize| u32::from_be_bytes(coded[at..at + 4].try_into().unwrap());
        let picture = Self {
            publication: u16::from_be_bytes([coded[4], coded[5]]),
            layer: coded[6],
            key: coded[7] == 1,
            number: u32_at(8),
            reference: u32_at(12),
            captured_us: u64::from_be_bytes(coded[16..24].try_into().unwrap()),
        };
        let sound = u32_at(24) as usize == coded.len()
            && u32_at(28) == picture.salt()
            && (HEADER..coded.len())
                .step_by(17)
                .chain([coded.len() - 1])
                .filter(|at| *at >= HEADER)
                .all(|at| coded[at] == picture.filler(at));
        sound.then_some(picture)
    }

    fn salt(&self) -> u32 {
        self.number
            .wrapping_mul(2_654_435_761)
            .wrapping_add(u32::from(self.publication) << 8 | u32::from(self.layer))
    }

    fn filler(&self, at: usize) -> u8 {
        (self.salt() as usize)
            .wrapping_add(at.wrapping_mul(167))
            .to_le_bytes()[0]
    }
}

/// The state of one encoder's packetizer.
#[derive(Debug, Clone)]
pub struct Packetizer {
    pub codec: Video,
    pub parameters: Parameters,
    vp8: vp8::Counters,
    vp9_picture: u16,
    sent_parameters: bool,
}

impl Packetizer {
    pub fn new(codec: Video, parameters: Parameters, start: u16) -> Self {
        Self {
            codec,
            parameters,
            vp8: vp8::Counters::new(start),
            vp9_picture: start & 0x7fff,
            sent_parameters: false,
        }
    }

    /// The RTP payloads of one picture; the last one carries the marker.
    pub fn packetize(&mut self, picture: &Picture, length: usize) -> Vec<Vec<u8>> {
        let coded = picture.encode(length);
        match self.codec {
            Video::H264 => {
                let first = !std::mem::replace(&mut self.sent_parameters, true);
                h264::packetize(picture, &coded, self.parameters, first)
            }
            Video::Vp8 => self.vp8.packetize(picture, &coded),
            Video::Vp9 => {
                self.vp9_picture = (self.vp9_picture + 1) & 0x7fff;
                vp9::packetize(picture, &coded, self.vp9_picture)
            }
            Video::Av1 => av1::packetize(picture, &coded),
        }
    }
}

/// One access unit put together.
#[derive(Debug, Default)]
pub struct Unit {
    pub coded: Vec<u8>,
    /// H.264: publication and layer of the parameter sets in this unit.
    pub sps: Option<(u16, u8)>,
    pub pps: Option<(u16, u8)>,
    /// VP8: PictureID and TL0PICIDX.
    pub vp8: Option<(u16, u8)>,
}

/// Puts the payloads of one picture together again.
pub fn assemble(codec: Video, payloads: &[Vec<u8>]) -> Result<Unit, String> {
    match codec {
        Video::H264 => h264::assemble(payloads),
        Video::Vp8 => vp8::assemble(payloads),
        Video::Vp9 => vp9::assemble(payloads),
        Video::Av1 => av1::assemble(payloads),
    }
}

#[test]
fn every_packaging_comes_back_as_it_was() {
    for codec in [Video::H264, Video::Vp8, Video::Vp9, Video::Av1] {
        let mut packetizer = Packetizer::new(codec, Parameters::Apart, 32_766);
        for (number, length) in [(0, 9000), (1, 40), (2, 1100), (3, 1099), (4, 3301)] {
            let picture = Picture {
                publication: 7,
                layer: 2,
                key: number == 0,
                number,
                reference: number.saturating_sub(1),
                captured_us: 123_456_789,
            };
            let unit = assemble(codec, &packetizer.packetize(&picture, length)).unwrap();
            assert_eq!(
                Picture::decode(&unit.coded),
                Some(picture),
                "{codec:?} {length}"
            );
        }
    }
}
