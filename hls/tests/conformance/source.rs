//! Frames for the packager: small, but with the headers that real encoders write.

use bytes::{BufMut, Bytes, BytesMut};
use hls::CodecKind;
use mp4_atom::{Any, Codec, ReadFrom};

/// Bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> place & 1) as u8) << self.free;
        }
    }

    fn golomb(&mut self, value: u32) {
        let bits = 32 - (value + 1).leading_zeros();
        self.put(0, bits - 1);
        self.put(value + 1, bits);
    }
}

/// A camera's encoder.
#[derive(Clone, Debug)]
pub(crate) struct Camera {
    pub(crate) kind: CodecKind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Changes what decoders do not care about in the parameter sets.
    pub(crate) hint: u32,
    /// Every second picture is one that no other refers to.
    pub(crate) has_layers: bool,
    /// The parameter sets come in frames of their own.
    pub(crate) sends_sets_alone: bool,
    frame_num: u32,
    pictures: u32,
}

impl Camera {
    pub(crate) fn new(kind: CodecKind, width: u32, height: u32) -> Self {
        Self {
            kind,
            width,
            height,
            hint: 0,
            has_layers: false,
            sends_sets_alone: false,
            frame_num: 0,
            pictures: 0,
        }
    }

    /// The next picture: the frames that carry it, the last of which is the picture.
    pub(crate) fn picture(&mut self, keyframe: bool, filling: usize) -> Vec<Bytes> {
        self.pictures += 1;
        match self.kind {
            CodecKind::H264 => self.h264(keyframe, filling),
            CodecKind::Vp9 => vec![self.vp9(keyframe, filling)],
            CodecKind::Av1 => vec![self.av1(keyframe, filling)],
            _ => panic!("a camera does not hear"),
        }
    }

    fn h264(&mut self, keyframe: bool, filling: usize) -> Vec<Bytes> {
        let is_reference = keyframe || !self.has_layers || self.pictures.is_multiple_of(2);
        if keyframe {
            self.frame_num = 0;
        }
        let mut units = vec![vec![9, 0xf0]];
        let mut sets = Vec::new();
        if keyframe {
            sets.push(self.sequence_set());
            sets.push(vec![0x68, 0xce, 0x3c, 0x80]); // CAVLC, set 0 of sequence 0
            if !self.sends_sets_alone {
                units.append(&mut sets);
            }
        }
        let mut slice = Bits::default();
        slice.put(
            if keyframe {
                0x65
            } else {
                u32::from(is_reference) << 5 | 1
            },
            8,
        );
        slice.golomb(0);
        slice.golomb(if keyframe { 7 } else { 5 });
        slice.golomb(0);
        slice.put(self.frame_num % 256, 8);
        if keyframe {
            slice.golomb(self.pictures % 2);
            slice.put(0, 2);
        } else {
            slice.put(0, 2);
            if is_reference {
                slice.put(0, 1);
            }
        }
        slice.golomb(0);
        slice.golomb(1);
        slice.put(1, 1);
        slice.bytes.extend(std::iter::repeat_n(0x5a, filling));
        units.push(slice.bytes);
        if is_reference {
            self.frame_num += 1;
        }
        let mut frames: Vec<Bytes> = sets.into_iter().map(|set| join(&[set])).collect();
        frames.push(join(&units));
        frames
    }

