//! Viewers are shown a slate while nobody performs: what they get, and in which order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sfu::{Command, Slate, StreamId, TakesOver};

use crate::client::Terms;
use crate::link::Link;
use crate::media::{Packetizer, Parameters, Picture, Video};
use crate::publisher::Manner;
use crate::receiver::Decoded;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// What the slate's pictures call themselves.
const SLATE: u16 = 99;

/// How a publisher goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Its encoder stops; its connection does not.
    Mute,
    /// Its process or its line dies.
    Dead,
    /// It says good-bye.
    Leaves,
    /// The shell closes it, as a `DELETE` does.
    Deleted,
}

impl End {
    /// When the slate has to be there.
    fn slate_within(self) -> Duration {
        match self {
            Self::Mute | Self::Dead => 2200 * MS,
            Self::Leaves | Self::Deleted => 800 * MS,
        }
    }
}

/// A picture twice, as a server would encode it.
fn slate() -> Arc<Slate> {
    let mut packetizer = Packetizer::new(Video::H264, Parameters::Together, 7);
    let pictures = (0..2).map(|number| {
        let picture = Picture {
            publication: SLATE,
            layer: 0,
            key: true,
            number,
            reference: 0,
            captured_us: 0,
        };
        let payloads = packetizer.packetize(&picture, 9_000).into_iter();
        payloads.map(Arc::from).collect()
    });
    Arc::new(Slate::new(pictures.collect(), Some(0x42_c0_1f)).unwrap())
}

/// A publisher and a viewer on every worker, with a slate.
struct Stage {
    world: World,
    publisher: usize,
    viewers: Vec<usize>,
}

impl Stage {
    fn new(seed: u64, workers: usize, manner: Manner) -> Self {
        let mut stage = Self {
            world: World::new(seed, workers),
            publisher: 0,
            viewers: Vec::new(),
        };
        let tracks = 1 + usize::from(manner.has_audio);
        stage.publisher = stage.world.publish(0, STREAM, manner);
        stage.world.run_until_complete(STREAM, tracks);
        for worker in 0..workers {
            stage.view(worker, &Terms::default());
        }
        stage.world.run(3 * S);
        stage
    }

    /// As the shell does, it tells the worker of the slate once the viewer is accepted.
    fn view(&mut self, worker: usize, terms: &Terms) -> usize {
        let viewer = self.world.view_with(worker, STREAM, terms).unwrap();
        self.viewers.push(viewer);
        for worker in 0..self.world.nodes.len() {
            let command = Command::SetSlate {
                stream: STREAM,
                slate: Some(slate()),
            };
            self.world.tell(worker, command);
        }
        viewer
    }

    fn mute(&mut self, client: usize, is_muted: bool) {
        self.world.clients[client].publisher().is_muted = is_muted;
    }

    fn end(&mut self, end: End) {
        let publisher = self.publisher;
        match end {
            End::Mute => self.mute(publisher, true),
            End::Dead => self.world.clients[publisher].is_dead = true,
            End::Leaves => self.world.leave(publisher),
            End::Deleted => {
                let peer = self.world.clients[publisher].peer;
                self.world.tell(0, Command::Close { peer });
            }
        }
    }

    fn decoded(&self, viewer: usize) -> &[Decoded] {
        &self.world.clients[viewer].viewer().video.decoded
    }

    /// Whose pictures a viewer saw from `from` on, one after the other, and how many of each.
    fn order(&self, viewer: usize, from: Instant) -> Vec<(u16, usize)> {
        let mut order: Vec<(u16, usize)> = Vec::new();
        for one in self.decoded(viewer).iter().filter(|one| one.at > from) {
            match order.last_mut() {
                Some((last, count)) if *last == one.picture.publication => *count += 1,
                _ => order.push((one.picture.publication, 1)),
            }
        }
        order
    }

    /// When a viewer saw the first picture of a publication after `from`, as from there.
    fn first(&self, viewer: usize, publication: u16, from: Instant) -> Duration {
        let mut decoded = self.decoded(viewer).iter();
        let first = decoded.find(|one| one.at >= from && one.picture.publication == publication);
        first.unwrap().at - from
    }

