//! How many event streams of viewers there are: of each session, each household, and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tokio::sync::watch;
use uuid::Uuid;

use super::super::errors::{FULL_RETRY_S, Problem};
use super::events::EventSet;
use crate::bus::household;
use crate::media::Directory;

/// Event streams of one session: a page has one, and another one while the first is breaking.
const SESSION_MAX: usize = 4;

/// Event streams in all: each holds a socket and a task of a few kilobytes, together some 40 MB.
const STREAMS_MAX: usize = 8192;

/// What one household may have of them. Everybody behind one proxy that is not trusted is one household.
const HOUSEHOLD_MAX: usize = STREAMS_MAX / 2;

/// Sessions below which nothing is cleaned up.
const CLEAN_MIN: usize = 256;

/// All that are open, or made and not yet asked for.
#[derive(Debug, Default)]
pub(crate) struct EventStreams {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    by_session: HashMap<Uuid, Vec<Made>>,
    clean_at: usize,
}

#[derive(Debug)]
struct Made {
    id: Uuid,
    events: EventSet,
    household: Arc<str>,
    is_open: bool,
    /// Dropped with the entry: whoever listens is told by that.
    _end: watch::Sender<()>,
    ended: watch::Receiver<()>,
}

/// An open event stream; dropping it closes it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) events: EventSet,
    /// Its channel closes when the stream was ended by its client.
    pub(super) ended: watch::Receiver<()>,
    session: Uuid,
    id: Uuid,
    /// Made by `POST`: it can be opened again.
    is_kept: bool,
    inner: Arc<Mutex<Inner>>,
}

impl EventStreams {
    /// Makes a stream that is opened later, by its id.
    ///
    /// # Errors
    /// 429 when the session or its household has as many as it may have, 503 when everybody together has.
    pub(super) fn make(
        &self,
        session: Uuid,
        address: IpAddr,
        events: EventSet,
        directory: &Directory,
    ) -> Result<Uuid, Problem> {
        let mut inner = self.lock();
        inner.clean(directory);
        let household = household(address);
        inner.check(session, address, &household)?;
        let id = Uuid::new_v4();
        let (end, ended) = watch::channel(());
        inner.by_session.entry(session).or_default().push(Made {
            id,
            events,
            household,
            is_open: false,
            _end: end,
            ended,
        });
        Ok(id)
    }

    /// Opens a stream that was made.
    ///
    /// # Errors
    /// 404 for one that never was or has ended, 429 for one that is open.
    pub(super) fn open(&self, session: Uuid, id: Uuid, is_kept: bool) -> Result<Open, Problem> {
        let mut inner = self.lock();
        let made = inner.by_session.get_mut(&session);
        let made = made.and_then(|all| all.iter_mut().find(|made| made.id == id));
        let made = made.ok_or_else(no_stream)?;
        if made.is_open {
            let detail = "this event stream is being listened to; make another one with POST";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1));
        }
        made.is_open = true;
        Ok(Open {
            events: made.events,
            ended: made.ended.clone(),
            session,
            id,
            is_kept,
            inner: self.inner.clone(),
        })
    }

    /// Ends a stream.
    ///
    /// # Errors
    /// 404 for one that never was or has ended.
    pub(super) fn end(&self, session: Uuid, id: Uuid) -> Result<(), Problem> {
        if self.lock().remove(session, id) {
            Ok(())
        } else {
            Err(no_stream())
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut inner = lock(&self.inner);
        if !self.is_kept {
            inner.remove(self.session, self.id);
        } else if let Some(made) = inner
            .by_session
            .get_mut(&self.session)
            .and_then(|all| all.iter_mut().find(|made| made.id == self.id))
        {
            made.is_open = false;
        }
    }
}

impl Inner {
    /// Forgets the streams of sessions that are over.
    fn clean(&mut self, directory: &Directory) {
        if self.by_session.len() >= self.clean_at.max(CLEAN_MIN) {
            self.by_session
                .retain(|session, _| directory.session(*session).is_some());
            self.clean_at = self.by_session.len() * 2;
        }
    }

    fn check(&self, session: Uuid, address: IpAddr, household: &Arc<str>) -> Result<(), Problem> {
        let own = self.by_session.get(&session).map_or(0, Vec::len);
        let all = || self.by_session.values().flatten();
        let of_household = || all().filter(|made| made.household == *household).count();
        let too_many = |detail: String| {
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(FULL_RETRY_S))
        };
        if own >= SESSION_MAX {
            return too_many(format!(
                "this session has {own} event streams already; close one first"
            ));
        }
        if all().count() >= STREAMS_MAX {
            let detail = "there are as many event streams as there may be; try again later";
            return Err(
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(FULL_RETRY_S)
            );
        }
        if !address.is_loopback() && of_household() >= HOUSEHOLD_MAX {
            return too_many("your address has too many event streams; close some first".into());
        }
        Ok(())
    }

    fn remove(&mut self, session: Uuid, id: Uuid) -> bool {
        let Some(all) = self.by_session.get_mut(&session) else {
            return false;
        };
        let before = all.len();
        all.retain(|made| made.id != id);
        let is_removed = all.len() < before;
        if all.is_empty() {
            self.by_session.remove(&session);
        }
        is_removed
    }
}

fn no_stream() -> Problem {
    let detail = "there is no such event stream (any more); make one with POST";
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// Nothing in here is ever half changed: a poisoned lock is as good as any.
fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many event streams of one household, each of a session of its own.
    fn fill(inner: &mut Inner, count: usize, address: &str) {
        for _ in 0..count {
            let (end, ended) = watch::channel(());
            let made = Made {
                id: Uuid::new_v4(),
                events: EventSet::ALL,
                household: household(address.parse().unwrap()),
                is_open: true,
                _end: end,
                ended,
            };
            inner.by_session.insert(Uuid::new_v4(), vec![made]);
        }
    }

    #[test]
    fn a_household_has_half_of_all_event_streams_and_beyond_all_of_them_there_is_no_room() {
        let mut inner = Inner::default();
        let check = |inner: &Inner, address: &str| {
            let address = address.parse().unwrap();
            let checked = inner.check(Uuid::new_v4(), address, &household(address));
            checked.map_err(|problem| problem.status().as_u16())
        };
        fill(&mut inner, HOUSEHOLD_MAX - 1, "2001:db8::1");
        assert_eq!(check(&inner, "2001:db8::2"), Ok(()));
        fill(&mut inner, 1, "2001:db8::3");
        assert_eq!(check(&inner, "2001:db8::2"), Err(429));
        assert_eq!(check(&inner, "2001:db8:0:1::2"), Ok(()));
        assert_eq!(check(&inner, "192.0.2.1"), Ok(()));
        fill(&mut inner, STREAMS_MAX - HOUSEHOLD_MAX, "127.0.0.1");
        assert_eq!(check(&inner, "192.0.2.1"), Err(503));
        assert_eq!(check(&inner, "127.0.0.1"), Err(503));
    }
}
