//! Who comes in, how, and who is sent away.

use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;

use super::peer::{PATIENCE, Peer};
use crate::client::raw;
use crate::server::Server;

const GOOD: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The answer to a request head.
async fn answer(server: &Server, line: &str, headers: &str) -> String {
    let request = format!("{line}\r\nHost: {}\r\n{headers}\r\n", server.address);
    raw(
        server.address,
        request.as_bytes(),
        Duration::from_millis(300),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_a_page_for_browsers_and_a_websocket_for_clients() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<html"));
    for path in ["/", "/?x=1", "/ws/stage"] {
        let head = answer(&server, &format!("GET {path} HTTP/1.1"), GOOD).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        // The example of RFC 6455 section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        assert!(!head.to_lowercase().contains("sec-websocket-extensions"));
    }
    let with_offers = format!(
        "{GOOD}Origin: https://elsewhere.example\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    );
    let head = answer(&server, "GET / HTTP/1.1", &with_offers).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        !head.to_lowercase().contains("permessage-deflate"),
        "{head}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_handshakes_are_refused_with_a_reason() {
    let server = Server::start().await;
    let check = async |line: &str, headers: &str, status: u16, words: &str| {
        let answer = answer(&server, line, headers).await;
        let expected = format!("{status} ");
        assert!(
            answer["HTTP/1.x ".len()..].starts_with(&expected) && answer.contains(words),
            "{line} {headers}: {answer}"
        );
    };
    let ws = "GET /ws/stage HTTP/1.1";
    check(ws, "", 426, "upgrade: websocket").await;
    check(
        ws,
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        426,
        "WebSocket",
    )
    .await;
    check(
        ws,
        &GOOD.replace("Version: 13", "Version: 8"),
        426,
        "sec-websocket-version: 13",
    )
    .await;
    check(
        ws,
        &GOOD.replace("Connection: Upgrade", "Connection: keep-alive"),
        400,
        "Connection",
    )
    .await;
    for key in [
        "",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ",
        "not base64 at all!!!!!==",
    ] {
        let headers = GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", key);
        check(ws, &headers, 400, "Sec-WebSocket-Key").await;
        check("GET / HTTP/1.1", &headers, 400, "Sec-WebSocket-Key").await;
    }
    check("GET / HTTP/1.0", GOOD, 400, "HTTP/1.1").await;
    check("POST /ws/stage HTTP/1.1", GOOD, 405, "").await;
    check("GET /ws/no%20space HTTP/1.1", GOOD, 400, "").await;
    check("GET /ws/whip HTTP/1.1", GOOD, 404, "").await;
    check("GET /ws/stage?since=yesterday HTTP/1.1", GOOD, 400, "since").await;
    let many = format!("GET /ws/stage?types={} HTTP/1.1", "A,".repeat(100));
    check(&many, GOOD, 400, "types").await;
    check("GET /?secret=guessed HTTP/1.1", GOOD, 401, "operator").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_rfc_6455_is_closed_with_its_code() {
    let server = Server::start().await;
    let check = async |frame: &[u8], code: u16| {
        let mut request = format!("GET / HTTP/1.1\r\nHost: a\r\n{GOOD}\r\n").into_bytes();
        // The first frames may come with the head of the request.
        request.extend_from_slice(frame);
        let answer = raw_bytes(&server, &request).await;
        let close = [0x88, 0];
        let found = answer.windows(4).rfind(|window| window[0] == close[0]);
        let found = found.unwrap_or_else(|| panic!("no close: {answer:?}"));
        assert_eq!(u16::from_be_bytes([found[2], found[3]]), code, "{frame:?}");
    };
    // Not masked; a reserved bit; a reserved opcode; a fragmented ping; a continuation of nothing.
    check(&[0x81, 1, b'x'], 1002).await;
    check(&[0xc1, 0x81, 0, 0, 0, 0, b'x'], 1002).await;
    check(&[0x83, 0x80, 0, 0, 0, 0], 1002).await;
    check(&[0x09, 0x80, 0, 0, 0, 0], 1002).await;
    check(&[0x80, 0x80, 0, 0, 0, 0], 1002).await;
    // No UTF-8; longer than anything may be.
    check(&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007).await;
    check(&[0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 1009).await;
    // Good manners are answered in kind.
    check(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8], 1000).await;
}

async fn raw_bytes(server: &Server, request: &[u8]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let reading = async {
        // Until the close: the server then waits for ours.
        let mut buffer = [0; 1024];
        loop {
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            answer.extend_from_slice(&buffer[..length]);
            let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
            let body = head.map_or(0, |head| answer.len() - head - 4);
            if length == 0 || body >= 4 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    answer.split_off(head + 4)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_told_to_come_back() {
    let server = Server::start_with(|config| config.messages.clients_max = 3).await;
    let mut held = Vec::new();
    for path in ["/", "/ws/stage", "/"] {
        held.push(Peer::come(&server, path).await);
    }
    for path in ["/", "/ws/stage"] {
        let refused = answer(&server, &format!("GET {path} HTTP/1.1"), GOOD).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(
            refused.to_lowercase().contains("retry-after: 10"),
            "{refused}"
        );
    }
    held.pop().unwrap().leave().await;
    crate::rtc::phone::wait("a free place", || server.bus.clients() < 3).await;
    Peer::come(&server, "/").await;
    let metrics = server.get("/metrics").await.body;
    assert!(
        metrics.contains("proscenium_bus_refused_total 2"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_sent_away_when_the_server_stops_and_nobody_comes_in_then() {
    let server = Server::start().await;
    let mut peers = vec![
        Peer::come(&server, "/").await,
        Peer::come(&server, "/ws/stage").await,
    ];
    peers[0]
        .say(r#"{"type":"CHAT","channel":"stage","value":"the last word"}"#)
        .await;
    peers[0].hear("CHAT").await;
    server.shutdown.begin();
    for peer in &mut peers {
        assert_eq!(peer.closed().await, 1001);
    }
    drop(peers);
    assert!(server.bus.drained(PATIENCE).await);
    assert_eq!(Peer::try_come(&server, "/", None).await.err(), Some(503));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_is_answered_with_what_is_owed_and_nothing_else() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    for number in 0..500_u32 {
        ada.send(Message::Ping(number.to_be_bytes().to_vec().into()))
            .await;
    }
    let last = Message::Pong(499_u32.to_be_bytes().to_vec().into());
    ada.hear_where(|message| *message == last).await;
}
