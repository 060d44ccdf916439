//! What WHIP and WHEP have in common when a session begins: an SDP body comes in, `201` (or `406`) with SDP goes out.

use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use wish::EntityTag;
use wish::media_type::{SDP, SDPFRAG};
use wish::sdp::{self, Summary};

use super::AppState;
use super::body;
use super::errors::Problem;
use super::sessions::Facts;
use crate::media::{Accepted, Handle, Refused, StreamKey};

/// How long a media thread may take to answer. OBS gives a server 8 s for everything.
pub(crate) const REPLY_TIME_MAX: Duration = Duration::from_secs(5);

pub(crate) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// An SDP body and what is in it.
pub(crate) struct Sdp(String);

impl Sdp {
    /// Reads and checks the body of a request that accepts only SDP.
    ///
    /// # Errors
    /// 415, 413, 408, and 400 for what is no SDP of a WebRTC session.
    pub(crate) async fn read_offer(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let kind = body::media_type(headers, (ACCEPT_POST, SDP))?;
        if !kind.is(SDP) {
            return Err(body::unsupported(&kind, (ACCEPT_POST, SDP)));
        }
        Self::read(headers, body).await
    }

    /// Reads and checks a body that is known to be SDP.
    ///
    /// # Errors
    /// 413, 408 and 400.
    pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let bytes = body::read(headers, body, sdp::SDP_MAX).await?;
        sdp::inspect(&bytes).map_err(|error| Problem::bad_request(&error))?;
        let text = String::from_utf8(bytes.into()).map_err(|error| Problem::bad_request(&error))?;
        Ok(Self(text))
    }

    /// What it says. Reading it twice costs some microseconds and saves a self-reference.
    pub(crate) fn summary(&self) -> Summary<'_> {
        sdp::inspect(self.0.as_bytes())
            .expect("it was inspected when it was read, and has not changed")
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// A session that the media threads have accepted. Unless [`Begun::take`] is called the client will never hear of it, and it is closed.
pub(crate) struct Begun {
    accepted: Option<Accepted>,
    media: Handle,
}

impl Begun {
    /// RFC 9725 section 4.4.2: better no session than one without its picture.
    ///
    /// # Errors
    /// 422 when our answer turns down a section that wanted to send.
    pub(crate) fn check_complete(&self, offer: &Summary<'_>) -> Result<(), Problem> {
        let answer = self
            .accepted
            .as_ref()
            .and_then(|accepted| sdp::inspect(accepted.sdp.as_bytes()).ok());
        match answer.and_then(|answer| offer.refused_by(&answer)) {
            Some(kind) => Err(Problem::unprocessable(format!(
                "{kind} cannot be accepted with these codecs and profiles ({offer})"
            ))),
            None => Ok(()),
        }
    }

    /// What the client will know it by.
    pub(crate) fn resource(&self) -> Option<uuid::Uuid> {
        self.accepted.as_ref().map(|accepted| accepted.resource)
    }

    fn take(mut self) -> Option<Accepted> {
        self.accepted.take()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(Accepted { resource, .. }) = self.accepted.take() {
            let media = self.media.clone();
            tracing::debug!(%resource, "nobody waits for this session any more: closing it");
            tokio::spawn(async move {
                // It may be over already; then there is nothing to close.
                let _ = media.close(resource).await;
            });
        }
    }
}

/// Asks the media threads for a session. A client that goes away meanwhile, or a thread that answers too late, leaves no session behind.
///
/// # Errors
/// 503 when there is no answer within [`REPLY_TIME_MAX`]; inside, the refusal of the media threads.
pub(crate) async fn begin(
    media: &Handle,
    request: impl Future<Output = Result<Accepted, Refused>> + Send + 'static,
) -> Result<Result<Begun, Refused>, Problem> {
    let (sender, receiver) = oneshot::channel();
    let media = media.clone();
    // A task of its own: it ends however the client behaves, and whatever it brings is dropped with `Begun` if nobody takes it.
    tokio::spawn(async move {
        let result = request.await.map(|accepted| Begun {
            accepted: Some(accepted),
            media,
        });
        let _ = sender.send(result);
    });
    match tokio::time::timeout(REPLY_TIME_MAX, receiver).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) | Err(_) => Err(Problem::no_reply()),
    }
}

/// Waits for an answer to anything else that the media threads are asked.
///
/// # Errors
/// Their refusal, or 503 when there is no answer within [`REPLY_TIME_MAX`].
pub(crate) async fn reply<T>(
    request: impl Future<Output = Result<T, Refused>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(REPLY_TIME_MAX, request).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Problem::no_reply()),
    }
}

/// How a session is told to its client.
pub(crate) struct Telling<'a> {
    /// `whip` or `whep`.
    pub(crate) protocol: &'static str,
    pub(crate) key: &'a StreamKey,
    /// 201 or 406.
    pub(crate) status: StatusCode,
    pub(crate) content_type: HeaderValue,
    /// What an ICE restart will need; `ice_lite` and `ice_options` are read from our SDP here.
    pub(crate) facts: Facts,
}

/// The index of the first section with a picture.
fn video_line(sdp: &str) -> Option<usize> {
    let sections = sdp.lines().filter_map(|line| line.strip_prefix("m="));
    sections
        .enumerate()
        .find_map(|(at, section)| section.starts_with("video ").then_some(at))
}

/// The answer that carries our SDP.
pub(crate) fn tell(
    state: &AppState,
    begun: Begun,
    telling: Telling<'_>,
) -> Result<(uuid::Uuid, Response), Problem> {
    let accepted = begun.take().ok_or_else(Problem::no_reply)?;
    let Accepted {
        resource,
        sdp,
        etag,
    } = accepted;
    let mut facts = telling.facts;
    if let Ok(own) = sdp::inspect(sdp.as_bytes()) {
        facts.ice_lite = own.ice_lite;
        facts.ice_options = own.ice_options.map(str::to_owned);
    }
    facts.video_line = video_line(&sdp);
    state
        .sessions
        .insert(resource, facts, state.app.media.directory());
    let StreamKey { space, stream } = telling.key;
    // Relative and without a query: OBS takes it as a path.
    let location = format!("/{}/{space}/{stream}/{resource}", telling.protocol);
    let mut response = (telling.status, sdp).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, telling.content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(SDPFRAG));
    for (name, value) in [
        (header::LOCATION, location),
        (header::ETAG, EntityTag::strong(&etag).to_string()),
    ] {
        let value =
            HeaderValue::try_from(value).expect("names, UUIDs and tags are printable ASCII");
        headers.insert(name, value);
    }
    state.ice_servers.add_to(headers, true);
    Ok((resource, response))
}
