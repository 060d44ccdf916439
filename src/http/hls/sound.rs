//! AAC that was packaged while nobody wanted it: its sound is made when somebody does.
//!
//! What is made depends on the Opus around it alone, so that who asks for the same address again gets the same bytes, whether they
//! are still in memory or have to be made again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};
use transcode::{lacks_sound, opus_packets, reaches, with_sound};

use super::media::{read, rendition, too_much};
use super::room::READING;
use crate::broadcast::{AAC, Held, Media, OPUS, Rendition};
use crate::http::AppState;
use crate::http::errors::Problem;
use crate::http::limits::Origin;
use crate::media::StreamKey;

/// Parts and segments whose sound is made at a time, for the whole venue: a segment takes some hundredths of a second, and however
/// many are asked for, it is one core.
static MAKING: Semaphore = Semaphore::const_new(1);

/// What all requests share.
static PIECES: Pieces = Pieces::new();

/// Parts and segments that are in work or wait for it: with a twentieth of a second for each, the last comes within [`WAIT_MAX`].
const WAITING_MAX: usize = 64;

/// Of these, how many one household can ask for: a player loads three or four at a time. Who asks for the same waits with it, and
/// is not counted.
const WAITING_PER_HOUSEHOLD_MAX: usize = 16;

/// Bytes that stay: a quarter of an hour of sound.
const KEPT_MAX: usize = 16 << 20;

/// For how long somebody waits: for others, and at the live edge for the Opus that comes next. A part away when somebody performs,
/// and three seconds when nobody does, until there is a slate.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A part, or without one a whole segment, of a life.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    msn: u64,
    part: Option<u32>,
    life: Box<str>,
}

/// One that was asked for.
struct Piece {
    place: Place,
    origin: Origin,
    /// Empty until it is made. Whoever waits has a clone.
    made: Arc<OnceCell<Bytes>>,
}

impl Piece {
    fn bytes(&self) -> usize {
        self.made.get().map_or(0, Bytes::len)
    }

    fn is_waited_for(&self) -> bool {
        self.made.get().is_none() && Arc::strong_count(&self.made) > 1
    }
}

/// What is in work, and what was made last.
struct Pieces(Mutex<VecDeque<Piece>>);

impl Pieces {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this place, new or not; `None` if that is one too many.
    fn get(&self, place: Place, origin: Origin) -> Option<Arc<OnceCell<Bytes>>> {
        let mut pieces = self.lock();
        if let Some(at) = pieces.iter().position(|piece| piece.place == place) {
            let piece = pieces.remove(at)?;
            let made = piece.made.clone();
            pieces.push_back(piece);
            return Some(made);
        }
        pieces.retain(|piece| piece.made.get().is_some() || piece.is_waited_for());
        let waiting = pieces.iter().filter(|piece| piece.is_waited_for());
        let of_household = waiting.clone().filter(|piece| piece.origin == origin);
        if of_household.count() >= WAITING_PER_HOUSEHOLD_MAX || waiting.count() >= WAITING_MAX {
            return None;
        }
        let made = Arc::default();
        pieces.push_back(Piece {
            place,
            origin,
            made: Arc::clone(&made),
        });
        Some(made)
    }

    /// Lets go of what nobody has asked for longest, when all together is too much.
    fn forget(&self) {
        let mut pieces = self.lock();
        let mut bytes: usize = pieces.iter().map(Piece::bytes).sum();
        pieces.retain(|piece| {
            let is_too_much = bytes > KEPT_MAX && piece.bytes() > 0;
            bytes -= if is_too_much { piece.bytes() } else { 0 };
            !is_too_much
        });
    }
}

/// These bytes of a part or a segment of `name`, with sound. Cancel safe.
pub(super) async fn complete(
    state: &AppState,
    (key, origin): (&StreamKey, Origin),
    (life, name): (&str, &str),
    (msn, part): (u64, Option<u32>),
    bytes: Bytes,
) -> Result<Bytes, Problem> {
    if name != AAC || !lacks_sound(&bytes) {
        return Ok(bytes);
    }
    let counters = state.app.broadcast.counters();
    let place = Place {
        msn,
        part,
        life: life.into(),
    };
    let Some(piece) = PIECES.get(place, origin) else {
        counters.count_aac_refused();
        return Err(busy());
    };
    let make = piece.get_or_try_init(|| make(state, key, life, msn, bytes));
    let made = match tokio::time::timeout(WAIT_MAX, make).await {
        Ok(made) => made?.clone(),
        Err(_) => {
            counters.count_aac_refused();
            return Err(busy());
        }
    };
    PIECES.forget();
    let live = rendition(state, key, life, AAC);
    if live.is_some_and(|live| live.media(msn).is_some()) {
        return Ok(made);
    }
    // As all that was read from disk, for as long as the client takes to take it.
    let place = READING.try_take(made.len() as u64).ok_or_else(too_much)?;
    Ok(place.fill(made))
}

async fn make(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    msn: u64,
    bytes: Bytes,
) -> Result<Bytes, Problem> {
    let opus = opus_for(state, key, life, msn, &bytes).await?;
    let _making = MAKING.acquire().await.map_err(|_| busy())?;
    let made = tokio::task::spawn_blocking(move || {
        let packets = opus_packets(&opus);
        with_sound(&bytes, &packets)
    });
    let Ok(Some(made)) = made.await else {
        tracing::error!(%key, life, msn, "AAC cannot be made of what is packaged; please report it");
        let detail = "the sound cannot be made; ask for the playlist with ?audio=opus";
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
    };
    state.app.broadcast.counters().count_aac_made();
    Ok(made)
}

