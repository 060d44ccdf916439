//! What was refused to a client of WHIP or WHEP, in the log: an operator whom a performer calls finds it there. Once for the same
//! client and reason, not once per retry.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;
use super::errors::{Detail, short};
use super::limits::{Origin, Peer};
use crate::clock;
use crate::logging::Network;

/// For how long the same refusal is not logged again: clients retry for as long as somebody is looking for the reason.
const QUIET: Duration = Duration::from_secs(600);
/// Refusals that are remembered, at some 32 bytes each. Beyond it a new one is not logged (but counted like every answer): whoever
/// fills this is not in need of an explanation.
const KNOWN_MAX: usize = 4096;
/// Of these, how many one household can take: no one client hides another's.
const KNOWN_PER_ORIGIN_MAX: usize = 64;

/// The refusals of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When each was logged, by the hash of client and reason, and whose it was.
    logged: HashMap<u64, (Instant, Origin)>,
    shares: HashMap<Origin, usize>,
}

impl Refusals {
    /// Whether a refusal is to be logged.
    fn is_news(&self, now: Instant, origin: Origin, refusal: u64) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Instant| now.saturating_duration_since(at) < QUIET;
        if known
            .logged
            .get(&refusal)
            .is_some_and(|(at, _)| is_recent(*at))
        {
            return false;
        }
        let is_full = |known: &Known| {
            known.logged.len() >= KNOWN_MAX
                || known.shares.get(&origin).copied().unwrap_or(0) >= KNOWN_PER_ORIGIN_MAX
        };
        if is_full(&known) {
            let Known { logged, shares } = &mut *known;
            logged.retain(|_, (at, _)| is_recent(*at));
            shares.clear();
            for (_, origin) in logged.values() {
                *shares.entry(*origin).or_default() += 1;
            }
        }
        if is_full(&known) {
            return false;
        }
        if known.logged.insert(refusal, (now, origin)).is_none() {
            *known.shares.entry(origin).or_default() += 1;
        }
        true
    }
}

/// Middleware: logs what is refused to a `POST` or `PATCH`. A viewer who comes before the show is no refusal.
pub(crate) async fn log(
    State(state): State<AppState>,
    peer: Peer,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    if method != Method::POST && method != Method::PATCH {
        return next.run(request).await;
    }
    let place = place(request.uri().path());
    let agent = agent(request.headers());
    let address = peer.client(&state, request.headers());
    let response = next.run(request).await;
    let status = response.status();
    let is_early = status == StatusCode::CONFLICT && place.starts_with("/whep/");
    if !status.is_client_error() || is_early {
        return response;
    }
    let reason = response.extensions().get::<Detail>();
    let reason = reason.map_or("", |detail| detail.0.as_ref());
    let mut hasher = DefaultHasher::new();
    (address, &agent, &place, status.as_u16(), reason).hash(&mut hasher);
    if state
        .refusals
        .is_news(clock::now(), address.into(), hasher.finish())
    {
        tracing::info!(%method, place, status = status.as_u16(), reason, agent, network = %Network(address), "refused");
    }
    response
}

/// Protocol, space and stream. What follows names a session, and whoever knows that may end it.
fn place(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').take(4).collect();
    short(&parts.join("/"))
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    short(
        agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: u64) -> Origin {
        Origin::V6(number)
    }

    #[test]
    fn the_same_refusal_is_news_once_in_ten_minutes() {
        let refusals = Refusals::default();
        let now = clock::now();
        assert!(refusals.is_news(now, origin(1), 1));
        assert!(!refusals.is_news(now + QUIET / 2, origin(1), 1));
        assert!(refusals.is_news(now + QUIET / 2, origin(1), 2));
        assert!(refusals.is_news(now + QUIET, origin(1), 1));
    }

    #[test]
    fn one_household_hides_nobody_elses_and_all_of_them_are_bounded() {
        let refusals = Refusals::default();
        let now = clock::now();
        let news = (0..2 * KNOWN_PER_ORIGIN_MAX as u64)
            .filter(|refusal| refusals.is_news(now, origin(0), *refusal));
        assert_eq!(news.count(), KNOWN_PER_ORIGIN_MAX);
        assert!(refusals.is_news(now, origin(1), 1 << 32));
        for number in 0..2 * KNOWN_MAX as u64 {
            refusals.is_news(now, origin(number), 1 << 33 | number);
        }
        assert_eq!(refusals.known.lock().unwrap().logged.len(), KNOWN_MAX);
        assert!(refusals.is_news(now + QUIET, origin(0), 1 << 34));
        assert_eq!(refusals.known.lock().unwrap().logged.len(), 1);
    }

    #[test]
    fn a_place_does_not_name_the_session() {
        assert_eq!(place("/whip/demo"), "/whip/demo");
        assert_eq!(
            place("/whip/demo/main/0b7c1c9a-0000-4000-8000-000000000000"),
            "/whip/demo/main"
        );
    }
}
