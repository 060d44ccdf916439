//! What the media threads and the conferences count, in Prometheus's terms. Read at each scrape; nothing is kept here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::broadcast::Broadcast;
use crate::bus::BusCounters;
use crate::conference::ConferenceCounters;
use crate::media::{Handle, LATENCY_BOUNDS_US, METRICS, MetricKind};
use crate::outlets::OutletCounters;
use crate::store::History;

/// Exports the counters of all media threads together with one histogram of forwarding latency.
pub struct MediaCollector {
    media: Handle,
}

impl MediaCollector {
    /// Of these threads.
    #[must_use]
    pub fn new(media: Handle) -> Self {
        Self { media }
    }
}

impl fmt::Debug for MediaCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaCollector").finish_non_exhaustive()
    }
}

impl Collector for MediaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = self.media.counters();
        let threads: Vec<_> = counters.iter().map(|counters| counters.values()).collect();
        let sum = |at: usize| threads.iter().map(|values| values[at]).sum::<u64>();
        // Numbers that share a name stand together in the table, and must stand together in the text.
        let mut at = 0;
        for family in METRICS.chunk_by(|one, next| one.name == next.name) {
            let kind = match family[0].kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let mut encoder =
                encoder.encode_descriptor(family[0].name, family[0].help, None, kind)?;
            for metric in family {
                let value = sum(at);
                match metric.label {
                    Some(label) => {
                        encode_number(&mut encoder.encode_family(&[label])?, metric.kind, value)?
                    }
                    None => encode_number(&mut encoder, metric.kind, value)?,
                }
                at += 1;
            }
        }
        encode_latency(&self.media, &mut encoder)?;
        let alive = counters
            .iter()
            .filter(|counters| counters.is_alive())
            .count();
        let (live, sessions) = self.media.directory().totals();
        for (name, help, value) in [
            ("media_threads", "Media threads that run.", alive),
            (
                "live_streams",
                "Streams that are live, over all spaces.",
                live,
            ),
            (
                "sessions",
                "WHIP and WHEP sessions, over all spaces.",
                sessions,
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            encode_number(&mut metric, MetricKind::Gauge, value as u64)?;
        }
        let mut metric = encoder.encode_descriptor(
            "publications_reordered",
            "Publications that were found to send B-frames, which browsers do not play over WebRTC.",
            None,
            MetricType::Counter,
        )?;
        encode_number(
            &mut metric,
            MetricKind::Counter,
            self.media.directory().reordered(),
        )?;
        Ok(())
    }
}

/// Exports what conferences count.
#[derive(Debug)]
pub struct ConferenceCollector {
    counters: Arc<ConferenceCounters>,
}

impl ConferenceCollector {
    /// Of these conferences.
    #[must_use]
    pub fn new(counters: Arc<ConferenceCounters>) -> Self {
        Self { counters }
    }
}

impl Collector for ConferenceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = &self.counters;
        let gauge = |name, help, value: usize| (name, help, MetricKind::Gauge, value as u64);
        let counter = |name, help, value| (name, help, MetricKind::Counter, value);
        for (name, help, kind, value) in [
            gauge(
                "conferences",
                "Spaces with a conference now.",
                counters.spaces(),
            ),
            gauge(
                "conference_connections",
                "WebSockets of conferences now.",
                counters.connections(),
            ),
            counter(
                "conference_refused",
                "WebSockets that were refused at a limit.",
                counters.refused(),
            ),
            counter(
                "conference_slow",
                "WebSockets that were closed because their client did not read.",
                counters.slow(),
            ),
            counter(
                "conference_texts_received",
                "Messages of conference clients.",
                counters.texts_received(),
            ),
            counter(
                "conference_texts_sent",
                "Messages to conference clients, each receiver counted.",
                counters.texts_sent(),
            ),
            counter(
                "conference_events_replaced",
                "Events of media threads that newer ones replaced before they were read.",
                counters.events_replaced(),
            ),
        ] {
            let kind_of = match kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind_of)?;
            encode_number(&mut metric, kind, value)?;
        }
        Ok(())
    }
}

/// Exports what HLS and the recorder count.
pub struct BroadcastCollector {
    broadcast: Broadcast,
}

impl BroadcastCollector {
    /// Of these streams.
    #[must_use]
    pub fn new(broadcast: Broadcast) -> Self {
        Self { broadcast }
    }
}

impl fmt::Debug for BroadcastCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastCollector").finish_non_exhaustive()
    }
}

