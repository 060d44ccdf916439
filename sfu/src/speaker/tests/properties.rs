//! What holds for every room; each case prints its seed when it fails.

use super::*;
use crate::conference::AUDIO_SLOTS_MAX;

/// Slots carry nobody twice, nobody who is not there, all music that is entitled, and no more than allowed.
fn holds(room: &Room, loudest: usize, seed: u64) {
    let heard = room.heard();
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), heard.len(), "twice in {heard:?}, seed {seed}");
    let kind = |at: &u64| room.streams.iter().find(|(stream, _)| stream.0 == *at);
    assert!(
        heard.iter().all(|at| kind(at).is_some()),
        "a ghost in {heard:?}, seed {seed}"
    );
    let slots = room.speakers.slots();
    assert!(slots.len() <= AUDIO_SLOTS_MAX, "seed {seed}");
    assert!(slots.last().is_none_or(Option::is_some), "seed {seed}");
    let music = room
        .streams
        .iter()
        .filter(|(_, is_music)| *is_music)
        .count();
    let people = room.streams.len() - music;
    let playing = heard.iter().filter(|at| kind(at).unwrap().1).count();
    assert!(
        playing >= music.min(AUDIO_SLOTS_MAX - 2),
        "{playing} of {music} play, seed {seed}"
    );
    if music <= AUDIO_SLOTS_MAX - 2 {
        let expected = people.min(loudest).min(AUDIO_SLOTS_MAX - music);
        assert_eq!(heard.len() - playing, expected, "seed {seed}");
    }
}

#[test]
fn slots_are_right_whatever_happens() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut loudest = rng.usize(1..=16);
        let mut room = Room::new(rng.u64(0..40), rng.u64(0..20), loudest);
        let mut next = 1000;
        for _ in 0..300 {
            if rng.u8(..20) == 0 {
                for _ in 0..rng.usize(..4) {
                    if !room.streams.is_empty() {
                        room.streams.remove(rng.usize(..room.streams.len()));
                    }
                }
                for _ in 0..rng.usize(..4) {
                    room.streams.push((StreamId(next), rng.u8(..4) == 0));
                    next += 1;
                }
                if let Some(any) = rng.choice(room.streams.iter_mut()) {
                    any.1 = rng.bool();
                }
                if rng.u8(..4) == 0 {
                    loudest = rng.usize(1..=16);
                }
                let streams = room.streams.clone();
                room.speakers.set_streams(room.now, &streams, loudest);
            }
            let before = (room.heard(), room.changes);
            room.step(|_| match rng.u8(..10) {
                0 => Sound::Nothing,
                1 => Sound::Untold,
                2 | 3 => Sound::Level(rng.u8(..)),
                _ => QUIET,
            });
            assert_eq!(
                before.0 != room.heard(),
                before.1 != room.changes,
                "told, seed {seed}"
            );
            holds(&room, loudest, seed);
        }
    }
}

/// Twelve uniform numbers make a normal one.
fn normal(rng: &mut fastrand::Rng) -> f32 {
    (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest level"
)]
fn noise(rng: &mut fastrand::Rng, level: f32, deviation: f32) -> Sound {
    Sound::Level((level + normal(rng) * deviation) as u8)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure of merit")]
fn noise_does_not_flap() {
    for (seed, deviation) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut room = Room::new(100, 0, 8);
        let levels: Vec<f32> = (0..100).map(|_| rng.f32() * 35.0 + 45.0).collect();
        let mut settled = 0;
        for at in 0..9000 {
            // Fans are taken for voices until they are known.
            if at == 1500 {
                settled = room.changes;
            }
            room.step(|stream| noise(&mut rng, levels[stream as usize], deviation));
        }
        let changes = room.changes - settled;
        println!(
            "seed {seed}: {changes} changes in 150 s of noise of {deviation} dB at 100 microphones"
        );
        assert!(changes <= 3, "seed {seed}: {changes} changes in 150 s");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure of merit")]
fn a_heated_discussion_does_not_flap() {
    for seed in 0..10 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut room = Room::new(30, 0, 8);
        // Fourteen speak all at once with words of 300 ms, 25 to 33 dB below full scale.
        for at in 0..3000u64 {
            room.step(|stream| match stream {
                0..14 if (at + stream * 3) % 20 < 15 => {
                    noise(&mut rng, 25.0 + stream as f32 / 2.0, 3.0)
                }
                _ => noise(&mut rng, 70.0, 2.0),
            });
        }
        println!(
            "seed {seed}: {} changes in 60 s of fourteen who shout",
            room.changes
        );
        assert!(room.changes <= 24, "seed {seed}: {} changes", room.changes);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure of merit")]
fn in_a_conversation_no_first_syllable_is_cut() {
    let (mut turns, mut late) = (0, 0);
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut room = Room::new(60, 0, 8);
        for _ in 0..100 {
            room.step(|_| noise(&mut rng, 66.0, 2.0));
        }
        for _ in 0..30 {
            let speaker = rng.u64(..60);
            for at in 0..rng.u64(20..150) {
                // Syllables of 200 ms with 60 ms between them.
                let speaks = at % 13 < 10;
                room.step(|stream| match stream == speaker && speaks {
                    true => noise(&mut rng, 30.0, 4.0),
                    false => noise(&mut rng, 66.0, 2.0),
                });
                if at == 0 {
                    turns += 1;
                    late += usize::from(!room.heard().contains(&speaker));
                }
                assert!(at < 1 || room.heard().contains(&speaker), "seed {seed}");
            }
        }
    }
    println!(
        "{late} of {turns} turns were heard from the second packet on, the rest from the first"
    );
    assert_eq!(late, 0);
}
