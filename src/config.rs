//! What an operator can say: flags, `PROSCENIUM_*` variables and `proscenium.toml`, the same names in all three.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. On one's own machine
//! nothing needs to be said. Everything is checked before anything is started, and every complaint names the thing, the
//! value and the next step. Nothing here reads the process environment: it is passed in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod cli;
mod error;
mod file;
mod messages;
mod parse;
mod resolve;
mod secret;
mod spaces;
#[cfg(test)]
mod tests;
mod webhooks;

pub use cli::{Cli, Command, KeyCommand, Settings};
pub use error::ConfigError;
pub use messages::{
    MessagesConfig, OSC_PEERS_MAX, OSC_SPACES_MAX, OscConfig, OscPeer, WEBHOOKS_MAX, Webhook,
    WebhookEvent,
};
pub use resolve::{Environment, load};
pub use secret::Secret;

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "proscenium.toml";

/// The data directory when none is named; the same for every command, so that `key add` finds what `demo` uses.
pub const DEFAULT_DATA_DIR: &str = "proscenium-data";

/// The most media threads: what an 8-bit worker number and a block of consecutive ports leave sensible.
pub const MEDIA_THREADS_MAX: usize = 64;

/// The most voices that a conference forwards at once: as many slots for sound as a participant has.
pub const LOUDEST_MAX: usize = 16;

/// The longest DVR window in minutes, a week: a list of segments much longer than that no player wants to load.
pub const DVR_MINUTES_MAX: usize = 7 * 24 * 60;

/// Everything that the server can be told, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// The UDP and TCP port of the first media thread; the others have the next ones. 0: free ones for all.
    pub rtc_port: u16,
    /// Addresses that candidates carry instead of the interfaces' own, for a server behind NAT; empty without NAT.
    pub public_ip: Vec<IpAddr>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where the database and the recordings live; made when missing.
    pub data_dir: PathBuf,
    /// How many media threads run; at least one.
    pub media_threads: usize,
    /// Serve the pages from here instead of from the binary.
    pub web_dir: Option<PathBuf>,
    /// Spaces with a key or with cameras. Any other word makes a space, too.
    pub spaces: Vec<SpaceConfig>,
    /// STUN and TURN servers that clients are told to use (`Link` headers of WHIP and WHEP).
    pub ice_servers: Vec<IceServer>,
    /// Log as JSON lines instead of text.
    pub log_json: bool,
    /// What is logged: `tracing-subscriber` directives such as `info` or `info,sfu=debug`.
    pub log_filter: String,
    /// How many of everything.
    pub limits: Limits,
    /// How many of the loudest are heard in a conference at once, from 1 to [`LOUDEST_MAX`]; music comes on top.
    pub loudest: usize,
    /// Low-latency HLS for large audiences.
    pub hls: HlsConfig,
    /// What is kept on disk of what was live.
    pub recordings: RecordingsConfig,
    /// The message bus.
    pub messages: MessagesConfig,
    /// The bridge to OSC; `None`: there is none.
    pub osc: Option<OscConfig>,
    /// Who is told of events over HTTP.
    pub webhooks: Vec<Webhook>,
    /// What an operator presents to have tokens made over HTTP; `None`: the one that the store keeps.
    pub secret: Option<Secret>,
    /// Whether a built-in performer plays in the space `demo`.
    pub demo: bool,
    /// How long good-byes may take when the server is told to stop.
    pub drain_max: Duration,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// What looked like a mistake but is no reason not to start: to be logged as warnings.
    pub warnings: Vec<String>,
}

/// How many of everything the server takes at once. Beyond a limit the newest is refused with `503` and `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Publishers of all spaces together. 256 of them at 6 Mbit/s fill 1.5 Gbit/s of incoming line; the group of
    /// pictures kept of each is 7.5 MB at that rate and 10 s, 1.9 GB in all, and 16 MB at the very most, 4 GB in all.
    pub publishers_max: usize,
    /// Viewers of all spaces together. 5000 of them hold 1.5 GB at 300 KB each, and take 12.5 Gbit/s at 2.5 Mbit/s.
    pub viewers_max: usize,
    /// People in all conferences together. 1000 of them that each watch 2 Mbit/s take 2 Gbit/s of the line.
    pub participants_max: usize,
    /// People in the conference of one space. Everybody hears of everybody: 200 of them tell 40,000 times who came.
    pub space_participants_max: usize,
    /// Open HTTP connections. Each page holds one (its events or its WebSocket) and uses a second now and then: twice
    /// the viewers and participants, and one for each client of the message bus; 16 KB each: 272 MB.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            publishers_max: 256,
            viewers_max: 5000,
            participants_max: 1000,
            space_participants_max: 200,
            connections_max: 17_000,
        }
    }
}

/// Low-latency HLS for large audiences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HlsConfig {
    /// Whether streams are offered as HLS at all.
    pub enabled: bool,
    /// The target duration of a part, 200 to 1000 ms.
    pub part: Duration,
    /// How many viewers the pages let watch over WebRTC before they choose HLS; `0`: all watch HLS.
    pub webrtc_seats: usize,
}