    /// The slate's pictures came once a second, and its silence without a hole.
    fn check_even(&self, viewer: usize, what: &str) {
        let all = self.decoded(viewer).iter();
        let slate: Vec<_> = all.filter(|one| one.picture.publication == SLATE).collect();
        for pair in slate.windows(2) {
            let between = pair[1].at - pair[0].at;
            assert!(between <= 1100 * MS, "{what}: {between:?} between pictures");
            assert_ne!(pair[0].picture.number, pair[1].picture.number, "{what}");
        }
        let silences = &self.world.clients[viewer].viewer().audio.silences;
        for pair in silences.windows(2) {
            assert_eq!(pair[1].1.wrapping_sub(pair[0].1), 960, "{what}: of sound");
        }
    }

    fn stats(&self) -> (u64, u64) {
        let all = self.world.nodes.iter().map(|node| node.worker.stats());
        all.fold((0, 0), |sum, stats| {
            (sum.0 + stats.slates, sum.1 + stats.slates_missed)
        })
    }
}

fn manner(publication: u16, codec: Video) -> Manner {
    Manner {
        publication,
        codec,
        ..Manner::default()
    }
}

/// The publisher goes for five seconds; then it sends again, or another one comes.
fn check(seed: u64, end: End, codecs: [Video; 2]) {
    let _seeded = Seeded(seed);
    let what = format!("{end:?} {codecs:?}");
    let mut stage = Stage::new(seed, 2, manner(1, codecs[0]));
    assert_eq!(
        stage.stats(),
        (0, 0),
        "{what}: nothing while somebody performs"
    );
    let gone = stage.world.now;
    stage.end(end);
    stage.world.run(5 * S);
    let back = stage.world.now;
    let next = match end {
        End::Mute => {
            stage.mute(stage.publisher, false);
            1
        }
        _ => {
            stage.world.publish(0, STREAM, manner(2, codecs[1]));
            2
        }
    };
    stage.world.run(3 * S);
    stage.world.check();
    for &viewer in &stage.viewers {
        let order = stage.order(viewer, gone);
        let publications: Vec<u16> = order.iter().map(|(publication, _)| *publication).collect();
        // What was under way when it went still comes.
        let after = if publications[0] == 1 { 1 } else { 0 };
        assert_eq!(publications[after..], [SLATE, next], "{what}: {order:?}");
        let first = stage.first(viewer, SLATE, gone);
        assert!(
            first < end.slate_within(),
            "{what}: a slate after {first:?}"
        );
        let first = stage.first(viewer, next, back);
        assert!(first < S, "{what}: back after {first:?}");
        stage.check_even(viewer, &what);
        let audio = &stage.world.clients[viewer].viewer().audio;
        assert!(
            audio.silences.len() > 100,
            "{what}: {}",
            audio.silences.len()
        );
        let (last, ..) = *audio.heard.last().unwrap();
        assert!(last > stage.world.now - S / 2, "{what}: it is heard again");
        let last = audio.silences.last().unwrap().0;
        assert!(last < back + S, "{what}: and there is silence no more");
    }
    assert_eq!(stage.stats(), (2, 0), "{what}");
}

#[test]
fn viewers_see_the_slate_while_the_publisher_is_away_and_it_again_afterwards() {
    for (at, end) in (0..).zip([End::Mute, End::Dead, End::Leaves, End::Deleted]) {
        check(seed(800) + at, end, [Video::H264, Video::H264]);
    }
}

#[test]
fn viewers_of_another_codec_see_it_if_they_take_h264() {
    check(seed(810), End::Leaves, [Video::Vp8, Video::Vp8]);
    check(seed(811), End::Mute, [Video::Vp9, Video::Vp9]);
    check(seed(812), End::Deleted, [Video::H264, Video::Av1]);
    check(seed(813), End::Dead, [Video::Av1, Video::H264]);
}

