//! Everything that the server answers over HTTP: WHIP, WHEP, the API of the pages, the pages, health and metrics.
//!
//! One file per resource. What they share: [`errors`] (one style of refusal), [`place`] (names in a path), [`body`] and
//! [`limits`] (how much of everything), [`cors`]. No file here touches media: it asks [`media::Handle`] and says what came of it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::get;

use crate::auth::Keys;
use crate::broadcast::Broadcast;
use crate::bus::Bus;
use crate::conference::Conferences;
use crate::config::Config;
use crate::media;
use crate::outlets::OutletCounters;
use crate::shutdown::Shutdown;
use crate::store::History;
use crate::tokens::Tokens;

mod api;
mod area51;
mod assets;
mod bearer;
mod body;
mod cors;
mod csp;
mod elektron;
mod envelope;
mod errors;
mod events;
mod extensions;
mod health;
mod history;
mod hls;
mod json;
mod limits;
mod links;
pub mod listener;
mod metrics;
mod moderation;
mod moderator;
mod offer;
mod openvidu;
mod pages;
mod place;
mod playback;
mod range;
mod recordings;
mod refusals;
mod resource;
mod rtc;
mod sessions;
mod token;
mod variants;
mod waiting;
mod whep;
mod whip;
mod ws;

pub use assets::AssetError;
pub use health::{Readiness, Unready};

/// What the HTTP side needs of the rest of the server.
#[derive(Clone)]
pub struct App {
    /// Publishes, views and closes.
    pub media: media::Handle,
    /// Live streams as HLS, and what is kept of them.
    pub broadcast: Broadcast,
    /// The spaces' conferences.
    pub conferences: Conferences,
    /// The message bus.
    pub bus: Bus,
    /// What is kept of messages.
    pub history: History,
    /// Who may publish.
    pub keys: Keys,
    /// Who may be what in a conference, and who is an operator.
    pub tokens: Tokens,
    /// What the operator said.
    pub config: Arc<Config>,
    /// What `/readyz` says.
    pub readiness: Arc<Readiness>,
    /// Ends event streams and refuses new sessions once it has begun.
    pub shutdown: Shutdown,
    /// Proxies whose `X-Forwarded-For` is believed, by the address that they connect from. Empty: nobody's.
    pub trusted_proxies: Arc<[IpAddr]>,
    /// What OSC and webhooks count.
    pub outlets: OutletCounters,
}

/// [`App`] with what the router makes of it once.
pub(crate) struct Shared {
    pub(crate) app: App,
    pub(crate) assets: assets::Assets,
    pub(crate) ice_servers: links::IceServers,
    pub(crate) rate: limits::RateLimit,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) event_streams: extensions::EventStreams,
    pub(crate) openvidu: openvidu::Made,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) faces: area51::Faces,
    pub(crate) private: playback::PrivateSpaces,
    pub(crate) refusals: refusals::Refusals,
}

#[derive(Clone)]
pub(crate) struct AppState(pub(crate) Arc<Shared>);

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// All routes. Serve it so that requests carry `axum::extract::ConnectInfo<SocketAddr>`: without it all clients share one rate limit.
///
/// # Errors
/// When `config.web_dir` cannot be read; the message says what to do.
pub fn router(app: App) -> Result<Router, AssetError> {
    let state = AppState(Arc::new(Shared {
        assets: assets::Assets::open(app.config.web_dir.as_deref())?,
        ice_servers: links::IceServers::new(&app.config.ice_servers),
        rate: limits::RateLimit::default(),
        sessions: sessions::Sessions::default(),
        event_streams: extensions::EventStreams::default(),
        openvidu: openvidu::Made::default(),
        metrics: metrics::Metrics::new(&app),
        faces: area51::Faces::default(),
        private: playback::PrivateSpaces::new(&app.config.spaces),
        refusals: refusals::Refusals::default(),
        app,
    }));
    let open = Router::new()
        .merge(whip::routes())
        .merge(whep::routes())
        .merge(extensions::routes())
        .layer(middleware::from_fn_with_state(state.clone(), refusals::log))
        .merge(token::routes())
        .merge(openvidu::routes())
        .merge(recordings::routes())
        .merge(playback::routes())
        .merge(history::routes())
        .merge(moderation::routes())
        .layer(middleware::from_fn_with_state(
            state.clone(),
            limits::rate_limit,
        ))
        .merge(api::routes())
        .merge(hls::routes())
        .merge(rtc::routes())
        .merge(ws::routes())
        .layer(middleware::map_response(cors::allow_every_origin));
    let elektron = Router::new()
        .merge(area51::routes())
        .merge(elektron::routes())
        .layer(middleware::from_fn_with_state(
            state.clone(),
            limits::rate_limit,
        ))
        .layer(middleware::from_fn(cors::echo_origin));
    let own = Router::new()
        .merge(pages::routes())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::scrape))
        .method_not_allowed_fallback(errors::method_not_allowed);
    Ok(Router::new()
        .merge(open)
        .merge(elektron)
        .merge(own)
        .fallback(errors::not_found)
        .layer(middleware::from_fn(pages::refuse_in_words))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            metrics::count,
        ))
        .layer(middleware::map_response(cors::never_guess_types))
        .with_state(state))
}
