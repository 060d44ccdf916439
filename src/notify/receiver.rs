//! One thread for each receiver, with its queue.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};

use super::counters::NotifyCounters;
use super::event::Event;
use super::signature::{self, sign};
use crate::clock;
use crate::config::Webhook;

/// Events that wait for one receiver, of some 300 bytes each. A full queue loses its oldest: the newest say how things are.
const WAITING_MAX: usize = 1000;

/// How often and how long it is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Attempts for one event, the first included.
    pub(super) tries_max: u32,
    /// The wait after the first failure; each later one is three times as long.
    pub(super) first: Duration,
    /// The longest wait.
    pub(super) wait_max: Duration,
    /// For one attempt, from looking up the name to the head of the answer.
    pub(super) timeout: Duration,
}

impl Default for Pace {
    /// Ten attempts within 36 minutes: a receiver may be moved to another machine meanwhile.
    fn default() -> Self {
        Self {
            tries_max: 10,
            first: Duration::from_secs(1),
            wait_max: Duration::from_secs(600),
            timeout: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// How long to wait after so many failures. `random` in 0..1 takes off up to a quarter.
    pub(super) fn wait(&self, failures: u32, random: f64) -> Duration {
        let factor = 3_u32.saturating_pow(failures.saturating_sub(1));
        let wait = self.first.saturating_mul(factor).min(self.wait_max);
        wait.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0))
    }
}

/// Tells receivers of events. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    receivers: Arc<[Receiver]>,
    counters: Arc<NotifyCounters>,
}

#[derive(Debug)]
struct Receiver {
    webhook: Webhook,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    /// Whether one is being sent.
    is_busy: bool,
    /// Each event is tried once more, without waiting.
    is_stopping: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier {
    /// Starts a thread for each webhook. They end with the process.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(webhooks: &[Webhook]) -> io::Result<Self> {
        Self::start_with(webhooks, Pace::default())
    }

    pub(super) fn start_with(webhooks: &[Webhook], pace: Pace) -> io::Result<Self> {
        let counters = Arc::<NotifyCounters>::default();
        let start = |(number, webhook): (usize, &Webhook)| {
            let queue = Arc::<Queue>::default();
            let worker = Worker {
                webhook: webhook.clone(),
                queue: queue.clone(),
                counters: counters.clone(),
                agent: agent(pace.timeout),
                pace,
            };
            std::thread::Builder::new()
                .name(format!("webhook-{number}"))
                .spawn(move || worker.run())?;
            let webhook = webhook.clone();
            Ok(Receiver { webhook, queue })
        };
        let receivers: io::Result<Vec<_>> = webhooks.iter().enumerate().map(start).collect();
        Ok(Self {
            receivers: receivers?.into(),
            counters,
        })
    }

    /// Whether nobody is told anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<NotifyCounters> {
        self.counters.clone()
    }

    /// Tells everybody who wants to know. Never waits.
    pub fn tell(&self, event: &Event) {
        let interested = self
            .receivers
            .iter()
            .filter(|receiver| receiver.webhook.events.contains(&event.kind));
        for Receiver { queue, webhook } in interested {
            let mut state = queue.lock();
            if state.waiting.len() == WAITING_MAX {
                state.waiting.pop_front();
                NotifyCounters::count(&self.counters.dropped);
                tracing::debug!(host = host(webhook), "a webhook's queue is full");
            }
            state.waiting.push_back(event.clone());
            queue.changed.notify_all();
        }
    }

    /// Tries once more what still waits, without pauses. Returns whether all was tried within `limit` for each receiver.
    /// Blocks: in async code only through `spawn_blocking`.
    #[must_use]
    pub fn finish(&self, limit: Duration) -> bool {
        for receiver in self.receivers.iter() {
            receiver.queue.lock().is_stopping = true;
            receiver.queue.changed.notify_all();
        }
        let is_done = |receiver: &Receiver| {
            let queue = &receiver.queue;
            let is_working = |state: &mut State| state.is_busy || !state.waiting.is_empty();
            let waited = queue
                .changed
                .wait_timeout_while(queue.lock(), limit, is_working);
            let (_held, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            !waited.timed_out()
        };
        // All of them, even when one is late: they work at the same time.
        self.receivers.iter().filter(|one| !is_done(one)).count() == 0
    }
}

