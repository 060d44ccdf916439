//! What players are given while the publisher is away.

use m3u8_rs::MediaPlaylist;

use super::*;

const RENDITIONS: [&str; 3] = ["video", "audio", "aac"];

impl Stage {
    /// Nothing comes any more, but the connection is there: a cable was pulled.
    fn fall_silent(&mut self) -> PeerId {
        self.publisher.take().expect("somebody publishes")
    }

    /// What comes then comes again, from now on.
    fn speak_again(&mut self, peer: PeerId) {
        self.publisher = Some(peer);
        (self.round, self.at) = (self.now, 0);
    }

    /// Runs in steps of a tenth of a second. Says for how long at most no rendition got a new part.
    fn longest_wait(&mut self, duration: Duration) -> Duration {
        let show = self.show();
        let next = |name: &str| show.rendition(name).unwrap().now().unwrap().next;
        let mut known = RENDITIONS.map(next);
        let (mut waits, mut longest) = ([Duration::ZERO; 3], Duration::ZERO);
        let until = self.now + duration;
        while self.now < until {
            self.run(S / 10);
            for (at, name) in RENDITIONS.iter().enumerate() {
                let now = next(name);
                waits[at] = if now == known[at] {
                    waits[at] + S / 10
                } else {
                    Duration::ZERO
                };
                known[at] = now;
                longest = longest.max(waits[at]);
            }
        }
        longest
    }
}

/// The dates of the segments that begin behind a discontinuity, in ms.
fn breaks(playlist: &MediaPlaylist) -> Vec<i64> {
    let segments = playlist.segments.iter().filter(|one| one.discontinuity);
    segments
        .map(|one| one.program_date_time.unwrap().timestamp_millis())
        .collect()
}

/// No second of it is missing.
fn check_whole(stage: &Stage, name: &str, allowed_s: f64) {
    let (listed, dated) = span(&stage.playlist(name));
    assert!(
        (listed - dated).abs() < allowed_s,
        "{name}: {listed} s of media in {dated} s\n{}",
        stage.text(name)
    );
}

#[test]
fn playlists_go_on_while_the_publisher_is_away_and_when_it_is_back() {
    let mut stage = Stage::new(21);
    stage.publish(stage.clip.tracks());
    stage.run(10 * S);
    let life = stage.show().life().clone();
    let master = stage.show().multivariant(Sound::Aac).unwrap();
    stage.leave();
    let wait = stage.longest_wait(8 * S);
    assert!(wait <= S, "{wait:?} without a part while nobody performs");
    assert!(!stage.show().is_performed());
    stage.publish(stage.clip.tracks());
    let wait = stage.longest_wait(8 * S);
    assert!(wait <= S, "{wait:?} without a part when it is back");
    assert!(stage.show().is_performed());
    assert_eq!(*stage.show().life(), life);
    let again = stage.show().multivariant(Sound::Aac).unwrap();
    let constants = |master: &crate::broadcast::Rendered| {
        let text = String::from_utf8_lossy(master.plain()).into_owned();
        text.matches("CODECS=").count()
    };
    assert_eq!(constants(&master), constants(&again));
    for name in RENDITIONS {
        // Out of the show and back into it, in all renditions at the same time.
        let (own, leading) = (
            breaks(&stage.playlist(name)),
            breaks(&stage.playlist("video")),
        );
        assert_eq!(own.len(), 2, "{name}: {}", stage.text(name));
        let apart = own
            .iter()
            .zip(&leading)
            .map(|(one, other)| (one - other).abs());
        assert!(apart.max().unwrap() < 60, "{own:?} beside {leading:?}");
        check_whole(&stage, name, 0.25);
    }
    assert_eq!(stage.count("hls_slates"), 1);
}

#[test]
fn who_is_connected_and_silent_is_away_after_two_seconds() {
    let mut stage = Stage::new(22);
    stage.publish(stage.clip.tracks());
    stage.run(10 * S);
    let peer = stage.fall_silent();
    stage.run(S + S / 2);
    assert!(stage.show().is_performed(), "it may be a hiccup");
    stage.run(S);
    assert!(!stage.show().is_performed());
    let wait = stage.longest_wait(5 * S);
    assert!(wait <= S, "{wait:?} without a part");
    stage.speak_again(peer);
    let wait = stage.longest_wait(8 * S);
    assert!(wait <= S, "{wait:?} without a part when it speaks again");
    assert!(stage.show().is_performed());
    for name in RENDITIONS {
        assert_eq!(breaks(&stage.playlist(name)).len(), 2, "{name}");
        check_whole(&stage, name, 0.25);
    }
}

#[test]
fn a_slate_costs_next_to_nothing_and_ends_with_the_life() {
    let mut stage = Stage::new(23);
    stage.publish(stage.clip.tracks());
    stage.run(10 * S);
    stage.leave();
    stage.run(30 * S);
    let show = stage.show();
    let bytes: usize = RENDITIONS
        .iter()
        .map(|name| {
            let rendition = show.rendition(name).unwrap();
            let (next, _) = rendition.now().unwrap().next;
            let last = rendition.segment(next - 1).unwrap();
            last.len()
        })
        .sum();
    assert!(
        bytes < 60_000,
        "{bytes} bytes in a segment of all renditions"
    );
    assert!(!show.is_ended());
    stage.run(32 * S);
    assert!(show.is_ended() && stage.text("video").contains("#EXT-X-ENDLIST"));
}

#[test]
fn a_take_over_shows_the_old_picture_until_the_new_one() {
    let mut stage = Stage::new(24);
    stage.publish(stage.clip.tracks());
    stage.run(8 * S);
    stage.publish(stage.clip.tracks());
    stage.run(8 * S);
    for name in RENDITIONS {
        assert_eq!(breaks(&stage.playlist(name)).len(), 1, "{name}");
        check_whole(&stage, name, 0.25);
    }
    assert_eq!(stage.count("hls_slates"), 0);
}
