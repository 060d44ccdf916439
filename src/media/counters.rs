//! What media threads count, readable from anywhere without a lock: each thread writes its own, with relaxed stores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sfu::WorkerStats;

use super::net::{FlushReport, TcpCounters};

/// Whether a number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// How one number is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Without prefix and without `_total`.
    pub name: &'static str,
    /// One label, when several numbers share a name.
    pub label: Option<(&'static str, &'static str)>,
    /// For people.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: MetricKind,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        label: None,
        help,
        kind: MetricKind::Counter,
    }
}

const fn dropped(reason: &'static str) -> Metric {
    Metric {
        name: "dropped",
        label: Some(("reason", reason)),
        help: "Datagrams and packets that were dropped, by reason.",
        kind: MetricKind::Counter,
    }
}

const fn gauge(
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        label,
        help,
        kind: MetricKind::Gauge,
    }
}

/// How many numbers a thread keeps. A literal: `METRICS.len()` in a type sends the optimising compiler in a circle.
const METRICS_COUNT: usize = 45;

/// What the numbers of [`Counters::values`] are, in its order.
pub const METRICS: [Metric; METRICS_COUNT] = [
    gauge(
        "peers",
        Some(("role", "publisher")),
        "WebRTC sessions now, by role.",
    ),
    gauge(
        "peers",
        Some(("role", "viewer")),
        "WebRTC sessions now, by role.",
    ),
    gauge(
        "peers",
        Some(("role", "participant")),
        "WebRTC sessions now, by role.",
    ),
    counter("datagrams_received", "Datagrams received, of any kind."),
    counter("bytes_received", "Bytes of received datagrams."),
    counter("datagrams_sent", "Datagrams handed to the network."),
    counter("bytes_sent", "Bytes of sent datagrams."),
    counter(
        "packets_received",
        "Media packets received from publishers and sources.",
    ),
    counter("packets_forwarded", "Media packets written to viewers."),
    counter(
        "packets_relayed",
        "Media packets handed to other media threads.",
    ),
    counter(
        "keyframes_wanted",
        "Keyframe requests received from viewers.",
    ),
    counter(
        "keyframes_requested",
        "Keyframe requests sent to publishers.",
    ),
    counter("replays", "Groups of pictures replayed to viewers."),
    counter(
        "cuts",
        "Times that a layer of a publisher came again after a cut.",
    ),
    counter(
        "takeovers",
        "Publishers that took a stream over from another one.",
    ),
    counter(
        "takeovers_dropped",
        "Publishers that waited to take a stream over and had to go because too many did.",
    ),
    counter(
        "backups_on",
        "Times that a backup came on stage because nothing came from its publisher.",
    ),
    counter(
        "backups_off",
        "Times that a backup gave the stage back to its publisher.",
    ),
    gauge(
        "standing_by",
        None,
        "Publishers that stand by now: backups, and those whose backup has the stage.",
    ),
    counter(
        "whep_slates",
        "Times that a viewer was given a slate because nobody performed.",
    ),
    counter(
        "whep_slates_missed",
        "Times that a viewer could not be given a slate: it takes no H.264.",
    ),
    counter(
        "data_received",
        "Messages received over data channels of participants.",
    ),
    counter(
        "data_sent",
        "Messages sent over data channels of participants.",
    ),
    counter(
        "data_channels_closed",
        "Data channels that were closed: their participant said too much, or did not read.",
    ),
    counter(
        "data_channels_refused",
        "Data channels that nobody knows and that were closed at once.",
    ),
    counter(
        "candidates_ignored",
        "Remote candidates that could not be used.",
    ),
    counter(
        "panics",
        "Sessions that were lost to a defect; please report them.",
    ),
    counter("gso_batches", "Sends that carried more than one datagram."),
    gauge("tcp_connections", None, "ICE-TCP connections now."),
    dropped("unknown_ufrag"),
    dropped("not_authentic"),
    dropped("unknown_address"),
    dropped("malformed"),
    dropped("unusable"),
    dropped("stale"),
    dropped("waiting"),
    dropped("standby"),
    dropped("data"),
    dropped("send_refused"),
    dropped("send_overflow"),
    dropped("tcp_overflow"),
    dropped("tcp_unconnected"),
    dropped("relay_overflow"),
    dropped("source_overflow"),
    dropped("tap_overflow"),
];

