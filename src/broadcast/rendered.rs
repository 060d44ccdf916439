//! A text that many are given: made once, compressed once.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A playlist as it goes out, plain or compressed. Cheap to clone inside an `Arc`; what nobody asks for is not made.
#[derive(Debug)]
pub struct Rendered {
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    etag: OnceLock<String>,
}

impl Rendered {
    /// Of a finished text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self {
            plain: text.into(),
            gzip: OnceLock::new(),
            etag: OnceLock::new(),
        }
    }

    /// As it is.
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// Compressed with gzip (RFC 1952); made at the first call.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let written = encoder
                .write_all(&self.plain)
                .and_then(|()| encoder.finish());
            written.expect("a vector takes everything").into()
        })
    }

    /// A strong entity tag without quotes: the beginning of the text's hash. The compressed form needs another one (RFC 9110
    /// section 8.8.3.3): add a suffix.
    pub fn etag(&self) -> &str {
        self.etag.get_or_init(|| {
            let hash = Sha256::digest(&self.plain);
            data_encoding::HEXLOWER.encode(&hash[..8])
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let text = "#EXTM3U\n".repeat(500);
        let rendered = Rendered::new(text.clone());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&rendered.gzip()[..])
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
        assert_eq!(rendered.plain(), text.as_bytes());
        assert!(rendered.gzip().len() < text.len() / 10);
        assert_eq!(rendered.etag(), Rendered::new(text).etag());
    }
}
