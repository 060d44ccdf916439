//! How many clients there may be, of all and of each address, and how often an address may speak.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use crate::clock;

/// Addresses are looked through for those that nobody uses any more when so many are known, and then whenever they have doubled.
const SWEEP_FROM: usize = 1024;

/// What coming costs of an address's allowance of messages: a handshake, a task, a joiner's state.
const ARRIVAL_COST: NonZeroU32 = NonZeroU32::new(5).expect("is not zero");

/// What one household is called in bans and limits: an IPv4 address, or the /64 of an IPv6 one.
#[must_use]
pub fn household(address: IpAddr) -> Arc<str> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string().into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}").into()
        }
    }
}

/// How many, and how often.
#[derive(Debug, Clone)]
pub(super) struct PlaceLimits {
    /// Clients in all. Half of them may come from one address.
    pub clients_max: usize,
    /// Messages per second that one address may say for long.
    pub address_rate: NonZeroU32,
    /// Messages that one address may say at once.
    pub address_burst: NonZeroU32,
    /// Reverse proxies: all the world comes from their addresses, and nothing of the above counts for one.
    pub unlimited: Vec<IpAddr>,
}

/// All that are known.
#[derive(Debug)]
pub(super) struct Places {
    limits: PlaceLimits,
    unlimited: Vec<Arc<str>>,
    clients: AtomicUsize,
    households: Mutex<Households>,
}

#[derive(Debug)]
struct Households {
    by_name: HashMap<Arc<str>, Arc<Household>>,
    sweep_at: usize,
}

/// What is known of one address.
#[derive(Debug)]
struct Household {
    clients: AtomicUsize,
    limiter: DefaultDirectRateLimiter,
    left: Mutex<Instant>,
}

/// One client's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// `None` for whom no limits count.
    household: Option<Arc<Household>>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// In all.
    Full,
    /// From this address.
    AddressFull,
    /// It comes too often; it may again after this.
    TooOften(Duration),
}

impl Places {
    pub(super) fn new(limits: PlaceLimits) -> Arc<Self> {
        let of = |address: &IpAddr| household(*address);
        let mut unlimited: Vec<_> = limits.unlimited.iter().map(of).collect();
        unlimited.push("0:0:0:0".into());
        Arc::new(Self {
            limits,
            unlimited,
            clients: AtomicUsize::new(0),
            households: Mutex::new(Households {
                by_name: HashMap::new(),
                sweep_at: SWEEP_FROM,
            }),
        })
    }

    /// Clients that are there.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Takes a place. An empty address is this server's own: of those there are as many as it needs.
    pub(super) fn admit(self: &Arc<Self>, address: &str) -> Result<Place, NoPlace> {
        // Under the lock: of many who come at once none may slip past a limit.
        let mut households = self.lock();
        if !address.is_empty() && self.clients() >= self.limits.clients_max {
            return Err(NoPlace::Full);
        }
        let household = if self.is_limited(address) {
            households.sweep(&self.limits);
            let household = households.of(address, &self.limits);
            if household.clients.load(Ordering::Relaxed) >= self.limits.clients_max / 2 {
                return Err(NoPlace::AddressFull);
            }
            household.wait(ARRIVAL_COST).map_err(NoPlace::TooOften)?;
            household.clients.fetch_add(1, Ordering::Relaxed);
            Some(household)
        } else {
            None
        };
        self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            places: self.clone(),
            household,
        })
    }

    fn is_limited(&self, address: &str) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        !(address.is_empty()
            || self.unlimited.iter().any(|name| &**name == address)
            || address.parse().is_ok_and(is_loopback))
    }

    fn lock(&self) -> MutexGuard<'_, Households> {
        // Nothing in here is ever half changed.
        self.households
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Households {
    fn of(&mut self, address: &str, limits: &PlaceLimits) -> Arc<Household> {
        if let Some(household) = self.by_name.get(address) {
            return household.clone();
        }
        let quota = Quota::per_second(limits.address_rate).allow_burst(limits.address_burst);
        let household = Arc::new(Household {
            clients: AtomicUsize::new(0),
            limiter: DefaultDirectRateLimiter::direct(quota),
            left: Mutex::new(clock::now()),
        });
        self.by_name.insert(address.into(), household.clone());
        household
    }

    /// Forgets who is gone and has its whole allowance again: nothing is lost with it.
    fn sweep(&mut self, limits: &PlaceLimits) {
        if self.by_name.len() < self.sweep_at {
            return;
        }
        let (burst, rate) = (limits.address_burst.get(), limits.address_rate.get());
        let full_after = Duration::from_secs_f64(f64::from(burst) / f64::from(rate));
        let now = clock::now();
        self.by_name.retain(|_, household| {
            let left = *household
                .left
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            household.clients.load(Ordering::Relaxed) > 0
                || now.saturating_duration_since(left) < full_after
        });
        self.sweep_at = (2 * self.by_name.len()).max(SWEEP_FROM);
    }
}

