//! From RTP timestamps and capture times to the presentation's time.
//!
//! Positions advance by the RTP timestamps, which are even, and are drawn to the capture times, which share one clock with
//! the other tracks but jitter as long as the publisher has sent no reports. The pull is a low-pass of [`SMOOTHING`] frames
//! and limited, so that neither jitter nor a correction is seen or heard. Only what lies more than [`STEP_US`] apart is
//! corrected at once, and only when it lasts: a network that stalls for two seconds and then delivers everything at once
//! moves nothing. By how much a publication is ahead of its arrivals is one value for all its tracks, see [`super::lead`].

/// Frames over which differences are averaged: 4 s at 30 Hz. A clock that drifts by 1,000 ppm is followed 4 ms behind.
const SMOOTHING: i64 = 128;
/// What lies further apart is not corrected little by little.
const STEP_US: i64 = 500_000;
/// For how long it must lie apart, and in how many frames in sequence.
const STEP_AFTER_US: i64 = 1_000_000;
const STEP_AFTER_FRAMES: u32 = 4;
/// A step of the timestamps that the capture times do not share, which is not waited for: none of these is jitter.
const LEAP_US: i64 = 1_000_000;
/// The most that pictures are moved by, per frame: 0.5 ms.
const VIDEO_SLEW_US: i64 = 500;
/// An anchor is good for timestamps this near to it, in seconds.
const ANCHOR_S: i64 = 60;
/// Times further from the presentation's beginning than nine years are not believed.
const TIME_MAX_US: i64 = 1 << 48;
/// Positions are kept in this fraction of a tick. Nine years in 1/90,000 s are 2^45 ticks.
const FRACTION: i64 = 256;

/// What is known of the time of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) timestamp: u32,
    pub(super) arrival_us: i64,
    pub(super) wallclock_us: i64,
}

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Ticks since the presentation's beginning.
    pub(super) ticks: i64,
    /// How many ticks of RTP time lie between this frame and the one before; as far as they are believed.
    pub(super) step: i64,
    /// Whether it was moved at once.
    pub(super) has_stepped: bool,
}

/// One layer's clock.
#[derive(Debug)]
pub(super) struct Clock {
    /// Hz.
    rate: i64,
    last: Option<Last>,
    /// Frames averaged until now, up to [`SMOOTHING`].
    count: i64,
    apart: Option<Apart>,
    /// Where a timestamp belongs, for the first frame.
    anchor: Option<Anchor>,
}

/// With which packet a track begins; a timestamp and its place, in microseconds since the presentation's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The first packet's.
    pub sequence: u64,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Where it belongs.
    pub at_us: i64,
}

/// By how much a track's frames are placed ahead of their capture times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// When the newest one arrived.
    pub arrival_us: i64,
    /// Negative for behind.
    pub ahead_us: i64,
}

/// A stamp within what is believed.
#[derive(Debug, Clone, Copy)]
struct Known {
    timestamp: u32,
    arrival_us: i64,
    /// In fractions of ticks.
    captured: i64,
}

/// The frame before.
#[derive(Debug, Clone, Copy)]
struct Last {
    stamp: Known,
    /// In fractions of ticks.
    position: i64,
}

/// Since when positions and capture times have been too far apart.
#[derive(Debug, Clone, Copy)]
struct Apart {
    since_us: i64,
    frames: u32,
    is_ahead: bool,
}

