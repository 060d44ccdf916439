//! The command line. Values are `None` when the flag is not given; defaults are applied when everything is merged.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use conference::ParticipantRole;

use super::messages::{OscPeer, Webhook};
use super::{Secret, parse};
use crate::tokens::Scope;

const HELP_TAIL: &str = "\
Every flag can also be given in the environment (--rtc-port as PROSCENIUM_RTC_PORT) and in proscenium.toml
(rtc_port = 7900). A flag wins over the environment, the environment over the file.";

/// A whole virtual performing-arts venue in one binary.
#[derive(Debug, Parser)]
#[command(name = "proscenium", version, about, after_help = HELP_TAIL, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    #[command(after_help = HELP_TAIL)]
    Serve(Box<Settings>),
    /// Run the server on this machine only, with a built-in performer in the space `demo`
    #[command(after_help = HELP_TAIL)]
    Demo(Box<Settings>),
    /// Manage the keys that publishers must present; a running server notices within a second
    Key {
        /// What to do with them.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Make a token that lets its holder into a conference, and print it with the address to give away
    Token {
        /// The space, as in its URL, or `*` for every space
        #[arg(value_parser = parse::scope)]
        space: Scope,
        /// What the holder may do
        #[arg(long, value_name = "ROLE", default_value = "participant", value_parser = parse::role)]
        role: ParticipantRole,
        /// The name that the holder has and cannot change [default: the holder chooses]
        #[arg(long, value_name = "NAME", value_parser = parse::name)]
        name: Option<String>,
        /// How long it is good: 30m, 8h, 7d; it cannot be taken back alone
        #[arg(long, value_name = "TIME", default_value = "8h", value_parser = parse::lifetime)]
        expires: Duration,
        /// Where the key that signs it is kept.
        #[command(flatten)]
        place: Place,
    },
    /// Print the operator's secret, with which `POST /api/token` makes tokens; it is made if there is none yet
    Secret {
        /// Make a new one, and end every token made so far; a running server notices within a second
        #[arg(long)]
        renew: bool,
        /// Where it is kept.
        #[command(flatten)]
        place: Place,
    },
    /// Ask the server on this machine whether it is well: exit status 0 if so (for containers)
    Health {
        /// Where the server listens, if not said in the environment or the file [default: port 8080]
        #[arg(long, value_name = "ADDR:PORT", value_parser = parse::listen)]
        listen: Option<SocketAddr>,
        /// Read this file [default: ./proscenium.toml if it exists]
        #[arg(long, value_name = "FILE", value_parser = parse::path)]
        config: Option<PathBuf>,
    },
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Give a space one more key, and print it once: only its hash is kept
    Add {
        /// The space, as in its URL
        space: String,
        /// The key to use, instead of a fresh random one (visible to others in the process list while this runs)
        #[arg(long, value_name = "K", value_parser = parse::key)]
        key: Option<String>,
        /// Where the keys are kept.
        #[command(flatten)]
        place: Place,
    },
    /// List the spaces that have keys, and when each key was made
    List {
        /// Where the keys are kept.
        #[command(flatten)]
        place: Place,
    },
    /// Remove every stored key of a space; publishers who are on stay on
    Remove {
        /// The space, as in its URL
        space: String,
        /// Where the keys are kept.
        #[command(flatten)]
        place: Place,
    },
}

/// Where keys and secrets are kept: the two settings that matter to `key`, `token` and `secret`.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// The server's data directory [default: ./proscenium-data]
    #[arg(long, value_name = "DIR", value_parser = parse::path)]
    pub data_dir: Option<PathBuf>,
    /// Read this file [default: ./proscenium.toml if it exists]
    #[arg(long, value_name = "FILE", value_parser = parse::path)]
    pub config: Option<PathBuf>,
}

