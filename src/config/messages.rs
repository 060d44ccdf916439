//! What can be said about the message bus and about those who are told of it: OSC peers and webhooks.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigError, Secret, Settings};

/// Peers that OSC is exchanged with: a stage has a handful of machines.
pub const OSC_PEERS_MAX: usize = 32;

/// Spaces that are bridged to OSC by name.
pub const OSC_SPACES_MAX: usize = 64;

/// Receivers of webhooks; each has a queue and a thread while it is told something.
pub const WEBHOOKS_MAX: usize = 16;

/// Bytes of a file of refused words.
const WORDS_BYTES_MAX: u64 = 1_000_000;

/// Refused words: each costs a look through every chat message.
const WORDS_MAX: usize = 10_000;

/// The message bus.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagesConfig {
    /// Clients of the bus over WebSocket, at `/` and `/ws/{space}` together. 5000 of them at 40 KB are 200 MB.
    pub clients_max: usize,
    /// Messages that one client may send per second, in the long run.
    pub rate: u32,
    /// Frames of positions per second and space, 1 to 60.
    pub position_hz: u8,
    /// Whom somebody is nearer to than this they hear of at each tick, of the others less often; `None`: of all alike.
    pub position_radius: Option<f32>,
    /// What no CHAT may contain, in lower case.
    pub words: Vec<String>,
    /// Most bytes of kept messages; `None`: as many as the disk holds. A gigabyte is some three million of them.
    pub kept_bytes_max: Option<u64>,
    /// How long a message is kept; `None`: for ever.
    pub keep_max: Option<Duration>,
}

impl Default for MessagesConfig {
    fn default() -> Self {
        Self {
            clients_max: 5000,
            rate: 100,
            position_hz: 20,
            position_radius: None,
            words: Vec::new(),
            kept_bytes_max: Some(1_000_000_000),
            keep_max: None,
        }
    }
}

/// The bridge to OSC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OscConfig {
    /// Where OSC is received over UDP, and where it is sent from.
    pub listen: SocketAddr,
    /// Who may send, and who is sent to. Empty: everybody on this machine may send, nobody is sent to.
    pub peers: Vec<OscPeer>,
    /// The spaces that are bridged in both directions. Empty: what comes is for any public space, and nothing goes out.
    pub spaces: Vec<String>,
}

/// One program or machine that speaks OSC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OscPeer {
    /// It may send from here, from any port.
    pub address: IpAddr,
    /// It is sent to here; `None`: it only sends.
    pub port: Option<u16>,
}

/// Something that webhooks tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookEvent {
    /// A stream went live.
    Live,
    /// A live stream ended.
    Ended,
    /// Somebody joined a conference.
    Joined,
    /// Somebody left a conference.
    Left,
    /// A recording is complete.
    Recorded,
}

impl WebhookEvent {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Live,
        Self::Ended,
        Self::Joined,
        Self::Left,
        Self::Recorded,
    ];

    /// As in the file and in what is sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Recorded => "recorded",
        }
    }
}

/// Somebody who is told of events over HTTP: a `[[webhook]]` of the file, or `--webhook URL`.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where to: `http` or `https`. It may hold a secret in its path: never to be logged whole.
    pub url: url::Url,
    /// What of.
    pub events: Vec<WebhookEvent>,
    /// What it is signed with; `None`: it is not.
    pub secret: Option<Secret>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.url.host_str().unwrap_or_default())
            .field("events", &self.events)
            .field("secret", &self.secret)
            .finish()
    }
}

/// The bus's part of the configuration, from what was said.
pub(super) fn messages(said: &Settings) -> Result<MessagesConfig, ConfigError> {
    let defaults = MessagesConfig::default();
    Ok(MessagesConfig {
        clients_max: said.message_clients_max.unwrap_or(defaults.clients_max),
        rate: said.message_rate.unwrap_or(defaults.rate),
        position_hz: said.position_hz.unwrap_or(defaults.position_hz),
        position_radius: said.position_radius.filter(|radius| *radius > 0.0),
        words: said.words.as_deref().map_or(Ok(Vec::new()), words)?,
        kept_bytes_max: match said.messages_max_mb {
            None => defaults.kept_bytes_max,
            Some(0) => None,
            Some(megabytes) => Some(megabytes * 1_000_000),
        },
        keep_max: match said.messages_keep_days {
            None | Some(0) => None,
            Some(days) => Some(Duration::from_secs(days * 24 * 60 * 60)),
        },
    })
}

