//! The first picture of a segment, for a decoder.

use bytes::{BufMut as _, Bytes, BytesMut};
use mp4_atom::{Atom, Codec, Header, Moof, Moov, ReadAtom as _, ReadFrom as _};

/// The first sample of a segment of H.264 with its parameter sets in front, NAL units with lengths of four bytes; `None` for
/// other codecs and for what is no segment.
pub(super) fn first_picture(init: &[u8], segment: &Bytes) -> Option<Bytes> {
    let moov: Moov = find(init)?.0;
    let entry = moov.trak.first()?.mdia.minf.stbl.stsd.codecs.first()?;
    let Codec::Avc1(avc) = entry else { return None };
    let (moof, end): (Moof, usize) = find(segment)?;
    let trun = moof.traf.first()?.trun.first()?;
    let size = usize::try_from(trun.samples.get(0)?.size?).ok()?;
    // `mdat` follows, its header has eight bytes, and the first sample is the first thing in it.
    let start = end + 8;
    let sample = segment.get(start..start.checked_add(size)?)?;
    let sets = avc.avcc.sequence_parameter_sets.iter();
    let sets = sets.chain(&avc.avcc.picture_parameter_sets);
    let mut picture = BytesMut::with_capacity(size + 256);
    for set in sets {
        picture.put_u32(u32::try_from(set.len()).ok()?);
        picture.put_slice(set);
    }
    picture.put_slice(sample);
    Some(picture.freeze())
}

/// The first box of a kind, and where it ends.
fn find<T: Atom>(bytes: &[u8]) -> Option<(T, usize)> {
    let mut rest = bytes;
    while let Some(header) = Option::<Header>::read_from(&mut rest).ok()? {
        let size = header.size.unwrap_or(rest.len());
        let end = bytes.len() - rest.len() + size;
        if header.kind == T::KIND {
            return Some((T::read_atom(&header, &mut rest).ok()?, end));
        }
        rest = rest.get(size..)?;
    }
    None
}