impl Clock {
    /// A clock for timestamps of `rate` Hz.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate: i64::from(rate),
            last: None,
            count: 0,
            apart: None,
            anchor: None,
        }
    }

    /// Says where the first frame belongs, if its timestamp is near `anchor`.
    pub(super) fn begin(&mut self, anchor: Anchor) {
        self.anchor = Some(anchor);
    }

    /// Where the next frame in decoding order belongs, when the publication is `lead_us` ahead of its capture times. It is moved
    /// by at most `slew_max(step)` 1/256 ticks from where its timestamp says, `step` being in ticks, or stepped.
    pub(super) fn place(
        &mut self,
        stamp: Stamp,
        lead_us: i64,
        slew_max: impl Fn(i64) -> i64,
    ) -> Place {
        let captured = self.ticks(stamp.wallclock_us);
        let wallclock = captured + self.ticks(lead_us);
        let arrival_us = stamp.arrival_us.clamp(-TIME_MAX_US, TIME_MAX_US);
        let stamp = Known {
            timestamp: stamp.timestamp,
            arrival_us,
            captured,
        };
        let Some(last) = self.last else {
            let begin = self.anchored(stamp.timestamp).unwrap_or(wallclock);
            return self.keep(stamp, begin, 0, false);
        };
        let step = i64::from(
            stamp
                .timestamp
                .wrapping_sub(last.stamp.timestamp)
                .cast_signed(),
        );
        let passed = captured - last.stamp.captured;
        let disagreement = (step * FRACTION - passed).abs();
        let far = self.ticks(STEP_US);
        // A B-frame lies before the one that was decoded before it, but by no more than a few frames.
        let leaps_back = step * FRACTION < -far;
        let leaps =
            step * FRACTION > far && disagreement > self.ticks(LEAP_US).max(step * FRACTION / 2);
        if leaps_back || leaps {
            return self.keep(stamp, wallclock, 0, true);
        }
        let expected = last.position + step * FRACTION;
        let error = wallclock - expected;
        if error.abs() > far {
            if self.has_lasted(arrival_us, error > 0) {
                return self.keep(stamp, wallclock, step, true);
            }
            return self.keep(stamp, expected, step, false);
        }
        self.apart = None;
        self.count = (self.count + 1).min(SMOOTHING);
        let slew_max = slew_max(step);
        let slew = (error / self.count).clamp(-slew_max, slew_max);
        self.keep(stamp, expected + slew, step, false)
    }

    /// By how much a frame would be ahead of its capture time if it were placed as its timestamp says.
    pub(super) fn ahead(&self, stamp: Stamp) -> Option<Ahead> {
        let last = self.last?;
        let step = i64::from(
            stamp
                .timestamp
                .wrapping_sub(last.stamp.timestamp)
                .cast_signed(),
        );
        let is_near = step.abs() < self.rate * ANCHOR_S;
        is_near.then(|| Ahead {
            arrival_us: stamp.arrival_us.clamp(-TIME_MAX_US, TIME_MAX_US),
            ahead_us: self.us(last.position + step * FRACTION - self.ticks(stamp.wallclock_us)),
        })
    }

    /// Where a frame that arrives at `now_us` would belong, in ticks, if it were as old as the last one was; and for how
    /// many microseconds nothing has come. `None` before the first one.
    pub(super) fn at(&self, now_us: i64) -> Option<(i64, i64)> {
        let last = self.last?;
        let quiet_us = now_us.clamp(-TIME_MAX_US, TIME_MAX_US) - last.stamp.arrival_us;
        Some(((last.position + self.ticks(quiet_us)) / FRACTION, quiet_us))
    }

    /// Where the anchor says that `timestamp` is.
    fn anchored(&self, timestamp: u32) -> Option<i64> {
        let anchor = self.anchor?;
        let after = i64::from(timestamp.wrapping_sub(anchor.timestamp).cast_signed());
        (after.abs() < self.rate * ANCHOR_S).then(|| self.ticks(anchor.at_us) + after * FRACTION)
    }

    fn has_lasted(&mut self, arrival_us: i64, is_ahead: bool) -> bool {
        let apart = self
            .apart
            .take_if(|apart| apart.is_ahead == is_ahead)
            .unwrap_or(Apart {
                since_us: arrival_us,
                frames: 0,
                is_ahead,
            });
        let frames = apart.frames.saturating_add(1);
        self.apart = Some(Apart { frames, ..apart });
        frames >= STEP_AFTER_FRAMES && arrival_us - apart.since_us >= STEP_AFTER_US
    }

    fn keep(&mut self, stamp: Known, position: i64, step: i64, has_stepped: bool) -> Place {
        self.last = Some(Last { stamp, position });
        if has_stepped {
            self.apart = None;
            self.count = 0;
        }
        Place {
            ticks: (position + FRACTION / 2).div_euclid(FRACTION),
            step,
            has_stepped,
        }
    }

    /// Fractions of ticks in microseconds.
    fn us(&self, ticks: i64) -> i64 {
        let us = i128::from(ticks) * 1_000_000 / i128::from(self.rate * FRACTION);
        i64::try_from(us).unwrap_or(TIME_MAX_US)
    }

    /// Microseconds in fractions of ticks.
    fn ticks(&self, us: i64) -> i64 {
        let ticks = i128::from(us.clamp(-TIME_MAX_US, TIME_MAX_US))
            * i128::from(self.rate * FRACTION)
            / 1_000_000;
        i64::try_from(ticks).expect("2^48 us of 90,000 * 256 / 1,000,000 are 2^53")
    }
}

/// The clock of a layer of pictures: presentation times, which rise as long as there are no B-frames.
#[derive(Debug)]
pub(super) struct VideoClock {
    clock: Clock,
    /// The latest and the last presentation time.
    latest: Option<i64>,
    last: i64,
    /// By how much pictures are late after a step back: they are shown at double speed until it is used up.
    lag: i64,
}

impl VideoClock {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::new(90_000),
            latest: None,
            last: 0,
            lag: 0,
        }
    }

    pub(super) fn begin(&mut self, anchor: Anchor) {
        self.clock.begin(anchor);
    }

    pub(super) fn ahead(&self, stamp: Stamp) -> Option<Ahead> {
        self.clock.ahead(stamp)
    }

    /// Where the next picture in decoding order belongs. Pictures whose time is earlier than that of the one before have
    /// a negative `step`.
    pub(super) fn place(&mut self, stamp: Stamp, lead_us: i64) -> Place {
        let slew_max = |step: i64| (90 * VIDEO_SLEW_US / 1_000 * FRACTION).min(step * FRACTION / 4);
        let mut place = self
            .clock
            .place(stamp, lead_us, |step| slew_max(step).max(0));
        let Some(latest) = self.latest else {
            self.latest = Some(place.ticks);
            self.last = place.ticks;
            return place;
        };
        if place.has_stepped {
            self.lag = (latest + 1 - place.ticks).max(0);
        } else if place.step > 0 {
            self.lag = (self.lag - place.step / 2).max(0);
        }
        place.ticks += self.lag;
        // Timestamps that are a tick or two apart may be rounded to one.
        if place.step >= 0 {
            place.ticks = place.ticks.max(self.last + 1);
        }
        self.last = place.ticks;
        self.latest = Some(latest.max(place.ticks));
        place
    }
}