/// Never whole: its path may be a secret.
fn host(webhook: &Webhook) -> &str {
    webhook.url.host_str().unwrap_or_default()
}

fn agent(timeout: Duration) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls);
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(timeout))
        // Whoever could redirect would get what is meant for somebody else.
        .max_redirects(0)
        .http_status_as_error(false)
        // The environment is for the command line alone.
        .proxy(None)
        .max_idle_connections(0)
        .user_agent(concat!("proscenium/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::new_with_config(config)
}

struct Worker {
    webhook: Webhook,
    queue: Arc<Queue>,
    counters: Arc<NotifyCounters>,
    agent: Agent,
    pace: Pace,
}

/// What an attempt came to.
enum Attempt {
    Taken,
    /// It will not be taken later either.
    Refused(String),
    Failed(String),
}

impl Worker {
    fn run(self) {
        loop {
            let event = self.next();
            self.deliver(&event);
            self.queue.lock().is_busy = false;
            self.queue.changed.notify_all();
        }
    }

    /// Waits for an event.
    fn next(&self) -> Event {
        let mut state = self.queue.lock();
        loop {
            if let Some(event) = state.waiting.pop_front() {
                state.is_busy = true;
                return event;
            }
            let woken = self.queue.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, event: &Event) {
        let body = event.body();
        for tried in 1..=self.pace.tries_max {
            let is_last = tried == self.pace.tries_max || self.queue.lock().is_stopping;
            let why = match self.attempt(event, &body) {
                Attempt::Taken => return NotifyCounters::count(&self.counters.delivered),
                Attempt::Refused(why) => return self.give_up(event, tried, &why),
                Attempt::Failed(why) if is_last => return self.give_up(event, tried, &why),
                Attempt::Failed(why) => why,
            };
            NotifyCounters::count(&self.counters.retried);
            let wait = self.pace.wait(tried, random());
            tracing::debug!(
                host = host(&self.webhook),
                event = event.kind.name(),
                tried,
                why,
                wait_ms = wait.as_millis() as u64,
                "a webhook did not take an event; it is tried again"
            );
            self.pause(wait);
        }
    }

    /// Waits, but not when the server stops.
    fn pause(&self, wait: Duration) {
        let is_waiting = |state: &mut State| !state.is_stopping;
        // Whether the time is over or the server stops: the next attempt is due.
        let _ = self
            .queue
            .changed
            .wait_timeout_while(self.queue.lock(), wait, is_waiting);
    }

    fn attempt(&self, event: &Event, body: &[u8]) -> Attempt {
        let mut request = self
            .agent
            .post(self.webhook.url.as_str())
            .header("Content-Type", "application/json")
            .header("X-Proscenium-Event", event.kind.name());
        if let Some(secret) = &self.webhook.secret {
            let signature = sign(secret.reveal(), clock::unix_seconds(), body);
            request = request.header(signature::HEADER, signature);
        }
        // The answer's body is not read: the connection closes with it.
        match request.send(body) {
            Ok(answer) => judge(answer.status().as_u16()),
            Err(error) => Attempt::Failed(error.to_string()),
        }
    }

    fn give_up(&self, event: &Event, tried: u32, why: &str) {
        NotifyCounters::count(&self.counters.given_up);
        tracing::warn!(
            host = host(&self.webhook),
            event = event.kind.name(),
            id = %event.id,
            tried,
            why,
            "a webhook did not take an event, which is given up"
        );
    }
}

/// Any success is one. A redirection and what the client is to blame for (RFC 9110 section 15.5) stay as they are, but
/// for those that ask for patience.
fn judge(status: u16) -> Attempt {
    match status {
        200..300 => Attempt::Taken,
        408 | 425 | 429 | 500.. => Attempt::Failed(format!("status {status}")),
        _ => Attempt::Refused(format!("status {status}")),
    }
}

/// From 0 to 1; one half when the system has no randomness.
fn random() -> f64 {
    let mut byte = [128];
    // The default is as good as any.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
