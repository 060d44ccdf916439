//! A real worker's tap on virtual time, packaged as on the thread.

mod aac;
mod away;
mod cues;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use m3u8_rs::MediaPlaylist;
use sfu::{
    Certificate, Codec, CodecKind, Command, Input, Output, PeerId, SourcePacket, StreamId, Tap,
    Worker, WorkerConfig, WorkerId,
};

use super::cards::Cards;
use super::counters::BroadcastCounters;
use super::line::Line;
use super::presentation::Sound;
use super::production::Surroundings;
use super::published::Published;
use super::rendition::Skip;
use super::stream::Show;
use super::thumbnails::Thumbnails;
use crate::bridge::clip::{Clip, VIDEO};
use crate::clock;
use crate::config::Config;
use crate::media::StreamKey;
use crate::recording::{self, Recorder};

const STREAM: StreamId = StreamId(7);
const TICK: Duration = Duration::from_millis(5);
const S: Duration = Duration::from_secs(1);

struct Stage {
    cards: Cards,
    worker: Worker,
    line: Line,
    published: Arc<Published>,
    counters: Arc<BroadcastCounters>,
    recorder: Recorder,
    /// How often pages were told to look again.
    changes: Arc<AtomicUsize>,
    epoch: Instant,
    now: Instant,
    clip: Clip,
    /// When the clip's current round began, and the place in it.
    round: Instant,
    at: usize,
    publisher: Option<PeerId>,
    publishers: u64,
    sequences: [u64; 2],
    keyframes_wanted: u64,
    is_over: bool,
    rng: fastrand::Rng,
    loss: f64,
    _data_dir: tempfile::TempDir,
}

impl Stage {
    fn new(seed: u64) -> Self {
        eprintln!("seed {seed}");
        let data_dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: data_dir.path().to_owned(),
            ..Config::default()
        };
        let recorder = Recorder::start(recording::Settings::new(&config)).unwrap();
        let counters = Arc::new(BroadcastCounters::default());
        let published = Arc::new(Published::default());
        let changes = Arc::new(AtomicUsize::new(0));
        let told = changes.clone();
        let cards = Cards::start().unwrap();
        let around = Surroundings {
            settings: hls::Settings::default(),
            dvr_window: Duration::from_secs(120),
            on_change: Arc::new(move |_| {
                told.fetch_add(1, Ordering::Relaxed);
            }),
            thumbnails: Thumbnails::start(recorder.clone()).unwrap(),
            cards: cards.clone(),
            recorder: recorder.clone(),
            counters: counters.clone(),
        };
        let key = StreamKey {
            space: "stage".into(),
            stream: "main".into(),
        };
        // Virtual time begins at the real one: a life's date comes from it.
        let now = clock::now();
        let config = WorkerConfig {
            id: WorkerId(0),
            candidates: Vec::new(),
            certificate: Certificate::generate(),
            peers_max: 4,
            streams_max: 4,
        };
        let mut worker = Worker::new(config, now);
        let tap = Some(Tap { is_watched: false });
        worker.handle(
            now,
            Input::Command(Command::Tap {
                stream: STREAM,
                tap,
            }),
        );
        Self {
            worker,
            cards,
            line: Line::new(key, STREAM, false, around, published.clone()),
            published,
            counters,
            recorder,
            changes,
            epoch: now,
            now,
            clip: Clip::embedded(),
            round: now,
            at: 0,
            publisher: None,
            publishers: 0,
            sequences: [0; 2],
            keyframes_wanted: 0,
            is_over: false,
            rng: fastrand::Rng::with_seed(seed),
            loss: 0.0,
            _data_dir: data_dir,
        }
    }

    fn publish(&mut self, tracks: Vec<Codec>) {
        self.publishers += 1;
        let peer = PeerId(self.publishers);
        self.publisher = Some(peer);
        self.sequences = [self.rng.u64(..1 << 20), 0];
        (self.round, self.at) = (self.now, 0);
        let command = Command::OpenSource {
            stream: STREAM,
            peer,
            tracks,
            is_backup: false,
        };
        self.worker.handle(self.now, Input::Command(command));
    }

    /// The publisher goes, when its cards are drawn: their thread is real, and this time is not.
    fn leave(&mut self) {
        let last = self.cards.order(&"stage".into(), 320, 180);
        let began = std::time::Instant::now();
        while last.get().is_none() && began.elapsed() < 20 * S {
            std::thread::sleep(S / 100);
        }
        if let Some(peer) = self.publisher.take() {
            self.worker
                .handle(self.now, Input::Command(Command::Close { peer }));
        }
    }

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.now += TICK;
            self.play();
            self.worker.handle(self.now, Input::Timeout);
            loop {
                match self.worker.poll(self.now) {
                    Output::Timeout(_) => break,
                    Output::Tap { item, .. } => self.line.on_item(self.now, item),
                    _ => {}
                }
            }
            let wishes = self.line.tick(self.now);
            self.keyframes_wanted += u64::from(wishes.keyframe);
            self.is_over |= wishes.is_over;
        }
    }

    /// Sends what of the clip is due.
    fn play(&mut self) {
        let Some(peer) = self.publisher else { return };
        while self.round + self.clip.items[self.at].at <= self.now {
            let item = &self.clip.items[self.at];
            let clock_ms = (self.round + item.at - self.epoch).as_millis() as u64;
            let rate = if item.track == VIDEO { 90 } else { 48 };
            let last = item.payloads.len() - 1;
            for (place, payload) in item.payloads.iter().enumerate() {
                let packet = SourcePacket {
                    peer,
                    track: item.track,
                    sequence: self.sequences[item.track],
                    timestamp: (clock_ms * rate) as u32,
                    marker: item.track == VIDEO && place == last,
                    payload: payload.clone(),
                };
                self.sequences[item.track] += 1;
                if self.rng.f64() >= self.loss {
                    self.worker.handle(
                        self.now,
                        Input::Packet {
                            stream: STREAM,
                            packet,
                        },
                    );
                }
            }
            self.at += 1;
            if self.at == self.clip.items.len() {
                self.at = 0;
                self.round += self.clip.duration;
            }
        }
    }

    fn show(&self) -> Arc<Show> {
        self.published.show(&self.line.key).expect("it is live")
    }

    fn text(&self, rendition: &str) -> String {
        let now = self
            .show()
            .rendition(rendition)
            .unwrap()
            .now()
            .expect("a playlist");
        String::from_utf8(now.live().plain().to_vec()).unwrap()
    }

    fn playlist(&self, rendition: &str) -> MediaPlaylist {
        m3u8_rs::parse_media_playlist_res(self.text(rendition).as_bytes()).unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        let all = self.counters.all();
        all.iter().find(|one| one.0 == name).unwrap().2
    }
}

