//! What joining costs: the server's share of a DTLS handshake, over OpenSSL and with str0m's stock DTLS, and the memory
//! of a connection. `cargo bench -p dtls --bench handshake`. Compare the two lines, not the microseconds.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::time::{Duration, Instant};

use str0m::config::{CryptoProvider, DtlsCert};
use str0m_proto::crypto::DtlsVersion;
use str0m_proto::crypto::dtls::{DtlsInstance, DtlsOutput};

const HANDSHAKES: u32 = 500;

fn main() {
    let ours = dtls::crypto_provider();
    let stock = str0m::crypto::from_feature_flags();
    let mut kept = Vec::new();
    for (name, server) in [("openssl", &ours), ("stock", &stock)] {
        // The client is always the same, so that only the server differs.
        let client_cert = stock.dtls_provider.generate_certificate().unwrap();
        let cert = server.dtls_provider.generate_certificate().unwrap();
        let mut ends = Vec::new();
        // What is made once does not count.
        handshake(&stock, &client_cert, server, &cert);
        let before = resident_kb();
        let mut spent = Duration::ZERO;
        let mut worst = Duration::ZERO;
        for _ in 0..HANDSHAKES {
            let (time, end) = handshake(&stock, &client_cert, server, &cert);
            spent += time;
            worst = worst.max(time);
            ends.push(end);
        }
        println!(
            "{name:8} server: {:6.0} us per handshake, worst {:6.0} us, {:5.1} kB per connection",
            (spent / HANDSHAKES).as_secs_f64() * 1e6,
            worst.as_secs_f64() * 1e6,
            (resident_kb() - before) / f64::from(HANDSHAKES),
        );
        // Freed, its memory would be the next one's.
        kept.push(ends);
    }
    let [mut certificates, mut contexts, mut instances] = [Duration::ZERO; 3];
    for _ in 0..50 {
        let mut cert = None;
        certificates += timed(|| cert = ours.dtls_provider.generate_certificate());
        let make = || new(&ours, cert.as_ref().unwrap(), Instant::now());
        contexts += timed(make);
        instances += timed(make);
    }
    for (what, time) in [
        ("certificate", certificates),
        ("connection that makes its context", contexts),
        ("connection that finds it", instances),
    ] {
        println!("a {what}: {:.0} us", time.as_secs_f64() * 1e6 / 50.0);
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn new(provider: &CryptoProvider, cert: &DtlsCert, now: Instant) -> Box<dyn DtlsInstance> {
    let dtls = provider.dtls_provider;
    dtls.new_dtls(cert, now, DtlsVersion::Dtls12, Some(1150))
        .unwrap()
}

/// Returns the time that the server took, its making included, and the server.
fn handshake(
    client: &CryptoProvider,
    client_cert: &DtlsCert,
    server: &CryptoProvider,
    cert: &DtlsCert,
) -> (Duration, Box<dyn DtlsInstance>) {
    let now = Instant::now();
    let make = |provider: &CryptoProvider, cert, is_client| {
        let mut end = new(provider, cert, now);
        end.set_active(is_client);
        end.handle_timeout(now).unwrap();
        end
    };
    let mut client = make(client, client_cert, true);
    let mut spent = Duration::ZERO;
    let start = Instant::now();
    let mut server = make(server, cert, false);
    spent += start.elapsed();

    let mut is_done = [false; 2];
    while is_done != [true; 2] {
        let datagrams = drain(client.as_mut(), &mut is_done[0]);
        let start = Instant::now();
        for datagram in &datagrams {
            server.handle_packet(datagram).unwrap();
        }
        let datagrams = drain(server.as_mut(), &mut is_done[1]);
        spent += start.elapsed();
        for datagram in &datagrams {
            client.handle_packet(datagram).unwrap();
        }
    }
    (spent, server)
}

fn drain(end: &mut dyn DtlsInstance, is_done: &mut bool) -> Vec<Vec<u8>> {
    let mut buf = [0; 2000];
    let mut datagrams = Vec::new();
    loop {
        match end.poll_output(&mut buf) {
            DtlsOutput::Packet(datagram) => datagrams.push(datagram.to_vec()),
            DtlsOutput::Connected => *is_done = true,
            DtlsOutput::Timeout(_) => return datagrams,
            _ => {}
        }
    }
}

/// What Linux says that this process occupies; 0 elsewhere.
fn resident_kb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).unwrap_or("0");
    pages.parse().unwrap_or(0.0) * 4.0
}
