//! A whole server in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::conference::ParticipantRole;
use proscenium::auth::Keys;
use proscenium::bridge::run_slates;
use proscenium::broadcast::{self, Broadcast};
use proscenium::bus::{self, Bus};
use proscenium::conference::{self, Conferences};
use proscenium::config::{Config, SpaceConfig};
use proscenium::http::listener::{self, Admission};
use proscenium::http::{self, App, Readiness};
use proscenium::media::{self, Handle, MediaConfig, Source, StreamKey};
use proscenium::outlets::OutletCounters;
use proscenium::recording::{self, Recorder};
use proscenium::shutdown::Shutdown;
use proscenium::store::{History, HistoryLimits};
use proscenium::tokens::{Claims, KEY_LEN, Tokens};
use sfu::{Codec, CodecKind};
use tokio::net::TcpListener;

use crate::client::{Answer, Ask, ask};
use crate::offers;

/// Places on the stage and in the house of a test server.
pub(crate) const PUBLISHERS_MAX: usize = 32;
pub(crate) const VIEWERS_MAX: usize = 32;
pub(crate) const PARTICIPANTS_MAX: usize = 6;
/// What may wait for a participant who does not read: small, so that a test fills it.
pub(crate) const QUEUE_BYTES_MAX: usize = 256 * 1024;
/// What may wait for a client of the message bus.
pub(crate) const BUS_QUEUE_BYTES_MAX: usize = 1 << 20;
pub(crate) const OPERATOR_SECRET: &str = "the-secret-of-the-operator";
pub(crate) const SDP: &str = "application/sdp";
pub(crate) const SDPFRAG: &str = "application/trickle-ice-sdpfrag";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) media: Handle,
    pub(crate) conferences: Conferences,
    pub(crate) tokens: Tokens,
    pub(crate) broadcast: Broadcast,
    pub(crate) bus: Bus,
    pub(crate) history: History,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) shutdown: Shutdown,
    close: Shutdown,
    _data_dir: tempfile::TempDir,
}

/// A session as its client knows it.
pub(crate) struct Session {
    pub(crate) location: String,
    pub(crate) etag: String,
    pub(crate) answer: Answer,
}