/// The Opus of a segment and of its neighbours, as far as it goes on without a discontinuity. At the live edge it waits until there
/// is enough of it for `aac`. Bound its time.
async fn opus_for(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    msn: u64,
    aac: &Bytes,
) -> Result<Vec<Bytes>, Problem> {
    let mut is_over = false;
    loop {
        let live = live_opus(state, key, life);
        let next = live.as_ref().map(|live| live.next());
        let (before, after) = (msn.saturating_sub(1), msn.saturating_add(1));
        let before = media(state, key, life, before).await?;
        let this = media(state, key, life, msn).await?;
        let after = media(state, key, life, after).await?;
        let ends = after.as_ref().map(|one| one.is_whole || one.begins_anew);
        // What is not there although later ones are was lost in a crash.
        let is_lost = next.is_some_and(|(next, _)| next > msn.saturating_add(1));
        let before = before.filter(|_| this.as_ref().is_some_and(|one| !one.begins_anew));
        let after = after.filter(|one| !one.begins_anew);
        let all = [before, this, after].into_iter().flatten();
        let opus: Vec<Bytes> = all.flat_map(|media| media.bytes).collect();
        is_over |= ends.unwrap_or(is_lost);
        let (Some(live), Some((msn, part)), false) = (live, next, is_over) else {
            return Ok(opus);
        };
        if reaches(&opus_packets(&opus), aac) {
            return Ok(opus);
        }
        let counters = state.app.broadcast.counters();
        match live.wait(msn, Some(part), counters).await {
            Held::Ready(state) => is_over = state.ended,
            // What comes with the next start comes behind a discontinuity.
            Held::Suspended => is_over = true,
            Held::TooFar | Held::Full => return Err(busy()),
        }
    }
}

/// The Opus of a life that goes on.
fn live_opus(state: &AppState, key: &StreamKey, life: &str) -> Option<Arc<Rendition>> {
    let show = state.app.broadcast.published().show(key);
    let goes_on = show.is_some_and(|show| !show.is_ended());
    goes_on.then(|| rendition(state, key, life, OPUS))?
}

/// A segment of Opus, or what there is of it, from memory or from disk.
async fn media(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    msn: u64,
) -> Result<Option<Media>, Problem> {
    let live = rendition(state, key, life, OPUS).and_then(|live| live.media(msn));
    if live.is_some() {
        return Ok(live);
    }
    let archive = state.app.broadcast.recorder().archive().clone();
    let name = life.to_owned();
    let begins_anew = move || archive.begins_anew(&name, OPUS, msn);
    let begins_anew = tokio::task::spawn_blocking(begins_anew).await;
    let bytes = read(state, life, move |archive, life| {
        archive.segment(life, OPUS, msn)
    });
    Ok(bytes.await?.map(|bytes| Media {
        bytes: vec![bytes],
        is_whole: true,
        begins_anew: begins_anew.ok().flatten().unwrap_or(true),
    }))
}

fn busy() -> Problem {
    let detail = "the sound of this part of the stream is not ready yet; try again in a second";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(msn: u64) -> Place {
        Place {
            msn,
            part: None,
            life: "0123abcd".into(),
        }
    }

    fn household(number: u8) -> Origin {
        Origin::V4([192, 0, 2, number].into())
    }

    #[test]
    fn one_household_takes_nobody_elses_turn_and_all_of_them_are_bounded() {
        let pieces = Pieces::new();
        let mut waiting = Vec::new();
        for number in 0..WAITING_PER_HOUSEHOLD_MAX as u64 {
            waiting.push(pieces.get(place(number), household(1)).unwrap());
        }
        assert!(pieces.get(place(99), household(1)).is_none());
        assert!(pieces.get(place(3), household(1)).is_some(), "in work");
        assert!(pieces.get(place(99), household(2)).is_some());
        for number in 100..100 + (WAITING_MAX - WAITING_PER_HOUSEHOLD_MAX) as u64 {
            let origin = household((number / 10) as u8);
            waiting.push(pieces.get(place(number), origin).unwrap());
        }
        assert!(pieces.get(place(999), household(200)).is_none());
        // One is done, and for another nobody waits any more.
        waiting[0].set(Bytes::from_static(b"sound")).unwrap();
        assert!(
            pieces
                .get(place(0), household(200))
                .unwrap()
                .get()
                .is_some()
        );
        waiting.swap_remove(1);
        for number in [998, 999] {
            waiting.push(pieces.get(place(number), household(200)).unwrap());
        }
        assert!(pieces.get(place(1000), household(200)).is_none());
    }

    #[test]
    fn what_was_asked_for_last_stays() {
        let pieces = Pieces::new();
        let make = |number| {
            let piece = pieces.get(place(number), household(1)).unwrap();
            let bytes = piece.get().cloned();
            if bytes.is_none() {
                piece.set(vec![0; KEPT_MAX / 4].into()).unwrap();
                pieces.forget();
            }
            bytes.is_some()
        };
        assert_eq!([0, 1, 2, 3].map(make), [false; 4]);
        assert!(make(0));
        assert!(!make(4), "one too many");
        assert_eq!([0, 2, 3, 4].map(make), [true; 4]);
        assert!(!make(1));
    }
}
