//! What happens to a stream: its publisher, the network, the encoder. All from a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use hls::{CodecKind, Frame, Output, Packager, Settings, TrackConfig};

use crate::checker::Checker;
use crate::source::Camera;

pub(crate) const ORIGIN_MS: u64 = 1_791_000_000_123;
pub(crate) const LIFE: &str = "0badcafe";

/// When keyframes come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keyframes {
    /// So long after they were asked for, in seconds.
    Answered(f64),
    /// Every so often, whoever asks.
    Every(f64),
    /// After a time between these two.
    Between(f64, f64),
}

/// A stream and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) part_ms: u64,
    /// The length of the live window.
    pub(crate) window_s: u64,
    pub(crate) codec: CodecKind,
    pub(crate) layers: usize,
    pub(crate) has_opus: bool,
    pub(crate) has_aac: bool,
    pub(crate) fps: f64,
    /// The share of a frame's interval by which its time varies.
    pub(crate) jitter: f64,
    /// Stills per minute, of up to six seconds.
    pub(crate) stills: f64,
    pub(crate) keyframes: Keyframes,
    /// Lost pictures per minute; everything up to the next keyframe is gone with them.
    pub(crate) losses: f64,
    /// Changes of the picture's size per minute.
    pub(crate) changes: f64,
    /// Parameter sets rewritten with nothing changed, at every keyframe.
    pub(crate) rewrites_sets: bool,
    /// The publisher goes and comes back, times per minute.
    pub(crate) restarts: f64,
    /// Whether a slate is shown meanwhile.
    pub(crate) has_slates: bool,
    /// The highest layer rests for 3 to 20 s, times per minute.
    pub(crate) rests: f64,
    /// The sound stops for up to 5 s, times per minute.
    pub(crate) mutes: f64,
    /// How much later pictures arrive than sound, in seconds.
    pub(crate) lateness: f64,
    /// Whether every second picture is one that no other refers to, which cannot be repeated.
    pub(crate) has_temporal_layers: bool,
    pub(crate) sends_sets_alone: bool,
}

impl Scenario {
    /// Anything at all.
    pub(crate) fn random(seed: u64, seconds: f64) -> Self {
        let mut random = Rng::with_seed(seed);
        let choose = |random: &mut Rng, values: &[f64]| values[random.usize(..values.len())];
        let layers = [1, 1, 1, 2, 3, 0][random.usize(..6)];
        let rates = [
            2.0, 3.0, 5.0, 10.0, 12.5, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94,
        ];
        let keyframes = match random.usize(..4) {
            0 | 1 => Keyframes::Answered(0.05 + random.f64() * 0.3),
            2 => Keyframes::Every(choose(&mut random, &[1.0, 2.0, 4.0, 10.0])),
            _ => Keyframes::Between(1.0, 10.0),
        };
        Self {
            seed,
            seconds,
            window_s: [40, 100][random.usize(..2)],
            part_ms: [200, 250, 333, 500, 500, 500, 1000][random.usize(..7)],
            codec: [
                CodecKind::H264,
                CodecKind::H264,
                CodecKind::H264,
                CodecKind::Vp9,
            ][random.usize(..4)],
            layers,
            has_opus: layers == 0 || random.usize(..5) > 0,
            has_aac: random.usize(..3) == 0,
            fps: choose(&mut random, &rates),
            jitter: choose(&mut random, &[0.0, 0.0, 0.02, 0.1, 0.4]),
            stills: choose(&mut random, &[0.0, 0.0, 4.0, 12.0]),
            keyframes,
            losses: choose(&mut random, &[0.0, 0.0, 3.0, 15.0]),
            changes: choose(&mut random, &[0.0, 0.0, 1.0, 4.0]),
            rewrites_sets: random.bool(),
            restarts: choose(&mut random, &[0.0, 0.0, 1.0, 3.0]),
            has_slates: seed.is_multiple_of(2),
            rests: choose(&mut random, &[0.0, 0.0, 2.0]),
            mutes: choose(&mut random, &[0.0, 0.0, 4.0]),
            lateness: choose(&mut random, &[0.0, 0.02, 0.1, 0.25]),
            has_temporal_layers: false,
            sends_sets_alone: random.bool(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            part_target: Duration::from_millis(self.part_ms),
            window: Duration::from_secs(self.window_s),
            ..Settings::default()
        }
    }

    /// The name of a rendition, and its format.
    pub(crate) fn rendition(&self, place: usize) -> (String, CodecKind) {
        let track = &self.tracks()[place];
        (track.rendition.clone(), track.codec)
    }

    fn tracks(&self) -> Vec<TrackConfig> {
        let track = |rendition: String, codec, channels| TrackConfig {
            rendition,
            codec,
            channels,
            config: Bytes::new(),
        };
        let layer = |layer| match self.layers {
            1 => String::from("video"),
            _ => format!("video{layer}"),
        };
        let mut tracks: Vec<TrackConfig> = (0..self.layers)
            .map(|number| track(layer(number), self.codec, 0))
            .collect();
        if self.has_opus {
            tracks.push(track(String::from("audio"), CodecKind::Opus, 2));
        }
        if self.has_aac {
            tracks.push(track(String::from("aac"), CodecKind::Aac, 2));
        }
        tracks
    }
}

/// A layer's encoder and its way to the packager.
struct Layer {
    camera: Camera,
    next: f64,
    next_keyframe: f64,
    is_lossy: bool,
    rests_until: f64,
}

struct Sound {
    ticks: i64,
    packet: i64,
    mute_until: f64,
}

enum Track {
    Layer(Box<Layer>),
    Sound(Sound),
}

/// Frames on their way, by the time of their arrival and the order of sending.
type Flying = BTreeMap<(u64, u64), (usize, Frame)>;

struct Run<'a> {
    scenario: &'a Scenario,
    random: Rng,
    packager: Packager,
    tracks: Vec<Track>,
    flying: Flying,
    sent: u64,
    arrivals: Vec<u64>,
}

