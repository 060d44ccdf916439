//! `POST /area51/_upload.php`: a page uploads a face of its audience and gets the others of its feed.
//!
//! Faces live in memory for as long as their pages send new ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{options, post};
use serde::Deserialize;

use super::cors::preflight;
use super::errors::{self, Problem, short};
use super::limits::Peer;
use super::{AppState, body, playback};
use crate::clock;

/// The longest body: the small picture and a full one, which nobody ever gets to see.
const BODY_MAX: usize = 1 << 20;

/// The longest data URL of a face; 160 x 120 pixels take 5 to 10 kB.
const FACE_MAX: usize = 64 << 10;

/// The longest name of a feed or of a page.
const NAME_MAX: usize = 128;

/// How long a face stays without a new one: pages of a full house send one in some minutes.
const AGE_MAX: Duration = Duration::from_secs(180);

/// Faces of one feed; the one that was sent longest ago goes.
const FEED_MAX: usize = 500;

/// Bytes of all faces together; beyond, the feed that was quiet for longest goes.
const BYTES_MAX: usize = 64 << 20;

/// Feeds; beyond, the one that was quiet for longest goes.
const FEEDS_MAX: usize = 1000;

/// Bytes of faces in an answer, which each page gets with each face it sends.
const ANSWER_MAX: usize = 4 << 20;

pub(crate) fn routes() -> Router<AppState> {
    let options = options(async || preflight("OPTIONS, POST", &[]));
    Router::new()
        .route("/area51/_upload.php", post(upload).merge(options))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// The faces of all feeds.
#[derive(Default)]
pub(crate) struct Faces(Mutex<Feeds>);

#[derive(Default)]
struct Feeds {
    feeds: HashMap<String, Feed>,
    bytes: usize,
}

#[derive(Default)]
struct Feed {
    /// By page, so that faces keep their places.
    faces: BTreeMap<String, Face>,
    bytes: usize,
    used: Option<Instant>,
}

struct Face {
    data: Arc<str>,
    at: Instant,
}

#[derive(Deserialize)]
struct Upload<'a> {
    #[serde(borrow)]
    uuid: Cow<'a, str>,
    #[serde(borrow)]
    feed: Cow<'a, str>,
    #[serde(borrow, rename = "imgScaled")]
    scaled: Cow<'a, str>,
}

/// The type of the body is not looked at: the old page says it is plain text.
async fn upload(
    State(state): State<AppState>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&headers, body, BODY_MAX).await?;
    let upload: Upload<'_> = serde_json::from_slice(&bytes).map_err(|error| {
        let why = short(&error.to_string());
        let detail = format!(
            "the body cannot be used: {why}; send JSON with uuid, feed and imgScaled, a data URL"
        );
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    check(&upload)?;
    playback::may_watch(&state, peer, &upload.feed, &headers, None)?;
    let faces = state.faces.exchange(&upload, clock::now());
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, answer(&faces)).into_response())
}

