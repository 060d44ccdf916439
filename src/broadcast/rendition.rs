//! One media playlist of a live stream with the bytes it names, as HTTP sees it.

mod media;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hls::{DateRange, Hold, Part, Report, Segment, Timeline, View};
use tokio::sync::watch;

use super::counters::BroadcastCounters;
use super::rendered::Rendered;

pub use media::Media;

/// Requests that wait for one rendition's next part. A waiting request is a task and a few hundred bytes; a venue's
/// connections are fewer.
pub const WAITERS_MAX: usize = 20_000;

/// Bytes of finished segments that are kept in memory: a minute of 8 Mbit/s. What is older is read from disk.
const MEMORY_MAX: usize = 64 << 20;

/// Date ranges that wait for the next part: more than a minute without performer should have, less than a playlist takes.
const RANGES_WAITING_MAX: usize = 1024;

/// What a player wants to be left out of a playlist, `_HLS_skip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Skip {
    /// Nothing.
    #[default]
    Nothing,
    /// Segments before the skip boundary: `YES`.
    Segments,
    /// Date ranges that were added before it, too: `v2`.
    DateRanges,
}

/// Views that are rendered when somebody asks: three of the DVR window, two of keyframes.
const VIEWS: usize = 5;

/// What a playlist looks like since its newest part.
#[derive(Debug)]
pub struct State {
    /// Media sequence number and index of the part that comes next.
    pub next: (u64, u32),
    /// The initialisation segment that it needs, if nothing changes.
    next_init: u32,
    /// Parts of the last finished segment.
    last_parts: u32,
    /// Nothing will come any more.
    pub ended: bool,
    /// Nothing will come of this process.
    is_suspended: bool,
    live: Rendered,
    delta: Rendered,
    news: Rendered,
}

/// How the wait for a part ended.
#[derive(Debug)]
pub enum Held {
    /// It is there, or the stream is over.
    Ready(Arc<State>),
    /// Such a part is too far in the future to be waited for (RFC 8216bis section 6.2.5.2: more than two segments ahead).
    TooFar,
    /// The server stops, and the stream goes on with its next start.
    Suspended,
    /// Too many wait already.
    Full,
}

/// One rendition.
#[derive(Debug)]
pub struct Rendition {
    name: Arc<str>,
    inner: Mutex<Inner>,
    state: watch::Sender<Arc<State>>,
    waiters: AtomicUsize,
}

#[derive(Debug)]
struct Inner {
    timeline: Timeline,
    /// Whether the target duration is known: what is shown before would have to change it.
    has_target: bool,
    is_ended: bool,
    /// Parts of the last finished segment.
    last_parts: u32,
    inits: BTreeMap<u32, Bytes>,
    segments: VecDeque<Arc<Segment>>,
    segment_bytes: usize,
    /// Every segment of the DVR view.
    dates: VecDeque<Dated>,
    /// Of the live window's segments that are in memory, and of the open one.
    parts: VecDeque<Arc<Part>>,
    /// What is written into the playlists from the next part on, so that all that are asked for until then say the same.
    ranges: Vec<DateRange>,
    /// Those that found no room, here or in the playlist, and those that had to go for others.
    ranges_lost: usize,
    /// What is rendered when somebody asks, until the next part.
    on_demand: [Option<Arc<Rendered>>; VIEWS],
}

/// A segment of the DVR view.
#[derive(Debug)]
struct Dated {
    msn: u64,
    date_ms: u64,
    init: u32,
}

impl State {
    /// Whether there is a playlist at all.
    fn is_shown(&self) -> bool {
        !self.live.plain().is_empty()
    }

    /// Some players give up on a playlist without a whole segment.
    fn is_playable(&self) -> bool {
        self.last_parts > 0 || self.ended && self.is_shown()
    }

    /// Whether part `part` of segment `msn` is there, or all of `msn`. A part past the end of its segment means the first one of
    /// the next (RFC 8216bis section 6.2.5.2).
    pub fn has(&self, msn: u64, part: Option<u32>) -> bool {
        let (next, open_parts) = self.next;
        match part {
            None => msn < next,
            Some(part) if msn == next => part < open_parts,
            Some(part) if next.checked_sub(1) == Some(msn) => {
                part < self.last_parts || open_parts > 0
            }
            Some(_) => msn < next,
        }
    }

    /// The whole playlist.
    pub fn live(&self) -> &Rendered {
        &self.live
    }

    /// The playlist as it was asked for.
    pub fn with(&self, skip: Skip) -> &Rendered {
        match skip {
            Skip::Nothing => &self.live,
            Skip::Segments => &self.delta,
            Skip::DateRanges => &self.news,
        }
    }
}

