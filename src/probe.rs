//! `proscenium health`: asks the server on this machine whether it is well, without any other program.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The longest that connecting, asking and answering may take each.
const STEP_MAX: Duration = Duration::from_secs(3);

/// More than the answer ever has.
const ANSWER_MAX: u64 = 4096;

/// Why the server is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody answers.
    #[error("no server answers at {address}: {source}; is it running, and is --listen the same?")]
    NoAnswer {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// It answers, but not with 200.
    #[error("the server at {address} is not ready: {answer}")]
    NotReady {
        /// Where.
        address: SocketAddr,
        /// The status line and the body.
        answer: String,
    },
}

/// Asks `/readyz` of the server that listens on `listen`. Blocks for some seconds at most.
///
/// # Errors
/// When it does not answer, or says that it is not ready.
pub fn ask(listen: SocketAddr) -> Result<(), Unhealthy> {
    let address = reachable(listen);
    let answer = exchange(address).map_err(|source| Unhealthy::NoAnswer { address, source })?;
    let mut words = answer.split_whitespace();
    if words
        .next()
        .is_some_and(|version| version.starts_with("HTTP/1."))
        && words.next() == Some("200")
    {
        return Ok(());
    }
    let status = answer.lines().next().unwrap_or("no answer");
    let body = answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim());
    Err(Unhealthy::NotReady {
        address,
        answer: format!("{status} {body}").trim().to_owned(),
    })
}

/// A server that listens on all addresses is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn exchange(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, STEP_MAX)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    // In one piece: a server that answers after the first of several would reset the rest.
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn check(answer: &'static str, expected: Result<(), &str>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        let result = ask(everywhere).map_err(|error| error.to_string());
        server.join().unwrap();
        match expected {
            Ok(()) => assert_eq!(result, Ok(())),
            Err(part) => assert!(result.clone().unwrap_err().contains(part), "{result:?}"),
        }
    }

    #[test]
    fn a_server_that_is_ready_is_healthy_and_any_other_is_not() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(()));
        check(
            "HTTP/1.1 503 Service Unavailable\r\n\r\nstopping",
            Err("503 Service Unavailable stopping"),
        );
        check("SSH-2.0-whatever 200\r\n", Err("SSH-2.0"));
        check("", Err("no answer"));
    }

    #[test]
    fn a_server_that_does_not_listen_is_named() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = ask(free).unwrap_err().to_string();
        assert!(
            error.contains(&free.to_string()) && error.contains("--listen"),
            "{error}"
        );
    }
}
