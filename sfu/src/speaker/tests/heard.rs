//! Whose sound is forwarded.

use super::*;

#[test]
fn whoever_begins_to_speak_is_heard_from_the_first_packet() {
    for (people, sound) in [
        (9, SPEECH),
        (50, SPEECH),
        (200, Sound::Level(42)),
        (50, Sound::Untold),
    ] {
        let mut room = Room::new(people, 0, 8);
        room.play(3000, &[], SPEECH);
        let last = people - 1;
        assert!(!room.heard().contains(&last));
        room.step(|stream| if stream == last { sound } else { QUIET });
        assert!(room.heard().contains(&last), "{people} people, {sound:?}");
        assert_eq!(room.heard().len(), 8);
    }
}

#[test]
fn quiet_speech_is_heard_within_40_ms() {
    for (background, speech) in [(80, 48), (72, 52), (60, 44), (50, 34)] {
        let mut room = Room::new(20, 0, 8);
        for _ in 0..500 {
            room.step(|_| Sound::Level(background));
        }
        let before = room.changes;
        for _ in 0..2 {
            let sound = |stream| Sound::Level(if stream == 19 { speech } else { background });
            room.step(sound);
        }
        assert!(room.heard().contains(&19), "-{speech} over -{background}");
        assert_eq!(room.changes, before + 1);
    }
}

#[test]
fn as_many_as_fit_are_heard_for_ever() {
    for people in 1..=8 {
        let mut room = Room::new(people, 0, 8);
        let mut rng = fastrand::Rng::with_seed(people);
        for _ in 0..1000 {
            room.step(|_| Sound::Level(rng.u8(..)));
        }
        assert_eq!(room.heard(), (0..people).collect::<Vec<_>>());
        assert_eq!(room.changes, 0);
    }
}

#[test]
fn whoever_has_been_silent_longest_goes_first() {
    let mut room = Room::new(12, 0, 4);
    for speaker in [3, 1, 0, 2] {
        room.play(500, &[speaker], SPEECH);
    }
    room.play(2000, &[], QUIET);
    let mut left = Vec::new();
    for speaker in 4..8 {
        let before = room.heard();
        room.play(100, &[speaker], SPEECH);
        left.extend(before.into_iter().filter(|at| !room.heard().contains(at)));
    }
    assert_eq!(left, [3, 1, 0, 2]);
}

#[test]
fn a_pause_between_words_costs_nobody_the_slot() {
    for (pause_ms, stays) in [(60, true), (120, true), (200, true), (500, false)] {
        let mut room = Room::new(3, 0, 2);
        room.play(3000, &[0, 1], SPEECH);
        room.play(pause_ms, &[], QUIET);
        room.play(100, &[2], SPEECH);
        assert_eq!(!room.heard().contains(&2), stays, "after {pause_ms} ms");
    }
}

#[test]
fn among_speakers_only_a_clearly_louder_one_takes_a_slot() {
    for (level, takes) in [
        (36, false),
        (30, false),
        (26, false),
        (20, true),
        (10, true),
    ] {
        let mut room = Room::new(3, 0, 2);
        for at in 0..300 {
            room.step(|stream| match stream {
                0 => Sound::Level(24),
                1 => Sound::Level(30),
                _ if at < 50 => QUIET,
                _ => Sound::Level(level),
            });
        }
        let expected: &[u64] = if takes { &[0, 2] } else { &[0, 1] };
        assert_eq!(room.heard(), expected, "-{level} dBov");
        assert_eq!(room.changes, usize::from(takes), "and stays");
    }
}

#[test]
fn music_is_always_in_and_beside_the_loudest() {
    let check = |people, music, loudest, expected_music, expected_people| {
        let mut room = Room::new(people, music, loudest);
        room.play(3000, &[people.saturating_sub(1)], SPEECH);
        let heard = room.heard();
        let playing = heard.iter().filter(|at| **at >= people).count();
        let name = format!("{people} people, {music} music, {loudest} loudest");
        assert_eq!(playing, expected_music, "{name}");
        assert_eq!(heard.len() - playing, expected_people, "{name}");
        assert!(people == 0 || heard.contains(&(people - 1)), "{name}");
    };
    check(30, 0, 8, 0, 8);
    check(30, 1, 8, 1, 8);
    check(30, 8, 8, 8, 8);
    check(30, 12, 8, 12, 4);
    check(30, 14, 8, 14, 2);
    check(30, 40, 8, 14, 2);
    check(1, 40, 8, 15, 1);
    check(0, 40, 8, 16, 0);
    check(30, 40, 1, 15, 1);
    check(4, 2, 8, 2, 4);
    check(30, 2, 16, 2, 14);
}

#[test]
fn nobody_moves_when_others_come_and_go() {
    let mut room = Room::new(20, 1, 4);
    room.play(500, &[10, 11, 12, 13], SPEECH);
    let before: Vec<_> = room.speakers.slots().to_vec();
    room.streams.retain(|(stream, _)| stream.0 != 11);
    room.streams.push((StreamId(99), false));
    let streams = room.streams.clone();
    room.speakers.set_streams(room.now, &streams, 4);
    let after: Vec<_> = room.speakers.slots().to_vec();
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        let left = *before == Some(StreamId(11));
        assert_eq!(before == after, !left, "slot {at}");
    }
    assert_eq!(after.iter().flatten().count(), 5, "the free slot is used");
}

#[test]
fn fewer_slots_keep_those_who_spoke_last() {
    let mut room = Room::new(10, 0, 6);
    for speaker in 0..6 {
        room.play(300, &[speaker], SPEECH);
    }
    let streams = room.streams.clone();
    room.speakers.set_streams(room.now, &streams, 2);
    assert_eq!(room.heard(), [4, 5]);
    room.speakers
        .set_streams(room.now, &[(StreamId(4), false)], 2);
    assert_eq!(room.heard(), [4]);
    room.speakers.set_streams(room.now, &[], 2);
    assert!(room.speakers.slots().is_empty());
    assert!(
        !room
            .speakers
            .observe(room.now, StreamId(4), Some((0, true)))
    );
}

#[test]
fn music_that_ends_is_a_voice_like_others() {
    let mut room = Room::new(10, 2, 2);
    assert!(room.heard().contains(&10) && room.heard().contains(&11));
    room.play(1000, &[3, 4, 11], SPEECH);
    for (stream, is_music) in &mut room.streams {
        *is_music = *is_music && stream.0 != 10;
    }
    let streams = room.streams.clone();
    room.speakers.set_streams(room.now, &streams, 2);
    let mut heard = room.heard();
    heard.sort_unstable();
    assert_eq!(heard, [3, 4, 11]);
}

#[test]
fn a_fan_that_starts_counts_as_a_voice_for_a_few_seconds_only() {
    let mut room = Room::new(9, 0, 8);
    let fan = |stream| if stream == 8 { Sound::Level(50) } else { QUIET };
    for _ in 0..1000 {
        room.step(fan);
    }
    let last = room.speakers.voices[8].last_voice.unwrap();
    assert!(
        room.now - last > Duration::from_secs(12),
        "{:?} ago",
        room.now - last
    );
}
