//! More moments than playlists have room for.

use hls::DateRange;

use super::*;
use crate::media::Trouble;

#[test]
fn moments_that_playlists_have_no_room_for_are_counted_and_the_stream_says_so() {
    let mut stage = Stage::new(13);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let lost = |stage: &Stage| {
        let all = stage.counters.all();
        let found = all.iter().find(|(name, ..)| *name == "hls_cues_lost");
        found.unwrap().2
    };
    let mut told = 0;
    let mut tell = |stage: &mut Stage, count: usize| {
        for _ in 0..count {
            let moment = stage.published.moment("stage").unwrap().time_ms;
            let range = DateRange::moment(&told.to_string(), "cue", moment, &[]);
            stage.show().add_daterange(&range);
            told += 1;
        }
        stage.run(S);
    };
    for _ in 0..10 {
        tell(&mut stage, 1_000);
    }
    let key = stage.show().key().clone();
    assert_eq!((lost(&stage), stage.published.troubles(&key)), (0, vec![]));
    tell(&mut stage, 3);
    assert_eq!(lost(&stage), 3, "once, whatever the number of renditions");
    assert_eq!(stage.published.troubles(&key), [Trouble::TooManyCues]);
    let dvr = |stage: &Stage| {
        let rendition = stage.show().rendition("video").unwrap();
        let text = stage.show().dvr(&rendition, Skip::Nothing, &stage.counters);
        String::from_utf8_lossy(text.plain())
            .matches("#EXT-X-DATERANGE")
            .count()
    };
    assert_eq!(dvr(&stage), 10_000);
    // All at once, before the next part.
    tell(&mut stage, 1_030);
    assert_eq!(
        lost(&stage),
        3 + 1_030,
        "six that found no room, and 1,024 for the newer ones"
    );
}