/// Milliseconds of a playlist's media that lie before its end, and what lies between its first and its last date.
fn span(playlist: &MediaPlaylist) -> (f64, f64) {
    let done = &playlist.segments[..playlist.segments.len() - 1];
    let listed: f64 = done.iter().map(|segment| f64::from(segment.duration)).sum();
    let date = |at: usize| {
        playlist.segments[at]
            .program_date_time
            .unwrap()
            .timestamp_millis() as f64
            / 1000.0
    };
    (listed, date(done.len()) - date(0))
}

#[test]
fn a_source_becomes_picture_and_sound_that_end_together() {
    let mut stage = Stage::new(1);
    stage.publish(stage.clip.tracks());
    stage.run(12 * S);
    let (video, audio) = (stage.playlist("video"), stage.playlist("audio"));
    assert!(video.segments.len() >= 4 && video.media_sequence == 1);
    let (listed, dated) = span(&video);
    assert!(
        (listed - dated).abs() < 0.034,
        "{listed} s of media in {dated} s"
    );
    for (seen, heard) in video.segments.iter().zip(&audio.segments).take(4) {
        let apart = seen.program_date_time.unwrap() - heard.program_date_time.unwrap();
        assert!(apart.num_milliseconds().abs() <= 25, "{apart}");
    }
    let master = stage.show().multivariant(Sound::Aac).unwrap();
    let master = m3u8_rs::parse_master_playlist_res(master.plain()).unwrap();
    assert_eq!(master.alternatives.len(), 1, "AAC and nothing else");
    assert_eq!(stage.count("hls_warnings"), 0);
    // Nobody watches, but what is kept is cut every two seconds, too.
    assert!(
        (5..=8).contains(&stage.keyframes_wanted),
        "{} in 12 s",
        stage.keyframes_wanted
    );
    assert_eq!(video.target_duration, 2);
}

#[test]
fn who_comes_back_goes_on_in_the_same_life_behind_a_discontinuity() {
    let mut stage = Stage::new(2);
    stage.publish(stage.clip.tracks());
    stage.run(10 * S);
    let life = stage.show().life().clone();
    let before = stage.playlist("video");
    stage.leave();
    stage.run(5 * S);
    stage.publish(stage.clip.tracks());
    stage.run(8 * S);
    assert_eq!(*stage.show().life(), life);
    for rendition in ["video", "audio"] {
        let after = stage.playlist(rendition);
        let breaks = after
            .segments
            .iter()
            .filter(|segment| segment.discontinuity)
            .count();
        assert_eq!(breaks, 2, "{rendition}: {}", stage.text(rendition));
        assert!(after.segments.len() > before.segments.len());
        let mut dates = after
            .segments
            .iter()
            .filter_map(|segment| segment.program_date_time);
        assert!(
            dates
                .clone()
                .zip(dates.by_ref().skip(1))
                .all(|(one, next)| one < next)
        );
    }
}

