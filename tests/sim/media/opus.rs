//! Opus-like packets of 20 ms whose bytes follow from their number, DTX and in-band FEC lookalikes among them.

/// The packet with this number. Every 25th is a DTX packet of one byte.
pub fn packet(publication: u16, number: u32) -> Vec<u8> {
    if number % 25 == 24 {
        return vec![0xf8];
    }
    // Hybrid fullband stereo; the second byte's LBRR bit comes and goes, which nobody but the decoder minds.
    let mut out = vec![0x7c, if number.is_multiple_of(3) { 0xc0 } else { 0x80 }];
    out.extend_from_slice(&publication.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    let length = 60 + (number.wrapping_mul(7919) % 90) as usize;
    out.extend((0..length).map(|at| {
        (number as usize)
            .wrapping_mul(31)
            .wrapping_add(at * 7)
            .to_le_bytes()[0]
    }));
    out
}

/// Publication and number of a packet that is no DTX.
pub fn identify(payload: &[u8]) -> Option<(u16, u32)> {
    let head = payload.get(2..8)?;
    let publication = u16::from_be_bytes([head[0], head[1]]);
    let number = u32::from_be_bytes(head[2..6].try_into().ok()?);
    (packet(publication, number) == payload).then_some((publication, number))
}

/// RFC 2198: the packet before and this one.
pub fn redundant(publication: u16, number: u32) -> Vec<u8> {
    let primary = packet(publication, number);
    let mut out = Vec::new();
    if let Some(before) = number.checked_sub(1) {
        let before = packet(publication, before);
        let length = u16::try_from(before.len()).unwrap();
        let offset = 960_u16;
        out.push(0x80 | 111);
        out.push(u8::try_from(offset >> 6).unwrap());
        out.push(u8::try_from((offset & 0x3f) << 2 | length >> 8).unwrap());
        out.push(length.to_be_bytes()[1]);
        out.push(111);
        out.extend(before);
    } else {
        out.push(111);
    }
    out.extend(primary);
    out
}
