//! The slate of viewers over WebRTC, for spaces that want one: made while somebody performs, in the size of the performer's picture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use payload::h264::units::nals;
use payload::h264::{packetise, profile_of};
use tokio::sync::broadcast::error::RecvError;
use transcode::{SlateError, slate_keyframes};

use crate::broadcast::Broadcast;
use crate::media::{Handle, StreamKey};

/// In pixels, where no size is known: before there is HLS of a stream, and where there never is.
const SIZE: (u32, u32) = (1280, 720);

/// Slates that are remembered, of 40 kB each: three sizes of some eighty spaces.
const KNOWN_MAX: usize = 256;

/// Between two looks at what is live, however much changes.
const PAUSE: Duration = Duration::from_millis(20);

/// What is on a slate, and its size in pixels.
type Face = (Arc<str>, (u32, u32));

/// Has a slate ready for every stream that is live in one of `spaces`. To be run once; ends when nothing can go live any more.
pub async fn run_slates(media: Handle, broadcast: Broadcast, spaces: BTreeSet<Arc<str>>) {
    if spaces.is_empty() {
        return;
    }
    let mut made: BTreeMap<Face, Option<Arc<sfu::Slate>>> = BTreeMap::new();
    // What each stream has, by its number too: one that ended and comes again has none yet.
    let mut given = BTreeMap::new();
    let mut changes = media.directory().changes();
    loop {
        let live = media.directory().live().into_iter();
        let live: Vec<_> = live
            .filter(|(key, _)| spaces.contains(&key.space))
            .collect();
        given.retain(|key, _| live.iter().any(|(other, _)| other == key));
        for (key, stream) in live {
            let face = (key.space.clone(), size(&broadcast, &key));
            let known = (stream, face.1);
            if given.get(&key) == Some(&known) {
                continue;
            }
            if let Some(slate) = find(&mut made, face).await {
                media.set_slate(&key, slate);
            }
            given.insert(key, known);
        }
        if matches!(changes.recv().await, Err(RecvError::Closed)) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        changes = changes.resubscribe();
    }
}

/// The largest picture of the performer.
fn size(broadcast: &Broadcast, key: &StreamKey) -> (u32, u32) {
    let sizes = broadcast.published().sizes(key).into_values();
    sizes
        .max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
        .unwrap_or(SIZE)
}

/// One that is known, or a new one; none where the encoder cannot do it.
async fn find(
    made: &mut BTreeMap<Face, Option<Arc<sfu::Slate>>>,
    face: Face,
) -> Option<Arc<sfu::Slate>> {
    if let Some(known) = made.get(&face) {
        return known.clone();
    }
    let (space, (width, height)) = face.clone();
    let making = tokio::task::spawn_blocking(move || {
        let slate = slate(&space, width, height);
        slate
            .inspect_err(|error| {
                tracing::warn!(%space, width, height, %error, "no slate of this size for viewers over WebRTC; they keep the one before or the last picture");
            })
            .ok()
    });
    let slate = making.await.ok().flatten().map(Arc::new);
    if made.len() >= KNOWN_MAX {
        made.pop_first();
    }
    made.insert(face, slate.clone());
    slate
}

fn slate(name: &str, width: u32, height: u32) -> Result<sfu::Slate, SlateError> {
    let keyframes: [Bytes; 2] = slate_keyframes(name, width, height)?;
    let units = |keyframe: &Bytes| -> Vec<Bytes> {
        let units = nals(keyframe).flatten();
        units.map(|unit| keyframe.slice_ref(unit)).collect()
    };
    let profile = units(&keyframes[0])
        .iter()
        .find_map(|unit| profile_of(unit));
    let pictures = keyframes.iter().map(|keyframe| packetise(units(keyframe)));
    sfu::Slate::new(pictures.collect(), profile).ok_or(SlateError::NoKeyframe)
}

#[cfg(test)]
mod tests {
    use transcode::Thumbnailer;

    use super::*;

    #[test]
    fn both_pictures_can_be_decoded_are_of_the_baseline_and_differ() {
        let keyframes: [Bytes; 2] = slate_keyframes("residence", 640, 360).unwrap();
        assert_ne!(keyframes[0], keyframes[1], "in idr_pic_id");
        for keyframe in &keyframes {
            assert!(Thumbnailer::new().unwrap().jpeg(keyframe).is_ok());
            let first = nals(keyframe).flatten().find_map(profile_of).unwrap();
            let (idc, constraints) = (first >> 16, first >> 8 & 0xff);
            // RFC 6184 table 5: profile_idc 66 with constraint_set1 is Constrained Baseline.
            assert_eq!((idc, constraints & 0x40), (66, 0x40), "{first:06x}");
        }
    }

    #[test]
    fn a_slate_is_made_of_any_usual_size_and_of_no_other() {
        for (width, height) in [(320, 180), SIZE, (1080, 1920), (1920, 1080)] {
            assert!(
                slate("residence", width, height).is_ok(),
                "{width} x {height}"
            );
        }
        for (width, height) in [(321, 180), (8, 8), (4096, 2160)] {
            assert!(
                slate("residence", width, height).is_err(),
                "{width} x {height}"
            );
        }
    }
}
