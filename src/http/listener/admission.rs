//! How many connections are open, of all and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// The log tells of refusals at most so often.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Admits connections up to the limits, and counts the others.
#[derive(Debug)]
pub struct Admission {
    connections_max: usize,
    /// Reverse proxies: all the world comes from their addresses.
    unlimited: Vec<IpAddr>,
    open: Mutex<Open>,
    refused: AtomicU64,
    failed_accepts: AtomicU64,
}

/// At most `connections_max` addresses are in the map, because each has a connection.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

/// One open connection; dropping it makes room.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The limit in words, with the flag that changes it.
    pub reason: &'static str,
    /// The limit.
    pub limit: usize,
    /// Whether it is time to log it.
    pub is_first_in_a_while: bool,
}

impl Admission {
    /// Admits `connections_max` in all, and half of them from any one address that is neither this machine's loopback
    /// nor in `unlimited`.
    #[must_use]
    pub fn new(connections_max: usize, unlimited: Vec<IpAddr>) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            unlimited,
            open: Mutex::default(),
            refused: AtomicU64::new(0),
            failed_accepts: AtomicU64::new(0),
        })
    }

    /// Takes a place for a connection from `address`.
    ///
    /// # Errors
    /// When the server or the address has too many.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Refusal> {
        let address = address.to_canonical();
        let limited = !address.is_loopback() && !self.unlimited.contains(&address);
        let mut open = self.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        let address_max = self.connections_max / 2;
        if open.all >= self.connections_max {
            let reason = "there are too many in all; raise --connections-max";
            return Err(self.refuse(&mut open, reason, self.connections_max));
        }
        if limited && of_address >= address_max {
            let reason = "one address has half of all; if it is a reverse proxy, name it with --trusted-proxy";
            return Err(self.refuse(&mut open, reason, address_max));
        }
        open.all += 1;
        *open.by_address.entry(address).or_default() += 1;
        Ok(Permit {
            admission: Arc::clone(self),
            address,
        })
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().all
    }

    /// Connections that were refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Times that the system could not accept since the start, e.g. because of too many open files.
    #[must_use]
    pub fn failed_accepts(&self) -> u64 {
        self.failed_accepts.load(Ordering::Relaxed)
    }

    pub(super) fn count_failed_accept(&self) {
        self.failed_accepts.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self, open: &mut Open, reason: &'static str, limit: usize) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let now = clock::now();
        let is_first_in_a_while = open
            .warned
            .is_none_or(|last| now.saturating_duration_since(last) >= WARN_EVERY);
        if is_first_in_a_while {
            open.warned = Some(now);
        }
        Refusal {
            reason,
            limit,
            is_first_in_a_while,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn half_of_the_places_is_for_one_address_and_the_rest_for_others() {
        let admission = Admission::new(4, Vec::new());
        let permits: Vec<_> = (0..2)
            .map(|_| admission.admit(ip("192.0.2.1")).unwrap())
            .collect();
        let refusal = admission.admit(ip("::ffff:192.0.2.1")).unwrap_err();
        assert!(refusal.reason.contains("--trusted-proxy") && refusal.is_first_in_a_while);
        let other = admission.admit(ip("192.0.2.2")).unwrap();
        drop((permits, other));
        assert_eq!((admission.open(), admission.refused()), (0, 1));
        assert!(admission.lock().by_address.is_empty());
    }

    #[test]
    fn proxies_and_loopback_may_have_all_places_but_not_one_more() {
        for address in ["127.0.0.1", "10.0.0.1"] {
            let admission = Admission::new(4, vec![ip("10.0.0.1")]);
            let permits: Vec<_> = (0..4)
                .map(|_| admission.admit(ip(address)).unwrap())
                .collect();
            let refusal = admission.admit(ip("192.0.2.2")).unwrap_err();
            assert!(refusal.reason.contains("--connections-max") && refusal.limit == 4);
            assert!(
                !admission
                    .admit(ip(address))
                    .unwrap_err()
                    .is_first_in_a_while
            );
            drop(permits);
            assert!(admission.admit(ip(address)).is_ok());
        }
    }
}