/// One waiting request; counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Rendition {
    pub(super) fn new(name: &str, timeline: Timeline) -> Self {
        let state = State {
            next: timeline.next(),
            next_init: timeline.next_init(),
            last_parts: 0,
            ended: false,
            is_suspended: false,
            live: Rendered::new(String::new()),
            delta: Rendered::new(String::new()),
            news: Rendered::new(String::new()),
        };
        Self {
            name: name.into(),
            inner: Mutex::new(Inner {
                timeline,
                has_target: false,
                is_ended: false,
                last_parts: 0,
                inits: BTreeMap::new(),
                segments: VecDeque::new(),
                segment_bytes: 0,
                dates: VecDeque::new(),
                parts: VecDeque::new(),
                ranges: Vec::new(),
                ranges_lost: 0,
                on_demand: [const { None }; VIEWS],
            }),
            state: watch::Sender::new(Arc::new(state)),
            waiters: AtomicUsize::new(0),
        }
    }

    /// Its name in URLs.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is made in one go.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The playlist as it is now; `None` before the first whole segment.
    pub fn now(&self) -> Option<Arc<State>> {
        let state = self.state.borrow().clone();
        state.is_playable().then_some(state)
    }

    /// Whether there is anything at all of it.
    pub(super) fn has_begun(&self) -> bool {
        self.lock().timeline.report().is_some()
    }

    /// Waits until part `part` of segment `msn` exists, or all of `msn` without `part`. Cancel safe; bound its time.
    /// Of what is too many parts ahead it waits for the first of them that is ([`Hold::WaitFor`]).
    pub async fn wait(&self, msn: u64, part: Option<u32>, counters: &BroadcastCounters) -> Held {
        let mut states = self.state.subscribe();
        let is_suspended = states.borrow().is_suspended;
        let (msn, part) = match self.lock().timeline.check_request(msn, part) {
            // What is too far now will not be when the stream goes on.
            Hold::TooFar if is_suspended => return Held::Suspended,
            Hold::TooFar => return Held::TooFar,
            Hold::WaitFor { msn, part } => (msn, Some(part)),
            Hold::Ready | Hold::Wait => (msn, part),
        };
        let check = |state: &State| {
            state.is_shown() && (state.ended || state.is_suspended || state.has(msn, part))
        };
        let ready = |state: &Arc<State>| {
            if state.is_suspended && !state.has(msn, part) {
                Held::Suspended
            } else {
                Held::Ready(state.clone())
            }
        };
        {
            let state = states.borrow_and_update();
            if check(&state) {
                return ready(&state);
            }
        }
        if self.waiters.fetch_add(1, Ordering::Relaxed) >= WAITERS_MAX {
            self.waiters.fetch_sub(1, Ordering::Relaxed);
            counters.count_waiter_refused();
            return Held::Full;
        }
        let _waiting = Waiting(&self.waiters);
        match states.wait_for(|state| check(state)).await {
            Ok(state) => ready(&state),
            // The sender lives in `self`.
            Err(_) => Held::TooFar,
        }
    }

    /// Waits for the first whole segment. Cancel safe; bound its time.
    pub async fn first(&self) -> Arc<State> {
        let mut states = self.state.subscribe();
        let found = states.wait_for(|state| state.is_playable()).await;
        match found {
            Ok(state) => state.clone(),
            // The sender lives in `self`.
            Err(_) => self.state.borrow().clone(),
        }
    }

    /// Whether this is the part that the preload hint names.
    pub fn is_next(&self, msn: u64, part: u32, init: u32) -> bool {
        let state = self.state.borrow();
        !state.ended && (state.next, state.next_init) == ((msn, part), init)
    }

    /// The playlist of everything that can be gone back to; rendered at most once per part.
    pub(super) fn dvr(
        &self,
        skip: Skip,
        reports: &[Report],
        counters: &BroadcastCounters,
    ) -> Arc<Rendered> {
        let (at, view) = match skip {
            Skip::Nothing => (0, View::Dvr),
            Skip::Segments => (1, View::DvrDelta),
            Skip::DateRanges => (2, View::DvrNews),
        };
        self.on_demand((at, view), reports, counters)
    }

    /// The playlist of the keyframes, of the live window or of everything that can be gone back to; rendered at most once per
    /// part. Nothing while none can be had alone.
    pub fn keyframes(&self, is_dvr: bool, counters: &BroadcastCounters) -> Option<Arc<Rendered>> {
        let view = match is_dvr {
            true => (3, View::DvrKeyframes),
            false => (4, View::LiveKeyframes),
        };
        let has_any = self.lock().timeline.has_keyframes();
        has_any.then(|| self.on_demand(view, &[], counters))
    }

    fn on_demand(
        &self,
        (at, view): (usize, View),
        reports: &[Report],
        counters: &BroadcastCounters,
    ) -> Arc<Rendered> {
        let mut inner = self.lock();
        if let Some(rendered) = &inner.on_demand[at] {
            return rendered.clone();
        }
        let rendered = Arc::new(Rendered::new(inner.timeline.render(view, reports)));
        counters.count_rendered();
        inner.on_demand[at] = Some(rendered.clone());
        rendered
    }

    /// An initialisation section.
    pub fn init(&self, number: u32) -> Option<Bytes> {
        self.lock().inits.get(&number).cloned()
    }

    /// A finished segment that is still in memory.
    pub fn segment(&self, msn: u64) -> Option<Bytes> {
        let inner = self.lock();
        let first = inner.segments.front()?.msn;
        let at = usize::try_from(msn.checked_sub(first)?).ok()?;
        let found = inner.segments.get(at).filter(|segment| segment.msn == msn);
        found.map(|segment| segment.bytes.clone())
    }

    /// A part that is still in memory, if `init` is the initialisation segment that it needs.
    pub fn part(&self, msn: u64, index: u32, init: u32) -> Option<Bytes> {
        let inner = self.lock();
        let at = inner
            .parts
            .binary_search_by_key(&(msn, index), |part| (part.msn, part.index))
            .ok()?;
        let part = &inner.parts[at];
        (part.init == init).then(|| part.bytes.clone())
    }

    /// What other renditions say of this one.
    pub(super) fn report(&self) -> Option<Report> {
        self.lock().timeline.report()
    }

    /// Says what the target duration of this life is, before its first whole segment.
    pub(super) fn set_target_duration(&self, seconds: u32) {
        let mut inner = self.lock();
        inner.timeline.set_target_duration(seconds);
        inner.has_target = true;
    }

    /// Takes what the timeline has already: numbers, dates in ms and initialisation segments of what is on disk, and the parts of
    /// the last.
    pub(super) fn restore(&self, segments: impl Iterator<Item = (u64, u64, u32)>, last_parts: u32) {
        let mut inner = self.lock();
        inner.last_parts = last_parts;
        inner.has_target = true;
        let dated = segments.map(|(msn, date_ms, init)| Dated { msn, date_ms, init });
        inner.dates.extend(dated);
    }

    pub(super) fn add_init(&self, number: u32, bytes: Bytes) {
        self.lock().inits.insert(number, bytes);
    }

    pub(super) fn add_part(&self, part: Arc<Part>) {
        let mut inner = self.lock();
        inner.timeline.apply_part(&part);
        inner.parts.push_back(part);
    }

    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        let mut inner = self.lock();
        inner.timeline.apply_segment(&segment);
        inner.last_parts = segment.parts;
        inner.dates.push_back(Dated {
            msn: segment.msn,
            date_ms: segment.date_ms,
            init: segment.init,
        });
        inner.share_bytes(&segment);
        inner.segment_bytes += segment.bytes.len();
        inner.segments.push_back(segment);
        inner.forget();
    }

    /// Forgets what began before `oldest_ms` (unix time) in the DVR view, but nothing of the live window.
    pub(super) fn forget_before(&self, oldest_ms: u64) {
        let mut inner = self.lock();
        let window = inner.timeline.live_begin();
        let mut forgotten = None;
        while let Some(first) = inner.dates.front()
            && first.date_ms < oldest_ms
            && first.msn < window
        {
            forgotten = Some(first.msn);
            inner.dates.pop_front();
        }
        if let Some(msn) = forgotten {
            inner.timeline.forget_before(msn + 1);
            inner.forget_inits();
        }
    }

    pub(super) fn add_daterange(&self, range: DateRange) {
        let mut inner = self.lock();
        // No part may come for a minute: the performer is away.
        if inner.ranges.len() < RANGES_WAITING_MAX {
            inner.ranges.push(range);
        } else {
            inner.ranges_lost += 1;
        }
    }

    /// Sends away whoever waits.
    pub(super) fn suspend(&self) {
        let state = self.state.borrow().clone();
        self.state.send_replace(Arc::new(State {
            next: state.next,
            next_init: state.next_init,
            last_parts: state.last_parts,
            ended: state.ended,
            is_suspended: true,
            live: Rendered::new(String::from_utf8_lossy(state.live.plain()).into_owned()),
            delta: Rendered::new(String::from_utf8_lossy(state.delta.plain()).into_owned()),
            news: Rendered::new(String::from_utf8_lossy(state.news.plain()).into_owned()),
        }));
    }

    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.timeline.end();
        inner.is_ended = true;
    }

    /// Renders once, and wakes whoever waits. Returns how many date ranges were lost since the begin.
    pub(super) fn publish(&self, reports: &[Report], counters: &BroadcastCounters) -> usize {
        let mut inner = self.lock();
        inner.on_demand = [const { None }; VIEWS];
        for range in std::mem::take(&mut inner.ranges) {
            inner.ranges_lost += inner.timeline.add_daterange(range);
        }
        let ranges_lost = inner.ranges_lost;
        let render = |view| match inner.has_target {
            true => Rendered::new(inner.timeline.render(view, reports)),
            false => Rendered::new(String::new()),
        };
        let state = State {
            next: inner.timeline.next(),
            next_init: inner.timeline.next_init(),
            last_parts: inner.last_parts,
            ended: inner.is_ended,
            is_suspended: false,
            live: render(View::Live),
            delta: render(View::LiveDelta),
            news: render(View::LiveNews),
        };
        drop(inner);
        counters.count_rendered();
        self.state.send_replace(Arc::new(state));
        ranges_lost
    }
}

