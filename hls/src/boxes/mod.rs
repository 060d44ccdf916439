//! Boxes of the files: initialisation segments and fragments.

mod fragment;
mod init;
mod sound;

pub(crate) use fragment::{Sample, fragment_bytes, put_fragment};
pub(crate) use init::init;
pub use sound::{SoundSample, replace_sound, sound_samples};

/// The track's number in every file: one video and one audio rendition can be put into one file without rewriting.
pub(crate) fn track_id(is_video: bool) -> u32 {
    if is_video { 1 } else { 2 }
}
