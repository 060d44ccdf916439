//! Who has the floor, and what is told of it.

use super::*;

/// Streams 0 and 1 in turns: (ms, who speaks). Who has the floor in the end, after how many changes.
fn check(turns: &[(u64, &[u64])], expected: Option<u64>, changes: usize) {
    let mut room = Room::new(4, 0, 8);
    let mut floor = Vec::new();
    for &(ms, who) in turns {
        for _ in 0..ms / 20 {
            room.play(20, who, SPEECH);
            if floor.last() != Some(&room.dominant()) {
                floor.push(room.dominant());
            }
        }
    }
    assert_eq!(room.dominant(), expected, "{turns:?}");
    assert_eq!(floor.len() - 1, changes, "{turns:?}: {floor:?}");
}

#[test]
fn the_floor_goes_to_whoever_speaks_for_longer() {
    check(&[(5000, &[])], None, 0);
    check(&[(100, &[0])], None, 0);
    check(&[(500, &[0])], Some(0), 1);
    // It stays in silence.
    check(&[(1000, &[0]), (60_000, &[])], Some(0), 1);
    // A turn.
    check(&[(3000, &[0]), (400, &[1])], Some(0), 1);
    check(&[(3000, &[0]), (900, &[1])], Some(1), 2);
    check(&[(3000, &[0]), (1000, &[]), (700, &[1])], Some(1), 2);
    // A cough, and a short yes, while the other speaks or breathes.
    check(&[(3000, &[0]), (300, &[0, 1]), (2000, &[0])], Some(0), 1);
    check(&[(3000, &[0]), (300, &[1]), (2000, &[])], Some(0), 1);
    check(&[(3000, &[0]), (500, &[1]), (2000, &[0])], Some(0), 1);
    check(
        &[
            (3000, &[0]),
            (200, &[1]),
            (200, &[]),
            (200, &[1]),
            (3000, &[]),
        ],
        Some(0),
        1,
    );
    // Almost enough, and then silence decides nothing.
    check(&[(3000, &[0]), (600, &[1]), (2000, &[])], Some(0), 1);
    // Who interrupts gets it once the other gives up.
    check(&[(3000, &[0]), (2000, &[0, 1])], Some(0), 1);
    check(&[(3000, &[0]), (2000, &[0, 1]), (600, &[1])], Some(1), 2);
}

#[test]
fn the_floor_changes_after_half_to_eight_tenths_of_a_second() {
    for pause_ms in [0, 200, 500, 2000] {
        let mut room = Room::new(3, 0, 8);
        room.play(4000, &[0], SPEECH);
        room.play(pause_ms, &[], QUIET);
        let mut ms = 0;
        while room.dominant() == Some(0) {
            room.play(20, &[1], SPEECH);
            ms += 20;
        }
        assert!(
            (500..=800).contains(&ms),
            "{ms} ms after {pause_ms} ms of pause"
        );
    }
}

#[test]
fn a_much_louder_voice_takes_the_floor_from_a_steady_noise() {
    let mut room = Room::new(2, 0, 8);
    let mut at = 0;
    while at < 250 || (room.dominant() == Some(0) && at < 1000) {
        room.step(|stream| match stream {
            0 => Sound::Untold,
            _ if at < 250 => QUIET,
            _ => Sound::Level(20),
        });
        at += 1;
    }
    assert_eq!(room.dominant(), Some(1));
}

#[test]
fn music_holds_the_floor_only_while_nobody_speaks() {
    let mut room = Room::new(1, 1, 8);
    room.play(3000, &[1], SPEECH);
    assert_eq!(room.dominant(), Some(1));
    room.play(1000, &[0, 1], SPEECH);
    assert_eq!(room.dominant(), Some(0), "somebody speaks to the music");
    room.play(3000, &[1], SPEECH);
    assert_eq!(room.dominant(), Some(0));
    room.play(2000, &[1], SPEECH);
    assert_eq!(room.dominant(), Some(1));
}

#[test]
fn whoever_leaves_gives_the_floor_up() {
    let mut room = Room::new(3, 0, 8);
    room.play(1000, &[2], SPEECH);
    assert_eq!(room.dominant(), Some(2));
    room.speakers
        .set_streams(room.now, &[(StreamId(0), false), (StreamId(1), false)], 8);
    assert_eq!(room.dominant(), None);
}

#[test]
fn a_late_tick_loses_no_speech() {
    let mut room = Room::new(2, 0, 8);
    for _ in 0..50 {
        room.speakers
            .observe(room.now, StreamId(0), Some((30, true)));
        room.now += PACKET;
    }
    room.speakers.tick(room.now);
    assert_eq!(room.speakers.voices[0].spoken_ticks(10), 10);
    room.speakers.tick(room.now + Duration::from_secs(3600));
    assert_eq!(room.speakers.voices[0].spoken_ticks(40), 0);
}

#[test]
fn reports_come_when_something_changed_and_at_most_five_a_second() {
    let mut room = Room::new(6, 0, 8);
    room.play(10_000, &[], QUIET);
    assert_eq!(room.reports.len(), 0, "nothing to say");
    room.play(20_000, &[4], SPEECH);
    assert!(
        room.reports.len() <= 15,
        "{} for one voice",
        room.reports.len()
    );
    let (_, active, dominant) = room.reports.last().unwrap();
    assert_eq!(active.len(), 1);
    assert!((active[0].stream, *dominant) == (StreamId(4), Some(StreamId(4))));
    assert!(active[0].level.abs_diff(30) <= 3, "{active:?}");
    let before = room.reports.len();
    room.play(2000, &[], QUIET);
    assert_eq!(room.reports.len(), before + 1, "silence is told once");
    assert!(room.reports.last().unwrap().1.is_empty());
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..1000 {
        room.step(|_| Sound::Level(rng.u8(10..80)));
    }
    for pair in room.reports.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(200));
        assert!(pair[1].1.is_sorted_by_key(|speaker| speaker.level));
    }
}
