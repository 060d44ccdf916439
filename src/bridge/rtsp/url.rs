//! A camera's address, and how to talk about it without giving its secrets away.

use std::fmt;

use percent_encoding::percent_decode_str;
use retina::client::Credentials;
use url::Url;

/// How a camera sends its RTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Interleaved with RTSP on one TCP connection.
    Tcp,
    /// RTP over UDP. Packets that come out of order count as lost.
    Udp,
}

impl Transport {
    /// What else there is to try.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Udp,
            Self::Udp => Self::Tcp,
        }
    }
}

/// Why an address cannot be used. Never repeats the address, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("the rtsp address cannot be parsed: {0}; write rtsp://user:password@host:554/path")]
    Malformed(url::ParseError),
    #[error(
        "the rtsp address begins with {0}:// instead of rtsp://; for encrypted RTSP put a tunnel (stunnel, a VPN) in front of the camera"
    )]
    Scheme(String),
    #[error("the rtsp address names no host; write rtsp://user:password@host:554/path")]
    NoHost,
    #[error("the rtsp address asks for transport={0}; write transport=tcp or transport=udp")]
    Transport(String),
}

/// A parsed `rtsp://` address. `Debug` and `Display` show scheme, host and port only: user and password are secrets, and
/// many cameras want them in the path or the query as well.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedactedUrl {
    url: Url,
    credentials: Option<Credentials>,
    transport: Option<Transport>,
}

impl RedactedUrl {
    /// Takes the credentials and our own option `transport=tcp|udp` out of the address.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let mut url = Url::parse(text).map_err(UrlError::Malformed)?;
        if url.scheme() != "rtsp" {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(UrlError::NoHost);
        }
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let password = decoded(url.password().unwrap_or_default());
        let username = decoded(url.username());
        let credentials = (!username.is_empty() || !password.is_empty())
            .then_some(Credentials { username, password });
        // Neither can fail for an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let transport = take_transport(&mut url)?;
        Ok(Self {
            url,
            credentials,
            transport,
        })
    }

    /// What the camera is asked for: without credentials and without our option.
    pub(crate) fn request_url(&self) -> Url {
        self.url.clone()
    }

    /// User and password, percent-decoded.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        self.credentials.clone()
    }

    /// What the address asks for; `None` leaves it to us.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The first line of `text`, without anything of the address that may be a secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut line = text.lines().next().unwrap_or_default().to_owned();
        let path = Some(self.url.path()).filter(|path| path.len() > 1);
        let credentials = self.credentials.as_ref();
        let of_user = credentials
            .into_iter()
            .flat_map(|user| [user.password.as_str(), user.username.as_str()]);
        let mut secrets: Vec<&str> = path
            .into_iter()
            .chain(self.url.query())
            .chain(of_user)
            .collect();
        // The longest first: a path may contain the password, and would no longer be found without it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            line = line.replace(secret, "***");
        }
        line
    }
}

/// Removes `transport=...` and leaves the rest of the query as it was written: some cameras compare it byte by byte.
fn take_transport(url: &mut Url) -> Result<Option<Transport>, UrlError> {
    let mut transport = None;
    let mut kept = Vec::new();
    for pair in url.query().unwrap_or_default().split('&') {
        match pair.strip_prefix("transport=") {
            Some("tcp") => transport = Some(Transport::Tcp),
            Some("udp") => transport = Some(Transport::Udp),
            Some(other) => return Err(UrlError::Transport(other.chars().take(16).collect())),
            None => kept.push(pair),
        }
    }
    let query = kept.join("&");
    if transport.is_some() {
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
    }
    Ok(transport)
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.credentials.is_some() {
            "***@"
        } else {
            ""
        };
        write!(
            f,
            "rtsp://{user}{}",
            self.url.host_str().unwrap_or_default()
        )?;
        match self.url.port() {
            Some(port) => write!(f, ":{port}/..."),
            None => write!(f, "/..."),
        }
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str = "rtsp://admin:s%40cret@cam.example:8554/user=admin_password=hush/1?token=quiet&transport=udp";

    #[test]
    fn nothing_that_may_be_a_secret_is_shown() {
        let url = RedactedUrl::parse(CAMERA).unwrap();
        for shown in [
            format!("{url}"),
            format!("{url:?}"),
            format!("{:#?}", Some(&url)),
        ] {
            assert!(shown.contains("cam.example:8554"), "{shown}");
            for secret in ["s@cret", "s%40cret", "admin", "hush", "quiet"] {
                assert!(!shown.contains(secret), "{shown} shows {secret}");
            }
        }
    }

    #[test]
    fn credentials_are_decoded_and_kept_out_of_the_request() {
        let url = RedactedUrl::parse(CAMERA).unwrap();
        let credentials = url.credentials().unwrap();
        assert_eq!(
            (credentials.username.as_str(), credentials.password.as_str()),
            ("admin", "s@cret")
        );
        assert_eq!(
            url.request_url().as_str(),
            "rtsp://cam.example:8554/user=admin_password=hush/1?token=quiet"
        );
        assert_eq!(url.transport(), Some(Transport::Udp));
    }

    #[test]
    fn the_rest_of_the_query_stays_as_it_was_written() {
        let request = |text: &str| RedactedUrl::parse(text).unwrap().request_url().to_string();
        assert_eq!(request("rtsp://h/p?b=%41&a"), "rtsp://h/p?b=%41&a");
        assert_eq!(request("rtsp://h/p?transport=tcp"), "rtsp://h/p");
        assert_eq!(
            request("rtsp://h/p?x=1&transport=tcp&y=%2f"),
            "rtsp://h/p?x=1&y=%2f"
        );
        assert_eq!(
            RedactedUrl::parse("rtsp://h/p").unwrap().credentials(),
            None
        );
    }

    #[test]
    fn errors_say_what_to_write_and_never_repeat_the_address() {
        for text in [
            "http://u:hush@h/",
            "rtsp://u:hush@/p",
            "rtsp://u:hush@h:99999/",
            "hush",
            "rtsp://u:hush@h/?transport=mule",
        ] {
            let error = RedactedUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
        let error = RedactedUrl::parse("rtsp://h/?transport=mule").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the rtsp address asks for transport=mule; write transport=tcp or transport=udp"
        );
    }

    #[test]
    fn messages_of_others_are_redacted_and_cut_to_a_line() {
        let url = RedactedUrl::parse(CAMERA).unwrap();
        let text = "401 for rtsp://cam.example:8554/user=admin_password=hush/1?token=quiet with s@cret\n\nconn: 1.2.3.4";
        let shown = url.redact(text);
        assert!(
            shown.starts_with("401 for rtsp://cam.example:8554"),
            "{shown}"
        );
        for secret in ["s@cret", "admin", "hush", "quiet", "1.2.3.4"] {
            assert!(!shown.contains(secret), "{shown} shows {secret}");
        }
    }
}
