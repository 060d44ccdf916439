//! Many at once, and those who do not keep up.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::peer::{Peer, envelope, value};
use crate::rtc::phone::wait;
use crate::server::Server;

/// A message of some length that must reach everybody.
fn long(number: u32) -> String {
    envelope("CUE", "stage", "ada", json!([number, "x".repeat(60_000)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_delays_nobody_and_is_sent_away() {
    let server = Server::start().await;
    let mut deaf = Peer::come_narrowly(&server, "/").await;
    let mut listeners = JoinSet::new();
    for _ in 0..5 {
        let mut peer = Peer::come(&server, "/").await;
        listeners.spawn(async move {
            for number in 0..150_u32 {
                let heard = value(&peer.next().await);
                assert_eq!(heard["value"][0], number);
            }
        });
    }
    let mut ada = Peer::come(&server, "/").await;
    let mut slowest = Duration::ZERO;
    for number in 0..150 {
        let begun = Instant::now();
        ada.say(long(number)).await;
        ada.next().await;
        slowest = slowest.max(begun.elapsed());
    }
    while let Some(listener) = listeners.join_next().await {
        listener.unwrap();
    }
    // Thrice what one system call may be stuck; a client that blocked the others would do so for ever.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let counters = server.bus.counters();
    let slow = || counters.slow.load(std::sync::atomic::Ordering::Relaxed);
    wait("the deaf client's end", || slow() == 1).await;
    // It gets whole messages, as many as the systems between had room for, and then it is over.
    let mut whole = 0;
    while let Ok(Some(message)) = deaf.try_receive().await {
        match message {
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 1013);
                break;
            }
            message => {
                assert_eq!(value(&message)["value"][0], whole);
                whole += 1;
            }
        }
    }
    assert!(whole < 150, "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_late_gets_the_newest_picture_of_each_and_every_word() {
    let server = Server::start().await;
    let mut late = Peer::come_narrowly(&server, "/").await;
    let mut ada = Peer::come(&server, "/").await;
    // Fewer than a client may say at once.
    let last = 149;
    for number in 0..=last {
        let picture = json!([number, "x".repeat(60_000)]);
        ada.say(envelope("IMAGE", "stage", "ada", picture)).await;
        if number % 20 == 0 {
            ada.say(envelope("CHAT", "stage", "ada", json!(number)))
                .await;
        }
        // Hearing it makes sure that the other one was handed it, too.
        ada.hear_where(|message| value(message)["value"][0] == number)
            .await;
    }
    let newest = |message: &Message| {
        let value = value(message);
        value["type"] == "IMAGE" && value["value"][0] == last
    };
    late.hear_where(newest).await;
    let kept = late.kept();
    let chats: Vec<_> = kept
        .iter()
        .filter(|message| message["type"] == "CHAT")
        .collect();
    assert_eq!(chats.len(), 8);
    let pictures = kept.iter().filter(|message| message["type"] == "IMAGE");
    assert!(pictures.count() < 100);
    assert!(late.is_open());
    let counters = server.bus.counters();
    assert!(counters.replaced.load(std::sync::atomic::Ordering::Relaxed) > 50);
}

/// Somebody who has sent the first 80 kB of a message of 200 kB.
async fn half_said(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend_from_slice(&[0x81, 0xff, 0, 0, 0, 0, 0, 3, 0x0d, 0x40, 0, 0, 0, 0]);
    bytes.resize(bytes.len() + 80_000, b'x');
    stream.write_all(&bytes).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_are_in_the_middle_of_a_large_message_and_the_next_one_waits() {
    let server = Server::start().await;
    let mut halves = Vec::new();
    for _ in 0..server.bus.large_free() {
        halves.push(half_said(&server).await);
    }
    wait("no room", || server.bus.large_free() == 0).await;
    let mut ada = Peer::come(&server, "/").await;
    let mut bob = Peer::come(&server, "/").await;
    let picture = envelope("IMAGE", "stage", "ada", json!("x".repeat(200_000)));
    ada.say(&picture).await;
    // Nobody else waits.
    bob.say("first").await;
    assert_eq!(ada.next().await, Message::text("first"));
    halves.pop();
    assert_eq!(ada.next().await, Message::text(picture));
    drop(halves);
    wait("room", || server.bus.large_free() > 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_come_at_once_are_served_within_seconds() {
    const CLIENTS: usize = 1000;
    proscenium::open_files::raise(4 * CLIENTS as u64).unwrap();
    let server = Server::start_with(|config| config.limits.connections_max = 2 * CLIENTS).await;
    let address = server.address;
    let begun = Instant::now();
    let mut coming = JoinSet::new();
    for number in 0..CLIENTS {
        coming.spawn(async move {
            let path = if number % 2 == 0 { "/" } else { "/ws/stage" };
            let url = format!("ws://{address}{path}");
            tokio_tungstenite::connect_async(url).await.unwrap().0
        });
    }
    let sockets = coming.join_all().await;
    let there = begun.elapsed();
    assert_eq!(server.bus.clients(), CLIENTS);
    let mut ada = Peer::come(&server, "/").await;
    let said = envelope("CUE", "stage", "ada", json!("now"));
    ada.say(&said).await;
    let mut listening = JoinSet::new();
    for socket in sockets {
        let mut peer = Peer::of(socket);
        listening.spawn(async move {
            let is_it = |message: &Message| {
                let value = value(message);
                value["type"] == "CUE" || value["message"]["type"] == "CUE"
            };
            peer.hear_where(is_it).await;
        });
    }
    listening.join_all().await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{there:?} of {:?}",
        begun.elapsed()
    );
}
