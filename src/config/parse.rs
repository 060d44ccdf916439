//! One value from text, for flags, environment and file alike. An error is the sentence after the value: what would do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use conference::ParticipantRole;
use tracing_subscriber::EnvFilter;
use venue::{NameError, SpaceName};

use super::messages::{OscPeer, Webhook, WebhookEvent};
use super::{DVR_MINUTES_MAX, LOUDEST_MAX, MEDIA_THREADS_MAX, Secret};
use crate::tokens::{self, Scope};

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return self::port(port).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| {
        "not an address with a port; write it like 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = number(text, 0..=65_535, "a port")?;
    u16::try_from(port).map_err(|error| error.to_string())
}

pub(super) fn public_ip(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.trim().parse().map_err(|_| {
        "not an IP address; write it like 203.0.113.7 or 2001:db8::7, without a port, and not as a name".to_owned()
    })?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(
            "no client can reach this address; give the one that the outside world uses".to_owned(),
        );
    }
    Ok(address)
}

pub(super) fn proxy(text: &str) -> Result<IpAddr, String> {
    let address = text.trim().parse::<IpAddr>();
    let address =
        address.map_err(|_| "not an IP address; write it like 10.0.0.1 or fd00::1".to_owned())?;
    Ok(address.to_canonical())
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("empty; give a path".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

pub(super) fn media_threads(text: &str) -> Result<usize, String> {
    number(text, 1..=MEDIA_THREADS_MAX, "a number of threads")
}

pub(super) fn publishers_max(text: &str) -> Result<usize, String> {
    number(text, 1..=100_000, "a number of publishers")
}

pub(super) fn viewers_max(text: &str) -> Result<usize, String> {
    number(text, 1..=1_000_000, "a number of viewers")
}

pub(super) fn participants_max(text: &str) -> Result<usize, String> {
    number(text, 1..=100_000, "a number of participants")
}

pub(super) fn loudest(text: &str) -> Result<usize, String> {
    number(text, 1..=LOUDEST_MAX, "a number of voices")
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Secret::new(text.to_owned()).map_err(str::to_owned)
}

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: NameError| error.to_string())
}

pub(super) fn role(text: &str) -> Result<ParticipantRole, String> {
    match text {
        "viewer" => Ok(ParticipantRole::Viewer),
        "participant" => Ok(ParticipantRole::Participant),
        "performer" => Ok(ParticipantRole::Performer),
        "moderator" => Ok(ParticipantRole::Moderator),
        _ => Err("no role; give viewer, participant, performer or moderator".to_owned()),
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    tokens::check_name(text).map_err(|error| format!("the name {error}"))?;
    Ok(text.to_owned())
}

pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    tokens::parse_lifetime(text).map_err(str::to_owned)
}

pub(super) fn connections_max(text: &str) -> Result<usize, String> {
    number(text, 16..=2_000_000, "a number of connections")
}

pub(super) fn drain_seconds(text: &str) -> Result<u64, String> {
    number(text, 0..=60, "a number of seconds").map(|seconds| seconds as u64)
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("neither on nor off".to_owned()),
    }
}

pub(super) fn hls_part_ms(text: &str) -> Result<u64, String> {
    number(text, 200..=1000, "a number of milliseconds").map(|ms| ms as u64)
}

pub(super) fn webrtc_seats(text: &str) -> Result<usize, String> {
    number(text, 0..=1_000_000, "a number of seats")
}

pub(super) fn dvr_window_minutes(text: &str) -> Result<u64, String> {
    number(text, 0..=DVR_MINUTES_MAX, "a number of minutes").map(|minutes| minutes as u64)
}

pub(super) fn recordings_quota_gb(text: &str) -> Result<u64, String> {
    number(text, 0..=1_000_000, "a number of gigabytes").map(|gigabytes| gigabytes as u64)
}

pub(super) fn keep_days(text: &str) -> Result<u64, String> {
    number(text, 0..=36_500, "a number of days").map(|days| days as u64)
}

pub(super) fn message_clients_max(text: &str) -> Result<usize, String> {
    number(text, 1..=1_000_000, "a number of clients")
}

pub(super) fn message_rate(text: &str) -> Result<u32, String> {
    let rate = number(text, 1..=10_000, "a number of messages per second")?;
    u32::try_from(rate).map_err(|error| error.to_string())
}

pub(super) fn position_hz(text: &str) -> Result<u8, String> {
    let rate = number(text, 1..=60, "a number of times per second")?;
    u8::try_from(rate).map_err(|error| error.to_string())
}

pub(super) fn position_radius(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(radius) if (0.0..=1e9).contains(&radius) => Ok(radius),
        _ => Err("not a distance from 0 to 1000000000, in the units of the space".to_owned()),
    }
}

pub(super) fn messages_max_mb(text: &str) -> Result<u64, String> {
    number(text, 0..=1_000_000_000, "a number of megabytes").map(|megabytes| megabytes as u64)
}

pub(super) fn osc(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, self::port(port)?)),
        None => text.parse().map_err(|_| {
            "not an address with a port; write it like 127.0.0.1:7400 or [::]:7400".to_owned()
        })?,
    };
    Ok(address)
}

pub(super) fn osc_peer(text: &str) -> Result<OscPeer, String> {
    let text = text.trim();
    let (address, port) = match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
        (Ok(address), _) => (address, None),
        (_, Ok(address)) => (address.ip(), Some(address.port())),
        _ => {
            let advice = "not an IP address; write it like 192.0.2.5, or 192.0.2.5:9000 and [fd00::5]:9000 to send to it";
            return Err(advice.to_owned());
        }
    };
    if address.is_unspecified() || address.is_multicast() || port == Some(0) {
        return Err(
            "no address of one machine; write it like 192.0.2.5 or 192.0.2.5:9000".to_owned(),
        );
    }
    Ok(OscPeer {
        address: address.to_canonical(),
        port,
    })
}

pub(super) fn space(text: &str) -> Result<String, String> {
    let name = text.trim().parse::<SpaceName>();
    name.map_err(|error| format!("no name of a space: {error}"))?;
    Ok(text.trim().to_owned())
}

/// An address that is told all events.
pub(super) fn webhook(text: &str) -> Result<Webhook, String> {
    let url = url::Url::parse(text).ok();
    let is_usable = |url: &url::Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && text.len() <= 2048
    };
    let Some(url) = url.filter(is_usable) else {
        return Err("not a URL; write it like https://example.org/hook".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name; leave it out, and give a secret".to_owned());
    }
    Ok(Webhook {
        url,
        events: WebhookEvent::ALL.to_vec(),
        secret: None,
    })
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; write it like `debug` or `info,sfu=debug`"))
}

pub(super) fn key(text: &str) -> Result<String, String> {
    crate::auth::check_chosen_key(text)
        .map(|()| text.to_owned())
        .map_err(str::to_owned)
}

fn number(text: &str, range: RangeInclusive<usize>, what: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "not {what} from {} to {}",
            range.start(),
            range.end()
        )),
    }
}
