//! Where files are. No name from outside becomes a path unchecked.

use std::path::{Path, PathBuf};

use venue::{SpaceName, StreamName};

use crate::media::StreamKey;

/// Longest name of a rendition; `video12` is long already.
const RENDITION_MAX: usize = 16;

/// The index of a life.
pub(super) const INDEX: &str = "index";

/// The summary of a finished life.
pub(super) const FINISHED: &str = "finished";

/// Says that a finished life ended with the server, so that it may go on with the next one.
pub(super) const SUSPENDED: &str = "suspended";

/// What is being written and renamed when it is complete; worthless when found at the start.
pub(super) const UNFINISHED_SUFFIX: &str = ".tmp";

/// What a life's directory is renamed to before it is deleted, so that half of it never looks like a whole.
pub(super) const DELETED_SUFFIX: &str = ".deleted";

/// Whether `text` is the name of a life: eight characters of `0-9a-f`.
pub(super) fn is_life(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 8 && text.bytes().all(is_hex)
}

/// Whether `text` is the name of a rendition: lower-case letters and digits.
pub(super) fn is_rendition(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=RENDITION_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Both names as they are, when they are valid.
pub(super) fn key(space: &str, stream: &str) -> Option<StreamKey> {
    let space: SpaceName = space.parse().ok()?;
    let stream: StreamName = stream.parse().ok()?;
    Some(StreamKey {
        space: space.as_str().into(),
        stream: stream.as_str().into(),
    })
}

/// The directory of a life, or nothing when a name is none.
pub(super) fn life(root: &Path, key: &StreamKey, life: &str) -> Option<PathBuf> {
    let key = self::key(&key.space, &key.stream)?;
    is_life(life).then(|| root.join(&*key.space).join(&*key.stream).join(life))
}

/// The file of a chunk. `rendition` is a checked name here and below.
pub(super) fn chunk(directory: &Path, rendition: &str, first_msn: u64) -> PathBuf {
    directory.join(format!("{rendition}-{first_msn}.m4s"))
}

/// The file of an initialisation segment.
pub(super) fn init(directory: &Path, rendition: &str, number: u32) -> PathBuf {
    directory.join(format!("{rendition}-i{number}.mp4"))
}

/// The file of a thumbnail.
pub(super) fn thumbnail(directory: &Path, at_s: u64) -> PathBuf {
    directory.join(format!("{at_s}.jpg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hostile_name_becomes_a_path() {
        let root = Path::new("root");
        let path = |space: &str, stream: &str, name: &str| {
            let key = StreamKey {
                space: space.into(),
                stream: stream.into(),
            };
            life(root, &key, name)
        };
        assert_eq!(
            path("stage", "main", "0123abcd"),
            Some(root.join("stage/main/0123abcd"))
        );
        let hostile = [
            "", ".", "..", "../x", "a/b", "a\\b", "a\0b", "/etc", "ä", "a b", "a\n",
        ];
        for name in hostile {
            assert_eq!(path(name, "main", "0123abcd"), None, "{name:?}");
            assert_eq!(path("stage", name, "0123abcd"), None, "{name:?}");
            assert!(!is_rendition(name), "{name:?}");
        }
        let lives = hostile.iter().copied();
        for name in lives.chain(["0123ABCD", "0123abc", "0123abcde", "../../xx", "0123abcg"]) {
            assert_eq!(path("stage", "main", name), None, "{name:?}");
        }
        assert!(is_rendition("video0") && is_rendition("aac"));
        assert!(!is_rendition("index.m4s") && !is_rendition(&"v".repeat(17)));
    }
}
