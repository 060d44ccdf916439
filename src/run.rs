//! Puts the parts together, starts them in the order in which they need one another, and stops them in the reverse one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::broadcast::{self, Broadcast};
use crate::bus::{self, Bus};
use crate::conference::{self, Conferences};
use crate::config::{self, Config};
use crate::http::listener::{self, Admission, ListenError};
use crate::http::{App, AssetError, Readiness};
use crate::media::{self, Handle, MediaConfig, MediaError, StreamKey};
use crate::notify::Sources;
use crate::outlets::{OutletError, Outlets};
use crate::recording::{self, Recorder};
use crate::shutdown::{Completion, Shutdown};
use crate::store::{History, OperatorSecret, ServerLock, Store, StoreError};
use crate::tokens::Tokens;
use crate::{auth, bridge, http, logging, open_files, shutdown, token_command};

/// The space in which the built-in performer plays.
const DEMO_SPACE: &str = "demo";

/// How long the announcement of the demo waits for its first packet. It takes some milliseconds; a machine that needs
/// longer gets the URLs all the same.
const DEMO_START_MAX: Duration = Duration::from_secs(5);

/// Open files beside connections: database, sockets of media threads, what libraries need.
const FILES_RESERVE: usize = 200;

/// How long what was recorded may take to be complete on disk, and as long again for the recorder's queue.
const RECORDINGS_END_MAX: Duration = Duration::from_secs(3);

/// How long tasks may take to end after everything else has.
const TASKS_END_MAX: Duration = Duration::from_secs(1);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The media ports.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The pages.
    #[error(transparent)]
    Assets(#[from] AssetError),
    /// The recordings' directory.
    #[error(
        "recordings cannot be kept in the data directory: {0}; give another one with --data-dir"
    )]
    Recordings(std::io::Error),
    /// OSC and webhooks.
    #[error(transparent)]
    Outlets(#[from] OutletError),
    /// No random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// No threads, no signal handlers.
    #[error(
        "the operating system refuses: {0}; the machine may be out of threads or files (ulimit -u, ulimit -n)"
    )]
    System(#[from] std::io::Error),
}

/// Runs the server until it is told to stop by SIGTERM or SIGINT. Blocks.
///
/// # Errors
/// Every reason not to start; each text says what to do. After the start it ends well.
pub fn run(config: Config) -> Result<(), RunError> {
    logging::start(&config.log_filter, config.log_json);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    make_room(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(Arc::new(config)));
    runtime.shutdown_timeout(TASKS_END_MAX);
    result
}