#[test]
fn who_takes_no_h264_keeps_the_last_picture_and_is_counted() {
    let seed = seed(815);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 1, manner(1, Video::Vp8));
    let terms = Terms {
        video: Some(Video::Vp8),
        ..Terms::default()
    };
    let lacking = stage.view(0, &terms);
    stage.world.run(2 * S);
    stage.end(End::Leaves);
    stage.world.run(S / 4);
    let gone = stage.world.now;
    stage.world.run(4 * S);
    assert_eq!(stage.order(lacking, gone), []);
    assert_eq!(stage.stats(), (1, 1));
    stage.world.publish(0, STREAM, manner(2, Video::Vp8));
    stage.world.run(2 * S);
    stage.world.check();
    assert_eq!(stage.order(lacking, gone).len(), 1, "the next one's");
}

#[test]
fn a_publisher_that_is_replaced_at_once_leaves_no_slate() {
    for (at, end) in (0..).zip([End::Leaves, End::Deleted]) {
        let seed = seed(820) + at;
        let _seeded = Seeded(seed);
        let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
        stage.end(end);
        stage.world.run(200 * MS);
        stage.world.publish(0, STREAM, manner(2, Video::H264));
        stage.world.run(3 * S);
        stage.world.check();
        assert_eq!(stage.stats(), (0, 0), "{end:?}");
    }
}

#[test]
fn a_camera_that_is_turned_off_is_missed_on_all_threads_at_the_same_time() {
    let seed = seed(823);
    let _seeded = Seeded(seed);
    let silent = Manner {
        has_audio: false,
        ..manner(1, Video::H264)
    };
    let mut stage = Stage::new(seed, 2, silent);
    let off = Command::Mute {
        peer: stage.world.clients[stage.publisher].peer,
        stream: STREAM,
        audio: false,
        video: true,
    };
    stage.world.tell(0, off);
    stage.world.run(9 * S);
    assert_eq!(stage.stats(), (0, 0), "a screen may stand still");
    stage.world.run(2 * S);
    assert_eq!(stage.stats(), (2, 0));
}

#[test]
fn a_take_over_needs_no_slate() {
    let seed = seed(825);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.world.publish(0, STREAM, manner(2, Video::H264));
    stage.world.run(3 * S);
    stage.world.check();
    assert_eq!(stage.stats(), (0, 0));
}

#[test]
fn who_comes_meanwhile_sees_the_slate_at_once_and_no_old_picture() {
    let seed = seed(830);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.end(End::Mute);
    stage.world.run(4 * S);
    let from = stage.world.now;
    let late = [0, 1].map(|worker| stage.view(worker, &Terms::default()));
    stage.world.run(2 * S);
    for viewer in late {
        let order = stage.order(viewer, from);
        assert!(matches!(order[..], [(SLATE, _)]), "{order:?}");
        let first = stage.first(viewer, SLATE, from);
        assert!(first < S / 2, "after {first:?}");
    }
    stage.mute(stage.publisher, false);
    stage.world.run(2 * S);
    stage.world.check();
    for viewer in late {
        let order = stage.order(viewer, from);
        assert!(matches!(order[..], [(SLATE, _), (1, _)]), "{order:?}");
    }
}

/// A worker that nobody watched at knows the publisher only from another one, which has old pictures of it.
#[test]
fn who_comes_meanwhile_where_nobody_watched_sees_no_old_picture() {
    let seed = seed(835);
    let _seeded = Seeded(seed);
    let mut stage = Stage {
        world: World::new(seed, 2),
        publisher: 0,
        viewers: Vec::new(),
    };
    stage.publisher = stage.world.publish(0, STREAM, manner(1, Video::H264));
    stage.world.run_until_complete(STREAM, 2);
    stage.view(0, &Terms::default());
    stage.world.run(3 * S);
    stage.end(End::Mute);
    stage.world.run(3 * S);
    let from = stage.world.now;
    let late = stage.view(1, &Terms::default());
    stage.world.run(4 * S);
    let order = stage.order(late, from);
    assert!(matches!(order[..], [(SLATE, _)]), "{order:?}");
    let first = stage.first(late, SLATE, from);
    assert!(first < 2500 * MS, "after {first:?}");
    stage.world.check();
}