/// Runs a scenario through the packager, everything that comes out through the checker.
pub(crate) fn run(scenario: &Scenario) -> Checker {
    let mut checker = Checker::new(scenario);
    let mut run = Run {
        scenario,
        random: Rng::with_seed(scenario.seed ^ 0x5eed),
        packager: Packager::new(scenario.settings(), LIFE.to_owned(), ORIGIN_MS),
        tracks: Vec::new(),
        flying: Flying::new(),
        sent: 0,
        arrivals: Vec::new(),
    };
    run.publish(0.3);
    let mut now = 0.3;
    while now < scenario.seconds {
        let (track, time) = run.next_track();
        now = time;
        run.deliver((now * 1e6) as u64, &mut checker);
        if run.happens(scenario.restarts, 0.02) {
            run.deliver(u64::MAX, &mut checker);
            let until = now + 0.2 + run.random.f64() * 8.0;
            if scenario.has_slates {
                run.stand_in(until, &mut checker);
            } else {
                run.packager.pause();
                run.drain(&mut checker);
            }
            now = until;
            run.publish(now);
            run.drain(&mut checker);
            continue;
        }
        run.send(track, now);
    }
    run.deliver(u64::MAX, &mut checker);
    run.packager.end();
    run.drain(&mut checker);
    checker.finish(&run.packager);
    checker
}