    /// Baseline, level 3.1, one reference picture, output in decode order; `hint` is in the VUI.
    fn sequence_set(&self) -> Vec<u8> {
        let mut set = Bits::default();
        set.put(0x67, 8);
        set.put(66, 8);
        set.put(0xc0, 8);
        set.put(31, 8);
        set.golomb(0);
        set.golomb(4); // 8 bits of frame_num
        set.golomb(2);
        set.golomb(1);
        set.put(0, 1);
        set.golomb(self.width / 16 - 1);
        set.golomb(self.height / 16 - 1);
        set.put(0b110, 3); // frames, direct 8x8, no cropping
        set.put(u32::from(self.hint > 0), 1);
        if self.hint > 0 {
            set.put(0, 4);
            set.put(1, 1); // timing
            set.put(1, 32);
            set.put(self.hint, 32);
            set.put(0, 5);
        }
        set.put(1, 1);
        let mut unit = Vec::new();
        let mut zeros = 0;
        for byte in set.bytes {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }

    fn vp9(&mut self, keyframe: bool, filling: usize) -> Bytes {
        let mut frame = Bits::default();
        frame.put(0b10000, 5);
        frame.put(u32::from(!keyframe), 1);
        frame.put(0b10, 2);
        if keyframe {
            frame.put(0x49_83_42, 24);
            frame.put(2 << 1, 4);
            frame.put(self.width - 1, 16);
            frame.put(self.height - 1, 16);
        } else {
            frame.put(0, 2);
            frame.put(
                u32::from(!self.has_layers || self.pictures.is_multiple_of(2)),
                8,
            );
            frame.put(0, 12);
            frame.put(1, 1);
        }
        frame.put(0x5a, 8);
        frame.bytes.extend(std::iter::repeat_n(0x5a, filling));
        frame.bytes.into()
    }

    fn av1(&mut self, keyframe: bool, filling: usize) -> Bytes {
        let mut units = Vec::new();
        if keyframe {
            let mut header = Bits::default();
            header.put(0, 3 + 1 + 1 + 1 + 1 + 5 + 12);
            header.put(8, 5);
            header.put(0, 1);
            header.put(15 << 4 | 15, 8);
            header.put(self.width - 1, 16);
            header.put(self.height - 1, 16);
            header.put(0, 1 + 3 + 4);
            header.put(1, 1); // order hints
            header.put(0, 2);
            header.put(0b11, 2); // each frame says what tools it has
            header.put(6, 3);
            header.put(0, 3);
            header.put(0, 1 + 1 + 1 + 1 + 2 + 1);
            header.put(0, 1);
            header.put(1, 1);
            obu(&mut units, 1, &header.bytes);
        }
        let mut frame = Bits::default();
        frame.put(0, 1);
        frame.put(u32::from(!keyframe), 2);
        frame.put(1, 1);
        if !keyframe {
            frame.put(0, 1);
        }
        frame.put(0, 1 + 1 + 1 + 7);
        if !keyframe {
            frame.put(0, 3);
            frame.put(1, 8);
        }
        frame
            .bytes
            .extend(std::iter::repeat_n(0x5a, filling.min(100)));
        obu(&mut units, 6, &frame.bytes);
        units.into()
    }
}

fn obu(units: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    units.extend([kind << 3 | 2, payload.len() as u8]);
    units.extend(payload);
}

/// Units with their lengths.
fn join(units: &[Vec<u8>]) -> Bytes {
    let mut bytes = BytesMut::new();
    for unit in units {
        bytes.put_u32(unit.len() as u32);
        bytes.put_slice(unit);
    }
    bytes.freeze()
}

/// A clip that a real encoder made: its parameter sets, and its samples with their keyframe flags.
pub(crate) fn clip() -> (Vec<Bytes>, Vec<(Bytes, bool)>) {
    let file = include_bytes!("../../../assets/demo.mp4");
    let mut reader = &file[..];
    let moov = loop {
        match Any::read_from(&mut reader).expect("the clip is an MP4 file") {
            Any::Moov(moov) => break moov,
            _ => continue,
        }
    };
    let track = moov
        .trak
        .iter()
        .find(|track| track.mdia.minf.vmhd.is_some());
    let tables = &track.expect("the clip has a picture").mdia.minf.stbl;
    let Codec::Avc1(entry) = &tables.stsd.codecs[0] else {
        panic!("the clip is H.264");
    };
    let avcc = &entry.avcc;
    let sets = avcc
        .sequence_parameter_sets
        .iter()
        .chain(&avcc.picture_parameter_sets);
    let sets = sets.map(|set| join(std::slice::from_ref(set))).collect();
    let mp4_atom::StszSamples::Different { sizes } = &tables.stsz.samples else {
        panic!("the clip's pictures differ in size");
    };
    let chunks = &tables.stco.as_ref().expect("the clip is small").entries;
    let mut samples = Vec::new();
    for (chunk, offset) in chunks.iter().enumerate() {
        let runs = &tables.stsc.entries;
        let run = runs
            .iter()
            .rev()
            .find(|run| run.first_chunk as usize <= chunk + 1);
        let count = run.expect("every chunk is in a run").samples_per_chunk;
        let mut at = *offset as usize;
        for _ in 0..count {
            let number = samples.len() as u32 + 1;
            let size = sizes[samples.len()] as usize;
            let keyframe = tables
                .stss
                .as_ref()
                .is_none_or(|sync| sync.entries.contains(&number));
            samples.push((Bytes::copy_from_slice(&file[at..at + size]), keyframe));
            at += size;
        }
    }
    (sets, samples)
}
