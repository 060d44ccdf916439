//! Nobody is shown what is older than what it was shown.

use super::*;

const S: Duration = Duration::from_secs(1);

/// A viewer that was shown the first pictures of a group, and the group.
fn watching(start: Instant) -> (Forwarder, GopCache) {
    let mut gop = group(start, 0..3, 2);
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start + 100 * MS, 0, &gop, 0);
    advance(&mut forwarder, start + 100 * MS, &gop);
    for number in 3..6 {
        let packets = picture(start, number, 2);
        push(&mut gop, &packets);
        for packet in &packets {
            assert!(forwarder.forward(0, packet).is_some());
        }
    }
    (forwarder, gop)
}

#[test]
fn a_group_is_shown_again_to_whoever_lost_its_beginning_and_to_nobody_later() {
    let start = Instant::now();
    let (mut forwarder, gop) = watching(start);
    assert!(
        !forwarder.replay_for_loss(start + 600 * MS, &gop, 0),
        "too soon"
    );
    assert!(forwarder.replay_for_loss(start + 1500 * MS, &gop, 0));
    advance(&mut forwarder, start + 1500 * MS, &gop);
    assert!(!forwarder.replay_for_loss(start + 4 * S, &gop, 0));
    assert!(!forwarder.replay_for_loss(start + 4 * S + 500 * MS, &gop, 0));
    assert!(!forwarder.is_replaying());
    // Another publisher begins anew.
    forwarder.reset(90_000);
    forwarder.replay(start + 5 * S, 0, &gop, 0);
    advance(&mut forwarder, start + 5 * S, &gop);
    assert!(forwarder.replay_for_loss(start + 6 * S + 500 * MS, &gop, 0));
}

#[test]
fn after_a_pause_the_group_that_was_shown_already_is_the_past() {
    let start = Instant::now();
    let (mut forwarder, gop) = watching(start);
    forwarder.pause();
    assert!(forwarder.is_waiting() && forwarder.has_passed(0, &gop));
    let other = group(start, 0..4, 1);
    assert!(
        forwarder.has_passed(1, &other),
        "another layer of the same moments"
    );
    let next = group(start, 10..12, 2);
    assert!(!forwarder.has_passed(0, &next) && !forwarder.has_passed(1, &next));
    forwarder.reset(90_000);
    assert!(!forwarder.has_passed(0, &gop), "another source has no past");
}

#[test]
fn after_a_cut_nothing_is_sent_before_the_next_keyframe_and_nothing_late_after_it() {
    let start = Instant::now();
    let (mut forwarder, mut gop) = watching(start);
    forwarder.on_cut(1);
    assert!(!forwarder.is_waiting(), "another layer's");
    // Pictures 6 to 16 are lost, and with them a keyframe.
    let late = picture(start, 8, 2);
    let back = picture(start, 17, 2);
    gop.break_off(back[0].sequence);
    forwarder.on_cut(0);
    push(&mut gop, &back);
    push(&mut gop, &picture(start, 10, 2));
    assert!(
        forwarder.is_waiting() && !gop.is_intact(),
        "a keyframe that comes late is none"
    );
    assert!(forwarder.forward(0, &back[0]).is_none());
    let key = picture(start, 20, 2);
    push(&mut gop, &key);
    let now = key[0].arrival;
    forwarder.on_gop(now, 0, &gop, 0);
    let sent = advance(&mut forwarder, now, &gop);
    let sequences: Vec<u64> = sent.iter().map(|outgoing| outgoing.sequence).collect();
    assert_eq!(sequences, [13, 14], "the numbers go on without a hole");
    for packet in late.iter().chain(&back) {
        assert!(forwarder.forward(0, packet).is_none());
    }
}
