//! What may reach OpenSSL: records that an honest peer could have sent.
//!
//! OpenSSL drops forged records in silence, as RFC 6347 section 4.1.2.7 wants it, with these exceptions:
//! - An encrypted record shorter than its cipher's overhead ends the connection. Nobody needs a key to send one.
//! - Of a record with a wrong version or length only the header is dropped; then its body is parsed for records.
//! - Records of the next epoch are kept until they can be read, up to 100, and with each a whole read buffer of 17 kB:
//!   1.7 MB for one datagram of tiny records from someone who has proven nothing yet. In an honest handshake only a
//!   `Finished` that overtook its `ChangeCipherSpec` is kept like that, once per retransmission, and data that
//!   overtook the `Finished`.

/// RFC 6347 section 4.1: type, version, epoch, sequence number, length.
const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const TYPES: std::ops::RangeInclusive<u8> = 20..=23;
const DTLS_1_0: [u8; 2] = [0xfe, 0xff];
const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];
/// What AES-GCM adds, RFC 5288 section 3: nonce and tag. `context` allows no other ciphers.
const OVERHEAD: usize = 8 + 16;
const BODY_MAX: usize = (1 << 14) + OVERHEAD;

/// Early records that may reach OpenSSL during a handshake; with a read buffer each, 272 kB.
const EARLY_MAX: u32 = 16;

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The version is open: hellos may come in records of version 1.0.
    Greeting,
    /// Nothing encrypted can be read yet.
    Handshaking,
    /// The peer's `ChangeCipherSpec` has come, its `Finished` can be read.
    Keyed,
    Connected,
}

/// Judges the records of one connection.
#[derive(Debug, Default)]
pub(super) struct Records {
    early: u32,
}

impl Records {
    /// How many bytes of `datagram` may reach OpenSSL: all before the first record that may not.
    pub(super) fn admit(&mut self, datagram: &[u8], stage: Stage) -> usize {
        let mut at = 0;
        while let Some(len) = honest(&datagram[at..], stage) {
            let epoch = u16::from_be_bytes([datagram[at + 3], datagram[at + 4]]);
            let is_early = match stage {
                Stage::Greeting | Stage::Handshaking => epoch > 0,
                Stage::Keyed => epoch > 1 || (epoch == 1 && datagram[at] != HANDSHAKE),
                Stage::Connected => false,
            };
            if is_early {
                if self.early == EARLY_MAX {
                    break;
                }
                self.early += 1;
            }
            at += len;
        }
        at
    }
}

/// The length of the record at the beginning of `bytes`, header included, if it is all there and looks right.
fn honest(bytes: &[u8], stage: Stage) -> Option<usize> {
    let header = bytes.get(..HEADER_LEN)?;
    let is_encrypted = header[3..5] != [0, 0];
    let is_old = header[1..3] == DTLS_1_0
        && !is_encrypted
        && (stage == Stage::Greeting || header[0] == ALERT);
    let body = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let is_honest = TYPES.contains(&header[0])
        && (is_old || header[1..3] == DTLS_1_2)
        && body <= BODY_MAX
        && (!is_encrypted || body > OVERHEAD)
        && HEADER_LEN + body <= bytes.len();
    is_honest.then_some(HEADER_LEN + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, version: [u8; 2], epoch: u8, len: usize) -> Vec<u8> {
        let mut record = vec![kind, version[0], version[1], 0, epoch, 0, 0, 0, 0, 0, 1];
        record.extend(u16::try_from(len).unwrap().to_be_bytes());
        record.resize(HEADER_LEN + len, 0);
        record
    }

    fn admitted(stage: Stage, datagram: &[u8]) -> usize {
        Records::default().admit(datagram, stage)
    }

    #[test]
    fn honest_records_pass_and_others_are_cut_off() {
        let good = record(22, DTLS_1_2, 0, 50);
        let check = |bad: Vec<u8>, stage| {
            assert_eq!(admitted(stage, &bad), 0, "{bad:?}");
            assert_eq!(
                admitted(stage, &[good.clone(), bad.clone()].concat()),
                good.len()
            );
        };
        assert_eq!(admitted(Stage::Connected, &good), good.len());
        check(good[..40].to_vec(), Stage::Connected);
        check(vec![22; 12], Stage::Connected);
        check(record(22, DTLS_1_0, 0, 50), Stage::Handshaking);
        check(record(22, DTLS_1_0, 1, 50), Stage::Greeting);
        check(record(22, [3, 3], 0, 50), Stage::Greeting);
        check(record(24, DTLS_1_2, 0, 50), Stage::Greeting);
        check(record(23, DTLS_1_2, 1, OVERHEAD), Stage::Connected);
        check(record(22, DTLS_1_2, 0, BODY_MAX + 1), Stage::Handshaking);
        for (old, stage) in [
            (record(22, DTLS_1_0, 0, 50), Stage::Greeting),
            (record(21, DTLS_1_0, 0, 2), Stage::Handshaking),
            (record(21, DTLS_1_2, 1, OVERHEAD + 2), Stage::Connected),
        ] {
            assert_eq!(admitted(stage, &old), old.len());
        }
    }

    #[test]
    fn early_records_are_limited_but_a_finished_in_time_is_not() {
        let mut records = Records::default();
        let plain = record(22, DTLS_1_2, 0, 50);
        let finished = record(22, DTLS_1_2, 1, 40);
        let data = record(23, DTLS_1_2, 1, 40);
        let flight = [plain.clone(), finished.clone()].concat();
        for _ in 0..EARLY_MAX {
            assert_eq!(records.admit(&flight, Stage::Handshaking), flight.len());
        }
        assert_eq!(records.admit(&flight, Stage::Handshaking), plain.len());
        assert_eq!(records.admit(&flight, Stage::Keyed), flight.len());
        assert_eq!(records.admit(&data, Stage::Keyed), 0);
        assert_eq!(records.admit(&record(22, DTLS_1_2, 2, 40), Stage::Keyed), 0);
        assert_eq!(records.admit(&data, Stage::Connected), data.len());
    }
}
