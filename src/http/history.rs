//! `/api/spaces/{space}/messages`: what was said, a page at a time, and a moderator's way to take something back.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, NoContent, Response};
use axum::routing::{delete, get, options};
use bus::Moderation;
use jiff::Timestamp;
use url::form_urlencoded;
use venue::SpaceName;

use super::cors::preflight;
use super::errors::{self, Problem, short};
use super::limits::Peer;
use super::moderator::moderator;
use super::place::Space;
use super::{AppState, playback};
use crate::clock;
use crate::store::{Audit, Page, PageQuery, StoreError};

/// Messages of a page unless said otherwise.
const LIMIT_DEFAULT: usize = 100;

/// The most messages of a page.
const LIMIT_MAX: usize = 1000;

/// The longest type that is asked for.
const KIND_MAX: usize = 128;

/// The most types at once: each is a look into the history of its own.
const KINDS_MAX: usize = 8;

pub(crate) fn routes() -> Router<AppState> {
    let read = options(async || preflight("OPTIONS, GET, HEAD", &[]));
    let remove = options(async || preflight("OPTIONS, DELETE", &[]));
    Router::new()
        .route("/api/spaces/{space}/messages", get(page).merge(read))
        .route(
            "/api/spaces/{space}/messages/{seq}",
            delete(forget).merge(remove),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// What is kept of a space, oldest first.
async fn page(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    playback::may_watch(&state, peer, space.as_str(), &headers, None)?;
    let query = wanted(&space, uri.query().unwrap_or_default())?;
    let page = state.app.history.page(query).await?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from(render(&page))).into_response())
}

/// # Errors
/// 400 for a value that is none, or a parameter that nothing reads.
fn wanted(space: &SpaceName, query: &str) -> Result<PageQuery, Problem> {
    let mut wanted = PageQuery {
        channel: Some(space.as_str().to_owned()),
        count: LIMIT_DEFAULT,
        ..PageQuery::default()
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "from" => wanted.from = wanted.from.max(micros("from", &value)?),
            "to" => wanted.to = wanted.to.min(micros("to", &value)?),
            "after" => wanted.from = wanted.from.max(number("after", &value)?.saturating_add(1)),
            "limit" => {
                let limit = usize::try_from(number("limit", &value)?).ok();
                wanted.count = limit
                    .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                    .ok_or_else(|| wrong("limit", &value, "a number from 1 to 1000"))?;
            }
            "before" => wanted.to = wanted.to.min(number("before", &value)?),
            "type" => wanted.kinds = kinds(&value)?,
            "newest" => wanted.is_newest = !matches!(&*value, "" | "0" | "false"),
            _ => {
                let detail = format!(
                    "there is no parameter {}; there are from, to, after, before, type, newest and limit",
                    short(&name)
                );
                return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
            }
        }
    }
    Ok(wanted)
}

/// Types between commas.
fn kinds(value: &str) -> Result<Vec<String>, Problem> {
    let kinds: Vec<String> = value.split(',').map(str::to_owned).collect();
    let is_kind = |kind: &String| (1..=KIND_MAX).contains(&kind.len());
    if kinds.len() > KINDS_MAX || !kinds.iter().all(is_kind) {
        let expected = "a type of messages, such as CHAT, or up to eight of them between commas";
        return Err(wrong("type", value, expected));
    }
    Ok(kinds)
}

/// A time as RFC 3339 or in ms since 1970, in the microseconds that messages are numbered by.
fn micros(name: &str, value: &str) -> Result<u64, Problem> {
    if let Ok(ms) = value.parse::<u64>() {
        return Ok(ms.saturating_mul(1000));
    }
    // A plus that was not escaped has become a blank.
    let time = value.parse::<Timestamp>();
    let time = time.or_else(|_| value.replace(' ', "+").parse::<Timestamp>());
    let time = time.map_err(|_| {
        wrong(
            name,
            value,
            "a time such as 2026-11-28T20:15:00Z, or milliseconds since 1970",
        )
    })?;
    Ok(u64::try_from(time.as_microsecond()).unwrap_or(0))
}

fn number(name: &str, value: &str) -> Result<u64, Problem> {
    value
        .parse()
        .map_err(|_| wrong(name, value, "a whole number"))
}

