//! The `Link` headers that tell clients their STUN and TURN servers, written once.

use axum::http::{HeaderMap, HeaderValue, header};
use signaling::IceServerLink;

use crate::config::IceServer;

/// Ready-made header values.
pub(crate) struct IceServers(Vec<HeaderValue>);

impl IceServers {
    /// Servers that no header can carry are left out with a warning; the configuration refuses them before.
    pub(crate) fn new(servers: &[IceServer]) -> Self {
        let value = |server: &IceServer| {
            let link = IceServerLink::new(
                &server.url,
                server.username.as_deref(),
                server.credential.as_deref(),
            );
            match link.map(|link| HeaderValue::try_from(link.to_string())) {
                Ok(Ok(mut value)) => {
                    value.set_sensitive(true);
                    Some(value)
                }
                Ok(Err(_)) => None,
                Err(error) => {
                    tracing::warn!(%error, "an ice server is left out");
                    None
                }
            }
        };
        Self(servers.iter().filter_map(value).collect())
    }

    /// Adds one `Link` per server.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        for value in &self.0 {
            headers.append(header::LINK, value.clone());
        }
    }
}
