//! Log lines: to stderr, as text or JSON. Stdout is left to what a person asked for (URLs, keys).

use std::fmt;
use std::net::IpAddr;

use tracing_subscriber::EnvFilter;

/// Installs the subscriber of the whole process. A second call does nothing.
///
/// `filter` are `tracing-subscriber` directives; [`crate::config::load`] has checked those of its own, and RUST_LOG's
/// unknown parts are skipped with a word on stderr.
pub fn start(filter: &str, json: bool) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr);
    // An error means that a subscriber is there already, as in tests: then the first one serves.
    let _ = if json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init()
    };
}

/// Shows the network that an address is in, but not the address: `203.0.113.x`, `2001:db8:1::x`.
///
/// Whole addresses of clients belong to level `debug` and below; above, this is all that may be seen.
#[derive(Debug, Clone, Copy)]
pub struct Network(pub IpAddr);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(f, "{a}.{b}.{c}.x")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                write!(f, "{a:x}:{b:x}:{c:x}::x")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_of_an_address_is_shown() {
        let check = |address: &str, expected: &str| {
            assert_eq!(Network(address.parse().unwrap()).to_string(), expected);
        };
        check("203.0.113.77", "203.0.113.x");
        check("::ffff:203.0.113.77", "203.0.113.x");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::x");
    }
}