fn check(upload: &Upload<'_>) -> Result<(), Problem> {
    for (name, value) in [("uuid", &upload.uuid), ("feed", &upload.feed)] {
        if value.is_empty() || value.len() > NAME_MAX {
            let detail = format!("{name} has {} bytes; send 1 to {NAME_MAX}", value.len());
            return Err(Problem::unprocessable(detail));
        }
    }
    if upload.scaled.len() > FACE_MAX {
        let detail = format!(
            "imgScaled has {} bytes; send a smaller picture, of at most {FACE_MAX}",
            upload.scaled.len()
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    if !is_picture(&upload.scaled) {
        let detail =
            "imgScaled is no picture; send data:image/jpeg;base64, (or png, webp) and its bytes";
        return Err(Problem::unprocessable(detail));
    }
    Ok(())
}

/// Whether it is a data URL of a picture, and so needs no escaping in JSON either.
fn is_picture(url: &str) -> bool {
    let kinds = ["jpeg", "png", "webp"];
    let data = url
        .strip_prefix("data:image/")
        .and_then(|rest| rest.split_once(";base64,"))
        .filter(|(kind, data)| kinds.contains(kind) && !data.is_empty())
        .map(|(_, data)| data.trim_end_matches('='));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    data.is_some_and(|data| !data.is_empty() && data.bytes().all(is_base64))
}

/// The old page's form of it.
fn answer(faces: &[Arc<str>]) -> String {
    let length: usize = faces.iter().map(|face| face.len() + 16).sum();
    let mut answer = String::with_capacity(length + 16);
    answer.push_str(r#"{"images":["#);
    for (index, face) in faces.iter().enumerate() {
        if index > 0 {
            answer.push(',');
        }
        answer.push_str(r#"{"imgData":""#);
        answer.push_str(face);
        answer.push_str(r#""}"#);
    }
    answer.push_str("]}");
    answer
}

impl Faces {
    /// Takes a face, and gives all of its feed, itself among them.
    fn exchange(&self, upload: &Upload<'_>, now: Instant) -> Vec<Arc<str>> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.put(upload, now);
        feeds.of(&upload.feed, &upload.uuid)
    }
}

impl Feeds {
    fn put(&mut self, upload: &Upload<'_>, now: Instant) {
        let feed = self.feeds.entry(upload.feed.clone().into_owned());
        let feed = feed.or_default();
        let before = feed.bytes;
        feed.used = Some(now);
        feed.forget_old(now);
        let face = Face {
            data: Arc::from(&*upload.scaled),
            at: now,
        };
        let page = upload.uuid.clone().into_owned();
        feed.bytes += weight(&page, &face);
        if let Some(old) = feed.faces.insert(page.clone(), face) {
            feed.bytes -= weight(&page, &old);
        }
        feed.keep_within(FEED_MAX);
        self.bytes = self.bytes + feed.bytes - before;
        while self.bytes > BYTES_MAX || self.feeds.len() > FEEDS_MAX {
            let others = self.feeds.iter().filter(|(name, _)| **name != upload.feed);
            let quietest = others.min_by_key(|(_, feed)| feed.used);
            let Some(name) = quietest.map(|(name, _)| name.clone()) else {
                return;
            };
            let gone = self.feeds.remove(&name);
            self.bytes -= gone.map_or(0, |feed| feed.bytes);
        }
    }

    /// The faces of a feed in the order of their pages, that of `page` among them however many there are.
    fn of(&self, feed: &str, page: &str) -> Vec<Arc<str>> {
        let Some(feed) = self.feeds.get(feed) else {
            return Vec::new();
        };
        let mut left = ANSWER_MAX - feed.faces.get(page).map_or(0, |face| face.data.len());
        let fits = |(name, face): &(&String, &Face)| {
            if *name == page {
                return true;
            }
            let is_room = face.data.len() <= left;
            left -= if is_room { face.data.len() } else { 0 };
            is_room
        };
        let faces = feed.faces.iter().filter(fits);
        faces.map(|(_, face)| Arc::clone(&face.data)).collect()
    }
}

impl Feed {
    fn forget_old(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.faces.retain(|page, face| {
            let stays = now.saturating_duration_since(face.at) <= AGE_MAX;
            *bytes -= if stays { 0 } else { weight(page, face) };
            stays
        });
    }

    fn keep_within(&mut self, most: usize) {
        while self.faces.len() > most {
            let oldest = self.faces.iter().min_by_key(|(_, face)| face.at);
            let Some(page) = oldest.map(|(page, _)| page.clone()) else {
                return;
            };
            if let Some(face) = self.faces.remove(&page) {
                self.bytes -= weight(&page, &face);
            }
        }
    }
}

/// What a face takes of the memory.
fn weight(page: &str, face: &Face) -> usize {
    page.len() + face.data.len() + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(uuid: &str, feed: &str, data: &str) -> Upload<'static> {
        Upload {
            uuid: uuid.to_owned().into(),
            feed: feed.to_owned().into(),
            scaled: format!("data:image/png;base64,{data}").into(),
        }
    }

    fn faces_of(feeds: &Feeds, feed: &str, page: &str) -> Vec<String> {
        let faces = feeds.of(feed, page);
        let data = faces.iter().map(|face| face.split_once(',').unwrap().1);
        data.map(str::to_owned).collect()
    }

    fn bytes(feeds: &Feeds) -> usize {
        let all = feeds.feeds.values();
        let of = |feed: &Feed| -> usize {
            let faces = feed.faces.iter();
            faces.map(|(page, face)| weight(page, face)).sum()
        };
        all.map(of).sum()
    }

    #[test]
    fn only_pictures_in_base64_are_faces() {
        let check = |url: &str, expected| assert_eq!(is_picture(url), expected, "{url}");
        for kind in ["jpeg", "png", "webp"] {
            check(&format!("data:image/{kind};base64,AAa+/9=="), true);
        }
        check("data:image/svg+xml;base64,AAAA", false);
        check("data:text/html;base64,AAAA", false);
        check("data:image/jpeg,AAAA", false);
        check("data:image/jpeg;base64,", false);
        check("data:image/jpeg;base64,==", false);
        check("data:image/jpeg;base64,A\"A", false);
        check("data:image/jpeg;base64,A<A", false);
        check("data:image/jpeg;base64,A=A", false);
        check("", false);
    }

    #[test]
    fn a_feed_has_the_newest_face_of_each_page_until_it_is_old() {
        let (mut feeds, begin) = (Feeds::default(), clock::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        feeds.put(&face("b", "stage", "BB"), at(0));
        feeds.put(&face("a", "stage", "AA"), at(1));
        feeds.put(&face("c", "other", "CC"), at(1));
        feeds.put(&face("a", "stage", "A2"), at(150));
        assert_eq!(faces_of(&feeds, "stage", "a"), ["A2", "BB"]);
        feeds.put(&face("d", "stage", "DD"), at(181));
        assert_eq!(faces_of(&feeds, "stage", "d"), ["A2", "DD"]);
        assert_eq!(faces_of(&feeds, "other", "c"), ["CC"]);
        assert_eq!(feeds.bytes, bytes(&feeds));
    }

    #[test]
    fn too_many_faces_feeds_or_bytes_push_out_the_oldest() {
        let (mut feeds, begin) = (Feeds::default(), clock::now());
        let at = |ms: usize| begin + Duration::from_millis(ms as u64);
        for number in 0..=FEED_MAX {
            feeds.put(&face(&format!("{number:04}"), "stage", "AA"), at(number));
        }
        assert_eq!(feeds.feeds["stage"].faces.len(), FEED_MAX);
        assert!(!feeds.feeds["stage"].faces.contains_key("0000"));
        for number in 0..FEEDS_MAX {
            feeds.put(
                &face("a", &format!("feed-{number}"), "AA"),
                at(1000 + number),
            );
        }
        assert_eq!(feeds.feeds.len(), FEEDS_MAX);
        assert!(!feeds.feeds.contains_key("stage"));
        let large = "A".repeat(FACE_MAX - 22);
        for number in 0..BYTES_MAX / FACE_MAX + 10 {
            let feed = format!("large-{}", number / 100);
            feeds.put(&face(&number.to_string(), &feed, &large), at(3000 + number));
        }
        assert!(feeds.bytes <= BYTES_MAX);
        assert_eq!(feeds.bytes, bytes(&feeds));
        assert!(!feeds.feeds.contains_key("large-0"));
    }

    #[test]
    fn an_answer_is_bounded_and_always_has_the_callers_own_face() {
        let (mut feeds, now) = (Feeds::default(), clock::now());
        let large = "A".repeat(FACE_MAX - 22);
        for number in 0..200 {
            feeds.put(&face(&format!("{number:04}"), "stage", &large), now);
        }
        feeds.put(&face("zz", "stage", "mine"), now);
        let faces = feeds.of("stage", "zz");
        assert_eq!(&**faces.last().unwrap(), "data:image/png;base64,mine");
        assert!(answer(&faces).len() < ANSWER_MAX + FACE_MAX);
        assert!(faces.len() > 50);
    }
}
