//! Lives that go on in the next process.

use super::*;
use crate::recording::Constants;

const LIFE: &str = "00c0ffee";
const OTHER: &str = "0badcafe";
const CONSTANTS: Constants = Constants {
    part_ms: 500,
    target_s: 10,
};
/// How old a life may be.
const AGE_MAX_MS: u64 = 60_000;

fn desk(keep: bool) -> Desk {
    let mut desk = Desk::new(|settings| settings.dvr_window = Duration::from_secs(120));
    desk.begin(LIFE, keep);
    let (life, constants) = (LIFE.into(), CONSTANTS);
    desk.send(Entry::Constants { life, constants });
    desk.segments(LIFE, "video", 1..4);
    desk.now_ms += 6_000;
    desk
}

impl Desk {
    fn resumable(&self) -> Vec<crate::recording::Resumable> {
        self.archive.resumable(self.now_ms, AGE_MAX_MS)
    }

    fn resume(&mut self, life: &str) {
        self.send(Entry::Resume { life: life.into() });
    }
}

#[test]
fn a_life_that_ended_with_the_server_goes_on_in_the_same_recording() {
    for is_killed in [false, true] {
        let mut desk = desk(true);
        if !is_killed {
            desk.writer.close_all(desk.now_ms);
        }
        let mut desk = desk.restart();
        let found = desk.resumable();
        let life = &found[0];
        assert_eq!((found.len(), &*life.life), (1, LIFE));
        assert_eq!(life.constants, CONSTANTS);
        assert_eq!(life.origin_ms, BEGIN_MS);
        assert_eq!(life.is_whole, !is_killed);
        let track = &life.tracks[0];
        assert_eq!((track.segments.len(), track.next_init), (3, 1));
        desk.resume(LIFE);
        desk.segments(LIFE, "video", 4..6);
        let recording = desk.archive.recording(LIFE).unwrap();
        assert!(recording.keeping && recording.state == RecordingState::Recording);
        desk.end(LIFE);
        assert_eq!(desk.numbers(LIFE, "video"), [1, 2, 3, 4, 5]);
        let again = desk.restart();
        assert_eq!(again.numbers(LIFE, "video"), [1, 2, 3, 4, 5]);
        assert!(again.resumable().is_empty(), "it is over");
    }
}

#[test]
fn what_is_over_or_too_old_or_replaced_does_not_go_on() {
    let mut ended = desk(false);
    ended.end(LIFE);
    assert!(ended.restart().resumable().is_empty());
    let mut old = desk(false);
    old.writer.close_all(old.now_ms);
    old.now_ms += AGE_MAX_MS + 1;
    assert!(old.restart().resumable().is_empty());
    let mut two = desk(false);
    two.begin(OTHER, false);
    let (life, constants) = (OTHER.into(), CONSTANTS);
    two.send(Entry::Constants { life, constants });
    two.segments(OTHER, "video", 1..3);
    two.writer.close_all(two.now_ms);
    let found = two.restart().resumable();
    let lives: Vec<&str> = found.iter().map(|life| &*life.life).collect();
    assert_eq!(lives, [OTHER], "the newer one");
}

#[test]
fn a_life_whose_constants_are_not_known_does_not_go_on() {
    let mut desk = Desk::new(|settings| settings.dvr_window = Duration::from_secs(120));
    desk.begin(LIFE, true);
    desk.segments(LIFE, "video", 1..4);
    desk.writer.close_all(desk.now_ms);
    assert!(desk.restart().resumable().is_empty());
    assert_eq!(desk.restart().numbers(LIFE, "video"), [1, 2, 3]);
}