impl Inner {
    /// Makes the parts of a finished segment slices of it, so that nothing is held twice.
    fn share_bytes(&mut self, segment: &Segment) {
        let first = self.parts.partition_point(|part| part.msn < segment.msn);
        let mut at = 0;
        for part in self.parts.range_mut(first..) {
            let end = at + part.bytes.len();
            if part.msn != segment.msn || segment.bytes.get(at..end) != Some(&part.bytes[..]) {
                return;
            }
            *part = Arc::new(Part {
                bytes: segment.bytes.slice(at..end),
                ..Part::clone(part)
            });
            at = end;
        }
    }

    /// Lets go of what no playlist names any more, and of what is too much.
    fn forget(&mut self) {
        let window = self.timeline.live_begin();
        while self.parts.front().is_some_and(|part| part.msn < window) {
            self.parts.pop_front();
        }
        while let Some(first) = self.segments.front()
            && (first.msn + SPARE_SEGMENTS < window
                || (self.segment_bytes > MEMORY_MAX && self.segments.len() > 1))
        {
            // Its parts are slices of it: with them it would stay.
            let msn = first.msn;
            while self.parts.front().is_some_and(|part| part.msn <= msn) {
                self.parts.pop_front();
            }
            self.segment_bytes -= first.bytes.len();
            self.segments.pop_front();
        }
    }

