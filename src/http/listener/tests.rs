//! The listener on a real loopback socket.

use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

struct Running {
    address: SocketAddr,
    close: Shutdown,
    task: JoinHandle<()>,
}

async fn start(connections_max: usize) -> Running {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let who = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let never = || std::future::pending::<String>();
    let router = Router::new()
        .route("/", get(who))
        .route("/never", get(never));
    let close = Shutdown::default();
    let admission = Admission::new(connections_max, Vec::new());
    let task = tokio::spawn(serve(listener, router, admission, close.clone()));
    Running {
        address,
        close,
        task,
    }
}

/// Sends `request` and reads until the server closes.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A refused connection may end in a reset after the answer.
    let _ = tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("the server closes");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_knows_who_sent_it() {
    let server = start(16).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let own = stream.local_addr().unwrap().to_string();
    let answer = exchange(
        &mut stream,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(&own),
        "{answer}"
    );
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let server = start(1).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    // A whole answer on the first one proves that it was accepted before the second.
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 512];
    assert!(first.read(&mut buffer).await.unwrap() > 0);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    let _ = second.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 5\r\n"),
        "{answer}"
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{answer}"
    );
}

#[tokio::test]
async fn an_endless_request_head_is_cut_off() {
    let server = start(16).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n",
        "x".repeat(2 * HEAD_MAX)
    );
    let answer = exchange(&mut stream, &head).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn closing_ends_idle_and_stuck_connections_and_frees_the_port() {
    let server = start(16).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck
        .write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 512];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    server.close.begin();
    tokio::time::timeout(Duration::from_secs(10), server.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0);
    bind(server.address).await.unwrap();
}

#[tokio::test]
async fn a_taken_or_foreign_address_is_named_with_the_flag() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("--listen"),
        "{error}"
    );
    let error = bind("192.0.2.1:0".parse().unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no address 192.0.2.1") && error.contains("--listen"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_head_or_only_idles_is_cut_off() {
    let half = "GET / HTTP/1.1\r\nHost: a\r\n";
    let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // The last two begin as HTTP/2 does: what tells the versions apart must not be waited for without an end.
    for request in ["", half, whole, "P", "PRI * HTTP/2.0\r\n"] {
        let server = start(16).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let begun = tokio::time::Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The clock stands still but for the server's own timers, when there is nothing else to do.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            begun.elapsed() >= HEAD_TIME_MAX,
            "{request:?} after {:?}",
            begun.elapsed()
        );
        assert!(
            begun.elapsed() < 2 * HEAD_TIME_MAX,
            "{request:?} after {:?}",
            begun.elapsed()
        );
    }
}
