//! Looks for the most messages that a server delivers, and measures it at half of that.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::crowd::Crowd;
use super::envelope::{envelope, said_at};
use super::histogram::Histogram;
use super::socket::Heard;
use super::{Options, Usage};

/// How often the gap between what it could and what it could not is halved.
const HALVINGS: usize = 2;
/// Less than this share of what should have been delivered within the time is "behind".
const KEEPS_UP: f64 = 0.95;
/// Nothing for so long: what is late has come.
const SILENCE: Duration = Duration::from_millis(300);
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Steps of the search; from 50 a second they reach beyond what any server could.
const STEPS_MAX: usize = 30;

/// One rate for some seconds.
struct Step {
    /// Messages a second.
    rate: f64,
    said: u64,
    /// Within the time.
    delivered: u64,
    seconds: f64,
    server_us: u64,
    own_us: u64,
    latency_ms: Value,
    /// Never delivered, or to too many.
    missing: i64,
    closed: usize,
}

impl Step {
    fn share(&self, clients: usize) -> f64 {
        self.delivered as f64 / (self.rate * self.seconds * clients as f64)
    }

    fn json(&self, clients: usize) -> Value {
        json!({
            "rate": self.rate.round(),
            "said": self.said,
            "share": (self.share(clients) * 1000.0).round() / 1000.0,
            "delivered_per_s": (self.delivered as f64 / self.seconds).round(),
            "server_cores": self.server_us as f64 / self.seconds / 1e6,
            "delivered_per_cpu_s": (self.delivered as f64 / (self.server_us.max(1) as f64 / 1e6)).round(),
            "us_per_delivery": self.server_us as f64 / self.delivered.max(1) as f64,
            "own_cores": self.own_us as f64 / self.seconds / 1e6,
            "latency_ms": self.latency_ms,
            "missing": self.missing,
            "closed": self.closed,
        })
    }
}

pub(super) fn run(options: &Options) -> Result<Value> {
    let clients = options.viewers;
    let mut crowd = Crowd::connected(&options.url, clients)?;
    let mut delivered = Delivered::new();
    let mut rate = f64::from(options.bus.rate_from);
    step(&mut crowd, &mut delivered, options, rate, 1.0)?;
    let seconds = options.seconds as f64;
    let (mut best, mut too_much) = (None::<Step>, None::<f64>);
    let mut steps = Vec::new();
    let mut halvings = 0;
    while steps.len() < STEPS_MAX && halvings < HALVINGS && rate <= options.bus.rate_to {
        let measured = step(&mut crowd, &mut delivered, options, rate, seconds)?;
        steps.push(measured.json(clients));
        if measured.share(clients) >= KEEPS_UP && measured.closed == 0 {
            if best.as_ref().is_none_or(|best| rate > best.rate) {
                best = Some(measured);
            }
        } else {
            too_much = Some(rate);
        }
        let most = best.as_ref().map(|best| best.rate);
        rate = match (most, too_much) {
            (Some(most), None) => most * options.bus.growth.max(1.1),
            (Some(most), Some(much)) => {
                halvings += 1;
                (most * much).sqrt()
            }
            (None, _) => rate / 2.0,
        };
        ensure!(
            rate >= 1.0,
            "the server does not keep up with one message a second: {steps:?}"
        );
    }
    ensure!(best.is_some(), "the server never kept up: {steps:?}");
    let best = best.map(|best| (best.rate, best.json(clients)));
    let (most, best) = best.unwrap_or_default();
    let half = step(&mut crowd, &mut delivered, options, most / 2.0, seconds)?;
    Ok(json!({
        "clients": clients,
        "maximum": best,
        "half": half.json(clients),
        "steps": steps,
        "others": delivered.others,
        "first_other": delivered.first_other,
        "first_close": delivered.first_close,
    }))
}

/// What all clients together have heard.
struct Delivered {
    count: u64,
    latency: Histogram,
    /// What nobody of the crowd said, such as a refusal.
    others: u64,
    first_other: Option<String>,
    closed: usize,
    first_close: Option<u16>,
}

impl Delivered {
    fn new() -> Self {
        Self {
            count: 0,
            latency: Histogram::new(),
            others: 0,
            first_other: None,
            closed: 0,
            first_close: None,
        }
    }

    fn hear(&mut self, now_us: u64, heard: Heard) {
        match heard {
            Heard::Message(bytes) => match said_at(bytes) {
                Some(at) => {
                    self.count += 1;
                    self.latency.add(now_us.saturating_sub(at));
                }
                None => {
                    self.others += 1;
                    let text = || String::from_utf8_lossy(bytes).chars().take(300).collect();
                    self.first_other.get_or_insert_with(text);
                }
            },
            Heard::Closed(code) => {
                self.closed += 1;
                self.first_close = self.first_close.or(code);
            }
            Heard::Opened => {}
        }
    }
}

fn step(
    crowd: &mut Crowd,
    delivered: &mut Delivered,
    options: &Options,
    rate: f64,
    seconds: f64,
) -> Result<Step> {
    crowd.mend()?;
    (delivered.count, delivered.closed) = (0, 0);
    delivered.latency.clear();
    let before = Usage::now(options)?;
    let began = Instant::now();
    let mut said = 0u64;
    let passed = loop {
        let passed = began.elapsed().as_secs_f64();
        if passed >= seconds {
            break passed;
        }
        while (said as f64) < passed * rate {
            let who = said as usize % crowd.len();
            let envelope = envelope(who, crowd.now_us());
            crowd.say(who, &envelope);
            said += 1;
        }
        let next = (said as f64 / rate).min(seconds) - began.elapsed().as_secs_f64();
        turn(crowd, delivered, Duration::from_secs_f64(next.max(0.0)))?;
    };
    let after = Usage::now(options)?;
    let mut measured = Step {
        rate,
        said,
        delivered: delivered.count,
        seconds: passed,
        server_us: after.server_us - before.server_us,
        own_us: after.own_us - before.own_us,
        latency_ms: delivered.latency.quantiles(),
        missing: 0,
        closed: delivered.closed,
    };
    drain(crowd, delivered, said)?;
    measured.missing = (said * crowd.len() as u64) as i64 - delivered.count as i64;
    Ok(measured)
}

fn turn(crowd: &mut Crowd, delivered: &mut Delivered, timeout: Duration) -> Result<()> {
    let epoch_us = crowd.now_us();
    let began = Instant::now();
    // One look at the clock per socket that had something.
    let (mut last, mut now_us) = (usize::MAX, epoch_us);
    crowd.turn(timeout, |index, heard| {
        if index != last {
            last = index;
            now_us = epoch_us + began.elapsed().as_micros() as u64;
        }
        delivered.hear(now_us, heard);
    })
}

/// Waits for what is on its way.
fn drain(crowd: &mut Crowd, delivered: &mut Delivered, said: u64) -> Result<()> {
    let deadline = Instant::now() + DRAIN_MAX;
    let (mut count, mut since) = (delivered.count, Instant::now());
    while delivered.count < said * crowd.len() as u64 && since.elapsed() < SILENCE {
        if Instant::now() > deadline {
            break;
        }
        turn(crowd, delivered, SILENCE)?;
        if delivered.count > count {
            (count, since) = (delivered.count, Instant::now());
        }
    }
    Ok(())
}
