//! How often one client may ask: `POST`, `PUT`, `PATCH` and `DELETE` that change something are counted per address, and
//! so is what may be a guess at the operator's secret.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::AppState;
use super::errors::Problem;

/// Requests that one address may make at once. A school behind one address joins with `POST` and `PATCH` each: 300 people.
pub(crate) const REQUESTS_BURST: NonZeroU32 = NonZeroU32::new(600).expect("is not zero");
/// Requests per second that one address may make for long. Guessing the shortest key (8 characters) takes 10,000 years at this pace.
pub(crate) const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("is not zero");
/// Addresses that are told apart; each costs some 64 bytes, all together 4 MB. Beyond it, new ones share one allowance.
pub(crate) const ADDRESSES_MAX: usize = 65_536;
/// Hops of `X-Forwarded-For` that are looked at.
const HOPS_MAX: usize = 16;

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    V4(Ipv4Addr),
    V6(u64),
    /// Everybody beyond [`ADDRESSES_MAX`].
    Crowd,
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The counters of all clients.
pub(crate) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<Origin>,
    clock: DefaultClock,
}

impl Default for RateLimit {
    fn default() -> Self {
        let quota = Quota::per_second(REQUESTS_PER_SECOND).allow_burst(REQUESTS_BURST);
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }
}

impl RateLimit {
    /// Counts one request.
    ///
    /// # Errors
    /// The number of whole seconds to wait when there were too many.
    pub(crate) fn check(&self, origin: Origin) -> Result<(), u32> {
        let counted = self.limiter.check_key(&self.bounded(origin));
        counted.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1)
        })
    }

    fn bounded(&self, origin: Origin) -> Origin {
        if self.limiter.len() < ADDRESSES_MAX {
            return origin;
        }
        // Forgets those whose allowance is full again.
        self.limiter.retain_recent();
        if self.limiter.len() < ADDRESSES_MAX {
            origin
        } else {
            Origin::Crowd
        }
    }
}

/// Who presents something that may be a guess at the operator's secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    address: IpAddr,
    is_counted: bool,
}

impl Peer {
    /// Somebody whose request has been counted.
    pub(crate) fn counted(address: IpAddr) -> Self {
        Self {
            address,
            is_counted: true,
        }
    }

    /// Who asks.
    pub(crate) fn client(self, state: &AppState, headers: &HeaderMap) -> IpAddr {
        client_address(self.address, headers, &state.app.trusted_proxies)
    }

    /// Counts a request that presents what may be a guess, unless [`rate_limit`] has; before anybody looks whether it is right, because
    /// a right guess must not be answered otherwise than with 429 either.
    ///
    /// # Errors
    /// As [`count_request`].
    pub(crate) fn count_guess(self, state: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
        match self.is_counted {
            true => Ok(()),
            false => count_request(state, self.address, headers),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            address: address(&parts.extensions),
            is_counted: changes_something(&parts.method),
        })
    }
}

fn address(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
        peer.ip()
    })
}

fn changes_something(method: &Method) -> bool {
    matches!(
        *method,
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    )
}

/// Middleware: 429 with `Retry-After` when an address asks too often.
pub(crate) async fn rate_limit(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if changes_something(request.method()) {
        let peer = address(request.extensions());
        if let Err(problem) = count_request(&state, peer, request.headers()) {
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// Counts one request that came from `peer`.
///
/// # Errors
/// 429 with `Retry-After` when its client asks too often.
pub(crate) fn count_request(
    state: &AppState,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let client = client_address(peer, headers, &state.app.trusted_proxies);
    state.rate.check(client.into()).map_err(|seconds| {
        let detail = format!(
            "too many requests from your address (at most {REQUESTS_PER_SECOND} per second for long); try again in {seconds} s"
        );
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
    })
}

/// Who asks: the address of the connection, or, behind proxies that are trusted, the last address that none of them has.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    if trusted.is_empty() || !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    // The nearest proxy wrote the last entry: everything left of the first foreign address may be invented.
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let hops = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        let Some(address) = parse_hop(hop.trim()) else {
            return client;
        };
        client = address;
        if !is_trusted(&address) {
            return client;
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:5000`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5000`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_burst_and_is_then_told_when_to_come_back() {
        let rate = RateLimit::default();
        let origin = Origin::from(ip("192.0.2.1"));
        let refused = (0..=REQUESTS_BURST.get() * 2).find_map(|_| rate.check(origin).err());
        assert_eq!(refused, Some(1));
        assert_eq!(rate.check(ip("192.0.2.2").into()), Ok(()));
    }

    #[test]
    fn a_household_counts_once_over_ipv6() {
        let one = Origin::from(ip("2001:db8:1:2::1"));
        assert_eq!(one, ip("2001:db8:1:2:ffff::9").into());
        assert_ne!(one, ip("2001:db8:1:3::1").into());
        assert_eq!(Origin::from(ip("::ffff:192.0.2.1")), ip("192.0.2.1").into());
    }

    #[test]
    fn beyond_the_limit_new_addresses_share_one_allowance() {
        let rate = RateLimit::default();
        for number in 0..ADDRESSES_MAX as u64 {
            assert_eq!(rate.check(Origin::V6(number)), Ok(()));
        }
        assert!(rate.limiter.len() <= ADDRESSES_MAX);
        for number in 0..2 * u64::from(REQUESTS_BURST.get()) {
            let _ = rate.check(Origin::V6(1 << 40 | number));
        }
        assert!(rate.limiter.len() <= ADDRESSES_MAX + 1);
    }

    #[test]
    fn forwarded_addresses_are_believed_only_from_trusted_proxies() {
        let check = |peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let trusted: Vec<_> = trusted.iter().map(|text| ip(text)).collect();
            assert_eq!(
                client_address(ip(peer), &headers, &trusted),
                ip(expected),
                "{forwarded:?}"
            );
        };
        check("203.0.113.9", &["192.0.2.1"], &[], "203.0.113.9");
        check("203.0.113.9", &["192.0.2.1"], &["10.0.0.1"], "203.0.113.9");
        check("10.0.0.1", &["192.0.2.1"], &["10.0.0.1"], "192.0.2.1");
        check(
            "::ffff:10.0.0.1",
            &["192.0.2.1"],
            &["10.0.0.1"],
            "192.0.2.1",
        );
        check(
            "10.0.0.1",
            &["1.1.1.1, 192.0.2.1, 10.0.0.2"],
            &["10.0.0.1", "10.0.0.2"],
            "192.0.2.1",
        );
        check(
            "10.0.0.1",
            &["1.1.1.1", "192.0.2.1:5000"],
            &["10.0.0.1"],
            "192.0.2.1",
        );
        check(
            "10.0.0.1",
            &["[2001:db8::1]:443"],
            &["10.0.0.1"],
            "2001:db8::1",
        );
        check("10.0.0.1", &["unknown"], &["10.0.0.1"], "10.0.0.1");
        check("10.0.0.1", &[], &["10.0.0.1"], "10.0.0.1");
    }
}