#[test]
fn who_comes_back_without_sound_ends_the_life_so_that_nobody_waits_for_it() {
    let mut stage = Stage::new(8);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let first = stage.show();
    let sound = first.rendition("audio").unwrap();
    stage.leave();
    stage.run(2 * S);
    let video = vec![stage.clip.tracks()[VIDEO]];
    stage.publish(video);
    stage.run(2 * S);
    assert!(!first.is_ended(), "its sound may still come");
    stage.run(4 * S);
    assert!(first.is_ended() && sound.now().unwrap().ended);
    assert_ne!(stage.show().life(), first.life());
    assert!(stage.show().rendition("audio").is_none());
    assert!(stage.playlist("video").segments.len() > 1);
}

#[test]
fn a_take_over_without_a_pause_is_a_discontinuity_too() {
    let mut stage = Stage::new(3);
    stage.publish(stage.clip.tracks());
    stage.run(8 * S);
    stage.publish(stage.clip.tracks());
    stage.run(8 * S);
    let breaks = stage
        .playlist("video")
        .segments
        .iter()
        .filter(|segment| segment.discontinuity)
        .count();
    assert_eq!(breaks, 1);
}

#[test]
fn a_stream_to_which_nobody_comes_back_ends_and_is_forgotten_and_the_next_is_another_life() {
    let mut stage = Stage::new(4);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let first = stage.show();
    stage.leave();
    stage.run(59 * S);
    assert!(!first.is_ended() && !stage.text("video").contains("#EXT-X-ENDLIST"));
    stage.run(2 * S);
    assert!(first.is_ended() && stage.text("video").contains("#EXT-X-ENDLIST"));
    let master = first.multivariant(Sound::Aac).unwrap();
    let master = m3u8_rs::parse_master_playlist_res(master.plain()).unwrap();
    let of_keyframes = master.variants.iter().map(|variant| variant.is_i_frame);
    assert_eq!(of_keyframes.collect::<Vec<_>>(), [false, true]);
    assert_eq!(master.alternatives.len(), 1);
    assert!(!stage.is_over);
    stage.publish(stage.clip.tracks());
    stage.run(5 * S);
    assert_ne!(stage.show().life(), first.life());
    stage.leave();
    stage.run(125 * S);
    assert!(stage.is_over);
    stage.line.close();
    assert!(stage.published.is_empty());
}

#[test]
fn lost_packets_cost_pictures_but_no_rule() {
    let mut stage = Stage::new(5);
    stage.publish(stage.clip.tracks());
    stage.run(3 * S);
    stage.loss = 0.01;
    stage.run(40 * S);
    stage.loss = 0.0;
    stage.run(4 * S);
    assert!(stage.count("hls_frames_lost") > 0);
    assert!(
        stage.keyframes_wanted > 0,
        "a keyframe is asked for after a loss"
    );
    let video = stage.playlist("video");
    let (listed, dated) = span(&video);
    assert!(
        (listed - dated).abs() < 0.034,
        "{listed} s of media in {dated} s: a hole"
    );
    // The clip's encoder keeps many reference pictures: not every still picture of it can be repeated, and each part that is
    // too long for that is counted.
    let parts = stage.text("video");
    let parts = parts
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PART:DURATION="));
    let too_long =
        parts.filter(|part| part.split(',').next().unwrap().parse::<f64>().unwrap() > 0.50001);
    assert!(too_long.count() as u64 <= stage.count("hls_warnings"));
    let breaks = video
        .segments
        .iter()
        .filter(|segment| segment.discontinuity)
        .count();
    assert_eq!(breaks, 0, "a loss is no discontinuity");
}

#[test]
fn the_moment_of_a_space_is_that_of_its_newest_picture_and_never_goes_back() {
    let mut stage = Stage::new(11);
    assert_eq!(stage.published.moment("stage"), None);
    stage.publish(stage.clip.tracks());
    stage.run(3 * S);
    let mut before = 0;
    for _ in 0..400 {
        stage.run(TICK);
        let moment = stage.published.moment("stage").unwrap();
        assert_eq!(
            (&*moment.stream, &moment.life),
            ("main", stage.show().life())
        );
        // The clip's pictures come as they are taken, 30 a second; the recorder's clock and this one began together.
        let real_ms = stage.show().origin_ms() + (stage.now - stage.epoch).as_millis() as u64;
        let behind_ms = real_ms.abs_diff(moment.time_ms);
        assert!(behind_ms < 60, "{behind_ms} ms beside the newest picture");
        assert!(moment.time_ms >= before);
        before = moment.time_ms;
    }
    assert_eq!(stage.published.moment("elsewhere"), None);
    stage.leave();
    stage.run(20 * S);
    let slate = stage.published.moment("stage").unwrap().time_ms;
    let behind_ms = (before + 20_000).abs_diff(slate);
    assert!(behind_ms < 1_100, "{behind_ms} ms beside the slate");
    stage.run(45 * S);
    assert_eq!(stage.published.moment("stage"), None, "the life is over");
}