#[test]
fn who_asks_for_a_keyframe_of_the_slate_has_it_but_not_more_than_four_a_second() {
    let seed = seed(840);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 1, manner(1, Video::H264));
    let viewer = stage.viewers[0];
    stage.end(End::Leaves);
    stage.world.run(3 * S);
    stage.world.clients[viewer].viewer_mut().patience = Some(300 * MS);
    let from = stage.world.now;
    stage.world.run(4 * S);
    let order = stage.order(viewer, from);
    // It asks twice a second.
    assert!(matches!(order[..], [(SLATE, 7..=9)]), "{order:?}");
    stage.world.check();
}

#[test]
fn many_viewers_are_not_all_sent_the_picture_in_one_moment() {
    let seed = seed(845);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 1, manner(1, Video::H264));
    let viewers: Vec<_> = (0..150).map(|_| stage.view(0, &Terms::default())).collect();
    stage.world.run(3 * S);
    stage.end(End::Leaves);
    let gone = stage.world.now;
    stage.world.run(4 * S);
    let mut firsts: Vec<_> = viewers
        .iter()
        .map(|viewer| stage.first(*viewer, SLATE, gone).as_millis())
        .collect();
    firsts.sort_unstable();
    let (first, last) = (firsts[0], firsts[149]);
    assert!(last - first >= 35, "the picture in {first} to {last} ms");
    assert!(last - first < 200, "the picture in {first} to {last} ms");
    assert_eq!(stage.stats(), (151, 0));
}

#[test]
fn a_lossy_line_loses_a_picture_of_the_slate_now_and_then() {
    let seed = seed(845);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 1, manner(1, Video::H264));
    let viewer = stage.viewers[0];
    stage.world.clients[viewer].down = Link {
        delay: 25 * MS,
        ..Link::lossy(0.05)
    };
    stage.end(End::Leaves);
    stage.world.run(S);
    let from = stage.world.now;
    stage.world.run(10 * S);
    stage.world.publish(0, STREAM, manner(2, Video::H264));
    stage.world.run(3 * S);
    let order = stage.order(viewer, from);
    assert!(matches!(order[..], [(SLATE, 8..), (2, _)]), "{order:?}");
    stage.world.check();
}

#[test]
fn a_backup_comes_before_the_slate() {
    let seed = seed(850);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.world.takes_over = TakesOver::Absent;
    let backup = stage.world.publish(0, STREAM, manner(2, Video::H264));
    stage.world.run(3 * S);
    stage.end(End::Mute);
    stage.world.run(4 * S);
    assert_eq!(stage.stats(), (0, 0), "the backup is to be seen");
    let from = stage.world.now;
    stage.mute(backup, true);
    stage.world.run(4 * S);
    assert_eq!(stage.stats(), (2, 0), "both are away");
    stage.mute(backup, false);
    stage.world.run(2 * S);
    stage.mute(stage.publisher, false);
    stage.world.run(5 * S);
    stage.world.check();
    for &viewer in &stage.viewers {
        let order = stage.order(viewer, from);
        let publications: Vec<u16> = order.iter().map(|(publication, _)| *publication).collect();
        let after = usize::from(publications[0] == 2);
        assert_eq!(publications[after..], [SLATE, 2, 1], "{order:?}");
    }
}

#[test]
fn a_publisher_without_sound_may_stand_still_for_ten_seconds() {
    let seed = seed(855);
    let _seeded = Seeded(seed);
    let silent = Manner {
        has_audio: false,
        ..manner(1, Video::H264)
    };
    let mut stage = Stage::new(seed, 1, silent);
    stage.end(End::Mute);
    stage.world.run(9 * S);
    assert_eq!(stage.stats(), (0, 0));
    stage.world.run(2 * S);
    assert_eq!(stage.stats(), (1, 0));
    stage.world.check();
}