impl Household {
    /// Counts `count`; how long to wait when that is too many.
    fn wait(&self, count: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(DefaultClock::default().now())),
            // More than the whole burst: an allowance that small is for tests alone.
            Err(_) => Ok(()),
        }
    }
}

impl Place {
    /// Counts one message; how long to wait before it is said when that is one too many.
    pub(super) fn count(&self) -> Result<(), Duration> {
        match &self.household {
            Some(household) => household.wait(NonZeroU32::MIN),
            None => Ok(()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.clients.fetch_sub(1, Ordering::Relaxed);
        if let Some(household) = &self.household {
            *household
                .left
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = clock::now();
            household.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(clients_max: usize) -> Arc<Places> {
        Places::new(PlaceLimits {
            clients_max,
            address_rate: NonZeroU32::new(10).unwrap(),
            address_burst: NonZeroU32::new(20).unwrap(),
            unlimited: vec!["10.0.0.1".parse().unwrap()],
        })
    }

    #[test]
    fn a_household_has_one_name() {
        let check = |address: &str, expected: &str| {
            assert_eq!(&*household(address.parse().unwrap()), expected);
        };
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2:ffff::9", "2001:db8:1:2");
        check("2001:db8:1:2::", "2001:db8:1:2");
        check("::1", "0:0:0:0");
    }

    #[test]
    fn half_of_the_places_is_for_one_address_and_the_rest_for_others() {
        let places = places(4);
        let held: Vec<_> = (0..2).map(|_| places.admit("192.0.2.1").unwrap()).collect();
        assert_eq!(places.admit("192.0.2.1").err(), Some(NoPlace::AddressFull));
        let others: Vec<_> = (2..4)
            .map(|number| places.admit(&format!("192.0.2.{number}")).unwrap())
            .collect();
        assert_eq!(places.admit("192.0.2.9").err(), Some(NoPlace::Full));
        assert!(places.admit("").is_ok(), "the server's own");
        drop((held, others));
        assert_eq!(places.clients(), 0);
        assert!(places.admit("192.0.2.1").is_ok());
    }

    #[test]
    fn loopback_and_proxies_may_have_all_places_and_speak_as_they_like() {
        for address in ["127.0.0.1", "0:0:0:0", "10.0.0.1"] {
            let places = places(4);
            let held: Vec<_> = (0..4).map(|_| places.admit(address).unwrap()).collect();
            assert_eq!(places.admit(address).err(), Some(NoPlace::Full));
            assert!((0..1000).all(|_| held[0].count().is_ok()), "{address}");
        }
    }

    #[test]
    fn who_comes_or_speaks_too_often_is_told_how_long_to_wait() {
        let places = places(1000);
        let mut held = Vec::new();
        let refused = (0..100).find_map(|_| {
            places
                .admit("192.0.2.1")
                .map(|place| held.push(place))
                .err()
        });
        assert!(
            matches!(refused, Some(NoPlace::TooOften(wait)) if wait <= Duration::from_millis(500)),
            "{refused:?}"
        );
        // All clients of an address have one allowance, and others their own.
        assert!((0..100).any(|_| held[0].count().is_err()));
        assert!(held[1].count().is_err());
        assert!(places.admit("192.0.2.2").unwrap().count().is_ok());
    }

    #[test]
    fn addresses_are_forgotten_when_they_have_their_whole_allowance_again() {
        let places = places(1000);
        let stays = places.admit("192.0.2.1").unwrap();
        for number in 0..SWEEP_FROM {
            places.admit(&format!("2001:db8:0:{number:x}")).unwrap();
        }
        let known = |places: &Places| places.lock().by_name.len();
        assert!(known(&places) > SWEEP_FROM);
        let long_ago = clock::now().checked_sub(Duration::from_secs(3)).unwrap();
        for household in places.lock().by_name.values() {
            *household.left.lock().unwrap() = long_ago;
        }
        places.lock().sweep_at = SWEEP_FROM;
        let comes = places.admit("192.0.2.2").unwrap();
        assert_eq!(known(&places), 2);
        drop((stays, comes));
    }
}
