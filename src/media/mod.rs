//! Media threads and the way to them. Each thread owns a `sfu::Worker`, a UDP port and a TCP port for life.
//!
//! Nothing here decides about packets (that is `sfu`) or knows HTTP. The rest of the shell talks to the threads through
//! [`Handle`]; who is live and which sessions exist is in its [`Directory`].

mod counters;
mod data;
mod directory;
mod handle;
mod mailbox;
mod mesh;
pub mod net;
mod source;
mod tap;
mod thread;

use std::net::{IpAddr, SocketAddr};

pub use counters::{Counters, LATENCY_BOUNDS_US, METRICS, Metric, MetricKind};
pub use data::{Behind, DataChannels};
pub use directory::Directory;
pub use handle::{Feed, Handle, Wish};
pub use mailbox::Mailbox;
pub use source::{Source, SourceClosed};
pub use tap::{ReaderId, TAP_ITEMS_MAX, TapWaker, Taps};
pub use venue::{
    Accepted, Backup, Gone, Refused, Restarted, SessionRecord, StreamKey, StreamSummary, TakeOver,
    Trouble,
};

use sfu::{Certificate, Transport, WorkerConfig, WorkerId};

/// Threads that can be asked for; more than any machine that this was made for has cores.
pub const THREADS_MAX: usize = 64;

/// Streams over all spaces; each takes up to 16 MB for its group of pictures while it is live.
const STREAMS_MAX: usize = 4096;

/// How the media side is set up.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// UDP and TCP port of the first media thread; the next ones follow. 0: any.
    pub rtc_port: u16,
    /// Media threads, 1 to [`THREADS_MAX`].
    pub threads: usize,
    /// What candidates carry instead of the interfaces' addresses.
    pub public_ip: Vec<IpAddr>,
    /// Only clients on this machine.
    pub loopback_only: bool,
    /// Streams with a publisher at once, of whatever kind.
    pub publishers_max: usize,
    /// Viewers at once, over all streams.
    pub viewers_max: usize,
    /// Participants at once, over all conferences.
    pub participants_max: usize,
}

/// Why the media side did not start.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A port could not be opened.
    #[error(transparent)]
    Net(#[from] net::NetError),
    /// The event queue or a thread could not be made.
    #[error(
        "cannot start a media thread: {0}; the machine may be out of files or threads (ulimit -n, ulimit -u)"
    )]
    Thread(#[from] std::io::Error),
    /// A number that makes no sense.
    #[error(
        "{0} media threads were asked for; give --media-threads a number from 1 to {THREADS_MAX}"
    )]
    Threads(usize),
}

/// Opens the ports and starts the threads.
///
/// # Errors
/// A port is taken or a thread cannot be made; the text says what to do. Nothing is left running then.
pub fn spawn(config: &MediaConfig) -> Result<Handle, MediaError> {
    if config.threads == 0 || config.threads > THREADS_MAX {
        return Err(MediaError::Threads(config.threads));
    }
    let mut sockets = Vec::with_capacity(config.threads);
    for index in 0..config.threads {
        let port = match config.rtc_port {
            0 => 0,
            first => first.saturating_add(u16::try_from(index).expect("at most THREADS_MAX")),
        };
        sockets.push(net::bind(port, config.loopback_only)?);
    }
    let certificate = Certificate::generate();
    // Participants of one conference gather on one thread: each may have all of them. Each stream may have a backup.
    let peers_max = (2 * config.publishers_max + config.viewers_max).div_ceil(config.threads)
        + config.participants_max;
    let mut announced = Vec::new();
    let mut seats = Vec::with_capacity(config.threads);
    for (index, (udp, tcp)) in sockets.into_iter().enumerate() {
        let addresses =
            net::Addresses::new(&config.public_ip, config.loopback_only, udp.has_ipv6());
        let port = udp.local_port();
        let at = |transport| {
            addresses
                .candidates()
                .iter()
                .map(move |ip| (transport, SocketAddr::new(*ip, port)))
        };
        let candidates: Vec<_> = at(Transport::Udp).chain(at(Transport::Tcp)).collect();
        announced.extend(at(Transport::Udp).map(|(_, address)| address));
        seats.push(thread::Seat {
            worker: WorkerConfig {
                id: WorkerId(u8::try_from(index).expect("at most THREADS_MAX")),
                candidates,
                certificate: certificate.clone(),
                peers_max,
                streams_max: peers_max + sfu::PUBLICATIONS_MAX * config.participants_max + 64,
            },
            udp,
            tcp,
            addresses,
        });
    }
    let (tap_outs, taps) = tap::connect(config.threads, tap::readers());
    let (links, events) = thread::start(seats, tap_outs)?;
    let limits = venue::Limits {
        streams_max: STREAMS_MAX,
        publishers_max: config.publishers_max,
        viewers_max: config.viewers_max,
        participants_max: config.participants_max,
    };
    Handle::start(links, events, announced, limits, taps).map_err(MediaError::Thread)
}
