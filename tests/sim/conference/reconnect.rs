//! Links that break and are mended, addresses that change.

use std::time::Duration;

use sfu::{CloseReason, Event, PeerId, SILENCE_MAX};

use super::microphone::Turn;
use super::venue::{MS, S, Venue};
use crate::shell::seed;

/// A conference of four in which everybody talks all the time.
fn talk(seed: u64, workers: usize) -> Venue {
    let mut venue = Venue::of(seed, workers, 4);
    for client in venue.people.clone() {
        venue
            .world
            .script(client, vec![Turn::new(S, Duration::from_secs(1000))]);
    }
    venue.run_until(6 * S);
    venue
}

fn cut(venue: &mut Venue, client: usize, is_cut: bool) {
    let client = &mut venue.world.clients[client];
    client.up.is_cut = is_cut;
    client.down.is_cut = is_cut;
}

fn closed(venue: &Venue, peer: PeerId) -> Vec<(Duration, CloseReason)> {
    let events = venue.world.events.iter();
    events
        .filter_map(|(at, _, event)| match event {
            Event::Closed { peer: of, reason } if *of == peer => Some((*at, reason.clone())),
            _ => None,
        })
        .collect()
}

fn reachable(venue: &Venue, peer: PeerId) -> Vec<(Duration, bool)> {
    let events = venue.world.events.iter();
    events
        .filter_map(|(at, _, event)| match event {
            Event::Reachable {
                peer: of,
                reachable,
            } if *of == peer => Some((*at, *reachable)),
            _ => None,
        })
        .collect()
}

/// Whether `listener` heard and saw `speaker` in the last second.
fn is_met(venue: &Venue, listener: usize, speaker: usize) -> (bool, bool) {
    let at = venue.people.iter().position(|one| *one == speaker).unwrap();
    let publication = venue.streams[at].0;
    let from = venue.world.now - S;
    let slots = &venue.world.clients[listener].in_conference().unwrap().slots;
    let heard = slots.iter().flat_map(|slot| &slot.heard);
    let seen = slots.iter().flat_map(|slot| &slot.picture.decoded);
    (
        heard
            .filter(|one| one.at > from && u64::from(one.voice.publication) == publication)
            .count()
            > 40,
        seen.filter(|one| one.at > from && u64::from(one.picture.publication) == publication)
            .count()
            > 10,
    )
}

fn assert_all_met(venue: &Venue, case: &str) {
    for listener in &venue.people {
        for speaker in &venue.people {
            if listener != speaker {
                let met = is_met(venue, *listener, *speaker);
                assert_eq!(met, (true, true), "{case}: {listener} meets {speaker}");
            }
        }
    }
}

#[test]
fn a_link_that_is_dead_for_10_s_is_survived_by_the_same_peer() {
    for (at, workers) in (0..).zip(1..=3) {
        let mut venue = talk(seed(240) + at, workers);
        let client = venue.people[1];
        let peer = venue.world.clients[client].peer;
        assert_all_met(&venue, "before");
        cut(&mut venue, client, true);
        let cut_at = venue.world.elapsed();
        venue.world.run(10 * S);
        assert_eq!(is_met(&venue, venue.people[0], client), (false, false));
        assert_eq!(
            is_met(&venue, venue.people[0], venue.people[2]),
            (true, true),
            "the others do not notice"
        );
        cut(&mut venue, client, false);
        let mended_at = venue.world.elapsed();
        venue.world.run(5 * S);
        venue.check();
        assert_all_met(&venue, "after");
        assert_eq!(closed(&venue, peer), []);
        let told = reachable(&venue, peer);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(!told[0].1 && told[1].1, "{told:?}");
        let (gone, back) = (told[0].0 - cut_at, told[1].0 - mended_at);
        println!("unreachable after {gone:?}, back after {back:?}");
        assert!(gone < 10 * S && back < 3 * S, "{gone:?}, {back:?}");
    }
}

#[test]
fn a_link_that_stays_dead_is_closed_after_30_s() {
    let mut venue = talk(seed(243), 2);
    let client = venue.people[1];
    let peer = venue.world.clients[client].peer;
    cut(&mut venue, client, true);
    let cut_at = venue.world.elapsed();
    venue.world.run(SILENCE_MAX - 2 * S);
    assert_eq!(closed(&venue, peer), [], "too early");
    venue.world.run(5 * S);
    let told = closed(&venue, peer);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].1, CloseReason::Lost);
    println!("closed after {:?}", told[0].0 - cut_at);
    assert!(venue.world.room(venue.room).members.len() == 3);
    let gone = venue.streams[1];
    let events = venue.world.events.iter();
    let ended = events
        .filter(|(_, _, event)| matches!(event, Event::Ended { stream, .. } if *stream == gone));
    assert_eq!(ended.count(), 1);
    venue.people.remove(1);
    venue.streams.remove(1);
    venue.world.run(60 * S);
    venue.check();
    assert_all_met(&venue, "those who stayed");
    assert_eq!(closed(&venue, peer).len(), 1, "told once");
}

#[test]
fn ice_is_restarted_by_another_offer() {
    let mut venue = talk(seed(244), 2);
    for (round, client) in venue.people.clone().into_iter().enumerate() {
        let moves = round % 2 == 0;
        if moves {
            // From one network to another: nothing comes at the old address.
            let address = venue.world.fresh_address();
            venue.world.clients[client].external = address;
        }
        let (_, _, offer) = venue.world.clients[client].restart_ice();
        let answer = venue.world.reoffer(client, &offer).unwrap();
        assert_eq!(
            answer.matches("a=mid:").count(),
            offer.matches("a=mid:").count()
        );
        venue.world.clients[client].take_answer(&answer);
        venue.world.drain_client(client);
        venue.world.run(4 * S);
        venue.check();
        assert_all_met(&venue, &format!("round {round}, moves: {moves}"));
    }
    venue.world.run(20 * S);
    venue.check();
    assert_all_met(&venue, "long after");
    let closed = venue.world.events.iter();
    let closed = closed.filter(|(_, _, event)| matches!(event, Event::Closed { .. }));
    assert_eq!(closed.count(), 0);
    let sound = venue.judge_sound();
    println!("{}", sound.summary());
    assert!(sound.wrong.is_empty(), "{:?}", sound.wrong);
}

#[test]
fn a_nat_that_gives_another_address_is_followed() {
    let mut venue = talk(seed(245), 2);
    let client = venue.people[1];
    venue.world.clients[client].external = venue.world.fresh_address();
    let moved = venue.world.now;
    let others = venue.people[0];
    let waited = venue.world.run_while(20 * S, |world| {
        let slots = &world.clients[client].in_conference().unwrap().slots;
        let last = slots.iter().filter_map(|slot| slot.heard.last());
        last.map(|heard| heard.at).max() < Some(moved + 200 * MS)
    });
    println!("heard again after {waited:?}");
    assert!(waited.is_some_and(|waited| waited < 17 * S), "{waited:?}");
    venue.world.run(5 * S);
    venue.check();
    assert_eq!(is_met(&venue, others, client), (true, true));
    assert_all_met(&venue, "after");
}
