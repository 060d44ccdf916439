//! What a publication consists of.

use payload::Codec;

/// One track of a live publication.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackInfo {
    /// Its codec.
    pub codec: Codec,
    /// The `rid`s of its layers, lowest first; one empty name without simulcast.
    pub layers: Vec<String>,
}