fn wrong(name: &str, value: &str, expected: &str) -> Problem {
    let detail = format!("{name}: {} is not {expected}", short(value));
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The messages as they came, each beside what the server noted about it.
fn render(page: &Page) -> Vec<u8> {
    let length: usize = page.messages.iter().map(|one| one.raw.len() + 128).sum();
    let mut json = Vec::with_capacity(length + 64);
    json.extend_from_slice(br#"{"messages":["#);
    for (index, message) in page.messages.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&message.wrapped());
    }
    let next = page.next.map_or("null".to_owned(), |next| next.to_string());
    json.extend_from_slice(format!(r#"],"next":{next}}}"#).as_bytes());
    json
}

/// Takes a message back: it is gone from the history, and whoever shows it is told.
async fn forget(
    State(state): State<AppState>,
    Path((space, seq)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<NoContent, Problem> {
    let space = space.parse::<SpaceName>()?;
    let who = moderator(
        &state,
        peer,
        &space,
        &headers,
        "only a moderator deletes messages",
    )?;
    let seq = number("seq", &seq)?;
    tracing::info!(space = space.as_str(), seq, "a moderator deletes a message");
    let audit = Audit {
        at_ms: clock::unix_micros() / 1000,
        who,
        what: "delete",
        space: space.as_str().to_owned(),
        detail: format!("message {seq}"),
    };
    let deleted = state.app.history.delete(space.as_str(), seq, audit).await?;
    let deleted = deleted.ok_or_else(|| {
        let detail = format!("space {space} has no message {seq} (any more)");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    state.app.bus.moderate(Moderation::Delete {
        channel: space.as_str().into(),
        seq,
        id: deleted.id.as_deref().map(str::to_owned),
    });
    Ok(NoContent)
}

impl From<StoreError> for Problem {
    /// Paths and the words of the database are for the log.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Stopped | StoreError::Locked { .. } => Self::no_reply(),
            StoreError::TooManyBans { .. } | StoreError::TooManySlow { .. } => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            _ => {
                tracing::error!(%error, "the history cannot be used");
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "the history cannot be read or written; the server's log says why",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_or_milliseconds_and_what_is_neither_is_refused_in_words() {
        let space: SpaceName = "stage".parse().unwrap();
        let read = |query: &str| wanted(&space, query);
        let check = |query: &str, from: u64, to: u64| {
            let wanted = read(query).unwrap();
            assert_eq!((wanted.from, wanted.to), (from, to), "{query}");
        };
        check("", 0, u64::MAX);
        check(
            "from=1795370400123&to=1795370400124",
            1_795_370_400_123_000,
            1_795_370_400_124_000,
        );
        check("from=2026-11-22T18:00:00Z", 1_795_370_400_000_000, u64::MAX);
        check(
            "from=2026-11-22T19:00:00.5%2B01:00",
            1_795_370_400_500_000,
            u64::MAX,
        );
        check(
            "from=2026-11-22T19:00:00+01:00",
            1_795_370_400_000_000,
            u64::MAX,
        );
        check("from=1&after=5000", 5001, u64::MAX);
        check("from=6&after=5000", 6000, u64::MAX);
        check("from=1900-01-01T00:00:00Z", 0, u64::MAX);
        for (query, words) in [
            ("from=yesterday", "from: yesterday is not a time such as"),
            ("to=-1", "to: -1 is not a time"),
            ("after=x", "after: x is not a whole number"),
            ("limit=0", "limit: 0 is not a number from 1 to 1000"),
            ("limit=1001", "limit: 1001"),
            ("type=", "type: "),
            ("type=A,", "type: A, is not a type"),
            ("type=1,2,3,4,5,6,7,8,9", "up to eight"),
            ("typo=CHAT", "there is no parameter typo"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            assert!(problem.detail().contains(words), "{}", problem.detail());
        }
        let wanted = read("type=A%20B,C&limit=1000&newest=1&before=7&to=9999").unwrap();
        assert_eq!(
            (wanted.kinds, wanted.count),
            (vec!["A B".to_owned(), "C".to_owned()], 1000)
        );
        assert_eq!((wanted.is_newest, wanted.to), (true, 7));
    }
}
