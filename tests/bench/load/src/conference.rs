//! A conference: every participant has a WebSocket, a UDP socket and a task.

mod participant;
mod signalling;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Options, process, quantiles::quantiles};

/// Everybody must be in within this after the last one knocked.
const JOIN_MAX: Duration = Duration::from_secs(60);

/// Between the last join and the measurement.
const WARM_UP: Duration = Duration::from_secs(5);

/// What all participants count together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) lost: AtomicU64,
}

/// What one participant tells.
#[derive(Debug)]
pub(crate) enum Report {
    /// Connected, so long after it knocked.
    Joined(Duration),
    /// The first packet of somebody, so long after it knocked.
    Heard(Duration),
    /// It could not join, or was dropped.
    Failed(String),
}

/// What one participant does.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) number: usize,
    pub(crate) sends_video: bool,
    pub(crate) sends_audio: bool,
}

/// Runs the whole conference and returns its figures.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(hold(options))
}

async fn hold(options: &Options) -> Result<Value> {
    let totals = Arc::new(Totals::default());
    let (reports, mut reported) = mpsc::unbounded_channel();
    let before = process::usage(options.pid)?;
    let start = Instant::now();
    let count = options.viewers;
    let gap = Duration::from_secs_f64(options.within / count.max(1) as f64);
    for number in 0..count {
        let part = Part {
            number,
            sends_video: number < options.publishers,
            sends_audio: number < options.speakers,
        };
        let settings = participant::Settings::new(options, part)?;
        let (totals, reports) = (totals.clone(), reports.clone());
        let due = start + gap * u32::try_from(number)?;
        tokio::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            if let Err(error) = participant::run(settings, totals.clone(), reports.clone()).await {
                totals.lost.fetch_add(1, Ordering::Relaxed);
                // The listener is gone when the time is up.
                let _ = reports.send(Report::Failed(format!("{error:#}")));
            }
        });
    }
    drop(reports);
    let mut joins = Vec::new();
    let mut first = Vec::new();
    let mut failures: Vec<String> = Vec::new();
    let deadline = start + Duration::from_secs_f64(options.within) + JOIN_MAX;
    while joins.len() + failures.len() < count {
        match tokio::time::timeout_at(deadline.into(), reported.recv()).await {
            Ok(Some(report)) => note(report, &mut joins, &mut first, &mut failures),
            Ok(None) | Err(_) => break,
        }
    }
    let all_in = start.elapsed();
    tokio::time::sleep(WARM_UP).await;
    let from = process::usage(options.pid)?;
    let counts = || {
        (
            totals.sent.load(Ordering::Relaxed),
            totals.received.load(Ordering::Relaxed),
        )
    };
    let (sent, received) = counts();
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let to = process::usage(options.pid)?;
    let (sent, received) = (counts().0 - sent, counts().1 - received);
    while let Ok(report) = reported.try_recv() {
        note(report, &mut joins, &mut first, &mut failures);
    }
    let cpu_us = to.cpu_us - from.cpu_us;
    Ok(json!({
        "participants": count,
        "joined": joins.len(),
        "failed": failures.len(),
        "first_failure": failures.first(),
        "lost": totals.lost.load(Ordering::Relaxed),
        "all_in_ms": all_in.as_millis() as u64,
        "join_ms": quantiles(&mut joins).context("nobody joined")?,
        "first_packet_ms": quantiles(&mut first),
        "sent": sent,
        "received": received,
        "cpu_us": cpu_us,
        "us_per_packet": if received == 0 { 0.0 } else { cpu_us as f64 / received as f64 },
        "cpu_percent": cpu_us as f64 / (options.seconds.max(1) as f64 * 10_000.0),
        "rss_kb_per_participant": to.rss_kb.saturating_sub(before.rss_kb) as f64 / count.max(1) as f64,
    }))
}

fn note(
    report: Report,
    joins: &mut Vec<Duration>,
    first: &mut Vec<Duration>,
    failures: &mut Vec<String>,
) {
    match report {
        Report::Joined(time) => joins.push(time),
        Report::Heard(time) => first.push(time),
        Report::Failed(why) => failures.push(why),
    }
}