/// Makes room for as many open files as the limits allow connections.
fn make_room(config: &Config) {
    let wanted = config.limits.connections_max
        + conference::CONNECTIONS_PER_PARTICIPANT * config.limits.participants_max
        + FILES_RESERVE
        + config.media_threads * media::net::TCP_CONNECTIONS_MAX;
    match open_files::raise(wanted as u64) {
        Ok(limit) if limit >= wanted as u64 => {}
        Ok(limit) => tracing::warn!(
            limit,
            wanted,
            "the limit of open files is below what the limits of connections \
            allow; raise it (ulimit -n, LimitNOFILE=) or lower --connections-max"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

async fn serve(config: Arc<Config>) -> Result<(), RunError> {
    let _lock = ServerLock::take(&config.data_dir)?;
    let store = Store::open(&config.data_dir)?;
    let history = open_history(&config)?;
    let keys = auth::Keys::new(&config.spaces, Some(store.keys()))?;
    let secret = token_command::operator_secret(&config, &store)?;
    let chosen = config.secret.as_ref().map(config::Secret::reveal);
    let tokens = Tokens::following(store.secrets()?, chosen);
    let listener = listener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let media = media::spawn(&media_config(&config))?;
    let shutdown = Shutdown::default();
    shutdown::listen_for_signals(shutdown.clone())?;

    let recorder =
        Recorder::start(recording::Settings::new(&config)).map_err(RunError::Recordings)?;
    let broadcast = Broadcast::start(&media, recorder, broadcast_settings(&config))?;
    let readiness = Arc::new(Readiness::default());
    let conferences = Conferences::new(
        media.clone(),
        tokens.clone(),
        keys.clone(),
        conference_settings(&config),
        shutdown.clone(),
    );
    let bus = start_bus(&config, &history, &broadcast, &shutdown)?;
    conferences.carry(bus.clone());
    let outlets = Outlets::prepare(&config, &bus).await?;
    let app = App {
        media: media.clone(),
        broadcast: broadcast.clone(),
        conferences: conferences.clone(),
        bus: bus.clone(),
        history: history.clone(),
        keys,
        tokens,
        config: Arc::clone(&config),
        readiness: Arc::clone(&readiness),
        shutdown: shutdown.clone(),
        trusted_proxies: config.trusted_proxies.clone().into(),
        outlets: outlets.counters(),
    };
    let close_http = Shutdown::default();
    let served = start_http(listener, app, &config, &close_http)?;
    let completion = Completion::default();
    start_bridges(&config, &media, &shutdown, &completion);
    start_followers(&config, &media, &broadcast, &bus, &shutdown, &completion);
    let sources = sources(&media, &conferences, &broadcast);
    let telling = outlets.start(sources, &shutdown, &completion);
    readiness.set_started();
    tell(&config, address, &media);
    tell_secret(&secret);
    if config.demo {
        announce_when_live(&media, &shutdown, address).await;
    }
    shutdown.begun().await;
    stop(
        &config,
        &media,
        &broadcast,
        (&conferences, &bus),
        completion,
        &close_http,
        served,
    )
    .await;
    telling.finish(TASKS_END_MAX).await;
    drop((store, history));
    tracing::info!("stopped");
    Ok(())
}

fn open_history(config: &Config) -> Result<History, StoreError> {
    let named = config.spaces.iter().map(|space| space.name.as_str().into());
    let limits = (&config.messages).into();
    History::open_with(&config.data_dir, limits, named.collect())
}

fn media_config(config: &Config) -> MediaConfig {
    MediaConfig {
        rtc_port: config.rtc_port,
        threads: config.media_threads,
        public_ip: config.public_ip.clone(),
        // Not even for HTTP on loopback: behind a proxy on this machine media still comes from outside, and Firefox
        // never pairs its addresses with a loopback candidate.
        loopback_only: false,
        publishers_max: config.limits.publishers_max,
        viewers_max: config.limits.viewers_max,
        participants_max: config.limits.participants_max,
    }
}

fn broadcast_settings(config: &Config) -> broadcast::Settings {
    let mut recorded = BTreeMap::new();
    for space in &config.spaces {
        for stream in &space.streams {
            let key = StreamKey {
                space: space.name.as_str().into(),
                stream: stream.name.as_str().into(),
            };
            if let Some(record) = stream.record {
                recorded.insert(key, record);
            }
        }
    }
    broadcast::Settings {
        enabled: config.hls.enabled,
        part: config.hls.part,
        dvr_window: config.recordings.dvr_window,
        record: config.recordings.record,
        recorded,
    }
}

fn conference_settings(config: &Config) -> conference::Settings {
    conference::Settings {
        participants_max: config.limits.participants_max,
        space_participants_max: config.limits.space_participants_max,
        loudest: config.loudest,
        queue_bytes_max: conference::QUEUE_BYTES_MAX,
        ice_servers: config.ice_servers.clone(),
    }
}

fn start_bus(
    config: &Config,
    history: &History,
    broadcast: &Broadcast,
    shutdown: &Shutdown,
) -> Result<Bus, RunError> {
    let settings = bus::Settings::new(config)?;
    let (history, moments) = (history.clone(), broadcast.moments());
    Ok(Bus::start(settings, history, moments, shutdown.clone()))
}

fn start_http(
    listener: TcpListener,
    app: App,
    config: &Config,
    close: &Shutdown,
) -> Result<tokio::task::JoinHandle<()>, RunError> {
    let router = http::router(app)?;
    let admission = Admission::new(
        config.limits.connections_max,
        config.trusted_proxies.clone(),
    );
    Ok(tokio::spawn(listener::serve(
        listener,
        router,
        admission,
        close.clone(),
    )))
}

/// Starts the built-in performer, if wanted, and one task for each camera. They end when the server stops.
fn start_bridges(config: &Config, media: &Handle, shutdown: &Shutdown, completion: &Completion) {
    if config.demo {
        let media = media.clone();
        let performer = async move { bridge::run_demo(media, DEMO_SPACE).await };
        until_shutdown(performer, shutdown, completion);
    }
    for space in &config.spaces {
        for stream in &space.streams {
            let Some(url) = stream.rtsp.clone() else {
                continue;
            };
            let key = |stream: &str| StreamKey {
                space: space.name.as_str().into(),
                stream: stream.into(),
            };
            let backup_of = config.backup_of(&space.name, &stream.name).map(key);
            until_shutdown(
                bridge::run_camera(media.clone(), key(&stream.name), backup_of, url),
                shutdown,
                completion,
            );
        }
    }
}

/// Starts what follows live streams: HLS, cues in its playlists, and slates.
fn start_followers(
    config: &Config,
    media: &Handle,
    broadcast: &Broadcast,
    bus: &Bus,
    shutdown: &Shutdown,
    completion: &Completion,
) {
    let following = broadcast.clone().follow(media.clone());
    until_shutdown(following, shutdown, completion);
    let cues = bridge::run_cues(bus.clone(), broadcast.clone(), media.clone());
    until_shutdown(cues, shutdown, completion);
    let spaces = config.spaces.iter().filter(|space| space.whep_slate);
    let spaces = spaces.map(|space| space.name.as_str().into()).collect();
    let slates = bridge::run_slates(media.clone(), broadcast.clone(), spaces);
    until_shutdown(slates, shutdown, completion);
}

/// Where the events of webhooks come from.
fn sources(media: &Handle, conferences: &Conferences, broadcast: &Broadcast) -> Sources {
    Sources {
        media: media.clone(),
        conferences: conferences.clone(),
        archive: broadcast.recorder().archive().clone(),
    }
}

fn until_shutdown(
    task: impl Future<Output = ()> + Send + 'static,
    shutdown: &Shutdown,
    completion: &Completion,
) {
    let (shutdown, guard) = (shutdown.clone(), completion.guard());
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = shutdown.begun() => {}
        }
        drop(guard);
    });
}

