//! Whose turn it is.

use super::*;
use crate::stream::Feed;

const MS: Duration = Duration::from_millis(1);

const STREAM: StreamId = StreamId(1);
const MAIN: PeerId = PeerId(1);

const SOUND: Seen = Seen {
    is_audio: true,
    is_keyframe: false,
    may_have_picture: true,
};
const PICTURE: Seen = Seen {
    is_audio: false,
    ..SOUND
};
const KEYFRAME: Seen = Seen {
    is_keyframe: true,
    ..PICTURE
};
/// Of a publisher without a picture.
const SOUND_ALONE: Seen = Seen {
    may_have_picture: false,
    ..SOUND
};

const ASKED: Turn = Turn::Waits { asks: true };
const QUIET: Turn = Turn::Waits { asks: false };

/// Somebody on stage, who sent sound and pictures until `now`.
fn on_stage(now: Instant, is_backup: bool) -> Publication {
    let mut publication = Publication::new(MAIN, Feed::Source, now);
    publication.presence.hear(now, true);
    publication.is_backup = is_backup;
    publication
}

#[test]
fn a_backup_comes_with_a_keyframe_once_nothing_came_for_half_a_second() {
    let start = Instant::now();
    let check = |silent_ms: u32, seen: Seen, expected: Turn| {
        let current = on_stage(start, false);
        let mut backup = Waiting::new(start, STREAM, TakesOver::Absent);
        let now = start + silent_ms * MS;
        let turn = backup.turn(now, Some(&current), seen);
        assert_eq!(turn, expected, "{silent_ms} ms, {seen:?}");
    };
    for seen in [SOUND, PICTURE, KEYFRAME, SOUND_ALONE] {
        check(500, seen, QUIET);
    }
    check(501, SOUND, ASKED);
    check(501, PICTURE, ASKED);
    check(501, KEYFRAME, Turn::Comes);
    check(501, SOUND_ALONE, Turn::Comes);
}

#[test]
fn a_backup_comes_to_an_empty_stage_with_a_keyframe_or_after_some_time() {
    let start = Instant::now();
    let check = |seen: Seen, after_ms: u32, expected: Turn| {
        let mut backup = Waiting::new(start, STREAM, TakesOver::Absent);
        backup.turn(start, None, seen);
        backup.on_asked(start);
        let turn = backup.turn(start + after_ms * MS, None, seen);
        assert_eq!(turn, expected, "{seen:?} after {after_ms} ms");
    };
    check(KEYFRAME, 20, Turn::Comes);
    check(PICTURE, 240, QUIET);
    check(PICTURE, 250, ASKED);
    check(PICTURE, 11_999, ASKED);
    check(PICTURE, 12_000, Turn::Comes);
    check(SOUND, 999, ASKED);
    check(SOUND, 1000, Turn::Comes);
}

#[test]
fn who_fell_silent_has_its_stage_back_when_it_was_steady_and_ever_longer() {
    let start = Instant::now();
    let check = |falls: u32, steady_ms: u32| {
        let mut left = on_stage(start, false);
        left.falls = falls;
        left.tracks.push(crate::stream::Track::new(
            None,
            Codec {
                kind: payload::CodecKind::H264,
                h264_profile: None,
                stereo: false,
            },
            &[],
        ));
        let mut main = Waiting::after(start, STREAM, &left);
        assert_eq!(main.falls(), falls + 1);
        let back = start + 3000 * MS;
        let mut now = back;
        loop {
            let backup = on_stage(now, true);
            let turn = main.turn(now, Some(&backup), KEYFRAME);
            main.turn(now, Some(&backup), SOUND);
            let steady = now - back;
            if turn == Turn::Comes {
                let expected = Duration::from_millis(u64::from(steady_ms));
                assert!(
                    steady >= expected && steady < expected + 21 * MS,
                    "{falls} falls: after {steady:?}"
                );
                return;
            }
            assert_eq!(turn, QUIET);
            now += 20 * MS;
        }
    };
    check(0, 2000);
    check(1, 4000);
    check(3, 16_000);
    check(4, 32_000);
    check(9, 32_000);
}

#[test]
fn who_stutters_does_not_come_back_while_the_backup_sends() {
    let start = Instant::now();
    let mut left = on_stage(start, false);
    left.tracks = Vec::new();
    let mut main = Waiting::after(start, STREAM, &left);
    main.falls = Some(0);
    let mut now = start;
    // A second of packets, a second of none.
    for round in 0..3000_u32 {
        now += if round % 50 == 0 { 1000 * MS } else { 20 * MS };
        let backup = on_stage(now, true);
        let seen = if round % 2 == 0 { SOUND } else { KEYFRAME };
        assert_eq!(main.turn(now, Some(&backup), seen), QUIET, "packet {round}");
    }
    // A backup that is away, too, is no reason to wait.
    let silent = on_stage(now - 501 * MS, true);
    assert_eq!(main.turn(now, Some(&silent), KEYFRAME), Turn::Comes);
}

#[test]
fn who_stands_by_goes_when_another_one_has_its_place() {
    let start = Instant::now();
    let mut main = Waiting::after(start, STREAM, &on_stage(start, false));
    main.falls = Some(0);
    let another = on_stage(start, false);
    assert_eq!(main.turn(start, Some(&another), KEYFRAME), Turn::Refused);
    // A newer backup replaces one on stage as any publisher does another.
    let mut newer = Waiting::new(start, STREAM, TakesOver::Absent);
    let older = on_stage(start, true);
    assert_eq!(newer.turn(start, Some(&older), PICTURE), ASKED);
    assert_eq!(newer.turn(start, Some(&older), KEYFRAME), Turn::Comes);
}

#[test]
fn the_right_to_a_stage_is_not_less_while_its_backup_has_it() {
    let start = Instant::now();
    let check = |over: TakesOver, expected: Turn| {
        let mut main = Waiting::new(start, STREAM, over);
        let backup = on_stage(start, true);
        let turn = main.turn(start, Some(&backup), KEYFRAME);
        assert_eq!(turn, expected, "{over:?}");
    };
    check(TakesOver::Anybody, Turn::Comes);
    check(TakesOver::Only(PeerId(77)), Turn::Comes);
    check(TakesOver::Silent, Turn::Refused);
}
