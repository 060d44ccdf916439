//! `Link` header values that tell a client its STUN and TURN servers, RFC 9725 section 4.6.

use std::fmt;

use crate::text::excerpt;

/// Longest URL, user name or credential in bytes; a header line stays below the 8 kB that proxies and clients accept.
pub const PART_MAX: usize = 1024;

/// Why a server cannot be put into a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not `stun:`, `stuns:`, `turn:` or `turns:` with a host.
    #[error(
        "the ICE server {0:?} is no stun:, stuns:, turn: or turns: URL; write for example stun:stun.example.org:3478"
    )]
    Url(String),
    /// A TURN server needs both.
    #[error("the ICE server {0:?} is a TURN server and needs a username and a credential")]
    Anonymous(String),
    /// A character that no header can carry, or too long.
    #[error(
        "the {part} of ICE server {url:?} has characters outside printable ASCII or is longer than {PART_MAX} bytes"
    )]
    Unprintable {
        /// `username` or `credential`.
        part: &'static str,
        /// Whose it is.
        url: String,
    },
}

/// One STUN or TURN server, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServerLink {
    url: String,
    login: Option<(String, String)>,
}

impl IceServerLink {
    /// Checks a server. A STUN server's user name and credential are ignored: there is nothing to log in to.
    ///
    /// # Errors
    /// Another scheme, a TURN server without login, or characters that a header cannot carry.
    pub fn new(
        url: &str,
        username: Option<&str>,
        credential: Option<&str>,
    ) -> Result<Self, LinkError> {
        let bad_url = || LinkError::Url(excerpt(url));
        let (scheme, host) = url.split_once(':').ok_or_else(bad_url)?;
        let scheme = scheme.to_ascii_lowercase();
        let is_turn = matches!(scheme.as_str(), "turn" | "turns");
        let is_stun = matches!(scheme.as_str(), "stun" | "stuns");
        let clean = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte);
        if !(is_turn || is_stun)
            || host.is_empty()
            || host.starts_with('/')
            || url.len() > PART_MAX
            || !host.bytes().all(clean)
        {
            return Err(bad_url());
        }
        let login = if is_turn {
            let (Some(username), Some(credential)) = (username, credential) else {
                return Err(LinkError::Anonymous(excerpt(url)));
            };
            for (part, text) in [("username", username), ("credential", credential)] {
                let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                if !printable || text.len() > PART_MAX {
                    let url = excerpt(url);
                    return Err(LinkError::Unprintable { part, url });
                }
            }
            Some((username.to_owned(), credential.to_owned()))
        } else {
            None
        };
        Ok(Self {
            url: format!("{scheme}:{host}"),
            login,
        })
    }
}

impl fmt::Display for IceServerLink {
    /// As in a `Link` header. Contains the credential: do not log it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>; rel=\"ice-server\"", self.url)?;
        if let Some((username, credential)) = &self.login {
            f.write_str("; username=")?;
            quoted(f, username)?;
            f.write_str("; credential=")?;
            quoted(f, credential)?;
            f.write_str("; credential-type=\"password\"")?;
        }
        Ok(())
    }
}

/// A quoted-string of RFC 9110 section 5.6.4.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{character}")?;
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stun_server_is_a_bare_link() {
        let link = IceServerLink::new("stun:stun.example.org:3478", Some("x"), None).unwrap();
        assert_eq!(
            link.to_string(),
            "<stun:stun.example.org:3478>; rel=\"ice-server\""
        );
    }

    #[test]
    fn a_turn_server_carries_its_login_quoted() {
        let url = "TURN:turn.example.org:3478?transport=udp";
        let link = IceServerLink::new(url, Some("a\"b\\c"), Some("p; w, <x>")).unwrap();
        assert_eq!(
            link.to_string(),
            "<turn:turn.example.org:3478?transport=udp>; rel=\"ice-server\"; username=\"a\\\"b\\\\c\"; \
             credential=\"p; w, <x>\"; credential-type=\"password\""
        );
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        for url in [
            "",
            "stun",
            "stun:",
            "http://x",
            "stun://x",
            "stun:a b",
            "stun:a>b",
            "stun:a\r\nX: y",
            "turn:\u{e9}",
        ] {
            let refused = IceServerLink::new(url, Some("u"), Some("c"));
            assert!(matches!(refused, Err(LinkError::Url(_))), "{url}");
        }
        assert!(matches!(
            IceServerLink::new("turn:t", Some("u"), None),
            Err(LinkError::Anonymous(_))
        ));
        assert!(matches!(
            IceServerLink::new("turn:t", Some("u\r\nEvil: 1"), Some("c")),
            Err(LinkError::Unprintable {
                part: "username",
                ..
            })
        ));
    }
}
