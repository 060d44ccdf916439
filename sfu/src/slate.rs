//! What viewers are shown while nobody performs: a picture that says so, and silence.
//!
//! It is no publication: it belongs to the last steps towards a viewer, so that whatever else follows a stream (other workers, taps, the
//! shell) knows nothing of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use payload::{Codec, CodecKind};

use crate::rtc::PayloadTypes;

/// A packet of silence lasts so long; what is shown is looked at as often.
pub(crate) const STEP: Duration = Duration::from_millis(20);

/// How often a viewer is sent the picture. A receiver that has nothing to decode for three seconds believes that something is wrong.
const PICTURE_EVERY: Duration = Duration::from_secs(1);

/// Who asks for a keyframe has it no sooner than this after the last one: 20 kB each.
const PICTURE_AGAIN: Duration = Duration::from_millis(250);

/// Sound that could not be sent for so long is not made good.
const LATE_MAX: Duration = Duration::from_millis(200);

/// 20 ms of Opus without anything in them: CELT, fullband, mono (RFC 6716 section 3.1).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// The picture of a stream that nobody performs, shared by all its viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slate {
    pictures: Vec<Vec<Arc<[u8]>>>,
    profile: Option<u32>,
    silence: Arc<[u8]>,
}

impl Slate {
    /// A picture of H.264 that needs no other, once or several times: those are sent in turn, because two such pictures in a row must differ
    /// in `idr_pic_id` (ITU-T H.264 section 7.4.3). Each is RTP payloads of packetization mode 1 (RFC 6184), the parameter sets first;
    /// `profile` is its `profile-level-id`, 24 bits.
    ///
    /// `None` without a picture, and for a payload that is empty or longer than [`PAYLOAD_MAX`](crate::PAYLOAD_MAX).
    pub fn new(pictures: Vec<Vec<Arc<[u8]>>>, profile: Option<u32>) -> Option<Self> {
        let fits = |payload: &Arc<[u8]>| (1..=crate::PAYLOAD_MAX).contains(&payload.len());
        let is_whole = |picture: &Vec<_>| !picture.is_empty() && picture.iter().all(fits);
        let is_usable = !pictures.is_empty() && pictures.iter().all(is_whole);
        is_usable.then(|| Self {
            pictures,
            profile,
            silence: SILENCE.into(),
        })
    }

    /// What a viewer must have negotiated.
    pub(crate) fn codec(&self, is_audio: bool) -> Codec {
        let kind = match is_audio {
            true => CodecKind::Opus,
            false => CodecKind::H264,
        };
        Codec {
            kind,
            h264_profile: self.profile.filter(|_| !is_audio),
            stereo: false,
        }
    }

    /// The payloads that are next after `count` others.
    pub(crate) fn payloads(&self, is_audio: bool, count: usize) -> &[Arc<[u8]>] {
        match is_audio {
            true => std::slice::from_ref(&self.silence),
            false => &self.pictures[count % self.pictures.len()],
        }
    }
}

/// A leg that is sent the slate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) types: PayloadTypes,
    pub(crate) schedule: Schedule,
}

/// When one viewer is sent what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// When the next picture or sound is due.
    next: Instant,
    last: Option<Instant>,
    /// Pictures or packets of sound that were sent.
    count: usize,
}

impl Schedule {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            next: now,
            last: None,
            count: 0,
        }
    }

    /// The viewer cannot show what it has.
    pub(crate) fn on_keyframe_wanted(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| last + PICTURE_AGAIN);
        self.next = self.next.min(soonest);
    }

    /// Which one is due, and when it was: sound goes on evenly whenever it is sent.
    pub(crate) fn take_due(&mut self, now: Instant, is_audio: bool) -> Option<(usize, Instant)> {
        if self.next > now {
            return None;
        }
        let is_even = is_audio && now.saturating_duration_since(self.next) <= LATE_MAX;
        let at = if is_even { self.next } else { now };
        let every = if is_audio { STEP } else { PICTURE_EVERY };
        let count = self.count;
        (self.next, self.last, self.count) = (at + every, Some(at), count + 1);
        Some((count, at))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    fn payloads(lengths: &[usize]) -> Vec<Arc<[u8]>> {
        let payload = |length: &usize| Arc::from(vec![0x65; *length]);
        lengths.iter().map(payload).collect()
    }

    #[test]
    fn a_slate_is_a_picture_that_can_be_sent() {
        let max = crate::PAYLOAD_MAX;
        for (pictures, is_usable) in [
            (vec![], false),
            (vec![vec![]], false),
            (vec![payloads(&[10, 0])], false),
            (vec![payloads(&[10, max + 1])], false),
            (vec![payloads(&[10]), vec![]], false),
            (vec![payloads(&[10, max])], true),
        ] {
            let lengths: Vec<usize> = pictures.iter().flatten().map(|one| one.len()).collect();
            let slate = Slate::new(pictures, Some(0x42_c0_1f));
            assert_eq!(slate.is_some(), is_usable, "{lengths:?}");
        }
    }

    #[test]
    fn pictures_take_turns_and_sound_is_always_the_same() {
        let slate = Slate::new(vec![payloads(&[10]), payloads(&[20, 30])], None).unwrap();
        let lengths = |is_audio, count| -> Vec<usize> {
            let payloads = slate.payloads(is_audio, count).iter();
            payloads.map(|payload| payload.len()).collect()
        };
        for count in [0, 2, 4] {
            assert_eq!(lengths(false, count), [10]);
            assert_eq!(lengths(false, count + 1), [20, 30]);
            assert_eq!(lengths(true, count), [3]);
        }
    }

    const MS: Duration = Duration::from_millis(1);

    /// What is due until `until_ms`, looked at every `look_ms`: when it is sent and when it was due, in ms.
    fn due(is_audio: bool, look_ms: usize, until_ms: u32, wanted_ms: &[u32]) -> Vec<(u32, u128)> {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        let mut all = Vec::new();
        for ms in (0..until_ms).step_by(look_ms) {
            let now = start + MS * ms;
            if wanted_ms.contains(&ms) {
                schedule.on_keyframe_wanted(now);
            }
            while let Some((count, at)) = schedule.take_due(now, is_audio) {
                assert_eq!(count, all.len());
                all.push((ms, (at - start).as_millis()));
            }
        }
        all
    }

    #[test]
    fn a_picture_comes_at_once_each_second_and_when_it_is_asked_for() {
        let sent = |wanted: &[u32]| -> Vec<u32> {
            let due = due(false, 10, 2_500, wanted);
            due.into_iter().map(|(sent, _)| sent).collect()
        };
        assert_eq!(sent(&[]), [0, 1_000, 2_000]);
        assert_eq!(sent(&[500]), [0, 500, 1_500]);
        // A storm of requests is one picture each quarter of a second.
        let storm: Vec<u32> = (10..=600).step_by(10).collect();
        assert_eq!(sent(&storm), [0, 250, 500, 750, 1_750]);
    }

    #[test]
    fn sound_is_even_however_unevenly_it_is_looked_at() {
        for look_ms in [20, 7, 30, 110] {
            let due = due(true, look_ms, 1_000, &[]);
            let times: Vec<u128> = due.iter().map(|(_, at)| *at).collect();
            let even: Vec<u128> = (0..times.len() as u128).map(|at| at * 20).collect();
            assert_eq!(times, even, "looked at each {look_ms} ms");
            assert!(times.len() >= 40);
        }
        // A thread that stood still goes on from now.
        let times = due(true, 300, 1_000, &[]);
        assert_eq!(times, [(0, 0), (300, 300), (600, 600), (900, 900)]);
    }
}
