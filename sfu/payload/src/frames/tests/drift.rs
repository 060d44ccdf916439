//! Three hours of clocks that disagree.

use std::collections::VecDeque;

use super::{Bench, PPS, Packet, SPS, assert_gapless};
use crate::CodecKind;
use crate::frames::Frame;

const HOURS: f64 = 3.0;
/// OBS at 59.94 fps counts 0.4 s too little per hour.
const VIDEO_DRIFT: f64 = -0.4 / 3_600.0;
const AUDIO_DRIFT: f64 = 50e-6;
const FPS: f64 = 60_000.0 / 1_001.0;

/// A track's sender reports, as the router makes capture times of them: arrivals until the first one is in.
struct Reports {
    rate: f64,
    /// How fast the RTP clock runs against the publisher's NTP clock.
    speed: f64,
    last: Option<(f64, f64)>,
    next: f64,
}

impl Reports {
    fn new(rate: f64, speed: f64, first: f64) -> Self {
        Self {
            rate,
            speed,
            last: None,
            next: first,
        }
    }

    /// The capture time of `ticks`, which arrives at `arrival`; all in seconds of the presentation.
    fn wallclock(&mut self, ticks: f64, arrival: f64, delay: f64) -> f64 {
        if arrival > self.next + delay {
            self.last = Some((self.next, self.next * self.rate * self.speed));
            self.next += 5.0;
        }
        match self.last {
            Some((ntp, reported)) => ntp + (ticks - reported) / self.rate + delay,
            None => arrival,
        }
    }
}

struct Track {
    bench: Bench,
    reports: Option<Reports>,
    rate: f64,
    speed: f64,
    latency: f64,
    sequence: u64,
    last_arrival: f64,
    /// When what has not come out yet was captured.
    captured: VecDeque<f64>,
    /// The last result less the truth, in seconds.
    error: Option<f64>,
}

impl Track {
    fn new(
        kind: CodecKind,
        rate: f64,
        speed: f64,
        latency: f64,
        first_report: Option<f64>,
    ) -> Self {
        Self {
            bench: Bench::new(kind),
            reports: first_report.map(|first| Reports::new(rate, speed, first)),
            rate,
            speed,
            latency,
            sequence: 0,
            last_arrival: 0.0,
            captured: VecDeque::new(),
            error: None,
        }
    }

    /// Captures `payload` at `at` seconds; gives what came out of it.
    fn capture(&mut self, random: &mut fastrand::Rng, at: f64, payload: &[u8]) -> Vec<Frame> {
        // Random timestamps begin anywhere, and turn over on the way.
        let ticks = (at * self.rate * self.speed).round();
        let jitter = if random.f64() < 0.001 {
            random.f64() * 0.2
        } else {
            random.f64() * 0.03
        };
        let arrival = (at + self.latency + jitter).max(self.last_arrival);
        self.last_arrival = arrival;
        let wallclock = match &mut self.reports {
            Some(reports) => reports.wallclock(ticks, arrival, 0.012),
            None => arrival,
        };
        self.bench.push(Packet {
            sequence: self.sequence,
            timestamp: (ticks as u64 as u32).wrapping_add(0xfff0_0000),
            marker: true,
            arrival_us: (arrival * 1e6) as i64,
            wallclock_us: (wallclock * 1e6) as i64,
            payload: payload.into(),
            red: false,
        });
        self.sequence += 1;
        let frames = self.bench.take();
        self.captured.push_back(at);
        for frame in &frames {
            let captured = self.captured.pop_front().expect("each comes out once");
            self.error = Some(frame.pts as f64 / self.rate - captured);
        }
        frames
    }
}

/// Skews in milliseconds: the largest, and the mean of the last hour.
fn run(seed: u64, with_reports: bool) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let reports = |first: f64| with_reports.then_some(first);
    let mut video = Track::new(
        CodecKind::H264,
        90_000.0,
        1.0 + VIDEO_DRIFT,
        0.020,
        reports(random.f64() * 5.0),
    );
    let mut audio = Track::new(
        CodecKind::Opus,
        48_000.0,
        1.0 + AUDIO_DRIFT,
        0.015,
        reports(random.f64() * 5.0),
    );
    let mut key = vec![0x78, 0, SPS.len() as u8];
    key.extend_from_slice(SPS);
    key.extend_from_slice(&[0, PPS.len() as u8]);
    key.extend_from_slice(PPS);
    key.extend_from_slice(&[0, 3, 0x65, 0x88, 1]);
    let (mut picture, mut sound) = (0u64, 0u64);
    let (mut worst, mut sum, mut count) = (0.0f64, 0.0, 0u64);
    let mut last_picture: Option<i64> = None;
    let mut last_sound: Option<Frame> = None;
    loop {
        let picture_at = picture as f64 / FPS;
        let sound_at = sound as f64 * 960.0 / (48_000.0 * (1.0 + AUDIO_DRIFT));
        if picture_at.min(sound_at) > HOURS * 3_600.0 {
            break;
        }
        if picture_at <= sound_at {
            let payload: &[u8] = if picture.is_multiple_of(600) {
                &key
            } else {
                &[0x41, 0x9a, 1]
            };
            for frame in video.capture(&mut random, picture_at, payload) {
                // 1,501 or 1,502 ticks, and at most 0.5 ms more or less.
                if let Some(last) = last_picture.replace(frame.pts) {
                    let step = frame.pts - last;
                    assert!((1_456..=1_547).contains(&step), "{step}");
                }
            }
            picture += 1;
        } else {
            for frame in audio.capture(&mut random, sound_at, &[0xfc, 1, 2]) {
                assert!((959..=961).contains(&frame.duration.unwrap()));
                if let Some(last) = last_sound.replace(frame.clone()) {
                    assert_gapless(&[last, frame]);
                }
            }
            sound += 1;
        }
        if let (Some(video), Some(audio)) = (video.error, audio.error) {
            let skew = (video - audio) * 1_000.0;
            worst = worst.max(skew.abs());
            if picture_at > (HOURS - 1.0) * 3_600.0 {
                sum += skew;
                count += 1;
            }
        }
    }
    let (video, audio) = (video.bench.counters(), audio.bench.counters());
    assert_eq!((video.steps, audio.steps), (0, 0));
    assert_eq!((video.dropped, audio.dropped, audio.concealed), (0, 0, 0));
    (worst, sum / count as f64)
}

#[test]
fn after_three_hours_of_drifting_clocks_sound_and_picture_are_at_most_40_ms_apart() {
    for (seed, with_reports) in [(1, true), (2, true), (3, false), (4, false)] {
        let (worst, mean) = run(seed, with_reports);
        eprintln!(
            "seed {seed}, {} sender reports: at most {worst:.1} ms apart, {mean:.1} ms on average in the last hour",
            if with_reports { "with" } else { "without" }
        );
        assert!(worst <= 40.0, "seed {seed}: {worst} ms");
    }
}