/// Upper bounds of the forwarding-latency buckets in microseconds; the last bucket has none.
pub const LATENCY_BOUNDS_US: [u64; 12] = [
    50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400,
];

/// One media thread's numbers.
#[derive(Debug)]
pub struct Counters {
    values: [AtomicU64; METRICS_COUNT],
    latency: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    latency_sum_us: AtomicU64,
    source_overflow: AtomicU64,
    alive: AtomicBool,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
            latency_sum_us: AtomicU64::new(0),
            source_overflow: AtomicU64::new(0),
            alive: AtomicBool::new(true),
        }
    }
}

impl Counters {
    /// The numbers that [`METRICS`] describes.
    pub fn values(&self) -> [u64; METRICS_COUNT] {
        std::array::from_fn(|at| self.values[at].load(Ordering::Relaxed))
    }

    /// Forwarded packets by how long they took from the socket's receive to the send call: one number per bound of
    /// [`LATENCY_BOUNDS_US`] and one for the rest, not cumulated; and the sum of all times in microseconds.
    pub fn latency(&self) -> ([u64; LATENCY_BOUNDS_US.len() + 1], u64) {
        (
            std::array::from_fn(|at| self.latency[at].load(Ordering::Relaxed)),
            self.latency_sum_us.load(Ordering::Relaxed),
        )
    }

    /// Whether the thread still runs.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(super) fn set_dead(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    /// Counts a source's packet that found the thread's queue full. The only number that other threads write.
    pub(super) fn count_source_overflow(&self) {
        self.source_overflow.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `packets` that left `taken` after their burst arrived.
    pub(super) fn record_latency(&self, packets: u64, taken: Duration) {
        let us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        // Load and store suffice: one writer.
        let add = |to: &AtomicU64, what: u64| {
            to.store(to.load(Ordering::Relaxed) + what, Ordering::Relaxed)
        };
        add(&self.latency[bucket], packets);
        add(&self.latency_sum_us, packets.saturating_mul(us));
    }

    pub(super) fn publish(
        &self,
        worker: &WorkerStats,
        egress: &FlushReport,
        tcp: &TcpCounters,
        tcp_open: usize,
        relay_overflow: u64,
        tap_overflow: u64,
    ) {
        let numbers = [
            worker.publishers,
            worker.viewers,
            worker.participants,
            worker.datagrams_in,
            worker.bytes_in,
            worker.datagrams_out,
            worker.bytes_out,
            worker.packets_in,
            worker.packets_forwarded,
            worker.packets_relayed,
            worker.keyframes_wanted,
            worker.keyframes_requested,
            worker.replays,
            worker.cuts,
            worker.takeovers,
            worker.waiting_dropped,
            worker.backups_on,
            worker.backups_off,
            worker.standing_by,
            worker.slates,
            worker.slates_missed,
            worker.data_in,
            worker.data_out,
            worker.data_closed,
            worker.channels_refused,
            worker.candidates_ignored,
            worker.panics,
            egress.gso_batches as u64,
            tcp_open as u64,
            worker.dropped_unknown_ufrag,
            worker.dropped_not_authentic,
            worker.dropped_unknown_address,
            worker.dropped_malformed,
            worker.dropped_unusable,
            worker.dropped_stale,
            worker.dropped_waiting,
            worker.dropped_standby,
            worker.dropped_data,
            egress.dropped as u64,
            egress.overflowed as u64,
            tcp.overflowed,
            tcp.unconnected,
            relay_overflow,
            self.source_overflow.load(Ordering::Relaxed),
            tap_overflow,
        ];
        for (slot, number) in self.values.iter().zip(numbers) {
            slot.store(number, Ordering::Relaxed);
        }
    }
}