impl Default for HlsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            part: Duration::from_millis(200),
            webrtc_seats: Limits::default().viewers_max,
        }
    }
}

/// What is kept on disk of what was live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingsConfig {
    /// How far a viewer can go back in a live stream; zero: not at all, and only recorded streams are written.
    pub dvr_window: Duration,
    /// Whether streams are recorded that the file says nothing about.
    pub record: bool,
    /// Most bytes of recordings and DVR windows together; `None`: as many as the disk holds. The default of 20 GB is
    /// eleven hours at 4 Mbit/s, or five and a half DVR windows of two hours.
    pub quota_bytes: Option<u64>,
    /// How long a finished recording is kept; `None`: for ever.
    pub keep_max: Option<Duration>,
}

impl Default for RecordingsConfig {
    fn default() -> Self {
        Self {
            dvr_window: Duration::from_secs(120 * 60),
            record: false,
            quota_bytes: Some(20 * GIGABYTE),
            keep_max: None,
        }
    }
}

/// As disks are sold and file managers count.
const GIGABYTE: u64 = 1_000_000_000;

/// A `[[space]]` of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct SpaceConfig {
    /// Its place in the URL, valid.
    pub name: String,
    /// What a publisher must present as its bearer token.
    pub key: Option<String>,
    /// Whether only those with a token for it may watch it.
    pub private: bool,
    /// Whether WHEP viewers are shown a slate while nobody performs.
    pub whep_slate: bool,
    /// Streams that the server itself brings in.
    pub streams: Vec<StreamConfig>,
}

/// A `[[space.stream]]` of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// The stream's name in the space, valid.
    pub name: String,
    /// The camera that performs in it, with user name and password if it wants them: never to be logged.
    pub rtsp: Option<String>,
    /// Whether it is recorded; `None`: as [`RecordingsConfig::record`] says for all.
    pub record: Option<bool>,
    /// Another stream of the space, whose publisher stands in for this one's when it is away.
    pub backup: Option<String>,
}

/// An `[[ice_server]]` of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port?transport=udp`.
    pub url: String,
    /// TURN only.
    pub username: Option<String>,
    /// TURN only.
    pub credential: Option<String>,
}

impl Default for Config {
    /// What `proscenium demo` has without any setting, but without the demo.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            rtc_port: 7900,
            public_ip: Vec::new(),
            trusted_proxies: Vec::new(),
            data_dir: PathBuf::from(DEFAULT_DATA_DIR),
            media_threads: default_media_threads(),
            web_dir: None,
            spaces: Vec::new(),
            ice_servers: Vec::new(),
            log_json: false,
            log_filter: "info".to_owned(),
            limits: Limits::default(),
            loudest: 8,
            hls: HlsConfig::default(),
            recordings: RecordingsConfig::default(),
            messages: MessagesConfig::default(),
            osc: None,
            webhooks: Vec::new(),
            secret: None,
            demo: false,
            drain_max: Duration::from_secs(5),
            file: None,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Whether this stream is recorded from its begin: as its entry in the file says, else as `record` does for all.
    #[must_use]
    pub fn is_recorded(&self, space: &str, stream: &str) -> bool {
        let spaces = self.spaces.iter().filter(|entry| entry.name == space);
        spaces
            .flat_map(|entry| &entry.streams)
            .find(|entry| entry.name == stream)
            .and_then(|entry| entry.record)
            .unwrap_or(self.recordings.record)
    }

    /// The stream whose backup this one is, if it is one.
    #[must_use]
    pub fn backup_of(&self, space: &str, stream: &str) -> Option<&str> {
        let mut spaces = self.spaces.iter();
        let space = spaces.find(|entry| entry.name == space)?;
        let mut streams = space.streams.iter();
        let main = streams.find(|entry| entry.backup.as_deref() == Some(stream))?;
        Some(&main.name)
    }
}

fn default_media_threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MEDIA_THREADS_MAX)
}

/// Writes which optional secrets are there, but not what they are.
fn veiled(secret: Option<&String>) -> &'static str {
    if secret.is_some() { "(secret)" } else { "none" }
}

impl fmt::Debug for SpaceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            key,
            private,
            whep_slate,
            streams,
        } = self;
        let key = veiled(key.as_ref());
        f.debug_struct("SpaceConfig")
            .field("name", name)
            .field("key", &key)
            .field("private", private)
            .field("whep_slate", whep_slate)
            .field("streams", streams)
            .finish()
    }
}

impl fmt::Debug for StreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rtsp = veiled(self.rtsp.as_ref());
        f.debug_struct("StreamConfig")
            .field("name", &self.name)
            .field("rtsp", &rtsp)
            .field("record", &self.record)
            .field("backup", &self.backup)
            .finish()
    }
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = veiled(self.credential.as_ref());
        f.debug_struct("IceServer")
            .field("url", &self.url)
            .field("credential", &credential)
            .finish()
    }
}
