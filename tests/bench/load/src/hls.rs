//! Many viewers of one low-latency HLS stream: each waits for the next part by a blocking reload, on a connection of its own.
//!
//! A part exists at the latest when the first viewer is told of it: how much later the others are told is the server's doing.

mod connection;
mod playlist;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{Options, process, quantiles::quantiles};
use connection::Connection;
use playlist::{Edge, Media};

/// Connections that are opened at once: a listener's queue is no longer than this by default.
const CONNECTS_MAX: usize = 64;

/// What all viewers found out together.
#[derive(Default)]
struct Findings {
    /// When the first viewer was told of a part, and what it was told.
    told: Mutex<HashMap<Edge, (Instant, Arc<Media>)>>,
    /// How long after the first each viewer was told; only of those who had asked before.
    behind: Mutex<Vec<Duration>>,
    /// From asking for a part that is listed to having it.
    parts: Mutex<Vec<Duration>>,
    /// The first viewer's time less the time at which the part's last picture was taken, in milliseconds.
    after_media_ms: Mutex<Vec<i64>>,
    /// From the first question to a playlist with parts.
    joins: Mutex<Vec<Duration>>,
    playlists: AtomicU64,
    bytes: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Panics elsewhere leave lists of numbers whole.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that `tests/bench` and the end-to-end tests ask about.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, watch(options))
}

async fn watch(options: &Options) -> Result<Value> {
    let (host, path) = playlist::address(&options.url)?;
    let mut scout = Connection::open(&host).await?;
    let multivariant = scout.get(&path).await?.text()?;
    let media_path = playlist::resolve(&path, playlist::first_variant(&multivariant)?);
    drop(scout);
    let findings = Arc::new(Findings::default());
    let gate = Arc::new(tokio::sync::Semaphore::new(CONNECTS_MAX));
    let mut viewers = Vec::new();
    for _ in 0..options.viewers {
        let viewer = Viewer {
            host: host.clone(),
            entry: path.clone(),
            path: media_path.clone(),
            takes_parts: options.parts,
            think: Duration::from_millis(options.think),
            findings: findings.clone(),
        };
        let gate = gate.clone();
        viewers.push(tokio::task::spawn_local(async move {
            let findings = viewer.findings.clone();
            if let Err(error) = viewer.watch(gate).await {
                locked(&findings.failures).push(format!("{error:#}"));
            }
        }));
    }
    // Everybody is connected and has caught up before anything counts.
    tokio::time::sleep(crate::WARM_UP).await;
    locked(&findings.behind).clear();
    locked(&findings.parts).clear();
    locked(&findings.after_media_ms).clear();
    let told = locked(&findings.told).len();
    let playlists = findings.playlists.load(Ordering::Relaxed);
    let from = process::usage(options.pid)?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let to = process::usage(options.pid)?;
    for viewer in viewers {
        viewer.abort();
    }
    let failures = locked(&findings.failures);
    let mut after_media = locked(&findings.after_media_ms).clone();
    after_media.sort_unstable();
    let mut behind = locked(&findings.behind);
    Ok(json!({
        "viewers": options.viewers,
        "failed": failures.len(),
        "first_failure": failures.first(),
        "parts_published": locked(&findings.told).len() - told,
        "playlists": findings.playlists.load(Ordering::Relaxed) - playlists,
        "releases": behind.len(),
        "release_ms": quantiles(&mut behind).context("nobody was told of a part")?,
        "join_ms": quantiles(&mut locked(&findings.joins)),
        "part_ms": quantiles(&mut locked(&findings.parts)),
        "after_media_ms": after_media.get(after_media.len() / 2),
        "bytes": findings.bytes.load(Ordering::Relaxed),
        "cpu_us": to.cpu_us - from.cpu_us,
        "rss_kb": to.rss_kb,
    }))
}

struct Viewer {
    host: String,
    /// The multivariant playlist.
    entry: String,
    path: String,
    takes_parts: bool,
    think: Duration,
    findings: Arc<Findings>,
}

impl Viewer {
    async fn watch(&self, gate: Arc<tokio::sync::Semaphore>) -> Result<()> {
        let mut connection = {
            let _pass = gate.acquire().await?;
            Connection::open(&self.host).await?
        };
        let knocked = Instant::now();
        connection.get(&self.entry).await?.text()?;
        let now = Media::parse(&connection.get(&self.path).await?.text()?)?;
        locked(&self.findings.joins).push(knocked.elapsed());
        let mut next = now.next();
        loop {
            let path = format!(
                "{}?_HLS_msn={}&_HLS_part={}",
                self.path, next.msn, next.part
            );
            let asked = Instant::now();
            let answer = connection.get(&path).await?;
            let media = self.note(next, asked, answer.at, &answer)?;
            if self.takes_parts {
                for uri in media.parts_from(next) {
                    let asked = Instant::now();
                    let part = connection.get(&playlist::resolve(&self.path, uri)).await?;
                    ensure!(part.status == 200, "{uri}: status {}", part.status);
                    locked(&self.findings.parts).push(asked.elapsed());
                    let bytes = part.body.len() as u64;
                    self.findings.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            }
            next = media.next();
            // Viewers are spread over the world and do not ask again in the same instant.
            tokio::time::sleep(self.think.mul_f64(fastrand::f64())).await;
        }
    }

    fn note(
        &self,
        edge: Edge,
        asked: Instant,
        at: Instant,
        answer: &connection::Answer,
    ) -> Result<Arc<Media>> {
        self.findings.playlists.fetch_add(1, Ordering::Relaxed);
        let mut told = locked(&self.findings.told);
        if let Some((first, media)) = told.get(&edge) {
            if asked < *first {
                locked(&self.findings.behind).push(at.saturating_duration_since(*first));
                return Ok(media.clone());
            }
            return Ok(Arc::new(Media::parse(&answer.text()?)?));
        }
        let media = Arc::new(Media::parse(&answer.text()?)?);
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        if let Some(end_ms) = media.end_ms {
            let late = i64::try_from(now_ms)? - end_ms;
            locked(&self.findings.after_media_ms).push(late);
        }
        locked(&self.findings.behind).push(Duration::ZERO);
        told.insert(edge, (at, media.clone()));
        Ok(media)
    }
}
