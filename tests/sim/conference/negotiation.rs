//! Offers from both sides, one after another and at once.

use sfu::{Command, Refusal, Reply, RequestId};
use str0m::media::{Direction, MediaKind};

use super::venue::{S, Venue};
use crate::shell::seed;
use crate::world::World;

fn ask_for_slots(
    world: &mut World,
    client: usize,
    audio: usize,
    video: usize,
) -> Result<Reply, Refusal> {
    let request = RequestId(world.next_id());
    let (peer, worker) = (world.clients[client].peer, world.clients[client].worker);
    let command = Command::AddSlots {
        request,
        peer,
        audio,
        video,
    };
    world.ask(worker, command, request)
}

fn answer(world: &mut World, client: usize, answer: String) -> Result<Reply, Refusal> {
    let request = RequestId(world.next_id());
    let (peer, worker) = (world.clients[client].peer, world.clients[client].worker);
    let command = Command::Answer {
        request,
        peer,
        answer,
    };
    world.ask(worker, command, request)
}

fn slots(venue: &Venue, client: usize) -> (usize, usize) {
    let slots = &venue.world.clients[client].in_conference().unwrap().slots;
    let audio = slots.iter().filter(|slot| slot.is_audio).count();
    (audio, slots.len() - audio)
}

#[test]
fn slots_are_added_until_everybody_is_seen() {
    let mut venue = Venue::of(seed(250), 2, 12);
    venue.run_until(8 * S);
    venue.check();
    let pictures = venue.judge_pictures();
    for client in &venue.people {
        let (_, video) = slots(&venue, *client);
        assert!(video >= 11, "{client} has {video} slots");
        let seen = pictures.changes.keys().filter(|(who, _)| who == client);
        assert_eq!(seen.count(), 11, "{client}");
    }
}

#[test]
fn a_second_offer_waits_for_the_answer_to_the_first() {
    let mut venue = Venue::of(seed(251), 1, 2);
    venue.run_until(2 * S);
    let client = venue.people[0];
    let first = ask_for_slots(&mut venue.world, client, 5, 5).unwrap();
    let Reply::Sdp(offer) = first else {
        panic!("{first:?}");
    };
    let second = ask_for_slots(&mut venue.world, client, 6, 6);
    assert!(
        matches!(second, Err(Refusal::NotAcceptable(_))),
        "{second:?}"
    );
    let text = venue.world.clients[client].take_offer(&offer);
    assert_eq!(
        answer(&mut venue.world, client, text.clone()),
        Ok(Reply::Done)
    );
    let again = answer(&mut venue.world, client, text);
    assert!(again.is_err(), "one answer for one offer: {again:?}");
    assert_eq!(slots(&venue, client), (5, 5));
    assert_eq!(
        ask_for_slots(&mut venue.world, client, 5, 5),
        Ok(Reply::Done),
        "it has them"
    );
    venue.world.run(2 * S);
    venue.check();
}

/// Both offer at once: the participant's wins, whatever it is.
fn glare(seed: u64, restarts: bool) {
    let mut venue = Venue::of(seed, 2, 3);
    venue.run_until(3 * S);
    let client = venue.people[0];
    let Ok(Reply::Sdp(lost)) = ask_for_slots(&mut venue.world, client, 6, 6) else {
        panic!("no offer");
    };
    // The participant's offer crosses it on the way.
    let target = &mut venue.world.clients[client];
    let offer = if restarts {
        target.restart_ice().2
    } else {
        target
            .offer_another(MediaKind::Audio, Direction::SendOnly)
            .1
    };
    let accepted = venue.world.reoffer(client, &offer).unwrap();
    venue.world.clients[client].take_answer(&accepted);
    venue.world.drain_client(client);
    // An answer to what was withdrawn is refused and does no harm.
    let stale = lost.replace("a=sendonly", "a=recvonly");
    let stale = answer(&mut venue.world, client, stale);
    assert!(stale.is_err(), "{stale:?}");
    venue.world.run(3 * S);
    venue.check();
    // The server offers again, with the same names or others.
    let again = ask_for_slots(&mut venue.world, client, 6, 6);
    let Ok(Reply::Sdp(again)) = again else {
        panic!("{again:?}");
    };
    let text = venue.world.clients[client].take_offer(&again);
    assert_eq!(answer(&mut venue.world, client, text), Ok(Reply::Done));
    assert_eq!(slots(&venue, client), (6, 6));
    for _ in 0..3 {
        venue.enter(super::venue::Path::GOOD);
    }
    venue.world.run(5 * S);
    venue.check();
    let pictures = venue.judge_pictures();
    let seen = pictures.changes.keys().filter(|(who, _)| *who == client);
    assert_eq!(seen.count(), 5);
}

#[test]
fn an_offer_that_crosses_the_servers_wins() {
    glare(seed(252), false);
}

#[test]
fn an_ice_restart_that_crosses_the_servers_offer_wins() {
    glare(seed(253), true);
}

#[test]
fn a_section_that_came_later_is_published_too() {
    let mut venue = Venue::of(seed(254), 2, 2);
    venue.run_until(3 * S);
    let client = venue.people[1];
    for round in 0..3 {
        let target = &mut venue.world.clients[client];
        let (mid, offer) = target.offer_another(MediaKind::Video, Direction::SendOnly);
        let accepted = venue.world.reoffer(client, &offer).unwrap();
        venue.world.clients[client].take_answer(&accepted);
        let stream = venue.world.publish_screen_in(client, mid);
        venue.world.run(3 * S);
        venue.check();
        let pictures = venue.judge_pictures();
        let seen = pictures.changes.contains_key(&(venue.people[0], stream));
        assert!(seen, "round {round}");
        venue.world.unpublish(stream);
    }
}
