//! How large the layers' pictures are. Who forwards packets does not decode them: the sizes are those of the stream's HLS, where there is some.

use std::collections::BTreeMap;

use super::{Published, Sound};
use crate::media::StreamKey;

/// Width and height in pixels, by the layer's place.
pub(crate) type Sizes = BTreeMap<usize, (u32, u32)>;

impl Published {
    /// The sizes of a stream's pictures that are known now.
    pub(crate) fn sizes(&self, key: &StreamKey) -> Sizes {
        let show = self.show(key);
        let playlist = show.and_then(|show| show.multivariant(Sound::Aac));
        let text = playlist.as_ref().map(|playlist| playlist.plain());
        text.and_then(|text| std::str::from_utf8(text).ok())
            .map(read)
            .unwrap_or_default()
    }
}

/// Reads them from a multivariant playlist: a variant is called `video`, or `video` with the place of its layer.
fn read(playlist: &str) -> Sizes {
    let mut lines = playlist.lines();
    let mut sizes = Sizes::new();
    while let Some(line) = lines.next() {
        let Some(attributes) = line.strip_prefix("#EXT-X-STREAM-INF:") else {
            continue;
        };
        let name = lines.next().and_then(|uri| uri.rsplit('/').next());
        let place = name
            .and_then(|name| name.split('.').next()?.strip_prefix("video"))
            .map(|place| place.parse().unwrap_or(0));
        let size = attributes
            .split(',')
            .find_map(|attribute| attribute.strip_prefix("RESOLUTION="))
            .and_then(|size| size.split_once('x'));
        if let (Some(place), Some((width, height))) = (place, size)
            && let (Ok(width), Ok(height)) = (width.parse(), height.parse())
        {
            sizes.insert(place, (width, height));
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variants_of_a_playlist_are_the_layers() {
        let playlist = "#EXTM3U\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.42e01f,opus\",RESOLUTION=320x180,AUDIO=\"opus\"\n../hls/a/main/video0.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1280x720\n../hls/a/main/video1.m3u8?a=b\n\
            #EXT-X-STREAM-INF:BANDWIDTH=3\naudio.m3u8\n";
        assert_eq!(
            read(playlist),
            Sizes::from([(0, (320, 180)), (1, (1280, 720))])
        );
        let single = "#EXT-X-STREAM-INF:RESOLUTION=640x360\nvideo.m3u8\n";
        assert_eq!(read(single), Sizes::from([(0, (640, 360))]));
        assert!(read("#EXT-X-STREAM-INF:RESOLUTION=640\nvideo.m3u8").is_empty());
        assert!(read("#EXT-X-STREAM-INF:RESOLUTION=640x360").is_empty());
    }
}