impl Collector for BroadcastCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let recorder = self.broadcast.recorder();
        let recorded = recorder.counters();
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let counters = self.broadcast.counters().all().into_iter().chain([
            (
                "recorded_segments",
                "Segments that were written to disk.",
                of(&recorded.segments),
            ),
            (
                "recorded_bytes",
                "Bytes of segments that were written to disk.",
                of(&recorded.bytes),
            ),
            (
                "recording_dropped",
                "Segments and thumbnails that the recorder's queue had no room for.",
                of(&recorded.dropped),
            ),
            (
                "recording_lost",
                "Segments and thumbnails that the disk had no room for.",
                of(&recorded.lost),
            ),
            (
                "recording_cues_lost",
                "Cues that a recording had no room for, or had to give up for newer ones.",
                of(&recorded.cues_lost),
            ),
        ]);
        for (name, help, value) in counters {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_number(&mut metric, MetricKind::Counter, value)?;
        }
        let archive = recorder.archive();
        let gauges = [
            (
                "hls_streams",
                "Streams that are offered as HLS.",
                self.broadcast.published().len() as u64,
            ),
            (
                "recordings_size_bytes",
                "Bytes of recordings and DVR windows on disk.",
                archive.bytes(),
            ),
            (
                "recording_trouble",
                "1 while nothing can be recorded.",
                u64::from(archive.trouble().is_some()),
            ),
        ];
        for (name, help, value) in gauges {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            encode_number(&mut metric, MetricKind::Gauge, value)?;
        }
        Ok(())
    }
}

/// Exports what the message bus counts.
#[derive(Debug)]
pub struct BusCollector {
    counters: Arc<BusCounters>,
}

impl BusCollector {
    /// Of this bus.
    #[must_use]
    pub fn new(counters: Arc<BusCounters>) -> Self {
        Self { counters }
    }
}

impl Collector for BusCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, only_grows, value) in self.counters.all() {
            let (kind, kind_of) = match only_grows {
                true => (MetricKind::Counter, MetricType::Counter),
                false => (MetricKind::Gauge, MetricType::Gauge),
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind_of)?;
            encode_number(&mut metric, kind, value)?;
        }
        Ok(())
    }
}

/// Exports what OSC and webhooks count.
#[derive(Debug)]
pub struct OutletCollector {
    counters: OutletCounters,
}

impl OutletCollector {
    /// Of these.
    #[must_use]
    pub fn new(counters: OutletCounters) -> Self {
        Self { counters }
    }
}

impl Collector for OutletCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let osc = self.counters.osc.iter().flat_map(|osc| osc.all());
        for (name, help, value) in osc.chain(self.counters.webhooks.all()) {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            encode_number(&mut metric, MetricKind::Counter, value)?;
        }
        Ok(())
    }
}

/// Exports what the history of messages counts.
#[derive(Debug)]
pub struct HistoryCollector {
    history: History,
}

impl HistoryCollector {
    /// Of this history.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { history }
    }
}

impl Collector for HistoryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, only_grows, value) in self.history.figures().all() {
            let (kind, kind_of) = match only_grows {
                true => (MetricKind::Counter, MetricType::Counter),
                false => (MetricKind::Gauge, MetricType::Gauge),
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind_of)?;
            encode_number(&mut metric, kind, value)?;
        }
        Ok(())
    }
}

fn encode_number(encoder: &mut MetricEncoder<'_>, kind: MetricKind, value: u64) -> fmt::Result {
    match kind {
        MetricKind::Counter => encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None),
        MetricKind::Gauge => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

/// Seconds, as Prometheus has it.
fn encode_latency(media: &Handle, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut numbers = [0; LATENCY_BOUNDS_US.len() + 1];
    let mut sum_us = 0;
    for counters in media.counters() {
        let (buckets, thread_sum_us) = counters.latency();
        for (number, bucket) in numbers.iter_mut().zip(buckets) {
            *number += bucket;
        }
        sum_us += thread_sum_us;
    }
    let bounds = LATENCY_BOUNDS_US
        .iter()
        .map(|us| *us as f64 / 1e6)
        .chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(numbers).collect();
    let help = "Time of forwarded packets from the socket's receive to the send call.";
    let mut metric = encoder.encode_descriptor(
        "forwarding_latency_seconds",
        help,
        None,
        MetricType::Histogram,
    )?;
    let count = numbers.iter().sum();
    metric.encode_histogram::<NoLabelSet>(sum_us as f64 / 1e6, count, &buckets, None)
}