    /// Lets go of what no segment of the DVR view needs: a publisher may change its format for years.
    fn forget_inits(&mut self) {
        if let Some(oldest) = self.dates.iter().map(|dated| dated.init).min() {
            self.inits = self.inits.split_off(&oldest);
        }
    }
}

/// Segments that stay in memory after they left the playlist: a client may still be about to fetch one that its playlist
/// names (RFC 8216bis section 6.2.2 wants the playlist's length; older ones are on disk).
const SPARE_SEGMENTS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 8 << 20;

    fn part(msn: u64, bytes: Bytes) -> Arc<Part> {
        Arc::new(Part {
            rendition: 0,
            msn,
            index: 0,
            duration: 180_000,
            timescale: 90_000,
            independent: true,
            start: 0,
            init: 0,
            discontinuity_sequence: 0,
            date_ms: 2000 * msn,
            bytes,
        })
    }

    fn segment(msn: u64, bytes: Bytes) -> Arc<Segment> {
        Arc::new(Segment {
            rendition: 0,
            msn,
            start: 0,
            duration: 180_000,
            timescale: 90_000,
            init: u32::try_from(msn / 8).unwrap(),
            discontinuity: false,
            discontinuity_sequence: 0,
            independent: true,
            date_ms: 2000 * msn,
            bytes,
            parts: 1,
            keyframe_bytes: 0,
            is_last: false,
        })
    }

    fn filled(segments: u64, bytes: usize) -> Rendition {
        let timeline = Timeline::new(hls::Settings::default(), "0123abcd", "video");
        let rendition = Rendition::new("video", timeline);
        for msn in 1..=segments {
            let bytes = Bytes::from(vec![0; bytes]);
            rendition.add_init(u32::try_from(msn / 8).unwrap(), bytes.slice(..1));
            rendition.add_part(part(msn, bytes.clone()));
            rendition.add_segment(segment(msn, bytes));
        }
        rendition
    }

    #[test]
    fn large_segments_leave_the_memory_with_their_parts() {
        let rendition = filled(16, SEGMENT);
        let held = (1..=16).filter(|msn| rendition.segment(*msn).is_some());
        assert_eq!(held.count(), MEMORY_MAX / SEGMENT);
        for msn in 1..=16 {
            let is_held = rendition.segment(msn).is_some();
            assert_eq!(rendition.part(msn, 0, 0).is_some(), is_held, "{msn}");
        }
    }

    #[test]
    fn initialisation_sections_are_forgotten_with_the_last_segment_that_needs_them() {
        let rendition = filled(64, 10);
        rendition.forget_before(2000 * 17);
        let held: Vec<u32> = (0..=8)
            .filter(|number| rendition.init(*number).is_some())
            .collect();
        assert_eq!(held, [2, 3, 4, 5, 6, 7, 8]);
    }
}
