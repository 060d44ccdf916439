//! Accepts HTTP connections and keeps each of them within limits.
//!
//! A connection that sends no whole request head within [`HEAD_TIME_MAX`] is closed (slow attackers, idle keep-alive; over
//! HTTP/2, whose clients are asked whether they are there, only the first head counts), one whose peer takes nothing for
//! [`STALL_MAX`] too. At most `connections_max` are open, at most half of them
//! from one address; the newest beyond that gets `503` with `Retry-After` and is counted. The time that a body may take
//! is the business of [`super`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::logging::Network;
use crate::shutdown::{Completion, Shutdown};

mod admission;

pub use admission::{Admission, Refusal};

/// The longest that a client may take for a request head, and that a kept-alive connection may idle. Proxies keep idle
/// connections for 60 s by default, and must not find theirs closed just as they use it.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(75);

/// The longest that a peer may leave data unacknowledged or its window shut.
pub const STALL_MAX: Duration = Duration::from_secs(30);

/// The longest request head, and so what a connection can make the server hold before any limit of a body counts.
pub const HEAD_MAX: usize = 16 * 1024;

/// The same over HTTP/2, which proxies and clients with prior knowledge speak to this port.
const HEAD_LIST_MAX: u32 = 16 * 1024;

/// Requests at once over one HTTP/2 connection: a page with its files, or a proxy for many viewers.
const STREAMS_MAX: u32 = 100;

/// How long open requests may go on when the listener closes.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Pause after the system could not accept, e.g. because of too many open files: time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Written to a connection that is over a limit. Most clients that see it try again later.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 60\r\n\r\nThe server has too many connections. Please try again later\n";

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has the port.
    #[error("http address {0} is in use by another program; choose another with --listen")]
    InUse(SocketAddr),
    /// A privileged port.
    #[error(
        "no permission to listen on {0}; choose a port above 1023 with --listen, or allow this one \
         (setcap cap_net_bind_service=+ep proscenium)"
    )]
    NotPermitted(SocketAddr),
    /// An address of some other machine.
    #[error("this machine has no address {ip}; choose one of its own with --listen, or 0.0.0.0 for all", ip = .0.ip())]
    NotOurs(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Other {
        /// As asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Binds `address`; port 0 takes a free one.
///
/// # Errors
/// Each with what to do.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            io::ErrorKind::PermissionDenied => ListenError::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => ListenError::NotOurs(address),
            _ => ListenError::Other { address, source },
        })
}

/// Serves `router` until `close` begins; then lets open requests finish for a second and returns.
///
/// Requests carry `ConnectInfo<SocketAddr>`, and can be upgraded.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    admission: Arc<Admission>,
    close: Shutdown,
) {
    let completion = Completion::default();
    let begun = close.begun();
    tokio::pin!(begun);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut begun => break,
        };
        match accepted {
            Ok((stream, remote)) => match admission.admit(remote.ip()) {
                Ok(permit) => {
                    let connection = connection(stream, remote, router.clone(), close.clone());
                    let guard = completion.guard();
                    tokio::spawn(async move {
                        connection.await;
                        drop((permit, guard));
                    });
                }
                Err(refusal) => refuse(&stream, remote, refusal),
            },
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                admission.count_failed_accept();
                tracing::error!(%error, "cannot accept http connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if !completion.finished(CLOSE_MAX).await {
        tracing::info!(connections = admission.open(), "http connections are cut");
    }
}

async fn connection(stream: TcpStream, remote: SocketAddr, router: Router, close: Shutdown) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%remote, %error, "socket options are refused");
    }
    let service = TowerToHyperService::new(router);
    let has_asked = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&has_asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(remote));
        service.call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIME_MAX)
        .max_header_list_size(HEAD_LIST_MAX)
        .max_concurrent_streams(STREAMS_MAX);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = close.begun() => None,
        () = silence(&has_asked) => return,
    };
    if result.is_none() {
        connection.as_mut().graceful_shutdown();
        // Those that are stuck are cut here, so that their tasks do not outlive the listener by much.
        result = tokio::time::timeout(CLOSE_MAX, connection).await.ok();
    }
    if let Some(Err(error)) = result {
        tracing::debug!(%remote, %error, "an http connection broke");
    }
}

/// Returns when a new connection has asked for nothing in time. The library's own timers begin when it knows which
/// version of HTTP is spoken: who does not say would never be let go.
async fn silence(has_asked: &AtomicBool) {
    tokio::time::sleep(HEAD_TIME_MAX).await;
    if has_asked.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(STALL_MAX))?;
    Ok(())
}

/// Says why, as far as that fits into the socket's buffer at once, and hangs up.
fn refuse(stream: &TcpStream, remote: SocketAddr, refusal: Refusal) {
    // A new socket's buffer is empty: this is written whole or the client is gone.
    let _ = stream.try_write(FULL);
    if refusal.is_first_in_a_while {
        let network = Network(remote.ip());
        tracing::warn!(%network, limit = refusal.limit, "http connections are refused: {}", refusal.reason);
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests;