/// HLS with its recorder, as the configuration says.
fn broadcast(config: &Config, media: &Handle) -> Broadcast {
    let recorder = Recorder::start(recording::Settings::new(config)).unwrap();
    let settings = broadcast::Settings {
        enabled: config.hls.enabled,
        part: config.hls.part,
        dvr_window: config.recordings.dvr_window,
        record: config.recordings.record,
        recorded: BTreeMap::new(),
    };
    let broadcast = Broadcast::start(media, recorder, settings).unwrap();
    tokio::spawn(broadcast.clone().follow(media.clone()));
    let spaces = config.spaces.iter().filter(|space| space.whep_slate);
    let spaces = spaces.map(|space| space.name.as_str().into()).collect();
    tokio::spawn(run_slates(media.clone(), broadcast.clone(), spaces));
    broadcast
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With a space `locked` whose key is `open-sesame`.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, change)
    }

    /// With a listener that has options of its own.
    #[expect(
        clippy::too_many_lines,
        reason = "a server has many parts, each is started once"
    )]
    pub(crate) fn start_on(listener: TcpListener, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.spaces.push(SpaceConfig {
            name: "locked".into(),
            key: Some("open-sesame".into()),
            private: false,
            whep_slate: false,
            streams: Vec::new(),
        });
        config.limits.participants_max = PARTICIPANTS_MAX;
        let data_dir = tempfile::tempdir().unwrap();
        config.data_dir = data_dir.path().to_owned();
        change(&mut config);
        let config = Arc::new(config);
        let media = media::spawn(&MediaConfig {
            rtc_port: 0,
            threads: 2,
            public_ip: Vec::new(),
            loopback_only: true,
            publishers_max: PUBLISHERS_MAX,
            viewers_max: VIEWERS_MAX,
            participants_max: config.limits.participants_max,
        })
        .unwrap();
        let (shutdown, close) = (Shutdown::default(), Shutdown::default());
        let readiness = Arc::new(Readiness::default());
        readiness.set_started();
        let keys = Keys::new(&config.spaces, None).unwrap();
        let tokens = Tokens::new(&[7; KEY_LEN], OPERATOR_SECRET);
        let settings = conference::Settings {
            participants_max: config.limits.participants_max,
            space_participants_max: config.limits.space_participants_max,
            loudest: config.loudest,
            queue_bytes_max: QUEUE_BYTES_MAX,
            ice_servers: config.ice_servers.clone(),
        };
        let conferences = Conferences::new(
            media.clone(),
            tokens.clone(),
            keys.clone(),
            settings,
            shutdown.clone(),
        );
        let broadcast = broadcast(&config, &media);
        let history = History::open(&config.data_dir, HistoryLimits::default()).unwrap();
        let settings = bus::Settings {
            queue_bytes_max: BUS_QUEUE_BYTES_MAX,
            ..bus::Settings::new(&config).unwrap()
        };
        let bus = Bus::start(
            settings,
            history.clone(),
            broadcast.moments(),
            shutdown.clone(),
        );
        conferences.carry(bus.clone());
        let app = App {
            media: media.clone(),
            broadcast: broadcast.clone(),
            conferences: conferences.clone(),
            bus: bus.clone(),
            history: history.clone(),
            keys,
            tokens: tokens.clone(),
            config: Arc::clone(&config),
            readiness: Arc::clone(&readiness),
            shutdown: shutdown.clone(),
            trusted_proxies: config.trusted_proxies.clone().into(),
            outlets: OutletCounters::default(),
        };
        let address = listener.local_addr().unwrap();
        let admission = Admission::new(1000, vec![address.ip()]);
        let router = http::router(app).unwrap();
        tokio::spawn(listener::serve(listener, router, admission, close.clone()));
        Self {
            address,
            media,
            conferences,
            tokens,
            broadcast,
            bus,
            history,
            readiness,
            shutdown,
            close,
            _data_dir: data_dir,
        }
    }

    /// A token of mo@example.org for a space.
    pub(crate) fn token(&self, space: &str, role: ParticipantRole) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let scope = space.parse().unwrap();
        let claims = Claims::new(scope, role, Duration::from_secs(600), now);
        let claims = claims.with_subject(Some("mo@example.org".into()));
        self.tokens.mint(&claims.unwrap())
    }

    pub(crate) fn ask(&self, method: &'static str, path: impl Into<String>) -> Ask {
        ask(self.address, method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    /// An offer by `POST`.
    pub(crate) async fn post(&self, path: &str, offer: impl Into<hyper::body::Bytes>) -> Answer {
        self.ask("POST", path).body(SDP, offer).send().await
    }

    /// An offer that is accepted.
    #[track_caller]
    pub(crate) fn begin(&self, path: &str, offer: &'static str) -> impl Future<Output = Session> {
        let request = self.post(path, offer);
        async {
            let answer = request.await;
            assert_eq!(answer.status, 201, "{answer:?}");
            Session::of(answer)
        }
    }

    /// A performer who publishes `space`/main, without WebRTC. The stream ends when the source is dropped.
    pub(crate) async fn go_live(&self, space: &str) -> Source {
        let key = StreamKey {
            space: space.into(),
            stream: "main".into(),
        };
        let codec = |kind, h264_profile| Codec {
            kind,
            h264_profile,
            stereo: true,
        };
        let tracks = vec![
            codec(CodecKind::H264, Some(0x0042_e01f)),
            codec(CodecKind::Opus, None),
        ];
        let mut source = self
            .media
            .open_source(key.clone(), tracks, false)
            .await
            .unwrap();
        let idr: Arc<[u8]> = Arc::from([0x65, 0x88, 0x84, 0x00, 0x10].as_slice());
        for _ in 0..400 {
            source.send(0, 0, true, idr.clone()).unwrap();
            source
                .send(1, 0, false, Arc::from([0xfc, 0xff, 0xfe].as_slice()))
                .unwrap();
            if self.media.directory().is_live(&key) {
                return source;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the source is not live after two seconds");
    }

    /// A viewer of a stream that is live.
    pub(crate) async fn watch(&self, space: &str) -> Session {
        self.begin(&format!("/whep/{space}"), offers::CHROMIUM_RECEIVE)
            .await
    }

    /// Sessions that the directory knows and peers that the media threads hold.
    fn sessions(&self) -> (usize, u64) {
        let peers = |counters: Arc<media::Counters>| {
            let values = counters.values();
            let of_name = |(metric, _): &(&media::Metric, &u64)| metric.name == "peers";
            media::METRICS
                .iter()
                .zip(&values)
                .filter(of_name)
                .map(|(_, value)| *value)
                .sum::<u64>()
        };
        (
            self.media.directory().totals().1,
            self.media.counters().into_iter().map(peers).sum(),
        )
    }

    /// Participants that the media threads hold.
    pub(crate) fn participants(&self) -> u64 {
        self.sum(|metric| metric.label == Some(("role", "participant")))
    }

    /// What the media threads have counted under this name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.sum(|metric| metric.name == name)
    }

    fn sum(&self, is_wanted: impl Fn(&media::Metric) -> bool) -> u64 {
        let at = media::METRICS.iter().position(is_wanted).unwrap();
        let counters = self.media.counters();
        counters.iter().map(|counters| counters.values()[at]).sum()
    }

    /// Waits until the directory knows of no WHIP or WHEP session.
    pub(crate) async fn expect_no_sessions(&self) {
        for _ in 0..400 {
            if self.media.directory().totals().1 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} sessions are left", self.media.directory().totals().1);
    }

    /// Waits until this many sessions are there, in the directory and in the media threads.
    #[track_caller]
    pub(crate) fn expect_sessions(&self, expected: usize) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..400 {
                if self.sessions() == (expected, expected as u64) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("{caller}: {:?} sessions, not {expected}", self.sessions());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close.begin();
        let broadcast = self.broadcast.clone();
        std::thread::spawn(move || broadcast.finish(Duration::from_secs(1)));
    }
}

impl Session {
    pub(crate) fn of(answer: Answer) -> Self {
        Self {
            location: answer.header("location").to_owned(),
            etag: answer.header("etag").to_owned(),
            answer,
        }
    }
}

/// The value of the first `a={name}:` line.
pub(crate) fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
    })
}