/// One word or phrase a line. Blank lines are nothing.
fn words(path: &Path) -> Result<Vec<String>, ConfigError> {
    let refused = |reason: String| {
        let path = path.display();
        ConfigError::Conflict(format!(
            "--words {path} {reason}; give a text file with one word per line, or leave it out"
        ))
    };
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length > WORDS_BYTES_MAX {
        return Err(refused(format!(
            "has {length} bytes, and {WORDS_BYTES_MAX} are the most"
        )));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let words = text.lines().map(|line| line.trim().to_lowercase());
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    if words.len() > WORDS_MAX {
        let count = words.len();
        return Err(refused(format!(
            "has {count} words, and {WORDS_MAX} are the most"
        )));
    }
    Ok(words)
}

/// The bridge to OSC, if an address for it was given.
pub(super) fn osc(said: &Settings) -> Result<Option<OscConfig>, ConfigError> {
    let peers = said.osc_peer.clone().unwrap_or_default();
    let spaces = said.osc_space.clone().unwrap_or_default();
    let Some(listen) = said.osc else {
        return if peers.is_empty() && spaces.is_empty() {
            Ok(None)
        } else {
            Err(ConfigError::Conflict(
                "--osc-peer and --osc-space do nothing without --osc; add --osc 127.0.0.1:7400"
                    .to_owned(),
            ))
        };
    };
    let too_many = |count: usize, name: &str, most: usize| {
        let text = format!("{count} of --{name}, and {most} is the most; leave some out");
        Err(ConfigError::Conflict(text))
    };
    if peers.len() > OSC_PEERS_MAX {
        return too_many(peers.len(), "osc-peer", OSC_PEERS_MAX);
    }
    if spaces.len() > OSC_SPACES_MAX {
        return too_many(spaces.len(), "osc-space", OSC_SPACES_MAX);
    }
    if peers.is_empty() && !listen.ip().is_loopback() {
        return Err(ConfigError::Conflict(format!(
            "--osc {listen} can be reached from other machines, and nobody may send; name those who may with \
             --osc-peer 192.0.2.5, or listen on 127.0.0.1:{}",
            listen.port()
        )));
    }
    for peer in &peers {
        check_reach(listen, *peer)?;
    }
    Ok(Some(OscConfig {
        listen,
        peers,
        spaces,
    }))
}

/// A socket of this machine alone, or of one family of addresses, reaches no others.
fn check_reach(listen: SocketAddr, peer: OscPeer) -> Result<(), ConfigError> {
    let is_dual = listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let advice = if listen.ip().is_loopback() != peer.address.is_loopback()
        && !listen.ip().is_unspecified()
    {
        "one is of this machine alone and the other is not"
    } else if listen.is_ipv4() != peer.address.is_ipv4() && !is_dual {
        "one is IPv4 and the other IPv6"
    } else {
        return Ok(());
    };
    Err(ConfigError::Conflict(format!(
        "--osc {listen} cannot be reached by --osc-peer {}: {advice}; listen on [::]:{} for all of them",
        peer.address,
        listen.port()
    )))
}

/// Receivers of webhooks, those without a secret of their own with the common one.
pub(super) fn webhooks(said: &Settings) -> Result<Vec<Webhook>, ConfigError> {
    let mut webhooks = said.webhook.clone().unwrap_or_default();
    if webhooks.len() > WEBHOOKS_MAX {
        return Err(ConfigError::Conflict(format!(
            "{} of --webhook, and {WEBHOOKS_MAX} is the most; leave some out",
            webhooks.len()
        )));
    }
    for webhook in &mut webhooks {
        let common = said.webhook_secret.as_ref();
        webhook.secret = webhook.secret.take().or_else(|| common.cloned());
    }
    Ok(webhooks)
}

/// What is allowed and probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(osc) = &config.osc {
        if !osc.listen.ip().is_loopback() {
            warnings.push(format!(
                "OSC at {} is not encrypted and a sender's address can be forged; let only the stage's own network \
                 reach it",
                osc.listen
            ));
        }
        if osc.spaces.is_empty() && osc.peers.iter().any(|peer| peer.port.is_some()) {
            warnings.push(
                "OSC peers with a port are sent nothing, because no space is named; name some with --osc-space"
                    .to_owned(),
            );
        }
    }
    for webhook in &config.webhooks {
        if webhook.secret.is_none() {
            warnings.push(format!(
                "the webhook at {} has no secret, so that its receiver cannot tell who calls; give one with \
                 --webhook-secret",
                webhook.url.host_str().unwrap_or_default()
            ));
        }
    }
    warnings
}
