//! One direction of a network path: loss, delay, jitter, reordering and a bottleneck with a bounded queue.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use fastrand::Rng;

/// DTLS flights vary by a byte or two with their ECDSA signatures; on the wire they all count as this many bytes.
const DTLS_BYTES: usize = 1200;

/// UDP, IPv4 and Ethernet around a datagram.
const OVERHEAD_BYTES: usize = 46;

/// Losses that one path keeps; five minutes of a bad one are some ten thousand.
const LOSSES_MAX: usize = 1 << 20;

/// Why a datagram did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Radio, as good as.
    Chance,
    /// The bottleneck's queue was full.
    Queue,
    /// There is no path.
    Cut,
}

/// An RTP packet that did not arrive.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    pub at: Instant,
    pub ssrc: u32,
    pub sequence: u16,
    pub why: Why,
}

/// What a path does to datagrams.
#[derive(Debug, Clone)]
pub struct Link {
    /// Share of datagrams that vanish, 0 to 1.
    pub loss: f64,
    /// Time that every datagram takes.
    pub delay: Duration,
    /// Up to this much more, evenly distributed.
    pub jitter: Duration,
    /// Whether jitter may change the order.
    pub reorders: bool,
    /// The bottleneck's rate.
    pub bandwidth_bps: Option<u64>,
    /// How long the bottleneck's queue may get before it drops.
    pub queue_max: Duration,
    /// Whether handshakes may be lost and reordered too. dimpl's retransmission timers are random, so replays keep this off.
    pub loses_dtls: bool,
    /// When the bottleneck is free.
    pub busy_until: Option<Instant>,
    /// The newest arrival, which nothing overtakes unless the path reorders.
    pub last_arrival: Option<Instant>,
    /// What was sent at this instant, by size.
    pub last_sent: Option<(Instant, Vec<usize>)>,
    /// Datagrams that did not arrive.
    pub dropped: u64,
    /// Nothing arrives at all, handshakes included.
    pub is_cut: bool,
    /// Whether [`Self::losses`] is kept.
    pub keeps_losses: bool,
    /// RTP packets that did not arrive.
    pub losses: Vec<Loss>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            loss: 0.0,
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            reorders: false,
            bandwidth_bps: None,
            queue_max: Duration::from_millis(300),
            loses_dtls: false,
            busy_until: None,
            last_arrival: None,
            last_sent: None,
            dropped: 0,
            is_cut: false,
            keeps_losses: false,
            losses: Vec::new(),
        }
    }
}

/// The bytes that a datagram counts for.
fn wire_bytes(datagram: &[u8]) -> usize {
    match datagram {
        [20..=63, ..] => DTLS_BYTES,
        other => other.len(),
    }
}

impl Link {
    /// A path with this loss.
    pub fn lossy(loss: f64) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }

    /// When `datagram` arrives, or `None` if it does not. Its fate follows from `salt`, the time and its length, not
    /// from how many went before: str0m sends what leaves at one instant in the random order of its hash maps.
    pub fn carry(
        &mut self,
        now: Instant,
        base: Instant,
        salt: u64,
        datagram: &[u8],
    ) -> Option<Instant> {
        let mut hasher = DefaultHasher::new();
        let twins = match self.last_sent {
            Some((at, ref mut sizes)) if at == now => sizes,
            _ => &mut self.last_sent.insert((now, Vec::new())).1,
        };
        let twin = twins
            .iter()
            .filter(|size| **size == wire_bytes(datagram))
            .count();
        twins.push(wire_bytes(datagram));
        (salt, now - base, wire_bytes(datagram), twin).hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish());
        let draw = rng.f64();
        let is_handshake = matches!(datagram, [20..=63, ..]);
        let extra = if is_handshake && !self.loses_dtls {
            Duration::ZERO
        } else {
            self.jitter.mul_f64(rng.f64())
        };
        if self.is_cut {
            return self.lose(now, datagram, Why::Cut);
        }
        if draw < self.loss && (self.loses_dtls || !is_handshake) {
            return self.lose(now, datagram, Why::Chance);
        }
        let mut at = now;
        if let Some(rate) = self.bandwidth_bps {
            let free = self.busy_until.map_or(now, |until| until.max(now));
            if free - now > self.queue_max {
                return self.lose(now, datagram, Why::Queue);
            }
            let bits = (wire_bytes(datagram) + OVERHEAD_BYTES) as u64 * 8;
            at = free + Duration::from_nanos(bits * 1_000_000_000 / rate);
            self.busy_until = Some(at);
        }
        at += self.delay + extra;
        if !self.reorders {
            at = self.last_arrival.map_or(at, |last| last.max(at));
            self.last_arrival = Some(at);
        }
        Some(at)
    }

    fn lose(&mut self, at: Instant, datagram: &[u8], why: Why) -> Option<Instant> {
        self.dropped += 1;
        if self.keeps_losses
            && self.losses.len() < LOSSES_MAX
            && let Some((ssrc, sequence)) = rtp_header(datagram)
        {
            self.losses.push(Loss {
                at,
                ssrc,
                sequence,
                why,
            });
        }
        None
    }
}

/// SSRC and sequence number of an SRTP packet, whose header is not encrypted. RFC 7983 and RFC 5761 tell the kinds apart.
pub fn rtp_header(datagram: &[u8]) -> Option<(u32, u16)> {
    match datagram {
        [128..=191, second, high, low, _, _, _, _, a, b, c, d, ..]
            if !(192..=223).contains(second) =>
        {
            let ssrc = u32::from_be_bytes([*a, *b, *c, *d]);
            Some((ssrc, u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}
