//! The two extensions of WHEP (draft-ietf-wish-whep-03 section 4.6) beside a viewer's session: what happens to its stream, as
//! server-sent events, and which layer of the picture it is sent.
//!
//! | | |
//! |---|---|
//! | `GET .../sse` | all events at once; what browsers' `EventSource` does |
//! | `POST .../sse` | an event stream with some of the events, at `Location` |
//! | `GET`, `DELETE .../sse/{id}` | its events, its end |
//! | `GET .../layer` | the layers, as the event `layers` has them |
//! | `POST .../layer` | chooses one |
//!
//! The session's address cannot be guessed and is what gives the right, as for the session itself.

mod events;
mod layer;
mod layers;
mod links;
mod streams;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use sfu::Role;

pub(crate) use layer::wish_at_once;
pub(crate) use links::{announce, recommend_hls};
pub(crate) use streams::EventStreams;

use super::AppState;
use super::cors::preflight;
use super::errors::{self, Problem};
use super::offer::ACCEPT_POST;
use super::place::Session;
use crate::media::SessionRecord;

const JSON: &str = "application/json";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/whep/{space}/{stream}/{resource}/sse",
            post(events::subscribe)
                .get(events::listen)
                .options(async || preflight("OPTIONS, GET, HEAD, POST", &[(ACCEPT_POST, JSON)])),
        )
        .route(
            "/whep/{space}/{stream}/{resource}/sse/{events}",
            get(events::listen_to)
                .delete(events::unsubscribe)
                .options(async || preflight("OPTIONS, GET, HEAD, DELETE", &[])),
        )
        .route(
            "/whep/{space}/{stream}/{resource}/layer",
            post(layer::choose)
                .get(layer::look)
                .options(async || preflight("OPTIONS, GET, HEAD, POST", &[(ACCEPT_POST, JSON)])),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// The viewer's session at this very address.
///
/// # Errors
/// 404 when there is none.
fn find(State(state): &State<AppState>, session: &Session) -> Result<SessionRecord, Problem> {
    let record = state.app.media.directory().session(session.resource);
    record
        .filter(|record| record.role == Role::Viewer && record.key == session.key)
        .ok_or_else(Problem::no_session)
}
