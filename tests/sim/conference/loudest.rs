//! Only the loudest are forwarded, and nobody notices.

use fastrand::Rng;

use super::judge::few;
use super::microphone::Turn;
use super::participant::Source;
use super::venue::{MS, Path, S, Venue};
use crate::shell::seed;

/// Twenty people, of whom `loudest_max` are forwarded, in turns of which so many are at once.
fn check(seed: u64, workers: usize, loudest_max: usize, at_once: usize, noise: Option<i8>) {
    let mut venue = Venue::new(seed, workers, loudest_max);
    let mut rng = Rng::with_seed(seed);
    for _ in 0..20 {
        let client = venue.enter(Path::GOOD);
        let participant = venue.world.clients[client].participant();
        participant.microphone(Source::Camera).noise = noise;
        participant.camera(Source::Camera).rates = vec![60_000];
    }
    venue.plan_all(&super::room::Plan::List(Vec::new()));
    venue.converse(&mut rng, 3 * S, 55 * S, at_once);
    venue.run_until(60 * S);
    venue.check();
    let sound = venue.judge_sound();
    println!(
        "{loudest_max} loudest, {at_once} at once, noise {noise:?}: {}",
        sound.summary()
    );
    assert!(sound.turns > 19 * 5, "{} turns", sound.turns);
    assert!(sound.holes.is_empty(), "{:#?}", few(&sound.holes));
    assert!(sound.late.is_empty(), "{:#?}", few(&sound.late));
    assert!(sound.wrong.is_empty(), "{:#?}", few(&sound.wrong));
    assert!(sound.skipped.is_empty(), "{:#?}", few(&sound.skipped));
}

#[test]
fn no_first_syllable_is_cut_when_twenty_speak_in_turns() {
    check(seed(220), 2, 8, 3, None);
}

#[test]
fn no_first_syllable_is_cut_over_the_noise_of_all_the_others() {
    check(seed(221), 2, 3, 2, Some(-70));
}

#[test]
fn not_more_than_the_loudest_are_forwarded_at_a_time() {
    let mut venue = Venue::of(seed(222), 2, 7);
    venue.world.room(venue.room).loudest_max = 3;
    venue.world.tell_room(venue.room);
    for (at, client) in (0..).zip(venue.people.clone()) {
        let mut turn = Turn::new(4 * S, 14 * S);
        turn.level = -20 - 8 * at;
        venue.world.script(client, vec![turn]);
    }
    venue.run_until(16 * S);
    venue.check();
    for listener in venue.people.clone() {
        let participant = venue.world.clients[listener].in_conference().unwrap();
        let mut heard = vec![0; venue.people.len()];
        let from = venue.world.base + 6 * S;
        for slot in participant.slots.iter().filter(|slot| slot.is_audio) {
            for packet in &slot.heard {
                let of = |stream: &sfu::StreamId| stream.0 == u64::from(packet.voice.publication);
                let who = venue.streams.iter().position(of).unwrap();
                heard[who] += usize::from(packet.at > from && packet.voice.is_voiced);
            }
        }
        let all: Vec<usize> = (0..heard.len()).filter(|who| heard[*who] > 350).collect();
        let some = heard.iter().filter(|packets| **packets > 20).count();
        // One's own voice counts among the loudest and is not sent back.
        let me = venue.people.iter().position(|one| *one == listener);
        let expected: Vec<usize> = (0..3).filter(|who| Some(*who) != me).collect();
        assert_eq!(all, expected, "{listener} heard {heard:?}");
        assert_eq!(some, expected.len(), "{listener} heard {heard:?}");
    }
}

#[test]
fn music_is_forwarded_however_quiet_it_is() {
    let mut venue = Venue::of(seed(223), 2, 5);
    venue.world.room(venue.room).loudest_max = 1;
    let quiet = venue.streams[4];
    let feeds = &mut venue.world.room(venue.room).feeds;
    feeds.get_mut(&quiet).unwrap().is_music = true;
    venue.world.tell_room(venue.room);
    for (at, client) in (0_usize..).zip(venue.people.clone()) {
        let mut turn = Turn::new(4 * S, 14 * S);
        turn.level = if at == 4 { -80 } else { -20 };
        venue.world.script(client, vec![turn]);
    }
    venue.run_until(16 * S);
    venue.check();
    for listener in &venue.people[..4] {
        let participant = venue.world.clients[*listener].in_conference().unwrap();
        let slots = participant.slots.iter().filter(|slot| slot.is_audio);
        let heard = slots
            .flat_map(|slot| &slot.heard)
            .filter(|packet| u64::from(packet.voice.publication) == quiet.0)
            .filter(|packet| packet.voice.is_voiced);
        let heard = heard.count();
        assert!(heard >= 500, "{listener} heard {heard} packets of music");
    }
}

#[test]
fn whoever_speaks_is_reported_and_has_the_floor() {
    let mut venue = Venue::of(seed(224), 2, 4);
    for (at, client) in (0_u32..).zip(venue.people.clone()) {
        let from = 3 * S + 5 * S * at;
        venue
            .world
            .script(client, vec![Turn::new(from, from + 4 * S)]);
    }
    venue.run_until(25 * S);
    venue.check();
    let mut floors = Vec::new();
    for (at, _, event) in &venue.world.events {
        let sfu::Event::Speakers {
            room,
            active,
            dominant,
        } = event
        else {
            continue;
        };
        assert_eq!(*room, venue.room);
        assert!(active.len() <= 2, "{active:?}");
        if let Some(dominant) = dominant
            && floors.last().is_none_or(|(_, last)| last != dominant)
        {
            floors.push((*at, *dominant));
        }
    }
    let who: Vec<_> = floors.iter().map(|(_, stream)| *stream).collect();
    assert_eq!(who, venue.streams, "the floor went {floors:?}");
    for (turn, (at, _)) in (0_u32..).zip(&floors) {
        let begins = 3 * S + 5 * S * turn;
        let after = at.saturating_sub(begins);
        assert!(after < 1500 * MS, "turn {turn}: the floor after {after:?}");
    }
}
