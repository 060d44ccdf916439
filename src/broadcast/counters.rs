//! What is counted of HLS, readable from anywhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the start. Written with relaxed stores; each is exact, together they may be a moment apart.
#[derive(Debug, Default)]
pub struct BroadcastCounters {
    playlists_rendered: AtomicU64,
    parts: AtomicU64,
    segments: AtomicU64,
    keyframes_asked: AtomicU64,
    frames_lost: AtomicU64,
    sound_filled_ms: AtomicU64,
    sound_dropped_ms: AtomicU64,
    warnings: AtomicU64,
    panics: AtomicU64,
    waiters_refused: AtomicU64,
    slates: AtomicU64,
    cues_lost: AtomicU64,
    resumed: AtomicU64,
    aac_made: AtomicU64,
    aac_refused: AtomicU64,
}

/// How each number is called, without prefix and `_total`, and what it means.
pub(crate) type Named = (&'static str, &'static str, u64);

impl BroadcastCounters {
    #[expect(
        clippy::too_many_lines,
        reason = "a list, each of its entries is simple"
    )]
    pub(crate) fn all(&self) -> [Named; 15] {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            (
                "hls_playlists_rendered",
                "Media playlists that were rendered, not those that were sent.",
                of(&self.playlists_rendered),
            ),
            ("hls_parts", "Parts that were packaged.", of(&self.parts)),
            (
                "hls_segments",
                "Segments that were packaged.",
                of(&self.segments),
            ),
            (
                "hls_keyframes_asked",
                "Keyframes that were asked for at the end of a segment.",
                of(&self.keyframes_asked),
            ),
            (
                "hls_frames_lost",
                "Frames that were given up because packets of them were missing.",
                of(&self.frames_lost),
            ),
            (
                "hls_sound_filled_ms",
                "Sound that never came, or not in time, and was replaced, in milliseconds.",
                of(&self.sound_filled_ms),
            ),
            (
                "hls_sound_dropped_ms",
                "Sound that came too late and was left out, in milliseconds.",
                of(&self.sound_dropped_ms),
            ),
            (
                "hls_warnings",
                "Streams that do something that not every player takes well; the log says what.",
                of(&self.warnings),
            ),
            (
                "hls_panics",
                "Streams whose packaging was lost to a defect; please report them.",
                of(&self.panics),
            ),
            (
                "hls_waiters_refused",
                "Requests that found too many others waiting for the same playlist.",
                of(&self.waiters_refused),
            ),
            (
                "hls_slates",
                "Times that players were given a slate because nothing came from a publisher.",
                of(&self.slates),
            ),
            (
                "hls_cues_lost",
                "Cues for players that their playlists had no room for, or had to give up for newer ones.",
                of(&self.cues_lost),
            ),
            (
                "hls_resumed",
                "Streams that went on after a restart of the server.",
                of(&self.resumed),
            ),
            (
                "hls_aac_made",
                "Parts and segments whose AAC was made when somebody asked for them.",
                of(&self.aac_made),
            ),
            (
                "hls_aac_refused",
                "Requests for such that found too many others in work, or no Opus to make it of in time.",
                of(&self.aac_refused),
            ),
        ]
    }

    pub(crate) fn count_rendered(&self) {
        self.playlists_rendered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_part(&self) {
        self.parts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_segment(&self) {
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_keyframe_asked(&self) {
        self.keyframes_asked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_lost(&self, frames: u64) {
        self.frames_lost.fetch_add(frames, Ordering::Relaxed);
    }

    pub(crate) fn count_sound(&self, filled_ms: u64, dropped_ms: u64) {
        self.sound_filled_ms.fetch_add(filled_ms, Ordering::Relaxed);
        self.sound_dropped_ms
            .fetch_add(dropped_ms, Ordering::Relaxed);
    }

    pub(crate) fn count_warning(&self) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_slate(&self) {
        self.slates.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cues_lost(&self, cues: usize) {
        self.cues_lost.fetch_add(cues as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_resumed(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_aac_made(&self) {
        self.aac_made.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_aac_refused(&self) {
        self.aac_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_waiter_refused(&self) {
        self.waiters_refused.fetch_add(1, Ordering::Relaxed);
    }
}
