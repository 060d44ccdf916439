//! What somebody has heard outlives a kill at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use rusqlite::Connection;
use tokio_tungstenite::tungstenite::Message;

use crate::process::{Server, data_dir};

const SECRET: &str = "a-secret-of-the-crash-test";

/// Who send, and how often each: together a thousand messages per second.
const CLIENTS: usize = 16;
const PAUSE: Duration = Duration::from_millis(CLIENTS as u64);

/// Rounds at least, and how long they go on unless `CRASH_TEST_SECONDS` says otherwise.
const ROUNDS_MIN: usize = 5;
const SECONDS: u64 = 10;

/// Sends numbered messages and hears everybody's until the server is gone; what it has heard.
async fn client(address: String, name: String, is_over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut heard = BTreeSet::new();
    let url = format!("ws://{address}/");
    // The server may be killed before all are there.
    let Ok((socket, _)) = tokio_tungstenite::connect_async(url).await else {
        return heard;
    };
    let (mut sink, mut stream) = socket.split();
    let sending = tokio::spawn(async move {
        let mut tick = tokio::time::interval(PAUSE);
        for number in 0.. {
            tick.tick().await;
            let text = format!(
                r#"{{"id":"abcdefghijklmnop","type":"STATS","channel":"crash", "store":true,"value":"{name}-{number}"}}"#
            );
            if is_over.load(Ordering::Relaxed) || sink.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = stream.next().await {
        if let Message::Text(text) = message
            && let Some(value) = value(&text)
        {
            heard.insert(value.to_owned());
        }
    }
    sending.abort();
    heard
}

/// The value of a message of this test.
fn value(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(r#""store":true,"value":""#)?;
    rest.strip_suffix("\"}")
}

/// Lets them speak for so long, kills the server, and gathers what they have heard.
fn round(server: &mut Server, number: usize, life: Duration) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let name = format!("{number}-{index}");
                let over = Arc::clone(&is_over);
                tokio::spawn(client(server.address().to_owned(), name, over))
            })
            .collect();
        tokio::time::sleep(life).await;
        server.kill();
        is_over.store(true, Ordering::Relaxed);
        let mut heard = BTreeSet::new();
        for client in clients {
            heard.extend(client.await.unwrap());
        }
        heard
    })
}

/// All that is kept, and how often.
fn history(server: &Server) -> (Vec<String>, BTreeMap<String, usize>) {
    let path = format!("/messages?secret={SECRET}&channel=crash");
    let request = format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n");
    let answer = server.connect().exchange(&request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    let messages: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
    let values: Vec<String> = messages
        .iter()
        .map(|message| message["value"].as_str().unwrap().to_owned())
        .collect();
    let mut counted = BTreeMap::new();
    for value in &values {
        *counted.entry(value.clone()).or_default() += 1;
    }
    (values, counted)
}

/// Each sender's messages are in the order in which they were sent, without a gap.
fn check_order(values: &[String]) {
    let mut next = BTreeMap::<&str, usize>::new();
    for value in values {
        let (sender, number) = value.rsplit_once('-').unwrap();
        let expected = next.entry(sender).or_default();
        assert_eq!(number.parse(), Ok(*expected), "of {sender}");
        *expected += 1;
    }
}

fn check_databases(data_dir: &Path) {
    for name in ["messages.db", "proscenium.db"] {
        let database = Connection::open(data_dir.join(name)).unwrap();
        let found: String = database
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, "ok", "{name}");
    }
}

#[test]
fn whatever_was_heard_is_in_the_history_once_after_a_kill_at_any_moment() {
    let seconds = std::env::var("CRASH_TEST_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().unwrap());
    let seed = std::env::var("CRASH_TEST_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    eprintln!("CRASH_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = data_dir();
    let start = || Server::start_with(directory.path(), &["--secret", SECRET]);
    let (begun, mut heard, mut rounds) = (Instant::now(), BTreeSet::new(), 0);
    let mut spoken = Duration::ZERO;
    let mut server = start();
    while rounds < ROUNDS_MIN || begun.elapsed() < Duration::from_secs(seconds) {
        let life = Duration::from_millis(random.u64(200..1500));
        let new = round(&mut server, rounds, life);
        spoken += life;
        check_databases(directory.path());
        heard.extend(new);
        server = start();
        let (values, kept) = history(&server);
        for value in &heard {
            assert_eq!(
                kept.get(value),
                Some(&1),
                "{value} was heard (seed {seed}, round {rounds})"
            );
        }
        assert!(kept.values().all(|count| *count == 1), "seed {seed}");
        check_order(&values);
        rounds += 1;
    }
    assert!(heard.len() > 100, "only {} were heard", heard.len());
    let rate = heard.len() as f64 / spoken.as_secs_f64();
    eprintln!(
        "{rounds} kills, {} messages heard in {spoken:.1?}: {rate:.0} per second",
        heard.len()
    );
}