#[test]
fn a_viewer_of_layers_has_the_slate_and_then_its_layer_again() {
    let seed = seed(860);
    let _seeded = Seeded(seed);
    let layered = |publication| Manner {
        layers: vec![150_000, 500_000, 1_500_000],
        ..manner(publication, Video::H264)
    };
    for (at, end) in (0..).zip([End::Mute, End::Leaves]) {
        let mut stage = Stage::new(seed + at, 2, layered(1));
        stage.world.run(5 * S);
        let layer = |stage: &Stage, viewer: usize| {
            let last = stage.decoded(viewer).last().unwrap();
            (last.picture.publication, last.picture.layer)
        };
        let before: Vec<_> = stage
            .viewers
            .iter()
            .map(|one| layer(&stage, *one))
            .collect();
        stage.end(end);
        stage.world.run(4 * S);
        for &viewer in &stage.viewers {
            assert_eq!(layer(&stage, viewer), (SLATE, 0), "{end:?}");
        }
        let next = match end {
            End::Mute => {
                stage.mute(stage.publisher, false);
                1
            }
            _ => {
                stage.world.publish(0, STREAM, layered(2));
                2
            }
        };
        stage.world.run(8 * S);
        stage.world.check();
        for (&viewer, before) in stage.viewers.iter().zip(before) {
            assert_eq!(layer(&stage, viewer), (next, before.1), "{end:?}");
        }
    }
}

#[test]
fn who_was_missed_and_leaves_then_leaves_no_hole_in_the_slate() {
    let seed = seed(875);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.end(End::Mute);
    stage.world.run(4 * S);
    stage.end(End::Leaves);
    let from = stage.world.now;
    stage.world.run(4 * S);
    stage.world.check();
    assert_eq!(stage.stats(), (2, 0), "it is one slate");
    for &viewer in &stage.viewers {
        stage.check_even(viewer, "all the time");
        let order = stage.order(viewer, from);
        assert!(matches!(order[..], [(SLATE, 3..=5)]), "{order:?}");
    }
}

#[test]
fn the_silence_ends_with_the_picture_of_who_has_no_sound() {
    let seed = seed(880);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.end(End::Leaves);
    stage.world.run(3 * S);
    let silent = Manner {
        has_audio: false,
        ..manner(2, Video::H264)
    };
    stage.world.publish(0, STREAM, silent);
    stage.world.run(S);
    let from = stage.world.now;
    stage.world.run(3 * S);
    stage.world.check();
    for &viewer in &stage.viewers {
        let order = stage.order(viewer, from);
        assert!(matches!(order[..], [(2, _)]), "{order:?}");
        let audio = &stage.world.clients[viewer].viewer().audio;
        let (last, _) = *audio.silences.last().unwrap();
        assert!(last < from, "{:?} after", last - from);
    }
}

#[test]
fn a_stream_that_is_forgotten_has_no_slate_any_more() {
    let seed = seed(865);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    stage.end(End::Leaves);
    stage.world.run(3 * S);
    for worker in 0..2 {
        stage.world.tell(worker, Command::Forget { stream: STREAM });
    }
    stage.world.run(S);
    let before = stage.stats();
    let forwarded = |stage: &Stage| -> u64 {
        let all = stage.world.nodes.iter();
        all.map(|node| node.worker.stats().packets_forwarded).sum()
    };
    let packets = forwarded(&stage);
    stage.world.run(3 * S);
    assert_eq!((stage.stats(), forwarded(&stage)), (before, packets));
    stage.world.check();
}

#[test]
fn without_a_slate_the_last_picture_stays() {
    let seed = seed(870);
    let _seeded = Seeded(seed);
    let mut stage = Stage::new(seed, 2, manner(1, Video::H264));
    for worker in 0..2 {
        let command = Command::SetSlate {
            stream: STREAM,
            slate: None,
        };
        stage.world.tell(worker, command);
    }
    stage.end(End::Leaves);
    stage.world.run(S / 4);
    let gone = stage.world.now;
    stage.world.run(5 * S);
    assert_eq!(stage.stats(), (0, 0));
    for &viewer in &stage.viewers {
        assert_eq!(stage.order(viewer, gone), []);
    }
    stage.world.check();
}