impl From<Place> for Settings {
    fn from(place: Place) -> Self {
        Self {
            data_dir: place.data_dir,
            config: place.config,
            ..Self::default()
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every setting, as given in one place; [`super::load`] merges the places.
#[derive(Debug, Clone, Default, Args)]
pub struct Settings {
    /// Where HTTP listens [default: 0.0.0.0:8080 for serve, 127.0.0.1:8080 for demo]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse::listen)]
    pub listen: Option<SocketAddr>,
    /// UDP and TCP port of the first media thread, the others use the next ones; 0 takes free ones [default: 7900]
    #[arg(long, value_name = "N", value_parser = parse::port)]
    pub rtc_port: Option<u16>,
    /// Address at which clients reach this server, when it is behind NAT; repeatable, or several with commas
    #[arg(long, value_name = "IP", value_delimiter = ',', value_parser = parse::public_ip)]
    pub public_ip: Option<Vec<IpAddr>>,
    /// Reverse proxy whose X-Forwarded-For is believed; repeatable, or several with commas
    #[arg(long, value_name = "IP", value_delimiter = ',', value_parser = parse::proxy)]
    pub trusted_proxy: Option<Vec<IpAddr>>,
    /// Where keys and recordings are kept [default: ./proscenium-data]
    #[arg(long, value_name = "DIR", value_parser = parse::path)]
    pub data_dir: Option<PathBuf>,
    /// How many threads forward media, 1 to 64 [default: one for each core]
    #[arg(long, value_name = "N", value_parser = parse::media_threads)]
    pub media_threads: Option<usize>,
    /// Serve the pages from this directory instead of from the binary
    #[arg(long, value_name = "DIR", value_parser = parse::path)]
    pub web_dir: Option<PathBuf>,
    /// Read this file [default: ./proscenium.toml if it exists]
    #[arg(long, value_name = "FILE", value_parser = parse::path)]
    pub config: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// What is logged, e.g. `debug` or `info,sfu=debug` [default: RUST_LOG if set, else info]
    #[arg(long, value_name = "FILTER", value_parser = parse::log_filter)]
    pub log_level: Option<String>,
    /// Most publishers at once [default: 256]
    #[arg(long, value_name = "N", value_parser = parse::publishers_max)]
    pub publishers_max: Option<usize>,
    /// Most viewers at once, at 300 KB of memory each [default: 5000]
    #[arg(long, value_name = "N", value_parser = parse::viewers_max)]
    pub viewers_max: Option<usize>,
    /// Most people in all conferences together [default: 1000]
    #[arg(long, value_name = "N", value_parser = parse::participants_max)]
    pub participants_max: Option<usize>,
    /// Most people in the conference of one space [default: 200]
    #[arg(long, value_name = "N", value_parser = parse::participants_max)]
    pub space_participants_max: Option<usize>,
    /// How many of the loudest are heard at once in a conference, 1 to 16; music always is [default: 8]
    #[arg(long, value_name = "N", value_parser = parse::loudest)]
    pub loudest: Option<usize>,
    /// What an operator presents to have tokens made over HTTP (visible in the process list: better in the environment or
    /// the file) [default: made at the first start; `proscenium secret` prints it]
    #[arg(long, value_name = "SECRET", value_parser = parse::secret)]
    pub secret: Option<Secret>,
    /// Whether streams are offered as low-latency HLS, too: on or off [default: on]
    #[arg(long, value_name = "ON|OFF", action = ArgAction::Set, value_parser = parse::switch)]
    pub hls: Option<bool>,
    /// How long a part of low-latency HLS is, 200 to 1000 ms; viewers are a second and four of them behind [default: 200]
    #[arg(long, value_name = "MS", value_parser = parse::hls_part_ms)]
    pub hls_part_ms: Option<u64>,
    /// How many viewers the pages let watch over WebRTC before they choose HLS [default: as many as --viewers-max]
    #[arg(long, value_name = "N", value_parser = parse::webrtc_seats)]
    pub webrtc_seats: Option<usize>,
    /// Minutes that a viewer can go back in a live stream, up to 10080; 0: none, and only recorded streams are written
    /// to disk [default: 120]
    #[arg(long, value_name = "MINUTES", value_parser = parse::dvr_window_minutes)]
    pub dvr_window_minutes: Option<u64>,
    /// Whether every stream is recorded unless its entry in the file says otherwise: on or off [default: off]
    #[arg(long, value_name = "ON|OFF", action = ArgAction::Set, value_parser = parse::switch)]
    pub record: Option<bool>,
    /// Most gigabytes (10^9 bytes) of recordings and DVR windows together; 0: as much as the disk holds [default: 20]
    #[arg(long, value_name = "GB", value_parser = parse::recordings_quota_gb)]
    pub recordings_quota_gb: Option<u64>,
    /// Days after which a finished recording is deleted; 0: never [default: 0]
    #[arg(long, value_name = "DAYS", value_parser = parse::keep_days)]
    pub recordings_keep_days: Option<u64>,
    /// Most clients of the message bus over WebSocket, at 40 KB of memory each [default: 5000]
    #[arg(long, value_name = "N", value_parser = parse::message_clients_max)]
    pub message_clients_max: Option<usize>,
    /// Most messages that one client may send per second, 1 to 10000 [default: 100]
    #[arg(long, value_name = "N", value_parser = parse::message_rate)]
    pub message_rate: Option<u32>,
    /// How often per second everybody in a space is told who moved, 1 to 60 [default: 20]
    #[arg(long, value_name = "HZ", value_parser = parse::position_hz)]
    pub position_hz: Option<u8>,
    /// Up to which distance one hears of every move, and of those farther away twice a second; 0: any [default: 0]
    #[arg(long, value_name = "DISTANCE", value_parser = parse::position_radius)]
    pub position_radius: Option<f32>,
    /// A file with one word per line that no chat message may contain
    #[arg(long, value_name = "FILE", value_parser = parse::path)]
    pub words: Option<PathBuf>,
    /// Most megabytes of kept messages, the oldest of the fullest space go first; 0: as much as the disk holds [default: 1000]
    #[arg(long, value_name = "MB", value_parser = parse::messages_max_mb)]
    pub messages_max_mb: Option<u64>,
    /// Days after which a kept message is deleted; 0: never [default: 0]
    #[arg(long, value_name = "DAYS", value_parser = parse::keep_days)]
    pub messages_keep_days: Option<u64>,
    /// Exchange messages over OSC at this UDP address, such as 127.0.0.1:7400 [default: not at all]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse::osc)]
    pub osc: Option<SocketAddr>,
    /// Who may send OSC, and with a port: is sent to; repeatable, or several with commas [default: this machine may send]
    #[arg(long, value_name = "IP[:PORT]", value_delimiter = ',', value_parser = parse::osc_peer)]
    pub osc_peer: Option<Vec<OscPeer>>,
    /// A space that OSC is exchanged with; repeatable, or several with commas [default: in for every public one, out for
    /// none]
    #[arg(long, value_name = "SPACE", value_delimiter = ',', value_parser = parse::space)]
    pub osc_space: Option<Vec<String>>,
    /// Tell this URL who goes live, ends, joins, leaves and is recorded; repeatable, or several with spaces (the file can
    /// choose events)
    #[arg(long, value_name = "URL", value_delimiter = ' ', value_parser = parse::webhook)]
    pub webhook: Option<Vec<Webhook>>,
    /// What webhooks are signed with that have no secret of their own (visible in the process list: better in the
    /// environment or the file)
    #[arg(long, value_name = "SECRET", value_parser = parse::secret)]
    pub webhook_secret: Option<Secret>,
    /// Most HTTP connections at once; a page needs one or two [default: twice the viewers and
    /// participants, and the clients of the message bus]
    #[arg(long, value_name = "N", value_parser = parse::connections_max)]
    pub connections_max: Option<usize>,
    /// Most seconds for good-byes when told to stop, 0 to 60 [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = parse::drain_seconds)]
    pub drain_seconds: Option<u64>,
}

impl Settings {
    /// These settings, and those of `weaker` where these say nothing.
    #[must_use]
    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            listen: self.listen.or(weaker.listen),
            rtc_port: self.rtc_port.or(weaker.rtc_port),
            public_ip: self.public_ip.or(weaker.public_ip),
            trusted_proxy: self.trusted_proxy.or(weaker.trusted_proxy),
            data_dir: self.data_dir.or(weaker.data_dir),
            media_threads: self.media_threads.or(weaker.media_threads),
            web_dir: self.web_dir.or(weaker.web_dir),
            config: self.config.or(weaker.config),
            log: self.log.or(weaker.log),
            log_level: self.log_level.or(weaker.log_level),
            publishers_max: self.publishers_max.or(weaker.publishers_max),
            viewers_max: self.viewers_max.or(weaker.viewers_max),
            participants_max: self.participants_max.or(weaker.participants_max),
            space_participants_max: self
                .space_participants_max
                .or(weaker.space_participants_max),
            loudest: self.loudest.or(weaker.loudest),
            secret: self.secret.or(weaker.secret),
            hls: self.hls.or(weaker.hls),
            hls_part_ms: self.hls_part_ms.or(weaker.hls_part_ms),
            webrtc_seats: self.webrtc_seats.or(weaker.webrtc_seats),
            dvr_window_minutes: self.dvr_window_minutes.or(weaker.dvr_window_minutes),
            record: self.record.or(weaker.record),
            recordings_quota_gb: self.recordings_quota_gb.or(weaker.recordings_quota_gb),
            recordings_keep_days: self.recordings_keep_days.or(weaker.recordings_keep_days),
            message_clients_max: self.message_clients_max.or(weaker.message_clients_max),
            message_rate: self.message_rate.or(weaker.message_rate),
            position_hz: self.position_hz.or(weaker.position_hz),
            position_radius: self.position_radius.or(weaker.position_radius),
            words: self.words.or(weaker.words),
            messages_max_mb: self.messages_max_mb.or(weaker.messages_max_mb),
            messages_keep_days: self.messages_keep_days.or(weaker.messages_keep_days),
            osc: self.osc.or(weaker.osc),
            osc_peer: self.osc_peer.or(weaker.osc_peer),
            osc_space: self.osc_space.or(weaker.osc_space),
            webhook: self.webhook.or(weaker.webhook),
            webhook_secret: self.webhook_secret.or(weaker.webhook_secret),
            connections_max: self.connections_max.or(weaker.connections_max),
            drain_seconds: self.drain_seconds.or(weaker.drain_seconds),
        }
    }
}