/// Good-byes to the peers first, while HTTP still answers 503 and 404; then HTTP; then whoever is left.
async fn stop(
    config: &Config,
    media: &Handle,
    broadcast: &Broadcast,
    (conferences, bus): (&Conferences, &Bus),
    completion: Completion,
    close_http: &Shutdown,
    served: tokio::task::JoinHandle<()>,
) {
    // The threads keep to the deadline themselves; the second on top is for one that hangs.
    let limit = config.drain_max + TASKS_END_MAX;
    if tokio::time::timeout(limit, media.drain(config.drain_max))
        .await
        .is_err()
    {
        tracing::error!(
            limit_ms = limit.as_millis() as u64,
            "media threads did not stop in time"
        );
    }
    // They began to end with the shutdown, long before.
    if !conferences.drained(TASKS_END_MAX).await {
        tracing::info!("some clients of conferences did not take their good-bye in time");
    }
    if !bus.drained(TASKS_END_MAX).await {
        tracing::info!("some clients of the message bus did not take their good-bye in time");
    }
    // All packets have come: what is open is closed, and players are told that it is over.
    let broadcast = broadcast.clone();
    let recorded = tokio::task::spawn_blocking(move || broadcast.finish(RECORDINGS_END_MAX));
    if !recorded.await.unwrap_or(false) {
        tracing::warn!("recordings were not completed in time; they are at the next start");
    }
    close_http.begin();
    if served.await.is_err() {
        tracing::error!("the http listener had panicked");
    }
    if !completion.finished(TASKS_END_MAX).await {
        tracing::warn!("a camera or the demo did not end in time");
    }
}

/// The line of stdout that programs read, and the line of the log that an operator looks for first.
fn tell(config: &Config, address: SocketAddr, media: &Handle) {
    let mut stdout = std::io::stdout().lock();
    // Nobody may be listening to stdout: no reason to stop.
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    let candidates: Vec<String> = media.candidates().iter().map(ToString::to_string).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        http = %address,
        candidates = candidates.join(" "),
        public = !config.public_ip.is_empty(),
        media_threads = config.media_threads,
        data_dir = %config.data_dir.display(),
        file = config.file.as_ref().map(|path| path.display().to_string()),
        "ready: candidates carry these addresses, over UDP and TCP"
    );
}

/// A secret that was made just now is shown this once.
fn tell_secret(made: &OperatorSecret) {
    if made.is_new {
        let mut stdout = std::io::stdout().lock();
        let secret = &made.secret;
        let _ = writeln!(
            stdout,
            "operator secret, made now: {secret} (`proscenium secret` prints it again)"
        )
        .and_then(|()| stdout.flush());
    }
}

async fn announce_when_live(media: &Handle, shutdown: &Shutdown, address: SocketAddr) {
    tokio::select! {
        () = wait_for_demo(media) => announce_demo(address),
        () = shutdown.begun() => {}
    }
}

async fn wait_for_demo(media: &Handle) {
    let key = StreamKey {
        space: DEMO_SPACE.into(),
        stream: "main".into(),
    };
    let mut changes = media.directory().changes();
    let live = async {
        while !media.directory().is_live(&key) {
            // Lagging only means that more has changed; a closed channel that the server stops.
            if matches!(
                changes.recv().await,
                Err(tokio::sync::broadcast::error::RecvError::Closed)
            ) {
                return;
            }
        }
    };
    if tokio::time::timeout(DEMO_START_MAX, live).await.is_err() {
        tracing::warn!("the demo's performer is slow to start");
    }
}

fn announce_demo(address: SocketAddr) {
    let host = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let url = format!("http://{host}:{}", address.port());
    let text = format!(
        "\n\
         The demo is on. Open in a browser:\n\
         \n\
         {url}/{DEMO_SPACE:<16}  the built-in performer, live\n\
         {url}/my-stage/perform  perform yourself, from this machine's camera or screen\n\
         {url}/my-stage          where others see it\n\
         \n\
         Ctrl-C stops it.\n"
    );
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}
