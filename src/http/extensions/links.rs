//! How the extensions are announced: two `Link`s beside the session's `Location`.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::super::AppState;
use super::events::EVENTS;
use crate::broadcast::Sound;
use crate::media::{StreamKey, Trouble};

/// Set by proxies: then `Host` may be the name by which the proxy calls us.
const PROXIED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "forwarded"];

/// Adds the links to the answer that carries a viewer's SDP. `asked` are the headers of the request.
pub(crate) fn announce(asked: &HeaderMap, response: &mut Response) {
    let Some(resource) = response
        .headers()
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .map(|path| format!("{}{path}", authority(asked)))
    else {
        return;
    };
    let events = EVENTS.join(",");
    for link in [
        format!(
            "<{resource}/sse>; rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; events=\"{events}\""
        ),
        format!("<{resource}/layer>; rel=\"urn:ietf:params:whep:ext:core:layer\""),
    ] {
        if let Ok(value) = HeaderValue::try_from(link) {
            response.headers_mut().append(header::LINK, value);
        }
    }
}

/// Names the stream's HLS where browsers play it better than what this session brings.
pub(crate) fn recommend_hls(state: &AppState, key: &StreamKey, response: &mut Response) {
    let is_jerky = state
        .app
        .media
        .directory()
        .troubles(key)
        .contains(&Trouble::Reordered);
    let show = state.app.broadcast.published().show(key);
    if !is_jerky || show.is_none_or(|show| show.multivariant(Sound::Aac).is_none()) {
        return;
    }
    let StreamKey { space, stream } = key;
    let link = format!(
        "</live/{space}/{stream}.m3u8>; rel=\"alternate\"; type=\"application/vnd.apple.mpegurl\""
    );
    if let Ok(value) = HeaderValue::try_from(link) {
        response.headers_mut().append(header::LINK, value);
    }
}

/// `//host:port`, so that the address is right for three kinds of pages: those that use it as it is, also from another site;
/// those that put `https:` before it, or `https://`, where browsers skip the slashes that are too many; and those that resolve it as any reference.
/// Empty where nobody can be sure of our name.
fn authority(asked: &HeaderMap) -> String {
    let text = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST).and_then(|host| host.parse::<Authority>().ok()) else {
        return String::new();
    };
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    let is_own_page = origin.is_some_and(|(_, name)| name.eq_ignore_ascii_case(host.as_str()));
    let is_proxied = PROXIED.iter().any(|name| asked.contains_key(*name));
    let is_plain = host
        .as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if is_plain && (is_own_page || !is_proxied) {
        format!("//{host}")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_named_where_it_is_known() {
        let check = |lines: &[(&'static str, &'static str)], expected: &str| {
            let headers = lines.iter().map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            assert_eq!(authority(&headers.collect()), expected, "{lines:?}");
        };
        check(&[], "");
        check(&[("host", "venue.example")], "//venue.example");
        check(&[("host", "[::1]:7900")], "//[::1]:7900");
        check(&[("host", "somebody@venue.example")], "");
        check(&[("host", "a>b")], "");
        let proxied = ("x-forwarded-for", "192.0.2.1");
        check(&[("host", "127.0.0.1:7900"), proxied], "");
        check(
            &[
                ("host", "venue.example"),
                ("origin", "https://venue.example"),
                proxied,
            ],
            "//venue.example",
        );
        check(
            &[
                ("host", "venue.example"),
                ("origin", "https://other.example"),
            ],
            "//venue.example",
        );
    }
}
