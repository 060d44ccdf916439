//! The `Link` headers that tell clients their STUN and TURN servers, written once.

use axum::http::{HeaderMap, HeaderValue, header};
use wish::IceServerLink;

use crate::config::IceServer;

/// Ready-made header values.
pub(crate) struct IceServers(Vec<IceServerHeader>);

struct IceServerHeader {
    value: HeaderValue,
    /// A TURN server's, which cost whoever runs them.
    has_login: bool,
}

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
                    let has_login = server.credential.is_some();
                    Some(IceServerHeader { value, has_login })
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

    /// Adds one `Link` per server; those with a login only for a client that may begin a session, or has.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap, may_begin: bool) {
        let shown = self
            .0
            .iter()
            .filter(|server| may_begin || !server.has_login);
        for server in shown {
            headers.append(header::LINK, server.value.clone());
        }
    }
}