impl Run<'_> {
    /// Whether something that comes `per_minute` times comes in this step of about `step` seconds.
    fn happens(&mut self, per_minute: f64, step: f64) -> bool {
        self.random.f64() < per_minute / 60.0 * step
    }

    /// Shows a slate from the end of what is there until `until`, of the publication's tracks.
    fn stand_in(&mut self, until: f64, checker: &mut Checker) {
        let configs = self.scenario.tracks();
        self.packager.pause_level();
        self.packager.stand_in(configs.clone());
        self.drain(checker);
        let begin_ms = self.packager.written_ms() + 1;
        let until_ms = (until * 1000.0) as i64;
        let mut camera = Camera::new(self.scenario.codec, 448, 224);
        let still = camera.picture(true, 100);
        let mut next: Vec<i64> = configs
            .iter()
            .map(|config| begin_ms * i64::from(config.codec.timescale()) / 1000)
            .collect();
        for at_ms in (begin_ms..until_ms).step_by(100).chain([until_ms]) {
            for (track, config) in configs.iter().enumerate() {
                let sound = hls::silence(config);
                while next[track] * 1000 < at_ms * i64::from(config.codec.timescale()) {
                    let frame = |data| Frame {
                        pts: next[track],
                        keyframe: true,
                        data,
                        duration: sound.as_ref().map(|sound| sound.1),
                    };
                    match &sound {
                        Some((packet, _)) => self.packager.push(track, frame(packet.clone())),
                        None => still
                            .iter()
                            .for_each(|data| self.packager.push(track, frame(data.clone()))),
                    }
                    next[track] += sound.as_ref().map_or(180_000, |sound| i64::from(sound.1));
                }
            }
            self.packager.advance(at_ms);
            self.drain(checker);
        }
        self.packager.pause_at(until_ms);
        self.drain(checker);
    }

    fn publish(&mut self, now: f64) {
        let scenario = self.scenario;
        let configs = scenario.tracks();
        self.packager.begin(configs.clone());
        self.arrivals = vec![0; configs.len()];
        self.tracks.clear();
        let (mut height, begin) = (2 + self.random.u32(0..3), now);
        for config in configs {
            let track = if config.codec.is_video() {
                height *= 2;
                let mut camera = Camera::new(scenario.codec, height * 32, height * 16);
                camera.has_layers = scenario.has_temporal_layers;
                camera.sends_sets_alone = scenario.sends_sets_alone;
                Track::Layer(Box::new(Layer {
                    camera,
                    next: begin,
                    next_keyframe: begin,
                    is_lossy: false,
                    rests_until: 0.0,
                }))
            } else {
                let packet = if config.codec == CodecKind::Aac {
                    1024
                } else {
                    960
                };
                Track::Sound(Sound {
                    ticks: ((begin + self.random.f64() * 0.05) * 48_000.0) as i64,
                    packet,
                    mute_until: 0.0,
                })
            };
            self.tracks.push(track);
        }
    }

    fn next_track(&self) -> (usize, f64) {
        let time = |track: &Track| match track {
            Track::Layer(layer) => layer.next,
            Track::Sound(sound) => sound.ticks as f64 / 48_000.0,
        };
        let times = self.tracks.iter().map(time).enumerate();
        times
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .expect("a scenario has tracks")
    }

    fn send(&mut self, track: usize, now: f64) {
        let scenario = self.scenario;
        let interval = 1.0 / scenario.fps;
        let rests = track + 1 == scenario.layers
            && scenario.layers > 1
            && self.happens(scenario.rests, interval);
        let mutes = self.happens(scenario.mutes, 0.02);
        let loses = self.happens(scenario.losses, interval);
        let changes = self.happens(scenario.changes, interval);
        let still = self.happens(scenario.stills, interval);
        let random = &mut self.random;
        let (frames, delay) = match &mut self.tracks[track] {
            Track::Sound(sound) => {
                if mutes {
                    sound.mute_until = now + random.f64() * 5.0;
                }
                let pts = sound.ticks;
                sound.ticks += sound.packet;
                let frame = Frame {
                    pts,
                    keyframe: true,
                    data: Bytes::from(vec![0xfc; random.usize(20..60)]),
                    duration: Some(sound.packet as u32),
                };
                let is_heard = now >= sound.mute_until;
                (
                    Vec::from_iter(is_heard.then_some(frame)),
                    0.02 + random.f64() * 0.02,
                )
            }
            Track::Layer(layer) => {
                if rests {
                    layer.rests_until = now + 3.0 + random.f64() * 17.0;
                }
                let change = changes.then(|| 2 + random.u32(1..6));
                let frames = layer.picture(scenario, now, loses, change, random);
                let jitter = scenario.jitter * (random.f64() - 0.5);
                layer.next = now + interval * (1.0 + jitter);
                if still {
                    layer.next += random.f64() * 6.0;
                }
                layer.next = layer.next.max(layer.rests_until);
                (frames, 0.02 + scenario.lateness * random.f64())
            }
        };
        for frame in frames {
            // One track's frames never overtake each other.
            let arrival = (((now + delay) * 1e6) as u64).max(self.arrivals[track]);
            self.arrivals[track] = arrival;
            self.sent += 1;
            self.flying.insert((arrival, self.sent), (track, frame));
        }
    }

    fn deliver(&mut self, until: u64, checker: &mut Checker) {
        while let Some(entry) = self.flying.first_entry()
            && entry.key().0 <= until
        {
            let (track, frame) = entry.remove();
            self.packager.push(track, frame);
            self.drain(checker);
        }
    }

    fn drain(&mut self, checker: &mut Checker) {
        let mut is_asked = false;
        while let Some(output) = self.packager.poll() {
            is_asked |= matches!(output, Output::KeyframeDue);
            checker.take(output);
        }
        checker.look(&mut self.random);
        if is_asked {
            let (_, now) = self.next_track();
            for track in &mut self.tracks {
                if let Track::Layer(layer) = track {
                    layer.ask(self.scenario, now);
                }
            }
        }
    }
}

impl Layer {
    /// The frames of the picture at `now` that arrive.
    fn picture(
        &mut self,
        scenario: &Scenario,
        now: f64,
        is_lost: bool,
        size: Option<u32>,
        random: &mut Rng,
    ) -> Vec<Frame> {
        let keyframe = now >= self.next_keyframe || size.is_some();
        if let Some(size) = size {
            self.camera.width = size * 32;
            self.camera.height = size * 16;
        }
        if keyframe {
            self.is_lossy = false;
            self.next_keyframe = match scenario.keyframes {
                Keyframes::Answered(_) => f64::INFINITY,
                Keyframes::Every(seconds) => now + seconds - 0.001,
                Keyframes::Between(least, most) => now + least + random.f64() * (most - least),
            };
            self.camera.hint += u32::from(scenario.rewrites_sets);
        } else if is_lost {
            self.is_lossy = true;
            self.ask(scenario, now);
        }
        let filling = if keyframe { 200 } else { random.usize(1..40) };
        let pictures = self.camera.picture(keyframe, filling);
        if self.is_lossy {
            return Vec::new();
        }
        let frame = |data| Frame {
            pts: (now * 90_000.0) as i64,
            keyframe,
            data,
            duration: None,
        };
        pictures.into_iter().map(frame).collect()
    }

    fn ask(&mut self, scenario: &Scenario, now: f64) {
        if let Keyframes::Answered(after) = scenario.keyframes {
            self.next_keyframe = self.next_keyframe.min(now + after);
        }
    }
}
