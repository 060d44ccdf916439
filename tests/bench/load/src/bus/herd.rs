//! Everybody is thrown out at the same time and comes back at the same time, as pages with a reconnecting socket do when a
//! server is started again: connect, join the channel, be told what was said before, and hear each other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::crowd::Crowd;
use super::envelope::{envelope, said_at};
use super::socket::Heard;
use super::{CONNECT_MAX, Options};

/// Between being thrown out and knocking, and between knocking twice: at least, and as much again at most.
const PAUSE: Duration = Duration::from_millis(100);
/// A server that is to be started again must be gone within this.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// What one client has reached since it was thrown out.
#[derive(Clone, Default)]
struct Client {
    knocks_at: Option<Instant>,
    is_open: bool,
    /// How many kept messages it was told of.
    synced: Option<usize>,
    /// How many of the crowd it has heard.
    heard: usize,
}

struct Herd {
    clients: Vec<Client>,
    knocks: u64,
    refused: u64,
    /// When the first of them was let in again.
    first: Option<Instant>,
    bytes: u64,
}

pub(super) fn run(options: &Options) -> Result<Value> {
    let mut crowd = Crowd::connected(&options.url, options.viewers)?;
    let mut herd = Herd::new(crowd.len());
    for client in 0..crowd.len() {
        herd.clients[client].is_open = true;
        crowd.say(client, joining(client).as_bytes());
    }
    let patience = Duration::from_secs(options.seconds);
    herd.until(&mut crowd, patience, "told of what was kept", |client| {
        client.synced.is_some()
    })?;
    println!("ready");
    herd = Herd::new(crowd.len());
    let thrown_out = Instant::now();
    // Who is let in again before the last one has noticed does not count as still there.
    while herd.clients.iter().any(|client| client.knocks_at.is_none()) {
        ensure!(
            thrown_out.elapsed() < RESTART_MAX,
            "the server is still there"
        );
        herd.turn(&mut crowd)?;
    }
    herd.until(&mut crowd, RESTART_MAX, "let in again", |client| {
        client.is_open
    })?;
    let first = herd.first.unwrap_or(thrown_out);
    let back = first.elapsed();
    herd.until(&mut crowd, patience, "told of what was kept", |client| {
        client.synced.is_some()
    })?;
    let synced = first.elapsed();
    for client in 0..crowd.len() {
        let word = envelope(client, crowd.now_us());
        crowd.say(client, &word);
    }
    let all = crowd.len();
    herd.until(&mut crowd, patience, "heard by all", |client| {
        client.heard >= all
    })?;
    let heard = first.elapsed();
    let too_many = herd.clients.iter().filter(|client| client.heard > all);
    let kept = herd.clients.iter().filter_map(|client| client.synced);
    Ok(json!({
        "clients": all,
        "back_ms": back.as_millis() as u64,
        "synced_ms": synced.as_millis() as u64,
        "heard_ms": heard.as_millis() as u64,
        "knocks": herd.knocks,
        "refused": herd.refused,
        "kept_min": kept.clone().min(),
        "kept_max": kept.max(),
        "heard_twice": too_many.count(),
        "bytes": herd.bytes,
    }))
}

fn joining(client: usize) -> String {
    format!(
        r#"{{"id":"abcdefghijklmnop","datetime":"2026-01-01T00:00:00.000Z","type":"CHANNEL_JOIN","channel":"stage","userId":"h{client}","userName":"Somebody {client}","value":{{"userName":"Somebody {client}"}}}}"#
    )
}

impl Herd {
    fn new(clients: usize) -> Self {
        Self {
            clients: vec![Client::default(); clients],
            knocks: 0,
            refused: 0,
            first: None,
            bytes: 0,
        }
    }

    fn until(
        &mut self,
        crowd: &mut Crowd,
        patience: Duration,
        what: &str,
        is_done: impl Fn(&Client) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience.max(CONNECT_MAX);
        while !self.clients.iter().all(&is_done) {
            let done = self.clients.iter().filter(|client| is_done(client)).count();
            let all = self.clients.len();
            ensure!(
                Instant::now() < deadline,
                "only {done} of {all} were {what}"
            );
            self.turn(crowd)?;
        }
        Ok(())
    }

    fn turn(&mut self, crowd: &mut Crowd) -> Result<()> {
        let (mut opened, now) = (Vec::new(), Instant::now());
        crowd.turn(Duration::from_millis(10), |index, heard| {
            let client = &mut self.clients[index];
            match heard {
                Heard::Opened => {
                    client.is_open = true;
                    opened.push(index);
                }
                Heard::Closed(_) => {
                    self.refused += u64::from(client.knocks_at.is_some());
                    *client = Client::default();
                    client.knocks_at = Some(now + PAUSE.mul_f64(1.0 + fastrand::f64()));
                }
                Heard::Message(bytes) => {
                    self.bytes += bytes.len() as u64;
                    if said_at(bytes).is_some() {
                        client.heard += 1;
                    } else if find(bytes, b"\"type\":\"CHAT_SYNC\"").next().is_some() {
                        client.synced = Some(find(bytes, b"\"type\":\"CHAT\"").count());
                    }
                }
            }
        })?;
        for index in opened {
            self.first.get_or_insert_with(Instant::now);
            crowd.say(index, joining(index).as_bytes());
        }
        for (index, client) in self.clients.iter_mut().enumerate() {
            let due = client.knocks_at.filter(|at| *at <= now);
            if due.is_some() && !client.is_open {
                self.knocks += 1;
                // Not again until it was refused.
                client.knocks_at = Some(now + RESTART_MAX);
                crowd.again(index)?;
            }
        }
        Ok(())
    }
}

/// Where `wanted` is in the first bytes of a message, or in all of a history.
fn find<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows
        .filter(move |(_, window)| *window == wanted)
        .map(|(at, _)| at)
}
