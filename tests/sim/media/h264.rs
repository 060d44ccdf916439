//! RFC 6184: single NAL units, STAP-A, FU-A.

use super::{PAYLOAD, Picture, Unit};

/// Where the parameter sets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// SPS and PPS in packets of their own before each IDR, as OBS may send them.
    Apart,
    /// Both in one STAP-A before each IDR.
    Together,
    /// Only once, before the first IDR.
    Once,
}

fn parameter_set(header: u8, picture: &Picture) -> Vec<u8> {
    let [high, low] = picture.publication.to_be_bytes();
    vec![header, 0x42, 0xe0, 0x1f, high, low, picture.layer]
}

pub(super) fn packetize(
    picture: &Picture,
    coded: &[u8],
    parameters: Parameters,
    is_first: bool,
) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    if picture.key {
        let sps = parameter_set(0x67, picture);
        let pps = parameter_set(0x68, picture);
        match parameters {
            Parameters::Once if !is_first => {}
            Parameters::Apart => out.extend([sps, pps]),
            Parameters::Together | Parameters::Once => {
                let mut stap = vec![0x78];
                for unit in [sps, pps] {
                    stap.extend_from_slice(&u16::try_from(unit.len()).unwrap().to_be_bytes());
                    stap.extend(unit);
                }
                out.push(stap);
            }
        }
    }
    let kind = if picture.key { 0x65 } else { 0x41 };
    if coded.len() < PAYLOAD {
        out.push([&[kind], coded].concat());
        return out;
    }
    let chunks: Vec<&[u8]> = coded.chunks(PAYLOAD - 2).collect();
    let last = chunks.len() - 1;
    for (at, chunk) in chunks.into_iter().enumerate() {
        let flags = if at == 0 {
            0x80
        } else if at == last {
            0x40
        } else {
            0
        };
        out.push([&[kind & 0x60 | 28, flags | kind & 0x1f], chunk].concat());
    }
    out
}

pub(super) fn assemble(payloads: &[Vec<u8>]) -> Result<Unit, String> {
    let mut unit = Unit::default();
    let mut fragment: Option<Vec<u8>> = None;
    for payload in payloads {
        let kind = payload.first().ok_or("empty payload")? & 0x1f;
        if fragment.is_some() && kind != 28 {
            return Err("a fragmented unit was interrupted".into());
        }
        match kind {
            24 => {
                let mut rest = &payload[1..];
                while let [high, low, tail @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    let nal = tail.get(..length).ok_or("a short STAP-A")?;
                    take(&mut unit, nal)?;
                    rest = &tail[length..];
                }
            }
            28 => {
                let flags = *payload.get(1).ok_or("a short FU-A")?;
                match (&mut fragment, flags & 0x80 != 0) {
                    (None, true) => fragment = Some(vec![payload[0] & 0x60 | flags & 0x1f]),
                    (Some(_), false) => {}
                    _ => return Err("a FU-A out of place".into()),
                }
                fragment
                    .as_mut()
                    .ok_or("no fragment")?
                    .extend_from_slice(&payload[2..]);
                if flags & 0x40 != 0 {
                    take(&mut unit, &fragment.take().ok_or("no fragment")?)?;
                }
            }
            _ => take(&mut unit, payload)?,
        }
    }
    if fragment.is_some() {
        return Err("a fragmented unit has no end".into());
    }
    Ok(unit)
}

fn take(unit: &mut Unit, nal: &[u8]) -> Result<(), String> {
    let set = |nal: &[u8]| match nal {
        [_, _, _, _, high, low, layer] => Ok(Some((u16::from_be_bytes([*high, *low]), *layer))),
        _ => Err(format!("a parameter set of {} bytes", nal.len())),
    };
    match nal.first().map(|header| header & 0x1f) {
        Some(7) => unit.sps = set(nal)?,
        Some(8) => unit.pps = set(nal)?,
        Some(1 | 5) if unit.coded.is_empty() => unit.coded = nal[1..].to_vec(),
        other => return Err(format!("an unexpected NAL unit {other:?}")),
    }
    Ok(())
}