#[test]
fn a_moment_that_players_are_told_of_is_in_all_playlists_with_the_next_part() {
    let mut stage = Stage::new(12);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let moment = stage.published.moment("stage").unwrap().time_ms;
    let range = hls::DateRange::moment("7", "cue", moment, &[("X-VALUE", "on")]);
    let shows = stage.published.shows("stage");
    shows.iter().for_each(|show| show.add_daterange(&range));
    let before = stage.text("video");
    stage.run(S);
    assert!(
        !before.contains(range.line()),
        "all had the same until then"
    );
    for rendition in stage.show().renditions() {
        let dvr = stage.show().dvr(&rendition, Skip::Nothing, &stage.counters);
        let dvr = String::from_utf8_lossy(dvr.plain()).into_owned();
        for text in [stage.text(rendition.name()), dvr] {
            assert_eq!(text.matches(range.line()).count(), 1, "{text}");
        }
    }
    stage.run(60 * S);
    assert!(
        !stage.text("video").contains(range.line()),
        "out of the window"
    );
}

#[test]
fn memory_is_bounded_however_long_it_lasts() {
    let mut stage = Stage::new(6);
    stage.publish(stage.clip.tracks());
    stage.run(300 * S);
    let rendition = stage.show().rendition("video").unwrap();
    let (next, _) = rendition.now().unwrap().next;
    let held = (1..next)
        .filter(|msn| rendition.segment(*msn).is_some())
        .count();
    assert!(
        (12..60).contains(&held),
        "{held} of {next} segments in memory"
    );
    let dvr = stage.show().dvr(&rendition, Skip::Nothing, &stage.counters);
    let dvr = m3u8_rs::parse_media_playlist_res(dvr.plain()).unwrap();
    let minutes: f32 = dvr
        .segments
        .iter()
        .map(|segment| segment.duration)
        .sum::<f32>()
        / 60.0;
    assert!(
        (1.9..2.2).contains(&minutes),
        "{minutes} minutes can be gone back"
    );
}

/// The clip's tracks, but a picture that HLS cannot carry.
fn foreign(stage: &Stage) -> Vec<Codec> {
    let mut tracks = stage.clip.tracks();
    tracks[VIDEO] = Codec {
        kind: CodecKind::Vp8,
        h264_profile: None,
        stereo: false,
    };
    tracks
}

#[test]
fn what_hls_cannot_carry_says_so() {
    let mut stage = Stage::new(7);
    stage.publish(foreign(&stage));
    stage.run(2 * S);
    assert!(stage.published.is_empty());
    assert!(
        stage
            .published
            .refusal(&stage.line.key)
            .unwrap()
            .contains("VP8")
    );
    assert_eq!(stage.changes.load(Ordering::Relaxed), 1, "pages are told");
    stage.publish(stage.clip.tracks());
    stage.run(3 * S);
    assert!(stage.published.refusal(&stage.line.key).is_none());
    stage.show();
}

#[test]
fn a_life_that_is_over_makes_way_for_what_hls_cannot_carry() {
    let mut stage = Stage::new(8);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    stage.leave();
    stage.run(62 * S);
    assert!(stage.show().is_ended());
    stage.publish(foreign(&stage));
    stage.run(2 * S);
    assert!(stage.published.is_empty(), "nobody would ever remove it");
    assert!(stage.published.refusal(&stage.line.key).is_some());
}

#[test]
fn a_life_ends_when_what_hls_cannot_carry_took_its_place() {
    let mut stage = Stage::new(9);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let first = stage.show();
    stage.publish(foreign(&stage));
    stage.run(58 * S);
    assert!(!first.is_ended());
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    assert_eq!(stage.show().life(), first.life(), "it came back in time");
    stage.publish(foreign(&stage));
    stage.run(62 * S);
    assert!(first.is_ended() && stage.text("video").contains("#EXT-X-ENDLIST"));
    stage.run(60 * S);
    assert!(stage.published.is_empty() && !stage.is_over);
    stage.publish(stage.clip.tracks());
    stage.run(3 * S);
    assert_ne!(stage.show().life(), first.life());
}

#[test]
fn a_stream_that_is_abandoned_keeps_nobody_waiting() {
    let mut stage = Stage::new(10);
    stage.publish(stage.clip.tracks());
    stage.run(6 * S);
    let show = stage.show();
    stage.line.abandon();
    assert!(show.is_ended() && stage.published.is_empty());
    assert!(show.rendition("video").unwrap().now().unwrap().ended);
}
